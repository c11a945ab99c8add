//! Open proposals: made, voted on, closed.

use super::{At, Change, Control, Member, change};
use crate::{
    bytes::Blob,
    cbor,
    leaf::{ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf},
    list::List,
    name::Name,
    proposal::{
        APPROVAL_LEN_MAX, Evidence, LIFE_MAX_MS, OPEN_EACH_MAX, OPEN_MAX, OPEN_OFFICERS_MIN,
        PROPOSED_LEN_MAX, Proposal, ProposalEnd, ProposalId, Proposed,
    },
    quorum::{self, Need, Quorum, Verdict},
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::Operation,
    schema::Schema,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use serde::Serialize;

/// A proposal that waits for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its exact bytes.
    pub bytes: Blob<{ crate::proposal::PROPOSAL_LEN_MAX }>,
    /// The same, read.
    pub proposal: Proposal,
    /// Its leaf.
    pub leaf: u64,
    /// Who approved, and the approvals, in the order they came.
    pub approvals: Vec<(Name, Blob<APPROVAL_LEN_MAX>)>,
}

impl Open {
    /// The evidence it would be executed with.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let approvals: Vec<_> = self.approvals.iter().map(|(_, approval)| approval.clone()).collect();
        // One for each officer, and there are no more officers than approvals fit.
        Evidence {
            schema: Schema,
            proposal: self.bytes.clone(),
            approvals: List::try_from(approvals).unwrap_or_default(),
        }
    }
}

/// The open proposals, and the identifiers that were used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposals {
    // Shared with the readers' copies of the state: a vote copies one of them, and not all.
    open: BTreeMap<ProposalId, Arc<Open>>,
    used: BTreeSet<ProposalId>,
}

impl Serialize for Proposals {
    /// The open ones: identifier, leaf, digest of the bytes, approvals. What was used is known only to who read the log
    /// whole.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.open.values().map(|open| {
            (open.proposal.id, open.leaf, Proposal::digest_of(open.bytes.as_bytes()), &open.approvals)
        }))
    }
}

impl Proposals {
    /// The open ones, by identifier.
    pub fn open(&self) -> impl Iterator<Item = &Open> {
        self.open.values().map(Arc::as_ref)
    }

    /// The open one of this identifier.
    #[must_use]
    pub fn get(&self, id: &ProposalId) -> Option<&Open> {
        self.open.get(id).map(Arc::as_ref)
    }

    /// Whether this identifier was ever used in a log that was replayed whole.
    #[must_use]
    pub fn was_used(&self, id: &ProposalId) -> bool {
        self.used.contains(id)
    }

    pub(super) fn end(&mut self, id: &ProposalId) {
        self.open.remove(id);
        self.used.insert(*id);
    }
}

/// What a proposal is made of, beside what stands.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its identifier.
    pub id: ProposalId,
    /// The request.
    pub request: Proposed,
    /// What the policies ask.
    pub need: Option<Need>,
    /// How long it lives, in milliseconds; at most [`LIFE_MAX_MS`].
    pub life_ms: u64,
}

impl Control {
    /// The proposal of a draft, as it would be made at this time of the log.
    ///
    /// # Errors
    /// [`Refusal`] when nothing could come of it.
    pub fn draft(&self, draft: Draft, time_ms: u64) -> Result<Proposal, Refusal> {
        let change = self.requested(&draft.request)?;
        let policy = draft.need.unwrap_or_else(|| Need::of(2));
        let least = self.least_need(draft.request.operation, change.as_ref());
        let need = least.map_or_else(|| policy.clone(), |least| policy.and(&least));
        let preconditions = change.map_or_else(|| Ok(Vec::new()), |change| change.preconditions(self))?;
        Ok(Proposal {
            schema: Schema,
            genesis: self.genesis,
            id: draft.id,
            request: draft.request,
            policy: *self.policies.digest(),
            roster: self.roster.digest(),
            need,
            preconditions: List::try_from(preconditions)
                .map_err(|_| Refusal::Invalid { reason: Invalid::Items })?,
            created_ms: time_ms,
            expires_ms: time_ms.saturating_add(draft.life_ms.min(LIFE_MAX_MS)),
        })
    }

    /// Verifies the request that a proposal holds, and reads what it would change of this state, which must let it.
    fn requested(&self, request: &Proposed) -> Result<Option<Change>, Refusal> {
        let (member, change) = self.requested_by(request)?;
        if let Some(change) = &change {
            self.may(change, member)?;
        }
        Ok(change)
    }

