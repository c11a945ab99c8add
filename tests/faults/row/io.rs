//! A write or sync that fails is answered to nobody as done, whichever it is.
//!
//! strace makes the n-th call of a thread fail, of one kind at a time: while value updates are answered, while a key is
//! made, in a start and in an orderly end. One service lives through all of it. What SQLite, SoftHSM and the keeper ask of
//! the system is theirs; nothing here is a stand-in.

mod kind;
mod till;

use crate::trial::{Ended, Found, Outcome, Trial};
use keysvc_tests::{
    acks::Recorded,
    copies::Copies,
    data_room::DataRoom,
    ended::ended,
    ground::{Failed, Ground, text},
    raw::leaves_from,
    traced::{Traced, calls, recording, strace},
    units::{Units, half, logged},
    watched::send,
};
use kind::{Calls, Doing, Files, KINDS, Kind, LOGIN, tracing};
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};
use till::Till;

/// Requests in one run.
const REQUESTS: usize = 50;
/// Trials that fit: some 1.3 s each.
const TRIALS: u64 = 48;
/// How long calls are waited for that come with time, as the anchor's sync once a second.
const TIMED: Duration = Duration::from_secs(3);
/// Longer than an orderly end takes.
const LONG: Duration = Duration::from_secs(20);
/// Longer than a start takes on a busy machine.
const SOON: Duration = Duration::from_secs(5);
/// Writes of a start that are looked at: some of them are the log's lines.
const LOGINS_MAX: u64 = 8;
/// What the keeper says of a module without its token.
const NO_TOKEN: &str = "no initialised token";
/// What everything that is looked at is: the calls that any kind names.
const CALLS: &str = "fsync,fdatasync,pwrite64,write,ftruncate";
/// The exit codes that are started again: what the token lost, what the store lost, what cannot be.
const STARTED_AGAIN: [i32; 4] = [0, 10, 11, 12];

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let strace = match strace() {
        Ok(strace) => strace,
        Err(why) => return Ok(Ended::Lacking(why)),
    };
    let mut ground = Ground::founded();
    let units = Units::start(&ground)?;
    ground.wait()?;
    let scratch = tempfile::TempDir::with_prefix("keysvc-io-").map_err(|error| Failed(error.to_string()))?;
    let (till, room) = (Till::new(&ground)?, DataRoom::new(ground.site()));
    let mut bench = Bench {
        ground,
        units,
        till,
        room,
        strace,
        trace: scratch.path().join("trace"),
        size: 0,
        seen: 0,
        woken: false,
    };
    if let Some(denied) = bench.denied() {
        return Ok(Ended::Lacking(denied));
    }
    let mut found = Found::new("failing calls");
    let cases = bench.cases(trial)?;
    for (number, (kind, n)) in (0..).zip(&cases.chosen) {
        trial.tell(number, cases.chosen.len() as u64);
        match bench.fail(kind, *n) {
            Ok(true) => found.count(Ok(())),
            Ok(false) => {}
            Err(broken) => found.count(Err(format!("{} of {n}: {broken}", kind.name()))),
        }
    }
    let (torn, logins) = bench.logins(cases.logins, &mut found);
    found.figure(
        "writes of a login that failed",
        format!("{logins}; {torn} left SoftHSM without its token: nothing was served until its folder was put back"),
    );
    bench.sum_up(&mut found)?;
    let times = cases.all.div_ceil(TRIALS.max(1));
    found.figure(
        "every n",
        format!("{} of {} tried; --times {times} tries them all", found.trials, cases.all),
    );
    found.figure("kinds of call, errno and moment", cases.kinds);
    if !cases.never.is_empty() {
        found.figure("never called there", cases.never.join("; "));
    }
    Ok(Ended::Ran(found))
}

/// What is tried.
struct Cases {
    chosen: Vec<(Kind, u64)>,
    /// How many there are of all kinds.
    all: u64,
    kinds: usize,
    /// Writes of a start.
    logins: u64,
    never: Vec<String>,
}

/// One service and those around it.
struct Bench {
    ground: Ground,
    // Before the ground is gone: its programs end with it.
    units: Units,
    till: Till,
    room: DataRoom,
    strace: PathBuf,
    trace: PathBuf,
    /// The log's size at the last look.
    size: u64,
    /// How many ends of the keeper were looked at.
    seen: usize,
    /// Whether what failed last was no call to a disk.
    woken: bool,
}

impl Bench {
    /// What keeps strace from attaching here, if something does.
    fn denied(&self) -> Option<String> {
        let options = tracing("fsync", Files::Any, &self.ground);
        let attached = Traced::attach(&self.strace, self.units.keeper(), &options, &self.trace);
        attached.err().map(|Failed(why)| format!("{why}: run it as root, where ptrace is allowed"))
    }

