//! The ceremony in the demo: a plan that two officers and a witness sign, walked with answers from a file, its transcript
//! signed and anchored; and verified at the end by the exported log alone.

use super::{
    narrator::Narrator,
    people,
    persona::{alone, fobctl},
    records,
};
use crate::ground::{Failed, Ground, OFFICERS};
use keysvc_protocol::hash::sha256;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const EXAMPLE: &str = "docs/ceremonies/new-master-key.toml";
/// Nobody sits at the demo's terminal: every step goes as planned, with the initials of the names.
const ANSWERS: &str = "# every step as planned\n";
/// The exit code of what does not verify.
const UNVERIFIED: i32 = 6;

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}

fn held(ground: &Ground) -> PathBuf {
    ground.site().folder().join("ceremony")
}

/// Makes a plan of the example, has everyone sign it, and holds the ceremony.
///
/// # Errors
/// [`Failed`] when a step is not as planned.
pub fn tell(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.chapter(
        "A ceremony: a plan that two officers and a witness sign, walked step by step, signed again",
    );
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new(".")).join(EXAMPLE);
    let plan = ground.site().folder().join("new-master-key.toml");
    let mut new = fobctl(ground, "officer-1", &["ceremony", "new"]);
    let (said, _) = narrator.run(new.arg(&example).arg("--out").arg(&plan))?;
    narrator.say(said.trim_end());
    let digest = sha256(&[&fs::read(&plan).map_err(failed)?]).to_string();
    for name in OFFICERS {
        let mut approve = people::officer(ground, name, &["ceremony", "approve"]);
        approve.arg(&plan).args(["--digest", digest.get(..4).unwrap_or_default()]);
        let (said, _) = narrator.run(&mut approve)?;
        narrator.say(said.lines().skip(2).collect::<Vec<_>>().join("\n").as_str());
    }
    let answers = ground.site().folder().join("answers.toml");
    fs::write(&answers, ANSWERS).map_err(failed)?;
    let mut run = alone(ground, &["ceremony", "run"]);
    run.arg(&plan).arg("--out").arg(held(ground)).arg("--answers").arg(&answers);
    let (said, notes, took) = narrator.ends(&mut run, 0)?;
    let steps: Vec<_> = notes.lines().filter(|line| line.starts_with("Step ")).collect();
    narrator.say(&steps.join("\n"));
    narrator.say(said.trim_end());
    if !said.contains(&format!("{} as planned", steps.len())) {
        return Err(Failed(format!("the ceremony did not go as planned:\n{said}")));
    }
    narrator.measured("steps of a ceremony, with everyone's signatures at its end", steps.len(), took);
    Ok(())
}

/// Ends the service and verifies the ceremony; then with one byte of its transcript altered.
///
/// # Errors
/// [`Failed`] when the one is not verified, or the other is.
pub fn verify(narrator: &mut Narrator, ground: &mut Ground) -> Result<(), Failed> {
    narrator
        .chapter("With the service ended: the ceremony, by its file, the trust file and the export alone");
    ground.stop();
    let file = held(ground).join("ceremony.cbor");
    let (said, took) = narrator.run(&mut check(ground, &file))?;
    // A test notice, the head; then every step with its facts, which fill pages; the verdict.
    narrator.say(said.split("\n\n").take(2).collect::<Vec<_>>().join("\n\n").as_str());
    narrator.say("..");
    narrator.say(said.lines().last().unwrap_or_default());
    narrator.measured("a ceremony verified by people who were not there", 1, took);
    let mut bytes = fs::read(&file).map_err(failed)?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    let altered = held(ground).join("altered.cbor");
    fs::write(&altered, bytes).map_err(failed)?;
    narrator.say("\nOne byte of the transcript is altered:");
    let (said, notes, _) = narrator.ends(&mut check(ground, &altered), UNVERIFIED)?;
    narrator.say(said.lines().last().unwrap_or_default());
    narrator.say(notes.trim_end());
    narrator.say(&format!("refused, exit code {UNVERIFIED}"));
    Ok(())
}

fn check(ground: &Ground, file: &Path) -> Command {
    let mut command = Command::new(&ground.programs().fobaudit);
    command.arg("ceremony").arg(file).arg("--trust").arg(ground.site().trust());
    command.arg("--export").arg(records::export(ground, "export"));
    command
}
