//! Random days of two bureaus' jobs, with good leaves and forged ones, against what an onlooker says of the log.

use crate::{
    kit::floor,
    people::{
        Floor, HOUR_MS, Onlooker,
        floor::{Told, counts, head, reject, result},
        name,
    },
};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    job::{Counts, JobHead, JobState, Outcome},
    leaf::{CardKeysDerivedLeaf, CardsChangedLeaf, JobChangedLeaf, JobOpenedLeaf, LeafKind, Statement},
    receipt::LEAF_PAYLOAD_LEN_MAX,
};
use proptest::prelude::*;

/// Everybody can do everything: what keeps them apart is the history alone.
const PEOPLE: [&str; 6] = ["ann", "ben", "cat", "dan", "operator-1", "reviewer-1"];
const STATIONS: [&str; 2] = ["station-1", "station-2"];
/// The first two for one station.
const JOBS: [&str; 3] = ["nfc-1", "nfc-2", "nfc-3"];

#[derive(Debug, Clone)]
enum Step {
    /// What would bring a job on, done right.
    Right(usize),
    Create(usize, usize),
    Seal(usize, usize),
    Withdraw(usize, usize),
    Open(usize, usize, [usize; 2]),
    Resume(usize, usize, [usize; 2]),
    Suspend(usize, usize),
    /// Job, generation, cards, whether officers agreed, and how many cards the leaf says got keys where that is forged.
    Derive(usize, u32, Vec<u8>, bool, Option<u32>),
    Give(usize, u8, u8),
    /// Job, people, and what is added to the good ones.
    Count(usize, [usize; 2], u32),
    Report(usize, [usize; 2]),
    Close(usize, usize),
    Purge(usize),
    /// A leaf that was ever put, again; the second says whether as it is, in another name, or with a bit turned over.
    Again(usize, u8),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (job, who) = (0_usize..3, 0_usize..6);
    let two = [who.clone(), who.clone()];
    let cards = proptest::collection::vec(0_u8..5, 1..4);
    let forged = proptest::option::weighted(0.2, 0_u32..4);
    prop_oneof![
        30 => job.clone().prop_map(Step::Right),
        2 => (job.clone(), who.clone()).prop_map(|(job, who)| Step::Create(job, who)),
        3 => (job.clone(), who.clone()).prop_map(|(job, who)| Step::Seal(job, who)),
        1 => (job.clone(), who.clone()).prop_map(|(job, who)| Step::Withdraw(job, who)),
        4 => (0_usize..2, job.clone(), two.clone()).prop_map(|(at, job, two)| Step::Open(at, job, two)),
        3 => (0_usize..2, job.clone(), two.clone()).prop_map(|(at, job, two)| Step::Resume(at, job, two)),
        3 => (job.clone(), who.clone()).prop_map(|(job, who)| Step::Suspend(job, who)),
        12 => (job.clone(), 1_u32..4, cards, any::<bool>(), forged)
            .prop_map(|(job, generation, cards, people, forged)| {
                Step::Derive(job, generation, cards, people, forged)
            }),
        10 => (job.clone(), 0_u8..5, 0_u8..3).prop_map(|(job, card, what)| Step::Give(job, card, what)),
        6 => (job.clone(), two.clone(), 0_u32..2).prop_map(|(job, two, more)| Step::Count(job, two, more)),
        2 => (job.clone(), two).prop_map(|(job, two)| Step::Report(job, two)),
        5 => (job.clone(), who).prop_map(|(job, who)| Step::Close(job, who)),
        3 => job.prop_map(Step::Purge),
        8 => (any::<usize>(), 0_u8..3).prop_map(|(which, how)| Step::Again(which, how)),
        2 => (1_u64..200).prop_map(|minutes| Step::Pass(minutes * HOUR_MS / 60)),
    ]
}

fn head_of(job: usize) -> JobHead {
    JobHead { station: name(STATIONS[job / 2]), ..head(if job == 1 { "pass" } else { "stored" }, 3) }
}

fn station_of(job: usize) -> &'static str {
    STATIONS[job / 2]
}

