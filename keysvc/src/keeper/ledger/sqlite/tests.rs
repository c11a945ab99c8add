//! The store as a whole: what is written is there again, and only what the rules allow is written.

mod governed;
mod jobs;
mod marks;
mod people;
mod room;
mod sealed;

use super::{
    ground::{
        Ask, CARD, MINUTE_MS, NOW_MS, Store, first_load, folder, founding, intent, other, outcome,
        refused_leaf, retry, rollback, seals, start, update, update_in,
    },
    *,
};
use crate::keeper::ledger::{
    change::{Outcome, Recording, Retry},
    seal::{DataKeys, Seal, SealClass},
};
use keysvc_protocol::{
    bytes::{ObjectIdentifier, PreviousUpdate},
    cbor,
    leaf::{LeafKind, RefusalsCountedLeaf, RefusedLeaf},
    refusal::{Invalid, Refusal},
    request::{Operation, ValueOperation::Debit, ValueOperation::Load},
    value::ValueUpdate,
};

fn entry(store: &Store, index: u64) -> LeafEntry {
    LeafEntry::decode(&store.reader.leaf(index).unwrap().entry).unwrap()
}

fn kinds(store: &Store) -> Vec<LeafKind> {
    (0..store.reader.head().size).map(|index| entry(store, index).kind).collect()
}

fn counted(store: &Store, index: u64) -> RefusalsCountedLeaf {
    cbor::decode(&store.reader.leaf(index).unwrap().payload, 1 << 17).unwrap()
}

#[test]
fn a_restart_finds_the_head_that_all_leaves_hash_to() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    for size in 1..70 {
        store.recorded(&first_load(size));
        let head = store.reader.head();
        drop(store);
        store = Store::open(&folder, seals());
        assert_eq!(store.reader.head(), head);
        let mut all = Frontier::new();
        for index in 0..head.size {
            all.append(leaf_hash(&store.reader.leaf(index).unwrap().entry));
        }
        assert_eq!(all.head(), head);
    }
}

#[test]
fn the_first_leaf_is_the_founding_and_no_other() {
    let folder = folder();
    let mut store = Store::open(&folder, seals());
    assert!(matches!(store.one(&start(), NOW_MS), Err(LedgerFault::NotFounded)));
    assert!(store.reader.founding().unwrap().is_none());
    let leaf = store.recorded(&Change::Founding { leaf: founding() });
    assert_eq!(leaf.index, 0);
    let (found, evidence) = store.reader.founding().unwrap().unwrap();
    assert_eq!(found, founding());
    assert_eq!(leaf_hash(evidence.entry.as_bytes()), store.reader.root_at(1).unwrap());
    assert_eq!(evidence.check().map(|entry| entry.kind), Ok(LeafKind::Founding));
    assert!(matches!(
        store.one(&Change::Founding { leaf: founding() }, NOW_MS),
        Err(LedgerFault::AlreadyFounded)
    ));
    let names: Vec<_> = store.reader.keys().unwrap().into_iter().map(|key| key.name.to_string()).collect();
    assert_eq!(names, ["a", "b", "value"]);
}

#[test]
fn a_fault_of_one_change_leaves_the_others_of_its_batch() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let applied = store.apply(&[start(), outcome(77), start()], NOW_MS);
    assert!(matches!(applied.outcomes[1], Err(LedgerFault::NoIntent { intent: 77 })));
    assert_eq!((applied.head.size, applied.completed.len()), (3, 2));
}

#[test]
fn an_intent_is_open_until_its_outcome() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let leaf = store.recorded(&Change::KeyIntent(intent()));
    assert_eq!(store.reader.open_intents().unwrap(), [(leaf.index, intent())]);
    store.recorded(&outcome(leaf.index));
    assert_eq!(store.reader.open_intents().unwrap(), []);
    assert_eq!(store.reader.keys().unwrap().len(), 4);
    assert!(matches!(store.one(&outcome(leaf.index), NOW_MS), Err(LedgerFault::NoIntent { .. })));
}

#[test]
fn the_same_request_again_is_answered_by_its_leaf_even_after_a_restart() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let load = update(1, &Ask(Load, 500, 1, 0));
    let first = store.recorded(&load);
    let again = store.recorded(&load);
    assert!(again.retried && !first.retried);
    assert_eq!(Recording { retried: false, ..again }, first);
    drop(store);
    let mut store = Store::open(&folder, seals());
    let applied = store.apply(std::slice::from_ref(&load), NOW_MS);
    assert!(matches!(&applied.outcomes[..], [Ok(Outcome::Recorded(leaf))] if leaf.payload == first.payload));
    assert!(applied.completed.is_empty(), "a retry writes nothing");
    assert_eq!(applied.head.size, 2);
}

