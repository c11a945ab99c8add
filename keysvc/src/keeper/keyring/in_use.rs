//! The keys whose states people move: value keys and card masters, each found in the token once while its state
//! processes.
//!
//! Whether one may be used is read from the log's state at each use ([`Control`]), so that a key that was suspended a
//! moment ago does nothing more, whatever is held here. Who may have cards derived under a retired master is the
//! ledger's to decide.

use super::signer::Signer;
use crate::error::{Fault, NotDone};
use arc_swap::ArcSwap;
use keysvc_protocol::{
    bytes::ObjectIdentifier,
    control::{Control, KeyStanding, Keys as Standings},
    key::{KeyKind, KeyRecord, KeyState},
    name::Name,
    refusal::{Conflict, Refusal},
};
use keysvc_token::{MasterKey, ObjectId, Token};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

type Version = (Name, u32);

#[derive(Debug, Clone, Default)]
struct Keys {
    values: HashMap<Version, Arc<Signer>>,
    masters: HashMap<Version, Arc<MasterKey>>,
}

#[derive(Debug)]
pub(super) struct InUse {
    token: Token,
    keys: ArcSwap<Keys>,
    // Held while the keys change. What was let go and may still be in use by a thread that took it before.
    leaving: Mutex<Leaving>,
}

#[derive(Debug, Default)]
struct Leaving {
    values: Vec<Weak<Signer>>,
    masters: Vec<Weak<MasterKey>>,
}

impl InUse {
    /// Finds every key of the manifest whose state processes.
    pub(super) fn open(token: Token, records: &[KeyRecord]) -> Result<Self, Fault> {
        let mut keys = Keys::default();
        for record in records.iter().filter(|record| record.state.processes()) {
            keys.find(&token, (&record.name, record.version), (record.kind, &record.id))?;
        }
        Ok(Self { token, keys: ArcSwap::from_pointee(keys), leaving: Mutex::default() })
    }

    /// Lets go of keys whose state no longer processes, and finds those whose state does now.
    pub(super) fn reload(&self, records: &[KeyRecord], standings: &Standings) -> Result<(), Fault> {
        let mut leaving = self.leaving()?;
        let before = self.keys.load_full();
        let mut keys = Keys::clone(&before);
        // Both: a record read before the last commit is not to bring a key back.
        let processes = |name: &Name, version| {
            let on_record = records.iter().find(|record| record.name == *name && record.version == version);
            on_record.is_some_and(|record| record.state.processes())
                && standings.get(name, version).is_some_and(|key| key.state.processes())
        };
        keys.values.retain(|(name, version), _| processes(name, *version));
        keys.masters.retain(|(name, version), _| processes(name, *version));
        for record in records.iter().filter(|record| processes(&record.name, record.version)) {
            keys.find(&self.token, (&record.name, record.version), (record.kind, &record.id))?;
        }
        let values = before.values.iter().filter(|(key, _)| !keys.values.contains_key(*key));
        leaving.values.extend(values.map(|(_, signer)| Arc::downgrade(signer)));
        let masters = before.masters.iter().filter(|(key, _)| !keys.masters.contains_key(*key));
        leaving.masters.extend(masters.map(|(_, master)| Arc::downgrade(master)));
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// Whether no thread uses a key any more that was let go: only then may one be destroyed in the token, for a call
    /// with a dead handle ends the process.
    pub(super) fn is_settled(&self) -> Result<bool, Fault> {
        let mut leaving = self.leaving()?;
        leaving.values.retain(|signer| signer.strong_count() > 0);
        leaving.masters.retain(|master| master.strong_count() > 0);
        Ok(leaving.values.is_empty() && leaving.masters.is_empty())
    }

    /// The signer of a value key's newest active version.
    pub(super) fn value(&self, control: &Control, name: &Name) -> Result<Arc<Signer>, NotDone> {
        let standings = control.keys();
        let version = standings.newest_active(name).ok_or_else(|| not_active(standings, name))?;
        let key = (name.clone(), version);
        if let Some(signer) = self.keys.load().values.get(&key) {
            return Ok(Arc::clone(signer));
        }
        let found = self.found(control, &key)?.values.get(&key).map(Arc::clone);
        Ok(found.ok_or(Fault::Invariant("the programme's value key is of another kind"))?)
    }

    /// A version of a card master that derives.
    pub(super) fn master(
        &self,
        control: &Control,
        name: &Name,
        version: u32,
    ) -> Result<Arc<MasterKey>, NotDone> {
        standing(control.keys(), name, version)?;
        let key = (name.clone(), version);
        if let Some(master) = self.keys.load().masters.get(&key) {
            return Ok(Arc::clone(master));
        }
        let found = self.found(control, &key)?.masters.get(&key).map(Arc::clone);
        Ok(found.ok_or(Fault::Invariant("a profile's master key is of another kind"))?)
    }

    /// All keys, this one too: it was put into use and nobody has reloaded yet.
    fn found(&self, control: &Control, (name, version): &Version) -> Result<Arc<Keys>, NotDone> {
        let _changing = self.leaving()?;
        let key = standing(control.keys(), name, *version)?;
        let mut keys = Keys::clone(&self.keys.load());
        keys.find(&self.token, (name, *version), (key.kind, &key.id))?;
        let keys = Arc::new(keys);
        self.keys.store(Arc::clone(&keys));
        Ok(keys)
    }

    fn leaving(&self) -> Result<MutexGuard<'_, Leaving>, Fault> {
        self.leaving.lock().map_err(|_| Fault::Invariant("a worker died while keys changed"))
    }
}

impl Keys {
    fn find(
        &mut self,
        token: &Token,
        (name, version): (&Name, u32),
        (kind, id): (KeyKind, &ObjectIdentifier),
    ) -> Result<(), Fault> {
        let key = (name.clone(), version);
        match kind {
            KeyKind::CardMaster if !self.masters.contains_key(&key) => {
                let id = ObjectId(*id.as_bytes());
                let master = token.master_key(keysvc_token::KeyKind::CardMaster, id)?;
                self.masters.insert(key, Arc::new(master));
            }
            KeyKind::ValueSigning if !self.values.contains_key(&key) => {
                let signer = Signer::find(token, keysvc_token::KeyKind::ValueSigning, id)?;
                self.values.insert(key, Arc::new(signer));
            }
            // Data keys under a storage key are unwrapped once; the service's own keys are the keyring's.
            _ => {}
        }
        Ok(())
    }
}

/// Where a key that processes stands.
fn standing<'a>(standings: &'a Standings, name: &Name, version: u32) -> Result<&'a KeyStanding, NotDone> {
    let key = standings.get(name, version).ok_or(Fault::Invariant("a recorded act names no key"))?;
    if key.state.processes() { Ok(key) } else { Err(conflict(key.state)) }
}

/// That no version of a key is active, with the newest one's state.
fn not_active(standings: &Standings, name: &Name) -> NotDone {
    let newest = standings.iter().filter(|(other, _, _)| *other == name).last();
    newest.map_or(Fault::Invariant("a recorded act names no key").into(), |(_, _, key)| conflict(key.state))
}

fn conflict(state: KeyState) -> NotDone {
    Refusal::StateConflict { reason: Conflict::KeyState { state } }.into()
}
