//! A token that is away is refused at once and served again once it is back.
//!
//! Under load: the folder of all tokens is moved, the token's own folder, or the module's file while the keeper is started
//! again. And the keeper is brought down from within, as a module that crashes in it does. The connections that watch are
//! opened once and never again.

mod steady;

use crate::trial::{Ended, Found, Outcome, Trial};
use keysvc::config::Config;
use keysvc_protocol::refusal::Refusal;
use keysvc_tests::{
    ground::{Failed, Ground},
    load::assert_nothing_lost,
    outage::{Outages, Witness},
    raw::Line,
    watched::{refused, send},
};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use steady::Steady;

/// Absences of a run of ten minutes.
const ABSENCES: u64 = 10;
/// Crashes of the keeper: few, for the parent waits longer before each of many starts, up to 5 s.
const CRASHES: u64 = 5;
/// Terminals at work.
const TERMINALS: u8 = 3;
/// Updates before the first absence: enough for what is counted at the end.
const FIRST: usize = 20;
/// Updates between two absences.
const BETWEEN: usize = 4;
/// How long the token is away once that was noticed.
const AWAY_MS: u64 = 600;
/// How long the keeper may take to see it: the readiness operation runs each second. And a busy machine.
const NOTICED: Duration = Duration::from_secs(4);
/// How long a refusal may take, of nearly all of them: one in twenty may have met other work of this machine.
const REFUSAL: Duration = Duration::from_millis(100);
/// How long after its return the service may take to serve.
const RETURN: Duration = Duration::from_secs(2);
/// How long after a crash it may take, beyond what the parent waits.
const RESTART: Duration = Duration::from_secs(2);
/// Between two questions, so that they do not take the machine from what is measured.
const PAUSE: Duration = Duration::from_millis(5);
/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(1);

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let ground = own_module()?;
    let (mut chances, mut found) = (trial.chances(), Found::new("absences and crashes"));
    let load = Steady::start(&ground, TERMINALS).map_err(failed)?;
    load.wait_for(FIRST).map_err(Failed)?;
    let mut stage = Stage::new(&ground);
    let (absences, crashes) = (trial.scaled(ABSENCES), trial.scaled(CRASHES));
    for done in 0..absences {
        trial.tell(done, absences + crashes);
        let kind = [What::AllTokens, What::TheToken, What::TheModule][usize::try_from(done % 3).unwrap_or(0)];
        let long = Duration::from_millis(AWAY_MS + chances.u64(0..400));
        found.count(stage.absence(kind, long).map_err(|why| format!("{kind:?}: {why}")));
        load.wait_for(BETWEEN).map_err(Failed)?;
    }
    for done in 0..crashes {
        trial.tell(absences + done, absences + crashes);
        thread::sleep(Duration::from_millis(chances.u64(0..150)));
        found.count(stage.crash().map_err(|why| format!("a crash: {why}")));
        load.wait_for(BETWEEN).map_err(Failed)?;
    }
    let acks = load.end().map_err(Failed)?;
    assert_nothing_lost(&ground, &acks);
    found.check(stage.halves() == stage.front, || "the front or its parent was started again".to_owned());
    stage.refusals.sort_unstable();
    let at = |hundredths: usize| {
        stage.refusals.get(stage.refusals.len() * hundredths / 100).map(Duration::as_millis)
    };
    found.figure(
        "refusals while the token was away",
        format!(
            "{}, half within {} ms, 95 of 100 within {} ms",
            stage.refusals.len(),
            at(50).unwrap_or_default(),
            at(95).unwrap_or_default()
        ),
    );
    found.figure("serving again after the return", &stage.returns);
    found.figure("serving again after a crash and the parent's wait", &stage.restarts);
    found.figure("updates acknowledged meanwhile, all in the log once", acks.len());
    Ok(Ended::Ran(found))
}

/// A serving site whose module is a copy of its own, which can be moved.
fn own_module() -> Result<Ground, Failed> {
    let mut ground = Ground::founded();
    let (config, home) = (ground.site().service_config(), ground.site().service());
    let own = Config::read(&config).map_err(failed)?.token.module;
    let module = home.folder().join("module.so");
    fs::copy(&own, &module).map_err(failed)?;
    let [own, copy] = [&own, &module].map(|path| format!("{:?}", path.display().to_string()));
    ground.change(&own, &copy);
    ground.start()?;
    Ok(ground)
}

/// What is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The folder of all tokens.
    AllTokens,
    /// The token's own folder in it.
    TheToken,
    /// The module's file, and the keeper that had loaded it.
    TheModule,
}

/// The service as those see it who stay connected.
struct Stage<'g> {
    ground: &'g Ground,
    line: Line,
    witness: Witness,
    front: (Option<u32>, Option<u32>),
    refusals: Vec<Duration>,
    returns: Outages,
    restarts: Outages,
}

