//! Everything that takes people, as one state that the log's leaves move: principals and officers, keys' states, freezes,
//! proposals, delays, the clock's standing.
//!
//! The keeper asks [`Control::apply`] inside the ledger's transaction, before a leaf is written; the auditor replays the
//! exported log through it. Each signature is verified and each quorum counted here ([`crate::quorum`]), so that the
//! service cannot write what an outsider would refuse. What policies say, purses and card keys are not its affair.

mod acts;
mod asked;
mod change;
mod clock;
mod freezes;
mod imports;
mod keys;
mod policies;
mod profiles;
mod proposals;
mod roster;
mod waiting;

pub use change::Change;
pub use clock::{Clock, DRIFT_MAX_MS, Moment};
pub use freezes::{Freeze, Freezes};
pub use imports::{IMPORT_LIFE_MS, Import};
pub use keys::{KeyStanding, Keys, Order, STORAGE_OF_JOB};
pub use policies::Policies;
pub use profiles::{InUse, Profiles};
pub use proposals::{Draft, Open, Proposals, bytes_of};
pub use roster::{Member, Roster};
pub use waiting::Waiting;

use crate::{
    bytes::Digest,
    cbor,
    cose::{Kind, Signed},
    founding::Founding,
    hash::sha256,
    leaf::{
        ActByQuorumLeaf, ChangedLeaf, FoundingLeaf, HeartbeatLeaf, KeyDestroyedLeaf, KeyIntentLeaf,
        KeyOutcomeLeaf, LeafKind, ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf, Statement,
        TookEffectLeaf,
    },
    name::Name,
    receipt::LEAF_PAYLOAD_LEN_MAX,
    refusal::{Invalid, Refusal},
    request::Operation,
};
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use serde::{Serialize, de::DeserializeOwned};

/// The state. Cloned for readers; changed by leaves alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    genesis: Digest,
    founding: Founding,
    policies: Policies,
    profiles: Arc<Profiles>,
    // Shared with the readers' copies of the state, for it is large and changes seldom.
    roster: Arc<Roster>,
    keys: Keys,
    freezes: Freezes,
    proposals: Proposals,
    waiting: BTreeMap<u64, Waiting>,
    clock: Clock,
    evidence_alone: bool,
}

/// Where a leaf stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Its index in the log.
    pub index: u64,
    /// Its time, milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
}

/// By whose agreement a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authority {
    /// The caller's alone.
    Alone,
    /// A quorum's, which was counted.
    Quorum,
}

impl Control {
    /// The state that the founding makes. `founding` is the file in the leaf, read and checked; its signatures were
    /// verified by whoever calls this.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when a key in it is none.
    pub fn found(founding: Founding, leaf: &FoundingLeaf, genesis: Digest) -> Result<Self, Refusal> {
        Ok(Self {
            genesis,
            policies: Policies::found(leaf.policy),
            profiles: Arc::new(Profiles::found(&founding)),
            roster: Arc::new(Roster::found(&founding)?),
            keys: Keys::found(leaf),
            founding,
            freezes: Freezes::default(),
            proposals: Proposals::default(),
            waiting: BTreeMap::new(),
            clock: Clock::default(),
            evidence_alone: false,
        })
    }

    /// For a reader who has the acts but not the leaves of their proposals and votes: evidence stands for them. What was
    /// made and when is then the evidence's word, held by the officers' signatures; delays cannot be followed.
    #[must_use]
    pub fn from_evidence_alone(mut self) -> Self {
        self.evidence_alone = true;
        self
    }

    /// Whether leaves of this kind can change the state.
    #[must_use]
    pub const fn concerns(kind: LeafKind) -> bool {
        matches!(
            kind,
            LeafKind::KeyIntent
                | LeafKind::KeyOutcome
                | LeafKind::ProposalMade
                | LeafKind::ProposalVoted
                | LeafKind::ProposalClosed
                | LeafKind::SiteChanged
                | LeafKind::FreezeChanged
                | LeafKind::ActByQuorum
                | LeafKind::SealedActByQuorum
                | LeafKind::Heartbeat
                | LeafKind::TookEffect
                | LeafKind::KeyDestroyed
        )
    }

