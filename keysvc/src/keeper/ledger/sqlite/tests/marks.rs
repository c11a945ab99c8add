//! Rows that were touched, and rows that are gone: nothing is carried out by what they say.

use super::super::ground::{
    Ask, CARD, NOW_MS, Store, first_load, folder,
    jobs::{Floor, OPERATORS, card, cards},
    moment, seals, update,
};
use crate::keeper::ledger::{
    backend::Backend as _,
    change::{Change, Outcome},
    fault::LedgerFault,
    sqlite::database,
};
use keysvc_protocol::request::ValueOperation::{Debit, Load};
use rusqlite::Connection;
use tempfile::TempDir;

/// A store with some purses, that of [`CARD`] at sequence number 2 and balance 300, and not open.
fn filled() -> TempDir {
    let folder = folder();
    let mut store = Store::founded(&folder);
    for number in 1..30 {
        store.recorded(&first_load(number));
    }
    store.recorded(&update(1_001, &Ask(Load, 500, 1, 0)));
    store.recorded(&update(1_002, &Ask(Debit, 200, 2, 500)));
    folder
}

/// What comes of a change on a copy of the store in which `sql` was carried out.
fn after(sql: &str, change: &Change) -> Result<Outcome, LedgerFault> {
    let folder = filled();
    spoil(&folder, sql);
    let mut store = Store::open(&folder, seals());
    store.sqlite.apply(std::slice::from_ref(change), moment(NOW_MS))?.outcomes.remove(0)
}

fn spoil(folder: &TempDir, sql: &str) {
    Connection::open(database(folder.path())).unwrap().execute_batch(sql).unwrap();
}

fn broken(of: &'static str, found: &Result<Outcome, LedgerFault>) -> bool {
    matches!(found, Err(LedgerFault::BrokenTable { table }) if *table == of)
}

#[test]
fn a_purse_with_any_column_changed_is_not_continued_whatever_is_asked() {
    let own = "WHERE seq = 2";
    for set in ["balance = balance + 1", "seq = 1", "link = zeroblob(16)", "leaf = 1", "mark = NULL"] {
        let sql = format!("UPDATE purse SET {set} {own}");
        // Also by one who asks for just what the changed row would allow.
        for ask in [Ask(Debit, 1, 3, 300), Ask(Debit, 1, 3, 301), Ask(Debit, 1, 2, 300), Ask(Load, 1, 1, 0)] {
            let found = after(&sql, &update(2_009, &ask));
            assert!(broken("purse", &found), "{sql}: {found:?}");
        }
    }
    assert!(matches!(after("", &update(2_009, &Ask(Debit, 1, 3, 300))), Ok(Outcome::Recorded(_))));
}

#[test]
fn a_purse_that_is_gone_does_not_begin_again() {
    let first = update(2_009, &Ask(Load, 500, 1, 0));
    for sql in [
        "DELETE FROM purse WHERE seq = 2",
        "DELETE FROM purse",
        "DELETE FROM purse; DELETE FROM first WHERE chain = 'purse'",
        "UPDATE purse SET tag = zeroblob(16) WHERE seq = 2",
        "UPDATE purse SET tag = CAST(substr(tag, 1, 15) || x'00' AS BLOB) WHERE seq = 2",
        // With its neighbour.
        "DELETE FROM purse WHERE tag >= (SELECT max(tag) FROM purse WHERE tag < (SELECT tag FROM purse WHERE seq = 2))",
        // And with what says what comes next.
        "DELETE FROM purse WHERE seq = 2; UPDATE purse SET next = zeroblob(16)",
        "DELETE FROM purse WHERE seq = 2; UPDATE purse SET next = NULL; UPDATE first SET next = zeroblob(16) WHERE chain = 'purse'",
        "DELETE FROM purse; UPDATE first SET next = (SELECT next FROM first WHERE chain = 'card')",
    ] {
        let found = after(sql, &first);
        assert!(broken("purse", &found), "{sql}: {found:?}");
    }
}

