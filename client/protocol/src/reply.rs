//! Replies, one type for each operation.

use crate::{
    bundle::BUNDLE_MESSAGE_LEN_MAX,
    bytes::{Blob, Digest, ProposalId},
    cbor::REPLY_LEN_MAX,
    checkpoint::SignedCheckpoint,
    founding::OFFICERS_MAX,
    freeze::Scope,
    key::KeyRecord,
    list::List,
    merkle::Proof,
    name::{Name, Reason},
    proposal::{APPROVAL_LEN_MAX, APPROVALS_MAX, PROPOSAL_LEN_MAX, ProposalState},
    quorum::Need,
    receipt::{LeafEvidence, Receipt},
    refusal::Refusal,
    request::{BATCH_MAX, ENTRIES_MAX, Enrolment, Operation},
    schema::Schema,
    trust::TrustDomain,
    value::VALUE_UPDATE_LEN_MAX,
};
use alloc::string::String;
use serde::{Deserialize, Serialize};

macro_rules! reply {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Field 0.
            pub schema: Schema,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

/// Whether the service serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceState {
    /// It serves.
    Serving,
    /// It has stopped because its history was rolled back.
    RolledBack,
}

reply!(
    /// Reply to `status`.
    StatusReply {
        /// The program's version.
        version: String,
        /// Whether it serves.
        state: ServiceState,
        /// Whether it was founded for development: known keys, not for real cards.
        development: bool,
        /// The trust domain.
        trust_domain: TrustDomain,
        /// The genesis digest.
        genesis: Digest,
        /// When the keeper started, milliseconds since 1970-01-01 UTC.
        started_at_ms: u64,
        /// Digest of the policies in force.
        policy: Digest,
        /// The newest signed checkpoint.
        checkpoint: SignedCheckpoint,
        /// Consistency from the `seen` of the request, or from leaf 0.
        consistency: Proof,
    }
);
reply!(
    /// Reply to `key.list`.
    KeyListReply {
        /// The keys, by name and version.
        keys: List<KeyRecord, 1024>,
    }
);
reply!(
    /// Reply to `key.get`.
    KeyReply {
        /// The key.
        key: KeyRecord,
    }
);
reply!(
    /// Reply to `value.update`.
    ValueUpdateReply {
        /// COSE_Sign1 of a [`crate::value::ValueUpdate`].
        record: Blob<VALUE_UPDATE_LEN_MAX>,
        /// The receipt, with leaf and inclusion proof.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `log.checkpoint`.
    CheckpointReply {
        /// The newest signed checkpoint.
        checkpoint: SignedCheckpoint,
        /// Consistency from the `seen` of the request, or from leaf 0.
        consistency: Proof,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Leaf 0, where it was asked for.
        genesis: Option<LeafEvidence>,
    }
);
reply!(
    /// Reply to `log.entries`.
    EntriesReply {
        /// The leaves from the first asked for; fewer than asked for when the reply is full.
        entries: List<LeafEvidence, ENTRIES_MAX>,
        /// The receipt of the read itself.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `log.proof`.
    ProofReply {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Inclusion of the leaf asked for.
        inclusion: Option<Proof>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Consistency from the earlier size asked for.
        consistency: Option<Proof>,
    }
);
reply!(
    /// Reply to `bundle.get`.
    BundleReply {
        /// The receipt of the bundle in force: its leaf, recorded when it was made, and the proof that the log holds it.
        receipt: Receipt,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// COSE_Sign1 of a [`crate::bundle::TrustBundle`]; left out where the caller holds it.
        bundle: Option<Blob<BUNDLE_MESSAGE_LEN_MAX>>,
    }
);
reply!(
    /// Reply to `value.batch`.
    ValueBatchReply {
        /// A signed checkpoint of a tree that contains every leaf below.
        checkpoint: SignedCheckpoint,
        /// Consistency from the `seen` of the request, or from leaf 0.
        consistency: Proof,
        /// What became of each item, in the order of the request.
        outcomes: List<UpdateOutcome, BATCH_MAX>,
    }
);

reply!(
    /// Reply 202 to a request that takes people first.
    PendingReply {
        /// The proposal: exactly the bytes that officers sign ([`crate::proposal::Proposal`]).
        proposal: Blob<PROPOSAL_LEN_MAX>,
        /// Where it stands; it has ended where the request is repeated after its end.
        state: ProposalState,
        /// The receipt of the proposal's leaf.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `proposal.list`.
    ProposalListReply {
        /// The proposals, newest first.
        proposals: List<ListedProposal, PROPOSALS_MAX>,
    }
);
reply!(
    /// Reply to `proposal.get`.
    ProposalReply {
        /// The proposal: exactly the bytes that officers sign.
        proposal: Blob<PROPOSAL_LEN_MAX>,
        /// Where it stands.
        state: ProposalState,
        /// Its leaf.
        leaf: u64,
        /// The approvals so far (COSE_Sign1), in the order they came.
        approvals: List<Blob<APPROVAL_LEN_MAX>, APPROVALS_MAX>,
        /// The officers on the roster, so that the caller can count.
        officers: List<OfficerView, OFFICERS_MAX>,
    }
);
reply!(
    /// Reply to `proposal.approve`, `proposal.reject` and `proposal.cancel`.
    VoteReply {
        /// Where the proposal stands after it.
        state: ProposalState,
        /// People whose approval counts.
        persons: u8,
        /// The receipt of the vote's leaf.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `proposal.result`.
    ResultReply {
        /// Where the proposal stands.
        state: ProposalState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// The operation's own reply, once it was executed.
        reply: Option<Blob<RESULT_LEN_MAX>>,
    }
);
reply!(
    /// Reply to a change of principals, keys' states, freezes, thresholds or the clock's standing.
    ChangedReply {
        /// The receipt, with leaf and inclusion proof.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `key.create`.
    KeyCreatedReply {
        /// The key as made and read back.
        key: KeyRecord,
        /// The receipt of the order to make it, with leaf and inclusion proof.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `principal.list`.
    PrincipalListReply {
        /// The principals, by name.
        principals: List<PrincipalView, 256>,
        /// Digest of the officers and thresholds in force.
        roster: Digest,
        /// The thresholds in force above the floors, by operation.
        thresholds: List<Threshold, 64>,
    }
);
reply!(
    /// Reply to `freeze.list`.
    FreezeListReply {
        /// What is stopped, oldest first.
        freezes: List<FreezeView, 256>,
    }
);
reply!(
    /// Reply to `key.impact`.
    KeyImpactReply {
        /// The key.
        key: KeyRecord,
        /// Cards for which keys were derived under this version.
        cards: u64,
        /// Card profiles with a slot under it.
        profiles: List<Name, 256>,
        /// Programmes that sign with it.
        programmes: List<Name, 512>,
        /// Terminals of those programmes' organisations.
        terminals: u64,
    }
);
reply!(
    /// Reply to `evidence.get`.
    EvidenceReply {
        /// The encoded [`crate::evidence::EvidenceFile`].
        evidence: Blob<RESULT_LEN_MAX>,
        /// The receipt of the read itself.
        receipt: Receipt,
    }
);

mod governed;
mod job;

pub use job::{
    CardDeriveReply, CardReply, CardsMovedReply, JOB_RECORD_MESSAGE_LEN_MAX, JOBS_MAX, JobChangedReply,
    JobCountReply, JobListReply, JobNumbers, JobOpenReply, JobRecordReply, JobReply, JobView,
};

pub use governed::{
    ComponentGivenReply, ComponentKeyReply, PolicyReply, PolicyText, ProfileListReply, ProfilePutReply,
    ProfileReply, ProfileView,
};

/// Most proposals in one reply of `proposal.list`.
pub const PROPOSALS_MAX: usize = 64;
/// Longest reply inside a reply, in bytes: a frame's 1 MiB without 16 KiB for what is around it.
pub const RESULT_LEN_MAX: usize = REPLY_LEN_MAX - 16 * 1024;

/// One line of `proposal.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedProposal {
    /// Its identifier.
    pub id: ProposalId,
    /// What is asked.
    pub operation: Operation,
    /// Who asks.
    pub requester: Name,
    /// What would be enough.
    pub need: Need,
    /// People whose approval counts so far.
    pub persons: u8,
    /// Where it stands.
    pub state: ProposalState,
    /// When it was made: milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// Until when it may be approved and executed, same clock.
    pub expires_ms: u64,
    /// Its leaf.
    pub leaf: u64,
}

/// An officer as voters see one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfficerView {
    /// The name.
    pub name: Name,
    /// The department.
    pub department: Name,
    /// The approval key, DER `SubjectPublicKeyInfo`.
    pub approval_key: Blob<128>,
    /// Whether the officer may act.
    pub enabled: bool,
}

/// A principal as enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrincipalView {
    /// Its enrolment as it stands.
    pub enrolment: Enrolment,
    /// Whether it may act.
    pub enabled: bool,
    /// The leaf that changed it last.
    pub leaf: u64,
}

/// A threshold above its floor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The operation.
    pub operation: Operation,
    /// The need.
    pub need: Need,
}

/// A freeze in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeView {
    /// What is stopped.
    pub scope: Scope,
    /// Who stopped it.
    pub by: Name,
    /// Why.
    pub reason: Reason,
    /// When: milliseconds since 1970-01-01 UTC.
    pub since_ms: u64,
    /// Its leaf.
    pub leaf: u64,
}

/// What became of one item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum UpdateOutcome {
    /// It is recorded and signed.
    Signed {
        /// COSE_Sign1 of a [`crate::value::ValueUpdate`].
        record: Blob<VALUE_UPDATE_LEN_MAX>,
        /// Its leaf.
        leaf: LeafEvidence,
        /// Inclusion of the leaf in the batch's checkpoint.
        inclusion: Proof,
    },
    /// It is refused; the others are not touched by that.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}
