//! Proposals made, voted on and closed, and what the service itself says about delays and the clock.
//!
//! Nothing is judged here: the state of what takes people does that ([`keysvc_protocol::control`]).

use super::{Asked, Decided, Write, once::read};
use crate::keeper::ledger::{
    change::{Outcome, Recording},
    fault::LedgerFault,
};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    control::{Draft, Member, bytes_of},
    leaf::{
        HeartbeatLeaf, LeafKind, ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf, RefusedLeaf,
        TookEffectLeaf,
    },
    name::Name,
    proposal::{APPROVAL_LEN_MAX, Proposal, ProposalEnd, ProposalId, ProposalState, Proposed},
    quorum::{Need, Verdict},
    refusal::{Conflict, Refusal, Uncounted},
    request::Operation,
    schema::Schema,
};

/// A vote as sent: the proposal, the verdict, the signed approval.
type Sent<'a> = (&'a ProposalId, Verdict, &'a Blob<APPROVAL_LEN_MAX>);

impl Write<'_> {
    /// Makes a proposal of a request, or finds what the request became.
    pub(super) fn propose(
        &mut self,
        asked: &Asked<'_>,
        (request, need, id, life_ms): (&Proposed, Option<&Need>, &ProposalId, u64),
    ) -> Result<Outcome, LedgerFault> {
        self.once(asked, |write| {
            if write.rows.proposal(id)?.is_some() {
                return Ok(Err(Refusal::StateConflict { reason: Conflict::ProposalEnded }));
            }
            let draft = Draft { id: *id, request: request.clone(), need: need.cloned(), life_ms };
            let drafted = write.control()?.draft(draft, write.time_ms);
            let proposal = match drafted.and_then(|proposal| bytes_of(&proposal)) {
                Ok(proposal) => proposal,
                Err(refusal) => return Ok(Err(refusal)),
            };
            write.judged(LeafKind::ProposalMade, &ProposalMadeLeaf { schema: Schema, proposal })
        })
    }

    /// Takes an officer's vote, or finds it when it was taken before.
    pub(super) fn vote(
        &mut self,
        caller: &Name,
        sent: Sent<'_>,
        request: &Digest,
    ) -> Result<Outcome, LedgerFault> {
        self.control()?;
        self.flush(caller)?;
        let (id, verdict, _) = sent;
        match self.voted(caller, sent)? {
            Ok(leaf) => Ok(Outcome::Recorded(leaf)),
            Err(refusal) => {
                let operation = match verdict {
                    Verdict::Approve => Operation::ProposalApprove,
                    Verdict::Reject => Operation::ProposalReject,
                };
                let refusal = self.named(id, refusal)?;
                let leaf = RefusedLeaf {
                    schema: Schema,
                    principal: caller.clone(),
                    operation,
                    refusal,
                    request: *request,
                };
                self.refused(&leaf)?;
                Ok(Outcome::Refused(leaf.refusal))
            }
        }
    }

    fn voted(&mut self, caller: &Name, (id, verdict, approval): Sent<'_>) -> Result<Decided, LedgerFault> {
        if self.state.halted.is_some() {
            return Ok(Err(Refusal::HistoryRolledBack));
        }
        let earlier = self.earlier(id, caller)?;
        if let Some((leaf, vote)) = &earlier
            && vote.verdict == verdict
            && vote.approval == *approval
        {
            // The same bytes: it was counted, whatever has become of the proposal since.
            return Ok(Ok(leaf.clone()));
        }
        let judged = self.control()?.judged_vote(self.time_ms, id, verdict, approval.as_bytes());
        match (judged, earlier) {
            (Err(refusal), _) => Ok(Err(refusal)),
            (Ok((voter, _)), _) if voter != *caller => {
                Ok(Err(Refusal::ApprovalInvalid { reason: Uncounted::OtherCaller }))
            }
            (Ok((_, true)), Some((leaf, _))) => Ok(Ok(leaf)),
            (Ok(_), _) => {
                let approval = approval.clone();
                let leaf = ProposalVotedLeaf { schema: Schema, proposal: *id, verdict, approval };
                self.judged(LeafKind::ProposalVoted, &leaf)
            }
        }
    }

    /// An officer's newest vote on a proposal.
    fn earlier(
        &self,
        id: &ProposalId,
        officer: &Name,
    ) -> Result<Option<(Recording, ProposalVotedLeaf)>, LedgerFault> {
        let votes = self.rows.votes(id)?;
        let Some((index, _)) = votes.into_iter().rev().find(|(_, voter)| voter == officer.as_str()) else {
            return Ok(None);
        };
        let leaf = self.rows.vouched(index, self.state.frontier.head(), &self.state.seals)?;
        let vote = read(&leaf.payload).ok_or(LedgerFault::Broken { leaf: index })?;
        Ok(Some((Recording { retried: true, ..leaf }, vote)))
    }

    /// Withdraws a proposal or what waits of it, or finds the leaf by which that was done.
    pub(super) fn cancel(&mut self, asked: &Asked<'_>, id: &ProposalId) -> Result<Outcome, LedgerFault> {
        self.once(asked, |write| {
            if let Some(leaf) = write.cancelled(id, &asked.retry.principal)? {
                return Ok(Ok(leaf));
            }
            let (by, statement) = (asked.retry.principal.clone(), asked.statement.clone());
            let end = ProposalEnd::Cancelled { by, statement };
            let leaf = ProposalClosedLeaf { schema: Schema, proposal: *id, end };
            match write.judged(LeafKind::ProposalClosed, &leaf)? {
                Ok(leaf) => Ok(Ok(leaf)),
                Err(refusal) => Ok(Err(write.named(id, refusal)?)),
            }
        })
    }

    /// The leaf that cancelled a proposal, for one who may cancel it.
    fn cancelled(&self, id: &ProposalId, by: &Name) -> Result<Option<Recording>, LedgerFault> {
        let Some(row) = self.rows.proposal(id)? else { return Ok(None) };
        let (ProposalState::Cancelled { .. }, Some(closed)) = (&row.state, row.closed) else {
            return Ok(None);
        };
        let made = self.rows.vouched(row.made, self.state.frontier.head(), &self.state.seals)?;
        let proposal = read::<ProposalMadeLeaf>(&made.payload)
            .and_then(|made| Proposal::decode(made.proposal.as_bytes()).ok())
            .ok_or(LedgerFault::Broken { leaf: row.made })?;
        let officer = self.control()?.roster().member(by).is_some_and(Member::is_officer);
        if proposal.request.requester != *by && !officer {
            return Ok(None);
        }
        let leaf = self.rows.vouched(closed, self.state.frontier.head(), &self.state.seals)?;
        Ok(Some(Recording { retried: true, ..leaf }))
    }

    /// Ends a proposal by the service's own word: it has expired, or its act failed.
    pub(super) fn close_proposal(&mut self, leaf: &ProposalClosedLeaf) -> Result<Decided, LedgerFault> {
        if matches!(leaf.end, ProposalEnd::Cancelled { .. }) {
            // People cancel, and sign for it.
            return Ok(Err(Refusal::Forbidden));
        }
        match self.judged(LeafKind::ProposalClosed, leaf)? {
            Ok(leaf) => Ok(Ok(leaf)),
            Err(refusal) => Ok(Err(self.named(&leaf.proposal, refusal)?)),
        }
    }

    /// Says that the service runs, and what stands.
    pub(super) fn heartbeat(&mut self) -> Result<Decided, LedgerFault> {
        let control = self.control()?.digest();
        let leaf = HeartbeatLeaf { schema: Schema, moment: self.moment, control };
        let decided = self.judged(LeafKind::Heartbeat, &leaf)?;
        if let Ok(leaf) = &decided {
            self.state.beat = leaf.index;
        }
        Ok(decided)
    }

    /// Says so at the end of a batch when the last time lies many leaves back, so that a start has few to look through.
    pub(super) fn beat_if_far(&mut self) -> Result<(), LedgerFault> {
        let since = self.state.frontier.size().saturating_sub(self.state.beat);
        if since < self.state.beat_every || self.control.is_none() {
            return Ok(());
        }
        self.heartbeat().map(drop)
    }

    /// Puts in force what has waited long enough. Not while the ledger is halted: in a history that was rolled back a
    /// withdrawal may be missing.
    pub(super) fn take_effect(&mut self, act: u64) -> Result<Decided, LedgerFault> {
        if self.state.halted.is_some() {
            return Ok(Err(Refusal::HistoryRolledBack));
        }
        let leaf = TookEffectLeaf { schema: Schema, act, moment: self.moment };
        self.judged(LeafKind::TookEffect, &leaf)
    }
}
