//! The keys' states, and the orders to make and destroy them.

use super::Import;
use crate::{
    bytes::ObjectIdentifier,
    key::{CheckValue, KeyEvent, KeyKind, KeyState},
    leaf::{FoundingLeaf, KeyDestroyedLeaf, KeyIntentLeaf, KeyOutcomeLeaf},
    name::Name,
    refusal::{Conflict, Invalid, Refusal, Thing},
};
use alloc::collections::BTreeMap;
use serde::Serialize;

/// A key as the log has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyStanding {
    /// What it is for.
    pub kind: KeyKind,
    /// Its state.
    pub state: KeyState,
    /// `CKA_ID` in the token.
    pub id: ObjectIdentifier,
    /// The leaf of the intent to destroy it, while its outcome is not in the log.
    pub destroying: Option<u64>,
}

/// An order to make a key, agreed by a quorum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// The key's name.
    pub name: Name,
    /// The version it gets.
    pub version: u32,
    /// What it is for.
    pub kind: KeyKind,
    /// Whether it is made.
    pub made: bool,
    /// Where it comes in as components; else the token makes it.
    pub import: Option<Import>,
}

/// The keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    standings: BTreeMap<(Name, u32), KeyStanding>,
    orders: BTreeMap<u64, Order>,
    intents: BTreeMap<u64, KeyIntentLeaf>,
}

impl Serialize for Keys {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lists = (
            self.standings.iter().collect::<alloc::vec::Vec<_>>(),
            self.orders.iter().collect::<alloc::vec::Vec<_>>(),
            self.intents.iter().collect::<alloc::vec::Vec<_>>(),
        );
        lists.serialize(serializer)
    }
}

impl Keys {
    pub(super) fn found(leaf: &FoundingLeaf) -> Self {
        let standings = leaf.keys.iter().map(|key| {
            let standing = KeyStanding { kind: key.kind, state: key.state, id: key.id, destroying: None };
            ((key.name.clone(), key.version), standing)
        });
        Self { standings: standings.collect(), ..Self::default() }
    }

