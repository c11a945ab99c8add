//! Jobs and cards, made again from the log and compared.

use super::{super::Part, Rebuilt, database, ground, spoilt_with, verify_with};
use crate::keeper::ledger::{change::Change, seal::Seals};
use ground::{
    NOW_MS, folder,
    jobs::{Floor, OPERATORS, card, cards, head},
    moment,
    people::by_quorum,
};
use keysvc_protocol::{
    card::CardState,
    job::{Counts, JobState, Outcome},
};
use rusqlite::Connection;
use tempfile::TempDir;

/// A store with a listed job that is worked on, one that is purged, one that was withdrawn as a draft, and a card that
/// is sold.
fn worked() -> (TempDir, Floor) {
    let folder = folder();
    let mut floor = Floor::founded(&folder);
    let key = floor.make_key("nfc-1");
    floor.sealed("nfc-1", 3, &cards(1..4));
    let open = floor.open("nfc-1", &OPERATORS);
    floor.made(&open);
    let derive = floor.derive("nfc-1", 1, &cards(1..4));
    floor.made(&derive);
    let became = [(card(1), Outcome::Good), (card(2), Outcome::Good), (card(3), Outcome::Sample)];
    let results = floor.results("nfc-1", &became);
    floor.made(&results);
    let incident = floor.incident("nfc-1");
    floor.made(&incident);
    let wrong = floor.count("nfc-1", Counts { good: 1, ..Counts::default() });
    floor.made(&wrong);
    let count = floor.count("nfc-1", Counts { good: 2, sample: 1, ..Counts::default() });
    floor.made(&count);
    let close = floor.close("nfc-1");
    floor.made(&close);
    floor.destroy_key("nfc-1", key);
    floor.made(&Floor::purged("nfc-1", true));
    let sell = floor.transition("terminal-1", &cards(1..2), CardState::Active);
    floor.made(&sell);

    floor.make_key("nfc-2");
    floor.sealed("nfc-2", 9, &cards(2..9));
    let open = floor.open("nfc-2", &OPERATORS);
    floor.made(&open);
    let derive = floor.derive("nfc-2", 1, &cards(4..6));
    floor.made(&derive);
    let anew = floor.derive("nfc-2", 2, &cards(2..3));
    let now = moment(floor.now_ms);
    let evidence = floor.store.approved(&Floor::as_request(&anew), 1, &["anna", "boris"], now);
    floor.made(&by_quorum(anew, &evidence));
    let suspend = floor.suspend("operator-1", "nfc-2");
    floor.made(&suspend);
    (folder, floor)
}

/// Closes the store and gives its data keys.
fn closed(floor: Floor) -> Seals {
    let Floor { store, seals, .. } = floor;
    drop(store);
    seals
}

fn verified(folder: &TempDir, seals: &Seals) -> Rebuilt {
    let rebuilt = verify_with(folder, seals);
    assert_eq!(rebuilt.findings.named(), []);
    rebuilt
}

#[test]
fn a_store_with_jobs_is_what_its_log_says_before_and_after_their_purge() {
    let (folder, floor) = worked();
    let seals = closed(floor);
    let rebuilt = verified(&folder, &seals);
    let rows = |part| rebuilt.findings.count(part).compared;
    let jobs = [Part::Job, Part::JobStation, Part::JobItem, Part::Card, Part::CardCount].map(rows);
    assert_eq!(jobs, [2, 1, 7, 5, 1]);
    assert_eq!(rebuilt.erased, 1);
    assert_eq!((rebuilt.kinds["job changed"], rebuilt.kinds["job items added"]), (8, 2));
    assert_eq!(rebuilt.kinds["job purged"], 1);
}

