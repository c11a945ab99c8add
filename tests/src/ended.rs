//! Programs that are to end by themselves: run to their end, or ended here when they do not.
//!
//! Apart because a half that wrongly serves would hang its test. It judges no words: each test does.

use crate::ground::{Ground, text};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    process::{Command, Output, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// Longer than any start or refusal takes.
const LONG: Duration = Duration::from_secs(60);
/// The exit code of a program that refuses.
const REFUSED: i32 = 3;

/// Runs a command until it ends; after a minute it is killed, and its status says so.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn ended(mut command: Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (over, waits) = channel::<()>();
    let watch = thread::spawn(move || {
        if waits.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout) {
            // It has not been waited for, so the number is still its own.
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(over);
    watch.join().unwrap();
    output
}

/// Runs a command that is to refuse with exit code 3, and gives all it said.
///
/// # Panics
/// When it ends otherwise.
#[must_use]
pub fn refusal(command: Command) -> String {
    let output = ended(command);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(REFUSED), "it was to refuse: {said}");
    said
}

impl Ground {
    /// Starts the keeper alone, which is to refuse to serve, and gives what it said.
    ///
    /// # Panics
    /// When it serves, or ends otherwise.
    #[must_use]
    pub fn keeper_refuses(&self) -> String {
        refusal(self.keysvc(&["keeper"]))
    }
}
