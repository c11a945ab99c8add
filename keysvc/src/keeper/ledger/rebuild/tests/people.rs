//! What takes people, made again from the log and compared.

use super::{super::Part, NOW_MS, Store, founded, ground, spoilt, verify};
use crate::keeper::ledger::{change::Change, fault::LedgerFault};
use ground::{
    moment,
    people::{ROSTER_DELAY_MS, by_quorum},
};
use keysvc_protocol::{freeze::Scope, leaf::LeafKind, quorum::Verdict, request::Operation};
use tempfile::TempDir;

/// A store with proposals in every state, a freeze, a threshold that took effect, and value by a quorum.
fn agreed() -> TempDir {
    let (folder, mut store) = founded();
    let now = moment(NOW_MS);
    store.made(&Change::Heartbeat, now);
    let freeze = store.freeze("anna", 1, Scope::All);
    store.made(&freeze.alter(), now);
    let lift = store.lift("anna", 2, Scope::All);
    let evidence = store.approved(&lift, 1, &["anna", "boris"], now);
    store.made(&lift.by_quorum(&evidence), now);
    value_by_quorum(&mut store);
    let retire = store.key_event("anna", Operation::KeyRetire, 4, ("b", 1));
    store.approved(&retire, 3, &["boris"], now);
    let reject = store.vote("clara", 3, Verdict::Reject);
    store.made(&reject, now);
    let retire = store.key_event("anna", Operation::KeyRetire, 5, ("b", 1));
    store.made(&retire.propose(4), now);
    let cancel = store.cancel("boris", 6, 4);
    store.made(&cancel, now);
    let retire = store.key_event("anna", Operation::KeyRetire, 7, ("value", 1));
    let evidence = store.approved(&retire, 5, &["anna", "boris"], now);
    store.made(&retire.by_quorum(&evidence), now);
    let threshold = store.threshold("anna", 8, Operation::KeyRetire, 3);
    let evidence = store.approved(&threshold, 6, &["anna", "boris", "clara"], now);
    let act = store.made(&threshold.by_quorum(&evidence), now);
    store.made(&Change::TookEffect { act: act.index }, moment(NOW_MS + ROSTER_DELAY_MS));
    let open = store.key_event("anna", Operation::KeyRetire, 9, ("b", 1));
    store.approved(&open, 7, &["boris"], moment(NOW_MS + ROSTER_DELAY_MS));
    folder
}

fn value_by_quorum(store: &mut Store) {
    let change = super::update(1, 1, 0);
    let Change::UpdateValue { request, .. } = &change else { panic!("not an update") };
    let mut asked = store.asked("terminal-1", Operation::ValueUpdate, 3, request);
    asked.retry.idem = request.txn;
    let evidence = store.approved(&asked, 2, &["anna", "boris"], moment(NOW_MS));
    let mut signed = change.clone();
    if let Change::UpdateValue { statement, .. } = &mut signed {
        *statement = asked.proposed.statement;
    }
    let act = store.made(&by_quorum(signed, &evidence), moment(NOW_MS));
    assert_eq!(act.kind, LeafKind::SealedActByQuorum);
}

#[test]
fn a_store_in_which_people_agreed_is_what_its_log_says() {
    let folder = agreed();
    let rebuilt = verify(&folder);
    assert_eq!(rebuilt.findings.named(), []);
    let rows = |part| rebuilt.findings.count(part).compared;
    assert_eq!((rows(Part::Proposal), rows(Part::Vote), rows(Part::Purse)), (7, 12, 1));
    // Seven requests became proposals, two were one caller's alone.
    assert_eq!(rows(Part::Idem), 9);
    assert_eq!(rebuilt.keys, Store::open(&folder, super::seals()).reader.keys().unwrap());
}

#[test]
fn each_table_of_what_takes_people_is_compared_row_by_row() {
    for (sql, part) in [
        ("UPDATE proposal SET act = 1 WHERE act IS NOT NULL AND made < 9", Part::Proposal),
        ("DELETE FROM proposal WHERE ended = 0", Part::Proposal),
        ("UPDATE vote SET officer = 'dora' WHERE officer = 'clara'", Part::Vote),
        ("DELETE FROM control WHERE roster = 1", Part::Control),
        ("UPDATE control SET roster = 1 WHERE leaf = 1", Part::Control),
        ("INSERT INTO issued VALUES (zeroblob(16))", Part::Issued),
        ("INSERT INTO impact VALUES ('b', 1, 5)", Part::Impact),
        ("UPDATE key_record SET leaf = 0 WHERE name = 'value'", Part::KeyRecord),
        ("DELETE FROM purse", Part::Purse),
        ("UPDATE idem SET leaf = 3 WHERE leaf = 6", Part::Idem),
        ("DELETE FROM idem WHERE leaf = (SELECT max(leaf) FROM idem)", Part::Idem),
    ] {
        let folder = agreed();
        let found = spoilt(&folder, sql);
        assert!(!found.is_empty() && found.iter().all(|one| one.0 == part), "{sql}: {found:?}");
    }
}

#[test]
fn a_leaf_that_the_rules_forbid_is_named_and_no_start_goes_past_it() {
    let (folder, mut store) = founded();
    let before = store.reader.control().unwrap();
    let freeze = store.freeze("anna", 1, Scope::All);
    store.made(&freeze.alter(), moment(NOW_MS));
    // A writer that has forgotten the freeze says that another state stands.
    store.believe(before);
    let beat = store.made(&Change::Heartbeat, moment(NOW_MS));
    drop(store);
    let rebuilt = verify(&folder);
    let named = rebuilt.findings.named();
    let (key, log) = (beat.index.to_string(), "a leaf that the rules allow");
    assert!(named.iter().any(|one| (one.key.as_str(), one.log.as_str()) == (&key, log)), "{named:?}");
    let restored = Store::open(&folder, super::seals()).restored.unwrap_err();
    assert!(
        matches!(restored, LedgerFault::OtherControl { heartbeat } if heartbeat == beat.index),
        "{restored}"
    );
}
