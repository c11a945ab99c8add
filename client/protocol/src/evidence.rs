//! The evidence file: who agreed to one act, provable years later from the trust file alone.
//!
//! It holds leaf 0, the leaves that changed officers and policies since, the act's leaf with its proposal and approvals, and
//! the proof that one signed checkpoint's tree holds them all. That none of these changes is left out follows from the
//! digests of roster and policies, which the approving officers signed in the proposal.

use crate::{
    cbor::{self, DecodeError},
    checkpoint::{CheckpointError, Origin, SignedCheckpoint},
    control::{At, Control},
    founding::Founding,
    key::{KeyKind, KeyRecord},
    leaf::{ActByQuorumLeaf, FoundingLeaf, LeafEntry, LeafError, LeafKind},
    list::List,
    merkle::{Inclusion, Proof, ProofError, leaf_hash, verify_inclusion},
    proposal::Proposal,
    public_key::PublicKey,
    quorum::Quorum,
    receipt::{LEAF_PAYLOAD_LEN_MAX, LeafEvidence},
    refusal::Refusal,
    schema::Schema,
    trust::Trust,
};
use serde::{Deserialize, Serialize};

/// Most leaves in an evidence file: leaf 0, the act, and 510 changes of officers, thresholds and policies.
pub const EVIDENCE_LEAVES_MAX: usize = 512;

/// The evidence of one act, self-contained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// Field 0.
    pub schema: Schema,
    /// A signed checkpoint whose tree holds every leaf below.
    pub checkpoint: SignedCheckpoint,
    /// Leaf 0, the leaves that changed officers, thresholds and policies, and the act's leaf, ascending.
    pub leaves: List<ProvenLeaf, EVIDENCE_LEAVES_MAX>,
}

/// A leaf with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenLeaf {
    /// The leaf, with salt and payload.
    pub leaf: LeafEvidence,
    /// Its inclusion in the checkpoint's tree.
    pub inclusion: Proof,
}

/// What an evidence file proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// Where the act's leaf stands.
    pub at: At,
    /// The act.
    pub act: ActByQuorumLeaf,
    /// Its proposal.
    pub proposal: Proposal,
    /// Who agreed.
    pub quorum: Quorum,
}

/// Why an evidence file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not an evidence file.
    #[error("not an evidence file: {0}")]
    Encoding(#[from] DecodeError),
    /// Its first leaf is not the one that the trust file names.
    #[error("the evidence is of another log than the trust file")]
    OtherLog,
    /// Leaf 0 names no usable checkpoint key, or its founding file does not read.
    #[error("the founding in the evidence does not read")]
    Founding,
    /// A leaf does not check out, or comes without its payload.
    #[error("a leaf in the evidence: {0}")]
    Leaf(#[from] LeafError),
    /// A leaf's payload is withheld, or a leaf is out of order.
    #[error("a leaf in the evidence is withheld, of a wrong kind or out of order")]
    Incomplete,
    /// The checkpoint does not verify.
    #[error("{0}")]
    Checkpoint(#[from] CheckpointError),
    /// A leaf is not in the checkpoint's tree.
    #[error("a leaf in the evidence is not in the log: {0}")]
    NotIncluded(#[from] ProofError),
    /// The people do not suffice, or something about the proposal is wrong.
    #[error("{0}")]
    Refused(#[from] Refusal),
}

impl EvidenceFile {
    /// Longest file, in bytes: it travels inside a reply.
    pub const LEN_MAX: usize = crate::reply::RESULT_LEN_MAX;

    /// Reads a file's bytes; verifies nothing.
    ///
    /// # Errors
    /// [`EvidenceError::Encoding`] when they are not one.
    pub fn read(bytes: &[u8]) -> Result<Self, EvidenceError> {
        Ok(cbor::decode(bytes, Self::LEN_MAX)?)
    }

    /// Verifies the file from the trust file alone. `founding` reads and checks the founding file's TOML and its officers'
    /// signatures: this crate parses no text.
    ///
    /// # Errors
    /// [`EvidenceError`] naming the first check that failed.
    pub fn verify(
        &self,
        trust: &Trust,
        founding: impl Fn(&FoundingLeaf) -> Option<Founding>,
    ) -> Result<Proved, EvidenceError> {
        let [first, between @ .., act] = &*self.leaves else { return Err(EvidenceError::Incomplete) };
        if leaf_hash(first.leaf.entry.as_bytes()) != trust.genesis {
            return Err(EvidenceError::OtherLog);
        }
        let (_, payload) = opened(&first.leaf)?;
        let leaf: FoundingLeaf = cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX)?;
        let file = founding(&leaf).ok_or(EvidenceError::Founding)?;
        self.checkpoint.verify(&Origin::of(&trust.domain, 1), &checkpoint_key(&leaf.keys)?)?;
        let mut control = Control::found(file, &leaf, trust.genesis)?.from_evidence_alone();
        self.is_included(first, 0)?;
        let mut last = 0;
        for proven in between {
            let (entry, payload) = self.included(proven, last)?;
            last = entry.index;
            control.apply(At { index: entry.index, time_ms: entry.time_ms }, entry.kind, payload)?;
        }
        let (entry, payload) = self.included(act, last)?;
        if !matches!(entry.kind, LeafKind::ActByQuorum | LeafKind::SealedActByQuorum) {
            return Err(EvidenceError::Incomplete);
        }
        let act: ActByQuorumLeaf = cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX)?;
        let at = At { index: entry.index, time_ms: entry.time_ms };
        // What the act met of keys and freezes cannot be followed here; who agreed to it, and to what, can.
        let (proposal, quorum) = control.agreed(at, entry.kind, &act)?;
        Ok(Proved { at, act, proposal, quorum })
    }

    fn included<'a>(
        &self,
        proven: &'a ProvenLeaf,
        last: u64,
    ) -> Result<(LeafEntry, &'a [u8]), EvidenceError> {
        let (entry, payload) = opened(&proven.leaf)?;
        if entry.index <= last {
            return Err(EvidenceError::Incomplete);
        }
        self.is_included(proven, entry.index)?;
        Ok((entry, payload))
    }

    fn is_included(&self, proven: &ProvenLeaf, index: u64) -> Result<(), EvidenceError> {
        let head = self.checkpoint.checkpoint().head;
        let hash = leaf_hash(proven.leaf.entry.as_bytes());
        let leaf = Inclusion { index, size: head.size, leaf_hash: hash };
        Ok(verify_inclusion(&leaf, &proven.inclusion, &head.root)?)
    }
}

fn opened(leaf: &LeafEvidence) -> Result<(LeafEntry, &[u8]), EvidenceError> {
    let entry = leaf.check()?;
    let (Some(_), Some(payload)) = (&leaf.salt, &leaf.payload) else {
        return Err(EvidenceError::Incomplete);
    };
    Ok((entry, payload.as_bytes()))
}

fn checkpoint_key(keys: &[KeyRecord]) -> Result<PublicKey, EvidenceError> {
    let key = keys.iter().find(|key| key.kind == KeyKind::Checkpoint);
    let public = key.and_then(|key| key.public.as_ref());
    public.and_then(|key| PublicKey::from_spki(key.as_bytes()).ok()).ok_or(EvidenceError::Founding)
}
