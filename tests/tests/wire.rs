//! Every leaf of a log that a day's work made is one that docs/wire.cddl describes.

#[path = "../../client/protocol/tests/golden/grammar.rs"]
mod grammar;

use cddl_cat::validate_cbor_bytes;
use keysvc_protocol::{
    cbor,
    cose::Signed,
    job::{Incident, ItemData, JobHead, JobItem},
    leaf::{ChangedLeaf, LeafKind},
    receipt::LEAF_PAYLOAD_LEN_MAX,
    reply::JobRecordReply,
    request::{Operation, ReadJobRecord, ValueOperation::Load},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{self, done},
    cards, custody,
    ground::{Ground, OFFICERS},
    jobs::{Bench, head, now_ms},
    raw::{self, Caller, Leaf},
};
use std::collections::BTreeSet;

/// The rule of the grammar for each kind of leaf.
const RULES: [(LeafKind, &str); 29] = [
    (LeafKind::Founding, "leaf-founding"),
    (LeafKind::Start, "leaf-start"),
    (LeafKind::KeyIntent, "leaf-key-intent"),
    (LeafKind::KeyOutcome, "leaf-key-outcome"),
    (LeafKind::JobOpened, "leaf-job-opened"),
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
    (LeafKind::JobChanged, "leaf-job-changed"),
    (LeafKind::JobItemsAdded, "leaf-job-items-added"),
    (LeafKind::IncidentReported, "leaf-incident-reported"),
    (LeafKind::CardsChanged, "leaf-cards-changed"),
    (LeafKind::JobPurged, "leaf-job-purged"),
    (LeafKind::JobRecordMade, "leaf-job-record-made"),
];

/// A job from its making to its purge, with an incident and its audit record; and one whose list of cards is still there.
fn jobs_of(ground: &Ground) {
    let mut bench = Bench::new(env!("CARGO_BIN_EXE_card"), ground, "station-1");
    let shift = bench.open(("known", 1));
    let delivery = bench.derive(&shift, &["04782e21801d81"]).unwrap();
    bench.good(&shift, &delivery).unwrap();
    let incident = Incident {
        equipment: agreed::reason(),
        time_ms: now_ms(),
        cause: agreed::reason(),
        place: agreed::reason(),
        in_hand: 0,
    };
    bench.floor.incident(&mut bench.station, shift.job.as_str(), &incident).unwrap();
    bench.finish(&shift, 1);
    let record = ReadJobRecord { schema: Schema, job: shift.job.clone() };
    let mut reviewer = Caller::new(ground.site(), "reviewer-1");
    reviewer.ask::<JobRecordReply>(Operation::JobRecord, &record).unwrap();
    let listed = JobHead { listed: true, ..head("known", 1, 1) };
    bench.floor.create("listed", &listed).unwrap();
    let data = ItemData(b"a name".to_vec().try_into().unwrap());
    let item = JobItem { card: "04782e21801d82".parse().unwrap(), data };
    bench.floor.add("listed", &[item]).unwrap();
}

/// Work that leaves a leaf of each kind that a healthy service writes within one month.
fn work(ground: &mut Ground) {
    jobs_of(ground);
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

/// What people are governed by: an imported key, a profile, other policies, a ceremony's record.
fn governance(ground: &Ground) {
    let [mut ann, mut ben, mut cat] =
        OFFICERS.map(|officer| cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), officer));
    let parts = [("officer-1", [0x1f; 16]), ("officer-2", [0xa2; 16])];
    let all = &mut [&mut ann, &mut ben, &mut cat];
    let import = done(all, Operation::KeyImport, &custody::import("brought", &parts)).id();
    for (custodian, (_, component)) in all.iter_mut().zip(parts) {
        custody::give(custodian, import, &component).unwrap();
    }
    let mut profile = agreed::next_version(&mut ann, "generated");
    profile.slots[1].key = agreed::name("brought");
    let two = &mut [&mut ann, &mut ben];
    done(two, Operation::KeyActivate, &agreed::activate("brought", 1));
    done(two, Operation::ProfilePut, &agreed::put(&profile));
    let site = format!("{}// and no more\n", keysvc_policies::DEFAULT_SITE);
    done(&mut [&mut cat, &mut ann, &mut ben], Operation::PolicyPropose, &agreed::propose_policy(&site));
    let held = agreed::record_ceremony(&["officer-1", "officer-2"]);
    agreed::alone(&mut ben, Operation::CeremonyRecord, &held).unwrap();
}

fn holds(grammar: &str, rule: &str, bytes: &[u8]) {
    let valid = validate_cbor_bytes(rule, grammar, bytes);
    assert!(valid.is_ok(), "{rule}: {valid:?}");
}

/// The rules that the leaves hold to, of which there are some.
fn rules_held(leaves: &[Leaf]) -> BTreeSet<&'static str> {
    let grammar = grammar::grammar();
    let mut kinds = BTreeSet::new();
    for (entry, payload) in leaves {
        let (_, rule) = RULES.into_iter().find(|(kind, _)| *kind == entry.kind).unwrap();
        holds(&grammar, "leaf-entry", &cbor::encode(entry));
        holds(&grammar, rule, payload);
        kinds.insert(rule);
    }
    kinds
}

#[test]
fn every_leaf_and_request_of_what_people_govern_is_as_the_grammar_says() {
    let ground = Ground::new();
    governance(&ground);
    let (grammar, leaves) = (grammar::grammar(), raw::leaves(&ground));
    let kinds = rules_held(&leaves);
    for rule in [
        "leaf-act-by-quorum",
        "leaf-changed",
        "leaf-key-intent",
        "leaf-key-outcome",
        "leaf-proposal-made",
        "leaf-proposal-voted",
    ] {
        assert!(kinds.contains(rule), "{rule}");
    }
    let mut changes: Vec<ChangedLeaf> = raw::of_kind(&leaves, LeafKind::SiteChanged);
    for (_, act) in agreed::acts(&leaves) {
        holds(&grammar, "evidence", &cbor::encode(&act.evidence));
        holds(&grammar, "proposal", act.evidence.proposal.as_bytes());
        holds(&grammar, "leaf-changed", act.act.as_bytes());
        changes.push(cbor::decode(act.act.as_bytes(), LEAF_PAYLOAD_LEN_MAX).unwrap());
    }
    let mut operations = BTreeSet::new();
    for change in &changes {
        let statement = Signed::parse(change.statement.0.as_bytes()).unwrap();
        holds(&grammar, &format!("request-{}", change.operation), statement.recorded_payload());
        operations.insert(change.operation.name());
    }
    let governed =
        ["ceremony.record", "component.give", "key.activate", "key.import", "policy.propose", "profile.put"];
    assert!(operations.iter().eq(&governed), "{operations:?}");
}

#[test]
fn every_leaf_of_a_days_work_is_as_the_grammar_says() {
    let mut ground = Ground::new();
    work(&mut ground);
    let kinds = rules_held(&raw::leaves(&ground));
    // A rollback is shown when history is rolled back, and what takes people is other tests' work: all have golden messages.
    let all: BTreeSet<_> = RULES.into_iter().map(|(_, rule)| rule).collect();
    let never: Vec<_> = all.difference(&kinds).copied().collect();
    let of_people = [
        "leaf-act-by-quorum",
        "leaf-changed",
        "leaf-evidence-read",
        "leaf-key-destroyed",
        "leaf-proposal-closed",
        "leaf-proposal-made",
        "leaf-proposal-voted",
        "leaf-rollback-shown",
        "leaf-took-effect",
    ];
    assert_eq!(never, of_people);
}
