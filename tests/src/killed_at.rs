//! Kills at the n-th system call of a kind, by strace: where chance rarely comes, and always at the same step.
//!
//! It knows nothing of what the calls are for. A process is either started under strace, or strace is attached to it.

use softhsm_setup::debian;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longer than strace takes to attach.
const LONG: Duration = Duration::from_secs(10);

/// strace.
#[derive(Debug, Clone)]
pub struct Strace(PathBuf);

impl Strace {
    /// Finds it, or installs it, saying so first.
    ///
    /// # Errors
    /// Why there is none, with the command to run.
    pub fn find() -> Result<Self, String> {
        debian::STRACE.find_or_install(&mut anstream::stderr()).map(Self)
    }

    fn command(&self, call: &str, number: u64) -> Command {
        let mut strace = Command::new(&self.0);
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:signal=KILL:when={number}")]);
        strace
    }

    /// The same command, killed as it enters this system call for the `number`th time.
    #[must_use]
    pub fn killing(&self, command: &Command, call: &str, number: u64) -> Command {
        let mut strace = self.command(call, number);
        strace.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => strace.env(name, value),
                None => strace.env_remove(name),
            };
        }
        strace
    }

    /// Has a running process killed as it enters this system call for the `number`th time from now on.
    ///
    /// # Errors
    /// That strace does not attach.
    pub fn attach(&self, pid: u32, call: &str, number: u64) -> Result<Attached, String> {
        let mut strace = self.command(call, number);
        strace.args(["-p", &pid.to_string()]).stdin(Stdio::null()).stderr(Stdio::null());
        let child = strace.spawn().map_err(|error| format!("strace: {error}"))?;
        let mut attached = Attached(child);
        let began = Instant::now();
        while !is_traced(pid) {
            let ended = attached.0.try_wait().ok().flatten();
            if ended.is_some() || began.elapsed() > LONG {
                return Err("strace does not attach: ptrace is denied here".to_owned());
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        Ok(attached)
    }
}

/// Whether each thread of a process has a tracer.
fn is_traced(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")) else {
        return false;
    };
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
    })
}

/// A tracer that is attached; the process goes on without it when it is dropped.
#[derive(Debug)]
pub struct Attached(Child);

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
