//! The audit in the demo: the log exported again, which reads only what is new, verified whole, kept as a state, and
//! shown as a page.

use super::{narrator::Narrator, persona::fobctl, records};
use crate::ground::{Failed, Ground};
use std::{path::Path, process::Command};

/// Exports, verifies twice, and writes the page.
///
/// # Errors
/// [`Failed`] when one of them fails.
pub fn tell(narrator: &mut Narrator, ground: &Ground) -> Result<(), Failed> {
    narrator.chapter("Audit: the whole log, re-verified offline by a program without network or token");
    let old = records::export(ground, "checkpoint-before");
    let export = records::export(ground, "export");
    std::fs::copy(export.join("checkpoint"), &old).map_err(|error| Failed(error.to_string()))?;
    narrator.say("the same folder again: only new leaves are read, after a proof that the log continues it");
    let (said, _) = narrator.run(fobctl(ground, "auditor-1", &["audit", "export"]).arg(&export))?;
    narrator.say(said.trim_end());
    narrator.say("\nall of it, and that it continues the first export's checkpoint; where it stood is kept:");
    let state = records::export(ground, "verified.state");
    let mut verify = fobaudit(ground, "verify", &export);
    verify.arg("--state").arg(&state).arg("--previous").arg(&old);
    let (said, _) = narrator.run(&mut verify)?;
    narrator.say(said.trim_end());
    narrator.say("\nevery act that took people, again: signatures, people, departments, times, officers in force then:");
    let (said, _) = narrator.run(&mut fobaudit(ground, "controls", &export))?;
    narrator.say(said.trim_end());
    narrator.say("\nonce more, from that state: what was verified before is not read again");
    narrator.run(fobctl(ground, "auditor-1", &["audit", "export"]).arg(&export))?;
    let (said, _) = narrator.run(fobaudit(ground, "verify", &export).arg("--state").arg(&state))?;
    narrator.say(said.trim_end());
    narrator.say("\nand a page to look at and to print:");
    let page = ground.site().folder().join("report.html");
    let (said, _) = narrator.run(fobaudit(ground, "report", &export).arg("--out").arg(&page))?;
    narrator.say(said.trim_end());
    narrator.say(&format!("open file://{}", page.display()));
    Ok(())
}

/// `fobaudit ACT` for an exported log.
fn fobaudit(ground: &Ground, act: &str, export: &Path) -> Command {
    let mut command = Command::new(&ground.programs().fobaudit);
    command.arg(act).arg(export).arg("--trust").arg(ground.site().trust());
    command
}