impl<'g> Stage<'g> {
    fn new(ground: &'g Ground) -> Self {
        Self {
            ground,
            line: Line::open(ground.site(), "auditor-1"),
            witness: Witness::new(ground.site(), "platform-1"),
            front: (ground.daemon(), ground.half("front")),
            refusals: Vec::new(),
            returns: Outages::default(),
            restarts: Outages::default(),
        }
    }

    fn halves(&self) -> (Option<u32>, Option<u32>) {
        (self.ground.daemon(), self.ground.half("front"))
    }

    /// Where it lies, and where it is put meanwhile.
    fn place(&self, what: What) -> Result<(PathBuf, PathBuf), String> {
        let home = self.ground.site().service();
        let tokens = home.token_folder();
        let place = match what {
            What::AllTokens => tokens,
            What::TheToken => only_folder(&tokens)?,
            What::TheModule => home.folder().join("module.so"),
        };
        Ok((place, home.folder().join("away")))
    }

    /// Takes something away and gives it back.
    fn absence(&mut self, what: What, long: Duration) -> Result<(), String> {
        let (place, away) = self.place(what)?;
        fs::rename(&place, &away).map_err(said)?;
        if what == What::TheModule {
            // A loaded module goes on without its file.
            self.ground.half("keeper").into_iter().for_each(|keeper| send(keeper, Signal::KILL));
        }
        let refused = self.refused(long);
        fs::rename(&away, &place).map_err(said)?;
        let returned = Instant::now();
        let served = self.served(returned);
        refused?;
        let took = served?;
        self.returns.note(took);
        if took > RETURN {
            return Err(format!("serving {} ms after the return", took.as_millis()));
        }
        Ok(())
    }

    /// Waits for the refusal, then holds each answer to be it for so long, and nearly all to be fast.
    fn refused(&mut self, long: Duration) -> Result<(), String> {
        let began = Instant::now();
        while refused(&mut self.line).is_none() {
            if began.elapsed() > NOTICED {
                return Err(format!("not noticed within {} s", NOTICED.as_secs()));
            }
            thread::park_timeout(PAUSE);
        }
        let (began, mut times) = (Instant::now(), Vec::new());
        while began.elapsed() < long {
            let asked = Instant::now();
            match refused(&mut self.line) {
                Some(Refusal::TokenUnavailable) => times.push(asked.elapsed()),
                Some(other) => return Err(format!("refused otherwise: {other}")),
                None => return Err("served while the token is away".to_owned()),
            }
            thread::park_timeout(PAUSE);
        }
        times.sort_unstable();
        let most = times.get(times.len() * 95 / 100).copied().unwrap_or_default();
        self.refusals.append(&mut times);
        if most > REFUSAL {
            Err(format!("95 of 100 refusals within {} ms only", most.as_millis()))
        } else {
            Ok(())
        }
    }

    fn served(&mut self, since: Instant) -> Result<Duration, String> {
        while refused(&mut self.line).is_some() {
            if since.elapsed() > LONG {
                return Err("it does not serve again".to_owned());
            }
            thread::park_timeout(PAUSE);
        }
        Ok(since.elapsed())
    }

    /// Has the keeper end by a broken memory access, as a module that crashes in it has it end.
    fn crash(&mut self) -> Result<(), String> {
        let before = self.witness.started()?.ok_or("no keeper before the crash")?;
        let keeper = self.ground.half("keeper").ok_or("no keeper before the crash")?;
        let killed = Instant::now();
        // Twice: the first is met by Rust's own look at the stack, which puts the system's handling back and lets the broken
        // access be met again; here there is none to meet.
        while self.ground.half("keeper") == Some(keeper) {
            if killed.elapsed() > LONG {
                return Err("the keeper does not end".to_owned());
            }
            send(keeper, Signal::SEGV);
            thread::park_timeout(PAUSE);
        }
        let took = self.witness.restarted(before, killed)?;
        let took = took.saturating_sub(self.waited());
        self.restarts.note(took);
        if took > RESTART {
            return Err(format!("serving {} ms after it and the parent's wait", took.as_millis()));
        }
        Ok(())
    }
}

impl Stage<'_> {
    /// How long the parent said that it waits before it starts the keeper that crashed last.
    fn waited(&self) -> Duration {
        let said = self.ground.said();
        let last = said.lines().rev().find(|line| line.contains("(SIGSEGV)"));
        let wait =
            last.and_then(|line| line.rsplit_once("wait_ms=")).and_then(|(_, wait)| wait.trim().parse().ok());
        Duration::from_millis(wait.unwrap_or_default())
    }
}

fn only_folder(tokens: &Path) -> Result<PathBuf, String> {
    let folders =
        fs::read_dir(tokens).map_err(said)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    folders.into_iter().find(|path| path.is_dir()).ok_or_else(|| "the token has no folder".to_owned())
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}