#[test]
fn two_equal_requests_in_one_batch_have_one_leaf() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let load = update(1, &Ask(Load, 500, 1, 0));
    let applied = store.apply(&[load.clone(), load], NOW_MS);
    let retried: Vec<_> = applied
        .outcomes
        .iter()
        .map(|outcome| matches!(outcome, Ok(Outcome::Recorded(leaf)) if leaf.index == 1 && leaf.retried))
        .collect();
    assert_eq!((retried, applied.head.size), (vec![false, true], 2));
}

#[test]
fn an_idempotency_key_is_good_for_one_payload_of_one_principal() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    store.recorded(&other(1, b"one"));
    assert_eq!(store.refused(&other(1, b"other")), Refusal::IdemConflict);
    let mut others = other(2, b"other");
    if let Change::UpdateValue { retry: asked, .. } = &mut others {
        *asked = Retry { principal: "terminal-2".parse().unwrap(), ..retry(1, b"other") };
    }
    store.recorded(&others);
}

#[test]
fn every_refusal_of_the_sequence_rule_is_recorded_with_its_numbers() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    store.recorded(&update(1, &Ask(Load, 5_000, 1, 0)));
    let asks = [
        (Ask(Load, 0, 2, 5_000), Refusal::Invalid { reason: Invalid::ZeroAmount }),
        (Ask(Load, 1, 3, 5_000), Refusal::CounterConflict { expected_seq: 2 }),
        (Ask(Load, 1, 2, 4_000), Refusal::BalanceMismatch { balance: 5_000 }),
        (Ask(Load, 5_001, 2, 5_000), Refusal::LimitExceeded { limit: 5_000 }),
        (Ask(Debit, 2_001, 2, 5_000), Refusal::LimitExceeded { limit: 2_000 }),
    ];
    for (idem, (ask, refusal)) in (10..).zip(asks) {
        assert_eq!(store.refused(&update(idem, &ask)), refusal);
        let last = store.reader.head().size - 1;
        let leaf: RefusedLeaf = cbor::decode(&store.reader.leaf(last).unwrap().payload, 1 << 17).unwrap();
        assert_eq!((leaf.refusal, leaf.operation), (refusal, Operation::ValueUpdate));
    }
    let purse = store.reader.purse(&"coffee".parse().unwrap(), &CARD.parse().unwrap(), 1).unwrap().unwrap();
    assert_eq!((purse.seq, purse.balance, purse.leaf), (1, 5_000, 1));
    // A refused key was not used up: it may carry another payload.
    store.recorded(&update(10, &Ask(Debit, 2_000, 2, 5_000)));
}

#[test]
fn two_updates_of_one_purse_in_one_batch_follow_each_other() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let batch = [update(1, &Ask(Load, 500, 1, 0)), update(2, &Ask(Debit, 200, 2, 500))];
    let mut applied = store.apply(&batch, NOW_MS);
    let (Ok(Outcome::Recorded(second)), Ok(Outcome::Recorded(first))) =
        (applied.outcomes.pop().unwrap(), applied.outcomes.pop().unwrap())
    else {
        panic!("not recorded")
    };
    let (first, second) = (update_in(&first), update_in(&second));
    assert_eq!((first.previous, first.balance_after), (PreviousUpdate::new([0; 16]), 500));
    assert_eq!(second.previous, ValueUpdate::link(&cbor::encode(&first)));
    assert_eq!((second.seq, second.balance_before, second.balance_after), (2, 500, 300));
    assert_eq!(store.reader.purse(&"coffee".parse().unwrap(), &CARD.parse().unwrap(), 2).unwrap(), None);
}

#[test]
fn leaf_times_do_not_go_back_when_the_clock_does_even_over_a_restart() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    store.one(&start(), NOW_MS + 50).unwrap();
    store.one(&start(), NOW_MS + 20).unwrap();
    drop(store);
    let mut store = Store::open(&folder, seals());
    store.one(&start(), NOW_MS - 1_000).unwrap();
    store.one(&start(), NOW_MS + 51).unwrap();
    let times: Vec<_> = (0..5).map(|index| entry(&store, index).time_ms - NOW_MS).collect();
    assert_eq!(times, [0, 50, 50, 50, 51]);
}

#[test]
fn neither_card_nor_terminal_nor_statement_lies_on_the_disk_in_clear() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    // A name that the founding, which is kept in clear, does not hold.
    let mut load = update(1, &Ask(Load, 500, 1, 0));
    if let Change::UpdateValue { terminal, .. } = &mut load {
        *terminal = "till-nine".parse().unwrap();
    }
    store.recorded(&load);
    store.recorded(&Change::Refused(refused_leaf("till-nine")));
    let card: keysvc_protocol::card::CardUid = CARD.parse().unwrap();
    let statement = [7; 40];
    let mut read = 0;
    for file in ["ledger.sqlite3", "ledger.sqlite3-wal"] {
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        read += bytes.len();
        for secret in [card.as_bytes(), CARD.as_bytes(), b"till-nine", statement.as_slice()] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{secret:?} in {file}");
        }
    }
    assert!(read > 10_000);
    // The founding is kept in clear, so the search does find what is there.
    let wal = std::fs::read(folder.path().join("ledger.sqlite3-wal")).unwrap();
    assert!(wal.windows(16).any(|part| part == b"demo.keysvc.test"));
}

