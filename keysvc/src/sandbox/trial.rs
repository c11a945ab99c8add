//! `keysvc try-sandbox`: enters a half's sandbox and tries what must fail there; and how `doctor` has that done.
//!
//! A process of its own, because nothing leaves a sandbox. Its lines are for people and for `doctor` alike.

use super::{
    Role, State,
    attempts::{Outcome, Stage, all},
    confine, environment, shed,
};
use crate::{
    config::{Config, Half},
    error::{Exit, Fault},
    output::Output,
};
use std::{
    path::Path,
    process::{Command, ExitCode, Stdio},
};

/// How the last line begins: without it the trial ended in the middle.
const END: &str = "tried";

/// Enters the sandbox of the half, as its configuration has it, and prints each part and each attempt. Gives 3 when an
/// attempt is not denied.
///
/// # Errors
/// [`Fault`] when there is nothing to try.
pub fn run(role: Role, file: &Path, output: &Output) -> Result<ExitCode, Fault> {
    let config = Config::read_for(file, Half::Both)?;
    shed(role, &config);
    let stage = Stage::set().map_err(|source| Fault::Io { what: "making what attempts need", source })?;
    let confined = confine(role, file, &config);
    for (part, state) in confined.parts() {
        let (word, how) = match state {
            State::On(how) => ("on", how),
            State::Off(why) => ("off", why),
        };
        output.line(format!("{word:<8} {:<32} {how}", part.name()).trim_end());
    }
    let (mut tried, mut open) = (0_usize, 0_usize);
    all(role, file, &config, &stage, |name, outcome| {
        tried = tried.saturating_add(usize::from(!matches!(outcome, Outcome::Untried(_))));
        open = open.saturating_add(usize::from(matches!(outcome, Outcome::Open(_))));
        output.line(&format!("{:<8} {name:<32} {outcome}", outcome.word()));
    });
    output.line(&format!("{END:<8} {tried}, and {} denied", tried.saturating_sub(open)));
    Ok(if open == 0 { ExitCode::SUCCESS } else { Exit::Refusing.into() })
}

/// What a trial found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Each part, whether it is on, and how or why not.
    pub parts: Vec<(String, bool, String)>,
    /// How many attempts were denied.
    pub denied: usize,
    /// The attempts that were not, each with how far it came.
    pub open: Vec<String>,
}

/// Has the half's sandbox tried by a process of its own.
///
/// # Errors
/// [`Fault`] when it cannot be run, or ends in the middle: then a program was run in its place.
pub fn ask(role: Role, file: &Path, config: &Config) -> Result<Found, Fault> {
    let not_run = |source| Fault::Io { what: "trying the sandbox", source };
    let mut command = Command::new(std::env::current_exe().map_err(not_run)?);
    command.arg("--config").arg(file).args(["try-sandbox", role.name()]);
    command.env_clear().envs(environment::of(role, &config.sandbox.environment)).stdin(Stdio::null());
    let output = command.output().map_err(not_run)?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.lines().any(|line| line.starts_with(END)) {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Fault::Refusing(format!(
            "the sandbox of the {} could not be tried to the end ({}): {}",
            role.name(),
            output.status,
            said.trim().lines().last().unwrap_or("a program was run in the half's place")
        )));
    }
    Ok(read(&text))
}

fn read(text: &str) -> Found {
    let mut found = Found::default();
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, how) = rest.trim_start().split_once("  ").unwrap_or((rest.trim(), ""));
        let how = how.trim().to_owned();
        match word {
            "on" | "off" => found.parts.push((name.to_owned(), word == "on", how)),
            "denied" => found.denied = found.denied.saturating_add(1),
            "OPEN" => found.open.push(format!("{name} ({how})")),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trial_printed_is_read_back() {
        let text = "on       files\noff      memory                           not more than 8 MiB may be locked\n\
                    denied   read the token's PIN             Permission denied (os error 13)\n\
                    OPEN     become another user              it went through\n\
                    untried  list the token's folder          none is named\ntried    2, and 1 denied\n";
        let part = |name: &str, on, how: &str| (name.to_owned(), on, how.to_owned());
        assert_eq!(
            read(text),
            Found {
                parts: vec![
                    part("files", true, ""),
                    part("memory", false, "not more than 8 MiB may be locked")
                ],
                denied: 1,
                open: vec!["become another user (it went through)".to_owned()],
            }
        );
    }
}
