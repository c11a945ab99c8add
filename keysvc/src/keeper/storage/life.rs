//! Keys made and destroyed in the token while the service runs, each between an intent and an outcome in the log.
//!
//! Whether one may be made or destroyed was decided before: an order is a quorum's act, a destruction a quorum's act that
//! has waited. All of it can be asked again: after a crash, what is done is found done.

use super::Storage;
use crate::{
    error::{Fault, NotDone},
    keeper::{
        imports::Running,
        ledger::{Change, Outcome, Reader, Sequencer, Settled},
        manifest,
    },
};
use keysvc_protocol::{
    bytes::ObjectIdentifier,
    control::{KeyStanding, Order},
    key::{KeyKind, KeyRecord, KeyState},
    leaf::{KeyDestroyedLeaf, KeyIntentLeaf, KeyOutcomeLeaf},
    name::Name,
    refusal::Refusal,
    schema::Schema,
};
use keysvc_token::{Destroyed, ObjectId};

/// What became of a key that was to be made.
enum Made {
    /// It was made; the commits' heads are to be signed.
    Now(Box<KeyRecord>, Vec<Settled>),
    /// The ledger refused its intent or its outcome, and nothing of it is left in the token.
    Not(Refusal, Vec<Settled>),
}

impl Storage<'_> {
    /// Makes the month's storage key: intent, key, outcome. Gives the key's record and the commits, whose heads
    /// are to be signed.
    ///
    /// # Errors
    /// [`Fault`] of store or token; an intent without outcome stays in the log and its object is never used.
    pub async fn make_month(
        &self,
        sequencer: &Sequencer,
        name: Name,
        now_ms: u64,
    ) -> Result<(KeyRecord, Vec<Settled>), Fault> {
        match self.make_own(sequencer, name, now_ms).await? {
            (Some(record), settled) => Ok((record, settled)),
            (None, _) => Err(Fault::Invariant("the ledger refused the month's storage key")),
        }
    }

    /// Makes a storage key: intent, key, outcome. Gives no record where the ledger refused it, and nothing of it is then
    /// left in the token.
    ///
    /// # Errors
    /// [`Fault`] of store or token; an intent without outcome stays in the log and its object is never used.
    pub(super) async fn make_own(
        &self,
        sequencer: &Sequencer,
        name: Name,
        now_ms: u64,
    ) -> Result<(Option<KeyRecord>, Vec<Settled>), Fault> {
        let order = self.order(name, 1, KeyKind::Storage)?;
        let make = |order: &_| manifest::make(self.token, order, now_ms);
        Ok(match self.made(sequencer, order, make).await? {
            Made::Now(record, settled) => (Some(*record), settled),
            Made::Not(_, settled) => (None, settled),
        })
    }

    /// Makes the key that people ordered: intent, key in its first state, outcome. Gives its record and the commits, whose
    /// heads are to be signed. An order that is carried out already gives the key on record.
    ///
    /// # Errors
    /// [`Fault`] of store or token; an intent without outcome stays in the log and its object is never used.
    pub async fn create_key(
        &self,
        sequencer: &Sequencer,
        order: &Order,
        now_ms: u64,
    ) -> Result<(KeyRecord, Vec<Settled>), Fault> {
        let control = sequencer.control();
        if control.is_some_and(|control| control.keys().get(&order.name, order.version).is_some()) {
            return Ok((self.on_record(order)?, Vec::new()));
        }
        if order.import.is_some() {
            return Err(Fault::Invariant("a key that comes in as components is to be made in the token"));
        }
        let ordered = self.order(order.name.clone(), order.version, order.kind)?;
        let make = |order: &_| manifest::make(self.token, order, now_ms);
        match self.made(sequencer, ordered, make).await? {
            Made::Now(record, settled) => {
                tracing::info!(key = %record.name, version = record.version, "a key was made");
                Ok((*record, settled))
            }
            // Another was quicker with the same order.
            Made::Not(refusal, settled) => {
                tracing::info!(key = %order.name, version = order.version, %refusal, "a key was made already");
                Ok((self.on_record(order)?, settled))
            }
        }
    }

    /// Makes the key whose components are all there: intent, key in its first state, outcome. Gives its record and the
    /// commits, whose heads are to be signed. The value is there only while the token takes it.
    ///
    /// # Errors
    /// [`Fault`] of store or token; an intent without outcome stays in the log and its object is never used.
    pub async fn import_key(
        &self,
        sequencer: &Sequencer,
        order: &Order,
        components: &Running,
        now_ms: u64,
    ) -> Result<(KeyRecord, Vec<Settled>), Fault> {
        // What an interrupted making left is this very key under another identifier.
        self.destroy_unfinished((&order.name, order.version))?;
        let ordered = self.order(order.name.clone(), order.version, order.kind)?;
        let make = |order: &_| {
            let value = components.value(self.token).map_err(|not| match not {
                NotDone::Fault(fault) => fault,
                NotDone::Refused(_) => Fault::Invariant("components that were judged do not make their key"),
            })?;
            manifest::import(self.token, order, &value, now_ms)
        };
        match self.made(sequencer, ordered, make).await? {
            Made::Now(record, settled) => {
                tracing::info!(key = %record.name, version = record.version, "a key was made of its components");
                Ok((*record, settled))
            }
            Made::Not(..) => Err(Fault::Invariant("the ledger refused a key whose components are all there")),
        }
    }

    /// Destroys what interrupted makings of this version left in the token: objects of intents without an outcome, which
    /// nothing uses. Of a key that came in as components such an object is the key itself.
    ///
    /// # Errors
    /// [`Fault`] of store or token; it is then to be asked again.
    pub fn destroy_unfinished(&self, (name, version): (&Name, u32)) -> Result<(), Fault> {
        let open = Reader::open(self.store)?.open_intents()?;
        let own = |intent: &KeyIntentLeaf| intent.name == *name && intent.version == version;
        for (leaf, intent) in open.into_iter().filter(|(_, intent)| own(intent)) {
            let id = ObjectId(*intent.id.as_bytes());
            if let Destroyed::Now(_) = self.token.destroy(manifest::token_kind(intent.kind), id)? {
                tracing::warn!(key = %name, version, %id, leaf, "what an interrupted making left is destroyed");
                self.sync()?;
            }
        }
        Ok(())
    }

    /// An order with a fresh identifier.
    fn order(&self, name: Name, version: u32, kind: KeyKind) -> Result<manifest::Order, Fault> {
        let mut id = [0; 16];
        self.token.random(&mut id)?;
        let born = if kind == KeyKind::Storage { KeyState::Active } else { KeyState::PreActivation };
        Ok(manifest::Order { name, version, kind, id: ObjectIdentifier::new(id), born, known: None })
    }

    /// Intent, key, outcome.
    async fn made(
        &self,
        sequencer: &Sequencer,
        order: manifest::Order,
        by: impl FnOnce(&manifest::Order) -> Result<KeyRecord, Fault> + Send,
    ) -> Result<Made, Fault> {
        let (id, kind) = (order.id, order.kind);
        let name = order.name.clone();
        let intent = KeyIntentLeaf { schema: Schema, id, kind, name, version: order.version };
        let intended = sequencer.submit(Change::KeyIntent(intent)).await?;
        let index = match &intended.outcome {
            Outcome::Recorded(intent) => intent.index,
            Outcome::Refused(refusal) => return Ok(Made::Not(refusal.clone(), vec![intended])),
            Outcome::Counted => return Err(Fault::Invariant("an intent has no leaf")),
        };
        let record = by(&order)?;
        self.sync()?;
        let outcome = KeyOutcomeLeaf { schema: Schema, intent: index, key: record.clone() };
        let made = sequencer.submit(Change::KeyOutcome(outcome)).await?;
        if let Outcome::Refused(refusal) = &made.outcome {
            let refusal = refusal.clone();
            // Nobody will ever use it.
            self.token.destroy(manifest::token_kind(kind), ObjectId(*id.as_bytes()))?;
            self.sync()?;
            return Ok(Made::Not(refusal, vec![intended, made]));
        }
        Ok(Made::Now(Box::new(record), vec![intended, made]))
    }

    /// Makes a destruction durable and looks whether it is one.
    ///
    /// # Errors
    /// [`Fault::Refusing`] when the token still holds something of the key.
    pub(super) fn must_be_gone(&self, (name, version): (&Name, u32), id: ObjectId) -> Result<(), Fault> {
        // Before the outcome is on record: the token itself syncs nothing.
        self.sync()?;
        if self.token.inventory()?.iter().any(|object| object.id == Some(id)) {
            return Err(Fault::Refusing(format!(
                "the token says that the key {name} version {version} ({id}) is destroyed, and still holds it"
            )));
        }
        Ok(())
    }

    fn on_record(&self, order: &Order) -> Result<KeyRecord, Fault> {
        let records = Reader::open(self.store)?.keys()?;
        let made = records.into_iter().find(|key| key.name == order.name && key.version == order.version);
        made.ok_or(Fault::Invariant("the ledger refused a key that was ordered"))
    }

    /// Destroys a key whose destruction has its intent in the log, and records the outcome once nothing of it is left. No
    /// thread may hold the key any more. What is destroyed already still gets its outcome.
    ///
    /// # Errors
    /// [`Fault`] of store or token; it is then to be asked again.
    pub async fn destroy_key(
        &self,
        sequencer: &Sequencer,
        (name, version): (&Name, u32),
        key: &KeyStanding,
    ) -> Result<Settled, Fault> {
        let intent = key.destroying.ok_or(Fault::Invariant("a key is destroyed without an intent"))?;
        let id = ObjectId(*key.id.as_bytes());
        let destroyed = self.token.destroy(manifest::token_kind(key.kind), id)?;
        self.destroy_unfinished((name, version))?;
        self.must_be_gone((name, version), id)?;
        let leaf = KeyDestroyedLeaf { schema: Schema, intent, name: name.clone(), version, id: key.id };
        let settled = sequencer.submit(Change::KeyDestroyed(leaf)).await?;
        if !matches!(settled.outcome, Outcome::Recorded(_)) {
            return Err(Fault::Invariant("the outcome of a key's destruction was refused"));
        }
        let before = destroyed == Destroyed::Before;
        tracing::warn!(key = %name, version, %id, before, "a key is destroyed");
        Ok(settled)
    }
}
