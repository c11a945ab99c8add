//! What each change writes, inside the batch's transaction.
//!
//! INVARIANT: a fault of one change alone ([`LedgerFault::is_of_one_change`]) is found before its first row is
//! written, for the other changes of the batch are committed all the same.

use super::{
    super::{
        change::{Change, Outcome, PurseRules, Recording, Retry},
        fault::LedgerFault,
        purse::{Facts, Purse, next_update},
        seal::{Tags, fresh},
    },
    Rows, State,
};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    hash::sha256,
    leaf::{
        BundleMadeLeaf, FoundingLeaf, KeyIntentLeaf, KeyOutcomeLeaf, LeafEntry, LeafKind,
        RefusalsCountedLeaf, RefusedLeaf, RetentionClass, RollbackLeaf, Statement, StationOpenedLeaf,
        ValueUpdatedLeaf,
    },
    merkle::{Completed, leaf_hash},
    name::Name,
    receipt::LEAF_PAYLOAD_LEN_MAX,
    refusal::Refusal,
    request::{Operation, UpdateValue},
    schema::Schema,
    value::ValueUpdate,
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
    completed: Vec<Completed>,
}

/// What a repeatable change came to: a leaf, or the refusal that the transaction decided.
type Decided = Result<Recording, Refusal>;

/// A repeatable change, as its refusal names it.
struct Asked<'a> {
    retry: &'a Retry,
    operation: Operation,
    statement: &'a Statement,
}