    /// Counts the calls of each moment, and spreads the trials over them.
    fn cases(&mut self, trial: &Trial) -> Result<Cases, Failed> {
        let mut calls = BTreeMap::new();
        for doing in Doing::ALL {
            let trace = self.watched(doing).map_err(Failed)?;
            calls.insert(doing, Calls::read(&trace));
        }
        let count = |kind: &Kind| calls.get(&kind.doing).map_or(0, |calls| calls.of(kind, &self.ground));
        let (met, never): (Vec<_>, Vec<_>) =
            KINDS.into_iter().map(|kind| (kind, count(&kind))).partition(|(_, count)| *count > 0);
        let share = trial.scaled(TRIALS).div_ceil(met.len().max(1) as u64);
        let mut chances = trial.chances();
        let mut chosen = Vec::new();
        for (kind, count) in &met {
            let tries = share.min(*count);
            let offset = chances.u64(0..*count);
            chosen.extend((0..tries).map(|one| (*kind, 1 + (offset + one * count / tries) % count)));
        }
        Ok(Cases {
            chosen,
            all: met.iter().map(|(_, count)| count).sum(),
            kinds: met.len(),
            logins: count(&LOGIN),
            never: never.iter().map(|(kind, _)| kind.name()).collect(),
        })
    }

    /// One run in which nothing fails, traced.
    fn watched(&mut self, doing: Doing) -> Result<String, String> {
        let options = tracing(CALLS, Files::Any, &self.ground);
        let _ = fs::remove_file(&self.trace);
        match doing {
            Doing::Start => self.start_traced(&options)?,
            _ => {
                let traced = self.attach(&options)?;
                match doing {
                    Doing::Updates => (0..REQUESTS).try_for_each(|_| self.till.next())?,
                    Doing::Key => self.room.job()?,
                    Doing::Start | Doing::Stop => self.stop()?,
                }
                drop(traced);
            }
        }
        self.look()?;
        Ok(fs::read_to_string(&self.trace).unwrap_or_default())
    }

    fn attach(&self, options: &[String]) -> Result<Traced, String> {
        Traced::attach(&self.strace, self.units.keeper(), options, &self.trace).map_err(|Failed(why)| why)
    }

    /// Has the `n`-th call of this kind fail; says whether there was one.
    fn fail(&mut self, kind: &Kind, n: u64) -> Result<bool, String> {
        let options = kind.options(&self.ground, n);
        let _ = fs::remove_file(&self.trace);
        if kind.doing == Doing::Start {
            self.start_traced(&options)?;
        } else {
            let traced = self.attach(&options)?;
            match kind.doing {
                Doing::Updates => self.updates_until_failed(&traced)?,
                Doing::Key => self.room.job()?,
                Doing::Start | Doing::Stop => self.stop()?,
            }
            drop(traced);
        }
        let trace = fs::read_to_string(&self.trace).unwrap_or_default();
        self.woken = no_disk(&trace);
        let met = is_met(&trace) && !self.woken;
        // What the failure left is served from, and is whole.
        self.till.next()?;
        if kind.doing == Doing::Key {
            self.begin_anew()?;
        }
        self.look()?;
        Ok(met)
    }

    fn updates_until_failed(&mut self, traced: &Traced) -> Result<(), String> {
        let began = Instant::now();
        for number in 0.. {
            if is_met(&traced.text()) || (number >= REQUESTS && began.elapsed() > TIMED) {
                break;
            }
            self.till.next()?;
        }
        Ok(())
    }

    /// Starts the keeper anew under strace, which sees it from its first call until it serves, or ends.
    fn start_traced(&mut self, options: &[String]) -> Result<(), String> {
        self.start_traced_within(options, LONG)
    }

