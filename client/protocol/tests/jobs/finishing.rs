//! What became of cards, what was counted, and how a job ends.

use crate::{
    kit::{COUNTERS, JOB, STATION, TWO, conflict, floor, make, opened, uncounted},
    people::{
        Floor,
        floor::{Told, card, counts, head, item, receipt, reject, result, words},
        name,
    },
};
use keysvc_protocol::{
    card::CardState,
    job::{COUNTS_MAX, CardResult, JobAct, JobHead, JobState, Outcome, PurgeReceipt, Tally},
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
};

const READ_BACK: Refusal = Refusal::Invalid { reason: Invalid::ReadBack };
const ITEMS: Refusal = Refusal::Invalid { reason: Invalid::Items };

fn give(floor: &mut Floor, results: &[CardResult]) -> Told {
    floor.give(STATION, JOB, results.to_vec())
}

#[test]
fn a_result_puts_a_card_into_its_state_and_is_counted() {
    let mut floor = opened(3);
    floor.derive(STATION, JOB, &[1, 2, 3]).unwrap();
    assert_eq!(floor.tally(JOB).pending(), 3);
    let results = [result(1, Outcome::Good, 1), result(2, reject(), 0), result(3, Outcome::Sample, 1)];
    give(&mut floor, &results).unwrap();
    let states = [1, 2, 3].map(|number| floor.book.cards[&card(number)].state);
    assert_eq!(states, [CardState::Ready, CardState::AwaitingDestruction, CardState::Retired]);
    assert_eq!(floor.tally(JOB), Tally { made: 3, good: 1, rejected: 1, sample: 1 });
    assert_eq!(floor.book.cards[&card(2)].outcome, Some(reject()));
    assert_eq!(floor.replayed(), floor.book);
}

#[test]
fn a_result_said_again_changes_nothing_and_another_one_is_refused() {
    let mut floor = opened(3);
    floor.derive(STATION, JOB, &[1, 2]).unwrap();
    give(&mut floor, &[result(1, Outcome::Good, 1)]).unwrap();
    give(&mut floor, &[result(1, Outcome::Good, 1), result(2, reject(), 1)]).unwrap();
    let tally = floor.tally(JOB);
    assert_eq!(tally, Tally { made: 2, good: 1, rejected: 1, sample: 0 });
    let state = |state| Err(conflict(Conflict::CardState { state }));
    assert_eq!(give(&mut floor, &[result(1, reject(), 0)]), state(CardState::Ready));
    assert_eq!(give(&mut floor, &[result(1, Outcome::Sample, 1)]), state(CardState::Ready));
    assert_eq!(give(&mut floor, &[result(2, Outcome::Good, 1)]), state(CardState::AwaitingDestruction));
    let cause = Outcome::Reject { cause: words("bent") };
    assert_eq!(give(&mut floor, &[result(2, cause, 0)]), state(CardState::AwaitingDestruction));
    assert_eq!(floor.tally(JOB), tally);
}

#[test]
fn a_result_is_of_a_card_of_the_job_with_every_slot_read_back() {
    let mut floor = opened(3);
    floor.derive(STATION, JOB, &[1]).unwrap();
    assert_eq!(give(&mut floor, &[]), Err(ITEMS));
    let good = result(1, Outcome::Good, 1);
    assert_eq!(give(&mut floor, &[good.clone(), good.clone()]), Err(ITEMS));
    for (outcome, read) in
        [(Outcome::Good, 0), (Outcome::Good, 2), (Outcome::Sample, 0), (Outcome::Sample, 2), (reject(), 2)]
    {
        assert_eq!(give(&mut floor, &[result(1, outcome, read)]), Err(READ_BACK), "{read}");
    }
    let unknown = Err(Refusal::NotFound { what: Thing::Card });
    assert_eq!(give(&mut floor, &[good, result(2, Outcome::Good, 1)]), unknown);
    assert_eq!(floor.give("data-1", JOB, vec![]), Err(conflict(Conflict::OtherStation)));
    assert_eq!(floor.tally(JOB).pending(), 1);
}

