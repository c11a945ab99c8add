//! One good request of every operation, as the protocol's golden files have them, to be damaged.

use super::corpus::from_hex;
use keysvc_protocol::request::Operation;
use std::{fs, path::Path};

/// A good request's payload and its operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Good {
    /// The operation.
    pub operation: Operation,
    /// The payload: what lies in the envelope where it is not signed, and what is signed where it is.
    pub payload: Vec<u8>,
}

/// All of them, in the order of their files' names; at least one for every operation.
///
/// # Panics
/// When an operation has none.
#[must_use]
pub fn good() -> Vec<Good> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/protocol/tests/golden");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("request-"))
        .collect();
    names.sort_unstable();
    let all: Vec<Good> = names.iter().map(|name| read(&folder, name)).collect();
    for operation in Operation::ALL {
        assert!(all.iter().any(|good| good.operation == operation), "no golden request for {operation}");
    }
    all
}

fn read(folder: &Path, name: &str) -> Good {
    let stem = name.trim_start_matches("request-").trim_end_matches(".hex");
    // `card.result-reject` is a `card.result`; no operation's name has a hyphen.
    let operation = Operation::from_name(stem.split('-').next().unwrap_or(stem)).unwrap();
    let text: String = fs::read_to_string(folder.join(name)).unwrap().split_whitespace().collect();
    Good { operation, payload: from_hex(&text) }
}