    fn start_traced_within(&mut self, options: &[String], limit: Duration) -> Result<(), String> {
        let plain = half(&self.ground, "keeper").map_err(|Failed(why)| why)?;
        let mut command = recording(&self.strace, options, &self.trace);
        command.arg(plain.get_program()).args(plain.get_args());
        command.envs(plain.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
        logged(&mut command, &self.ground).map_err(|Failed(why)| why)?;
        self.units.next_start(command);
        send(self.units.keeper(), Signal::KILL);
        self.till.next_within(limit)?;
        // Whoever answers now is the traced one, or the one after it.
        let beneath = children(self.units.keeper());
        beneath.into_iter().for_each(|pid| send(pid, Signal::KILL));
        self.till.next()
    }

    /// Ends the keeper by a kill, and waits until its next one answers.
    fn begin_anew(&mut self) -> Result<(), String> {
        send(self.units.keeper(), Signal::KILL);
        self.till.next()
    }

    /// Ends the keeper orderly, and waits for that.
    fn stop(&mut self) -> Result<(), String> {
        let (ends, began) = (self.units.ends().len(), Instant::now());
        send(self.units.keeper(), Signal::TERM);
        while self.units.ends().len() == ends {
            if began.elapsed() > LONG {
                return Err(format!("the keeper does not end in {} s", LONG.as_secs()));
            }
            thread::park_timeout(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Holds what was acknowledged since the last look against the log, and looks how the keeper ended meanwhile.
    fn look(&mut self) -> Result<(), String> {
        let leaves = leaves_from(&self.ground, self.size);
        self.size += leaves.len() as u64;
        let (recorded, acks) = (Recorded::of(&leaves), std::mem::take(&mut self.till.acks));
        let (lost, double) = (recorded.lost(&acks).len(), recorded.double().len());
        if lost > 0 || double > 0 || recorded.len() != acks.len() {
            let (held, told) = (recorded.len(), acks.len());
            return Err(format!("{lost} lost, {double} twice: {held} on record, {told} acknowledged"));
        }
        let ends = self.units.ends();
        let news = ends.get(self.seen..).unwrap_or_default();
        self.seen = ends.len();
        let right = |code: Option<i32>| code.map_or(self.woken, |code| STARTED_AGAIN.contains(&code));
        // A kill is our own.
        let wrong = news.iter().find(|end| !right(end.code()) && end.signal() != Some(Signal::KILL.as_raw()));
        wrong.map_or(Ok(()), |end| Err(format!("the keeper ended with {end}, {}", last_words(&self.ground))))
    }

    /// Has each write of a start fail, one after the other: either it is served again, or the token is gone, nothing is
    /// served, and everything is as it was once the token's folder is put back. Gives how often it was gone, of how many.
    fn logins(&mut self, writes: u64, found: &mut Found) -> (u64, u64) {
        let folder = self.ground.site().service().token_folder();
        let (mut torn, mut met) = (0, 0);
        for n in 1..=writes.min(LOGINS_MAX) {
            let copies = Copies::of(std::slice::from_ref(&folder));
            let options = LOGIN.options(&self.ground, n);
            let _ = fs::remove_file(&self.trace);
            let begun = self.ground.said().len();
            let mut done = self.start_traced_within(&options, SOON);
            let trace = fs::read_to_string(&self.trace).unwrap_or_default();
            self.woken = no_disk(&trace);
            if is_met(&trace) && !self.woken {
                met += 1;
            }
            if done.is_err() && self.ground.said().get(begun..).is_some_and(|said| said.contains(NO_TOKEN)) {
                torn += 1;
                copies.put_back();
                done = self.till.next();
            }
            let done = done.and_then(|()| self.begin_anew()).and_then(|()| self.look());
            found.count(done.map_err(|why| format!("{} of {n}: {why}", LOGIN.name())));
        }
        (torn, met)
    }

    /// What must hold after all of it: the log verifies, the store is what the log says, the token what the manifest says.
    fn sum_up(self, found: &mut Found) -> Result<(), Failed> {
        let Self { ground, units, till, .. } = self;
        let mut codes: BTreeMap<String, usize> = BTreeMap::new();
        for end in units.ends().iter().filter(|end| end.signal() != Some(Signal::KILL.as_raw())) {
            *codes.entry(end.to_string()).or_default() += 1;
        }
        let codes: Vec<_> = codes.into_iter().map(|(end, count)| format!("{count} with {end}")).collect();
        found.figure("ends of the keeper", codes.join(", "));
        found.figure("refused meanwhile", till.refused.into_iter().collect::<Vec<_>>().join("; "));
        let folder = ground.site().folder().join("export");
        let exported = ground.block_on(async { ground.auditor().await?.export(&folder, |_, _| {}).await });
        exported.map_err(|error| Failed(format!("the export: {error}")))?;
        drop(units);
        let mut verify = Command::new(&ground.programs().fobaudit);
        verify.arg("verify").arg(&folder).arg("--trust").arg(ground.site().trust());
        for (what, command) in [
            ("fobaudit verify", verify),
            ("verify-store", ground.keysvc(&["verify-store"])),
            ("doctor", ground.keysvc(&["doctor"])),
        ] {
            let output = ended(command);
            found.check(output.status.success(), || format!("{what}: {}", text(&output)));
        }
        Ok(())
    }
}

/// Whether what failed wakes a thread, which no disk can make fail: the runtime panics by it, and the keeper ends by that.
fn no_disk(trace: &str) -> bool {
    // By whole calls: one that another thread broke into names its file on an earlier line.
    is_met(trace) && calls(trace).iter().any(|call| call.failed && call.file.starts_with("anon_inode:"))
}

fn is_met(trace: &str) -> bool {
    trace.contains("(INJECTED)")
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(Path::new("/proc").join(format!("{pid}/task/{pid}/children")));
    text.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The end of the service's log.
fn last_words(ground: &Ground) -> String {
    let log = ground.said();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    lines.last().map_or_else(String::new, |line| (*line).to_owned())
}
