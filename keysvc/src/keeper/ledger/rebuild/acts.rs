//! Acts, alone or by a quorum, and the proposals they come from: what they do to purses, cards, requests and to the state
//! of what takes people.
//!
//! Apart from the walk along the leaves because only these hold somebody's request.

use super::{
    super::{
        effects::{self, Effect},
        fault::LedgerFault,
        issued::Issued,
        purse::Purse,
        sqlite::bears_value,
    },
    Walk,
    leaves::decode,
    requests::Asked,
};
use keysvc_protocol::{
    cbor,
    control::{At, Control},
    hash::sha256,
    leaf::{
        ActByQuorumLeaf, CardKeysDerivedLeaf, CardsChangedLeaf, ChangedLeaf, IncidentReportedLeaf,
        JobChangedLeaf, JobItemsLeaf, JobOpenedLeaf, LeafEntry, LeafKind, ProposalClosedLeaf,
        ProposalMadeLeaf, Statement, ValueUpdatedLeaf,
    },
    name::Name,
    proposal::{Proposal, ProposalEnd},
    request::{Operation, UpdateValue},
    schema::Schema,
    value::ValueUpdate,
};

impl Walk<'_, '_> {
    /// Has the state of what takes people follow, and its projections with it.
    pub(super) fn people(&mut self, entry: &LeafEntry, payload: &[u8]) -> Result<(), LedgerFault> {
        let Some(control) = self.control.as_mut().filter(|_| Control::concerns(entry.kind)) else {
            return Ok(());
        };
        let at = At { index: entry.index, time_ms: entry.time_ms };
        let effects = match effects::take(control, at, entry.kind, payload) {
            Ok(effects) => effects,
            Err(refusal) => {
                self.wrong(entry.index, "a leaf that the rules allow", &refusal.to_string());
                return Ok(());
            }
        };
        for effect in effects {
            match &effect {
                Effect::Key { name, version, state, leaf } => {
                    if !self.records.move_key(name, *version, *state, *leaf) {
                        self.wrong(entry.index, "a key on record", &format!("{name} version {version}"));
                    }
                }
                effect => effect.write(self.purses.rows())?,
            }
        }
        Ok(())
    }

    /// An act's own payload; nothing when it is not of its kind.
    pub(super) fn act(
        &mut self,
        entry: &LeafEntry,
        kind: LeafKind,
        payload: &[u8],
        by_quorum: bool,
    ) -> Result<Option<()>, LedgerFault> {
        match kind {
            LeafKind::ValueUpdated => {
                let Some(leaf) = decode::<ValueUpdatedLeaf>(payload) else { return Ok(None) };
                return self.value_updated(entry, &leaf);
            }
            LeafKind::SiteChanged | LeafKind::FreezeChanged => {
                let Some(leaf) = decode::<ChangedLeaf>(payload) else { return Ok(None) };
                self.signed(entry, (&leaf.principal, leaf.operation), &leaf.statement)?;
                return Ok(Some(()));
            }
            _ => {}
        }
        let of_its_kind = self.act_of_job(entry, kind, payload)?;
        if of_its_kind.is_some() {
            self.book(entry, kind, payload, by_quorum)?;
        }
        Ok(of_its_kind)
    }

    /// The request in an act about jobs and cards.
    fn act_of_job(
        &mut self,
        entry: &LeafEntry,
        kind: LeafKind,
        payload: &[u8],
    ) -> Result<Option<()>, LedgerFault> {
        match kind {
            LeafKind::JobOpened => {
                let Some(leaf) = decode::<JobOpenedLeaf>(payload) else { return Ok(None) };
                self.signed(entry, (&leaf.station, leaf.operation), &leaf.statement)?;
            }
            LeafKind::CardKeysDerived => {
                let Some(leaf) = decode::<CardKeysDerivedLeaf>(payload) else { return Ok(None) };
                self.signed(entry, (&leaf.station, Operation::CardDerive), &leaf.statement)?;
                self.issued(entry, &leaf)?;
            }
            LeafKind::JobChanged => {
                let Some(leaf) = decode::<JobChangedLeaf>(payload) else { return Ok(None) };
                self.signed(entry, (&leaf.principal, leaf.operation), &leaf.statement)?;
            }
            LeafKind::JobItemsAdded => {
                let Some(leaf) = decode::<JobItemsLeaf>(payload) else { return Ok(None) };
                self.signed(entry, (&leaf.principal, Operation::JobItems), &leaf.statement)?;
            }
            LeafKind::IncidentReported => {
                let Some(leaf) = decode::<IncidentReportedLeaf>(payload) else { return Ok(None) };
                self.signed(entry, (&leaf.station, Operation::JobIncident), &leaf.statement)?;
            }
            LeafKind::CardsChanged => {
                let Some(leaf) = decode::<CardsChangedLeaf>(payload) else { return Ok(None) };
                self.signed(entry, (&leaf.principal, leaf.operation), &leaf.statement)?;
            }
            _ => return Ok(None),
        }
        Ok(Some(()))
    }