/// Four cards, of which one each is good, rejected and a sample, and one is not touched.
fn worked() -> Floor {
    let mut floor = opened(4);
    floor.derive(STATION, JOB, &[1, 2, 3]).unwrap();
    let results = [result(1, Outcome::Good, 1), result(2, reject(), 0), result(3, Outcome::Sample, 1)];
    give(&mut floor, &results).unwrap();
    floor
}

#[test]
fn a_balance_says_by_how_much_in_each_term() {
    let mut floor = worked();
    let cases = [
        ([1, 1, 1, 1, 0], [0, 0, 0, 0]),
        ([1, 1, 1, 0, 1], [0, 0, 0, 0]),
        ([1, 1, 1, 0, 0], [-1, 0, 0, 0]),
        ([1, 1, 1, 1, 1], [1, 0, 0, 0]),
        ([2, 1, 1, 0, 0], [0, 1, 0, 0]),
        ([0, 1, 1, 2, 0], [0, -1, 0, 0]),
        ([1, 2, 1, 0, 0], [0, 0, 1, 0]),
        ([1, 0, 1, 2, 0], [0, 0, -1, 0]),
        ([1, 1, 2, 0, 0], [0, 0, 0, 1]),
        ([1, 1, 0, 2, 0], [0, 0, 0, -1]),
        ([0, 0, 0, 4, 0], [0, -1, -1, -1]),
        ([0, 0, 0, 0, 0], [-4, -1, -1, -1]),
    ];
    for (counted, missing) in cases {
        floor.count(STATION, JOB, &COUNTERS, counts(counted)).unwrap();
        let last = floor.job(JOB).counts.last().unwrap().clone();
        let found = last.balance;
        assert_eq!([found.total, found.good, found.rejected, found.sample], missing, "{counted:?}");
        assert_eq!(found.pending, 0);
        let even = missing == [0; 4];
        let state = if even { JobState::Counted } else { JobState::Open };
        assert_eq!((floor.job(JOB).state, found.is_even()), (state, even), "{counted:?}");
        assert_eq!((&last.operator, &last.reviewer), (&name("operator-1"), &name("reviewer-1")));
    }
    // All of them are kept.
    assert_eq!(floor.job(JOB).counts.len(), cases.len());
    let largest = counts([u32::MAX; 5]);
    floor.count(STATION, JOB, &COUNTERS, largest).unwrap();
    assert_eq!(floor.job(JOB).counts.last().unwrap().balance.total, 5 * i64::from(u32::MAX) - 4);
}

#[test]
fn nothing_balances_while_a_card_is_without_its_result() {
    let mut floor = opened(2);
    floor.derive(STATION, JOB, &[1]).unwrap();
    for counted in [[0, 0, 0, 2, 0], [0, 0, 0, 1, 1], [1, 0, 0, 1, 0]] {
        floor.count(STATION, JOB, &COUNTERS, counts(counted)).unwrap();
        assert_eq!(floor.job(JOB).state, JobState::Open, "{counted:?}");
        assert_eq!(floor.job(JOB).counts.last().unwrap().balance.pending, 1);
    }
    assert_eq!(floor.close(STATION, JOB, &["monitor-1"]), Err(conflict(Conflict::Unbalanced)));
}

