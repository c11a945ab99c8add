//! A killed keeper or front loses no acknowledged update and issues none twice.
//!
//! The keeper alone is killed first, under the eyes of connections that stay the same; now and then a second time before
//! it serves again. Then the front alone, then both within one breath, then the parent, which takes both with it.

mod terminals;

use crate::trial::{Ended, Found, Outcome, Trial};
use fastrand::Rng;
use keysvc_tests::{
    acks::Recorded,
    audited::{audited, store_verified},
    ground::Ground,
    outage::{Outages, Witness, answered, long_lived},
    raw::leaves,
    received::{Received, Said, trust_bundle},
    watched::send,
};
use rustix::process::Signal;
use std::{
    fs, thread,
    time::{Duration, Instant},
};
use terminals::Crew;

/// Kills of the keeper alone, of the front alone, and of both at once; so 200 of each.
const KEEPER: u64 = 100;
const FRONT: u64 = 100;
const BOTH: u64 = 100;
/// Kills of the parent.
const PARENT: u64 = 10;
/// One kill of the keeper alone in so many is followed by a second one before it serves again.
const TWICE: u64 = 10;
/// Terminals at work: so many that some are back as soon as the service is.
const TERMINALS: u8 = 8;
/// Whoever watches, on connections that no kill of the keeper may break.
const WITNESSES: [&str; 2] = ["auditor-1", "platform-1"];
/// Longer than halves take that lost their parent.
const LONG: Duration = Duration::from_secs(30);

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let ground = long_lived();
    let crew = Crew::start(&ground, TERMINALS);
    let mut stage = Stage {
        ground,
        crew,
        chances: trial.chances(),
        found: Found::new("kills"),
        done: 0,
        of: trial.scaled(KEEPER + FRONT + 2 * BOTH + PARENT),
        keeper: Outages::default(),
        twice: Outages::default(),
        front: Outages::default(),
        both: Outages::default(),
        whole: Outages::default(),
    };
    stage.keepers(trial, trial.scaled(KEEPER));
    for _ in 0..trial.scaled(FRONT) {
        stage.one(trial, Stage::kill_front);
    }
    for _ in 0..trial.scaled(BOTH) {
        stage.one(trial, Stage::kill_both);
    }
    for _ in 0..trial.scaled(PARENT) {
        stage.one(trial, Stage::kill_parent);
    }
    stage.settle()
}

/// The service, those who work with it, and what was found so far.
struct Stage {
    ground: Ground,
    crew: Crew,
    chances: Rng,
    found: Found,
    done: u64,
    of: u64,
    keeper: Outages,
    twice: Outages,
    front: Outages,
    both: Outages,
    whole: Outages,
}

impl Stage {
    /// One kill, or two at once, under load and at any moment of it.
    fn one(&mut self, trial: &Trial, kill: fn(&mut Self) -> Result<(), String>) {
        let outcome = self.under_load().and_then(|()| kill(self));
        self.found.count(outcome);
        self.done += 1;
        trial.tell(self.done.min(self.of), self.of);
    }

    /// Waits for some acknowledgements after the last kill, and then for any moment.
    fn under_load(&mut self) -> Result<(), String> {
        self.crew.wait_for(1 + self.chances.usize(..6))?;
        thread::park_timeout(Duration::from_micros(self.chances.u64(..10_000)));
        Ok(())
    }

    fn pid(&self, half: &str) -> Result<u32, String> {
        self.ground.half(half).ok_or_else(|| format!("there is no {half}"))
    }

    /// Kills of the keeper alone: every witness keeps its one connection, and nobody kills the front.
    fn keepers(&mut self, trial: &Trial, count: u64) {
        let mut witnesses = WITNESSES.map(|persona| Witness::new(self.ground.site(), persona));
        let front = self.ground.half("front");
        for number in 1..=count {
            let outcome = self.under_load().and_then(|()| {
                if number.is_multiple_of(TWICE) {
                    self.kill_keeper_twice(&mut witnesses)
                } else {
                    let killed = self.kill_keeper(&mut witnesses)?;
                    self.keeper.note(killed);
                    Ok(())
                }
            });
            self.found.count(outcome);
            self.done += 1;
            trial.tell(self.done, self.of);
        }
        self.found
            .check(self.ground.half("front") == front, || "the front did not outlive the keeper".to_owned());
        let unavailable: usize = witnesses.iter().map(|witness| witness.unavailable).sum();
        self.found.check(unavailable > 0, || "the front never said that the keeper was away".to_owned());
        self.found.figure(
            "on connections older than every kill of the keeper",
            format!("{} kept, {unavailable} answers 'unavailable'", witnesses.len()),
        );
    }

    fn kill_keeper(&self, witnesses: &mut [Witness; 2]) -> Result<Duration, String> {
        let [one, other] = witnesses;
        let before = one.started()?.ok_or("no keeper answers before the kill")?;
        let killed = Instant::now();
        send(self.pid("keeper")?, Signal::KILL);
        let outage = one.restarted(before, killed)?;
        other.started()?.ok_or("the other witness is not served").map(drop)?;
        Ok(outage)
    }

