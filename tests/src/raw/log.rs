//! The log as the auditor reads it, for what a test expects to find there.

use crate::ground::Ground;
use keysvc_client::{Auditor, ClientError};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    key::KeyKind,
    leaf::{KeyIntentLeaf, KeyOutcomeLeaf, LeafEntry, LeafKind, RefusedLeaf},
    receipt::{LEAF_PAYLOAD_LEN_MAX, LeafEvidence},
    request::ENTRIES_MAX,
};
use serde::{Serialize, de::DeserializeOwned};

/// A leaf as the auditor reads it: its entry and its payload.
pub type Leaf = (LeafEntry, Vec<u8>);

/// All leaves of the log, as the auditor reads them; the payload of one that was erased with its job is empty. The read
/// itself becomes a leaf after them.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn leaves(ground: &Ground) -> Vec<Leaf> {
    leaves_from(ground, 0)
}

/// The same from leaf `first` on.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn leaves_from(ground: &Ground, first: u64) -> Vec<Leaf> {
    let read = async {
        let auditor: Auditor = ground.auditor().await?;
        let size = auditor.reader().checkpoint().await?.checkpoint().head.size;
        let mut leaves = Vec::new();
        while first + (leaves.len() as u64) < size {
            let from = first + leaves.len() as u64;
            leaves.extend(auditor.entries(from, size.min(from + ENTRIES_MAX as u64)).await?);
        }
        Ok::<_, ClientError>(leaves)
    };
    let leaves = ground.block_on(read).unwrap();
    let open = |leaf: LeafEvidence| {
        let entry = leaf.check().unwrap();
        (entry, leaf.payload.map(Blob::into_bytes).unwrap_or_default())
    };
    leaves.into_iter().map(open).collect()
}

/// The payloads of all leaves of one kind.
///
/// # Panics
/// When one is not of its kind.
#[must_use]
pub fn of_kind<T: Serialize + DeserializeOwned>(leaves: &[Leaf], kind: LeafKind) -> Vec<T> {
    let of_kind = leaves.iter().filter(|(entry, _)| entry.kind == kind);
    of_kind.map(|(_, payload)| cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).unwrap()).collect()
}

/// The intents to make keys that people asked for, and not the service's own storage keys.
#[must_use]
pub fn keys_intended(leaves: &[Leaf]) -> Vec<KeyIntentLeaf> {
    let all: Vec<KeyIntentLeaf> = of_kind(leaves, LeafKind::KeyIntent);
    all.into_iter().filter(|leaf| leaf.kind != KeyKind::Storage).collect()
}

/// The keys that were made because people asked for them, and not the service's own storage keys.
#[must_use]
pub fn keys_made(leaves: &[Leaf]) -> Vec<KeyOutcomeLeaf> {
    let all: Vec<KeyOutcomeLeaf> = of_kind(leaves, LeafKind::KeyOutcome);
    all.into_iter().filter(|leaf| leaf.key.kind != KeyKind::Storage).collect()
}

/// What was refused to one persona, as the log has it.
#[must_use]
pub fn refused(ground: &Ground, persona: &str) -> Vec<RefusedLeaf> {
    let all: Vec<RefusedLeaf> = of_kind(&leaves(ground), LeafKind::Refused);
    all.into_iter().filter(|leaf| leaf.principal.as_str() == persona).collect()
}
