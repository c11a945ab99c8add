//! Acts: value, card keys, exchanges, and changes of who and what the service knows, alone or by a quorum.
//!
//! An act by a quorum is the same act with its evidence around it, at the place of its own leaf.

use super::{Asked, Decided, Write, once::read};
use crate::keeper::ledger::{
    change::{Change, Outcome, Recording, Terms},
    fault::LedgerFault,
    purse::{Facts, Purse, PurseRules, next_update},
};
use keysvc_protocol::{
    bytes::{Blob, Digest, PreviousUpdate},
    card::CardUid,
    cbor,
    leaf::{
        ActByQuorumLeaf, ChangedLeaf, LeafKind, ProposalMadeLeaf, Statement, StationOpenedLeaf,
        ValueUpdatedLeaf,
    },
    name::Name,
    proposal::Evidence,
    refusal::{Conflict, Refusal, Thing, Uncounted},
    request::{Operation, UpdateValue},
    schema::Schema,
    value::ValueUpdate,
};

/// An act before its leaf.
struct Act<'c> {
    kind: LeafKind,
    payload: Vec<u8>,
    after: After<'c>,
}

/// What an act writes beside its leaf.
enum After<'c> {
    Nothing,
    Purse { tag: [u8; 16], seq: u64, balance: u64, link: PreviousUpdate },
    Issued { cards: &'c [CardUid], masters: &'c [(Name, u32)] },
}

