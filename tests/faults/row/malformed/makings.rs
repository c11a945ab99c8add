//! Requests that are none, by chance: of every operation, at every layer.
//!
//! It sends nothing and judges nothing.

use keysvc_client::signer::FileSigner;
use keysvc_protocol::{bytes::Digest, cbor::REQUEST_LEN_MAX, cose::Kind, request::Operation};
use keysvc_tests::{
    hostile::{
        corpus::{Wrong, appendix_a, bombs, wrong},
        requests::{Good, good},
    },
    raw::{envelope, genesis, http, key, sign},
};
use softhsm_setup::Site;

/// Who sends them: enrolled, and of a kind that may do little.
pub(super) const PERSONA: &str = "terminal-2";
/// Longest body, head and number of headers that the service takes.
const BODY_MAX: usize = REQUEST_LEN_MAX;
const HEAD_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 32;

/// What is sent.
pub(super) struct Sent {
    /// What it is, in words.
    pub(super) name: String,
    /// The bytes on the connection.
    pub(super) bytes: Vec<u8>,
    /// Whether the service may close the connection after it.
    pub(super) alone: bool,
    /// Whether chance may have made a good request of it.
    pub(super) may_be_good: bool,
}

/// Makes them.
pub(super) struct Makings {
    chances: fastrand::Rng,
    good: Vec<Good>,
    bombs: Vec<Wrong>,
    values: Vec<Vec<u8>>,
    signer: FileSigner,
    genesis: Digest,
}

impl Makings {
    pub(super) fn new(site: &Site, chances: fastrand::Rng) -> Self {
        let (signer, genesis) = (key(site, PERSONA), genesis(site));
        Self { chances, good: good(), bombs: bombs(), values: appendix_a(), signer, genesis }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Sent {
        let good = self.good[self.chances.usize(..self.good.len())].clone();
        let operation = good.operation;
        match self.chances.u8(0..100) {
            0..30 => {
                let wrong = self.one_wrong(&good.payload);
                let body = envelope(self.stated(operation, wrong.bytes));
                sent(&format!("{operation}, {}", wrong.name), http(operation.name(), &body), false)
            }
            30..45 => {
                let whole = envelope(self.stated(operation, good.payload));
                let wrong = self.one_wrong(&whole);
                sent(
                    &format!("{operation}'s envelope, {}", wrong.name),
                    http(operation.name(), &wrong.bytes),
                    false,
                )
            }
            45..60 => {
                let payload = self.damaged(good.payload);
                let body = envelope(self.stated(operation, payload));
                sent(&format!("{operation}, damaged"), http(operation.name(), &body), true)
            }
            60..70 => {
                let whole = envelope(self.stated(operation, good.payload));
                let body = self.damaged(whole);
                sent(&format!("{operation}'s body, damaged"), http(operation.name(), &body), true)
            }
            70..78 => {
                let len = self.chances.usize(0..2_000);
                let body: Vec<u8> = std::iter::repeat_with(|| self.chances.u8(..)).take(len).collect();
                sent(&format!("{operation}, {len} bytes by chance"), http(operation.name(), &body), false)
            }
            78..90 => self.other_value(operation),
            90..96 => self.other_form(operation),
            _ => self.at_a_limit(operation),
        }
    }

    /// A payload as the operation wants it: signed by the persona, and now and then by nobody.
    fn stated(&mut self, operation: Operation, payload: Vec<u8>) -> Vec<u8> {
        if operation.is_signed() && self.chances.u8(..10) > 0 && payload.len() < REQUEST_LEN_MAX - 200 {
            return sign(&self.signer, Kind::Request(operation), self.genesis.as_bytes(), payload);
        }
        payload
    }

    fn one_wrong(&mut self, good: &[u8]) -> Wrong {
        let mut all = wrong(good);
        let one = self.chances.usize(..all.len());
        all.swap_remove(one)
    }

    /// A few bytes turned, put in or taken out.
    fn damaged(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.chances.usize(1..6) {
            let place = self.chances.usize(..=bytes.len());
            match (self.chances.u8(..4), bytes.get_mut(place)) {
                (0, Some(byte)) => *byte ^= 1 << self.chances.u8(..8),
                (1, Some(byte)) => *byte = self.chances.u8(..),
                (2, Some(_)) => drop(bytes.remove(place)),
                _ => bytes.insert(place, self.chances.u8(..)),
            }
        }
        bytes
    }

    /// What broke others' decoders, or a value that is no message, as body or as payload.
    fn other_value(&mut self, operation: Operation) -> Sent {
        let (name, bytes) = if self.chances.bool() {
            let bomb = &self.bombs[self.chances.usize(..self.bombs.len())];
            (bomb.name.clone(), bomb.bytes.clone())
        } else {
            let value = self.values[self.chances.usize(..self.values.len())].clone();
            ("an example of RFC 8949".to_owned(), value)
        };
        let as_payload = self.chances.bool() && bytes.len() < REQUEST_LEN_MAX - 200;
        let body = if as_payload { envelope(self.stated(operation, bytes)) } else { bytes };
        sent(&format!("{operation}, {name}"), http(operation.name(), &body), false)
    }

    /// Other methods, types, paths and operations.
    fn other_form(&mut self, operation: Operation) -> Sent {
        let name = operation.name();
        let (line, kind) = match self.chances.u8(..8) {
            0 => (format!("GET /v1/{name}"), "application/cbor"),
            1 => (format!("PUT /v1/{name}"), "application/cbor"),
            2 => (format!("POST /v1/{name}?x=1"), "application/cbor"),
            3 => (format!("POST /v1/{name}/"), "application/cbor"),
            4 => (format!("POST /v2/{name}"), "application/cbor"),
            5 => (format!("POST /v1/{name}"), "application/json"),
            6 => (format!("POST /v1/{name}"), "application/cbor; charset=utf-8"),
            _ => (format!("POST /v1/{name}.{}", self.chances.u32(..)), "application/cbor"),
        };
        let head = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: 1\r\n\r\n\u{1}"
        );
        sent(&format!("{line} of {kind}"), head.into_bytes(), false)
    }

    /// A body, a head or as many headers as are just allowed, one less, and one more.
    fn at_a_limit(&mut self, operation: Operation) -> Sent {
        let by = self.chances.usize(..3);
        let name = operation.name();
        let start =
            format!("POST /v1/{name} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cbor\r\n");
        let (what, bytes) = match self.chances.u8(..3) {
            0 => ("body", http(name, &vec![0x81; BODY_MAX - 1 + by])),
            1 => {
                let rest = HEAD_MAX - 1 + by - start.len() - "x: \r\n\r\n".len();
                ("head", format!("{start}x: {}\r\n\r\n", "y".repeat(rest)).into_bytes())
            }
            _ => {
                let more = "x: y\r\n".repeat(HEADERS_MAX - 1 + by - 2);
                ("number of headers", format!("{start}{more}\r\n").into_bytes())
            }
        };
        Sent {
            alone: true,
            ..sent(&format!("{operation}, a {what} of the limit's {}", ["-1", "+0", "+1"][by]), bytes, false)
        }
    }
}

fn sent(name: &str, bytes: Vec<u8>, may_be_good: bool) -> Sent {
    Sent { name: name.to_owned(), bytes, alone: false, may_be_good }
}