    /// All keys, by name and version.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, u32, &KeyStanding)> {
        self.standings.iter().map(|((name, version), standing)| (name, *version, standing))
    }

    /// One key.
    #[must_use]
    pub fn get(&self, name: &Name, version: u32) -> Option<&KeyStanding> {
        self.standings.get(&(name.clone(), version))
    }

    /// The newest version of a key that protects: the one that signs, or under which cards are issued.
    #[must_use]
    pub fn newest_active(&self, name: &Name) -> Option<u32> {
        let versions = self.standings.range((name.clone(), 0)..=(name.clone(), u32::MAX)).rev();
        versions.into_iter().find(|(_, key)| key.state.protects()).map(|((_, version), _)| *version)
    }

    /// The orders to make keys, by their acts' leaves.
    pub fn orders(&self) -> impl Iterator<Item = (u64, &Order)> {
        self.orders.iter().map(|(leaf, order)| (*leaf, order))
    }

    /// The order that the act of this leaf gave.
    #[must_use]
    pub fn order(&self, leaf: u64) -> Option<&Order> {
        self.orders.get(&leaf)
    }

    /// The keys whose destruction has an intent and no outcome.
    pub fn destroying(&self) -> impl Iterator<Item = (&Name, u32, &KeyStanding)> {
        self.iter().filter(|(_, _, key)| key.destroying.is_some())
    }

    pub(super) fn may_order(&self, name: &Name, kind: KeyKind) -> Result<u32, Refusal> {
        if !matches!(kind, KeyKind::CardMaster | KeyKind::ValueSigning) {
            return Err(Refusal::Invalid { reason: Invalid::Items });
        }
        let made = self.standings.range((name.clone(), 0)..=(name.clone(), u32::MAX)).next_back();
        if made.is_some_and(|(_, key)| key.kind != kind) || is_reserved(name) {
            return Err(Refusal::StateConflict { reason: Conflict::NameTaken });
        }
        let ordered = self.orders.values().filter(|order| order.name == *name);
        if ordered.clone().any(|order| order.kind != kind) {
            return Err(Refusal::StateConflict { reason: Conflict::NameTaken });
        }
        let newest = made.map_or(0, |((_, version), _)| *version);
        let newest = ordered.map(|order| order.version).chain([newest]).max().unwrap_or(0);
        newest.checked_add(1).ok_or(Refusal::StateConflict { reason: Conflict::Full })
    }

    pub(super) fn order_key(
        &mut self,
        leaf: u64,
        (name, kind): (Name, KeyKind),
        import: Option<Import>,
    ) -> Result<(), Refusal> {
        let version = self.may_order(&name, kind)?;
        self.orders.insert(leaf, Order { name, version, kind, made: false, import });
        Ok(())
    }

    /// Takes note of a component that was given.
    pub(super) fn given(&mut self, order: u64, number: u8, leaf: u64) {
        if let Some(import) = self.orders.get_mut(&order).and_then(|order| order.import.as_mut()) {
            import.given.insert(number, leaf);
        }
    }

    pub(super) fn intend(&mut self, index: u64, intent: &KeyIntentLeaf) -> Result<(), Refusal> {
        let ordered = self.orders.values().any(|order| {
            !order.made
                && order.import.as_ref().is_none_or(Import::is_complete)
                && (&order.name, order.version, order.kind) == (&intent.name, intent.version, intent.kind)
        });
        let known = self.get(&intent.name, intent.version).is_some();
        // Storage keys are the service's own affair; under a name of theirs they can stand in nobody's way.
        let of_storage = intent.kind == KeyKind::Storage && intent.name.as_str().starts_with("storage");
        if known || !(ordered || of_storage) {
            return Err(Refusal::StateConflict { reason: Conflict::Precondition });
        }
        self.intents.insert(index, intent.clone());
        Ok(())
    }

    pub(super) fn made(&mut self, outcome: &KeyOutcomeLeaf) -> Result<(), Refusal> {
        let wrong = Refusal::StateConflict { reason: Conflict::Precondition };
        let Some(intent) = self.intents.get(&outcome.intent) else { return Err(wrong) };
        let key = &outcome.key;
        let born = if intent.kind == KeyKind::Storage { KeyState::Active } else { KeyState::PreActivation };
        if (&key.name, key.version, key.kind, key.id, key.state)
            != (&intent.name, intent.version, intent.kind, intent.id, born)
            || self.get(&key.name, key.version).is_some()
        {
            return Err(wrong);
        }
        let ordered = |order: &&Order| order.name == key.name && order.version == key.version;
        let import = self.orders.values().find(ordered).and_then(|order| order.import.as_ref());
        if import.is_some_and(|import| key.check != (CheckValue::Cmac { value: import.check })) {
            return Err(wrong);
        }
        let standing = KeyStanding { kind: key.kind, state: key.state, id: key.id, destroying: None };
        self.standings.insert((key.name.clone(), key.version), standing);
        self.intents.remove(&outcome.intent);
        for order in self.orders.values_mut() {
            order.made |= order.name == key.name && order.version == key.version;
        }
        Ok(())
    }

    /// The state after an event, for keys that people may move.
    pub(super) fn after(&self, name: &Name, version: u32, event: KeyEvent) -> Result<KeyState, Refusal> {
        let key = self.get(name, version).ok_or(Refusal::NotFound { what: Thing::Key })?;
        if !matches!(key.kind, KeyKind::CardMaster | KeyKind::ValueSigning) {
            return Err(Refusal::Invalid { reason: Invalid::Items });
        }
        let conflict = Refusal::StateConflict { reason: Conflict::KeyState { state: key.state } };
        key.state.after(event).map_err(|_| conflict)
    }

    pub(super) fn step(&mut self, name: &Name, version: u32, event: KeyEvent) -> Result<(), Refusal> {
        let state = self.after(name, version, event)?;
        if let Some(key) = self.standings.get_mut(&(name.clone(), version)) {
            key.state = state;
        }
        Ok(())
    }

    pub(super) fn destroy(&mut self, name: &Name, version: u32, intent: u64) -> Result<(), Refusal> {
        self.step(name, version, KeyEvent::Destroy)?;
        if let Some(key) = self.standings.get_mut(&(name.clone(), version)) {
            key.destroying = Some(intent);
        }
        Ok(())
    }

    pub(super) fn destroyed(&mut self, leaf: &KeyDestroyedLeaf) -> Result<(), Refusal> {
        let wrong = Refusal::StateConflict { reason: Conflict::Precondition };
        let Some(key) = self.standings.get_mut(&(leaf.name.clone(), leaf.version)) else {
            return Err(wrong);
        };
        // A job's end is its own intent: the key under which its data lies ends with it, without a delay of its own.
        let ends_with_its_job =
            is_of_job(&leaf.name, key.kind) && key.state == KeyState::Active && key.destroying.is_none();
        if !(ends_with_its_job || key.destroying == Some(leaf.intent)) || key.id != leaf.id {
            return Err(wrong);
        }
        key.state = KeyState::Destroyed;
        key.destroying = None;
        Ok(())
    }
}