    /// An act inside its evidence; its request's row has moved here from the proposal's leaf.
    pub(super) fn act_by_quorum(
        &mut self,
        entry: &LeafEntry,
        payload: &[u8],
    ) -> Result<Option<()>, LedgerFault> {
        let Some(leaf) = decode::<ActByQuorumLeaf>(payload) else { return Ok(None) };
        let Ok(proposal) = Proposal::decode(leaf.evidence.proposal.as_bytes()) else { return Ok(None) };
        let open = self.control.as_ref().and_then(|control| control.proposals().get(&proposal.id));
        if let Some(made) = open.map(|open| open.leaf) {
            self.requests.moved_from(made, &mut self.findings);
        }
        self.act(entry, leaf.kind, leaf.act.as_bytes(), true)
    }

    /// A proposal: its request may be repeated as if it were recorded.
    pub(super) fn proposal_made(
        &mut self,
        entry: &LeafEntry,
        payload: &[u8],
    ) -> Result<Option<()>, LedgerFault> {
        let Some(leaf) = decode::<ProposalMadeLeaf>(payload) else { return Ok(None) };
        let Ok(Proposal { request, .. }) = Proposal::decode(leaf.proposal.as_bytes()) else {
            return Ok(None);
        };
        let asked = self.control.as_ref().and_then(|control| {
            Asked::opened(control, (&request.requester, request.operation), &request.statement)
        });
        match (asked, &self.tags) {
            (Some(asked), Some(tags)) => {
                self.requests.expect_unless_moved(tags, entry, &asked, &mut self.findings)?;
            }
            // What is wrong with it is told by the rules, or nothing can be told at all.
            _ => self.requests.unknown(entry.index)?,
        }
        Ok(Some(()))
    }

    /// A proposal's end: a request only where somebody withdrew it.
    pub(super) fn proposal_closed(
        &mut self,
        entry: &LeafEntry,
        payload: &[u8],
    ) -> Result<Option<()>, LedgerFault> {
        let Some(leaf) = decode::<ProposalClosedLeaf>(payload) else { return Ok(None) };
        if let ProposalEnd::Cancelled { by, statement } = &leaf.end {
            self.signed(entry, (by, Operation::ProposalCancel), statement)?;
        }
        Ok(Some(()))
    }

    /// A leaf with the caller's signed request.
    fn signed(
        &mut self,
        entry: &LeafEntry,
        (principal, operation): (&Name, Operation),
        statement: &Statement,
    ) -> Result<(), LedgerFault> {
        let Some(control) = &self.control else { return self.requests.unknown(entry.index) };
        let asked = Asked::opened(control, (principal, operation), statement);
        self.request(entry, asked)
    }

    fn request(&mut self, entry: &LeafEntry, asked: Option<Asked<'_>>) -> Result<(), LedgerFault> {
        let Some(asked) = asked else {
            self.wrong(entry.index, "a request signed by the caller the leaf names", "another statement");
            return self.requests.unknown(entry.index);
        };
        match &self.tags {
            Some(tags) => self.requests.expect(tags, entry, &asked, &mut self.findings),
            None => self.requests.unknown(entry.index),
        }
    }

    /// The cards that get keys, under the versions that the profile names.
    fn issued(&mut self, entry: &LeafEntry, leaf: &CardKeysDerivedLeaf) -> Result<(), LedgerFault> {
        let (Some(control), Some(tags)) = (&self.control, &self.tags) else { return Ok(()) };
        let Some(Issued { cards, masters }) = Issued::by(control, leaf) else {
            self.wrong(entry.index, "cards of a profile of the founding", "others");
            return Ok(());
        };
        self.purses.rows().issue(tags, &cards, &masters)
    }

    fn value_updated(
        &mut self,
        entry: &LeafEntry,
        leaf: &ValueUpdatedLeaf,
    ) -> Result<Option<()>, LedgerFault> {
        let bytes = leaf.update.as_bytes();
        let Ok(update) = ValueUpdate::from_payload(bytes) else { return Ok(None) };
        // The encoding is strict, so the update's own fields give the request's very bytes: no signature need be
        // verified for them, and a statement of another request shows as another tag.
        let request = cbor::encode(&request_of(&update));
        self.request(entry, Some(Asked::new(&update.terminal, update.txn, sha256(&[&request]))))?;
        if let Some(tags) = &self.tags {
            let card = self.purses.rows().card(tags, &tags.of_card(&update.card))?;
            let bears = bears_value(card.map(|card| card.state));
            let tag = tags.of_purse(&update.programme, &update.card, update.purse);
            let link = ValueUpdate::link(bytes);
            let purse = Purse { seq: update.seq, balance: update.balance_after, link, leaf: entry.index };
            if let Some((log, store)) = self.purses.update((tags, &tag), &update, &purse)? {
                self.wrong(entry.index, &log, &store);
            }
            if let Err(refusal) = bears {
                self.wrong(entry.index, "value of a card that bears it", &refusal.to_string());
            }
        }
        Ok(Some(()))
    }
}

/// The request that an update answers: the ledger takes every field from it and adds its own.
fn request_of(update: &ValueUpdate) -> UpdateValue {
    UpdateValue {
        schema: Schema,
        programme: update.programme.clone(),
        card: update.card,
        purse: update.purse,
        operation: update.operation,
        expected_seq: update.seq,
        amount: update.amount,
        currency: update.currency,
        balance_before: update.balance_before,
        txn: update.txn,
    }
}
