//! Acts: value, jobs and cards, and changes of who and what the service knows, alone or by a quorum.
//!
//! An act by a quorum is the same act with its evidence around it, at the place of its own leaf.

use super::{
    super::book::Puts,
    Asked, Decided, Prepared, Write,
    job::Derived,
    once::{Known, read},
};
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
        ActByQuorumLeaf, ChangedLeaf, JobOpenedLeaf, LeafKind, ProposalMadeLeaf, Statement, ValueUpdatedLeaf,
    },
    name::Name,
    proposal::Evidence,
    refusal::{Conflict, Refusal, Thing, Uncounted},
    request::{Operation, UpdateValue},
    schema::Schema,
    value::ValueUpdate,
};

/// An act before its leaf.
struct Act {
    kind: LeafKind,
    payload: Vec<u8>,
    after: After,
}

/// What an act writes beside its leaf.
enum After {
    Nothing,
    Purse { tag: [u8; 16], seq: u64, balance: u64, link: PreviousUpdate },
    Job(Puts),
    Issued { puts: Puts, cards: Vec<CardUid>, masters: Vec<(Name, u32)> },
}

impl Write<'_> {
    /// An act of one caller alone.
    pub(super) fn act(&mut self, change: &Change) -> Result<Outcome, LedgerFault> {
        let mut asked = Asked::of(change).ok_or(LedgerFault::NoAct)?;
        self.with_job(&mut asked)?;
        let outcome = self.once(&asked, |write| {
            let act = match write.act_of(change, None)? {
                Ok(act) => act,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let leaf = if let Change::Alter { leaf, .. } = change {
                write.judged(act.kind, leaf)?
            } else {
                let prepared = write.prepared(change, act.kind, act.payload)?;
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
        let mut asked = Asked::of(change).filter(|_| may_take_quorum(change)).ok_or(LedgerFault::NoAct)?;
        self.with_job(&mut asked)?;
        let known = match self.known(&asked)? {
            Ok(known) => known,
            Err(refusal) => return self.refuse(&asked, refusal),
        };
        let Known { tag, request, leaf } = known;
        let made = match leaf {
            Some(leaf) if leaf.kind == LeafKind::ProposalMade => leaf,
            Some(leaf) => return Ok(Outcome::Recorded(leaf)),
            None => return self.refuse(&asked, Refusal::NotFound { what: Thing::Proposal }),
        };
        match self.wrapped(change, evidence, &made, (&tag, &request))? {
            Ok(leaf) => Ok(Outcome::Recorded(leaf)),
            Err(refusal) => self.refuse(&asked, refusal),
        }
    }

    fn wrapped(
        &mut self,
        change: &Change,
        evidence: &Evidence,
        made: &Recording,
        asked: (&[u8; 16], &[u8; 16]),
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
            let tags = self.tags()?;
            self.rows.move_idem(&tags, (made.index, leaf.index), asked, leaf.time_ms)?;
            self.after(&act.after, leaf)?;
        }
        Ok(decided)
    }

    /// The leaf of an act, sealed by its kind's class; what is of the class Job under its job's data key.
    fn prepared(&self, change: &Change, kind: LeafKind, payload: Vec<u8>) -> Result<Prepared, LedgerFault> {
        match change {
            Change::AddItems { job, .. } => self.prepare_job(kind, payload, job),
            _ => self.prepare(kind, payload),
        }
    }

    /// The act that a change is, with the digest of its evidence where it took a quorum.
    fn act_of(
        &mut self,
        change: &Change,
        evidence: Option<Digest>,
    ) -> Result<Result<Act, Refusal>, LedgerFault> {
        let by_quorum = evidence.is_some();
        match change {
            Change::Alter { leaf, .. } => Ok(self.scope_is_there(leaf)?.map(|()| Act {
                kind: kind_of(leaf),
                payload: cbor::encode(leaf),
                after: After::Nothing,
            })),
            Change::OpenJob { station, operation, exchange, life_ms, statement, .. } => {
                let leaf = JobOpenedLeaf {
                    schema: Schema,
                    station: station.clone(),
                    operation: *operation,
                    exchange: *exchange,
                    expires_at_ms: self.time_ms.saturating_add(*life_ms),
                    statement: statement.clone(),
                };
                self.of_book(LeafKind::JobOpened, cbor::encode(&leaf), by_quorum)
            }
            Change::DeriveCardKeys { station, request, statement, .. } => {
                let derived = self.derived(station, request, statement, by_quorum)?;
                Ok(derived.map(|Derived { leaf, puts, cards, masters }| Act {
                    kind: LeafKind::CardKeysDerived,
                    payload: cbor::encode(&leaf),
                    after: After::Issued { puts, cards, masters },
                }))
            }
            Change::GiveResults { leaf, .. } | Change::MoveCards { leaf, .. } => {
                self.of_book(LeafKind::CardsChanged, cbor::encode(leaf), by_quorum)
            }
            Change::AlterJob { leaf, .. } => {
                let act = self.of_book(LeafKind::JobChanged, cbor::encode(leaf), by_quorum)?;
                if leaf.operation != Operation::JobCreate {
                    return Ok(act);
                }
                let room = self.has_room_for_job()?;
                Ok(act.and_then(|act| room.map(|()| act)))
            }
            Change::AddItems { leaf, .. } => {
                self.of_book(LeafKind::JobItemsAdded, cbor::encode(leaf), by_quorum)
            }
            Change::ReportIncident { leaf, .. } => {
                self.of_book(LeafKind::IncidentReported, cbor::encode(leaf), by_quorum)
            }
            Change::UpdateValue { request, terms, terminal, statement, .. } => {
                self.value_update(request, terms, (terminal, evidence), statement)
            }
            _ => Err(LedgerFault::NoAct),
        }
    }

    /// An act that the book of jobs and cards decides.
    fn of_book(
        &mut self,
        kind: LeafKind,
        payload: Vec<u8>,
        by_quorum: bool,
    ) -> Result<Result<Act, Refusal>, LedgerFault> {
        let taken = self.taken(kind, &payload, by_quorum)?;
        Ok(taken.map(|puts| Act { kind, payload, after: After::Job(puts) }))
    }

    fn value_update(
        &mut self,
        request: &UpdateValue,
        terms: &Terms,
        (terminal, evidence): (&Name, Option<Digest>),
        statement: &Statement,
    ) -> Result<Result<Act, Refusal>, LedgerFault> {
        if let Err(refusal) = self.bears_value(&request.card)? {
            return Ok(Err(refusal));
        }
        let tags = self.tags()?;
        let tag = tags.of_purse(&request.programme, &request.card, request.purse);
        let purse = self.rows.purse(&tags, &tag)?;
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

    fn after(&mut self, after: &After, leaf: &Recording) -> Result<(), LedgerFault> {
        if matches!(after, After::Nothing) {
            return Ok(());
        }
        // Known since the request was looked for.
        let tags = self.tags()?;
        match after {
            After::Nothing => Ok(()),
            After::Purse { tag, seq, balance, link } => {
                let purse = Purse { seq: *seq, balance: *balance, link: *link, leaf: leaf.index };
                self.rows.put_purse(&tags, tag, &purse)
            }
            After::Job(puts) => puts.write(self.rows, &tags),
            After::Issued { puts, cards, masters } => {
                puts.write(self.rows, &tags)?;
                self.rows.issue(&tags, cards, masters)
            }
        }
    }
}

/// Whether a change can be one that a quorum of officers made. What belongs to a job is its own people's, apart from its
/// sessions and its cards' keys.
const fn may_take_quorum(change: &Change) -> bool {
    !matches!(
        change,
        Change::GiveResults { .. }
            | Change::AlterJob { .. }
            | Change::AddItems { .. }
            | Change::ReportIncident { .. }
    )
}

/// The kind of leaf of a change: freezes are the operational class's, for they name cards.
const fn kind_of(leaf: &ChangedLeaf) -> LeafKind {
    match leaf.operation {
        Operation::FreezeSet | Operation::FreezeLift => LeafKind::FreezeChanged,
        _ => LeafKind::SiteChanged,
    }
}