fn slots(job: usize) -> usize {
    if job == 1 { 2 } else { 1 }
}

/// What the log knows, and the rest returned.
fn balanced(floor: &Floor, job: usize) -> Counts {
    let tally = floor.tally(JOBS[job]);
    let returned = 3_u32.saturating_sub(tally.good + tally.rejected + tally.sample);
    counts([tally.good, tally.rejected, tally.sample, returned, 0])
}

/// The next step of a job, by people who are left for it.
fn right(floor: &mut Floor, job: usize) -> Told {
    let (at, text) = (station_of(job), JOBS[job]);
    let Some((known, tally)) = floor.book.jobs.get(&name(text)).cloned() else {
        return floor.create("ann", text, &head_of(job));
    };
    let operators = known.session().map(|session| session.operators.to_vec()).unwrap_or_default();
    match known.state {
        JobState::Draft => floor.seal("ben", text),
        JobState::Sealed => floor.open(at, text, &["operator-1", "cat"]),
        JobState::Suspended => floor.resume(at, text, &["cat", "operator-1"]),
        JobState::Open if tally.pending() > 0 => {
            let cards = floor.book.cards.iter();
            let waits = cards.filter(|(_, card)| card.job == known.name && card.outcome.is_none());
            let numbers: Vec<u8> = waits.map(|(card, _)| card.as_bytes()[1]).collect();
            let good = numbers.iter().map(|number| result(*number, Outcome::Good, slots(job)));
            floor.give(at, text, good.collect())
        }
        JobState::Open if tally.made == 0 => {
            let base = u8::try_from(job).unwrap() * 2;
            floor.derive(at, text, &[base]).map(drop)
        }
        JobState::Open => {
            let operator = operators.first().map_or("ann", |operator| operator.as_str());
            let told = balanced(floor, job);
            floor.count(at, text, &[operator, "reviewer-1"], told)
        }
        JobState::Counted => floor.close(at, text, &["monitor-1"]),
        JobState::Closed => floor.purge(text),
        JobState::Purged => Ok(()),
    }
}

/// The leaf in another name, where its kind has one.
fn renamed(kind: LeafKind, payload: &[u8]) -> Option<Vec<u8>> {
    let other = |by: &keysvc_protocol::name::Name| {
        name(match by.as_str() {
            "station-1" => "station-2",
            "station-2" => "station-1",
            "ann" => "ben",
            _ => "ann",
        })
    };
    macro_rules! renamed {
        ($type:ty, $field:ident) => {{
            let mut leaf: $type = cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).ok()?;
            leaf.$field = other(&leaf.$field);
            Some(cbor::encode(&leaf))
        }};
    }
    match kind {
        LeafKind::JobChanged => renamed!(JobChangedLeaf, principal),
        LeafKind::JobOpened => renamed!(JobOpenedLeaf, station),
        LeafKind::CardKeysDerived => renamed!(CardKeysDerivedLeaf, station),
        LeafKind::CardsChanged => renamed!(CardsChangedLeaf, principal),
        _ => None,
    }
}

/// The leaf with one bit of its signed request turned over.
fn spoiled(kind: LeafKind, payload: &[u8], place: usize) -> Option<Vec<u8>> {
    let turned = |statement: &Statement| {
        let mut bytes = statement.0.as_bytes().to_vec();
        let place = place % bytes.len();
        bytes[place] ^= 1;
        Statement(Blob::try_from(bytes).unwrap())
    };
    match kind {
        LeafKind::JobChanged => {
            let mut leaf: JobChangedLeaf = cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).ok()?;
            leaf.statement = turned(&leaf.statement);
            Some(cbor::encode(&leaf))
        }
        LeafKind::JobOpened => {
            let mut leaf: JobOpenedLeaf = cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).ok()?;
            leaf.statement = turned(&leaf.statement);
            Some(cbor::encode(&leaf))
        }
        _ => None,
    }
}

