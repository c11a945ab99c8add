//! Sessions of two operators: opened, renewed, stopped, resumed, over; and one station's one job.

use crate::{
    kit::{COUNTERS, JOB, STATION, TWO, conflict, floor, opened, sealed, uncounted},
    people::{
        Floor,
        floor::{card, counts, head},
        name,
    },
};
use keysvc_protocol::{
    bytes::Exchange,
    card::CardState,
    job::{JobAct, JobState, Membership, SESSION_LIFE_MS, SESSIONS_MAX, Tally},
    leaf::{JobOpenedLeaf, LeafKind},
    refusal::{Conflict, Invalid, Refusal, Uncounted},
    request::{OpenJob, Operation},
    schema::Schema,
};

const OTHERS: [&str; 2] = ["operator-2", "operator-3"];

#[test]
fn two_operators_open_a_job_at_its_station() {
    let floor = opened(3);
    let job = floor.job(JOB);
    let session = job.session().unwrap();
    assert_eq!(job.state, JobState::Open);
    assert_eq!(session.operators.to_vec(), TWO.map(name));
    assert_eq!(session.expires_ms - session.opened_ms, SESSION_LIFE_MS);
    assert_eq!(floor.book.stations.get(&name(STATION)), Some(&name(JOB)));
    assert_eq!(floor.replayed(), floor.book);
}

#[test]
fn a_job_opens_at_its_own_station_alone() {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    assert_eq!(floor.open("station-2", JOB, &TWO), Err(conflict(Conflict::OtherStation)));
    floor.open(STATION, JOB, &TWO).unwrap();
    let other = Err(conflict(Conflict::OtherStation));
    assert_eq!(floor.resume("station-2", JOB, &TWO), other);
    assert_eq!(floor.count("station-2", JOB, &COUNTERS, counts([0; 5])), other);
    assert_eq!(floor.report("station-2", JOB, &COUNTERS), other);
    assert_eq!(floor.close("station-2", JOB, &["monitor-1"]), other);
    assert_eq!(floor.give("station-2", JOB, vec![]), other);
    let request = floor.asking(JOB, 1, &[1]);
    assert_eq!(floor.derive_as("station-2", &request, false), Err(conflict(Conflict::OtherStation)));
}

#[test]
fn whoever_put_a_job_together_or_reviewed_it_may_not_operate_it() {
    let mut floor = floor();
    floor.create("ann", JOB, &head("stored", 3)).unwrap();
    floor.seal("ben", JOB).unwrap();
    let same = Err(Refusal::SamePerson);
    for prepared in ["ann", "ben"] {
        assert_eq!(floor.open(STATION, JOB, &["operator-1", prepared]), same);
        assert_eq!(floor.open(STATION, JOB, &[prepared, "operator-1"]), same);
    }
    floor.open(STATION, JOB, &TWO).unwrap();
    floor.report(STATION, JOB, &["operator-1", "cat"]).unwrap();
    assert_eq!(floor.open(STATION, JOB, &["operator-1", "cat"]), same);
    floor.suspend("operator-1", JOB).unwrap();
    assert_eq!(floor.resume(STATION, JOB, &["dan", "cat"]), same);
    assert_eq!(floor.resume(STATION, JOB, &["ann", "dan"]), same);
    floor.resume(STATION, JOB, &["operator-1", "dan"]).unwrap();
}

#[test]
fn a_session_lasts_two_hours_at_most_and_ends_with_them() {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    let act = JobAct::Open { station: name(STATION) };
    for (life_ms, good) in [(SESSION_LIFE_MS + 1, false), (0, false), (SESSION_LIFE_MS, true)] {
        let agreements = floor.agreed(&TWO, JOB, &act);
        let answer = floor.open_as(STATION, JOB, agreements, life_ms);
        let time = Err(Refusal::Invalid { reason: Invalid::Time });
        assert_eq!(answer, if good { Ok(()) } else { time }, "{life_ms}");
    }
    floor.pass(SESSION_LIFE_MS);
    floor.derive(STATION, JOB, &[1]).unwrap();
    floor.pass(1);
    assert_eq!(floor.derive(STATION, JOB, &[2]), Err(conflict(Conflict::SessionOver)));
    // Nor is what was released before released once more.
    assert_eq!(floor.derive(STATION, JOB, &[1]), Err(conflict(Conflict::SessionOver)));
    // What is in hand is finished all the same.
    let good = crate::people::floor::result(1, keysvc_protocol::job::Outcome::Good, 1);
    floor.give(STATION, JOB, vec![good]).unwrap();
    floor.open(STATION, JOB, &OTHERS).unwrap();
    floor.derive(STATION, JOB, &[2]).unwrap();
}

