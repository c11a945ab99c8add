//! `[front.limits]`: the limits of the front, with their arithmetic.

use super::limit::Limit;
use serde::Deserialize;
use std::time::Duration;

/// Limits on what connections may take. Times are in milliseconds, lengths in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FrontLimits {
    /// From accepting a socket to the end of the TLS handshake. A handshake takes 0.4 ms of ours and three round
    /// trips of at most 600 ms (satellite): 3 s leave a factor of 1.6.
    pub handshake_ms: u64,
    /// From the first byte of a request's head to its end: at most 8 KiB, so 2 KiB/s suffice.
    pub header_ms: u64,
    /// From the end of the head to the end of the body: at most 64 KiB, so 13 KiB/s suffice.
    pub body_ms: u64,
    /// From a request to its answer by the keeper. The longest, 1,000 cards in 8 slots, derives 8,000 keys at
    /// 105 us each: 0.9 s; under full load of two workers some ten times that.
    pub answer_ms: u64,
    /// Between the answer to a request and the first byte of the next one.
    pub idle_ms: u64,
    /// Life of a connection; then it ends after the answer in progress. Certificates that expired meanwhile are
    /// noticed by then at the latest.
    pub connection_life_ms: u64,
    /// Handshakes at one time. At 0.4 ms each, 256 are 102 ms of one core: the longest wait for the processor. Where there
    /// are as many, a new one takes the place of the oldest that keeps us waiting: who opens 10,000 silent sockets a second
    /// leaves each client 25 ms for its next message.
    pub handshakes_max: usize,
    /// Connections of everyone but officers at one time. 24 KiB when idle, so 24 MiB; a body of 64 KiB and an answer
    /// of 1 MiB each at worst, so 1.1 GiB if every one of them reads its longest answer slowly.
    pub clients_max: usize,
    /// Connections reserved for officers; when they are taken, officers compete with the others.
    pub officers_max: usize,
    /// Connections with one certificate's key at one time: a terminal needs one, a load test 64.
    pub per_certificate_max: usize,
    /// Length of a request's head: request line and headers. Ours are about 200 bytes.
    pub headers_len_max: usize,
    /// Headers of one request. Ours have 4.
    pub headers_max: usize,
    /// Length of a request's body; 1,000 card identifiers take 11 KiB.
    pub request_len_max: usize,
}

/// Every limit of `[front.limits]`. A time of 0 would refuse everything and one of hours bound nothing; a head must fit the
/// HTTP buffer of 64 KiB twice; a body may not be longer than a request of the protocol.
pub(super) const FRONT: [Limit<FrontLimits>; 13] = [
    Limit {
        name: "handshake-ms",
        range: (100, 60_000),
        bounds: "from the accepted socket to the end of the handshake",
        value: |limits| limits.handshake_ms,
    },
    Limit {
        name: "header-ms",
        range: (100, 60_000),
        bounds: "from the first byte of a head to its end",
        value: |limits| limits.header_ms,
    },
    Limit {
        name: "body-ms",
        range: (100, 60_000),
        bounds: "from the end of the head to the end of the body",
        value: |limits| limits.body_ms,
    },
    Limit {
        name: "answer-ms",
        range: (100, 600_000),
        bounds: "from a request to its answer by the keeper",
        value: |limits| limits.answer_ms,
    },
    Limit {
        name: "idle-ms",
        range: (100, 3_600_000),
        bounds: "from an answer to the first byte of the next request",
        value: |limits| limits.idle_ms,
    },
    Limit {
        name: "connection-life-ms",
        range: (1_000, 86_400_000),
        bounds: "the life of a connection",
        value: |limits| limits.connection_life_ms,
    },
    Limit {
        name: "handshakes-max",
        range: (1, 4_096),
        bounds: "handshakes at one time",
        value: |limits| size(limits.handshakes_max),
    },
    Limit {
        name: "clients-max",
        range: (1, 65_536),
        bounds: "connections of everyone but officers at one time",
        value: |limits| size(limits.clients_max),
    },
    Limit {
        name: "officers-max",
        range: (1, 4_096),
        bounds: "connections reserved for officers",
        value: |limits| size(limits.officers_max),
    },
    Limit {
        name: "per-certificate-max",
        range: (1, 65_536),
        bounds: "connections with one key at one time",
        value: |limits| size(limits.per_certificate_max),
    },
    Limit {
        name: "headers-len-max",
        range: (256, 32_768),
        bounds: "length of a head, in bytes",
        value: |limits| size(limits.headers_len_max),
    },
    Limit {
        name: "headers-max",
        range: (4, 256),
        bounds: "headers of one request",
        value: |limits| size(limits.headers_max),
    },
    Limit {
        name: "request-len-max",
        range: (1_024, 65_536),
        bounds: "length of a body, in bytes",
        value: |limits| size(limits.request_len_max),
    },
];

fn size(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

impl Default for FrontLimits {
    fn default() -> Self {
        Self {
            handshake_ms: 3_000,
            header_ms: 5_000,
            body_ms: 5_000,
            answer_ms: 30_000,
            idle_ms: 60_000,
            connection_life_ms: 900_000,
            handshakes_max: 256,
            clients_max: 1_024,
            officers_max: 32,
            per_certificate_max: 64,
            headers_len_max: 8 * 1024,
            headers_max: 32,
            request_len_max: 64 * 1024,
        }
    }
}

impl FrontLimits {
    pub(crate) const fn handshake(&self) -> Duration {
        Duration::from_millis(self.handshake_ms)
    }
    pub(crate) const fn header(&self) -> Duration {
        Duration::from_millis(self.header_ms)
    }
    pub(crate) const fn body(&self) -> Duration {
        Duration::from_millis(self.body_ms)
    }
    pub(crate) const fn answer(&self) -> Duration {
        Duration::from_millis(self.answer_ms)
    }
    /// From the end of a request to the first byte of the next: what its answer may take, and idleness.
    pub(crate) const fn between(&self) -> Duration {
        Duration::from_millis(self.answer_ms.saturating_add(self.idle_ms))
    }
    pub(crate) const fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }
    pub(crate) const fn connection_life(&self) -> Duration {
        Duration::from_millis(self.connection_life_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_its_default() {
        let limits: FrontLimits = toml::from_str("per-certificate-max = 3").unwrap();
        assert_eq!(limits, FrontLimits { per_certificate_max: 3, ..FrontLimits::default() });
    }

    #[test]
    fn every_field_is_in_the_table_with_its_own_value_and_its_default_within_its_range() {
        let (limits, mut fields) = (FrontLimits::default(), Vec::new());
        for limit in &FRONT {
            let value = (limit.value)(&limits);
            assert!((limit.range.0..=limit.range.1).contains(&value), "{}", limit.name);
            fields.push(format!("{}: {value}", limit.name.replace('-', "_")));
        }
        assert_eq!(format!("FrontLimits {{ {} }}", fields.join(", ")), format!("{limits:?}"));
    }

    #[test]
    fn an_unknown_limit_is_refused() {
        assert!(toml::from_str::<FrontLimits>("per_certificate_max = 3").is_err());
    }
}