    /// Verifies the request that a proposal holds: who signed it, and what it would change.
    pub(super) fn requested_by(&self, request: &Proposed) -> Result<(&Member, Option<Change>), Refusal> {
        if request.statement.0.as_bytes().len() > PROPOSED_LEN_MAX {
            return Err(Refusal::Invalid { reason: Invalid::TooLong });
        }
        if !request.operation.is_signed() || request.operation == Operation::ProposalCancel {
            return Err(Refusal::Invalid { reason: Invalid::NotSigned });
        }
        let (member, payload) = self.signed(&request.requester, request.operation, &request.statement)?;
        Ok((member, Change::of(request.operation, payload)?))
    }

    /// The fewest people for an operation, whatever policies say. One officer alone disables one other, and no more until
    /// people have looked at it: else one could lock all but one other out, and refuse to let them in again.
    #[must_use]
    pub fn least_need(&self, operation: Operation, change: Option<&Change>) -> Option<Need> {
        let of_officer = change.is_some_and(|change| change.is_of_officer(self));
        if operation == Operation::PrincipalDisable && of_officer && self.roster.has_disabled_officer() {
            return Some(Need::of(2));
        }
        self.roster.need(operation, of_officer)
    }

    pub(super) fn propose(&mut self, at: At, leaf: &ProposalMadeLeaf) -> Result<(), Refusal> {
        let open = self.judged_proposal(at, leaf)?;
        self.has_room(&open.proposal.request.requester)?;
        self.proposals.open.insert(open.proposal.id, Arc::new(open));
        Ok(())
    }

    /// Whether this requester may have one more open. Machines together leave room for the officers.
    fn has_room(&self, requester: &Name) -> Result<(), Refusal> {
        let by_officer = |name: &Name| self.roster.member(name).is_some_and(Member::is_officer);
        let open = self.proposals.open.values().map(|open| &open.proposal.request.requester);
        let own = open.clone().filter(|name| *name == requester).count();
        let room = if by_officer(requester) {
            self.proposals.open.len() < OPEN_MAX && own < OPEN_EACH_MAX
        } else {
            let machines = open.filter(|name| !by_officer(name)).count();
            machines < OPEN_MAX.saturating_sub(OPEN_OFFICERS_MIN) && own < OPEN_EACH_MAX
        };
        if room { Ok(()) } else { Err(Refusal::StateConflict { reason: Conflict::Full }) }
    }

    /// Checks everything a proposal says against what stands.
    pub(super) fn judged_proposal(&self, at: At, leaf: &ProposalMadeLeaf) -> Result<Open, Refusal> {
        let encoding = |_| Refusal::Invalid { reason: Invalid::Encoding };
        let proposal = Proposal::decode(leaf.proposal.as_bytes()).map_err(encoding)?;
        let uncounted = |reason| Err(Refusal::ApprovalInvalid { reason });
        if proposal.genesis != self.genesis {
            return uncounted(Uncounted::OtherLog);
        }
        self.stands(&proposal)?;
        // Where evidence stands alone, some proposals may have been at hand before the leaves ended.
        let open = self.proposals.open.contains_key(&proposal.id) && !self.evidence_alone;
        if open || self.proposals.used.contains(&proposal.id) {
            return Err(Refusal::StateConflict { reason: Conflict::ProposalEnded });
        }
        let life = proposal.created_ms..=proposal.created_ms.saturating_add(LIFE_MAX_MS);
        if proposal.created_ms != at.time_ms || !life.contains(&proposal.expires_ms) {
            return Err(Refusal::Invalid { reason: Invalid::Time });
        }
        let change = self.requested(&proposal.request)?;
        let least = self.least_need(proposal.request.operation, change.as_ref());
        if !proposal.need.is_sound() || least.is_some_and(|least| !proposal.need.covers(&least)) {
            return uncounted(Uncounted::BelowFloor);
        }
        let preconditions = change.map_or_else(|| Ok(Vec::new()), |change| change.preconditions(self))?;
        if *proposal.preconditions != *preconditions {
            return Err(Refusal::StateConflict { reason: Conflict::Precondition });
        }
        Ok(Open { bytes: leaf.proposal.clone(), proposal, leaf: at.index, approvals: Vec::new() })
    }

    /// Whether policies and officers are those a proposal was made under.
    pub(super) fn stands(&self, proposal: &Proposal) -> Result<(), Refusal> {
        if proposal.policy != *self.policies.digest() {
            return Err(Refusal::ApprovalInvalid { reason: Uncounted::OtherPolicy });
        }
        if proposal.roster != self.roster.digest() {
            return Err(Refusal::ApprovalInvalid { reason: Uncounted::OtherRoster });
        }
        Ok(())
    }

    /// The open proposal of this identifier.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], or [`Refusal::StateConflict`] when it has ended.
    pub fn open_proposal(&self, id: &ProposalId) -> Result<&Open, Refusal> {
        self.proposals.get(id).ok_or(if self.proposals.used.contains(id) {
            Refusal::StateConflict { reason: Conflict::ProposalEnded }
        } else {
            Refusal::NotFound { what: Thing::Proposal }
        })
    }

