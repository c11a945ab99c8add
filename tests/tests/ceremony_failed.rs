//! A step of a ceremony that is given up as failed after its request reached the log: the transcript keeps the proposal,
//! and the verification says where the log has it.

use keysvc_protocol::{
    ceremony::{CeremonyFile, Outcome},
    hash::sha256,
    leaf::{LeafKind, ProposalMadeLeaf},
    proposal::Proposal,
};
use keysvc_tests::{
    ended::ended,
    ground::{Ground, OFFICERS, text},
    raw,
};
use serde_json::Value;
use std::{fs, path::Path, process::Command};

/// The exit code of what waits.
const WAITS: Option<i32> = Some(5);

fn succeeds(command: Command) -> String {
    let output = ended(command);
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

/// The ceremony of the plan in this folder, with these answers, kept in a folder of this name.
fn run(ground: &Ground, folder: &Path, held: &str, answers: &str) -> Command {
    fs::write(folder.join("answers.toml"), answers).unwrap();
    let mut run = Command::new(&ground.programs().fobctl);
    run.args(["ceremony", "run"]).arg(folder.join("plan.toml")).arg("--out").arg(folder.join(held));
    for person in OFFICERS {
        let config = ground.site().home(person).client_config();
        run.arg("--person").arg(format!("{person}={}", config.display()));
    }
    run.arg("--answers").arg(folder.join("answers.toml"));
    run
}

#[test]
fn a_step_that_failed_after_its_request_was_sent_keeps_its_proposal_and_the_auditor_finds_it() {
    let ground = Ground::new();
    let folder = ground.site().folder().join("room");
    fs::create_dir(&folder).unwrap();
    let plan = folder.join("plan.toml");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ceremonies/new-master-key.toml");
    let mut new = ground.fobctl(OFFICERS[0], &["ceremony", "new"]);
    new.arg(example).arg("--out").arg(&plan);
    succeeds(new);
    let digest = sha256(&[&fs::read(&plan).unwrap()]).to_string();
    for person in OFFICERS {
        let mut approve =
            ground.fobctl(person, &["ceremony", "approve", "--as", person, "--digest", &digest[..4]]);
        approve.arg(&plan);
        succeeds(approve);
    }
    // The key is asked for; then what the machine kept is lost, and the proposal is withdrawn.
    let stopped = ended(run(&ground, &folder, "lost", "stop-after = 3\n"));
    assert_eq!(stopped.status.code(), WAITS, "{}", text(&stopped));
    let made: Vec<ProposalMadeLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::ProposalMade);
    let id = Proposal::decode(made[0].proposal.as_bytes()).unwrap().id;
    succeeds(ground.fobctl(OFFICERS[0], &["proposal", "cancel", &id.to_string(), "--reason", "begin again"]));

    let answers: String =
        (3..=10).map(|number| format!("[[steps]]\nnumber = {number}\non-failure = \"record\"\n")).collect();
    let said = succeeds(run(&ground, &folder, "held", &answers));
    assert!(said.contains("3  officer-1: failed: ") && said.contains("3 as planned, 8 failed"), "{said}");
    let file = folder.join("held/ceremony.cbor");
    let transcript = CeremonyFile::read(&fs::read(&file).unwrap()).unwrap().1;
    assert_eq!((transcript.steps[2].outcome, transcript.steps[2].proposal), (Outcome::Failed, Some(id)));
    assert_eq!(transcript.steps[3].proposal, None, "nobody was asked to approve what failed");

    let log = folder.join("log");
    ground.block_on(async { ground.auditor().await.unwrap().export(&log, |_, _| {}).await.unwrap() });
    let mut fobaudit = Command::new(&ground.programs().fobaudit);
    fobaudit.arg("ceremony").arg(&file).arg("--trust").arg(ground.site().trust()).arg("--export").arg(log);
    fobaudit.arg("--json");
    let output = ended(fobaudit);
    assert!(output.status.success(), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let step = &report["ceremony"]["steps"][2];
    let leaf = step["leaf"].as_u64().unwrap();
    assert_eq!(step["notes"][0], format!("recorded as failed, and the log has it at leaf {leaf}"));
    assert_eq!(report["ceremony"]["steps_failed"], 8);
}
