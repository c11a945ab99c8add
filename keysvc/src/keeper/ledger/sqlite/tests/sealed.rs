//! What is sealed under which data key, and what is left of a leaf that was erased with its job.

use super::super::{
    Rows,
    ground::{NOW_MS, Store, first_load, folder, moment, seals, storage_key},
};
use crate::keeper::ledger::{
    change::{Change, Outcome},
    fault::LedgerFault,
    seal::{DataKeys, Seal, SealClass, Seals},
};
use keysvc_protocol::{
    bytes::ObjectIdentifier,
    key::KeyState,
    leaf::{KeyDestroyedLeaf, LeafKind},
    merkle::{Inclusion, leaf_hash, verify_inclusion},
    name::Name,
    schema::Schema,
};
use tempfile::TempDir;

const OF_JOB: u8 = 0x70;

fn job() -> Name {
    "nfc-1".parse().unwrap()
}

/// The ground's data key, one of incidents and one of a job, as a start installs them.
fn all_seals() -> Seals {
    let seals = seals();
    seals.install(&Seal::new(2, SealClass::Incident, &[2; 32]));
    seals.install(&Seal::new(3, SealClass::Job(job()), &[3; 32]));
    seals
}

/// A founded store with the storage key and the data key of a job.
fn with_job(folder: &TempDir) -> Store {
    let mut store = Store::founded(folder);
    let (intent, outcome) = storage_key("storage.job.nfc-1", OF_JOB);
    let intent = store.recorded(&intent).index;
    store.recorded(&outcome(intent));
    drop(store);
    let keys = DataKeys::open(folder.path()).unwrap();
    for (id, storage_key) in [(1, 0x10), (2, 0x20), (3, OF_JOB)] {
        let added = keys.add(ObjectIdentifier::new([storage_key; 16]), &[id; 40]).unwrap();
        assert_eq!(added.id, u32::from(id));
    }
    Store::open(folder, all_seals())
}

/// The data key that a leaf names, and its stored payload.
fn stored(folder: &TempDir, leaf: u64) -> (Option<u32>, Vec<u8>) {
    let reader = super::super::open_reader(&super::super::database(folder.path())).unwrap();
    let leaf = Rows(&reader).leaf(leaf).unwrap().unwrap();
    (leaf.sealed, leaf.payload)
}

#[test]
fn a_leaf_is_sealed_under_the_data_key_of_its_class_and_one_of_a_job_under_the_jobs() {
    let folder = folder();
    let mut store = with_job(&folder);
    let operational = store.recorded(&first_load(1)).index;
    let [incident, items, permanent] =
        [LeafKind::IncidentReported, LeafKind::JobItemsAdded, LeafKind::KeyDestroyed]
            .map(|kind| store.put_of_job(kind, b"what happened", &job()).unwrap().index);
    let sealed = [operational, incident, items, permanent].map(|leaf| stored(&folder, leaf).0);
    assert_eq!(sealed, [Some(1), Some(2), Some(3), None]);
    for leaf in [incident, items] {
        assert_eq!(store.reader.leaf(leaf).unwrap().payload, b"what happened");
        assert!(!stored(&folder, leaf).1.windows(4).any(|window| window == b"what"));
    }
}

#[test]
fn a_leaf_of_a_job_without_its_data_key_is_not_written() {
    let folder = folder();
    let mut store = with_job(&folder);
    let head = store.reader.head();
    let other = store.put_of_job(LeafKind::JobItemsAdded, b"items", &"nfc-2".parse().unwrap());
    assert!(matches!(other, Err(fault @ LedgerFault::NoJobSeal { .. }) if !fault.ends_the_keeper()));
    assert_eq!(store.reader.head(), head);
    store.put_of_job(LeafKind::JobItemsAdded, b"items", &job()).unwrap();
}

