//! What each change writes, inside the batch's transaction.
//!
//! INVARIANT: a fault of one change alone ([`LedgerFault::is_of_one_change`]) is found before its first row is
//! written and before [`Control`] takes its leaf, for the other changes of the batch are committed all the same.

mod act;
mod asked;
mod job;
mod older;
mod once;
mod people;

use super::{
    super::{
        change::{Change, Outcome, Recording},
        effects,
        fault::LedgerFault,
        restore,
        seal::{SealClass, Tags, fresh},
    },
    Rows, State,
};
use asked::Asked;
pub(in super::super) use job::bears_value;
use keysvc_protocol::{
    cbor,
    control::{At, Control, Moment},
    leaf::{
        BundleMadeLeaf, FoundingLeaf, KeyIntentLeaf, KeyOutcomeLeaf, LeafEntry, LeafKind, RetentionClass,
        RollbackLeaf,
    },
    merkle::{Completed, leaf_hash},
    name::Name,
    receipt::LEAF_PAYLOAD_LEN_MAX,
    refusal::Refusal,
    request::Operation,
    schema::Schema,
};
use serde::Serialize;
use std::sync::Arc;

/// How long an idempotency key is kept: 90 days.
pub(in super::super) const IDEM_KEPT_MS: u64 = 90 * 24 * 60 * 60 * 1000;
/// Idempotency keys forgotten in one batch: more than the 256 a batch can add.
const IDEMS_FORGOTTEN: u32 = 512;

/// One batch being written.
pub(super) struct Write<'a> {
    rows: Rows<'a>,
    state: &'a mut State,
    time_ms: u64,
    moment: Moment,
    control: Option<Arc<Control>>,
    completed: Vec<Completed>,
    // The tags of an older store whose rows were marked in this batch.
    marked: Option<Arc<Tags>>,
}

/// A batch that is written and not yet committed.
pub(super) struct Written {
    pub(super) completed: Vec<Completed>,
    pub(super) control: Option<Arc<Control>>,
    pub(super) marked: Option<Arc<Tags>>,
}

/// What a change came to: a leaf, or the refusal that the transaction decided.
type Decided = Result<Recording, Refusal>;

/// A leaf that is encoded and sealed: only the store can still fail.
pub(super) struct Prepared {
    leaf: Recording,
    sealed: Option<(u32, Vec<u8>)>,
}

impl<'a> Write<'a> {
    pub(super) fn new(rows: Rows<'a>, state: &'a mut State, moment: Moment) -> Self {
        let time_ms = moment.wall_ms.max(state.last_ms);
        let control = state.control.load_full();
        Self { rows, state, time_ms, moment, control, completed: Vec::new(), marked: None }
    }

    /// Writes one change.
    pub(super) fn apply(&mut self, change: &Change) -> Result<Outcome, LedgerFault> {
        let begins =
            matches!(change, Change::Founding { .. } | Change::RefusedUnknown | Change::CountRefusals { .. });
        if self.state.frontier.size() == 0 && !begins {
            return Err(LedgerFault::NotFounded);
        }
        match change {
            Change::Founding { leaf } => self.found(leaf).map(Outcome::Recorded),
            Change::Start(leaf) => self.append(LeafKind::Start, leaf).map(Outcome::Recorded),
            Change::KeyIntent(leaf) => self.open_intent(leaf).map(settled),
            Change::KeyOutcome(leaf) => self.close_intent(leaf).map(settled),
            Change::RollbackShown(leaf) => self.halt(leaf).map(Outcome::Recorded),
            Change::BundleMade(leaf) => self.make_bundle(leaf).map(Outcome::Recorded),
            Change::ReadEntries(leaf) => {
                self.flush(&leaf.reader)?;
                self.append(LeafKind::EntriesRead, leaf).map(Outcome::Recorded)
            }
            Change::ReadEvidence(leaf) => {
                self.flush(&leaf.reader)?;
                self.append(LeafKind::EvidenceRead, leaf).map(Outcome::Recorded)
            }
            Change::Refused(leaf) => self.refused(leaf),
            Change::RefusedUnknown => self.count_refusals(1, false),
            Change::CountRefusals { unknown, all } => self.count_refusals(*unknown, *all),
            Change::OpenJob { .. }
            | Change::DeriveCardKeys { .. }
            | Change::GiveResults { .. }
            | Change::MoveCards { .. }
            | Change::AlterJob { .. }
            | Change::AddItems { .. }
            | Change::ReportIncident { .. }
            | Change::UpdateValue { .. }
            | Change::Alter { .. } => self.act(change),
            Change::ForgetItems { job, max } => self.forget_items(job, *max),
            Change::JobPurged(leaf) => self.purge(leaf).map(settled),
            Change::JobRecordMade(leaf) => {
                self.flush(&leaf.reader)?;
                self.append(LeafKind::JobRecordMade, leaf).map(Outcome::Recorded)
            }
            Change::ByQuorum { evidence, change } => self.act_by_quorum(change, evidence),
            Change::Propose { retry, request, need, id, life_ms } => {
                let asked = Asked::new(retry, request.operation, &request.statement);
                self.propose(&asked, (request, need.as_ref(), id, *life_ms))
            }
            Change::Vote { caller, proposal, verdict, approval, request } => {
                self.vote(caller, (proposal, *verdict, approval), request)
            }
            Change::Cancel { retry, proposal, statement } => {
                self.cancel(&Asked::new(retry, Operation::ProposalCancel, statement), proposal)
            }
            Change::CloseProposal(leaf) => self.close_proposal(leaf).map(settled),
            Change::Heartbeat => self.heartbeat().map(settled),
            Change::TookEffect { act } => self.take_effect(*act).map(settled),
            Change::KeyDestroyed(leaf) => self.judged(LeafKind::KeyDestroyed, leaf).map(settled),
        }
    }

