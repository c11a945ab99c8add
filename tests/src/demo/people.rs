//! What takes people in the demo: a second master key, a large load, a frozen terminal; and one officer alone failing at
//! all three.

use super::{narrator::Narrator, persona::fobctl, records};
use crate::ground::{Failed, Ground, OFFICERS};
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// The exit code of what waits for people.
pub(super) const WAITS: i32 = 5;
/// The exit code of a refusal.
pub(super) const REFUSED: i32 = 3;
const CARD: &str = "04a1b2c3d4e5fa";
/// What the three acts take in the demo: two people each.
const PEOPLE: usize = 2;

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}

/// Has one officer try alone, then two agree, three times; then has all of it verified offline, and one record by its
/// evidence.
///
/// # Errors
/// [`Failed`] when one officer is enough for what takes two, or two are not.
pub fn tell(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    let mut took = Duration::ZERO;
    narrator.chapter("A second master key: one officer asks, two agree, the token makes it");
    let key = asked(
        narrator,
        &mut officer(ground, "officer-1", &["key", "create", "demo-second", "--kind", "card-master"]),
    )?;
    took = took.saturating_add(agreed(narrator, ground, &key, "officer-1", "officer-2")?);
    let (said, _) = narrator.run(&mut fobctl(ground, "officer-1", &["key", "get", "demo-second"]))?;
    narrator.say(said.lines().take(5).collect::<Vec<_>>().join("\n").as_str());

    narrator.chapter("A load of 5,000.00: above the site's limit it waits for two people of two departments");
    let record = records::file(ground, "large.cose");
    let mut load = fobctl(ground, "terminal-1", &["value", "load", "--programme", "coffee", "--card", CARD]);
    load.args(["--purse", "1", "--amount", "5000.00", "--seq", "1", "--balance", "0.00", "--out"])
        .arg(&record);
    let load = asked(narrator, &mut load)?;
    took = took.saturating_add(agreed(narrator, ground, &load, "officer-2", "officer-3")?);
    let mut result = fobctl(ground, "terminal-1", &["proposal", "result", &load, "--out"]);
    let (said, _) = narrator.run(result.arg(&record))?;
    narrator.say(said.trim_end());
    evidence(narrator, ground, &load, &record)?;

    narrator.chapter("Stop and go: one officer freezes a terminal, two let it go on");
    let scope = ["freeze", "set", "terminal", "terminal-1", "--reason", "seen where it should not be"];
    narrator.tell(&mut officer(ground, "officer-3", &scope))?;
    narrator.say("the terminal's next request:");
    narrator.refused(&mut small_load(ground), REFUSED)?;
    let scope = ["freeze", "lift", "terminal", "terminal-1", "--reason", "it was only moved"];
    let lift = asked(narrator, &mut officer(ground, "officer-3", &scope))?;
    took = took.saturating_add(agreed(narrator, ground, &lift, "officer-3", "officer-1")?);
    narrator.say("nothing is frozen any more:");
    narrator.tell(&mut fobctl(ground, "officer-1", &["freeze", "list"]))?;
    narrator.measured("approvals given, each a program start, a card and a signature", 3 * PEOPLE, took);
    Ok(())
}

/// `fobctl` as an officer, with the officer's card.
pub(super) fn officer(ground: &Ground, name: &str, arguments: &[&str]) -> Command {
    let mut command = fobctl(ground, name, arguments);
    command.arg("--pin-file").arg(ground.site().home(name).pin_file());
    command
}

/// Runs a command that must wait for people; gives the proposal it became.
pub(super) fn asked(narrator: &Narrator, command: &mut Command) -> Result<String, Failed> {
    proposal_in(&narrator.waits(command, WAITS)?)
}

/// The proposal that an output names.
pub(super) fn proposal_in(said: &str) -> Result<String, Failed> {
    let line = said.lines().find_map(|line| line.strip_prefix("proposal ")).map(str::trim);
    line.map(str::to_owned).ok_or_else(|| Failed(format!("no proposal was named:\n{said}")))
}

/// The first officer approves, which alone does nothing; then the second.
fn agreed(
    narrator: &Narrator,
    ground: &Ground,
    proposal: &str,
    first: &str,
    second: &str,
) -> Result<Duration, Failed> {
    let began = Instant::now();
    narrator.say(&format!("\n{first} alone; the digest's first group was read out by another officer:"));
    let said = approve(narrator, ground, proposal, first)?;
    if !said.contains("open") {
        return Err(Failed(format!("one officer alone was enough:\n{said}")));
    }
    narrator.say("once more by the same officer changes nothing:");
    let said = approve(narrator, ground, proposal, first)?;
    if !said.contains("open") {
        return Err(Failed(format!("one officer counted twice:\n{said}")));
    }
    narrator.say(&format!("\nand {second}:"));
    let said = approve(narrator, ground, proposal, second)?;
    if !said.contains("executed") {
        return Err(Failed(format!("two officers were not enough:\n{said}")));
    }
    Ok(began.elapsed())
}

/// All three officers approve, and only the last approval does anything.
pub(super) fn all_agree(narrator: &Narrator, ground: &Ground, proposal: &str) -> Result<(), Failed> {
    let (last, before) = OFFICERS.split_last().ok_or_else(|| failed("there are no officers"))?;
    for name in before {
        let said = approve(narrator, ground, proposal, name)?;
        if !said.contains("open") {
            return Err(Failed(format!("fewer than three officers were enough:\n{said}")));
        }
    }
    let said = approve(narrator, ground, proposal, last)?;
    if said.contains("executed") { Ok(()) } else { Err(Failed(format!("three were not enough:\n{said}"))) }
}

fn approve(narrator: &Narrator, ground: &Ground, proposal: &str, name: &str) -> Result<String, Failed> {
    let shown = fobctl(ground, name, &["--json", "proposal", "show", proposal]).output().map_err(failed)?;
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).map_err(failed)?;
    let digest = shown.get("digest").and_then(serde_json::Value::as_str).and_then(|text| text.get(..4));
    let digest = digest.ok_or_else(|| Failed("a proposal is shown without its digest".to_owned()))?;
    let mut command = officer(ground, name, &["proposal", "approve", proposal, "--digest", digest]);
    let (said, _) = narrator.run(&mut command)?;
    narrator.say(said.trim_end());
    Ok(said)
}

fn small_load(ground: &Ground) -> Command {
    let mut command =
        fobctl(ground, "terminal-1", &["value", "load", "--programme", "coffee", "--card", CARD]);
    let record = records::file(ground, "frozen.cose");
    command
        .args(["--purse", "1", "--amount", "5.00", "--seq", "2", "--balance", "5000.00", "--out"])
        .arg(record);
    command
}

/// The record with its evidence, verified by the trust file alone.
fn evidence(narrator: &Narrator, ground: &Ground, proposal: &str, record: &Path) -> Result<(), Failed> {
    let file = records::file(ground, "large.evidence");
    let mut get = fobctl(ground, "officer-1", &["evidence", "get", proposal, "--out"]);
    let (said, _) = narrator.run(get.arg(&file))?;
    narrator.say(said.trim_end());
    let mut check = Command::new(&ground.programs().fobaudit);
    check.arg("value").arg(record).arg("--evidence").arg(&file).arg("--trust").arg(ground.site().trust());
    let (said, took) = narrator.run(&mut check)?;
    narrator.say(said.trim_end());
    narrator.measured("a record and who agreed to it, verified by the trust file alone", 1, took);
    Ok(())
}