#[test]
fn what_was_erased_with_a_job_is_withheld_and_its_leaf_still_proves_its_place() {
    let folder = folder();
    let mut store = with_job(&folder);
    let leaf = store.put_of_job(LeafKind::JobItemsAdded, b"https://example.org/1", &job()).unwrap();
    store.recorded(&first_load(1));
    let before = store.reader.leaves(0..9, usize::MAX).unwrap();
    assert_eq!(before[3].payload.as_ref().map(|payload| payload.as_bytes().to_vec()), Some(leaf.payload));

    DataKeys::open(folder.path()).unwrap().erase(&ObjectIdentifier::new([OF_JOB; 16])).unwrap();
    // While the key is in memory it opens what it sealed; then nothing does, and nobody calls it a fault.
    assert!(store.reader.leaf(3).is_ok());
    store.sqlite.state.seals.forget_job(&job());
    let erased = store.reader.leaf(3);
    assert!(matches!(erased, Err(LedgerFault::Erased { leaf: 3 })), "{erased:?}");
    assert!(!LedgerFault::Erased { leaf: 3 }.ends_the_keeper());
    let after = store.reader.leaves(0..9, usize::MAX).unwrap();
    assert_eq!((&after[3].salt, &after[3].payload), (&None, &None));
    assert_eq!(after[3].check(), before[3].check());
    assert_eq!((&after[..3], &after[4..]), (&before[..3], &before[4..]));
    let head = store.reader.head();
    let proof = store.reader.inclusion(3, head.size).unwrap();
    let claim = Inclusion { index: 3, size: head.size, leaf_hash: leaf_hash(after[3].entry.as_bytes()) };
    assert_eq!(verify_inclusion(&claim, &proof, &head.root), Ok(()));

    // The next start knows no more of it, and restores what it restored before.
    drop(store);
    let store = Store::open(&folder, seals());
    store.restored.clone().unwrap();
    assert_eq!(store.reader.leaves(3..4, 0).unwrap(), after[3..4]);
}

#[test]
fn a_payload_whose_data_key_is_only_not_given_is_a_fault_and_no_erasure() {
    let folder = folder();
    let mut store = with_job(&folder);
    store.put_of_job(LeafKind::JobItemsAdded, b"items", &job()).unwrap();
    store.put_of_job(LeafKind::IncidentReported, b"incident", &job()).unwrap();
    drop(store);
    let store = Store::open(&folder, seals());
    assert!(matches!(store.reader.leaf(3), Err(LedgerFault::SealMissing { id: 3 })));
    assert!(matches!(store.reader.leaves(3..4, 0), Err(LedgerFault::SealMissing { id: 3 })));
    // An incident is erased with its month only, and that is not known to be.
    DataKeys::open(folder.path()).unwrap().erase(&ObjectIdentifier::new([0x20; 16])).unwrap();
    assert!(matches!(store.reader.leaf(4), Err(LedgerFault::SealMissing { id: 2 })));
}

#[test]
fn a_jobs_storage_key_is_destroyed_on_record_once_and_the_next_start_finds_it_so() {
    let folder = folder();
    let mut store = with_job(&folder);
    let leaf = KeyDestroyedLeaf {
        schema: Schema,
        intent: 2,
        name: "storage.job.nfc-1".parse().unwrap(),
        version: 1,
        id: ObjectIdentifier::new([OF_JOB; 16]),
    };
    let gone = store.recorded(&Change::KeyDestroyed(leaf.clone()));
    let state = |store: &Store| {
        let keys = store.reader.keys().unwrap();
        keys.into_iter().find(|key| key.name == leaf.name).map(|key| key.state)
    };
    assert_eq!(state(&store), Some(KeyState::Destroyed));
    assert!(matches!(store.at(&Change::KeyDestroyed(leaf.clone()), moment(NOW_MS)), Outcome::Refused(_)));
    drop(store);
    let store = Store::open(&folder, seals());
    store.restored.clone().unwrap();
    assert_eq!((store.reader.head().size, state(&store)), (gone.index + 1, Some(KeyState::Destroyed)));
    let control = store.reader.control().unwrap();
    assert_eq!(control.keys().get(&leaf.name, 1).map(|key| key.state), Some(KeyState::Destroyed));
}
