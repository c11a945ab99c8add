//! A store that is what its log says is found so, and each table spoilt by hand is named with its row.

mod jobs;
mod people;

use super::{
    super::{
        change::{Change, Outcome, Retry},
        seal::{Seal, SealClass, Seals},
        sqlite::{
            DataKeys, database,
            ground::{self, NOW_MS, Store, TERMS, folder, seals},
        },
    },
    *,
};
use ground::{intent, outcome, refused_leaf, rollback, start};
use keysvc_protocol::{
    bytes::{Idem, ObjectIdentifier},
    card::CardUid,
    cbor,
    hash::sha256,
    key::{KeyKind, KeyRecord},
    leaf::{KeyDestroyedLeaf, KeyIntentLeaf, LeafKind},
    name::Name,
    request::{UpdateValue, ValueOperation},
    schema::Schema,
};
use rusqlite::Connection;
use tempfile::TempDir;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// An update as the service makes one: its transaction number is the idempotency key, its payload's digest the
/// request's.
fn update(card: u8, seq: u64, before: u64) -> Change {
    let mut txn = [card; 16];
    txn[8..].copy_from_slice(&seq.to_be_bytes());
    let request = UpdateValue {
        schema: Schema,
        programme: "coffee".parse().unwrap(),
        card: CardUid::try_from([4, 1, 2, 3, 4, 5, card].as_slice()).unwrap(),
        purse: 1,
        operation: ValueOperation::Load,
        expected_seq: seq,
        amount: 100,
        currency: 978,
        balance_before: before,
        txn: Idem::new(txn),
    };
    let payload_digest = sha256(&[&cbor::encode(&request)]);
    let principal = "terminal-1".parse().unwrap();
    Change::UpdateValue {
        retry: Retry { principal, idem: request.txn, payload_digest },
        request,
        terms: TERMS,
        terminal: "terminal-1".parse().unwrap(),
        statement: ground::statement(),
        touches: ground::touches(),
        value_key: "value".parse().unwrap(),
    }
}

/// A founded store with the row of the data key that the ground seals under.
fn founded() -> (TempDir, Store) {
    let folder = folder();
    let mut store = Store::open(&folder, seals());
    let storage = KeyRecord { kind: KeyKind::Storage, ..ground::key_record("storage", 1) };
    let mut leaf = ground::founding();
    let keys = leaf.keys.iter().cloned().chain([storage.clone()]).collect::<Vec<_>>();
    leaf.keys = keys.try_into().unwrap();
    store.recorded(&Change::Founding { leaf });
    assert_eq!(DataKeys::open(folder.path()).unwrap().add(storage.id, &[0; 40]).unwrap().id, 1);
    (folder, store)
}

/// A store with a bit of everything; the first half of its requests is older than 90 days.
fn filled() -> TempDir {
    let (folder, mut store) = founded();
    let old: Vec<_> = (0..40).map(|card| update(card, 1, 0)).collect();
    store.apply(&old, NOW_MS);
    let later_ms = NOW_MS + 91 * DAY_MS;
    let new: Vec<_> = (20..60)
        .map(|card| update(card, if card < 40 { 2 } else { 1 }, if card < 40 { 100 } else { 0 }))
        .collect();
    store.apply(&[start(), Change::KeyIntent(intent())], later_ms);
    let open = store.reader.head().size - 1;
    let second = KeyIntentLeaf { version: 2, ..intent() };
    store.apply(&[outcome(open), Change::KeyIntent(second), Change::Refused(refused_leaf("a"))], later_ms);
    store.apply(&new, later_ms);
    assert!(matches!(store.one(&rollback(), later_ms), Ok(Outcome::Recorded(_))));
    folder
}

fn verify_with(folder: &TempDir, seals: &Seals) -> Rebuilt {
    let stored = Stored::open(folder.path()).unwrap();
    let (_, genesis) = stored.founding().unwrap();
    let means = Means { genesis, seals, root_at: Some(3) };
    stored.rebuild(&means, &mut |_| {}).unwrap()
}

fn verify(folder: &TempDir) -> Rebuilt {
    verify_with(folder, &seals())
}

/// Spoils the database, and gives what then differs: part, key, what the log and what the store says.
fn spoilt(folder: &TempDir, sql: &str) -> Vec<(Part, String, String, String)> {
    spoilt_with(folder, sql, &seals())
}