#[test]
fn each_table_of_jobs_and_cards_is_compared_row_by_row() {
    let item = "SELECT tag FROM job_item LIMIT 1";
    let card = "SELECT tag FROM card LIMIT 1";
    for (sql, part) in [
        ("UPDATE job SET made = made + 1 WHERE name = 'nfc-1'", Part::Job),
        ("UPDATE job SET state = 5 WHERE name = 'nfc-2'", Part::Job),
        ("UPDATE job SET due = due + 1 WHERE name = 'nfc-2'", Part::Job),
        ("DELETE FROM job WHERE name = 'nfc-1'", Part::Job),
        (
            "INSERT INTO job SELECT 'nfc-3', record, made, good, rejected, sample, state, due, station, mark \
             FROM job WHERE name = 'nfc-2'",
            Part::Job,
        ),
        ("DELETE FROM job_station", Part::JobStation),
        ("INSERT INTO job_station VALUES ('station-9', 'nfc-2', NULL)", Part::JobStation),
        (&format!("UPDATE card SET record = zeroblob(9) WHERE tag = ({card})"), Part::Card),
        (&format!("DELETE FROM card WHERE tag = ({card})"), Part::Card),
        (
            &format!(
                "INSERT INTO card SELECT zeroblob(16), record, mark, next FROM card WHERE tag = ({card})"
            ),
            Part::Card,
        ),
        ("UPDATE card_count SET cards = 6", Part::CardCount),
        (&format!("DELETE FROM job_item WHERE tag = ({item})"), Part::JobItem),
        (&format!("UPDATE job_item SET sealed = zeroblob(60) WHERE tag = ({item})"), Part::JobItem),
        (
            &format!(
                "UPDATE job_item SET sealed = (SELECT sealed FROM job_item ORDER BY tag DESC LIMIT 1) \
                 WHERE tag = ({item})"
            ),
            Part::JobItem,
        ),
        (
            &format!(
                "INSERT INTO job_item SELECT zeroblob(16), job, sealed FROM job_item WHERE tag = ({item})"
            ),
            Part::JobItem,
        ),
        // What a purge was to delete, put back.
        (
            &format!(
                "INSERT INTO job_item SELECT zeroblob(16), 'nfc-1', sealed FROM job_item WHERE tag = ({item})"
            ),
            Part::JobItem,
        ),
    ] {
        let (folder, floor) = worked();
        let seals = closed(floor);
        let found = spoilt_with(&folder, sql, &seals);
        assert!(!found.is_empty() && found.iter().all(|one| one.0 == part), "{sql}: {found:?}");
    }
}

#[test]
fn between_the_end_of_its_key_and_the_leaf_of_its_purge_a_jobs_items_count_for_neither_side() {
    let (folder, mut floor) = worked();
    let count = || {
        let connection = Connection::open(database(folder.path())).unwrap();
        connection.query_row("SELECT count(*) FROM job_item", [], |row| row.get::<_, u32>(0)).unwrap()
    };
    let key = floor.make_key("nfc-3");
    let create = floor.create("data-1", "nfc-3", head(9, true));
    floor.made(&create);
    let items = floor.items("data-1", "nfc-3", &cards(20..25));
    floor.made(&items);
    let withdraw = floor.withdraw("data-1", "nfc-3");
    floor.made(&withdraw);
    let seals = closed(floor);
    assert_eq!(verified(&folder, &seals).findings.count(Part::JobItem).compared, 12);
    let mut floor = Floor::over(&folder, seals, 1_000);
    floor.destroy_key("nfc-3", key);
    let seals = closed(floor);
    let rebuilt = verified(&folder, &seals);
    assert_eq!((rebuilt.findings.count(Part::JobItem).compared, rebuilt.erased), (7, 2));
    let mut floor = Floor::over(&folder, seals, 2_000);
    assert_eq!((floor.job("nfc-3").0.state, floor.job("nfc-3").0.items), (JobState::Closed, 5));
    // Half of the portions.
    floor.store.one(&Change::ForgetItems { job: "nfc-3".parse().unwrap(), max: 2 }, NOW_MS).unwrap();
    let (rows, seals) = (count(), closed(floor));
    assert_eq!(rows, 3 + 7);
    assert_eq!(verified(&folder, &seals).findings.count(Part::JobItem).compared, 7);
    let mut floor = Floor::over(&folder, seals, 3_000);
    floor.made(&Floor::purged("nfc-3", true));
    assert_eq!(count(), 7);
    assert_eq!(floor.job("nfc-3").0.items, 0);
    let seals = closed(floor);
    assert_eq!(verified(&folder, &seals).findings.count(Part::JobItem).compared, 7);
}