#[test]
fn a_new_purse_is_taken_in_at_every_place_and_found_after_a_restart() {
    let folder = filled();
    for number in 100..140 {
        let mut store = Store::open(&folder, seals());
        store.recorded(&first_load(number));
        assert_eq!(store.reader.purse(&"coffee".parse().unwrap(), &card(number), 2).unwrap(), None);
    }
    let mut store = Store::open(&folder, seals());
    store.recorded(&update(2_009, &Ask(Debit, 1, 3, 300)));
}

#[test]
fn a_card_whose_row_was_changed_or_is_gone_bears_no_value() {
    let mut loads = Vec::new();
    for sql in [
        "",
        "UPDATE card SET record = (SELECT record FROM card ORDER BY tag LIMIT 1)",
        "UPDATE card SET mark = NULL",
        "DELETE FROM card",
    ] {
        let folder = folder();
        let mut floor = Floor::founded(&folder);
        floor.sealed("nfc-1", 3, &[]);
        let opened = floor.open("nfc-1", &OPERATORS);
        floor.made(&opened);
        let derive = floor.derive("nfc-1", 1, &cards(1..3));
        floor.made(&derive);
        floor.store.sqlite.connection.execute_batch(sql).unwrap();
        let load = load_of(2);
        loads.push(
            floor
                .store
                .sqlite
                .apply(&[load], moment(floor.now_ms))
                .map(|applied| format!("{:?}", applied.outcomes)),
        );
    }
    let [untouched, touched @ ..] = &loads[..] else { panic!("{loads:?}") };
    assert!(untouched.as_ref().unwrap().contains("Refused"), "{untouched:?}");
    // Of two cards one keeps its own record in the first case; which one is chance, so its mark decides.
    for found in &touched[1..] {
        assert!(matches!(found, Err(LedgerFault::BrokenTable { table: "card" })), "{found:?}");
    }
}

/// A load of a card that a job made.
fn load_of(number: u32) -> Change {
    let mut change = first_load(1);
    if let Change::UpdateValue { request, .. } = &mut change {
        request.card = card(number);
    }
    change
}

#[test]
fn a_repetition_is_answered_by_no_leaf_but_its_own_and_by_that_only_as_it_was() {
    let again = update(1_002, &Ask(Debit, 200, 2, 500));
    let recorded = after("", &again).unwrap();
    assert!(matches!(&recorded, Outcome::Recorded(leaf) if leaf.retried && leaf.index == 31));
    for sql in [
        "UPDATE idem SET leaf = 99 WHERE leaf = 30; UPDATE idem SET leaf = 30 WHERE leaf = 31",
        "UPDATE idem SET time = time + 1 WHERE leaf = 31",
        "UPDATE idem SET request = zeroblob(16) WHERE leaf = 31",
    ] {
        let found = after(sql, &again);
        assert!(broken("idem", &found), "{sql}: {found:?}");
    }
    for sql in [
        // As whoever edits the file would have something else signed: an open payload in the place of the sealed one.
        "UPDATE leaf SET sealed = NULL, payload = x'a0' WHERE idx = 31",
        "UPDATE leaf SET salt = zeroblob(16) WHERE idx = 31",
    ] {
        let found = after(sql, &again);
        assert!(matches!(found, Err(LedgerFault::Broken { leaf: 31 })), "{sql}: {found:?}");
    }
    // An entry that is whole in itself, and not the tree's.
    let first = update(1_001, &Ask(Load, 500, 1, 0));
    let folder = filled();
    let mut store = Store::open(&folder, seals());
    let mut entry: Vec<u8> = store.reader.leaf(30).unwrap().entry;
    let time = NOW_MS.to_be_bytes();
    let at = entry.windows(8).position(|window| window == time).unwrap();
    entry[at + 7] ^= 1;
    store.sqlite.connection.execute("UPDATE leaf SET entry = ?1 WHERE idx = 30", [entry]).unwrap();
    let found = store.sqlite.apply(&[first], moment(NOW_MS));
    assert!(matches!(found, Err(LedgerFault::Broken { leaf: 30 })), "{found:?}");
}

