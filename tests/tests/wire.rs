//! Every leaf of a log that a day's work made is one that docs/wire.cddl describes.

#[path = "../../client/protocol/tests/golden/grammar.rs"]
mod grammar;

use cddl_cat::validate_cbor_bytes;
use keysvc_protocol::{
    cbor,
    leaf::LeafKind,
    request::{Operation, ValueOperation::Load},
};
use keysvc_tests::{
    ground::{Ground, text},
    raw::{self, Caller, Leaf},
};
use std::collections::BTreeSet;

/// The rule of the grammar for each kind of leaf.
const RULES: [(LeafKind, &str); 23] = [
    (LeafKind::Founding, "leaf-founding"),
    (LeafKind::Start, "leaf-start"),
    (LeafKind::KeyIntent, "leaf-key-intent"),
    (LeafKind::KeyOutcome, "leaf-key-outcome"),
    (LeafKind::StationOpened, "leaf-station-opened"),
    (LeafKind::CardKeysDerived, "leaf-card-keys-derived"),
    (LeafKind::ValueUpdated, "leaf-value-updated"),
    (LeafKind::EntriesRead, "leaf-entries-read"),
    (LeafKind::Refused, "leaf-refused"),
    (LeafKind::RefusalsCounted, "leaf-refusals-counted"),
    (LeafKind::RollbackShown, "leaf-rollback-shown"),
    (LeafKind::BundleMade, "leaf-bundle-made"),
    (LeafKind::ProposalMade, "leaf-proposal-made"),
    (LeafKind::ProposalVoted, "leaf-proposal-voted"),
    (LeafKind::ProposalClosed, "leaf-proposal-closed"),
    (LeafKind::SiteChanged, "leaf-changed"),
    (LeafKind::FreezeChanged, "leaf-changed"),
    (LeafKind::ActByQuorum, "leaf-act-by-quorum"),
    (LeafKind::SealedActByQuorum, "leaf-act-by-quorum"),
    (LeafKind::Heartbeat, "leaf-heartbeat"),
    (LeafKind::TookEffect, "leaf-took-effect"),
    (LeafKind::KeyDestroyed, "leaf-key-destroyed"),
    (LeafKind::EvidenceRead, "leaf-evidence-read"),
];

/// Work that leaves a leaf of each kind that a healthy service writes within one month.
fn work(ground: &mut Ground) {
    let mut derive =
        ground.fobctl("station-1", &["station", "derive", "--profile", "known", "--version", "1"]);
    let derived = derive.args(["--slot", "0", "--card", "04782e21801d80"]).output().unwrap();
    assert!(derived.status.success(), "{}", text(&derived));
    let mut terminal = Caller::new(ground.site(), "terminal-1");
    terminal
        .ask::<keysvc_protocol::reply::ValueUpdateReply>(
            Operation::ValueUpdate,
            &raw::update(Load, 1, 500, 0),
        )
        .unwrap();
    // Twelve refusals of a minute: ten leaves, and a count when the keeper ends.
    for _ in 0..12 {
        let refused = terminal.ask_bytes::<keysvc_protocol::reply::StatusReply>(Operation::KeyList, vec![0]);
        assert!(refused.is_err());
    }
    let mut stranger = Caller::new(ground.site(), "stranger");
    assert!(stranger.ask_bytes::<keysvc_protocol::reply::StatusReply>(Operation::Status, vec![0]).is_err());
    drop(raw::leaves(ground));
    ground.stop();
    ground.start().unwrap();
}

fn holds(grammar: &str, rule: &str, bytes: &[u8]) {
    let valid = validate_cbor_bytes(rule, grammar, bytes);
    assert!(valid.is_ok(), "{rule}: {valid:?}");
}

#[test]
fn every_leaf_of_a_days_work_is_as_the_grammar_says() {
    let mut ground = Ground::new();
    work(&mut ground);
    let (grammar, leaves) = (grammar::grammar(), raw::leaves(&ground));
    let mut kinds = BTreeSet::new();
    for (entry, payload) in &leaves as &[Leaf] {
        let (_, rule) = RULES.into_iter().find(|(kind, _)| *kind == entry.kind).unwrap();
        holds(&grammar, "leaf-entry", &cbor::encode(entry));
        holds(&grammar, rule, payload);
        kinds.insert(rule);
    }
    // A month's key, with its intent and outcome, is made when the month changes; a rollback when history is rolled back;
    // what takes people is other tests' work: all have golden messages.
    let all: BTreeSet<_> = RULES.into_iter().map(|(_, rule)| rule).collect();
    let never: Vec<_> = all.difference(&kinds).copied().collect();
    let of_people = [
        "leaf-act-by-quorum",
        "leaf-changed",
        "leaf-evidence-read",
        "leaf-key-destroyed",
        "leaf-key-intent",
        "leaf-key-outcome",
        "leaf-proposal-closed",
        "leaf-proposal-made",
        "leaf-proposal-voted",
        "leaf-rollback-shown",
        "leaf-took-effect",
    ];
    assert_eq!(never, of_people);
}
