//! Keys made after the founding: each outcome follows one open intent, and makes what was intended.

use crate::{
    finding::{KeyProblem, Problem},
    key_check::is_sound,
};
use keysvc_protocol::{
    bytes::ObjectIdentifier,
    key::KeyRecord,
    leaf::{KeyIntentLeaf, KeyOutcomeLeaf},
    list::{List, WrongCount},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most keys that are kept for a later run: a storage key for each of 20 jobs a day for nine years.
const KEPT_MAX: usize = 1 << 16;

/// An intent without an outcome as a later run needs it; without its content where that is withheld.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedIntent {
    leaf: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent: Option<KeyIntentLeaf>,
}

/// What a later run needs of the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedKeys {
    made: List<KeyRecord, KEPT_MAX>,
    open: List<SavedIntent, KEPT_MAX>,
    ids: List<ObjectIdentifier, KEPT_MAX>,
}

/// The keys known so far, and the intents without an outcome.
#[derive(Debug)]
pub(super) struct Keys {
    made: Vec<KeyRecord>,
    // None for an intent whose payload is withheld: its outcome cannot be compared with it.
    open: BTreeMap<u64, Option<KeyIntentLeaf>>,
    ids: BTreeSet<ObjectIdentifier>,
}

impl Keys {
    /// The founding's keys.
    pub(super) fn new(founded: &[KeyRecord]) -> Self {
        let ids = founded.iter().map(|key| key.id).collect();
        Self { made: founded.to_vec(), open: BTreeMap::new(), ids }
    }

    /// What a later run needs.
    pub(super) fn save(&self) -> Result<SavedKeys, WrongCount> {
        let open = self.open.iter().map(|(leaf, intent)| SavedIntent { leaf: *leaf, intent: intent.clone() });
        Ok(SavedKeys {
            made: self.made.clone().try_into()?,
            open: open.collect::<Vec<_>>().try_into()?,
            ids: self.ids.iter().copied().collect::<Vec<_>>().try_into()?,
        })
    }

    /// The keys as an earlier run left them.
    pub(super) fn restore(saved: SavedKeys) -> Self {
        let open = saved.open.into_vec().into_iter().map(|saved| (saved.leaf, saved.intent));
        Self { made: saved.made.into_vec(), open: open.collect(), ids: saved.ids.iter().copied().collect() }
    }

    pub(super) fn intent(&mut self, index: u64, intent: &KeyIntentLeaf) -> Result<(), Problem> {
        self.open.insert(index, Some(intent.clone()));
        if self.ids.insert(intent.id) { Ok(()) } else { Err(KeyProblem::IdTwice(intent.id).into()) }
    }

    pub(super) fn intent_not_seen(&mut self, index: u64) {
        self.open.insert(index, None);
    }

    pub(super) fn outcome(&mut self, outcome: KeyOutcomeLeaf) -> Result<(), Problem> {
        let KeyOutcomeLeaf { intent, key, .. } = outcome;
        let intended = self.open.remove(&intent).ok_or(KeyProblem::NoIntent { intent })?;
        let as_intended = intended.is_none_or(|intended| {
            (intended.id, intended.kind, intended.version) == (key.id, key.kind, key.version)
                && intended.name == key.name
        });
        if !as_intended || !is_sound(&key) {
            return Err(KeyProblem::NotAsIntended { intent }.into());
        }
        self.made.push(key);
        Ok(())
    }

    /// The intents without an outcome: leaf, and the key in words.
    pub(super) fn open_intents(&self) -> Vec<(u64, String)> {
        let words = |intent: &Option<KeyIntentLeaf>| match intent {
            Some(intent) => format!("{} {} version {}", intent.kind, intent.name, intent.version),
            None => "withheld".to_owned(),
        };
        self.open.iter().map(|(index, intent)| (*index, words(intent))).collect()
    }
}
