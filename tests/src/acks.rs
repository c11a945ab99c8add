//! Acknowledged value updates, written to a file before the client sends anything more, and held against the log.
//!
//! One file for each card, so that no lock orders the clients. It signs and verifies nothing: the offline verifier does.

use crate::raw::Leaf;
use keysvc_client::terminal::SignedUpdate;
use keysvc_protocol::{
    cbor,
    leaf::{LeafKind, ValueUpdatedLeaf},
    receipt::LEAF_PAYLOAD_LEN_MAX,
    value::ValueUpdate,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

/// The file of one card.
#[derive(Debug)]
pub struct Acks {
    file: File,
}

impl Acks {
    /// Makes the card's file in `folder`.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn create(folder: &Path, card: &str) -> Self {
        let file = File::create_new(folder.join(card)).unwrap();
        Self { file }
    }

    /// Writes one acknowledgement down: the payload that was signed, in hexadecimal, on one line.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&mut self, update: &SignedUpdate) {
        let payload = cbor::encode(&update.update);
        let mut line: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
        line.push('\n');
        self.file.write_all(line.as_bytes()).unwrap();
        self.file.sync_data().unwrap();
    }

    /// Every acknowledged payload in `folder`.
    ///
    /// # Panics
    /// When a file cannot be read.
    #[must_use]
    pub fn read(folder: &Path) -> Vec<Vec<u8>> {
        let files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        text.lines().map(|line| keysvc_protocol::bytes::from_hex(line).unwrap()).collect()
    }
}

/// A purse at one sequence number: card, purse, sequence number.
type Place = (String, u8, u64);

/// What a log says of value updates.
#[derive(Debug)]
pub struct Recorded {
    payloads: BTreeMap<Place, Vec<Vec<u8>>>,
}

impl Recorded {
    /// Reads the value updates among a log's leaves.
    ///
    /// # Panics
    /// When a leaf is not of its kind.
    #[must_use]
    pub fn of(leaves: &[Leaf]) -> Self {
        let mut payloads: BTreeMap<Place, Vec<Vec<u8>>> = BTreeMap::new();
        for (_, payload) in leaves.iter().filter(|(entry, _)| entry.kind == LeafKind::ValueUpdated) {
            let leaf: ValueUpdatedLeaf = cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).unwrap();
            let payload = leaf.update.into_bytes();
            payloads.entry(place(&payload)).or_default().push(payload);
        }
        Self { payloads }
    }

    /// How many updates there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.payloads.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// The acknowledged payloads that the log does not hold as they are.
    #[must_use]
    pub fn lost<'a>(&self, acks: &'a [Vec<u8>]) -> Vec<&'a Vec<u8>> {
        let held =
            |ack: &Vec<u8>| self.payloads.get(&place(ack)).is_some_and(|payloads| payloads.contains(ack));
        acks.iter().filter(|ack| !held(ack)).collect()
    }

    /// The places where the log holds more than one update.
    #[must_use]
    pub fn double(&self) -> Vec<&Place> {
        self.payloads.iter().filter(|(_, payloads)| payloads.len() > 1).map(|(place, _)| place).collect()
    }
}

fn place(payload: &[u8]) -> Place {
    let update = ValueUpdate::from_payload(payload).unwrap();
    (update.card.to_string(), update.purse, update.seq)
}
