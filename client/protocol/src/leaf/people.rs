//! The payloads of what takes people: proposals, votes, the acts they agreed to, and the time that passes meanwhile.
//!
//! Apart from what cards and keys leave behind. What these leaves change is in [`crate::control`].

use super::{LeafKind, Statement};
use crate::{
    bytes::{Blob, Digest, ObjectIdentifier, ProposalId},
    control::Moment,
    name::Name,
    proposal::{APPROVAL_LEN_MAX, Evidence, PROPOSAL_LEN_MAX, PROPOSED_LEN_MAX, ProposalEnd},
    quorum::Verdict,
    request::Operation,
    schema::Schema,
};
use serde::{Deserialize, Serialize};

payload!(
    /// A request waits for people.
    ProposalMadeLeaf {
        /// The proposal: exactly the bytes that officers sign ([`crate::proposal::Proposal`]).
        proposal: Blob<PROPOSAL_LEN_MAX>,
    }
);
payload!(
    /// An officer's vote.
    ProposalVotedLeaf {
        /// The proposal.
        proposal: ProposalId,
        /// The verdict.
        verdict: Verdict,
        /// COSE_Sign1 of an [`crate::quorum::Approval`].
        approval: Blob<APPROVAL_LEN_MAX>,
    }
);
payload!(
    /// A proposal ended without its act, or its act before it took effect.
    ProposalClosedLeaf {
        /// The proposal.
        proposal: ProposalId,
        /// How.
        end: ProposalEnd,
    }
);
payload!(
    /// A change to who and what the service knows; what it does follows from the signed request ([`crate::control`]).
    ChangedLeaf {
        /// Who asked.
        principal: Name,
        /// What was asked.
        operation: Operation,
        /// The signed request.
        statement: Statement,
    }
);
payload!(
    /// An act that took a quorum, with the proof that it was met. The act itself is a leaf's payload of its own kind.
    ActByQuorumLeaf {
        /// The proposal and its approvals.
        evidence: Evidence,
        /// When, by the clock and by the boot.
        moment: Moment,
        /// The kind of the act's payload.
        kind: LeafKind,
        /// The act's payload.
        act: Blob<ACT_LEN_MAX>,
    }
);
payload!(
    /// The service runs. Delays must pass in boot time as well, and this is its witness.
    HeartbeatLeaf {
        /// When, by the clock and by the boot.
        moment: Moment,
        /// Digest of everything that takes people, as it stands ([`crate::control::Control::digest`]).
        control: Digest,
    }
);
payload!(
    /// What waited for its delay is in force from here on; for a key's destruction, the intent.
    TookEffectLeaf {
        /// The act's leaf.
        act: u64,
        /// When, by the clock and by the boot.
        moment: Moment,
    }
);
payload!(
    /// A key was destroyed in the token.
    KeyDestroyedLeaf {
        /// The leaf of its intent: of kind [`LeafKind::TookEffect`]; for a job's storage key the one that closed or withdrew
        /// the job.
        intent: u64,
        /// The key's name.
        name: Name,
        /// Its version.
        version: u32,
        /// Its `CKA_ID`, under which nothing is left in the token.
        id: ObjectIdentifier,
    }
);
payload!(
    /// Evidence was read.
    EvidenceReadLeaf {
        /// Who read it.
        reader: Name,
        /// The proposal whose act it is.
        proposal: ProposalId,
    }
);

/// Longest payload of an act that took a quorum, in bytes: the request of 32 KiB and what the service adds.
pub const ACT_LEN_MAX: usize = PROPOSED_LEN_MAX + 4 * 1024;