    /// The second kill meets a keeper that compares, restores or finishes what the first one left.
    fn kill_keeper_twice(&mut self, witnesses: &mut [Witness; 2]) -> Result<(), String> {
        let [one, _] = witnesses;
        let before = one.started()?.ok_or("no keeper answers before the kill")?;
        let (first, killed) = (self.pid("keeper")?, Instant::now());
        send(first, Signal::KILL);
        let second = loop {
            match self.ground.half("keeper") {
                Some(pid) if pid != first => break pid,
                _ if killed.elapsed() > LONG => return Err("the keeper is not started again".to_owned()),
                _ => thread::park_timeout(Duration::from_millis(1)),
            }
        };
        thread::park_timeout(Duration::from_millis(self.chances.u64(..250)));
        send(second, Signal::KILL);
        self.found.trials += 1;
        // Whether the second had begun to serve or not, a third one does.
        let outage = loop {
            let outage = one.restarted(before, killed)?;
            if self.ground.half("keeper").is_some_and(|third| third != second) {
                break outage;
            }
        };
        self.twice.note(outage);
        Ok(())
    }

    fn kill_front(&mut self) -> Result<(), String> {
        let (front, keeper) = (self.pid("front")?, self.pid("keeper")?);
        let killed = Instant::now();
        send(front, Signal::KILL);
        let (mut witness, outage) = answered(self.ground.site(), WITNESSES[0], killed)?;
        self.front.note(outage);
        witness.restarted(0, killed)?;
        let kept = self.pid("keeper")? == keeper && self.pid("front")? != front;
        if kept { Ok(()) } else { Err("the keeper did not outlive the front".to_owned()) }
    }

    fn kill_both(&mut self) -> Result<(), String> {
        let before = self.ground.site();
        let (mut witness, _) = answered(before, WITNESSES[0], Instant::now())?;
        let before = witness.started()?.ok_or("no keeper answers before the kill")?;
        let halves = [self.pid("front")?, self.pid("keeper")?];
        // The second one within the time that the first one takes to come back.
        let (order, between) = if self.chances.bool() {
            ([0, 1], Duration::from_millis(self.chances.u64(..30)))
        } else {
            ([1, 0], Duration::from_millis(self.chances.u64(..300)))
        };
        let killed = Instant::now();
        send(halves[order[0]], Signal::KILL);
        thread::park_timeout(between);
        send(halves[order[1]], Signal::KILL);
        self.found.trials += 1;
        self.done += 1;
        let (mut witness, _) = answered(self.ground.site(), WITNESSES[0], Instant::now())?;
        let outage = witness.restarted(before, killed)?;
        self.both.note(outage);
        Ok(())
    }

    fn kill_parent(&mut self) -> Result<(), String> {
        let halves = [self.pid("front")?, self.pid("keeper")?];
        let killed = Instant::now();
        send(self.ground.daemon().ok_or("there is no parent")?, Signal::KILL);
        while !halves.into_iter().all(is_gone) {
            if killed.elapsed() > LONG {
                return Err("a half outlives its parent".to_owned());
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        // Only waits for the one that was killed.
        self.ground.stop();
        self.ground.start().map_err(|failed| failed.to_string())?;
        self.whole.note(killed.elapsed());
        Ok(())
    }

    /// Ends the load, and holds what was received against itself, the log and the store.
    fn settle(mut self) -> Outcome {
        let folder = self.ground.site().folder().to_owned();
        let worked = self.crew.end();
        let found = &mut self.found;
        found.broken.extend(worked.odd);
        let records = Received::read(&worked.folder);
        let said = Said::by(&records, &trust_bundle(&self.ground));
        found.check(said.unsound.is_empty(), || format!("signatures that do not verify: {:?}", said.unsound));
        found.check(said.double().is_empty(), || {
            format!("signed twice over different updates: {:?}", said.double())
        });
        let acks = said.payloads();
        let recorded = Recorded::of(&leaves(&self.ground));
        let (lost, double) = (recorded.lost(&acks).len(), recorded.double().len());
        found.check(lost == 0, || format!("{lost} acknowledged updates are not in the log"));
        found.check(double == 0, || format!("twice in the log: {:?}", recorded.double()));
        // Each terminal was answered at last, so nothing is in the log that nobody was told.
        found.check(recorded.len() == acks.len(), || {
            format!("{} updates in the log, {} acknowledged", recorded.len(), acks.len())
        });
        found.check(acks.len() as u64 >= self.of, || format!("only {} acknowledgements", acks.len()));
        let verified =
            audited(&self.ground, &folder.join("export")).and_then(|()| store_verified(&mut self.ground));
        found.broken.extend(verified.err());
        found.figure("keeper alone, until it serves again", &self.keeper);
        found.figure("keeper, killed again in its start", &self.twice);
        found.figure("front alone, until it answers again", &self.front);
        found.figure("both, until they serve again", &self.both);
        found.figure("parent, until a new one serves", &self.whole);
        found.figure(
            "updates",
            format!(
                "{} acknowledged, {lost} lost, {double} twice; {} signatures received, {} of them to repetitions",
                acks.len(),
                records.len(),
                worked.repeats
            ),
        );
        Ok(Ended::Ran(self.found))
    }
}

/// Gone, or a zombie that whoever adopted it has not waited for yet.
fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|state| state.is_empty() || state.starts_with('Z'))
}