    /// Takes the next leaf that [`Control::concerns`] it; others change nothing. A leaf that is refused changes nothing
    /// either.
    ///
    /// # Errors
    /// The [`Refusal`] for what is wrong: a signature, too few people, another state.
    pub fn apply(&mut self, at: At, kind: LeafKind, payload: &[u8]) -> Result<(), Refusal> {
        match kind {
            LeafKind::KeyIntent => self.keys.intend(at.index, &read::<KeyIntentLeaf>(payload)?),
            LeafKind::KeyOutcome => self.keys.made(&read::<KeyOutcomeLeaf>(payload)?),
            LeafKind::ProposalMade => self.propose(at, &read::<ProposalMadeLeaf>(payload)?),
            LeafKind::ProposalVoted => self.vote(at, &read::<ProposalVotedLeaf>(payload)?),
            LeafKind::ProposalClosed => self.close(at, &read::<ProposalClosedLeaf>(payload)?),
            LeafKind::SiteChanged | LeafKind::FreezeChanged => {
                let leaf = read::<ChangedLeaf>(payload)?;
                let change = self.judged(&leaf, kind, Authority::Alone)?;
                self.carry_out(at, change, &leaf.principal)
            }
            LeafKind::ActByQuorum | LeafKind::SealedActByQuorum => {
                self.act(at, kind, &read::<ActByQuorumLeaf>(payload)?)
            }
            LeafKind::Heartbeat => self.beat(&read::<HeartbeatLeaf>(payload)?),
            LeafKind::TookEffect => self.take_effect(at, &read::<TookEffectLeaf>(payload)?),
            LeafKind::KeyDestroyed => self.keys.destroyed(&read::<KeyDestroyedLeaf>(payload)?),
            LeafKind::Founding
            | LeafKind::Start
            | LeafKind::JobOpened
            | LeafKind::CardKeysDerived
            | LeafKind::ValueUpdated
            | LeafKind::EntriesRead
            | LeafKind::Refused
            | LeafKind::RefusalsCounted
            | LeafKind::RollbackShown
            | LeafKind::BundleMade
            | LeafKind::EvidenceRead
            | LeafKind::JobChanged
            | LeafKind::JobItemsAdded
            | LeafKind::IncidentReported
            | LeafKind::CardsChanged
            | LeafKind::JobPurged
            | LeafKind::JobRecordMade => Ok(()),
        }
    }

    /// Takes a heartbeat's moment without its word on what stood: for who replays a part of the log, in which only the last
    /// heartbeat finds everything that it saw.
    pub fn witness(&mut self, leaf: &HeartbeatLeaf) {
        self.clock = self.clock.after(&leaf.moment);
    }

    fn beat(&mut self, leaf: &HeartbeatLeaf) -> Result<(), Refusal> {
        if leaf.control != self.digest() {
            return Err(Refusal::StateConflict { reason: crate::refusal::Conflict::Precondition });
        }
        self.witness(leaf);
        Ok(())
    }

    /// Digest of all that stands: members, thresholds, keys, freezes, what waits, open proposals and their votes. The clock
    /// is not in it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let parts = [
            cbor::encode(&*self.roster),
            cbor::encode(&self.keys),
            cbor::encode(&self.freezes),
            cbor::encode(&self.waiting.iter().collect::<Vec<_>>()),
            cbor::encode(&self.proposals),
            cbor::encode(&*self.profiles),
            self.policies.digest().as_bytes().to_vec(),
        ];
        let digests: Vec<u8> = parts.iter().flat_map(|part| *sha256(&[part]).as_bytes()).collect();
        sha256(&[&digests])
    }

    /// The genesis digest.
    #[must_use]
    pub const fn genesis(&self) -> &Digest {
        &self.genesis
    }

    /// The founding file.
    #[must_use]
    pub const fn founding(&self) -> &Founding {
        &self.founding
    }

    /// Digest of the policies in force.
    #[must_use]
    pub const fn policy(&self) -> &Digest {
        self.policies.digest()
    }

    /// The policies in force.
    #[must_use]
    pub const fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The card profiles in use.
    #[must_use]
    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// Principals, officers and thresholds.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The keys' states.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What is stopped.
    #[must_use]
    pub const fn freezes(&self) -> &Freezes {
        &self.freezes
    }

    /// The open proposals.
    #[must_use]
    pub const fn proposals(&self) -> &Proposals {
        &self.proposals
    }

    /// What waits for its delay, by its act's leaf.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &Waiting)> {
        self.waiting.iter().map(|(leaf, waiting)| (*leaf, waiting))
    }

    /// The clock's standing.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The payload of a request that an enabled member signed for this operation.
    pub(crate) fn signed<'a>(
        &self,
        by: &Name,
        operation: Operation,
        statement: &'a Statement,
    ) -> Result<(&Member, &'a [u8]), Refusal> {
        let member = self.roster.enabled(by)?;
        let invalid = |reason| Refusal::Invalid { reason };
        let key = member.statement_key().ok_or(Refusal::Forbidden)?;
        let signed = Signed::parse(statement.0.as_bytes()).map_err(|_| invalid(Invalid::NotSigned))?;
        let payload = signed.open(Kind::Request(operation), self.genesis.as_bytes(), &key);
        Ok((member, payload.map_err(|_| invalid(Invalid::Signature))?))
    }
}

fn read<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
    cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).map_err(|_| Refusal::Invalid { reason: Invalid::Encoding })
}
