//! Two verifiers, written apart from each other in two languages, judge the same logs alike.

use keysvc_protocol::{
    founding::PrincipalKind,
    freeze::Scope,
    key::KeyKind,
    proposal::ProposalState,
    reply::StatusReply,
    request::{Operation, ReadStatus},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{agree, alone, create, disable, done, enable, freeze, lift, name, until},
    cards,
    ground::{Ground, OFFICERS, text},
    raw::Caller,
    second_verifier::{Act, JobCounted, Judgement, assert_agreed, judge, judge_with},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What fobaudit says of a log, as its own test wrote it beside the log.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    acts: Vec<Act>,
    approvals: u64,
    findings: Vec<Option<u64>>,
    jobs: Vec<JobCounted>,
    cards: BTreeMap<String, u64>,
    record: Option<bool>,
}

fn logs() -> Vec<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier/logs");
    let mut logs: Vec<_> = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.sort();
    logs
}

#[test]
fn the_second_verifier_finds_in_each_log_what_fobaudit_finds() {
    let logs = logs();
    assert!(logs.len() >= 57, "{logs:?}");
    for log in logs {
        let expected: Expected =
            serde_json::from_slice(&fs::read(log.join("expected.json")).unwrap()).unwrap();
        let record = Some(log.join("record")).filter(|record| record.exists());
        let judgement = judge_with(&log, &log.join("trust"), record.as_deref());
        let good = log.file_name().unwrap().to_str().unwrap().starts_with("good");
        let held = judgement.findings.is_empty() && judgement.record != Some(false);
        assert_eq!(held, good, "{}: {:?}", log.display(), judgement.findings);
        let findings = judgement.findings.iter().map(|found| found.leaf).collect();
        let Judgement { acts, approvals, jobs, cards, record, .. } = judgement;
        let found = Expected { acts, approvals, findings, jobs, cards, record };
        assert_eq!(found, expected, "{}", log.display());
    }
}

#[test]
fn the_second_verifier_finds_an_altered_payload_entry_and_checkpoint() {
    let log = logs().into_iter().find(|log| log.ends_with("good")).unwrap();
    for file in ["payload", "tile/entries", "checkpoint"] {
        let folder = tempfile::tempdir().unwrap();
        copy(&log, folder.path());
        let path = first_file(&folder.path().join(file));
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
        let judgement = judge(folder.path(), &log.join("trust"));
        assert!(!judgement.findings.is_empty(), "{file}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &place);
        } else {
            fs::copy(&path, place).unwrap();
        }
    }
}

fn first_file(path: &Path) -> PathBuf {
    if path.is_file() {
        return path.to_path_buf();
    }
    first_file(&fs::read_dir(path).unwrap().next().unwrap().unwrap().path())
}

#[test]
fn both_verifiers_agree_on_the_log_of_a_running_service() {
    let mut ground = Ground::new();
    let [mut first, mut second, mut third] =
        OFFICERS.map(|persona| cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), persona));
    let scope = Scope::Terminal { name: name("terminal-1") };
    alone(&mut first, Operation::FreezeSet, &freeze(&scope)).unwrap();
    done(&mut [&mut first, &mut second], Operation::FreezeLift, &lift(&scope));
    done(&mut [&mut first, &mut third], Operation::KeyCreate, &create("demo-generated", KeyKind::CardMaster));
    let terminal = ground.newcomer("terminal-3", PrincipalKind::Terminal, "roastery");
    done(&mut [&mut second, &mut third], Operation::PrincipalEnrol, &terminal);
    alone(&mut second, Operation::PrincipalDisable, &disable("terminal-3")).unwrap();
    // Another roster from its effect on, and the next proposal names it.
    let officer = ground.newcomer("officer-4", PrincipalKind::Officer, "finance");
    let all = &mut [&mut first, &mut second, &mut third];
    let (_, state) = agree(all, Operation::PrincipalEnrol, &officer).unwrap();
    assert!(matches!(state, ProposalState::Waiting { .. }), "{state:?}");
    let mut fourth = cards::holder(env!("CARGO_BIN_EXE_card"), ground.site(), "officer-4");
    let status = |caller: &mut Caller| {
        caller.ask::<StatusReply>(Operation::Status, &ReadStatus { schema: Schema }).is_ok()
    };
    until("the officer is enrolled", || status(&mut fourth));
    done(&mut [&mut fourth, &mut first], Operation::PrincipalEnable, &enable("terminal-3"));
    let export = ground.site().folder().join("export");
    let output = ground.fobctl("auditor-1", &["audit", "export"]).arg(&export).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    ground.stop();
    let acts = assert_agreed(&ground.programs().fobaudit, &export, &ground.site().trust());
    let told: Vec<_> = acts.iter().map(|act| (act.operation.as_str(), act.people.len())).collect();
    let expected = [
        ("freeze.lift", 2),
        ("key.create", 2),
        ("principal.enrol", 2),
        ("principal.enrol", 3),
        ("principal.enable", 2),
    ];
    assert_eq!(told, expected);
}