/// As [`spoilt`], of a store with other data keys.
fn spoilt_with(folder: &TempDir, sql: &str, seals: &Seals) -> Vec<(Part, String, String, String)> {
    let connection = Connection::open(database(folder.path())).unwrap();
    let changed = connection.execute_batch(sql);
    changed.unwrap();
    drop(connection);
    let named = verify_with(folder, seals).findings.named().to_vec();
    named.into_iter().map(|one| (one.part, one.key, one.log, one.store)).collect()
}

#[test]
fn a_store_that_is_what_its_log_says_is_verified() {
    let folder = filled();
    let rebuilt = verify(&folder);
    assert_eq!(rebuilt.findings.named(), []);
    assert_eq!(rebuilt.head.size, 1 + 40 + 5 + 40 + 1);
    assert_eq!(rebuilt.forgotten, 40, "requests older than 90 days");
    let rows = |part| rebuilt.findings.count(part).compared;
    assert_eq!((rows(Part::Leaf), rows(Part::Purse), rows(Part::Idem)), (87, 60, 40));
    assert_eq!((rows(Part::KeyRecord), rows(Part::Intent), rows(Part::Halt)), (5, 1, 1));
    // Each leaf completes itself and as many nodes as it ends.
    assert_eq!(rows(Part::Node), (0..87_u64).map(|leaf| u64::from(leaf.trailing_ones()) + 1).sum::<u64>());
    let store = Store::open(&folder, seals());
    assert_eq!((rebuilt.head, rebuilt.root), (store.reader.head(), store.reader.root_at(3).ok()));
    assert_eq!(rebuilt.keys, store.reader.keys().unwrap());
    assert_eq!(rebuilt.kinds["value updated"], 80);
}