#[test]
fn a_job_closes_while_its_last_count_balances_and_not_else() {
    let mut floor = worked();
    let unbalanced = Err(conflict(Conflict::Unbalanced));
    assert_eq!(floor.close(STATION, JOB, &["monitor-1"]), unbalanced);
    let good = counts([1, 1, 1, 1, 0]);
    floor.count(STATION, JOB, &COUNTERS, good).unwrap();
    // A second count that does not agree takes the first one back.
    floor.count(STATION, JOB, &COUNTERS, counts([1, 1, 1, 0, 0])).unwrap();
    assert_eq!(floor.close(STATION, JOB, &["monitor-1"]), unbalanced);
    floor.count(STATION, JOB, &COUNTERS, good).unwrap();
    // What is counted is not worked on.
    let counted = Err(conflict(Conflict::JobState { state: JobState::Counted }));
    assert_eq!(floor.derive(STATION, JOB, &[4]), counted.clone().map(|()| 0));
    assert_eq!(give(&mut floor, &[result(1, Outcome::Good, 1)]), counted);
    assert_eq!(floor.open(STATION, JOB, &TWO), counted);
    assert_eq!(floor.suspend("operator-1", JOB), counted);
    floor.report(STATION, JOB, &COUNTERS).unwrap();
    floor.close(STATION, JOB, &["monitor-1"]).unwrap();
    assert_eq!(floor.job(JOB).state, JobState::Closed);
    let closed = Err(conflict(Conflict::JobState { state: JobState::Closed }));
    assert_eq!(floor.close(STATION, JOB, &["monitor-1"]), closed);
    assert_eq!(floor.count(STATION, JOB, &COUNTERS, good), closed);
    assert_eq!(floor.report(STATION, JOB, &COUNTERS), closed);
    floor.purge(JOB).unwrap();
    assert_eq!(floor.replayed(), floor.book);
}

#[test]
fn whoever_operated_a_job_does_not_review_it() {
    let mut floor = floor();
    floor.create("data-1", JOB, &head("stored", 1)).unwrap();
    floor.seal("data-2", JOB).unwrap();
    floor.open(STATION, JOB, &["ann", "ben"]).unwrap();
    let same = Err(Refusal::SamePerson);
    let none = counts([0, 0, 0, 1, 0]);
    for people in [["ann", "ann"], ["ann", "ben"], ["ben", "ann"]] {
        assert_eq!(floor.count(STATION, JOB, &people, none), same);
        assert_eq!(floor.report(STATION, JOB, &people), same);
    }
    // Not even after a session without them.
    floor.open(STATION, JOB, &["operator-1", "operator-2"]).unwrap();
    assert_eq!(floor.count(STATION, JOB, &["operator-1", "ann"], none), same);
    floor.count(STATION, JOB, &["ann", "cat"], none).unwrap();
}

#[test]
fn the_witness_of_a_purge_is_a_third_person() {
    let mut floor = floor();
    floor.create("ann", JOB, &head("stored", 1)).unwrap();
    floor.seal("ben", JOB).unwrap();
    floor.open(STATION, JOB, &["cat", "operator-1"]).unwrap();
    floor.count(STATION, JOB, &["operator-1", "dan"], counts([0, 0, 0, 1, 0])).unwrap();
    for (who, what) in [("ann", "made"), ("ben", "sealed"), ("cat", "operated"), ("dan", "reviewed")] {
        assert_eq!(floor.close(STATION, JOB, &[who]), Err(Refusal::SamePerson), "{what} it");
    }
    assert_eq!(floor.close(STATION, JOB, &[]), Err(ITEMS));
    assert_eq!(floor.close(STATION, JOB, &["monitor-1", "monitor-1"]), Err(ITEMS));
    floor.close(STATION, JOB, &["monitor-1"]).unwrap();
    let closing = floor.job(JOB).closed.clone().unwrap();
    assert_eq!((closing.witness, closing.done.by), (Some(name("monitor-1")), name(STATION)));
}

#[test]
fn a_purge_receipt_is_the_stations_own_and_the_one_that_was_witnessed() {
    let mut floor = worked();
    floor.count(STATION, JOB, &COUNTERS, counts([1, 1, 1, 1, 0])).unwrap();
    let other = receipt("station-2");
    let agreements = floor.agreed(&["monitor-1"], JOB, &JobAct::Close { receipt: other.clone() });
    assert_eq!(floor.close_as(STATION, JOB, other, agreements), Err(ITEMS));
    let agreements = floor.agreed(&["monitor-1"], JOB, &JobAct::Close { receipt: receipt(STATION) });
    let fewer = PurgeReceipt { files: 1, ..receipt(STATION) };
    let answer = floor.close_as(STATION, JOB, fewer, agreements.clone());
    assert_eq!(answer, Err(uncounted(Uncounted::OtherAct)));
    floor.close_as(STATION, JOB, receipt(STATION), agreements).unwrap();
}

