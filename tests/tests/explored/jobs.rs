//! Two jobs for one station, two cards, and the people of a bureau, who all can do everything: opened, stopped, resumed,
//! counted rightly and wrongly, closed and purged, with agreements used again and restarts in between.
//!
//! What must never be is said by an onlooker, who reads the leaves alone and shares no code with what is explored.

use super::{explore, key};
use keysvc_protocol::{
    job::{Counts, JobState, Outcome, Trust},
    leaf::LeafKind,
};
use keysvc_tests::people::{
    Floor, Key, Onlooker, Site,
    floor::{Told, card, counts, head, reject, result},
    name,
};
use stateright::{Model, Property};
use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex},
};

const STATION: &str = "station-1";
const JOBS: [&str; 2] = ["nfc-1", "nfc-2"];
/// Each job has one card; there are two that either may ask for.
const ISSUED: u32 = 1;
const CARDS: [u8; 2] = [0, 1];
/// Pairs that ask to open: good, with who made the job, one person, with who reviews.
const PAIRS: [[&str; 2]; 4] = [["cat", "operator-1"], ["ann", "cat"], ["cat", "cat"], ["cat", "dan"]];
/// Who counts: good, an operator as reviewer.
const COUNTERS: [[&str; 2]; 2] = [["cat", "dan"], ["operator-1", "cat"]];
/// Who witnesses: good, the reviewer, an operator, who sealed.
const WITNESSES: [&str; 4] = ["monitor-1", "dan", "cat", "ben"];
/// How often each job is opened or resumed, and how often it is counted.
const SESSIONS: [usize; 2] = [2, 2];
const COUNTS: [usize; 2] = [2, 2];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Create(usize),
    Seal(usize, &'static str),
    Withdraw(usize),
    /// With a pair of [`PAIRS`].
    Open(usize, usize),
    Resume(usize, usize),
    Suspend(usize),
    /// A card's keys, in its next generation where officers agreed.
    Derive(usize, u8, bool),
    Give(usize, u8, bool),
    /// Rightly, or one card too many; with a pair of [`COUNTERS`].
    Count(usize, bool, usize),
    Close(usize, usize),
    Purge(usize),
    /// The newest leaf of this kind once more, as it was.
    Again(LeafKind),
    /// The service starts again: its book is the replay of its log.
    Restart,
}

#[derive(Debug, Clone)]
struct State {
    floor: Floor,
    onlooker: Onlooker,
    wrong: Option<&'static str>,
}

impl State {
    fn wrong(&self) -> Option<&'static str> {
        self.wrong.or(self.onlooker.wrong)
    }

    /// Shows the onlooker the newest leaf.
    fn see(&mut self) {
        let (leaf, by_quorum) = self.floor.leaves.last().unwrap();
        self.onlooker.see(&self.floor.site, leaf, *by_quorum);
    }

    fn state(&self, job: usize) -> Option<JobState> {
        self.floor.book.jobs.get(&name(JOBS[job])).map(|(job, _)| job.state)
    }

    /// What tells it from another: not the log, nor when and in which leaf something was done.
    fn told(&self) -> impl Hash + PartialEq {
        let jobs = self.floor.book.jobs.values().map(|(job, tally)| {
            let history = job.history();
            let even = job.counts.last().map(|count| count.balance.is_even());
            let done = (job.sessions.len(), job.suspensions.len(), job.counts.len(), job.used.len());
            let tally = (tally.made, tally.good, tally.rejected, tally.sample);
            (job.name.clone(), job.state, tally, done, even, history.operated_by, history.reviewed_by)
        });
        let cards = self.floor.book.cards.iter().map(|(card, record)| {
            let outcome = record.outcome.as_ref().map(|outcome| *outcome == Outcome::Good);
            (*card, record.state, record.generation, record.job.clone(), outcome)
        });
        let stations: Vec<_> = self.floor.book.stations.values().cloned().collect();
        let (jobs, cards): (Vec<_>, Vec<_>) = (jobs.collect(), cards.collect());
        (jobs, cards, stations, self.wrong())
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, to: &mut H) {
        self.told().hash(to);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.told() == other.told()
    }
}

/// A key that remembers what it signed: the same message is signed once.
fn remembering(number: u8) -> Key {
    let Key { public, sign } = key(number);
    let known: Mutex<HashMap<Vec<u8>, [u8; 64]>> = Mutex::default();
    let sign =
        move |message: &[u8]| *known.lock().unwrap().entry(message.to_vec()).or_insert_with(|| sign(message));
    Key { public, sign: Arc::new(sign) }
}