    /// Ends the batch's writing, before the commit; gives what its leaves completed and what then stands.
    pub(super) fn finish(mut self) -> Result<Written, LedgerFault> {
        // A batch without leaves writes nothing here, so that its commit costs nothing but what it deletes.
        if !self.completed.is_empty() {
            self.renew()?;
            self.beat_if_far()?;
        }
        Ok(Written { completed: self.completed, control: self.control, marked: self.marked })
    }

    fn renew(&mut self) -> Result<(), LedgerFault> {
        if let Some(tags) = self.state.tags.known()
            && self.state.tags_sealed != self.state.seals.current()
        {
            // A new data key was installed: the tags' key must open when the older ones are erased.
            self.put_tags(&tags)?;
        }
        let kept_from_ms = self.time_ms.saturating_sub(IDEM_KEPT_MS);
        if self.state.oldest_idem_ms.is_some_and(|oldest_ms| oldest_ms < kept_from_ms) {
            self.rows.forget_idems(kept_from_ms, IDEMS_FORGOTTEN)?;
            self.state.oldest_idem_ms = self.rows.oldest_idem()?;
        }
        Ok(())
    }

    /// The tags; their key is made with the first change that needs them.
    fn tags(&mut self) -> Result<Arc<Tags>, LedgerFault> {
        if let Some(tags) = self.state.tags.known() {
            if self.state.tags_sealed.is_none() {
                // Opened by a reader; or made in a batch that was undone, and then not stored.
                match self.rows.tags_key()? {
                    Some((id, _)) => self.state.tags_sealed = Some(id),
                    None => self.put_first_tags(&tags)?,
                }
            }
            return Ok(tags);
        }
        let tags = if let Some((id, sealed)) = self.rows.tags_key()? {
            self.state.tags_sealed = Some(id);
            Tags::unsealed(&self.state.seals, id, &sealed)?
        } else {
            let tags = Tags::generate(&self.state.random)?;
            self.put_first_tags(&tags)?;
            tags
        };
        Ok(self.state.tags.keep(tags))
    }

    /// Stores the key of the tags in a store that has none, where nothing can be that is found by them.
    fn put_first_tags(&mut self, tags: &Tags) -> Result<(), LedgerFault> {
        self.rows.begin_chains(tags)?;
        self.put_tags(tags)
    }

    fn put_tags(&mut self, tags: &Tags) -> Result<(), LedgerFault> {
        let (id, sealed) = tags.sealed(&self.state.seals, &self.state.random)?;
        self.rows.put_tags_key(id, &sealed)?;
        self.state.tags_sealed = Some(id);
        Ok(())
    }

    /// Everything that takes people, as it stands in this batch.
    fn control(&self) -> Result<&Control, LedgerFault> {
        self.control.as_deref().ok_or(LedgerFault::NoControl)
    }

    fn append<T: Serialize>(&mut self, kind: LeafKind, payload: &T) -> Result<Recording, LedgerFault> {
        let prepared = self.prepare(kind, cbor::encode(payload))?;
        self.put(prepared)
    }

