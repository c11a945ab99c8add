//! What became of a change: its leaf, or why it has none.
//!
//! Apart from the changes because readers of the log know leaves and no changes.

use super::super::fault::LedgerFault;
use keysvc_protocol::{
    bytes::{Blob, Salt, WrongLength},
    cbor,
    leaf::{ActByQuorumLeaf, LeafKind},
    proposal::Evidence,
    receipt::{LEAF_PAYLOAD_LEN_MAX, LeafEvidence},
    refusal::Refusal,
};

/// What became of a [`super::Change`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has a leaf, written now or, for a retry, before.
    Recorded(Recording),
    /// The transaction decided against it. The refusal itself is recorded or counted, where somebody asked for it.
    Refused(Refusal),
    /// It has no leaf of its own: it was counted, or deleted what a leaf says soon.
    Counted,
}

/// A leaf with all that belongs to it, in clear.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    /// Index in the log, from 0.
    pub index: u64,
    /// The leaf's time, milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// What it records.
    pub kind: LeafKind,
    /// The entry as hashed into the tree: an encoded [`keysvc_protocol::leaf::LeafEntry`].
    pub entry: Vec<u8>,
    /// Salt of the payload digest.
    pub salt: Salt,
    /// The payload: the encoded leaf type of the entry's kind.
    pub payload: Vec<u8>,
    /// Whether the leaf was there before: the request is a repetition.
    pub retried: bool,
}

impl Recording {
    /// The leaf as evidence, with salt and payload.
    ///
    /// # Errors
    /// [`WrongLength`] when it is longer than evidence may be, which no recorded leaf is.
    pub fn evidence(&self) -> Result<LeafEvidence, WrongLength> {
        let (entry, payload) = (Blob::try_from(self.entry.clone())?, Blob::try_from(self.payload.clone())?);
        Ok(LeafEvidence { entry, salt: Some(self.salt), payload: Some(payload) })
    }

    /// The kind and payload of the act itself: where it took a quorum, what lies inside the leaf.
    ///
    /// # Errors
    /// [`LedgerFault::Broken`] when the payload is not of the leaf's kind.
    pub fn act(&self) -> Result<(LeafKind, Vec<u8>), LedgerFault> {
        if !self.took_quorum() {
            return Ok((self.kind, self.payload.clone()));
        }
        let leaf = self.act_by_quorum().ok_or(LedgerFault::Broken { leaf: self.index })?;
        Ok((leaf.kind, leaf.act.as_bytes().to_vec()))
    }

    /// The proposal and its approvals, of an act that took a quorum.
    #[must_use]
    pub fn evidence_of_quorum(&self) -> Option<Evidence> {
        self.took_quorum().then(|| self.act_by_quorum())?.map(|leaf| leaf.evidence)
    }

    const fn took_quorum(&self) -> bool {
        matches!(self.kind, LeafKind::ActByQuorum | LeafKind::SealedActByQuorum)
    }

    fn act_by_quorum(&self) -> Option<ActByQuorumLeaf> {
        cbor::decode(&self.payload, LEAF_PAYLOAD_LEN_MAX).ok()
    }
}

// By hand: payloads name cards and amounts.
impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording")
            .field("index", &self.index)
            .field("time_ms", &self.time_ms)
            .field("kind", &self.kind)
            .field("retried", &self.retried)
            .finish_non_exhaustive()
    }
}