#[test]
fn an_old_sessions_exchange_is_refused() {
    let mut floor = opened(3);
    let mut old = floor.asking(JOB, 1, &[1]);
    floor.open(STATION, JOB, &OTHERS).unwrap();
    assert_eq!(floor.derive_as(STATION, &old, false), Err(Refusal::ExchangeUnknown));
    old.exchange = floor.exchange(JOB);
    floor.derive_as(STATION, &old, false).unwrap();
    floor.suspend("operator-3", JOB).unwrap();
    let suspended = Err(conflict(Conflict::JobState { state: JobState::Suspended }));
    assert_eq!(floor.derive(STATION, JOB, &[2]), suspended);
    floor.resume(STATION, JOB, &TWO).unwrap();
    assert_eq!(floor.derive_as(STATION, &old, false), Err(Refusal::ExchangeUnknown));
    old.exchange = Exchange::new([0; 16]);
    assert_eq!(floor.derive_as(STATION, &old, false), Err(Refusal::ExchangeUnknown));
}

#[test]
fn either_operator_of_the_session_stops_a_job_and_two_let_it_go_on() {
    for stops in TWO {
        let mut floor = opened(3);
        for other in ["operator-3", "ann"] {
            assert_eq!(floor.suspend(other, JOB), Err(Refusal::Forbidden), "{other}");
        }
        for other in ["reviewer-1", "data-1", "station-1"] {
            assert_eq!(floor.suspend(other, JOB), Err(Refusal::Forbidden), "{other}");
        }
        floor.suspend(stops, JOB).unwrap();
        let job = floor.job(JOB);
        assert_eq!((job.state, job.suspensions.len()), (JobState::Suspended, 1));
        assert_eq!(job.suspensions[0].done.by, name(stops));
        let suspended = Err(conflict(Conflict::JobState { state: JobState::Suspended }));
        assert_eq!(floor.open(STATION, JOB, &TWO), suspended);
        assert_eq!(floor.suspend(stops, JOB), suspended);
        assert_eq!(floor.count(STATION, JOB, &COUNTERS, counts([0, 0, 0, 3, 0])), suspended);
        assert_eq!(floor.close(STATION, JOB, &["monitor-1"]), suspended);
        floor.report(STATION, JOB, &COUNTERS).unwrap();
        assert_eq!(floor.resume(STATION, JOB, &[stops, stops]), Err(Refusal::SamePerson));
        floor.resume(STATION, JOB, &OTHERS).unwrap();
        // An operator of an earlier session, who is not in this one.
        assert_eq!(floor.suspend("operator-1", JOB), Err(Refusal::Forbidden));
        assert_eq!(floor.replayed(), floor.book);
    }
}

#[test]
fn an_open_job_is_renewed_and_not_resumed() {
    let mut floor = opened(3);
    let open = Err(conflict(Conflict::JobState { state: JobState::Open }));
    assert_eq!(floor.resume(STATION, JOB, &TWO), open);
    floor.derive(STATION, JOB, &[1]).unwrap();
    floor.open(STATION, JOB, &OTHERS).unwrap();
    // It has not lost its place: what was in hand is in hand.
    assert_eq!(floor.tally(JOB), Tally { made: 1, ..Tally::default() });
    assert_eq!(floor.derive(STATION, JOB, &[1]), Ok(1));
    assert_eq!(floor.tally(JOB).made, 1);
    assert_eq!(floor.book.cards[&card(1)].state, CardState::InProduction);
}

/// Brings an open job of three cards to its end, of which none was made.
fn ended(floor: &mut Floor) {
    floor.count(STATION, JOB, &COUNTERS, counts([0, 0, 0, 3, 0])).unwrap();
    floor.close(STATION, JOB, &["monitor-1"]).unwrap();
}

#[test]
fn a_station_opens_no_other_job_before_the_last_one_is_purged() {
    let mut floor = opened(3);
    sealed(&mut floor, "nfc-2", 3);
    assert_eq!(floor.open(STATION, "nfc-2", &TWO), Err(Refusal::PurgePending));
    floor.suspend("operator-1", JOB).unwrap();
    assert_eq!(floor.open(STATION, "nfc-2", &TWO), Err(Refusal::PurgePending));
    floor.resume(STATION, JOB, &TWO).unwrap();
    ended(&mut floor);
    assert_eq!(floor.open(STATION, "nfc-2", &TWO), Err(Refusal::PurgePending));
    floor.purge(JOB).unwrap();
    assert_eq!(floor.book.stations.get(&name(STATION)), None);
    floor.open(STATION, "nfc-2", &TWO).unwrap();
    let purged = Err(conflict(Conflict::JobState { state: JobState::Purged }));
    assert_eq!(floor.purge(JOB), purged);
    assert_eq!(floor.open(STATION, JOB, &TWO), Err(Refusal::PurgePending));
    assert_eq!(floor.book.stations.get(&name(STATION)), Some(&name("nfc-2")));
}