#[test]
fn files_of_the_store_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let _store = Store::founded(&folder);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", file.file_name());
    }
}

#[test]
fn a_store_in_use_is_not_opened_twice() {
    let folder = folder();
    let store = Store::founded(&folder);
    let second = Sqlite::open(folder.path(), seals(), NOW_MS).map(|_| ());
    assert!(matches!(second, Err(LedgerFault::InUse { folder: at }) if at == folder.path()));
    drop(store);
    Store::open(&folder, seals());
}

#[test]
fn another_programs_database_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("ledger.sqlite3");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    assert!(matches!(Sqlite::open(folder.path(), seals(), NOW_MS), Err(LedgerFault::Foreign { .. })));
    std::fs::write(&path, b"no database at all, but long enough to be looked at as one. ".repeat(20))
        .unwrap();
    assert!(matches!(Sqlite::open(folder.path(), seals(), NOW_MS), Err(LedgerFault::Foreign { .. })));
}

#[test]
fn a_founding_that_was_changed_in_the_store_is_not_read() {
    for sql in [
        // Another payload under the same entry, and another entry under the same tree.
        "UPDATE leaf SET payload = CAST(payload || x'00' AS BLOB) WHERE idx = 0",
        "UPDATE leaf SET salt = zeroblob(16) WHERE idx = 0",
        "UPDATE leaf SET entry = (SELECT entry FROM leaf WHERE idx = 1) WHERE idx = 0",
    ] {
        let folder = folder();
        let mut store = Store::founded(&folder);
        store.apply(&[first_load(1)], NOW_MS);
        assert!(store.reader.founding().unwrap().is_some());
        store.sqlite.connection.execute_batch(sql).unwrap();
        let read = store.reader.founding().map(|_| ());
        assert!(matches!(read, Err(LedgerFault::Broken { leaf: 0 })), "{sql}: {read:?}");
    }
}

#[test]
fn a_newer_programs_store_is_left_alone() {
    let folder = folder();
    let store = Store::founded(&folder);
    store.sqlite.connection.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    let opened = Sqlite::open(folder.path(), seals(), NOW_MS).map(|_| ());
    assert!(matches!(opened, Err(LedgerFault::Newer { found: 99, known: 5 })));
}

#[test]
fn a_changed_last_leaf_or_node_is_noticed_when_the_store_is_opened() {
    for sql in [
        "UPDATE leaf SET entry = (SELECT entry FROM leaf WHERE idx = 2) WHERE idx = 3",
        "UPDATE leaf SET hashes = zeroblob(96) WHERE idx = 3",
        "UPDATE leaf SET hashes = zeroblob(64) WHERE idx = 1",
        "DELETE FROM leaf WHERE idx = 1",
    ] {
        let folder = folder();
        let mut store = Store::founded(&folder);
        store.apply(&[start(), start(), start()], NOW_MS);
        store.sqlite.connection.execute(sql, []).unwrap();
        drop(store);
        let opened = Sqlite::open(folder.path(), seals(), NOW_MS).map(|_| ());
        assert!(matches!(opened, Err(LedgerFault::Broken { .. })), "{sql}");
    }
}

#[test]
fn a_caller_has_ten_refusals_a_minute_on_record_and_then_a_count() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let refusal = Change::Refused(refused_leaf("terminal-1"));
    let applied = store.apply(&vec![refusal.clone(); 25], NOW_MS);
    let leaves = applied.outcomes.iter().filter(|o| matches!(o, Ok(Outcome::Recorded(_)))).count();
    let only_counted = applied.outcomes.iter().filter(|o| matches!(o, Ok(Outcome::Counted))).count();
    assert_eq!((leaves, only_counted), (10, 15));
    // Also what the transaction itself refuses.
    assert_eq!(
        store.refused(&update(1, &Ask(Load, 0, 1, 0))),
        Refusal::Invalid { reason: Invalid::ZeroAmount }
    );
    assert_eq!(store.reader.head().size, 11);
    // The count comes before the caller's next leaf.
    store.one(&update(2, &Ask(Load, 5, 1, 0)), NOW_MS + MINUTE_MS).unwrap();
    assert_eq!(kinds(&store)[11..], [LeafKind::RefusalsCounted, LeafKind::ValueUpdated]);
    let count = counted(&store, 11);
    assert_eq!((count.count, count.from_ms), (16, NOW_MS));
    assert_eq!(count.principal, Some("terminal-1".parse().unwrap()));
}

