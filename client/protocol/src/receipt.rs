//! Receipts: the reply to a recorded request says where it stands in the log, and can prove it.

use crate::{
    bytes::{Blob, Salt},
    cbor::REQUEST_LEN_MAX,
    checkpoint::SignedCheckpoint,
    leaf::{LeafEntry, LeafError},
    merkle::{self, Inclusion, Proof, ProofError},
    schema::Schema,
};
use serde::{Deserialize, Serialize};

/// Largest leaf payload: a signed request of 64 KiB and what the service adds; the founding is held to it as well.
pub const LEAF_PAYLOAD_LEN_MAX: usize = REQUEST_LEN_MAX * 2;

/// A leaf with what is needed to recompute its hash. The payload is withheld whole from who may not see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafEvidence {
    /// The leaf's entry, exactly as hashed into the tree: an encoded [`LeafEntry`].
    pub entry: Blob<256>,
    /// Salt of the payload digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Salt>,
    /// The payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Blob<LEAF_PAYLOAD_LEN_MAX>>,
}

impl LeafEvidence {
    /// Reads the entry and, where salt and payload are there, checks that they are the entry's.
    ///
    /// # Errors
    /// [`LeafError`] when the entry is not one, or the payload is another's.
    pub fn check(&self) -> Result<LeafEntry, LeafError> {
        let entry = LeafEntry::decode(self.entry.as_bytes())?;
        if let (Some(salt), Some(payload)) = (&self.salt, &self.payload) {
            entry.check_payload(salt, payload.as_bytes())?;
        }
        Ok(entry)
    }
}

/// Where a recorded request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Field 0.
    pub schema: Schema,
    /// Index of the request's leaf.
    pub leaf_index: u64,
    /// A signed checkpoint of a tree that contains the leaf.
    pub checkpoint: SignedCheckpoint,
    /// Consistency from the `seen` of the request (from leaf 0 where none was sent) to the checkpoint.
    pub consistency: Proof,
    /// The leaf itself; left out where it would say more than the caller may know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<LeafEvidence>,
    /// Inclusion of the leaf in the checkpoint's tree; left out with the leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inclusion: Option<Proof>,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The receipt carries no leaf or no inclusion proof.
    #[error("the receipt carries no inclusion proof")]
    NoProof,
    /// The leaf's entry or payload is not what it says.
    #[error("the receipt's leaf: {0}")]
    Leaf(#[from] LeafError),
    /// The leaf is another than the receipt says.
    #[error("the receipt names another leaf")]
    OtherLeaf,
    /// The proof does not lead to the checkpoint's root.
    #[error("the receipt's inclusion proof: {0}")]
    Proof(#[from] ProofError),
}

impl Receipt {
    /// Checks the leaf's inclusion in the receipt's checkpoint, whose signature the caller has verified.
    ///
    /// # Errors
    /// [`ReceiptError`] naming the first check that failed.
    pub fn check_inclusion(&self) -> Result<LeafEntry, ReceiptError> {
        let (Some(leaf), Some(proof)) = (&self.leaf, &self.inclusion) else {
            return Err(ReceiptError::NoProof);
        };
        let entry = leaf.check()?;
        if entry.index != self.leaf_index {
            return Err(ReceiptError::OtherLeaf);
        }
        let head = self.checkpoint.checkpoint().head;
        let leaf_hash = merkle::leaf_hash(leaf.entry.as_bytes());
        let claim = Inclusion { index: self.leaf_index, size: head.size, leaf_hash };
        merkle::verify_inclusion(&claim, proof, &head.root)?;
        Ok(entry)
    }
}