/// A number for a step, so that the same step of the same job makes the same messages whatever went before.
fn numbered(state: &State, step: Step) -> u64 {
    let (kind, job, detail) = match step {
        Step::Create(job) => (0, job, 0),
        Step::Seal(job, by) => (1, job, by.len()),
        Step::Withdraw(job) => (2, job, 0),
        Step::Open(job, pair) => (3, job, pair),
        Step::Resume(job, pair) => (4, job, pair),
        Step::Suspend(job) => (5, job, 0),
        Step::Derive(job, card, again) => (6, job, usize::from(card) * 2 + usize::from(again)),
        Step::Give(job, card, good) => (7, job, usize::from(card) * 2 + usize::from(good)),
        Step::Count(job, right, pair) => (8, job, pair * 2 + usize::from(right)),
        Step::Close(job, witness) => (9, job, witness),
        Step::Purge(_) | Step::Again(_) | Step::Restart => (10, 0, 0),
    };
    let known = state.floor.book.jobs.get(&name(JOBS[job]));
    let times = known.map_or(0, |(job, _)| job.sessions.len() * 8 + job.counts.len());
    u64::try_from(((kind * 2 + job) * 16 + detail) * 64 + times).unwrap() * 8
}

/// What the log knows, and the rest returned; or one good card more.
fn counted(floor: &Floor, job: usize, right: bool) -> Counts {
    let tally = floor.tally(JOBS[job]);
    let left = ISSUED.saturating_sub(tally.good + tally.rejected + tally.sample);
    counts([tally.good + u32::from(!right), tally.rejected, tally.sample, left, 0])
}

fn again(floor: &mut Floor, kind: LeafKind) -> Option<Told> {
    let (leaf, by_quorum) = floor.leaves.iter().rev().find(|(leaf, _)| leaf.kind == kind)?.clone();
    // Releasing what is in hand once more is allowed, and makes no other state.
    Some(floor.put_as(kind, leaf.payload.clone(), by_quorum))
}

/// The newest generation of a card's keys; 0 of a blank.
fn newest(floor: &Floor, number: u8) -> u32 {
    floor.book.cards.get(&card(number)).map_or(0, |card| card.generation)
}

fn derive(floor: &mut Floor, job: usize, number: u8, by_quorum: bool) -> Told {
    let generation = if by_quorum { newest(floor, number) + 1 } else { 1 };
    let request = floor.asking(JOBS[job], generation, &[number]);
    floor.derive_as(STATION, &request, by_quorum).map(drop)
}

/// Whether the model still lets this happen: it ends sessions and counts at a number, not at their limits.
fn is_left(state: &State, step: Step) -> bool {
    let of = |job: usize| state.floor.book.jobs.get(&name(JOBS[job])).map(|(job, _)| job);
    match step {
        // Whoever is to review has reviewed: before, they are operators like the others.
        Step::Open(_, 3) if !state.floor.book.jobs.values().any(|(job, _)| !job.counts.is_empty()) => false,
        // The second job asks for the station once the first one has had it.
        Step::Open(1, _) if of(0).is_none_or(|job| job.sessions.is_empty()) => false,
        // The second card is asked for after the first: they are alike.
        Step::Derive(0, 1, _) | Step::Give(0, 1, _) => state.floor.book.cards.contains_key(&card(0)),
        // A second generation, and no third.
        Step::Derive(_, number, true) => newest(&state.floor, number) == 1,
        // What a start finds is the same in every other state of the station.
        Step::Restart => {
            let stopped = |job| matches!(state.state(job), Some(JobState::Suspended | JobState::Closed));
            stopped(0) || stopped(1)
        }
        Step::Open(number, _) | Step::Resume(number, _) => {
            of(number).is_some_and(|job| job.sessions.len() < SESSIONS[number])
        }
        Step::Count(number, ..) => of(number).is_some_and(|job| job.counts.len() < COUNTS[number]),
        _ => true,
    }
}

fn taken(state: &mut State, step: Step) -> Option<Told> {
    let floor = &mut state.floor;
    Some(match step {
        Step::Create(job) => floor.create("ann", JOBS[job], &head("stored", ISSUED)),
        Step::Seal(job, by) => floor.seal(by, JOBS[job]),
        Step::Withdraw(job) => floor.withdraw("ben", JOBS[job]),
        Step::Open(job, pair) => floor.open(STATION, JOBS[job], &PAIRS[pair]),
        Step::Resume(job, pair) => floor.resume(STATION, JOBS[job], &PAIRS[pair]),
        Step::Suspend(job) => floor.suspend("cat", JOBS[job]),
        Step::Derive(job, card, by_quorum) => derive(floor, job, card, by_quorum),
        Step::Give(job, card, good) => {
            let outcome = if good { Outcome::Good } else { reject() };
            floor.give(STATION, JOBS[job], vec![result(card, outcome, 1)])
        }
        Step::Count(job, right, pair) => {
            let told = counted(floor, job, right);
            floor.count(STATION, JOBS[job], &COUNTERS[pair], told)
        }
        Step::Close(job, witness) => floor.close(STATION, JOBS[job], &[WITNESSES[witness]]),
        Step::Purge(job) => floor.purge(JOBS[job]),
        Step::Again(kind) => again(floor, kind)?,
        Step::Restart => {
            let replayed = floor.replayed();
            if replayed != floor.book {
                state.wrong = Some("a replay of the log makes another book");
            }
            floor.book = replayed;
            return None;
        }
    })
}

