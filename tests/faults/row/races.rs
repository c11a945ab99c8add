//! What clients saw of each purse is one history, one step after the other.
//!
//! Each run has 64 clients at 100 purses over TLS, and officers at some proposals beside them; in every third run the keeper
//! is killed in the middle. What they saw is judged by [`keysvc_tests::histories`], each purse and each proposal for itself.

use crate::trial::{Ended, Found, Outcome, Trial};
use keysvc_tests::{
    acks::Recorded,
    cards::{Card, holding},
    ground::{Failed, Ground, OFFICERS},
    histories::{
        Seen,
        crowd::{Crowd, Plan, crowd},
        explained,
        proposal::{Proposal, Said, Step},
        purse::{Ask, Purse, Told},
        vote::vote,
    },
    raw::{Caller, leaves},
};
use std::{collections::BTreeSet, env, thread, time::Duration};

/// Runs for which ten minutes have room, beside the other rows.
const RUNS: u64 = 8;
const CLIENTS: usize = 64;
const PURSES: usize = 100;
/// How long clients begin something new.
const LENGTH: Duration = Duration::from_millis(3_000);
/// A kill comes between these two.
const KILLED_MS: std::ops::Range<u64> = 500..2_000;
/// One run in so many has a kill.
const KILL_EVERY: u64 = 3;
/// Proposals of one run.
const PROPOSALS: u16 = 5;

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let mut ground = Ground::founded();
    // The clients are one terminal's, and a witness of each may come beside it when the keeper is away.
    ground.set("front.limits", "per-certificate-max = 256");
    ground.start()?;
    let program = env::current_exe().map_err(|error| Failed(error.to_string()))?;
    let mut officers = OFFICERS.map(|officer| {
        let card = Card::insert_as((&program, &["card"]), ground.site(), officer);
        holding(card, ground.site(), officer)
    });
    let (mut chances, runs) = (trial.chances(), trial.scaled(RUNS));
    let (mut found, mut sums, mut payloads) = (Found::new("histories"), Sums::default(), BTreeSet::new());
    for run in 0..runs {
        trial.tell(run, runs);
        let kill =
            (run % KILL_EVERY == KILL_EVERY - 1).then(|| Duration::from_millis(chances.u64(KILLED_MS)));
        sums.kills += u64::from(kill.is_some());
        let plan = Plan {
            clients: CLIENTS,
            purses: PURSES,
            length: LENGTH,
            kill,
            run: u16::try_from(run).unwrap_or(u16::MAX),
            seed: chances.u64(..),
        };
        let (crowd, votes) = together(&ground, plan, &mut officers, chances.fork());
        sums.add(&crowd);
        for history in &crowd.histories {
            let explained = explained(Purse::default(), history);
            if history.iter().any(|seen| overlaps(seen, history)) {
                found.count(explained);
            } else {
                // Too simple to be a trial, and wrong all the same if it is.
                found.broken.extend(explained.err());
            }
        }
        for votes in votes {
            sums.proposals += 1;
            found.count(votes.and_then(|votes| explained(Proposal::default(), &votes)));
        }
        found.broken.extend(crowd.contradictions);
        payloads.extend(crowd.payloads);
    }
    let (recorded, payloads) = (Recorded::of(&leaves(&ground)), payloads.into_iter().collect::<Vec<_>>());
    let (lost, double) = (recorded.lost(&payloads).len(), recorded.double().len());
    found.check(lost == 0, || format!("{lost} updates that clients hold are not in the log"));
    found.check(double == 0, || format!("{double} purses have two updates at one number in the log"));
    sums.tell(&mut found, runs);
    Ok(Ended::Ran(found))
}

type Votes = Vec<Result<Vec<Seen<Step, Said>>, String>>;

/// The crowd, and officers at proposals in the meantime.
fn together(
    ground: &Ground,
    plan: Plan,
    officers: &mut [Caller; 3],
    mut chances: fastrand::Rng,
) -> (Crowd, Votes) {
    thread::scope(|scope| {
        let voting = scope.spawn(move || {
            let first = plan.run.saturating_mul(PROPOSALS);
            (first..first.saturating_add(PROPOSALS))
                .map(|number| vote(ground, officers, number, &mut chances))
                .collect::<Votes>()
        });
        let crowd = crowd(ground, plan);
        let votes = voting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (crowd, votes)
    })
}

/// What all runs came to.
#[derive(Debug, Default)]
struct Sums {
    kills: u64,
    proposals: u64,
    done: usize,
    refused: usize,
    open: usize,
    overlapping: usize,
    longest: usize,
}

impl Sums {
    fn add(&mut self, crowd: &Crowd) {
        for history in &crowd.histories {
            self.longest = self.longest.max(history.len());
            for seen in history {
                match &seen.told {
                    Some((_, Told::Done(_))) => self.done += 1,
                    Some((_, Told::Refused(_))) => self.refused += 1,
                    None => self.open += 1,
                }
                self.overlapping += usize::from(overlaps(seen, history));
            }
        }
    }

    fn tell(&self, found: &mut Found, runs: u64) {
        let Self { kills, proposals, done, refused, open, overlapping, longest } = self;
        found.figure(
            "runs",
            format!("{runs}, {kills} of them with a kill, {CLIENTS} clients at {PURSES} purses"),
        );
        found.figure(
            "operations",
            format!("{} ({done} signed, {refused} refused, {open} never answered)", done + refused + open),
        );
        found.figure("at one time with another", format!("{overlapping}; {longest} at one purse at most"));
        found.figure("proposals", format!("{proposals}, each voted on and withdrawn at one time"));
    }
}

/// Whether another request was under way at the same purse.
fn overlaps(seen: &Seen<Ask, Told>, history: &[Seen<Ask, Told>]) -> bool {
    let end = |seen: &Seen<Ask, Told>| seen.told.as_ref().map_or(u64::MAX, |(told, _)| *told);
    history
        .iter()
        .any(|other| other.asked != seen.asked && other.asked < end(seen) && seen.asked < end(other))
}