#[test]
fn a_data_key_that_is_gone_while_its_job_is_worked_on_is_a_difference() {
    let (folder, floor) = worked();
    let seals = closed(floor);
    seals.forget_job(&"nfc-2".parse().unwrap());
    let sql = "DELETE FROM data_key WHERE id = (SELECT max(id) FROM data_key); \
        DELETE FROM job_item WHERE job = 'nfc-2'";
    let found = spoilt_with(&folder, sql, &seals);
    let told = ("of job nfc-2", "a data key, for the job is suspended", "none that opens");
    assert!(found.iter().any(|one| (one.1.as_str(), one.2.as_str(), one.3.as_str()) == told), "{found:?}");
}

#[test]
fn a_leaf_that_the_rules_of_jobs_forbid_is_named() {
    let (folder, mut floor) = worked();
    let resume = floor.resume("nfc-2");
    floor.made(&resume);
    let (of_first, seals) = (floor.exchange, closed(floor));
    let spoil = |sql: &str| Connection::open(database(folder.path())).unwrap().execute_batch(sql).unwrap();
    spoil("CREATE TABLE other AS SELECT * FROM job WHERE name = 'nfc-2'");
    let mut floor = Floor::over(&folder, seals, 3_000);
    let suspend = floor.suspend("operator-2", "nfc-2");
    floor.made(&suspend);
    let resume = floor.resume("nfc-2");
    floor.made(&resume);
    let seals = closed(floor);
    // A writer over the older row releases keys in a session that the log has ended.
    // The whole row as it once was: it has its mark, and only the log tells.
    let columns = "record, made, good, rejected, sample, state, mark";
    spoil(&format!(
        "UPDATE job SET ({columns}) = (SELECT {columns} FROM other) WHERE name = 'nfc-2'; DROP TABLE other"
    ));
    let mut floor = Floor::over(&folder, seals, 4_000);
    floor.exchange = of_first;
    let derive = floor.derive("nfc-2", 1, &cards(6..7));
    let leaf = floor.made(&derive);
    let seals = closed(floor);
    let rebuilt = verify_with(&folder, &seals);
    let named = rebuilt.findings.named();
    let (key, log) = (leaf.index.to_string(), "a leaf that the rules of jobs allow");
    assert!(named.iter().any(|one| (one.key.as_str(), one.log.as_str()) == (&key, log)), "{named:?}");
    assert!(named.iter().any(|one| one.part == Part::Job), "{named:?}");
}

#[test]
fn what_differs_about_a_job_or_a_card_is_told_in_words() {
    let (folder, floor) = worked();
    let seals = closed(floor);
    let found = spoilt_with(&folder, "UPDATE job SET good = 3, state = 4 WHERE name = 'nfc-1'", &seals);
    let [(Part::Job, key, log, store)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(key, "nfc-1");
    assert!(log.starts_with("nfc-1, purged, made 3, good 2, rejected 0, sample 1, due "), "{log}");
    assert!(store.starts_with("nfc-1, counted, made 3, good 3, rejected 0, sample 1, due "), "{store}");
    let (folder, floor) = worked();
    let seals = closed(floor);
    let sold = "(SELECT record FROM card WHERE instr(record, CAST('store-1' AS BLOB)))";
    let sql = format!("UPDATE card SET record = {sold} WHERE NOT instr(record, CAST('store-1' AS BLOB))");
    let found = spoilt_with(&folder, &sql, &seals);
    assert_eq!(found.len(), 4);
    assert!(
        found.iter().any(|one| one.2.starts_with("retired, generation 1, of job nfc-1, at station-1, leaf "))
    );
    assert!(
        found.iter().all(|one| one.3.starts_with("active, generation 1, of job nfc-1, at store-1, leaf "))
    );
}