#[test]
fn a_purge_takes_the_items_and_leaves_everything_else() {
    let mut floor = floor();
    floor.create("data-1", JOB, &JobHead { listed: true, ..head("stored", 2) }).unwrap();
    floor.add("data-1", JOB, vec![item(1), item(2)]).unwrap();
    floor.seal("data-2", JOB).unwrap();
    floor.open(STATION, JOB, &TWO).unwrap();
    make(&mut floor, &[1, 2]);
    floor.count(STATION, JOB, &COUNTERS, counts([2, 0, 0, 0, 0])).unwrap();
    floor.close(STATION, JOB, &["monitor-1"]).unwrap();
    assert_eq!(floor.book.items.len(), 2);
    floor.purge(JOB).unwrap();
    let job = floor.job(JOB);
    assert_eq!((floor.book.items.len(), job.items, job.purged_ms), (0, 2, Some(floor.now_ms)));
    assert_eq!(floor.tally(JOB).good, 2);
    // Whoever reads the log afterwards finds the same, without the items.
    let read = floor.read_after_the_purge();
    assert_eq!(
        (&read.jobs, &read.cards, &read.stations),
        (&floor.book.jobs, &floor.book.cards, &floor.book.stations)
    );
}

#[test]
fn an_incident_is_kept_with_its_people() {
    let mut floor = opened(3);
    floor.report(STATION, JOB, &COUNTERS).unwrap();
    let job = floor.job(JOB);
    assert_eq!((job.state, job.incidents.len()), (JobState::Open, 1));
    assert_eq!(job.incidents[0].reviewer, name("reviewer-1"));
    let history = job.history();
    assert!(history.reviewed_by.contains(&name("reviewer-1")) && history.prepared(&name("data-2")));
    assert_eq!(history.operated_by, TWO.map(name).into());
}

#[test]
fn the_newest_counts_are_kept_and_however_many_missed_the_right_one_still_counts() {
    let mut floor = opened(1);
    for _ in 0..COUNTS_MAX {
        floor.count(STATION, JOB, &COUNTERS, counts([0; 5])).unwrap();
    }
    floor.count(STATION, JOB, &COUNTERS, counts([0, 0, 0, 1, 0])).unwrap();
    let job = floor.job(JOB);
    assert_eq!((job.state, job.counts.len()), (JobState::Counted, COUNTS_MAX));
    assert!(job.history().reviewed_by.contains(&name("reviewer-1")));
}

#[test]
fn a_purge_is_witnessed_after_the_last_count_and_not_before() {
    let mut floor = opened(1);
    let receipt = |floor: &Floor| PurgeReceipt { erased_ms: floor.now_ms, ..receipt(STATION) };
    let (early, close) =
        (receipt(&floor), |receipt: &PurgeReceipt| JobAct::Close { receipt: receipt.clone() });
    let witnessed_early = floor.agreed(&["monitor-1"], JOB, &close(&early));
    floor.pass(3_000);
    floor.count(STATION, JOB, &COUNTERS, counts([0, 0, 0, 1, 0])).unwrap();
    let stale = Err(uncounted(Uncounted::Stale));
    assert_eq!(floor.close_as(STATION, JOB, early.clone(), witnessed_early), stale);
    let witnessed = floor.agreed(&["monitor-1"], JOB, &close(&early));
    assert_eq!(floor.close_as(STATION, JOB, early, witnessed), stale);
    let ahead = PurgeReceipt { erased_ms: u64::MAX, ..receipt(&floor) };
    let witnessed = floor.agreed(&["monitor-1"], JOB, &close(&ahead));
    let time = Err(Refusal::Invalid { reason: Invalid::Time });
    assert_eq!(floor.close_as(STATION, JOB, ahead, witnessed), time);
    floor.close(STATION, JOB, &["monitor-1"]).unwrap();
}
