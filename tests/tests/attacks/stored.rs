//! Rows written by somebody who has the store's file while the service stands still: it does not start on them.
//!
//! Such attacks have no leaf: what they forge is the log itself, and the service refuses to go on with it.

use super::{Officers, book::Book};
use keysvc_protocol::{
    cbor,
    key::KeyKind,
    leaf::{LeafKind, ProposalVotedLeaf},
    proposal::ProposalState,
    request::Operation,
};
use keysvc_tests::{
    agreed::{Pending, alone, create, disable, key_state, propose},
    copies::Copies,
    ended::ended,
    ground::{Ground, text},
    raw::{self, Leaf},
};
use std::process::Command;

pub const ATTACKS: &[&str] = &[
    "a row of a second officer's vote is put into the store",
    "a vote's row is given another officer's name",
    "a proposal's row is turned to executed",
    "a proposal's row is taken away",
    "the row of a disabled principal's leaf is taken from the list of what moves people",
    "a proposal's leaf is altered in the store",
    "an officer's signed request is altered in the store",
    "a vote's leaf is put behind the log once more",
    "a vote's leaf is taken out of the store",
];

/// Changes rows of the store's database, which no program uses at the moment; gives how many.
pub fn write(ground: &Ground, sql: &str) -> u64 {
    let database = ground.site().service().folder().join("store/ledger.sqlite3");
    let program = "import sqlite3, sys\n\
                   connection = sqlite3.connect(sys.argv[1])\n\
                   print(connection.execute(sys.argv[2]).rowcount)\n\
                   connection.commit()\n\
                   connection.close()";
    let output = Command::new("python3").args(["-c", program]).arg(database).arg(sql).output().unwrap();
    assert!(output.status.success(), "{sql}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn last(leaves: &[Leaf], kind: LeafKind) -> u64 {
    leaves.iter().rev().find(|(entry, _)| entry.kind == kind).unwrap().0.index
}

/// What is forged, by name: the statement, and the words in which the service refuses to start.
fn forgeries(asked: &Pending, leaves: &[Leaf]) -> Vec<(&'static str, String, String)> {
    let id = hex(asked.id().as_bytes());
    let (made, voted) = (asked.reply.receipt.leaf_index, last(leaves, LeafKind::ProposalVoted));
    let disabled = last(leaves, LeafKind::SiteChanged);
    // The first that was written over the state after it.
    let beat = leaves.iter().find(|(entry, _)| entry.kind == LeafKind::Heartbeat && entry.index > disabled);
    let beat = beat.unwrap().0.index;
    let executed = hex(&cbor::encode(&ProposalState::Executed { leaf: voted }));
    let damaged =
        |leaf: u64| format!("leaf {leaf} of the store is damaged; restore a backup that reaches the anchor");
    let table =
        |name: &str| format!("the store's table {name} is damaged; restore a backup that reaches the anchor");
    let led_elsewhere = format!(
        "the store's tables control, proposal and vote do not lead to what heartbeat leaf {beat} says; restore a backup \
         that reaches the anchor"
    );
    let turn = "substr(payload, 1, length(payload) - 1) || CASE substr(payload, -1) WHEN X'00' THEN X'01' ELSE X'00' END";
    let turned = |leaf| format!("UPDATE leaf SET payload = CAST({turn} AS BLOB) WHERE idx = {leaf}");
    // Behind the reading of these leaves, which is the log's last.
    let next = leaves.len() as u64 + 1;
    let rows = [
        (format!("INSERT INTO vote VALUES ({made}, X'{id}', 'officer-2')"), table("vote")),
        (format!("UPDATE vote SET officer = 'officer-2' WHERE leaf = {voted}"), table("vote")),
        (
            format!("UPDATE proposal SET state = X'{executed}', act = {voted}, ended = 1 WHERE id = X'{id}'"),
            table("proposal"),
        ),
        (format!("DELETE FROM proposal WHERE id = X'{id}'"), table("proposal")),
        (format!("DELETE FROM control WHERE leaf = {disabled}"), led_elsewhere),
        (turned(made), "does not open; the key or the store is not the right one".to_owned()),
        (turned(disabled), damaged(disabled)),
        (
            format!(
                "INSERT INTO leaf SELECT (SELECT max(idx) + 1 FROM leaf), entry, hashes, salt, sealed, payload FROM leaf WHERE idx = {voted}"
            ),
            damaged(next),
        ),
        (format!("DELETE FROM leaf WHERE idx = {voted}"), damaged(voted)),
    ];
    ATTACKS.iter().copied().zip(rows).map(|(name, (sql, words))| (name, sql, words)).collect()
}

#[test]
fn a_store_with_forged_rows_is_not_served_from() {
    let mut ground = Ground::new();
    let mut officers = Officers::of(&ground);
    let mut book = Book::open(&ground);
    let Officers { one, two, .. } = &mut officers;
    alone(one, Operation::PrincipalDisable, &disable("terminal-2")).unwrap();
    // A start, so that a heartbeat stands behind the change.
    ground.stop();
    ground.start().unwrap();
    ground.reconnect(one, "officer-1");
    ground.reconnect(two, "officer-2");
    book.reconnect(&ground);
    let asked = propose(one, Operation::KeyCreate, &create("spare", KeyKind::ValueSigning)).unwrap();
    assert_eq!(asked.approve(one).unwrap().state, ProposalState::Open);
    let leaves = raw::leaves(&ground);
    let votes: Vec<ProposalVotedLeaf> = raw::of_kind(&leaves, LeafKind::ProposalVoted);
    assert_eq!(votes.len(), 1);
    ground.stop();
    let home = ground.site().service();
    let whole = Copies::of(&[home.folder().join("store"), home.folder().join("anchor")]);
    for (name, sql, words) in forgeries(&asked, &leaves) {
        assert_eq!(write(&ground, &sql), 1, "{name}");
        let ended_with = ended(ground.keysvc(&["keeper"]));
        let said = text(&ended_with);
        // A refusal, or a fault of the store where a payload does not even open.
        assert!(matches!(ended_with.status.code(), Some(3 | 11)), "{name}: {said}");
        assert!(said.contains(&words), "{name}: no '{words}' in: {said}");
        let verified = ended(ground.keysvc(&["verify-store"]));
        assert!(!verified.status.success(), "{name}: verify-store finds nothing: {}", text(&verified));
        whole.put_back();
        book.tried(name);
    }
    ground.start().unwrap();
    ground.reconnect(one, "officer-1");
    ground.reconnect(two, "officer-2");
    book.reconnect(&ground);
    assert_eq!(key_state(one, "spare", 1), None, "nothing came of it");
    let voted = asked.approve(two).unwrap();
    assert!(matches!(voted.state, ProposalState::Executed { .. }), "{:?}", voted.state);
    book.close(ATTACKS, &mut ground);
}
