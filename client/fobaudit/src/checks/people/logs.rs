//! The logs under tests/verifier/logs: what the second verifier, in another language, must judge as this one does.
//!
//! They are the sample's own, byte for byte (its signatures are deterministic), with this program's judgement beside them.
//! `FOBAUDIT_WRITE_LOGS=1` writes them anew.

use super::tests::{enrol, lift_request, lift_with, lifting, malleated, terminal};
use crate::{
    checks::jobs,
    counts::{Counts, JobLine},
    sample::{ALICE, BOB, COMPONENTS, DORA, Sample, TERMINAL_KEY, two, uid},
};
use keysvc_protocol::{
    bytes::{Digest, ProposalId},
    founding::PrincipalKind,
    job::JobRecord,
    key::{CheckValue, KeyKind, KeyRecord},
    leaf::LeafKind,
    list::List,
    proposal::Proposal,
    quorum::{Need, Verdict},
    request::Operation,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A log, and a job's audit record beside it where there is one.
type Written = (&'static str, Sample, Option<Vec<u8>>);

/// Those about what takes people, those about jobs, and those with an audit record.
fn every() -> Vec<Written> {
    let people = all().into_iter().map(|(name, sample)| (name, sample, None));
    let jobs = jobs::logs::all().into_iter().map(|(name, sample, _)| (name, sample, None));
    people.chain(jobs).chain(records()).collect()
}

/// An audit record that says what the log says, of a job that went on since; and ones that do not.
fn records() -> Vec<Written> {
    let recorded = |bend: fn(&mut JobRecord)| {
        let mut sample = Sample::produced();
        let record = sample.job_record("nfc-3", bend);
        sample.all_good("nfc-3", &[uid(21)]);
        (sample, Some(record))
    };
    let (good, record) = recorded(|_| {});
    let (number, another_number) = recorded(|record| record.tally.good += 1);
    let (witness, another_witness) = recorded(|record| record.job.created.by = "data-2".parse().unwrap());
    let mut unsaid = good.clone();
    let (_, unmade) = recorded(|record| record.made_ms -= 1);
    unsaid.later_ms = 120_000;
    unsaid.heartbeat();
    vec![
        ("good-record", good, record),
        ("record-of-another-number", number, another_number),
        ("record-of-another-person", witness, another_witness),
        ("record-without-leaf", unsaid, unmade),
    ]
}

fn all() -> Vec<(&'static str, Sample)> {
    vec![
        ("good", Sample::governed()),
        ("good-new-officer", new_officer()),
        ("good-withheld", withheld()),
        ("alone", alone()),
        ("too-few", with(|sample, bytes| vec![sample.approve(bytes, ALICE)])),
        ("same-person", with(|sample, bytes| vec![sample.approve(bytes, ALICE); 2])),
        (
            "malleated",
            with(|sample, bytes| vec![sample.approve(bytes, ALICE), malleated(&sample.approve(bytes, BOB))]),
        ),
        (
            "machine",
            with(|sample, bytes| {
                vec![sample.approve(bytes, ALICE), sample.approval(bytes, Verdict::Approve, TERMINAL_KEY)]
            }),
        ),
        (
            "other-proposal",
            with(|sample, bytes| {
                vec![sample.approve(bytes, ALICE), sample.approval(b"another", Verdict::Approve, BOB)]
            }),
        ),
        ("twice", twice()),
        ("expired", expired()),
        ("other-policy", proposed(|proposal| Proposal { policy: Digest::new([7; 32]), ..proposal })),
        ("other-roster", proposed(|proposal| Proposal { roster: Digest::new([7; 32]), ..proposal })),
        ("below-floor", proposed(|proposal| Proposal { need: Need { persons: 1, ..two() }, ..proposal })),
        ("other-evidence", other_evidence()),
        ("too-early", too_early()),
        ("good-governed", Sample::ruled()),
        ("custodians-alone", Sample::custodians_alone().0),
        ("no-other-officer", no_other_officer()),
        ("another-component", another_component()),
        ("component-before-order", component_before_order()),
        ("component-missing", component_missing()),
        ("another-key-came-in", another_key()),
        ("component-after-key", component_after_key()),
        ("key-of-no-origin", key_of_no_origin()),
        ("key-made-elsewhere", key_made_elsewhere()),
        ("policy-since-changed", policy_since_changed()),
        ("import-by-two-of-three", import_by_two()),
    ]
}

fn with(approvals: impl FnOnce(&mut Sample, &[u8]) -> Vec<Vec<u8>>) -> Sample {
    let (mut sample, request, bytes) = lifting();
    let approvals = approvals(&mut sample, &bytes);
    lift_with(&mut sample, &request, &bytes, &approvals);
    sample
}

fn proposed(bend: impl FnOnce(Proposal) -> Proposal) -> Sample {
    let (mut sample, request, _) = lifting();
    let proposal = bend(sample.drafted(request, None));
    sample.propose(&proposal);
    sample
}

fn alone() -> Sample {
    let mut sample = Sample::good();
    sample.freeze(terminal());
    let request = sample.proposed(("alice", ALICE), Operation::FreezeLift, &lift_request(&sample));
    sample.push(LeafKind::FreezeChanged, &Sample::changed(&request));
    sample
}

fn twice() -> Sample {
    let (mut sample, request, bytes) = lifting();
    let approvals = [ALICE, BOB].map(|seed| sample.approve(&bytes, seed));
    lift_with(&mut sample, &request, &bytes, &approvals);
    sample.freeze(terminal());
    lift_with(&mut sample, &request, &bytes, &approvals);
    sample
}

fn expired() -> Sample {
    let (mut sample, request, bytes) = lifting();
    let approvals = [ALICE, BOB].map(|seed| sample.approve(&bytes, seed));
    sample.later_ms = 73 * 3_600_000;
    lift_with(&mut sample, &request, &bytes, &approvals);
    sample
}

fn other_evidence() -> Sample {
    let mut sample = Sample::good();
    let (bytes, approvals, request) = sample.load_agreed(&[ALICE, BOB]);
    let evidence = Sample::evidence(&bytes, &approvals);
    let done = sample.load_done(&request, &Sample::evidence(&bytes, &approvals[..1]));
    let act = sample.act_leaf(evidence, LeafKind::ValueUpdated, &done);
    sample.push(LeafKind::SealedActByQuorum, &act);
    sample
}

fn too_early() -> Sample {
    let mut sample = Sample::good();
    let act = enrol(&mut sample, "carol", PrincipalKind::Officer, 40);
    sample.take_effect(act, sample.next_time() + 23 * 3_600_000);
    sample
}

/// A third officer is enrolled, so that officers are changed by three from then on.
fn new_officer() -> Sample {
    let mut sample = Sample::good();
    sample.heartbeat();
    let act = enrol(&mut sample, "carol", PrincipalKind::Officer, 40);
    sample.later_ms = 25 * 3_600_000;
    sample.take_effect(act, sample.next_time());
    sample.large_load();
    sample.freeze(terminal());
    let request = sample.proposed(("bob", BOB), Operation::FreezeLift, &lift_request(&sample));
    let bytes = sample.propose(&sample.drafted(request.clone(), None));
    let approvals = [40, BOB].map(|seed| sample.approve(&bytes, seed));
    lift_with(&mut sample, &request, &bytes, &approvals);
    sample
}

/// The only officers there are would hold both components of an import.
fn no_other_officer() -> Sample {
    let mut sample = Sample::good();
    sample.propose_custodians_alone();
    sample
}

/// Dora gives the component that is alice's.
fn another_component() -> Sample {
    let mut sample = Sample::good();
    let import = sample.order_import();
    sample.give_by(("dora", DORA), import, 1);
    sample.give(import, 2);
    sample
}

/// The key is made when one of its two components was given.
fn component_missing() -> Sample {
    let mut sample = Sample::good();
    let import = sample.order_import();
    sample.give(import, 2);
    let key = sample.imported();
    sample.intend(&key);
    sample
}

/// Another key comes in than the one whose check value people agreed to.
fn another_key() -> Sample {
    let mut sample = Sample::good();
    let import = sample.order_import();
    sample.give(import, 2);
    sample.give(import, 1);
    let key = KeyRecord { check: CheckValue::Cmac { value: COMPONENTS[0] }, ..sample.imported() };
    sample.comes_in(&key);
    sample
}

/// A component is given once more when its key was made.
fn component_after_key() -> Sample {
    let mut sample = Sample::good();
    let import = sample.order_import();
    sample.give(import, 2);
    sample.give(import, 1);
    let key = sample.imported();
    sample.comes_in(&key);
    sample.give(import, 1);
    sample
}

/// The record of a key that came in does not say where it came from.
fn key_of_no_origin() -> Sample {
    let mut sample = Sample::good();
    let import = sample.order_import();
    sample.give(import, 2);
    sample.give(import, 1);
    let key = KeyRecord { attributes: List::default(), ..sample.imported() };
    sample.comes_in(&key);
    sample
}

/// The token was to make a key, and another one was brought in.
fn key_made_elsewhere() -> Sample {
    let mut sample = Sample::good();
    let order = sample.order("fob-master", KeyKind::CardMaster);
    sample.agreed(Operation::KeyCreate, &order);
    let key = sample.imported();
    sample.comes_in(&key);
    sample
}

fn component_before_order() -> Sample {
    let mut sample = Sample::good();
    sample.give(ProposalId::new([7; 16]), 1);
    sample
}

/// A proposal names the policies that were in force before others were.
fn policy_since_changed() -> Sample {
    let mut sample = Sample::good();
    let policy = *sample.control.as_ref().unwrap().policy();
    sample.put_policies(92);
    sample.freeze(terminal());
    let request = sample.proposed(("alice", ALICE), Operation::FreezeLift, &lift_request(&sample));
    let proposal = sample.drafted(request, None);
    sample.propose(&Proposal { policy, ..proposal });
    sample
}

/// A third officer is enrolled, and two agree to an import.
fn import_by_two() -> Sample {
    let mut sample = new_officer();
    let request = sample.import();
    let request = sample.proposed(("alice", ALICE), Operation::KeyImport, &request);
    let below = Proposal { need: two(), ..sample.drafted(request, None) };
    sample.propose(&below);
    sample
}

fn withheld() -> Sample {
    let (mut sample, request, bytes) = lifting();
    let approvals = [ALICE, BOB].map(|seed| sample.approve(&bytes, seed));
    lift_with(&mut sample, &request, &bytes, &approvals);
    enrol(&mut sample, "terminal-3", PrincipalKind::Terminal, 40);
    // The proposal of the enrolment.
    sample.withhold(11);
    sample
}

/// This program's judgement, as far as the second verifier makes one.
fn judged(sample: &Sample, record: Option<&[u8]>) -> Value {
    let export = sample.export();
    let holds = record.map(|record| jobs::tests::compared(&export, record).0.unwrap().holds());
    let verification = export.controls();
    let findings: Vec<_> = verification.findings.kept().iter().map(|finding| finding.leaf).collect();
    let proved = verification.proved.unwrap();
    let counts = Counts::of(&proved);
    let jobs: Vec<_> = counts.jobs.iter().map(counted).collect();
    let cards: serde_json::Map<_, _> =
        counts.by_state().into_iter().map(|(state, cards)| (state.name().to_owned(), json!(cards))).collect();
    let controls = &proved.controls;
    let acts: Vec<_> = controls
        .acts
        .as_ref()
        .unwrap()
        .kept()
        .iter()
        .filter(|act| !matches!(act.outcome, crate::checks::Outcome::NotGood))
        .map(|act| {
            let mut people: Vec<_> =
                act.agreement.people.iter().map(|(name, place)| [name.as_str(), place.as_str()]).collect();
            people.sort_unstable();
            json!({ "leaf": act.leaf, "operation": act.operation.name(), "people": people })
        })
        .collect();
    json!({
        "acts": acts,
        "approvals": controls.totals.approvals,
        "findings": findings,
        "jobs": jobs,
        "cards": cards,
        "record": holds,
    })
}

/// A job's figures, as both verifiers tell them.
fn counted(line: &JobLine<'_>) -> Value {
    let counts = line.count().map(|given| given.counts);
    json!({
        "name": line.job.name.as_str(),
        "state": line.job.state.name(),
        "issued": line.job.head.issued,
        "carried_over": line.job.head.carried_over,
        "made": line.tally.made,
        "good": line.tally.good,
        "rejected": line.tally.rejected,
        "samples": line.tally.sample,
        "returned": counts.map(|counts| counts.returned),
        "handed_over": counts.map(|counts| counts.handed_over),
        "balanced": line.balance().map(|balance| balance.is_even()),
    })
}

fn files(folder: &Path, under: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, under, into);
        } else {
            into.insert(path.strip_prefix(under).unwrap().to_path_buf(), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn the_logs_checked_in_for_the_second_verifier_are_these() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/verifier/logs");
    let write = std::env::var_os("FOBAUDIT_WRITE_LOGS").is_some();
    for (name, sample, record) in every() {
        let export = sample.export();
        if let Some(record) = &record {
            export.write("record", record);
        }
        export.write("trust", export.trust.to_text().as_bytes());
        export.write("expected.json", format!("{:#}\n", judged(&sample, record.as_deref())).as_bytes());
        let (mut made, mut there) = (BTreeMap::new(), BTreeMap::new());
        files(export.folder(), export.folder(), &mut made);
        let folder = place.join(name);
        if write {
            drop(fs::remove_dir_all(&folder));
            for (path, bytes) in &made {
                let path = folder.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        files(&folder, &folder, &mut there);
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&there), names(&made), "{name}: run this test with FOBAUDIT_WRITE_LOGS=1");
        for (path, bytes) in made {
            // The order of a document's fields is another one where the whole workspace is built at once.
            let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
            let same = there[&path] == bytes
                || (path.ends_with("expected.json") && read(&bytes) == read(&there[&path]));
            assert!(same, "{name}/{}: run this test with FOBAUDIT_WRITE_LOGS=1", path.display());
        }
    }
}
