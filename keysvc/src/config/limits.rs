//! `[keeper.limits]`: the limits of the keeper, with their arithmetic.

use super::limit::Limit;
use keysvc_protocol::job::SESSION_LIFE_MS;
use serde::Deserialize;

/// `[keeper.limits]`: queues, lives and slices inside the keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct KeeperLimits {
    /// Changes waiting for the ledger; one more is answered `busy`. As many as the link lets in flight
    /// ([`super::fixed::CALLS_MAX`]): 4,096 of 64 KiB at worst are 256 MiB, of the usual 0.5 KiB they are 2 MiB.
    pub ledger_queue_len: usize,
    /// Changes in one commit: 256 at 12 us each are 3 ms.
    pub commit_batch_max: usize,
    /// How long a commit waits at most for the calls that are on their way, in microseconds; a lone request never
    /// waits.
    pub commit_gather_us: u64,
    /// Life of a session of two operators at a station, and of its transport key, in milliseconds: 2 hours. A station has
    /// one session at a time.
    pub exchange_life_ms: u64,
    /// Until when a terminal may write an update to the card, in milliseconds from its issue: 24 hours.
    pub value_valid_ms: u64,
    /// Life of a trust bundle, in milliseconds: 7 days, so that a till that is offline over a long weekend still
    /// verifies. It is renewed when half of its life is over.
    pub bundle_life_ms: u64,
    /// Longest time a batch holds a worker, in milliseconds.
    pub slice_ms: u64,
    /// Threads that do the work; each has its own session with the token.
    pub workers: usize,
}

/// Every limit of `[keeper.limits]`. A commit of 4,096 changes takes 50 ms; one that waits 0.1 s for company delays
/// everyone; a session lasts no longer than [`keysvc_protocol::job::SESSION_LIFE_MS`], which no verifier lets pass, and an
/// update outlives no month, so that a lost card is bounded.
pub(super) const KEEPER: [Limit<KeeperLimits>; 8] = [
    Limit {
        name: "ledger-queue-len",
        range: (1, 65_536),
        bounds: "changes waiting for the ledger",
        value: |limits| size(limits.ledger_queue_len),
    },
    Limit {
        name: "commit-batch-max",
        range: (1, 4_096),
        bounds: "changes in one commit",
        value: |limits| size(limits.commit_batch_max),
    },
    Limit {
        name: "commit-gather-us",
        range: (0, 100_000),
        bounds: "how long a commit waits for company, in microseconds",
        value: |limits| limits.commit_gather_us,
    },
    Limit {
        name: "exchange-life-ms",
        range: (60_000, SESSION_LIFE_MS),
        bounds: "life of a session at a station",
        value: |limits| limits.exchange_life_ms,
    },
    Limit {
        name: "value-valid-ms",
        range: (1_000, 2_592_000_000),
        bounds: "until when a terminal may write an update to the card",
        value: |limits| limits.value_valid_ms,
    },
    Limit {
        name: "bundle-life-ms",
        // Renewal is looked at once a minute, so half of the least life is longer than that.
        range: (180_000, 2_592_000_000),
        bounds: "life of a trust bundle",
        value: |limits| limits.bundle_life_ms,
    },
    Limit {
        name: "slice-ms",
        range: (1, 1_000),
        bounds: "longest time a batch holds a worker",
        value: |limits| limits.slice_ms,
    },
    Limit {
        name: "workers",
        range: (1, 64),
        bounds: "worker threads, each with a session of its own",
        value: |limits| size(limits.workers),
    },
];

fn size(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

impl Default for KeeperLimits {
    fn default() -> Self {
        Self {
            ledger_queue_len: 4_096,
            commit_batch_max: 256,
            commit_gather_us: 1_000,
            exchange_life_ms: SESSION_LIFE_MS,
            value_valid_ms: 24 * 3_600_000,
            bundle_life_ms: 7 * 24 * 3_600_000,
            slice_ms: 2,
            workers: 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_in_the_table_with_its_own_value_and_its_default_within_its_range() {
        let (limits, mut fields) = (KeeperLimits::default(), Vec::new());
        for limit in &KEEPER {
            let value = (limit.value)(&limits);
            assert!((limit.range.0..=limit.range.1).contains(&value), "{}", limit.name);
            fields.push(format!("{}: {value}", limit.name.replace('-', "_")));
        }
        assert_eq!(format!("KeeperLimits {{ {} }}", fields.join(", ")), format!("{limits:?}"));
    }
}
