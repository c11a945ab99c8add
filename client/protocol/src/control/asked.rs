//! Whether an act is what its proposal's request asks, and whether people agreed to it.
//!
//! Apart from the acts because it changes nothing: an evidence file, which knows the officers but not what keys and
//! freezes there were, is judged by the same lines.

use super::{At, Change, Control, read};
use crate::{
    cbor::{self, REQUEST_LEN_MAX},
    leaf::{
        ActByQuorumLeaf, CardKeysDerivedLeaf, CardsChangedLeaf, ChangedLeaf, JobOpenedLeaf, LeafKind,
        ValueUpdatedLeaf,
    },
    proposal::{LIFE_MAX_MS, Proposal, Proposed},
    quorum::Quorum,
    refusal::{Invalid, Refusal, Uncounted},
    request::{Operation, UpdateValue},
    value::ValueUpdate,
};

const ENCODING: Refusal = Refusal::Invalid { reason: Invalid::Encoding };
const OTHER: Refusal = Refusal::ApprovalInvalid { reason: Uncounted::OtherProposal };

impl Control {
    /// What an act's evidence proves as far as the officers alone decide it: the requester signed, the need is not below
    /// its floor, enough of the officers of that time approved in time, and the act is what was asked. What it met of
    /// keys and freezes is [`Control::apply`]'s.
    ///
    /// # Errors
    /// The [`Refusal`] for the first thing wrong.
    pub fn agreed(
        &self,
        at: At,
        kind: LeafKind,
        leaf: &ActByQuorumLeaf,
    ) -> Result<(Proposal, Quorum), Refusal> {
        let uncounted = |reason| Refusal::ApprovalInvalid { reason };
        let proposal = Proposal::decode(leaf.evidence.proposal.as_bytes()).map_err(|_| ENCODING)?;
        if proposal.genesis != *self.genesis() {
            return Err(uncounted(Uncounted::OtherLog));
        }
        // What the officers signed says who the officers were: a change of them that is left out is told by it.
        self.stands(&proposal)?;
        if proposal.expires_ms > proposal.created_ms.saturating_add(LIFE_MAX_MS) {
            return Err(Refusal::Invalid { reason: Invalid::Time });
        }
        if !(proposal.created_ms..=proposal.expires_ms).contains(&at.time_ms) {
            return Err(Refusal::Expired);
        }
        let (member, change) = self.requested_by(&proposal.request)?;
        if let Some(change) = &change {
            self.may_ask(change, member)?;
        }
        let least = self.least_need(proposal.request.operation, change.as_ref());
        if !proposal.need.is_sound() || least.is_some_and(|least| !proposal.need.covers(&least)) {
            return Err(uncounted(Uncounted::BelowFloor));
        }
        let quorum = self.met(&proposal, &leaf.evidence)?;
        if let Some(Change::Import { request }) = &change {
            super::imports::not_custodians_alone(request, &quorum)?;
        }
        if leaf.kind.by_quorum() != kind {
            return Err(ENCODING);
        }
        match leaf.kind {
            LeafKind::SiteChanged | LeafKind::FreezeChanged => drop(changed(leaf, &proposal.request)?),
            other => self.is_the_request(other, leaf, &proposal.request)?,
        }
        Ok((proposal, quorum))
    }

    /// Acts outside this state carry the request that was approved and do what it says; a value update has the digest of
    /// its evidence. Limits, keys derived and exchanges are not known here.
    pub(super) fn is_the_request(
        &self,
        kind: LeafKind,
        leaf: &ActByQuorumLeaf,
        request: &Proposed,
    ) -> Result<(), Refusal> {
        let payload = leaf.act.as_bytes();
        let (operation, by, statement, update) = match kind {
            LeafKind::ValueUpdated => {
                let act: ValueUpdatedLeaf = read(payload)?;
                let update = ValueUpdate::from_payload(act.update.as_bytes()).map_err(|_| ENCODING)?;
                (Operation::ValueUpdate, update.terminal.clone(), act.statement, Some(update))
            }
            LeafKind::CardKeysDerived => {
                let act: CardKeysDerivedLeaf = read(payload)?;
                (Operation::CardDerive, act.station, act.statement, None)
            }
            LeafKind::JobOpened => {
                let act: JobOpenedLeaf = read(payload)?;
                (act.operation, act.station, act.statement, None)
            }
            // What a station says of its cards is nobody's to agree to.
            LeafKind::CardsChanged => {
                let act: CardsChangedLeaf = read(payload)?;
                (Operation::CardTransition, act.principal, act.statement, None)
            }
            _ => return Err(ENCODING),
        };
        if (operation, &by, &statement) != (request.operation, &request.requester, &request.statement) {
            return Err(OTHER);
        }
        let (_, asked) = self.signed(&request.requester, operation, &statement)?;
        match update {
            Some(update) if update.evidence != Some(leaf.evidence.digest()) => Err(OTHER),
            Some(update) => does(&update, asked),
            None => Ok(()),
        }
    }
}

/// The change that an act carries: byte for byte what was proposed.
pub(super) fn changed(leaf: &ActByQuorumLeaf, request: &Proposed) -> Result<ChangedLeaf, Refusal> {
    let act: ChangedLeaf = read(leaf.act.as_bytes())?;
    let freezes = matches!(act.operation, Operation::FreezeSet | Operation::FreezeLift);
    if freezes != (leaf.kind == LeafKind::FreezeChanged) {
        return Err(ENCODING);
    }
    let same = (&act.principal, act.operation, &act.statement)
        == (&request.requester, request.operation, &request.statement);
    if same { Ok(act) } else { Err(OTHER) }
}

/// Whether a value update is the one that was asked for.
fn does(update: &ValueUpdate, asked: &[u8]) -> Result<(), Refusal> {
    let asked: UpdateValue = cbor::decode(asked, REQUEST_LEN_MAX).map_err(|_| ENCODING)?;
    let same = UpdateValue {
        schema: update.schema,
        programme: update.programme.clone(),
        card: update.card,
        purse: update.purse,
        operation: update.operation,
        expected_seq: update.seq,
        amount: update.amount,
        currency: update.currency,
        balance_before: update.balance_before,
        txn: update.txn,
    };
    if same == asked { Ok(()) } else { Err(OTHER) }
}
