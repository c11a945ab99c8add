//! A peer's program: where it is, and its process with its log, from its start to its end.
//!
//! Apart because every peer needs the same. How a peer is configured is its own file's.

use crate::{order::Service, while_doing};
use keysvc_tests::ground::Failed;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    env,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a peer may take until it can be asked: `OpenBao` takes 1 s on two busy cores.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a peer may take to end when it is told to, before it is killed.
const END_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks at a peer that starts or ends.
const LOOK_EACH: Duration = Duration::from_millis(20);
/// Lines of a peer's log that are shown when it fails.
const LOG_LINES: usize = 20;

/// A program that a peer is.
#[derive(Debug)]
pub struct Program {
    /// The peer.
    pub peer: &'static str,
    /// Its file's name, looked for on `PATH`.
    pub file: &'static str,
    /// The environment variable that names the file instead.
    pub variable: &'static str,
    /// The argument at which it says in one line what it is.
    pub ask: &'static str,
    /// What stands in that line: another program of the same name does not say it.
    pub says: &'static str,
    /// How one gets it.
    pub get: &'static str,
}

/// A program that is there.
#[derive(Debug)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// What it says it is.
    pub said: String,
}

/// A peer that cannot be measured here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The peer.
    pub name: &'static str,
    /// Why not.
    pub why: String,
    /// How one gets it.
    pub get: &'static str,
}

impl Program {
    /// That it cannot be measured, and why.
    pub const fn skipped(&self, why: String) -> Skipped {
        Skipped { name: self.peer, why, get: self.get }
    }
}

/// Looks for a program, and has it say what it is.
///
/// # Errors
/// [`Skipped`] when it is not there or is another.
pub fn find(program: &Program) -> Result<Found, Skipped> {
    let path = match env::var_os(program.variable) {
        Some(named) => {
            let named = PathBuf::from(named);
            let nothing =
                || program.skipped(format!("{} names no file: {}", program.variable, named.display()));
            Some(&named).filter(|named| named.is_file()).cloned().ok_or_else(nothing)?
        }
        None => {
            let path = env::var_os("PATH").unwrap_or_default();
            let found = env::split_paths(&path).map(|folder| folder.join(program.file));
            let nothing = || program.skipped(format!("no `{}` on PATH", program.file));
            found.into_iter().find(|file| file.is_file()).ok_or_else(nothing)?
        }
    };
    let output = Command::new(&path).arg(program.ask).output();
    let output = output.map_err(|error| program.skipped(format!("{}: {error}", path.display())))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = text.lines().next().unwrap_or_default().trim().to_owned();
    if said.contains(program.says) {
        return Ok(Found { path, said });
    }
    Err(program.skipped(format!("{} is another program", path.display())))
}

/// A peer's process. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    peer: &'static str,
    process: Child,
    log: PathBuf,
}

impl Server {
    /// Starts it; what it prints goes to this file.
    ///
    /// # Errors
    /// [`Failed`] when it cannot be started.
    pub fn start(peer: &'static str, mut command: Command, log: PathBuf) -> Result<Self, Failed> {
        let out = File::create(&log).map_err(while_doing("a peer's log"))?;
        let errors = out.try_clone().map_err(while_doing("a peer's log"))?;
        let process = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .map_err(while_doing("starting a peer"))?;
        Ok(Self { peer, process, log })
    }

    /// Waits until it can be asked.
    ///
    /// # Errors
    /// [`Failed`] with the end of its log, when it has ended or takes too long.
    pub fn wait_until(&mut self, ready: impl Fn() -> bool) -> Result<(), Failed> {
        let began = Instant::now();
        while !ready() {
            let ended = self.process.try_wait().map_err(while_doing("a peer's process"))?;
            if let Some(status) = ended {
                return Err(self.with_log(&Failed(format!("it ended while starting, {status}"))));
            }
            if began.elapsed() > START_LIMIT {
                return Err(self.with_log(&Failed(format!("it did not start in {START_LIMIT:?}"))));
            }
            thread::sleep(LOOK_EACH);
        }
        Ok(())
    }

    /// Its process, as those that serve.
    pub fn service(&self) -> Service {
        Service { front: self.process.id(), keeper: None }
    }

    /// A failure with the end of its log: its folder goes away with this run, so that is shown now or never.
    pub fn with_log(&self, Failed(why): &Failed) -> Failed {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let newest: Vec<_> = log.lines().rev().take(LOG_LINES).collect();
        let newest: Vec<_> = newest.into_iter().rev().collect();
        Failed(format!("{}: {why}; its log ends with\n{}", self.peer, newest.join("\n")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            // One that has ended already is not there to be told.
            let _ = kill_process(process, Signal::TERM);
        }
        let began = Instant::now();
        while began.elapsed() < END_LIMIT {
            match self.process.try_wait() {
                Ok(None) => thread::sleep(LOOK_EACH),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
