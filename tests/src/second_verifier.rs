//! The second verifier (tests/verifier), in Python and by other libraries: its environment, and what it says of a log.
//!
//! The environment is made once under the target folder, from PyPI by exact versions. Where it cannot be made or the
//! program cannot run, the test that asked fails and says what is missing: agreement that was not looked at is none.

use crate::programs::beside_this_program;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What a fresh machine lacks.
const NEEDS: &str = "this needs Python 3.11 or later with venv: apt-get install python3-venv";

/// An act that took people, as both verifiers tell it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// Its leaf.
    pub leaf: u64,
    /// What was asked.
    pub operation: String,
    /// Who agreed, each with the department, in ascending order.
    pub people: Vec<[String; 2]>,
}

/// A job's figures, as both verifiers tell them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct JobCounted {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: String,
    /// Blank cards that the vault issued for it.
    pub issued: u32,
    /// Cards carried over from an earlier process.
    pub carried_over: u32,
    /// Cards whose keys were released.
    pub made: u32,
    /// Good cards.
    pub good: u32,
    /// Rejects.
    pub rejected: u32,
    /// Samples.
    pub samples: u32,
    /// Cards returned, by the last count; nothing where nobody counted.
    pub returned: Option<u32>,
    /// Cards handed over, by the last count.
    pub handed_over: Option<u32>,
    /// Whether the last count balances.
    pub balanced: Option<bool>,
}

/// What is wrong, in one verifier's words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The leaf, where it is one leaf's.
    pub leaf: Option<u64>,
    /// What.
    pub text: String,
}

/// What the second verifier says of a log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// The acts that hold.
    pub acts: Vec<Act>,
    /// Their approvals.
    pub approvals: u64,
    /// What is wrong.
    pub findings: Vec<Found>,
    /// Leaves that cannot be followed, because they or what they stand on are withheld.
    pub withheld: Vec<u64>,
    /// The jobs, in the order in which they were made.
    pub jobs: Vec<JobCounted>,
    /// How many cards there are of each state.
    pub cards: BTreeMap<String, u64>,
    /// Whether a job's audit record says what the log says; nothing where none was given.
    pub record: Option<bool>,
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier")
}

/// The second verifier's interpreter. Made by the first who asks; the others wait.
///
/// # Panics
/// When the environment cannot be made.
#[must_use]
pub fn python() -> PathBuf {
    python_with("second-verifier", &sources().join("requirements.txt"))
}

/// The interpreter of an environment with these packages, by exact versions. Made by the first who asks; the others wait.
///
/// # Panics
/// When the environment cannot be made.
#[must_use]
pub fn python_with(what: &str, requirements: &Path) -> PathBuf {
    let bytes = fs::read(requirements).unwrap();
    let name: String =
        digest(&SHA256, &bytes).as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let place = beside_this_program().unwrap().join(format!("{what}-{name}"));
    let (python, ready) = (place.join("bin/python"), place.join("ready"));
    if ready.exists() {
        return python;
    }
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    let lock = File::create(place.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !ready.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place));
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        run(pip.args(["--only-binary", ":all:", "-r"]).arg(requirements));
        File::create(&ready).unwrap();
    }
    python
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {NEEDS}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}\n{NEEDS}", output.status);
    output
}

/// Judges an exported log.
///
/// # Panics
/// When the second verifier cannot run, or its exit code is not the one of its findings.
#[must_use]
pub fn judge(export: &Path, trust: &Path) -> Judgement {
    judge_with(export, trust, None)
}

/// Judges an exported log, and a job's audit record by it.
///
/// # Panics
/// As [`judge`].
#[must_use]
pub fn judge_with(export: &Path, trust: &Path, record: Option<&Path>) -> Judgement {
    let mut command = Command::new(python());
    // Nothing is written beside the sources.
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(sources().join("verify_controls.py"));
    let output = command.arg(export).arg(trust).args(record).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let judgement: Judgement = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("the second verifier: {error}\n{said}"));
    let good = judgement.findings.is_empty() && judgement.record != Some(false);
    let expected = if good { 0 } else { 6 };
    assert_eq!(output.status.code(), Some(expected), "{said}");
    judgement
}

/// What the second verifier says of each message in a folder (tests/verifier/verify_records.py): its fields, or why not.
///
/// # Panics
/// When the second verifier cannot run, or its exit code is not the one of its verdicts.
#[must_use]
pub fn verify_records(trust: &Path, folder: &Path) -> BTreeMap<String, Result<Value, String>> {
    let mut command = Command::new(python());
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(sources().join("verify_records.py"));
    let output = command.arg(trust).arg(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let verdicts: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("the second verifier: {error}\n{said}"));
    let verdict = |mut verdict: BTreeMap<String, Value>| match verdict.remove("refused") {
        Some(why) => Err(why.as_str().unwrap().to_owned()),
        None => Ok(verdict.remove("fields").unwrap()),
    };
    let verdicts: BTreeMap<_, _> = verdicts.into_iter().map(|(file, said)| (file, verdict(said))).collect();
    let expected = if verdicts.values().all(Result::is_ok) { 0 } else { 6 };
    assert_eq!(output.status.code(), Some(expected), "{said}");
    verdicts
}

/// The acts that hold in a report of `fobaudit controls --json`, as [`judge`] tells them.
///
/// # Panics
/// When it is no such report.
#[must_use]
pub fn acts_of(report: &Value) -> Vec<Act> {
    let acts = report["log"]["acts"].as_array().expect("a report of fobaudit controls");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let held = acts.iter().filter(|act| act["outcome"] != "not_good");
    held.map(|act| {
        let people = act["people"].as_array().unwrap().iter();
        let mut people: Vec<_> =
            people.map(|person| [text(&person["name"]), text(&person["department"])]).collect();
        people.sort_unstable();
        Act { leaf: act["leaf"].as_u64().unwrap(), operation: text(&act["operation"]), people }
    })
    .collect()
}

/// Asserts that `fobaudit controls`, `fobaudit counts` and the second verifier find nothing wrong with an exported log, and
/// tell the same acts with the same people, the same jobs and the same cards.
///
/// # Panics
/// When one of them finds something, or they differ.
pub fn assert_agreed(fobaudit: &Path, export: &Path, trust: &Path) -> Vec<Act> {
    let told = |what: &str| -> Value {
        let mut command = Command::new(fobaudit);
        command.arg(what).arg(export).arg("--trust").arg(trust).arg("--json");
        serde_json::from_slice(&run(&mut command).stdout).unwrap()
    };
    let (report, mut counts) = (told("controls"), told("counts"));
    let judgement = judge(export, trust);
    assert_eq!(judgement.findings, [], "the second verifier finds what fobaudit does not");
    let acts = acts_of(&report);
    assert_eq!(judgement.acts, acts);
    assert_eq!(Some(judgement.approvals), report["log"]["approvals_total"].as_u64());
    let jobs: Vec<JobCounted> = serde_json::from_value(counts["log"]["jobs"].take()).unwrap();
    let cards: BTreeMap<String, u64> =
        serde_json::from_value(counts["log"]["cards_by_state"].take()).unwrap();
    // A freeze lies over a card's state, and the second verifier does not follow freezes.
    let unfrozen = !cards.contains_key("frozen");
    assert_eq!(judgement.jobs, jobs);
    assert!(!unfrozen || judgement.cards == cards, "{:?} {cards:?}", judgement.cards);
    acts
}