    /// Appends a leaf that [`Control`] takes, or gives its refusal and writes nothing.
    fn judged<T: Serialize>(&mut self, kind: LeafKind, payload: &T) -> Result<Decided, LedgerFault> {
        self.control()?;
        let prepared = self.prepare(kind, cbor::encode(payload))?;
        let leaf = &prepared.leaf;
        let at = At { index: leaf.index, time_ms: leaf.time_ms };
        let control = Arc::make_mut(self.control.as_mut().ok_or(LedgerFault::NoControl)?);
        let effects = match effects::take(control, at, kind, &leaf.payload) {
            Ok(effects) => effects,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let leaf = self.put(prepared)?;
        for effect in effects {
            effect.write(self.rows)?;
        }
        Ok(Ok(leaf))
    }

    /// Encodes the next leaf and seals it by its kind's class; nothing is kept.
    fn prepare(&self, kind: LeafKind, payload: Vec<u8>) -> Result<Prepared, LedgerFault> {
        let class = match kind.class() {
            RetentionClass::Permanent => None,
            RetentionClass::Operational => Some(SealClass::Operational),
            RetentionClass::Incident => Some(SealClass::Incident),
            RetentionClass::Job => return Err(LedgerFault::NoJob),
        };
        self.prepare_as(kind, payload, class.as_ref())
    }

    /// As [`Write::prepare`], for a leaf of a job: one of the class Job is sealed under that job's data key.
    pub(super) fn prepare_job(
        &self,
        kind: LeafKind,
        payload: Vec<u8>,
        job: &Name,
    ) -> Result<Prepared, LedgerFault> {
        match kind.class() {
            RetentionClass::Job => self.prepare_as(kind, payload, Some(&SealClass::Job(job.clone()))),
            _ => self.prepare(kind, payload),
        }
    }

    fn prepare_as(
        &self,
        kind: LeafKind,
        payload: Vec<u8>,
        class: Option<&SealClass>,
    ) -> Result<Prepared, LedgerFault> {
        if payload.len() > LEAF_PAYLOAD_LEN_MAX {
            return Err(LedgerFault::TooLong { found: payload.len() });
        }
        let (index, time_ms) = (self.state.frontier.size(), self.time_ms);
        let (salt, nonce) = fresh(&self.state.random)?;
        let payload_digest = LeafEntry::digest_of(&salt, &payload);
        let entry = cbor::encode(&LeafEntry { schema: Schema, index, time_ms, kind, payload_digest });
        let sealed =
            class.map(|class| self.state.seals.seal_as(class, index, nonce, &payload)).transpose()?;
        Ok(Prepared {
            leaf: Recording { index, time_ms, kind, entry, salt, payload, retried: false },
            sealed,
        })
    }

    /// Appends what was prepared for this place: only the store can fail.
    pub(super) fn put(&mut self, Prepared { leaf, sealed }: Prepared) -> Result<Recording, LedgerFault> {
        let completed = self.state.frontier.append(leaf_hash(&leaf.entry));
        self.state.last_ms = leaf.time_ms;
        match &sealed {
            Some((id, stored)) => self.rows.put_leaf(&leaf, &completed.to_bytes(), Some(*id), stored)?,
            None => self.rows.put_leaf(&leaf, &completed.to_bytes(), None, &leaf.payload)?,
        }
        self.completed.push(completed);
        Ok(leaf)
    }

    fn found(&mut self, founding: &FoundingLeaf) -> Result<Recording, LedgerFault> {
        if self.state.frontier.size() != 0 {
            return Err(LedgerFault::AlreadyFounded);
        }
        let prepared = self.prepare(LeafKind::Founding, cbor::encode(founding))?;
        let control = restore::founded(founding, leaf_hash(&prepared.leaf.entry));
        self.control = Some(Arc::new(control.ok_or(LedgerFault::NoFounding)?));
        let leaf = self.put(prepared)?;
        for key in founding.keys.iter() {
            self.rows.put_key(key, leaf.index)?;
        }
        Ok(leaf)
    }

    fn open_intent(&mut self, intent: &KeyIntentLeaf) -> Result<Decided, LedgerFault> {
        let decided = self.judged(LeafKind::KeyIntent, intent)?;
        if let Ok(leaf) = &decided {
            self.rows.put_intent(leaf.index, intent)?;
        }
        Ok(decided)
    }

    fn close_intent(&mut self, outcome: &KeyOutcomeLeaf) -> Result<Decided, LedgerFault> {
        if !self.rows.is_open_intent(outcome.intent)? {
            return Err(LedgerFault::NoIntent { intent: outcome.intent });
        }
        let decided = self.judged(LeafKind::KeyOutcome, outcome)?;
        if let Ok(leaf) = &decided {
            self.rows.close_intent(outcome.intent)?;
            self.rows.put_key(&outcome.key, leaf.index)?;
        }
        Ok(decided)
    }

    fn halt(&mut self, rollback: &RollbackLeaf) -> Result<Recording, LedgerFault> {
        let leaf = self.append(LeafKind::RollbackShown, rollback)?;
        if self.state.halted.is_none() {
            self.rows.halt(leaf.index)?;
            self.state.halted = Some(leaf.index);
        }
        Ok(leaf)
    }

    fn make_bundle(&mut self, bundle: &BundleMadeLeaf) -> Result<Recording, LedgerFault> {
        let leaf = self.append(LeafKind::BundleMade, bundle)?;
        self.rows.put_bundle(leaf.index)?;
        Ok(leaf)
    }
}

/// What the service itself had in mind came to: nobody asked, so a refusal has no leaf.
fn settled(decided: Decided) -> Outcome {
    match decided {
        Ok(leaf) => Outcome::Recorded(leaf),
        Err(refusal) => Outcome::Refused(refusal),
    }
}