    /// Who a vote is by, once everything about it is verified; and whether it says again what that officer has said.
    ///
    /// # Errors
    /// The [`Refusal`] for the first thing wrong.
    pub fn judged_vote(
        &self,
        time_ms: u64,
        id: &ProposalId,
        verdict: Verdict,
        approval: &[u8],
    ) -> Result<(Name, bool), Refusal> {
        let open = self.open_proposal(id)?;
        let uncounted = |reason| Refusal::ApprovalInvalid { reason };
        let voter = quorum::vote(open.bytes.as_bytes(), approval, verdict, &self.genesis, &*self.roster);
        let voter = voter.map_err(uncounted)?;
        if time_ms > open.proposal.expires_ms {
            return Err(Refusal::Expired);
        }
        self.stands(&open.proposal)?;
        let again = open.approvals.iter().any(|(name, _)| *name == voter.name);
        Ok((voter.name.clone(), again && verdict == Verdict::Approve))
    }

    pub(super) fn vote(&mut self, at: At, leaf: &ProposalVotedLeaf) -> Result<(), Refusal> {
        let (voter, again) =
            self.judged_vote(at.time_ms, &leaf.proposal, leaf.verdict, leaf.approval.as_bytes())?;
        if again {
            return Err(Refusal::SamePerson);
        }
        match leaf.verdict {
            Verdict::Approve => {
                if let Some(open) = self.proposals.open.get_mut(&leaf.proposal) {
                    Arc::make_mut(open).approvals.push((voter, leaf.approval.clone()));
                }
            }
            Verdict::Reject => self.proposals.end(&leaf.proposal),
        }
        Ok(())
    }

    /// The quorum of an open proposal so far, and whether it is met.
    ///
    /// # Errors
    /// The [`Refusal`] when it is not open, or one of its approvals no longer counts.
    pub fn counted(&self, id: &ProposalId) -> Result<(Quorum, bool), Refusal> {
        let open = self.open_proposal(id)?;
        let approvals = open.approvals.iter().map(|(_, approval)| approval.as_bytes());
        let quorum = quorum::count(open.bytes.as_bytes(), approvals, &self.genesis, &*self.roster);
        let quorum = quorum.map_err(|reason| Refusal::ApprovalInvalid { reason })?;
        let met =
            quorum.meets(&open.proposal.need) && self.is_seen_by_others(&open.proposal.request, &quorum)?;
        Ok((quorum, met))
    }

    /// Whether somebody agreed to an import who holds none of its components: until then it waits for one more.
    fn is_seen_by_others(&self, request: &Proposed, quorum: &Quorum) -> Result<bool, Refusal> {
        if request.operation != Operation::KeyImport {
            return Ok(true);
        }
        match self.requested_by(request)?.1 {
            Some(Change::Import { request }) => {
                Ok(super::imports::not_custodians_alone(&request, quorum).is_ok())
            }
            _ => Ok(true),
        }
    }

    pub(super) fn close(&mut self, at: At, leaf: &ProposalClosedLeaf) -> Result<(), Refusal> {
        let id = &leaf.proposal;
        let waiting = self.waiting_for(id).map(|(act, waiting)| (act, waiting.requester.clone()));
        let requester = match (&waiting, self.open_proposal(id)) {
            (Some((_, requester)), _) => requester.clone(),
            (None, open) => open?.proposal.request.requester.clone(),
        };
        match &leaf.end {
            ProposalEnd::Cancelled { by, statement } => {
                let (member, payload) = self.signed(by, Operation::ProposalCancel, statement)?;
                if *by != requester && !member.is_officer() {
                    return Err(Refusal::Forbidden);
                }
                if change::cancelled(payload)? != *id {
                    return Err(Refusal::Invalid { reason: Invalid::Items });
                }
            }
            ProposalEnd::Expired => {
                let expires_ms = self.open_proposal(id)?.proposal.expires_ms;
                if at.time_ms <= expires_ms {
                    return Err(Refusal::Invalid { reason: Invalid::Time });
                }
            }
            ProposalEnd::Failed { .. } => {}
        }
        if let Some((act, _)) = waiting {
            self.waiting.remove(&act);
        }
        self.proposals.end(id);
        Ok(())
    }
}

/// The bytes of a proposal.
///
/// # Errors
/// [`Refusal::Invalid`] when it is longer than a proposal may be.
pub fn bytes_of(proposal: &Proposal) -> Result<Blob<{ crate::proposal::PROPOSAL_LEN_MAX }>, Refusal> {
    Blob::try_from(cbor::encode(proposal)).map_err(|_| Refusal::Invalid { reason: Invalid::TooLong })
}