#[test]
fn a_key_of_the_tags_that_is_gone_is_not_made_anew() {
    for sql in ["DELETE FROM tags_key", "DELETE FROM tags_key; DELETE FROM purse; DELETE FROM first"] {
        let found = after(sql, &update(2_009, &Ask(Load, 500, 1, 0)));
        assert!(broken("tags_key", &found), "{sql}: {found:?}");
    }
}

#[test]
fn a_record_of_a_key_that_the_log_does_not_say_is_found_at_the_start() {
    for sql in [
        "DELETE FROM key_record WHERE name = 'value'",
        "UPDATE key_record SET record = (SELECT record FROM key_record WHERE name = 'a') WHERE name = 'b'",
    ] {
        let folder = filled();
        spoil(&folder, sql);
        let restored = Store::open(&folder, seals()).restored;
        assert!(matches!(restored, Err(LedgerFault::BrokenTable { table: "key_record" })), "{sql}");
    }
}

#[test]
fn a_node_that_was_touched_is_shown_in_no_proof_and_takes_no_history_for_rolled_back() {
    let folder = filled();
    let whole = Store::open(&folder, seals());
    let (head, root) = (whole.reader.head(), whole.reader.root_at(5).unwrap());
    whole.reader.inclusion(0, head.size).unwrap();
    whole.reader.consistency(5, head.size).unwrap();
    drop(whole);
    // Leaf 4 completes the root of nothing that a start reads.
    spoil(&folder, "UPDATE leaf SET hashes = zeroblob(length(hashes)) WHERE idx IN (1, 4)");
    let reader = Store::open(&folder, seals()).reader;
    assert!(matches!(reader.inclusion(0, head.size), Err(LedgerFault::Broken { .. })));
    assert!(matches!(reader.consistency(5, head.size), Err(LedgerFault::Broken { .. })));
    let found = reader.root_at(5);
    assert!(matches!(found, Err(LedgerFault::Broken { .. })), "{found:?}, once {root}");
}

#[test]
fn an_older_store_gets_its_marks_with_its_first_batch_and_is_then_held_to_them() {
    let folder = filled();
    // As it was before rows had marks: the key of the tags was sealed for another place.
    let store = Store::open(&folder, seals());
    let tags = store.reader.tags_for_tests();
    let (id, sealed) = tags.sealed_before_marks(&seals()).unwrap();
    let connection = &store.sqlite.connection;
    connection.execute("UPDATE tags_key SET sealed = ?1, key = ?2", rusqlite::params![id, sealed]).unwrap();
    drop(store);
    spoil(
        &folder,
        "DROP TABLE first; ALTER TABLE purse DROP COLUMN mark; ALTER TABLE purse DROP COLUMN next; \
        ALTER TABLE card DROP COLUMN mark; ALTER TABLE card DROP COLUMN next; ALTER TABLE job DROP COLUMN mark; \
        ALTER TABLE job_station DROP COLUMN mark; ALTER TABLE idem DROP COLUMN mark; PRAGMA user_version = 4",
    );
    let mut store = Store::open(&folder, seals());
    // Read before its first batch, by who asks nothing to be done.
    let purse = store.reader.purse(&"coffee".parse().unwrap(), &CARD.parse().unwrap(), 1).unwrap().unwrap();
    assert_eq!((purse.seq, purse.balance), (2, 300));
    store.recorded(&update(2_009, &Ask(Debit, 1, 3, 300)));
    store.recorded(&first_load(500));
    assert!(matches!(store.one(&first_load(7), NOW_MS), Ok(Outcome::Recorded(leaf)) if leaf.retried));
    drop(store);
    let missing: i64 = Connection::open(database(folder.path()))
        .unwrap()
        .query_row(
            "SELECT (SELECT count(*) FROM purse WHERE mark IS NULL OR next IS NULL) + \
             (SELECT count(*) FROM idem WHERE mark IS NULL)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(missing, 0);
    spoil(&folder, "UPDATE purse SET balance = 9 WHERE seq = 3");
    let mut store = Store::open(&folder, seals());
    let found = store.sqlite.apply(&[update(2_010, &Ask(Debit, 1, 4, 9))], moment(NOW_MS));
    assert!(matches!(found, Err(LedgerFault::BrokenTable { table: "purse" })), "{found:?}");
}
