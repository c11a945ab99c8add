//! Whose keys are released: as many as may be in hand, never more than there are, each once in a generation; and what of
//! that tells nobody how many there are.

use crate::{
    kit::{COUNTERS, JOB, STATION, TWO, conflict, floor, make, opened, uncounted},
    people::{
        Floor,
        floor::{Told, card, counts, head, reject, result},
        name,
    },
};
use keysvc_protocol::{
    bytes::{Digest, Idem},
    card::CardState,
    cbor,
    job::{Job, JobHead, JobState, Judge, Outcome, Tally, Trust, still_open},
    leaf::LeafKind,
    refusal::{Conflict, Invalid, Refusal, RefusalReply, RequestId, Thing, Uncounted},
};
use proptest::prelude::*;

#[test]
fn cards_get_keys_as_they_are_encountered_up_to_what_there_is() {
    let mut floor = opened(11);
    make(&mut floor, &[1, 2, 3, 4]);
    make(&mut floor, &[5, 6, 7, 8]);
    // Three are left for a batch of eight.
    let batch: Vec<u8> = (9..17).collect();
    assert_eq!(floor.derive(STATION, JOB, &batch), Ok(3));
    assert_eq!(floor.tally(JOB), Tally { made: 11, good: 8, ..Tally::default() });
    assert!(floor.book.cards.contains_key(&card(11)) && !floor.book.cards.contains_key(&card(12)));
    assert_eq!(floor.derive(STATION, JOB, &[12]), Err(conflict(Conflict::JobComplete)));
    // What is in hand is still released once more, and in a batch the cards before the first that is too many.
    assert_eq!(floor.derive(STATION, JOB, &[9, 10, 12, 11]), Ok(2));
    assert_eq!(floor.tally(JOB).made, 11);
    assert_eq!(floor.replayed(), floor.book);
}

#[test]
fn cards_carried_over_are_cards_there_are() {
    let mut floor = floor();
    floor.create("data-1", JOB, &JobHead { issued: 1, carried_over: 1, ..head("stored", 1) }).unwrap();
    floor.seal("data-2", JOB).unwrap();
    floor.open(STATION, JOB, &TWO).unwrap();
    assert_eq!(floor.derive(STATION, JOB, &[1, 2, 3]), Ok(2));
}

