//! `cargo load --people N`: what agreement costs.
//!
//! A terminal's loads that it may make alone and loads that two officers must approve, by turns in one run, each person
//! at a connection and in a process of its own; officers sign with the keys in their cards. Between them one officer
//! stops things and two let go. Then the log is exported and its dual control verified again by those who trust nobody.
//! With `--leaves` the acts are spread over a log that is filled up to so many leaves.

mod asked;
mod controls;
mod person;
mod report;
mod task;

pub use person::Person;
pub use report::print;

use crate::{
    Arguments, cpu,
    crew::Hand,
    long::fill,
    order::Service,
    rounds::{persona, service, with_log},
    while_doing,
};
use controls::Controls;
use keysvc_tests::{
    ground::{Failed, Ground},
    programs::{Profile, Programs},
    second_verifier,
};
use std::ops::Range;
use task::{Done, Step, Task};
use tempfile::TempDir;

/// Acts that are open at a time: below the 32 that one requester may have.
const OPEN: u64 = 25;
/// Acts for one stop of a terminal and one of a key.
const A_STOP: u64 = 50;
/// Acts after each start that warm caches and are not counted.
const WARM: u64 = 2;
/// Parts that a long log is made in, each filled and then worked on.
const PARTS: u64 = 10;
/// Leaves of an act of two people with the plain update beside it: proposal, two approvals, act, update.
const LEAVES_EACH: u64 = 5;
/// Leaves of a stop of a terminal and one of a key: each stops, and is let go by proposal, two approvals and act.
const LEAVES_OF_STOPS: u64 = 10;
/// Leaves of a start with the bundles made while it lasts, about.
const LEAVES_OF_START: u64 = 16;

/// Something that was measured, round by round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A load that the terminal may make alone.
    Alone,
    /// A larger one, proposed.
    Proposed,
    /// The first approval.
    First,
    /// The second, which performs it.
    Second,
    /// The record fetched.
    Fetched,
    /// A proposal read by an officer.
    Looked,
    /// A terminal stopped.
    Frozen,
    /// And let go, with all its calls.
    Lifted,
    /// A key suspended.
    Suspended,
    /// And activated, with all its calls.
    Activated,
}

/// Everything that was measured.
#[derive(Debug)]
pub struct Ended {
    /// Acts of two people that were measured.
    pub people: u64,
    /// What was measured, in order.
    pub rounds: Vec<(What, Done)>,
    /// What verifying it took.
    pub controls: Controls,
    /// Load average before and after.
    pub load_average: [String; 2],
}

/// The people at work.
struct People {
    service: Service,
    terminal: Hand,
    officers: [Hand; 2],
}

/// Measures, and verifies what came of it.
///
/// # Errors
/// [`Failed`] when anything fails: there are no figures of a failing service.
pub fn run(arguments: &Arguments, people: u64) -> Result<Ended, Failed> {
    let needed = around(people);
    if arguments.leaves.is_some_and(|leaves| leaves < needed) {
        return Err(Failed(format!(
            "{people} acts with all around them take about {needed} leaves: give more"
        )));
    }
    let scratch = TempDir::with_prefix("keysvc-load-").map_err(while_doing("a scratch folder"))?;
    let programs = match &arguments.programs {
        Some(file) => Programs::read(file),
        None => Programs::build(Profile::Release),
    };
    let programs = programs.map_err(while_doing("the programs"))?;
    // First: where it cannot be had, nothing is measured in vain.
    let python = arguments.second_verifier.then(second_verifier::python);
    let load_before = cpu::load_average();
    let mut ground = Ground::lay_out(&scratch.path().join("s"), programs)?;
    ground.sign_founding()?;
    crate::timed::succeed("keysvc init", &mut ground.keysvc(&["init"]))?;
    let rounds = match arguments.leaves {
        Some(leaves) => spread(&mut ground, people, leaves),
        None => part(&mut ground, 0..people),
    };
    let rounds = rounds.map_err(|failed| with_log(&ground, &failed))?;
    let controls = controls::measure(&mut ground, &scratch.path().join("export"), python.as_deref())?;
    let load_average = [load_before, cpu::load_average()];
    Ok(Ended { people, rounds, controls, load_average })
}

/// Leaves that so many acts and all that is done around them make, about.
fn around(people: u64) -> u64 {
    let warm =
        LEAVES_EACH.saturating_mul(WARM).saturating_add(LEAVES_OF_STOPS).saturating_add(LEAVES_OF_START);
    let stops = people.div_ceil(A_STOP).saturating_add(PARTS).saturating_mul(LEAVES_OF_STOPS);
    people.saturating_mul(LEAVES_EACH).saturating_add(stops).saturating_add(warm.saturating_mul(PARTS))
}