#[test]
fn a_job_given_up_at_the_purge_of_another_leaves_the_stations_job_alone() {
    let mut floor = opened(3);
    sealed(&mut floor, "nfc-2", 3);
    floor.withdraw("data-1", "nfc-2").unwrap();
    floor.purge("nfc-2").unwrap();
    assert_eq!(floor.book.stations.get(&name(STATION)), Some(&name(JOB)));
}

#[test]
fn two_stations_work_side_by_side() {
    let mut floor = opened(3);
    let elsewhere = keysvc_protocol::job::JobHead { station: name("station-2"), ..head("stored", 3) };
    floor.create("data-1", "nfc-2", &elsewhere).unwrap();
    floor.seal("data-2", "nfc-2").unwrap();
    floor.open("station-2", "nfc-2", &["operator-3", "ann"]).unwrap();
    assert_eq!(floor.derive("station-2", "nfc-2", &[1]), Ok(1));
    assert_eq!(floor.derive(STATION, JOB, &[2]), Ok(1));
    // A session of one station is nothing at another.
    let mut request = floor.asking(JOB, 1, &[3]);
    request.exchange = floor.exchange("nfc-2");
    assert_eq!(floor.derive_as(STATION, &request, false), Err(Refusal::ExchangeUnknown));
}

#[test]
fn a_session_is_opened_by_its_operation_alone() {
    let mut floor = floor();
    sealed(&mut floor, JOB, 3);
    let agreements = floor.agreed(&TWO, JOB, &JobAct::Open { station: name(STATION) });
    let request = OpenJob { schema: Schema, idem: floor.idem(), job: name(JOB), agreements };
    let station = floor.site.person(STATION);
    let leaf = |operation, signed_as| JobOpenedLeaf {
        schema: Schema,
        station: name(STATION),
        operation,
        exchange: Exchange::new([1; 16]),
        expires_at_ms: floor.now_ms + 1,
        statement: floor.site.statement(station, signed_as, &request),
    };
    let as_resume = leaf(Operation::JobResume, Operation::JobOpen);
    let as_close = leaf(Operation::JobClose, Operation::JobClose);
    let signature = Err(Refusal::Invalid { reason: Invalid::Signature });
    assert_eq!(floor.put(LeafKind::JobOpened, &as_resume), signature);
    let encoding = Err(Refusal::Invalid { reason: Invalid::Encoding });
    assert_eq!(floor.put(LeafKind::JobOpened, &as_close), encoding);
}

#[test]
fn a_job_keeps_its_newest_sessions_and_forgets_nobody_who_operated_it() {
    let mut floor = opened(3);
    for _ in 1..SESSIONS_MAX {
        floor.pass(SESSION_LIFE_MS / 4);
        floor.open(STATION, JOB, &TWO).unwrap();
    }
    let first = floor.job(JOB).sessions[0].leaf;
    floor.open(STATION, JOB, &TWO).unwrap();
    let job = floor.job(JOB);
    assert_eq!(job.sessions.len(), SESSIONS_MAX);
    assert!(job.sessions[0].leaf > first);
    assert_eq!(job.history().operated_by, TWO.map(name).into());
    // It is still counted and closed.
    ended(&mut floor);
    floor.purge(JOB).unwrap();
    let mut book = floor.book.clone();
    let listed = keysvc_protocol::job::Book::listed(&mut book, &name(JOB), &card(1));
    assert_eq!(listed, Ok(Membership::NotListed));
}

#[test]
fn agreements_that_lay_unused_begin_no_session_after_a_later_stop_or_session() {
    let mut floor = opened(3);
    let stale = Err(uncounted(Uncounted::Stale));
    let station = name(STATION);
    let act = JobAct::Open { station: station.clone() };
    let opening = floor.agreed(&TWO, JOB, &act);
    floor.suspend("operator-1", JOB).unwrap();
    let resuming = floor.agreed(&TWO, JOB, &JobAct::Resume { station });
    floor.resume(STATION, JOB, &TWO).unwrap();
    floor.pass(3_000);
    floor.suspend("operator-2", JOB).unwrap();
    assert_eq!(floor.resume_as(STATION, JOB, resuming, SESSION_LIFE_MS), stale);
    floor.resume(STATION, JOB, &TWO).unwrap();
    assert_eq!(floor.open_as(STATION, JOB, opening, SESSION_LIFE_MS), stale);
}