/// What the names of jobs' storage keys begin with; the job's name follows.
pub const STORAGE_OF_JOB: &str = "storage.job.";

/// Whether a key is the one under which a job's data lies.
fn is_of_job(name: &Name, kind: KeyKind) -> bool {
    kind == KeyKind::Storage && name.as_str().starts_with(STORAGE_OF_JOB)
}

/// Names of the service's own keys.
fn is_reserved(name: &Name) -> bool {
    ["statement", "checkpoint"].contains(&name.as_str()) || name.as_str().starts_with("storage")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bytes::ShortCheck, key::KeyRecord, list::List, schema::Schema};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn destroyed(intent: u64, key: &str, id: u8) -> KeyDestroyedLeaf {
        KeyDestroyedLeaf {
            schema: Schema,
            intent,
            name: name(key),
            version: 1,
            id: ObjectIdentifier::new([id; 16]),
        }
    }

    /// Keys with one of this name and kind, in use.
    fn with(key: &str, kind: KeyKind) -> Keys {
        let mut keys = Keys::default();
        let id = ObjectIdentifier::new([7; 16]);
        let standing = KeyStanding { kind, state: KeyState::Active, id, destroying: None };
        keys.standings.insert((name(key), 1), standing);
        keys
    }

    #[test]
    fn a_jobs_storage_key_ends_with_its_job_and_only_once() {
        let mut keys = with("storage.job.nfc-1", KeyKind::Storage);
        assert!(keys.destroyed(&destroyed(40, "storage.job.nfc-1", 8)).is_err(), "another identifier");
        assert!(keys.destroyed(&destroyed(40, "storage.job.nfc-2", 7)).is_err(), "another job");
        keys.destroyed(&destroyed(40, "storage.job.nfc-1", 7)).unwrap();
        let key = keys.get(&name("storage.job.nfc-1"), 1).unwrap();
        assert_eq!((key.state, key.destroying), (KeyState::Destroyed, None));
        assert!(keys.destroyed(&destroyed(40, "storage.job.nfc-1", 7)).is_err(), "destroyed twice");
    }

    #[test]
    fn no_other_key_in_use_is_destroyed_without_an_intent() {
        for (key, kind) in [
            ("storage.operational.2026-11", KeyKind::Storage),
            ("storage.incident.2026-11", KeyKind::Storage),
            ("storage.job", KeyKind::Storage),
            ("storage.job.nfc-1", KeyKind::CardMaster),
            ("value-1", KeyKind::ValueSigning),
        ] {
            let mut keys = with(key, kind);
            assert!(keys.destroyed(&destroyed(40, key, 7)).is_err(), "{key}");
            assert_eq!(keys.get(&name(key), 1).map(|key| key.state), Some(KeyState::Active), "{key}");
        }
    }

    #[test]
    fn a_key_whose_destruction_was_agreed_is_destroyed_under_its_own_intent_only() {
        let mut keys = with("value-1", KeyKind::ValueSigning);
        keys.step(&name("value-1"), 1, KeyEvent::Deactivate).unwrap();
        keys.destroy(&name("value-1"), 1, 9).unwrap();
        assert!(keys.destroyed(&destroyed(10, "value-1", 7)).is_err());
        assert_eq!(keys.destroying().count(), 1);
        keys.destroyed(&destroyed(9, "value-1", 7)).unwrap();
        let state = keys.get(&name("value-1"), 1).map(|key| (key.state, key.destroying));
        assert_eq!(state, Some((KeyState::Destroyed, None)));
    }

    #[test]
    fn a_jobs_storage_key_is_made_like_any_other_of_the_services_own() {
        let mut keys = Keys::default();
        let (id, kind) = (ObjectIdentifier::new([7; 16]), KeyKind::Storage);
        let intent = KeyIntentLeaf { schema: Schema, id, kind, name: name("storage.job.nfc-1"), version: 1 };
        keys.intend(3, &intent).unwrap();
        let key = KeyRecord {
            schema: Schema,
            name: intent.name.clone(),
            version: 1,
            kind,
            state: KeyState::Active,
            id,
            check: CheckValue::Kw { value: ShortCheck::new([1; 5]) },
            test_key: false,
            made_at_ms: 1,
            attributes: List::default(),
            public: None,
        };
        keys.made(&KeyOutcomeLeaf { schema: Schema, intent: 3, key }).unwrap();
        keys.destroyed(&destroyed(40, "storage.job.nfc-1", 7)).unwrap();
        // Its name never comes back.
        assert!(keys.intend(41, &intent).is_err());
    }
}