/// The acts in parts, each after a share of the leaves that fill the log.
fn spread(ground: &mut Ground, people: u64, leaves: u64) -> Result<Vec<(What, Done)>, Failed> {
    let plain = leaves.saturating_sub(around(people));
    let share = |of: u64, parts: u64| of.saturating_mul(parts).checked_div(PARTS).unwrap_or(of);
    let mut rounds = Vec::new();
    let mut filled = 0;
    for number in 0..PARTS {
        let next = number.saturating_add(1);
        let wanted = share(plain, next);
        fill(ground, wanted.saturating_sub(filled), filled)?;
        filled = wanted;
        let acts = share(people, number)..share(people, next);
        if !acts.is_empty() {
            rounds.extend(part(ground, acts)?);
        }
    }
    let size = controls::leaves_of(ground)?;
    fill(ground, leaves.saturating_sub(size), filled)?;
    Ok(rounds)
}

/// Acts on a service that is started for them.
fn part(ground: &mut Ground, fobs: Range<u64>) -> Result<Vec<(What, Done)>, Failed> {
    ground.start()?;
    let mut people = People {
        service: service(ground)?,
        terminal: persona(ground, "person", "terminal-1")?,
        officers: [persona(ground, "person", "officer-1")?, persona(ground, "person", "officer-2")?],
    };
    let mut rounds = Vec::new();
    // Fobs from the other end of their numbers, others for each part.
    let warm = u64::from(u32::MAX).saturating_sub(fobs.start.saturating_mul(WARM));
    people.loads(&mut rounds, warm..warm.saturating_add(WARM))?;
    people.stops(&mut rounds)?;
    rounds.clear();
    let mut next = fobs.start;
    while next < fobs.end {
        let end = next.saturating_add(OPEN).min(fobs.end);
        people.loads(&mut rounds, next..end)?;
        if next.saturating_sub(fobs.start).is_multiple_of(A_STOP) {
            people.stops(&mut rounds)?;
        }
        next = end;
    }
    drop(people);
    ground.stop();
    Ok(rounds)
}

impl People {
    /// As many loads of each kind as there are fobs.
    fn loads(&mut self, rounds: &mut Vec<(What, Done)>, fobs: Range<u64>) -> Result<(), Failed> {
        let task = |step, proposals: &[Vec<u8>]| Task {
            step,
            service: self.service,
            fobs: fobs.clone(),
            proposals: proposals.to_vec(),
        };
        let Self { terminal, officers: [first, second], .. } = self;
        rounds.push((What::Alone, order(terminal, &task(Step::Load, &[]))?));
        let proposed = order(terminal, &task(Step::ProposeLoad, &[]))?;
        let proposals = proposed.proposals.clone();
        rounds.push((What::Proposed, proposed));
        rounds.push((What::Looked, order(first, &task(Step::Look, &proposals))?));
        rounds.push((What::First, order(first, &task(Step::Approve, &proposals))?));
        rounds.push((What::Second, order(second, &task(Step::Approve, &proposals))?));
        rounds.push((What::Fetched, order(terminal, &task(Step::Result, &proposals))?));
        Ok(())
    }

    /// One officer stops a terminal, and then a key; two let each go.
    fn stops(&mut self, rounds: &mut Vec<(What, Done)>) -> Result<(), Failed> {
        let task = |step, proposals: &[Vec<u8>]| Task {
            step,
            service: self.service,
            fobs: 0..1,
            proposals: proposals.to_vec(),
        };
        let Self { officers: [first, second], .. } = self;
        for (stop, stopped, go, gone) in [
            (Step::Freeze, What::Frozen, Step::ProposeLift, What::Lifted),
            (Step::Suspend, What::Suspended, Step::ProposeActivate, What::Activated),
        ] {
            rounds.push((stopped, order(first, &task(stop, &[]))?));
            let proposed = order(first, &task(go, &[]))?;
            let approve = task(Step::Approve, &proposed.proposals);
            // Who asks counts by an approval of their own.
            let whole = proposed.and(&order(first, &approve)?).and(&order(second, &approve)?);
            rounds.push((gone, whole));
        }
        Ok(())
    }
}

fn order(hand: &mut Hand, task: &Task) -> Result<Done, Failed> {
    hand.ask(task, task)
}