fn again(floor: &mut Floor, which: usize, how: u8) -> Told {
    if floor.leaves.is_empty() {
        return Ok(());
    }
    let (leaf, by_quorum) = floor.leaves[which % floor.leaves.len()].clone();
    let payload = match how {
        0 => Some(leaf.payload.clone()),
        1 => renamed(leaf.kind, &leaf.payload),
        _ => spoiled(leaf.kind, &leaf.payload, which / 7),
    };
    payload.map_or(Ok(()), |payload| floor.put_as(leaf.kind, payload, by_quorum))
}

fn derive(
    floor: &mut Floor,
    job: usize,
    (generation, cards): (u32, &[u8]),
    people: bool,
    forged: Option<u32>,
) -> Told {
    let mut numbers = cards.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let request = floor.asking(JOBS[job], generation, &numbers);
    match forged {
        None => floor.derive_as(station_of(job), &request, people).map(drop),
        Some(said) => {
            let leaf = floor.derived(station_of(job), &request, said);
            floor.put_as(LeafKind::CardKeysDerived, cbor::encode(&leaf), people)
        }
    }
}

fn stepped(floor: &mut Floor, step: &Step) -> Told {
    let two = |people: &[usize; 2]| people.map(|who| PEOPLE[who]);
    match step {
        Step::Right(job) => right(floor, *job),
        Step::Create(job, who) => floor.create(PEOPLE[*who], JOBS[*job], &head_of(*job)),
        Step::Seal(job, who) => floor.seal(PEOPLE[*who], JOBS[*job]),
        Step::Withdraw(job, who) => floor.withdraw(PEOPLE[*who], JOBS[*job]),
        Step::Open(at, job, people) => floor.open(STATIONS[*at], JOBS[*job], &two(people)),
        Step::Resume(at, job, people) => floor.resume(STATIONS[*at], JOBS[*job], &two(people)),
        Step::Suspend(job, who) => floor.suspend(PEOPLE[*who], JOBS[*job]),
        Step::Derive(job, generation, cards, people, forged) => {
            derive(floor, *job, (*generation, cards), *people, *forged)
        }
        Step::Give(job, card, what) => {
            let outcome = [Outcome::Good, reject(), Outcome::Sample][usize::from(*what)].clone();
            floor.give(station_of(*job), JOBS[*job], vec![result(*card, outcome, slots(*job))])
        }
        Step::Count(job, people, more) => {
            if !floor.book.jobs.contains_key(&name(JOBS[*job])) {
                return Ok(());
            }
            let known = balanced(floor, *job);
            let told = Counts { good: known.good + more, ..known };
            floor.count(station_of(*job), JOBS[*job], &two(people), told)
        }
        Step::Report(job, people) => floor.report(station_of(*job), JOBS[*job], &two(people)),
        Step::Close(job, who) => floor.close(station_of(*job), JOBS[*job], &[PEOPLE[*who]]),
        Step::Purge(job) => floor.purge(JOBS[*job]),
        Step::Again(which, how) => again(floor, *which, *how),
        Step::Pass(ms) => {
            floor.pass(*ms);
            Ok(())
        }
    }
}

fn looked_at(floor: &Floor) -> Onlooker {
    let mut onlooker = Onlooker::new(false);
    for (leaf, by_quorum) in &floor.leaves {
        onlooker.see(&floor.site, leaf, *by_quorum);
    }
    onlooker
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_sequence_of_leaves_puts_into_a_log_what_an_onlooker_says_must_not_be(
        steps in proptest::collection::vec(step(), 1..90),
    ) {
        let mut floor = floor();
        for step in &steps {
            // That a refusal changes nothing is asserted where leaves are put.
            let _ = stepped(&mut floor, step);
        }
        prop_assert_eq!(looked_at(&floor).wrong, None);
        prop_assert_eq!(&floor.replayed(), &floor.book);
    }
}

#[test]
fn done_right_every_job_is_purged_one_after_the_other() {
    let mut floor = floor();
    for job in [0, 1, 2] {
        for _ in 0..8 {
            right(&mut floor, job).unwrap();
        }
    }
    let onlooker = looked_at(&floor);
    assert_eq!(onlooker.wrong, None);
    assert!(JOBS.iter().all(|job| onlooker.purged(&name(job))));
}
