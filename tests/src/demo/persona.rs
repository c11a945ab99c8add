//! `fobctl` as each persona of the demo types it: by context, so that a command of the demo can be typed again in this
//! folder as it stands.

use crate::ground::Ground;
use std::process::Command;

/// The variable that names the folder with the contexts; a person in this folder needs none.
const CONTEXTS: &str = "FOBCTL_CONTEXTS";

/// `fobctl --context PERSONA ARGUMENTS`.
#[must_use]
pub fn fobctl(ground: &Ground, persona: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(&ground.programs().fobctl);
    command.env(CONTEXTS, ground.site().folder()).args(["--context", persona]).args(arguments);
    command
}

/// `fobctl ARGUMENTS`, as nobody in particular: what needs no persona, or finds the contexts of several.
#[must_use]
pub fn alone(ground: &Ground, arguments: &[&str]) -> Command {
    let mut command = Command::new(&ground.programs().fobctl);
    command.env(CONTEXTS, ground.site().folder()).args(arguments);
    command
}

/// The founding signature of one officer.
#[must_use]
pub fn sign_founding(ground: &Ground, officer: &str) -> Command {
    let site = ground.site();
    let mut command = fobctl(ground, officer, &["founding", "sign"]);
    command.arg(site.founding()).args(["--officer", officer, "--yes", "--pin-file"]);
    command.arg(site.home(officer).pin_file());
    command.arg("--out").arg(site.signatures().join(format!("{officer}.cose")));
    command
}
