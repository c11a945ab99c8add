//! Proposals: a signed request that takes people, with everything it was made on, and the evidence it becomes.
//!
//! Officers sign the proposal's exact bytes ([`crate::quorum::Approval`]). A proposal serves once, expires, and dies with
//! the policies or the officers it was made under. When it may be executed is [`crate::control`]'s.

use crate::{
    bytes::{Blob, Digest},
    cbor::{self, DecodeError},
    freeze::Scope,
    hash::sha256,
    key::KeyState,
    leaf::Statement,
    list::List,
    name::Name,
    quorum::Need,
    refusal::Refusal,
    request::Operation,
    schema::Schema,
};
use serde::{Deserialize, Serialize};

pub use crate::bytes::ProposalId;

/// Longest request that may become a proposal, in bytes: a policy set takes 24 KiB and what was found out about it 7 KiB;
/// the keys of 1,000 cards take 12 KiB.
pub const PROPOSED_LEN_MAX: usize = 32 * 1024;
/// Longest encoded proposal, in bytes: the request, three digests, nine names, preconditions.
pub const PROPOSAL_LEN_MAX: usize = PROPOSED_LEN_MAX + 4 * 1024;
/// Longest signed approval, in bytes.
pub const APPROVAL_LEN_MAX: usize = 320;
/// Most approvals of one proposal: a site has at most 32 officers.
pub const APPROVALS_MAX: usize = 32;
/// Most proposals open at a time.
pub const OPEN_MAX: usize = 1_024;
/// Most of them by one requester.
pub const OPEN_EACH_MAX: usize = 32;
/// Room among them that machines leave to officers: four officers' own.
pub const OPEN_OFFICERS_MIN: usize = 128;
/// Longest life of a proposal: 72 hours, so that one made on a Friday can be approved on a Monday.
pub const LIFE_MAX_MS: u64 = 72 * 60 * 60 * 1000;

/// What officers sign: the act itself, and what it was judged on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Field 0.
    pub schema: Schema,
    /// The genesis digest of the log it is for.
    pub genesis: Digest,
    /// Its identifier, used once.
    pub id: ProposalId,
    /// The requester's signed request.
    pub request: Proposed,
    /// Digest of the policies in force.
    pub policy: Digest,
    /// Digest of the officers and thresholds in force ([`crate::control::Roster::digest`]).
    pub roster: Digest,
    /// What would be enough.
    pub need: Need,
    /// What must still be so when it is executed.
    pub preconditions: List<Precondition, 4>,
    /// When it was made: milliseconds since 1970-01-01 UTC.
    pub created_ms: u64,
    /// Until when it may be approved and executed, same clock.
    pub expires_ms: u64,
}

/// A signed request that takes people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposed {
    /// What is asked.
    pub operation: Operation,
    /// Who asks.
    pub requester: Name,
    /// The request as signed by the requester's statement key.
    pub statement: Statement,
}

/// Something a proposal was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Precondition {
    /// A version of a key is in this state.
    Key {
        /// The key's name.
        name: Name,
        /// Its version.
        version: u32,
        /// The state.
        state: KeyState,
    },
    /// A principal is enrolled as it was at this leaf.
    Principal {
        /// Its name.
        name: Name,
        /// The leaf that changed it last.
        leaf: u64,
    },
    /// A scope is frozen since this leaf.
    Freeze {
        /// The scope.
        scope: Scope,
        /// The leaf of its freeze.
        leaf: u64,
    },
}

impl Proposal {
    /// Reads a proposal's exact bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when they are not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        cbor::decode(bytes, PROPOSAL_LEN_MAX)
    }

    /// The digest of its bytes: what an approval names and officers read to each other.
    #[must_use]
    pub fn digest_of(bytes: &[u8]) -> Digest {
        sha256(&[bytes])
    }
}

/// A proposal and the approvals that met its need: all that proves who agreed to an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Field 0.
    pub schema: Schema,
    /// The proposal's exact bytes.
    pub proposal: Blob<PROPOSAL_LEN_MAX>,
    /// The approvals (COSE_Sign1 of [`crate::quorum::Approval`]), in the order they came.
    pub approvals: List<Blob<APPROVAL_LEN_MAX>, APPROVALS_MAX>,
}

impl Evidence {
    /// SHA-256 of its encoding: what a value update carries of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(&[&cbor::encode(self)])
    }

    /// The approvals' bytes.
    pub fn approvals(&self) -> impl Iterator<Item = &[u8]> {
        self.approvals.iter().map(Blob::as_bytes)
    }
}

/// How a proposal ended without an act, or its act before it took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ProposalEnd {
    /// Withdrawn.
    Cancelled {
        /// By whom: the requester or an officer.
        by: Name,
        /// Their signed `proposal.cancel`.
        statement: Statement,
    },
    /// Nobody executed it in time.
    Expired,
    /// The quorum was met and the act refused.
    Failed {
        /// Why.
        refusal: Refusal,
    },
}

/// Where a proposal stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ProposalState {
    /// It waits for people.
    Open,
    /// It was executed.
    Executed {
        /// The act's leaf.
        leaf: u64,
    },
    /// It was executed and waits for its delay.
    Waiting {
        /// The act's leaf.
        leaf: u64,
        /// Not before this wall time, milliseconds since 1970-01-01 UTC.
        due_ms: u64,
    },
    /// An officer rejected it.
    Rejected {
        /// Who.
        by: Name,
    },
    /// It was withdrawn.
    Cancelled {
        /// By whom.
        by: Name,
    },
    /// Nobody executed it in time.
    Expired,
    /// The quorum was met and the act refused.
    Failed {
        /// Why.
        refusal: Refusal,
    },
}
