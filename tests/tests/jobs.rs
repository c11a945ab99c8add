//! Personalization jobs through the real path: what the people of a floor do, what each is refused with its reason and its
//! leaf, and what is left of a job when it is over.
//!
//! One part for each step of a job's life, one service for each test. What one person alone would try is in the book of
//! attacks; here people are honest or mistaken.

#[path = "jobs/counted.rs"]
mod counted;
#[path = "jobs/met.rs"]
mod met;
#[path = "jobs/opened.rs"]
mod opened;
#[path = "jobs/prepared.rs"]
mod prepared;
#[path = "jobs/purged.rs"]
mod purged;
#[path = "jobs/stopped.rs"]
mod stopped;
#[path = "jobs/worked.rs"]
mod worked;

use keysvc_protocol::{
    bytes::Blob,
    freeze::Scope,
    job::{AGREEMENT_LEN_MAX, Counts, ItemData, JobAct, JobItem, JobState},
    refusal::{Conflict, Refusal, Uncounted},
    reply::{JobOpenReply, JobReply, JobView},
    request::{Agreements, OpenJob, Operation, ReadJob},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{alone, done, freeze, idem, lift, name},
    cards::holder,
    ground::Ground,
    jobs::{Bench, Floor, Shift},
    raw::{self, Caller},
};

const CARD: &str = env!("CARGO_BIN_EXE_card");

const fn conflict(reason: Conflict) -> Refusal {
    Refusal::StateConflict { reason }
}

const fn is(state: JobState) -> Refusal {
    conflict(Conflict::JobState { state })
}

const fn uncounted(reason: Uncounted) -> Refusal {
    Refusal::ApprovalInvalid { reason }
}

/// The UID of a card of this number.
fn uid(number: u32) -> String {
    format!("04782e21{number:06x}")
}

/// The UIDs of so many cards.
fn uids(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(uid).collect()
}

fn texts(cards: &[String]) -> Vec<&str> {
    cards.iter().map(String::as_str).collect()
}

/// An item with data of its own.
fn item(number: u32) -> JobItem {
    let data = format!("holder of card {number}").into_bytes();
    JobItem { card: uid(number).parse().unwrap(), data: ItemData(data.try_into().unwrap()) }
}

/// A job as somebody sees it.
fn get(caller: &mut Caller, job: &str) -> Result<JobView, Refusal> {
    let request = ReadJob { schema: Schema, job: name(job) };
    caller.ask::<JobReply>(Operation::JobGet, &request).map(|reply| reply.job)
}

fn good(good: u32, returned: u32) -> Counts {
    Counts { good, returned, ..Counts::default() }
}

/// A person's agreement, with the key that the person keeps in a file.
fn signs(ground: &Ground, floor: &Floor, person: &str, job: &str, act: &JobAct) -> Blob<AGREEMENT_LEN_MAX> {
    floor.agreement((person, &raw::key(ground.site(), person)), &name(job), act)
}

fn both(one: Blob<AGREEMENT_LEN_MAX>, other: Blob<AGREEMENT_LEN_MAX>) -> Agreements {
    vec![one, other].try_into().unwrap()
}

/// Opens a job by these agreements.
fn open_by(station: &mut Caller, job: &str, agreements: Agreements) -> Result<JobOpenReply, Refusal> {
    let request = OpenJob { schema: Schema, idem: idem(), job: name(job), agreements };
    station.ask(Operation::JobOpen, &request)
}

fn opening_at(station: &str) -> JobAct {
    JobAct::Open { station: name(station) }
}

/// Stops and lets go on, by officers with their own cards.
struct Officers([Caller; 2]);

impl Officers {
    fn of(ground: &Ground) -> Self {
        Self(["officer-1", "officer-2"].map(|officer| holder(CARD, ground.site(), officer)))
    }

    fn freeze(&mut self, scope: &Scope) {
        alone(&mut self.0[0], Operation::FreezeSet, &freeze(scope)).unwrap();
    }

    fn lift(&mut self, scope: &Scope) {
        let [one, other] = &mut self.0;
        done(&mut [one, other], Operation::FreezeLift, &lift(scope));
    }
}

fn of_job(job: &str) -> Scope {
    Scope::Job { name: name(job) }
}

/// What this persona was refused, in the log, in its order; all of it and nothing else.
#[track_caller]
fn assert_refused(ground: &Ground, persona: &str, expected: &[(Operation, Refusal)]) {
    let refused: Vec<_> =
        raw::refused(ground, persona).into_iter().map(|leaf| (leaf.operation, leaf.refusal)).collect();
    assert_eq!(refused, expected, "{persona}");
}

/// A service with a station and everybody around it.
fn shop() -> (Ground, Bench) {
    let ground = Ground::new();
    let bench = Bench::new(CARD, &ground, "station-1");
    (ground, bench)
}

fn name_of(shift: &Shift) -> &str {
    shift.job.as_str()
}
