//! strace beside a process that runs: what it asks of the system is seen, and made to fail where a test wants it.
//!
//! Attached and not wrapped around, so that only what comes from then on is counted. It judges no line of a trace.

use crate::ground::Failed;
use rustix::process::{Pid, Signal, kill_process};
use softhsm_setup::debian::STRACE;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longer than attaching takes on a machine that is busy with other tests.
const LONG: Duration = Duration::from_secs(20);

/// Where strace is; it is installed where that may be.
///
/// # Errors
/// Why there is none, with the command to run.
pub fn strace() -> Result<PathBuf, String> {
    STRACE.find_or_install(&mut std::io::stderr())
}

/// How long strace is given to let go of what it traces.
const LET_GO: Duration = Duration::from_secs(1);

/// A process that is traced.
#[derive(Debug)]
pub struct Traced {
    child: Child,
    trace: PathBuf,
}

impl Traced {
    /// Attaches to all threads of a process. `options` are strace's own; what they select is written to `trace`, one call
    /// a line, descriptors with their files.
    ///
    /// # Errors
    /// [`Failed`] when it does not attach.
    pub fn attach(strace: &Path, pid: u32, options: &[String], trace: &Path) -> Result<Self, Failed> {
        let said = trace.with_extension("said");
        let log = File::create(&said).map_err(|error| Failed(format!("{}: {error}", said.display())))?;
        let mut command = recording(strace, options, trace);
        command.args(["-p", &pid.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let child = child.map_err(|error| Failed(format!("strace: {error}")))?;
        let mut traced = Self { child, trace: trace.to_owned() };
        let began = Instant::now();
        while !traced.holds(pid) {
            let ended = traced.child.try_wait().ok().flatten();
            if ended.is_some() || began.elapsed() > LONG {
                let said = fs::read_to_string(&said).unwrap_or_default();
                return Err(Failed(format!("strace does not attach: {said}")));
            }
            thread::park_timeout(Duration::from_millis(2));
        }
        Ok(traced)
    }

    /// Whether it holds every thread of the process.
    fn holds(&self, pid: u32) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
        let tracer = format!("TracerPid:\t{}\n", self.child.id());
        let held = |folder: PathBuf| {
            fs::read_to_string(folder.join("status")).is_ok_and(|status| status.contains(&tracer))
        };
        threads.flatten().all(|thread| held(thread.path()))
    }

    /// What was traced so far; the last line may be cut off.
    #[must_use]
    pub fn text(&self) -> String {
        fs::read(&self.trace).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Lets the process go, and gives all that was traced.
    #[must_use]
    pub fn detach(mut self) -> String {
        self.end();
        self.text()
    }

    fn end(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // It lets go of what it traces, and ends.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let began = Instant::now();
            while began.elapsed() < LET_GO && matches!(self.child.try_wait(), Ok(None)) {
                thread::park_timeout(Duration::from_millis(2));
            }
            // It may wait for a process that is just ending; the system lets that go when strace is gone.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.end();
    }
}

/// One system call of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The thread.
    pub thread: u32,
    /// Its name.
    pub name: String,
    /// The file it is about, or the socket; nothing where it names none.
    pub file: String,
    /// The line on which it begins, and the one on which it has ended.
    pub lines: (usize, usize),
    /// Whether it failed.
    pub failed: bool,
}

/// The calls of a trace in the order in which they ended; those that had not ended are none.
#[must_use]
pub fn calls(trace: &str) -> Vec<Call> {
    let mut begun: BTreeMap<u32, Call> = BTreeMap::new();
    let mut calls = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let (Ok(thread), rest) = (thread.parse(), rest.trim_start()) else { continue };
        let call = if rest.starts_with("<... ") { begun.remove(&thread) } else { call(thread, rest, number) };
        let Some(mut call) = call else { continue };
        // `1234 fsync(12</folder/file> <unfinished ...>`, and on a later line `1234 <... fsync resumed>) = 0`.
        if rest.ends_with("<unfinished ...>") {
            begun.insert(thread, call);
        } else {
            (call.lines.1, call.failed) = (number, rest.contains(" = -1 "));
            calls.push(call);
        }
    }
    calls
}

/// The call that begins with `1234 fsync(12</folder/file>` or `1234 openat(AT_FDCWD</folder>, "/folder/file"`.
fn call(thread: u32, rest: &str, number: usize) -> Option<Call> {
    let (name, rest) = rest.split_once('(')?;
    let between = |open, close| rest.split_once(open).and_then(|(_, rest)| rest.split_once(close));
    let file = if name.starts_with("open") { between('"', '"') } else { between('<', '>') };
    let file = file.map_or_else(String::new, |(file, _)| file.to_owned());
    Some(Call { thread, name: name.to_owned(), file, lines: (number, number), failed: false })
}

/// strace, to be given what to trace: a process, or a command with its arguments.
#[must_use]
pub fn recording(strace: &Path, options: &[String], trace: &Path) -> Command {
    let mut command = Command::new(strace);
    command.args(["-f", "-qq", "-y", "-s", "0", "-o"]).arg(trace).args(options);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_another_thread_broke_into_is_read_with_its_file_and_both_its_lines() {
        let trace = "7  fsync(12</s/log> <unfinished ...>\n8  sendto(3<socket:[9]>, \"\"..., 5, 0, NULL, 0) = 5\n\
                     7  <... fsync resumed>) = -1 EIO (Input/output error) (INJECTED)\n\
                     8  openat(AT_FDCWD</x>, \"/s/key\", O_RDONLY) = 4</s/key>\n9  fsync(";
        let call = |thread, name: &str, file: &str, lines, failed| Call {
            thread,
            name: name.to_owned(),
            file: file.to_owned(),
            lines,
            failed,
        };
        let expected = [
            call(8, "sendto", "socket:[9]", (1, 1), false),
            call(7, "fsync", "/s/log", (0, 2), true),
            call(8, "openat", "/s/key", (3, 3), false),
        ];
        let mut read = calls(trace);
        // The last line is cut off.
        read.truncate(3);
        assert_eq!(read, expected);
    }
}