impl<'a> Write<'a> {
    pub(super) fn new(rows: Rows<'a>, state: &'a mut State, now_ms: u64) -> Self {
        let time_ms = now_ms.max(state.last_ms);
        Self { rows, state, time_ms, completed: Vec::new() }
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
            Change::KeyIntent(leaf) => self.open_intent(leaf).map(Outcome::Recorded),
            Change::KeyOutcome(leaf) => self.close_intent(leaf).map(Outcome::Recorded),
            Change::RollbackShown(leaf) => self.halt(leaf).map(Outcome::Recorded),
            Change::BundleMade(leaf) => self.make_bundle(leaf).map(Outcome::Recorded),
            Change::ReadEntries(leaf) => {
                self.flush(&leaf.reader)?;
                self.append(LeafKind::EntriesRead, leaf).map(Outcome::Recorded)
            }
            Change::Refused(leaf) => self.refused(leaf),
            Change::RefusedUnknown => self.count_refusals(1, false),
            Change::CountRefusals { unknown, all } => self.count_refusals(*unknown, *all),
            Change::OpenStation { retry, station, exchange, life_ms, statement } => {
                let asked = Asked { retry, operation: Operation::StationOpen, statement };
                self.once(&asked, |write| {
                    let leaf = StationOpenedLeaf {
                        schema: Schema,
                        station: station.clone(),
                        exchange: *exchange,
                        expires_at_ms: write.time_ms.saturating_add(*life_ms),
                        statement: statement.clone(),
                    };
                    write.append(LeafKind::StationOpened, &leaf).map(Ok)
                })
            }
            Change::DeriveCardKeys { retry, leaf } => {
                let asked = Asked { retry, operation: Operation::CardDerive, statement: &leaf.statement };
                self.once(&asked, |write| write.append(LeafKind::CardKeysDerived, leaf).map(Ok))
            }
            Change::UpdateValue { retry, request, rules, terminal, statement } => {
                let asked = Asked { retry, operation: Operation::ValueUpdate, statement };
                self.once(&asked, |write| write.update_value(request, rules, terminal, statement))
            }
        }
    }

    /// Ends the batch's writing, before the commit; gives what its leaves completed.
    pub(super) fn finish(mut self) -> Result<Vec<Completed>, LedgerFault> {
        // A batch without leaves writes nothing, so that its commit costs nothing.
        if self.completed.is_empty() {
            return Ok(self.completed);
        }
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
        Ok(self.completed)
    }

    /// The tags; their key is made with the first change that needs them.
    fn tags(&mut self) -> Result<Arc<Tags>, LedgerFault> {
        if let Some(tags) = self.state.tags.known() {
            return Ok(tags);
        }
        let tags = if let Some((id, sealed)) = self.rows.tags_key()? {
            self.state.tags_sealed = Some(id);
            Tags::unsealed(&self.state.seals, id, &sealed)?
        } else {
            let tags = Tags::generate(&self.state.random)?;
            self.put_tags(&tags)?;
            tags
        };
        Ok(self.state.tags.keep(tags))
    }

    fn put_tags(&mut self, tags: &Tags) -> Result<(), LedgerFault> {
        let (id, sealed) = tags.sealed(&self.state.seals, &self.state.random)?;
        self.rows.put_tags_key(id, &sealed)?;
        self.state.tags_sealed = Some(id);
        Ok(())
    }

    fn append<T: Serialize>(&mut self, kind: LeafKind, payload: &T) -> Result<Recording, LedgerFault> {
        let payload = cbor::encode(payload);
        if payload.len() > LEAF_PAYLOAD_LEN_MAX {
            return Err(LedgerFault::TooLong { found: payload.len() });
        }
        let (index, time_ms) = (self.state.frontier.size(), self.time_ms);
        let (salt, nonce) = fresh(&self.state.random)?;
        let payload_digest = LeafEntry::digest_of(&salt, &payload);
        let entry = cbor::encode(&LeafEntry { schema: Schema, index, time_ms, kind, payload_digest });
        let sealed = match kind.class() {
            RetentionClass::Permanent => None,
            RetentionClass::Operational => Some(self.state.seals.seal(index, nonce, &payload)?),
        };
        // Nothing is kept before this line; from here on only the store can fail.
        let completed = self.state.frontier.append(leaf_hash(&entry));
        self.state.last_ms = time_ms;
        let leaf = Recording { index, time_ms, entry, salt, payload, retried: false };
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
        let leaf = self.append(LeafKind::Founding, founding)?;
        for key in founding.keys.iter() {
            self.rows.put_key(key, leaf.index)?;
        }
        Ok(leaf)
    }

    fn open_intent(&mut self, intent: &KeyIntentLeaf) -> Result<Recording, LedgerFault> {
        let leaf = self.append(LeafKind::KeyIntent, intent)?;
        self.rows.put_intent(leaf.index, intent)?;
        Ok(leaf)
    }

    fn close_intent(&mut self, outcome: &KeyOutcomeLeaf) -> Result<Recording, LedgerFault> {
        if !self.rows.is_open_intent(outcome.intent)? {
            return Err(LedgerFault::NoIntent { intent: outcome.intent });
        }
        let leaf = self.append(LeafKind::KeyOutcome, outcome)?;
        self.rows.close_intent(outcome.intent)?;
        self.rows.put_key(&outcome.key, leaf.index)?;
        Ok(leaf)
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

    /// Carries out a repeatable change the first time, and finds its leaf every later time.
    fn once(
        &mut self,
        asked: &Asked<'_>,
        make: impl FnOnce(&mut Self) -> Result<Decided, LedgerFault>,
    ) -> Result<Outcome, LedgerFault> {
        self.flush(&asked.retry.principal)?;
        if self.state.halted.is_some() {
            return self.refuse(asked, Refusal::HistoryRolledBack);
        }
        let tags = self.tags()?;
        let tag = tags.of_idem(&asked.retry.principal, &asked.retry.idem);
        let request = tags.of_request(&asked.retry.payload_digest);
        match self.rows.idem(&tag)? {
            Some((leaf, same)) if same == request => {
                let leaf = self.rows.recording(leaf, &self.state.seals)?;
                return Ok(Outcome::Recorded(Recording { retried: true, ..leaf }));
            }
            Some(_) => return self.refuse(asked, Refusal::IdemConflict),
            None => {}
        }
        match make(self)? {
            Ok(leaf) => {
                self.rows.put_idem(&tag, &request, leaf.index, leaf.time_ms)?;
                self.state.oldest_idem_ms.get_or_insert(leaf.time_ms);
                Ok(Outcome::Recorded(leaf))
            }
            Err(refusal) => self.refuse(asked, refusal),
        }
    }

    fn update_value(
        &mut self,
        request: &UpdateValue,
        rules: &PurseRules,
        terminal: &Name,
        statement: &Statement,
    ) -> Result<Decided, LedgerFault> {
        let tag = self.tags()?.of_purse(&request.programme, &request.card, request.purse);
        let purse = self.rows.purse(&tag)?;
        let facts = Facts { terminal, time_ms: self.time_ms };
        let update = match next_update(purse.as_ref(), request, rules, facts) {
            Ok(update) => update,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let payload = cbor::encode(&update);
        let link = ValueUpdate::link(&payload);
        let update_len = payload.len();
        let payload = Blob::try_from(payload).map_err(|_| LedgerFault::TooLong { found: update_len })?;
        let leaf = ValueUpdatedLeaf { schema: Schema, update: payload, statement: statement.clone() };
        let leaf = self.append(LeafKind::ValueUpdated, &leaf)?;
        let purse = Purse { seq: update.seq, balance: update.balance_after, link, leaf: leaf.index };
        self.rows.put_purse(&tag, &purse)?;
        Ok(Ok(leaf))
    }

    fn refuse(&mut self, asked: &Asked<'_>, refusal: Refusal) -> Result<Outcome, LedgerFault> {
        let leaf = RefusedLeaf {
            schema: Schema,
            principal: asked.retry.principal.clone(),
            operation: asked.operation,
            refusal,
            request: sha256(&[asked.statement.0.as_bytes()]),
        };
        self.refused(&leaf)?;
        Ok(Outcome::Refused(leaf.refusal))
    }

    fn refused(&mut self, leaf: &RefusedLeaf) -> Result<Outcome, LedgerFault> {
        self.flush(&leaf.principal)?;
        if !self.state.refusals.admit(&leaf.principal, self.time_ms) {
            return Ok(Outcome::Counted);
        }
        self.append(LeafKind::Refused, leaf).map(Outcome::Recorded)
    }

    /// Writes what was counted of a caller in a minute that is over, before its next leaf.
    fn flush(&mut self, principal: &Name) -> Result<(), LedgerFault> {
        match self.state.refusals.due_of(principal, self.time_ms) {
            Some(leaf) => self.append_counted(&leaf),
            None => Ok(()),
        }
    }

    fn count_refusals(&mut self, unknown: u64, all: bool) -> Result<Outcome, LedgerFault> {
        self.state.refusals.add_nameless(unknown);
        // Before the founding there is no log to write them to.
        if self.state.frontier.size() != 0 {
            for leaf in self.state.refusals.due(self.time_ms, all) {
                self.append_counted(&leaf)?;
            }
        }
        Ok(Outcome::Counted)
    }

    fn append_counted(&mut self, leaf: &RefusalsCountedLeaf) -> Result<(), LedgerFault> {
        self.append(LeafKind::RefusalsCounted, leaf).map(|_| ())
    }
}
