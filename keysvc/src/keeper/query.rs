//! Queries: reads that change nothing and leave no leaf. They pass the gate like every request.

mod components;
mod governed;
mod jobs;
mod people;

pub use jobs::may_read_record;

use super::{
    action::Action,
    bundle::InForce,
    gate::Permit,
    imports::Imports,
    keyring::Keyring,
    ledger::{Reader, SealClass},
    site::Site,
    storage::class_of,
};
use crate::error::{Fault, NotDone};
use keysvc_policies::PolicySet;
use keysvc_protocol::{
    cbor::REPLY_LEN_MAX,
    checkpoint::SignedCheckpoint,
    control::Control,
    key::KeyRecord,
    list::List,
    merkle::TreeHead,
    receipt::Receipt,
    refusal::{Refusal, Thing},
    reply::{BundleReply, CheckpointReply, KeyListReply, KeyReply, ProofReply, ServiceState, StatusReply},
    request::{ListKeys, ReadBundle, ReadCheckpoint, ReadKey, ReadProof, ReadStatus},
    schema::Schema,
};
use keysvc_token::Token;
use serde::Serialize;
use std::sync::Arc;

/// What a query may look at.
#[derive(Debug)]
pub struct View<'a> {
    /// The site.
    pub site: &'a Site,
    /// Everything that takes people, as the last commit left it.
    pub control: &'a Control,
    /// What is recorded.
    pub reader: &'a Reader,
    /// The newest signed checkpoint.
    pub newest: SignedCheckpoint,
    /// The head the client has seen.
    pub seen: TreeHead,
    /// Whether the service serves.
    pub state: ServiceState,
    /// When the keeper started, milliseconds since 1970-01-01 UTC.
    pub started_at_ms: u64,
    /// The policies in force.
    pub policies: Arc<PolicySet>,
    /// The trust bundle in force.
    pub bundle: Option<Arc<InForce>>,
    /// The keys that come in as components.
    pub imports: &'a Imports,
    /// The token, which makes the pair of an import.
    pub token: &'a Token,
    /// Signs the offer of such a pair.
    pub keyring: &'a Keyring,
    /// The time, milliseconds since 1970-01-01 UTC.
    pub now_ms: u64,
}

impl View<'_> {
    fn consistency(&self) -> Result<keysvc_protocol::merkle::Proof, Fault> {
        Ok(self.reader.consistency(self.seen.size, self.newest.checkpoint().head.size)?)
    }
}

/// A read.
pub trait Query: Action {
    /// Its reply.
    type Reply: Serialize;

    /// Answers it.
    ///
    /// # Errors
    /// [`NotDone`]: what was asked for is not there, or a fault of the store.
    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<Self::Reply, NotDone>
    where
        Self: Sized;
}

impl Query for ReadStatus {
    type Reply = StatusReply;

    fn answer(_: &Permit<Self>, view: &View<'_>) -> Result<StatusReply, NotDone> {
        Ok(StatusReply {
            schema: Schema,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: view.state,
            development: view.site.development(),
            trust_domain: view.site.trust().domain.clone(),
            genesis: *view.site.genesis(),
            started_at_ms: view.started_at_ms,
            policy: *view.control.policy(),
            checkpoint: view.newest.clone(),
            consistency: view.consistency()?,
        })
    }
}

/// All keys but the storage keys of jobs: each job that lists cards makes one, which stays on record for good, and nobody
/// orders or ends it. `key.get` tells of each by its name.
impl Query for ListKeys {
    type Reply = KeyListReply;

    fn answer(_: &Permit<Self>, view: &View<'_>) -> Result<KeyListReply, NotDone> {
        let keys = listed(view.reader.keys().map_err(Fault::from)?)?;
        Ok(KeyListReply { schema: Schema, keys })
    }
}

/// Keys in one reply of `key.list`. A site has some dozens, and two more each month.
const KEYS_MAX: usize = 1024;

fn listed(mut keys: Vec<KeyRecord>) -> Result<List<KeyRecord, KEYS_MAX>, Refusal> {
    keys.retain(|key| !matches!(class_of(&key.name), Some(SealClass::Job(_))));
    // A site that has outgrown the reply still reads each key by its name.
    let limit = u64::try_from(KEYS_MAX).unwrap_or(u64::MAX);
    List::try_from(sorted(keys)).map_err(|_| Refusal::LimitExceeded { limit })
}

fn sorted(mut keys: Vec<KeyRecord>) -> Vec<KeyRecord> {
    keys.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
    keys
}