#[test]
fn callers_that_are_not_enrolled_have_one_leaf_a_minute() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let unknown = |count| Change::CountRefusals { unknown: count, all: false };
    store.apply(&[Change::RefusedUnknown, Change::RefusedUnknown, unknown(5)], NOW_MS);
    assert_eq!(store.reader.head().size, 1);
    store.one(&unknown(0), NOW_MS + MINUTE_MS).unwrap();
    store.one(&unknown(0), NOW_MS + 2 * MINUTE_MS).unwrap();
    assert_eq!(store.reader.head().size, 2);
    assert_eq!((counted(&store, 1).count, counted(&store, 1).principal), (7, None));
}

#[test]
fn a_rollback_shown_halts_callers_for_good_but_not_the_record() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    let load = update(1, &Ask(Load, 500, 1, 0));
    store.recorded(&load);
    assert_eq!(store.reader.halted().unwrap(), None);
    let halt = store.recorded(&rollback());
    store.recorded(&rollback());
    assert_eq!(store.reader.halted().unwrap(), Some(halt.index));
    drop(store);
    let mut store = Store::open(&folder, seals());
    assert_eq!(store.reader.halted().unwrap(), Some(halt.index));
    assert_eq!(store.refused(&load), Refusal::HistoryRolledBack);
    store.recorded(&start());
}

#[test]
fn idempotency_keys_are_forgotten_after_ninety_days_and_the_sequence_rule_still_holds() {
    const DAY_MS: u64 = 86_400_000;
    let folder = folder();
    let mut store = Store::founded(&folder);
    let load = update(1, &Ask(Load, 500, 1, 0));
    store.recorded(&load);
    store.one(&other(7, b"later"), NOW_MS + DAY_MS).unwrap();
    store.one(&start(), NOW_MS + 90 * DAY_MS).unwrap();
    assert!(matches!(store.one(&load, NOW_MS), Ok(Outcome::Recorded(leaf)) if leaf.retried));
    store.one(&start(), NOW_MS + 90 * DAY_MS + 1).unwrap();
    assert_eq!(store.refused(&load), Refusal::CounterConflict { expected_seq: 2 });
    assert!(matches!(store.one(&other(7, b"later"), NOW_MS), Ok(Outcome::Recorded(leaf)) if leaf.retried));
}

#[test]
fn without_a_data_key_what_cards_did_is_not_recorded_but_keys_and_starts_are() {
    let folder = folder();
    let mut store = Store::open(&folder, Seals::default());
    store.recorded(&Change::Founding { leaf: founding() });
    assert!(matches!(store.one(&first_load(1), NOW_MS), Err(LedgerFault::NoSeal)));
    store.recorded(&start());
}

#[test]
fn a_new_months_data_key_also_keeps_the_purses_within_reach() {
    let folder = folder();
    let mut store = Store::founded(&folder);
    store.recorded(&update(1, &Ask(Load, 500, 1, 0)));
    store.sqlite.state.seals.install(&Seal::new(2, SealClass::Operational, &[2; 32]));
    store.recorded(&update(2, &Ask(Load, 500, 2, 500)));
    drop(store);
    // The first month's key is gone for good.
    let second = Seals::default();
    second.install(&Seal::new(2, SealClass::Operational, &[2; 32]));
    let mut store = Store::open(&folder, second);
    store.recorded(&update(3, &Ask(Load, 500, 3, 1_000)));
    assert!(matches!(store.reader.leaf(1), Err(LedgerFault::SealMissing { id: 1 })));
    assert_eq!(store.reader.leaf(2).map(|leaf| leaf.index).ok(), Some(2));
    let again = store.one(&update(1, &Ask(Load, 500, 1, 0)), NOW_MS);
    assert!(matches!(again, Err(LedgerFault::SealMissing { id: 1 })));
}

#[test]
fn wrapped_data_keys_are_kept_under_numbers_that_rise() {
    let folder = folder();
    let keys = DataKeys::open(folder.path()).unwrap();
    let storage_key = |month| ObjectIdentifier::new([month; 16]);
    assert_eq!(keys.add(storage_key(1), &[1; 40]).unwrap().id, 1);
    let _store = Store::founded(&folder);
    assert_eq!(keys.add(storage_key(2), &[2; 40]).unwrap().id, 2);
    drop(keys);
    let all = DataKeys::open(folder.path()).unwrap().all().unwrap();
    assert_eq!(all.iter().map(|key| (key.id, key.wrapped[0])).collect::<Vec<_>>(), [(1, 1), (2, 2)]);
    assert_eq!(all[0].storage_key, storage_key(1));
}