#[test]
fn a_purse_that_was_changed_taken_away_or_added_is_named_with_both_sides() {
    let folder = filled();
    let found = spoilt(&folder, "UPDATE purse SET balance = balance + 1 WHERE seq = 2 AND leaf = 50");
    let [(part, _, log, store)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(*part, Part::Purse);
    assert!(log.contains("sequence number 2, balance 200, update ") && log.ends_with("leaf 50"), "{log}");
    assert!(
        store.contains("sequence number 2, balance 201, update ") && store.ends_with("leaf 50"),
        "{store}"
    );
    let found = spoilt(&folder, "DELETE FROM purse WHERE leaf = 50");
    assert_eq!((found.len(), found[0].3.as_str()), (1, "no such purse"));
    let added =
        "INSERT INTO purse VALUES (x'00000000000000000000000000000000', 1, 1, zeroblob(16), 1, NULL, NULL)";
    let found = spoilt(&folder, added);
    let [(_, key, log, _), _] = &found[..] else { panic!("{found:?}") };
    assert_eq!((key.as_str(), log.as_str()), ("0".repeat(32).as_str(), "no such purse"));
}

#[test]
fn an_idempotency_key_lost_changed_or_made_up_is_named_and_one_forgotten_in_time_is_not() {
    let folder = filled();
    let found = spoilt(&folder, "UPDATE idem SET request = zeroblob(16) WHERE leaf = 60");
    assert_eq!((found[0].0, found[0].1.as_str(), found.len()), (Part::Idem, "leaf 60", 1));
    let found = spoilt(&folder, "DELETE FROM idem WHERE leaf = 60");
    assert_eq!(found[0].3, "no such row");
    let found = spoilt(&folder, "INSERT INTO idem VALUES (43, zeroblob(16), zeroblob(16), 1, NULL)");
    assert_eq!((found[0].1.as_str(), found[0].2.as_str()), ("leaf 43", "no request that may be repeated"));
}

#[test]
fn a_row_among_those_that_are_kept_may_not_be_missing_even_when_it_is_old() {
    let (folder, mut store) = founded();
    store.apply(&[update(1, 1, 0), update(2, 1, 0), update(3, 1, 0)], NOW_MS);
    // A change without a leaf of a request forgets nothing: all three are old now and still there.
    let connection = Connection::open(database(folder.path())).unwrap();
    connection.execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM idem WHERE leaf <> 2").unwrap();
    store.apply(&[start()], NOW_MS + 91 * DAY_MS);
    drop(store);
    connection.execute_batch("DELETE FROM idem; INSERT INTO idem SELECT * FROM kept").unwrap();
    drop(connection);
    let rebuilt = verify(&folder);
    let named: Vec<_> = rebuilt.findings.named().iter().map(|one| one.key.as_str()).collect();
    assert_eq!((named, rebuilt.forgotten), (vec!["leaf 2"], 0));
}

#[test]
fn keys_intents_and_the_halt_are_compared_row_by_row() {
    let folder = filled();
    let found = spoilt(&folder, "UPDATE key_record SET leaf = 7 WHERE name = 'storage-c'");
    assert_eq!((found[0].0, found[0].1.as_str()), (Part::KeyRecord, "storage-c version 1"));
    let found = spoilt(&folder, "DELETE FROM key_record WHERE name = 'storage-c'; DELETE FROM intent");
    let parts: Vec<_> = found.iter().map(|(part, _, _, store)| (*part, store.as_str())).collect();
    assert_eq!(parts, [(Part::KeyRecord, "no such row"), (Part::Intent, "no such row")]);
    let found = spoilt(&folder, "DELETE FROM halt");
    assert!(
        found.iter().any(|(part, _, log, _)| *part == Part::Halt && log == "halted by leaf 86"),
        "{found:?}"
    );
}

#[test]
fn a_leaf_whose_payload_time_or_node_was_changed_is_named() {
    let folder = filled();
    let found = spoilt(&folder, "UPDATE leaf SET salt = zeroblob(16) WHERE idx = 41");
    assert_eq!((found[0].0, found[0].1.as_str(), found.len()), (Part::Leaf, "41", 1));
    assert!(found[0].2.starts_with("payload ") && found[0].3.starts_with("payload "), "{found:?}");
    let spoil = "UPDATE leaf SET hashes = zeroblob(length(hashes)) WHERE idx = 1";
    let found = spoilt(&folder, spoil);
    let keys: Vec<_> = found.iter().filter(|one| one.0 == Part::Node).map(|one| one.1.as_str()).collect();
    assert_eq!(keys, ["level 0 over leaf 1", "level 1 over leaf 1"]);
    assert!(found.iter().all(|(part, ..)| matches!(part, Part::Leaf | Part::Node)));
}

#[test]
fn a_payload_sealed_under_a_key_that_is_not_there_is_named_with_that_key() {
    let folder = filled();
    let found = verify_with(&folder, &Seals::default()).findings;
    assert_eq!(found.count(Part::TagsKey).differ, 1);
    // Forty old and forty new updates, and a refusal.
    assert_eq!(found.count(Part::Leaf).differ, 81);
    assert!(found.named()[1].store.contains("data key 1 is needed"), "{:?}", found.named()[1]);
    assert_eq!(found.count(Part::DataKey).differ, 0, "it is the token that does not give it");
    let found = spoilt(&folder, "DELETE FROM data_key; DELETE FROM sqlite_sequence");
    let named: Vec<_> = found.iter().map(|one| (one.1.as_str(), one.2.as_str())).collect();
    let sealed = ("1", "81 leaves sealed under it");
    assert_eq!(named, [sealed, ("1", "the tags' key sealed under it"), ("numbers", "1 given so far")]);
}

#[test]
fn past_a_leaf_that_is_gone_nothing_is_called_right_or_wrong() {
    let folder = filled();
    let found = spoilt(&folder, "DELETE FROM leaf WHERE idx = 30; DELETE FROM purse");
    let [(part, key, _, store)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((*part, key.as_str()), (Part::Leaf, "30"));
    assert!(store.contains("the next is leaf 31"), "{store}");
}

#[test]
fn an_index_that_lost_a_row_is_found() {
    let folder = filled();
    let connection = Connection::open(database(folder.path())).unwrap();
    let root: i64 = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_idem_1'", [], |row| {
            row.get(0)
        })
        .unwrap();
    drop(connection);
    let path = database(folder.path());
    let mut bytes = std::fs::read(&path).unwrap();
    // The first cell's tag: the row is still in the table and no longer found by its tag.
    let page = usize::try_from(root - 1).unwrap() * 4_096;
    let cell = usize::from(u16::from_be_bytes([bytes[page + 8], bytes[page + 9]]));
    bytes[page + cell + 8] ^= 0xff;
    std::fs::write(&path, bytes).unwrap();
    let found = verify(&folder).findings;
    assert!(found.count(Part::Database).differ > 0, "{:?}", found.named());
}