impl Query for ReadKey {
    type Reply = KeyReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<KeyReply, NotDone> {
        let asked = permit.action();
        let keys = sorted(view.reader.keys().map_err(Fault::from)?);
        let mut named = keys.into_iter().filter(|key| key.name == asked.name);
        let found = match asked.version {
            Some(version) => named.find(|key| key.version == version),
            None => named.next_back(),
        };
        let key = found.ok_or(Refusal::NotFound { what: Thing::Key })?;
        Ok(KeyReply { schema: Schema, key })
    }
}

impl Query for ReadCheckpoint {
    type Reply = CheckpointReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<CheckpointReply, NotDone> {
        let genesis = if permit.action().genesis {
            view.reader.leaves(0..1, REPLY_LEN_MAX).map_err(Fault::from)?.into_iter().next()
        } else {
            None
        };
        let (checkpoint, consistency) = (view.newest.clone(), view.consistency()?);
        Ok(CheckpointReply { schema: Schema, checkpoint, consistency, genesis })
    }
}

impl Query for ReadProof {
    type Reply = ProofReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<ProofReply, NotDone> {
        let asked = permit.action();
        if asked.size == 0 || asked.size > view.newest.checkpoint().head.size {
            return Err(Refusal::NotFound { what: Thing::Tree }.into());
        }
        if asked.leaf.is_some_and(|leaf| leaf >= asked.size) {
            return Err(Refusal::NotFound { what: Thing::Leaf }.into());
        }
        if asked.earlier.is_some_and(|earlier| earlier == 0 || earlier > asked.size) {
            return Err(Refusal::NotFound { what: Thing::Tree }.into());
        }
        let inclusion = asked.leaf.map(|leaf| view.reader.inclusion(leaf, asked.size)).transpose();
        let consistency =
            asked.earlier.map(|earlier| view.reader.consistency(earlier, asked.size)).transpose();
        Ok(ProofReply {
            schema: Schema,
            inclusion: inclusion.map_err(Fault::from)?,
            consistency: consistency.map_err(Fault::from)?,
        })
    }
}

impl Query for ReadBundle {
    type Reply = BundleReply;

    fn answer(permit: &Permit<Self>, view: &View<'_>) -> Result<BundleReply, NotDone> {
        let in_force =
            view.bundle.as_ref().ok_or(Fault::Invariant("no trust bundle was made at the start"))?;
        let size = view.newest.checkpoint().head.size;
        let receipt = Receipt {
            schema: Schema,
            leaf_index: in_force.leaf_index,
            checkpoint: view.newest.clone(),
            consistency: view.consistency()?,
            leaf: Some(in_force.leaf.clone()),
            inclusion: Some(view.reader.inclusion(in_force.leaf_index, size).map_err(Fault::from)?),
        };
        let held = permit.action().have == Some(in_force.digest);
        let bundle = if held { None } else { Some(in_force.message.clone()) };
        Ok(BundleReply { schema: Schema, receipt, bundle })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{
        bytes::{ObjectIdentifier, ShortCheck},
        key::{CheckValue, KeyKind, KeyState},
    };

    fn key_record(name: &str, version: u32) -> KeyRecord {
        KeyRecord {
            schema: Schema,
            name: name.parse().unwrap(),
            version,
            kind: KeyKind::Storage,
            state: KeyState::Active,
            id: ObjectIdentifier::new([9; 16]),
            check: CheckValue::Cmac { value: ShortCheck::new([1, 2, 3, 4, 5]) },
            test_key: true,
            made_at_ms: 1,
            attributes: List::default(),
            public: None,
        }
    }

    #[test]
    fn keys_are_listed_by_name_and_version_without_those_of_jobs() {
        let destroyed = KeyRecord { state: KeyState::Destroyed, ..key_record("storage.job.nfc-2", 1) };
        let month = key_record("storage.operational.2026-11", 1);
        let keys = [
            month.clone(),
            key_record("b", 2),
            key_record("storage.job.nfc-1", 1),
            destroyed,
            key_record("b", 1),
        ];
        let listed = listed(keys.to_vec()).unwrap();
        assert_eq!(listed.as_ref(), [key_record("b", 1), key_record("b", 2), month]);
    }

    #[test]
    fn more_keys_than_a_reply_holds_are_a_refusal_and_no_fault() {
        let keys = |count: usize| (0..count).map(|number| key_record(&format!("k-{number}"), 1)).collect();
        assert_eq!(listed(keys(1024)).unwrap().len(), 1024);
        assert_eq!(listed(keys(1025)), Err(Refusal::LimitExceeded { limit: 1024 }));
    }
}
