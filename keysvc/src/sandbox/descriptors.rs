//! What a half was given open by whoever started it: closed, before anything else, where it was not to be given.
//!
//! No safe way closes a descriptor that this program did not open. But all are closed on running a program that are marked
//! so, and those a service manager passes are marked by the protocol for it. So a half that finds too much runs itself
//! anew as one that was passed them, marks them, and runs itself once more without. Most never find any.

use super::State;
use crate::service_manager;
use std::{
    env,
    fs::{self, File},
    io,
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::PathBuf,
    process::Command,
};

/// How far a half is with it: absent, `marking`, and `done`, so that it never runs itself without end.
const STEP: &str = "KEYSVC_SHEDDING";
const MARKING: &str = "marking";
const DONE: &str = "done";
/// By which a service manager says that it passed descriptors, from 3 on, and to whom (`sd_listen_fds(3)`).
const PASSED: &str = "LISTEN_FDS";
const PASSED_TO: &str = "LISTEN_PID";
/// The first that is neither standard input nor output nor error.
const FIRST: u32 = 3;
/// The bit of `O_CLOEXEC` in the flags of a descriptor, the same on every machine that the service runs on.
const CLOSE_ON_EXEC: u32 = 0o2_000_000;
/// Above this number none is closed: to mark one, all below are opened, and 1,024 are what a process has by default.
const NUMBER_MAX: u32 = 1_024;

/// Closes what this process was given open and was not to be. Returns where there is nothing to close; else this program
/// begins anew, in the same process. What could not be closed is said by [`descriptors`].
pub(super) fn shed(given: Option<u32>) {
    let found: Vec<_> = inherited().into_iter().map(|(number, _)| number).collect();
    // One that it is to have cannot be told from the others when they are marked.
    if found.is_empty() || given.is_some_and(|given| found.contains(&given)) {
        return;
    }
    let last = found.into_iter().filter(|number| *number <= NUMBER_MAX).max();
    let step = env::var(STEP).ok();
    match (step.as_deref(), last) {
        (None, Some(last)) => begin_anew(|command| {
            command.env(STEP, MARKING);
            command.env(PASSED, last.saturating_sub(FIRST).saturating_add(1).to_string());
            command.env(PASSED_TO, std::process::id().to_string());
        }),
        (Some(MARKING), Some(last)) => {
            let fillers = fill_up_to(last);
            let marked = fillers.is_ok() && service_manager::close_passed_on_exec().is_ok();
            drop(fillers);
            if marked {
                begin_anew(|command| {
                    command.env(STEP, DONE).env_remove(PASSED).env_remove(PASSED_TO);
                });
            }
        }
        _ => {}
    }
}

/// Opens what lies between, for all up to the last are marked, and one that is not open cannot be.
fn fill_up_to(last: u32) -> io::Result<Vec<File>> {
    let mut fillers = Vec::new();
    loop {
        let filler = File::open("/dev/null")?;
        let number = u32::try_from(filler.as_raw_fd()).unwrap_or(u32::MAX);
        fillers.push(filler);
        if number >= last {
            return Ok(fillers);
        }
    }
}

/// Runs this program with the same arguments; returns when it cannot be run.
fn begin_anew(change: impl FnOnce(&mut Command)) {
    let Ok(program) = env::current_exe() else { return };
    let mut command = Command::new(program);
    let mut arguments = env::args_os();
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments);
    change(&mut command);
    let _stays_as_it_is = command.exec();
}

/// What this process was given open besides standard input, output and error, and the one that it was to be given.
pub(super) fn descriptors(given: Option<u32>) -> State {
    let found: Vec<_> = inherited().into_iter().filter(|(number, _)| Some(*number) != given).collect();
    if found.is_empty() {
        return State::On(String::new());
    }
    let named: Vec<_> =
        found.iter().map(|(number, place)| format!("{number} to {}", place.display())).collect();
    State::Off(format!("whoever started it left open {}; start it without", named.join(", ")))
}

/// The open descriptors above 2 that came with this process: those that stay open when a program is run. All that is
/// opened by this program does not.
fn inherited() -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // Listed whole before one is looked at: the listing has one open itself.
    let numbers: Vec<u32> = numbers.filter(|number| *number >= FIRST).collect();
    let place = |number| fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
    numbers.into_iter().filter(|number| stays_open(*number)).map(|number| (number, place(number))).collect()
}

fn stays_open(number: u32) -> bool {
    // One that is closed by now was the listing's own.
    let Ok(text) = fs::read_to_string(format!("/proc/self/fdinfo/{number}")) else { return false };
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & CLOSE_ON_EXEC == 0)
}