#[test]
fn what_is_too_much_at_a_time_is_decided_before_a_batch_is_cut() {
    // One card is left, and eight are without their result: the ninth is refused as it would be with a thousand left.
    for issued in [9, 1_000] {
        let mut floor = opened(issued);
        floor.derive(STATION, JOB, &[1, 2, 3, 4, 5, 6, 7]).unwrap();
        assert_eq!(floor.derive(STATION, JOB, &[8, 9]), Err(Refusal::ResultPending), "{issued}");
        assert_eq!(floor.derive(STATION, JOB, &[8]), Ok(1));
        assert_eq!(floor.derive(STATION, JOB, &[9]), Err(Refusal::ResultPending), "{issued}");
        // The same cards again are no others.
        assert_eq!(floor.derive(STATION, JOB, &[1, 2, 3, 4, 5, 6, 7, 8]), Ok(8));
        floor.give(STATION, JOB, vec![result(1, Outcome::Good, 1)]).unwrap();
        assert_eq!(floor.derive(STATION, JOB, &[9]), Ok(1));
    }
    // Nor when nothing is left at all.
    let mut floor = opened(8);
    floor.derive(STATION, JOB, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    assert_eq!(floor.derive(STATION, JOB, &[9]), Err(Refusal::ResultPending));
}

#[test]
fn a_profile_says_how_many_cards_may_be_in_hand() {
    let mut floor = floor();
    floor.create("data-1", JOB, &head("pass", 5)).unwrap();
    floor.seal("data-2", JOB).unwrap();
    floor.open(STATION, JOB, &TWO).unwrap();
    assert_eq!(floor.derive(STATION, JOB, &[1, 2, 3]), Err(Refusal::ResultPending));
    assert_eq!(floor.derive(STATION, JOB, &[1, 2]), Ok(2));
    floor.give(STATION, JOB, vec![result(1, Outcome::Sample, 2), result(2, reject(), 0)]).unwrap();
    assert_eq!(floor.derive(STATION, JOB, &[3, 4]), Ok(2));
    assert_eq!(floor.tally(JOB), Tally { made: 4, sample: 1, rejected: 1, good: 0 });
}

#[test]
fn a_card_gets_its_keys_once_in_a_generation() {
    let mut floor = opened(3);
    floor.derive(STATION, JOB, &[1]).unwrap();
    assert_eq!(floor.derive(STATION, JOB, &[1]), Ok(1));
    floor.give(STATION, JOB, vec![result(1, Outcome::Good, 1)]).unwrap();
    let state = |state| Err(conflict(Conflict::CardState { state }));
    assert_eq!(floor.derive(STATION, JOB, &[1]), state(CardState::Ready));
    floor.derive(STATION, JOB, &[2, 3]).unwrap();
    floor.give(STATION, JOB, vec![result(2, reject(), 0), result(3, Outcome::Sample, 1)]).unwrap();
    assert_eq!(floor.derive(STATION, JOB, &[2]), state(CardState::AwaitingDestruction));
    assert_eq!(floor.derive(STATION, JOB, &[3]), state(CardState::Retired));
    assert_eq!(floor.tally(JOB).made, 3);
}

#[test]
fn a_request_has_cards_and_none_twice() {
    let mut floor = opened(3);
    let items = Err(Refusal::Invalid { reason: Invalid::Items });
    assert_eq!(floor.derive(STATION, JOB, &[]), items);
    assert_eq!(floor.derive(STATION, JOB, &[1, 2, 1]), items);
    assert_eq!(floor.derive(STATION, "nfc-9", &[1]), Err(Refusal::NotFound { what: Thing::Job }));
}

#[test]
fn another_generation_follows_the_newest_and_takes_two_people() {
    let mut floor = opened(3);
    let generation = |newest| Err(conflict(Conflict::Generation { newest }));
    for (wanted, by_quorum) in [(0, true), (2, true), (2, false), (u32::MAX, true)] {
        let request = floor.asking(JOB, wanted, &[1]);
        assert_eq!(floor.derive_as(STATION, &request, by_quorum), generation(0), "{wanted}");
    }
    floor.derive(STATION, JOB, &[1]).unwrap();
    let second = |floor: &mut Floor, by_quorum| {
        let request = floor.asking(JOB, 2, &[1]);
        floor.derive_as(STATION, &request, by_quorum)
    };
    // What is in hand is finished first.
    assert_eq!(second(&mut floor, true), Err(Refusal::ResultPending));
    floor.give(STATION, JOB, vec![result(1, Outcome::Good, 1)]).unwrap();
    assert_eq!(second(&mut floor, false), Err(uncounted(Uncounted::TooFew)));
    let third = floor.asking(JOB, 3, &[1]);
    assert_eq!(floor.derive_as(STATION, &third, true), generation(1));
    assert_eq!(second(&mut floor, true), Ok(1));
    let record = &floor.book.cards[&card(1)];
    assert_eq!((record.generation, record.state), (2, CardState::InProduction));
    // The first is gone.
    assert_eq!(floor.derive(STATION, JOB, &[1]), generation(2));
    // Its own again is the same issuance, and takes nobody.
    assert_eq!(second(&mut floor, false), Ok(1));
}

#[test]
fn a_card_begun_again_is_counted_as_one_card() {
    let mut floor = opened(2);
    make(&mut floor, &[1, 2]);
    let request = floor.asking(JOB, 2, &[1]);
    assert_eq!(floor.derive_as(STATION, &request, true), Ok(1));
    assert_eq!(floor.tally(JOB), Tally { made: 2, good: 1, ..Tally::default() });
    floor.give(STATION, JOB, vec![result(1, reject(), 0)]).unwrap();
    assert_eq!(floor.tally(JOB), Tally { made: 2, good: 1, rejected: 1, sample: 0 });
    floor.count(STATION, JOB, &COUNTERS, counts([1, 1, 0, 0, 0])).unwrap();
    assert_eq!(floor.job(JOB).state, JobState::Counted);
    assert_eq!(floor.replayed(), floor.book);
}

/// A second job at the other station, opened.
fn second(floor: &mut Floor) {
    let head = JobHead { station: name("station-2"), ..head("stored", 3) };
    floor.create("data-1", "nfc-2", &head).unwrap();
    floor.seal("data-2", "nfc-2").unwrap();
    floor.open("station-2", "nfc-2", &TWO).unwrap();
}

#[test]
fn a_card_is_its_jobs_until_that_is_closed() {
    let mut floor = opened(3);
    second(&mut floor);
    floor.derive(STATION, JOB, &[1, 2]).unwrap();
    let first = floor.derive("station-2", "nfc-2", &[1]);
    assert_eq!(first, Err(conflict(Conflict::Generation { newest: 1 })));
    let other: Told<u32> = Err(conflict(Conflict::OtherJob));
    let request = floor.asking("nfc-2", 2, &[1]);
    assert_eq!(floor.derive_as("station-2", &request, true), other);
    let good = vec![result(1, Outcome::Good, 1), result(2, Outcome::Good, 1)];
    floor.give(STATION, JOB, good.clone()).unwrap();
    assert_eq!(floor.derive_as("station-2", &request, true), other);
    floor.count(STATION, JOB, &COUNTERS, counts([2, 0, 0, 1, 0])).unwrap();
    assert_eq!(floor.derive_as("station-2", &request, true), other);
    floor.close(STATION, JOB, &["monitor-1"]).unwrap();
    assert_eq!(floor.derive_as("station-2", &request, false), Err(uncounted(Uncounted::TooFew)));
    assert_eq!(floor.derive_as("station-2", &request, true), Ok(1));
    let record = &floor.book.cards[&card(1)];
    assert_eq!((record.generation, &record.job), (2, &name("nfc-2")));
    assert_eq!((floor.tally(JOB).good, floor.tally("nfc-2").made), (2, 1));
    // The first job's station has no say in it any more.
    floor.give("station-2", "nfc-2", vec![result(1, Outcome::Good, 1)]).unwrap();
    let answer = floor.give("station-2", "nfc-2", vec![result(2, Outcome::Good, 1)]);
    assert_eq!(answer, Err(conflict(Conflict::OtherJob)));
}

#[test]
fn a_leaf_says_exactly_which_cards_got_keys() {
    let mut floor = opened(3);
    let request = floor.asking(JOB, 1, &[1, 2, 3, 4]);
    let limit = Err(Refusal::LimitExceeded { limit: 3 });
    for cards in [0, 1, 2, 4] {
        let leaf = floor.derived(STATION, &request, cards);
        assert_eq!(floor.put(LeafKind::CardKeysDerived, &leaf), limit, "{cards}");
    }
    let good = floor.derived(STATION, &request, 3);
    let mut counted = good.clone();
    counted.count = 4;
    assert_eq!(floor.put(LeafKind::CardKeysDerived, &counted), limit);
    let mut rooted = good.clone();
    rooted.root = Digest::new([1; 32]);
    let encoding = Err(Refusal::Invalid { reason: Invalid::Encoding });
    assert_eq!(floor.put(LeafKind::CardKeysDerived, &rooted), encoding);
    let mut profiled = good.clone();
    profiled.profile = name("pass");
    let profile = Err(Refusal::NotFound { what: Thing::Profile });
    assert_eq!(floor.put(LeafKind::CardKeysDerived, &profiled), profile);
    floor.put(LeafKind::CardKeysDerived, &good).unwrap();
}

#[test]
fn a_repetition_is_answered_while_its_session_runs() {
    let mut floor = opened(3);
    let request = floor.asking(JOB, 1, &[1]);
    floor.derive_as(STATION, &request, false).unwrap();
    let answer = |floor: &Floor| {
        let (control, at, trust) = (&floor.control, floor.at(), Trust::Caller);
        let judge = Judge { control, at, trust, by_quorum: false };
        still_open(&mut floor.book.clone(), &judge, &name(STATION), &request).unwrap()
    };
    assert_eq!(answer(&floor), Ok(()));
    floor.suspend("operator-1", JOB).unwrap();
    assert_eq!(answer(&floor), Err(conflict(Conflict::JobState { state: JobState::Suspended })));
    floor.resume(STATION, JOB, &TWO).unwrap();
    assert_eq!(answer(&floor), Err(Refusal::ExchangeUnknown));
}

/// What a station does in a job, as it would in any.
#[derive(Debug, Clone)]
enum Work {
    Derive(Vec<u8>),
    Give(u8, u8),
    Renew,
    Stop,
}

fn work() -> impl Strategy<Value = Work> {
    prop_oneof![
        6 => proptest::collection::vec(0_u8..24, 1..6).prop_map(Work::Derive),
        6 => (0_u8..24, 0_u8..3).prop_map(|(card, outcome)| Work::Give(card, outcome)),
        1 => Just(Work::Renew),
        1 => Just(Work::Stop),
    ]
}

/// All that the station can see of an answer: how many cards got keys, or the refusal byte for byte.
fn seen(floor: &mut Floor, work: &Work) -> Vec<u8> {
    let told: Told<u32> = match work {
        Work::Derive(cards) => floor.derive(STATION, JOB, cards),
        Work::Give(card, outcome) => {
            let outcome = [Outcome::Good, reject(), Outcome::Sample][usize::from(*outcome)].clone();
            floor.give(STATION, JOB, vec![result(*card, outcome, 1)]).map(|()| 0)
        }
        Work::Renew => floor.open(STATION, JOB, &TWO).map(|()| 0),
        Work::Stop => {
            let stopped = floor.suspend("operator-1", JOB);
            stopped.and_then(|()| floor.resume(STATION, JOB, &TWO)).map(|()| 0)
        }
    };
    let state = floor.job(JOB).state;
    match told {
        Ok(cards) => cbor::encode(&(cards, state)),
        Err(refusal) => cbor::encode(&RefusalReply::new(refusal, RequestId(Idem::new([0; 16])))),
    }
}

/// Whether the next request would run past what a job has.
fn is_used_up(floor: &Floor, work: &Work) -> bool {
    let Work::Derive(cards) = work else { return false };
    let new = cards.iter().filter(|number| !floor.book.cards.contains_key(&card(**number))).count();
    let (job, tally): &(Job, Tally) = &floor.book.jobs[&name(JOB)];
    usize::try_from(tally.made).unwrap() + new > usize::try_from(job.head.cards()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn two_jobs_that_differ_in_size_look_the_same_until_the_smaller_is_used_up(
        days in proptest::collection::vec(work(), 1..24),
        issued in 1_u32..12,
    ) {
        let (mut small, mut large) = (opened(issued), opened(1_000));
        for work in &days {
            if is_used_up(&small, work) {
                break;
            }
            prop_assert_eq!(seen(&mut small, work), seen(&mut large, work), "{:?}", work);
        }
    }
}

#[test]
fn a_repetition_is_not_answered_for_a_card_that_has_its_result() {
    let mut floor = opened(3);
    let request = floor.asking(JOB, 1, &[1]);
    floor.derive_as(STATION, &request, false).unwrap();
    let still = |floor: &Floor| {
        let judge = Judge { control: &floor.control, at: floor.at(), trust: Trust::Nobody, by_quorum: false };
        still_open(&mut floor.book.clone(), &judge, &name(STATION), &request).unwrap()
    };
    assert_eq!(still(&floor), Ok(()));
    floor.give(STATION, JOB, vec![result(1, Outcome::Good, 1)]).unwrap();
    assert_eq!(still(&floor), Err(conflict(Conflict::CardState { state: CardState::Ready })));
}
