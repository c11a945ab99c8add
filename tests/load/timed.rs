//! Programs run to their end, and how long that took.

use crate::while_doing;
use keysvc_tests::ground::{Failed, text};
use std::{
    ffi::OsStr,
    fs,
    process::{Command, Output},
    time::{Duration, Instant},
};

/// Runs a command to its end and gives how long that was.
///
/// # Errors
/// [`Failed`] with what the program said when it does not succeed.
pub fn succeed(what: &str, command: &mut Command) -> Result<Duration, Failed> {
    answer(what, command).map(|(took, _)| took)
}

/// The same, with what the program said.
///
/// # Errors
/// As [`succeed`].
pub fn answer(what: &str, command: &mut Command) -> Result<(Duration, Output), Failed> {
    let began = Instant::now();
    let output = command.output().map_err(while_doing(what))?;
    let took = began.elapsed();
    if output.status.success() {
        return Ok((took, output));
    }
    // A report may have thousands of lines; why it is none stands on stderr.
    let said = String::from_utf8_lossy(&output.stderr);
    let said = if said.trim().is_empty() { text(&output) } else { format!("{}\n{said}", output.status) };
    Err(Failed(format!("{what}: {said}")))
}

/// A command held to one core, the first that this process may use; and whether it is held, for `taskset` may be missing.
pub fn on_one_core(program: impl AsRef<OsStr>) -> (Command, bool) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let core: String = allowed.unwrap_or("0").trim().chars().take_while(char::is_ascii_digit).collect();
    let one_core = Command::new("taskset").arg("--version").output().is_ok();
    if !one_core {
        return (Command::new(program), false);
    }
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &core]).arg(program);
    (pinned, true)
}