struct World;

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut floor = Floor::new(&Arc::new(Site::bureau(remembering)));
        // The callers' own signatures are the gate's affair; those of the people in a request are verified.
        floor.trust = Trust::Caller;
        let mut state = State { floor, onlooker: Onlooker::new(true), wrong: None };
        // The second job is ready: how it is put together is the first one's to show.
        for step in [Step::Create(1), Step::Seal(1, "ben")] {
            state.floor.numbers = numbered(&state, step);
            taken(&mut state, step).unwrap().unwrap();
            state.see();
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        actions.push(Step::Restart);
        actions.extend(
            [LeafKind::JobOpened, LeafKind::CardKeysDerived, LeafKind::JobChanged, LeafKind::CardsChanged]
                .map(Step::Again),
        );
        let first = [Step::Create(0), Step::Seal(0, "ben"), Step::Seal(0, "ann"), Step::Withdraw(0)];
        actions.extend(first.into_iter().chain([Step::Suspend(0)]));
        for job in 0..JOBS.len() {
            actions.push(Step::Purge(job));
            actions.extend((0..PAIRS.len()).map(|pair| Step::Open(job, pair)));
            actions.extend([0, 1].map(|pair| Step::Resume(job, pair)));
            for card in CARDS {
                let (derive, give) = (Step::Derive, Step::Give);
                actions.extend([derive(job, card, false), derive(job, card, true)]);
                actions.extend([give(job, card, true), give(job, card, false)]);
            }
            for right in [true, false] {
                actions.extend((0..COUNTERS.len()).map(|pair| Step::Count(job, right, pair)));
            }
            actions.extend((0..WITNESSES.len()).map(|witness| Step::Close(job, witness)));
        }
        actions.retain(|step| is_left(state, *step));
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut next = last.clone();
        next.floor.numbers = numbered(last, step);
        match taken(&mut next, step) {
            // The service has begun again: no other state, if it is well.
            None if step == Step::Restart => Some(next),
            Some(Ok(())) => {
                next.see();
                Some(next)
            }
            // That a refusal changes nothing is asserted where leaves are put.
            None | Some(Err(_)) => None,
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no job closes that does not balance", |_, state: &State| {
                state.wrong() != Some("a job is closed that does not balance")
            }),
            Property::always("no card is issued twice in one generation", |_, state: &State| {
                state.wrong() != Some("a card is issued twice in one generation")
            }),
            Property::always("no station holds the data of two jobs", |_, state: &State| {
                let at_station = |job| state.state(job).is_some_and(JobState::is_at_station);
                let held = [0, 1].into_iter().filter(|job| {
                    let opened = || !state.floor.job(JOBS[*job]).sessions.is_empty();
                    at_station(*job) && opened()
                });
                held.count() < 2
            }),
            Property::always(
                "nobody does alone what takes two, and nothing else is wrong",
                |_, state: &State| state.wrong().is_none(),
            ),
            Property::sometimes("a job is purged and the second one is opened", |_, state: &State| {
                state.state(0) == Some(JobState::Purged) && state.state(1) == Some(JobState::Open)
            }),
            Property::sometimes("both jobs are purged, each with a card", |_, state: &State| {
                [0, 1].into_iter().all(|job| {
                    state.state(job) == Some(JobState::Purged) && state.floor.tally(JOBS[job]).made > 0
                })
            }),
            Property::sometimes("a card is issued again and its job is purged", |_, state: &State| {
                let again = state.floor.book.cards.values().any(|card| card.generation == 2);
                again && state.state(0) == Some(JobState::Purged)
            }),
            Property::sometimes("a job is stopped, resumed and purged", |_, state: &State| {
                let stopped = |job: usize| !state.floor.job(JOBS[job]).suspensions.is_empty();
                state.state(0) == Some(JobState::Purged) && stopped(0)
            }),
        ]
    }
}

#[test]
fn no_order_of_steps_closes_a_job_unbalanced_or_lets_one_person_do_what_takes_two() {
    assert!(explore("two jobs of one station", World) > 1_000);
}