impl Write<'_> {
    /// An act of one caller alone.
    pub(super) fn act(&mut self, change: &Change) -> Result<Outcome, LedgerFault> {
        let asked = Asked::of(change).ok_or(LedgerFault::NoAct)?;
        let outcome = self.once(&asked, |write| {
            let act = match write.act_of(change, None)? {
                Ok(act) => act,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let leaf = if let Change::Alter { leaf, .. } = change {
                write.judged(act.kind, leaf)?
            } else {
                let prepared = write.prepare(act.kind, act.payload)?;
                Ok(write.put(prepared)?)
            };
            if let Ok(leaf) = &leaf {
                write.after(&act.after, leaf)?;
            }
            Ok(leaf)
        })?;
        match outcome {
            // It took people when it was first asked, and what they said is not undone by asking again.
            Outcome::Recorded(leaf) if leaf.kind == LeafKind::ProposalMade => {
                let reason = self.standing(&leaf)?;
                self.refuse(&asked, Refusal::StateConflict { reason })
            }
            outcome => Ok(outcome),
        }
    }

    /// Why a proposal that was not executed stands in the way of its own request.
    fn standing(&self, made: &Recording) -> Result<Conflict, LedgerFault> {
        let open = self.control()?.proposals().open().any(|open| open.leaf == made.index);
        Ok(if open { Conflict::ProposalOpen } else { Conflict::ProposalEnded })
    }

    /// An act that a quorum agreed to: made once, for the proposal that its request became.
    pub(super) fn act_by_quorum(
        &mut self,
        change: &Change,
        evidence: &Evidence,
    ) -> Result<Outcome, LedgerFault> {
        let asked = Asked::of(change).ok_or(LedgerFault::NoAct)?;
        let made = match self.known(&asked)?.map(|known| known.leaf) {
            Ok(Some(leaf)) if leaf.kind == LeafKind::ProposalMade => leaf,
            Ok(Some(leaf)) => return Ok(Outcome::Recorded(leaf)),
            Ok(None) => return self.refuse(&asked, Refusal::NotFound { what: Thing::Proposal }),
            Err(refusal) => return self.refuse(&asked, refusal),
        };
        match self.wrapped(change, evidence, &made)? {
            Ok(leaf) => Ok(Outcome::Recorded(leaf)),
            Err(refusal) => self.refuse(&asked, refusal),
        }
    }

    fn wrapped(
        &mut self,
        change: &Change,
        evidence: &Evidence,
        made: &Recording,
    ) -> Result<Decided, LedgerFault> {
        let broken = LedgerFault::Broken { leaf: made.index };
        let proposal = read::<ProposalMadeLeaf>(&made.payload).ok_or(broken)?.proposal;
        if proposal != evidence.proposal {
            return Ok(Err(Refusal::ApprovalInvalid { reason: Uncounted::OtherProposal }));
        }
        if self.standing(made)? == Conflict::ProposalEnded {
            return Ok(Err(Refusal::StateConflict { reason: Conflict::ProposalEnded }));
        }
        let act = match self.act_of(change, Some(evidence.digest()))? {
            Ok(act) => act,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let len = act.payload.len();
        let leaf = ActByQuorumLeaf {
            schema: Schema,
            evidence: evidence.clone(),
            moment: self.moment,
            kind: act.kind,
            act: Blob::try_from(act.payload).map_err(|_| LedgerFault::TooLong { found: len })?,
        };
        let decided = self.judged(act.kind.by_quorum(), &leaf)?;
        if let Ok(leaf) = &decided {
            self.rows.move_idem(made.index, leaf.index, leaf.time_ms)?;
            self.after(&act.after, leaf)?;
        }
        Ok(decided)
    }

    /// The act that a change is, with the digest of its evidence where it took a quorum.
    fn act_of<'c>(
        &mut self,
        change: &'c Change,
        evidence: Option<Digest>,
    ) -> Result<Result<Act<'c>, Refusal>, LedgerFault> {
        Ok(Ok(match change {
            Change::Alter { leaf, .. } => {
                Act { kind: kind_of(leaf), payload: cbor::encode(leaf), after: After::Nothing }
            }
            Change::OpenStation { station, exchange, life_ms, statement, .. } => {
                let leaf = StationOpenedLeaf {
                    schema: Schema,
                    station: station.clone(),
                    exchange: *exchange,
                    expires_at_ms: self.time_ms.saturating_add(*life_ms),
                    statement: statement.clone(),
                };
                let payload = cbor::encode(&leaf);
                Act { kind: LeafKind::StationOpened, payload, after: After::Nothing }
            }
            Change::DeriveCardKeys { leaf, cards, masters, .. } => {
                let after = After::Issued { cards, masters };
                Act { kind: LeafKind::CardKeysDerived, payload: cbor::encode(leaf), after }
            }
            Change::UpdateValue { request, terms, terminal, statement, .. } => {
                return self.value_update(request, terms, (terminal, evidence), statement);
            }
            _ => return Err(LedgerFault::NoAct),
        }))
    }

    fn value_update<'c>(
        &mut self,
        request: &UpdateValue,
        terms: &Terms,
        (terminal, evidence): (&Name, Option<Digest>),
        statement: &Statement,
    ) -> Result<Result<Act<'c>, Refusal>, LedgerFault> {
        let tag = self.tags()?.of_purse(&request.programme, &request.card, request.purse);
        let purse = self.rows.purse(&tag)?;
        let facts = Facts { terminal, time_ms: self.time_ms, evidence };
        let rules = PurseRules::of(self.control()?, request, terms);
        let update = match rules.and_then(|rules| next_update(purse.as_ref(), request, &rules, facts)) {
            Ok(update) => update,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let payload = cbor::encode(&update);
        let (link, len) = (ValueUpdate::link(&payload), payload.len());
        let payload = Blob::try_from(payload).map_err(|_| LedgerFault::TooLong { found: len })?;
        let leaf = ValueUpdatedLeaf { schema: Schema, update: payload, statement: statement.clone() };
        let after = After::Purse { tag, seq: update.seq, balance: update.balance_after, link };
        Ok(Ok(Act { kind: LeafKind::ValueUpdated, payload: cbor::encode(&leaf), after }))
    }

    fn after(&mut self, after: &After<'_>, leaf: &Recording) -> Result<(), LedgerFault> {
        match after {
            After::Nothing => Ok(()),
            After::Purse { tag, seq, balance, link } => {
                let purse = Purse { seq: *seq, balance: *balance, link: *link, leaf: leaf.index };
                self.rows.put_purse(tag, &purse)
            }
            After::Issued { cards, masters } => {
                // Known since the request was looked for.
                let tags = self.tags()?;
                self.rows.issue(&tags, cards, masters)
            }
        }
    }
}

/// The kind of leaf of a change: freezes are the operational class's, for they name cards.
const fn kind_of(leaf: &ChangedLeaf) -> LeafKind {
    match leaf.operation {
        Operation::FreezeSet | Operation::FreezeLift => LeafKind::FreezeChanged,
        _ => LeafKind::SiteChanged,
    }
}