/// A store with a job of one leaf, whose data are erased; gives that leaf's index.
fn purged() -> (TempDir, u64) {
    let (folder, mut store) = founded();
    let (intent, outcome) = ground::storage_key("storage.job.nfc-1", 0x70);
    let intent = store.recorded(&intent).index;
    store.recorded(&outcome(intent));
    let id = ObjectIdentifier::new([0x70; 16]);
    let keys = DataKeys::open(folder.path()).unwrap();
    let data_key = keys.add(id, &[7; 40]).unwrap().id;
    let job: Name = "nfc-1".parse().unwrap();
    drop(store);
    let all = seals();
    all.install(&Seal::new(data_key, SealClass::Job(job.clone()), &[7; 32]));
    let mut store = Store::open(&folder, all);
    let leaf = store.put_of_job(LeafKind::JobItemsAdded, b"items", &job).unwrap().index;
    store.recorded(&update(1, 1, 0));
    keys.erase(&id).unwrap();
    (folder, leaf)
}

#[test]
fn leaves_that_were_erased_with_their_job_are_counted_and_their_entries_and_nodes_are_compared() {
    let (folder, leaf) = purged();
    let rebuilt = verify(&folder);
    assert_eq!((rebuilt.findings.named(), rebuilt.erased), (&[][..], 1));
    // Also before the outcome of the storage key's destruction is on record, and after.
    let mut store = Store::open(&folder, seals());
    let (name, id) = ("storage.job.nfc-1".parse().unwrap(), ObjectIdentifier::new([0x70; 16]));
    store.recorded(&Change::KeyDestroyed(KeyDestroyedLeaf {
        schema: Schema,
        intent: leaf,
        name,
        version: 1,
        id,
    }));
    drop(store);
    let rebuilt = verify(&folder);
    assert_eq!((rebuilt.findings.named(), rebuilt.erased), (&[][..], 1));
    let spoil = format!("UPDATE leaf SET hashes = zeroblob(length(hashes)) WHERE idx = {leaf}");
    assert!(
        spoilt(&folder, &spoil)
            .iter()
            .any(|(part, key, ..)| { *part == Part::Node && key.ends_with(&format!("over leaf {leaf}")) })
    );
}

#[test]
fn more_erased_data_keys_than_jobs_without_one_are_a_difference() {
    let (folder, leaf) = purged();
    let found = spoilt(&folder, &format!("UPDATE leaf SET sealed = 9 WHERE idx = {leaf}"));
    let [(part, key, ..)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((*part, key.as_str()), (Part::DataKey, "numbers"));
    let found = spoilt(&folder, "DELETE FROM key_record WHERE name LIKE 'storage.job.%'");
    assert!(found.iter().any(|(part, ..)| *part == Part::KeyRecord), "{found:?}");
    let copy =
        format!("INSERT INTO data_key (storage_key, wrapped) VALUES (x'{}', zeroblob(40))", "70".repeat(16));
    let found = spoilt(&folder, &copy);
    let of_keys: Vec<_> = found.iter().filter(|one| one.0 == Part::DataKey).collect();
    let erased = of_keys.iter().find(|one| one.1 == "erased").unwrap();
    assert_eq!(erased.2, "0 storage keys of purged jobs");
    assert_eq!(erased.3, "1 data keys erased, and with them the payloads of 1 leaves");
}

#[test]
fn a_payload_under_another_classs_data_key_is_named() {
    let folder = filled();
    let other = Seals::default();
    other.install(&Seal::new(1, SealClass::Incident, &[1; 32]));
    let found = verify_with(&folder, &other).findings;
    let first = &found.named()[0];
    assert_eq!(first.log, "a payload sealed under a data key of the class operational");
    assert_eq!(first.store, "a payload sealed under a data key of the class incident");
}

#[test]
fn a_store_in_use_is_not_verified_and_an_older_one_is_not_brought_up() {
    let folder = filled();
    let store = Store::open(&folder, seals());
    assert!(matches!(Stored::open(folder.path()), Err(LedgerFault::InUse { .. })));
    drop(store);
    let connection = Connection::open(database(folder.path())).unwrap();
    connection.pragma_update(None, "user_version", 0).unwrap();
    drop(connection);
    let before = std::fs::read(database(folder.path())).unwrap();
    assert!(matches!(Stored::open(folder.path()), Err(LedgerFault::Older { found: 0, .. })));
    assert_eq!(std::fs::read(database(folder.path())).unwrap(), before);
}
