//! Stops: either operator stops a job at once, two let it go on; and whoever froze it, people can still stop, count and
//! clear up.

use super::{Officers, assert_refused, both, get, good, is, name_of, of_job, shop, signs, uid, uncounted};
use keysvc_protocol::{
    freeze::ScopeKind,
    job::{Counts, JobAct, JobState},
    leaf::{JobOpenedLeaf, LeafKind},
    refusal::{Conflict, Refusal, Uncounted::TooFew},
    reply::{JobChangedReply, JobOpenReply},
    request::{Agreements, Operation, ResumeJob},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{alone, disable, idem, name},
    ground::Ground,
    jobs::{Shift, head, suspend},
    raw::{self, Caller},
};

fn stop(ground: &Ground, persona: &str, job: &str) -> Result<JobState, Refusal> {
    let mut caller = Caller::new(ground.site(), persona);
    let counts = Counts { good: 1, ..Counts::default() };
    let reply = caller.ask::<JobChangedReply>(Operation::JobSuspend, &suspend(job, counts))?;
    Ok(reply.state)
}

fn resume_by(station: &mut Caller, job: &str, agreements: Agreements) -> Result<(), Refusal> {
    let request = ResumeJob { schema: Schema, idem: idem(), job: name(job), agreements };
    station.ask::<JobOpenReply>(Operation::JobResume, &request).map(drop)
}

#[test]
fn either_operator_stops_a_job_and_two_let_it_go_on_with_what_was_in_hand() {
    let (mut ground, mut bench) = shop();
    let shift = bench.floor.shift(&mut bench.station, "stops", &head("known", 1, 5));
    bench.derive(&shift, &[&uid(1)]).unwrap();
    for outsider in ["data-1", "reviewer-1"] {
        assert_eq!(stop(&ground, outsider, "stops"), Err(Refusal::Forbidden), "{outsider}");
    }
    let resume = JobAct::Resume { station: name("station-1") };
    for operator in ["operator-2", "operator-1"] {
        assert_eq!(stop(&ground, operator, "stops"), Ok(JobState::Suspended), "{operator}");
        assert_eq!(bench.derive(&shift, &[&uid(2)]).unwrap_err(), is(JobState::Suspended));
        assert_eq!(bench.renew(&shift).unwrap_err(), is(JobState::Suspended));
        let one = signs(&ground, &bench.floor, operator, "stops", &resume);
        let alone = vec![one].try_into().unwrap();
        assert_eq!(resume_by(&mut bench.station, "stops", alone), Err(uncounted(TooFew)));
        let exchange = bench.floor.resume((&mut bench.station, "station-1"), "stops").unwrap();
        let shift = Shift { exchange, ..shift.clone() };
        // The card in hand is there still.
        bench.derive(&shift, &[&uid(1)]).unwrap();
    }
    assert_eq!(stop(&ground, "operator-1", "nonesuch"), Err(Refusal::Forbidden), "nobody operates it");
    let again = both(
        signs(&ground, &bench.floor, "operator-1", "stops", &resume),
        signs(&ground, &bench.floor, "operator-2", "stops", &resume),
    );
    assert_eq!(resume_by(&mut bench.station, "stops", again), Err(is(JobState::Open)));
    let view = get(&mut bench.floor.data[0], "stops").unwrap();
    let numbers = view.numbers.unwrap();
    assert_eq!((numbers.suspensions, numbers.sessions, view.pending), (2, 3, 1));

    let (derive, open, go_on) = (Operation::CardDerive, Operation::JobOpen, Operation::JobResume);
    let each =
        [(derive, is(JobState::Suspended)), (open, is(JobState::Suspended)), (go_on, uncounted(TooFew))];
    let refused = [each.as_slice(), &each, &[(go_on, is(JobState::Open))]].concat();
    assert_refused(&ground, "station-1", &refused);
    for outsider in ["data-1", "reviewer-1"] {
        assert_refused(&ground, outsider, &[(Operation::JobSuspend, Refusal::Forbidden)]);
    }
    let opened: Vec<JobOpenedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::JobOpened);
    assert_eq!(opened.iter().map(|leaf| leaf.operation).collect::<Vec<_>>(), [open, go_on, go_on]);
    ground.assert_clean();
}

#[test]
fn what_is_frozen_can_still_be_stopped_counted_and_closed_and_goes_on_only_when_it_is_let_go() {
    let (mut ground, mut bench) = shop();
    let shift = bench.floor.shift(&mut bench.station, "cold", &head("known", 1, 5));
    let delivery = bench.derive(&shift, &[&uid(1)]).unwrap();
    let mut officers = Officers::of(&ground);
    officers.freeze(&of_job("cold"));
    let frozen = Refusal::Frozen { scope: ScopeKind::Job };
    assert_eq!(bench.derive(&shift, &[&uid(1)]).unwrap_err(), frozen);
    // What came of the card in hand is said all the same.
    bench.good(&shift, &delivery).unwrap();
    assert_eq!(stop(&ground, "operator-1", "cold"), Ok(JobState::Suspended));
    let resumed = bench.floor.resume((&mut bench.station, "station-1"), "cold");
    assert_eq!(resumed.unwrap_err(), frozen);
    officers.lift(&of_job("cold"));
    bench.floor.resume((&mut bench.station, "station-1"), "cold").unwrap();
    officers.freeze(&of_job("cold"));
    let everything = keysvc_protocol::freeze::Scope::Station { name: name("station-1") };
    officers.freeze(&everything);
    assert_eq!(bench.floor.count(&mut bench.station, "cold", good(1, 3)), Ok(false));
    bench.floor.finish(&mut bench.station, "cold", good(1, 4), "station-1");
    assert_eq!(get(&mut bench.station, name_of(&shift)).unwrap().state, JobState::Purged);
    let refused = [(Operation::CardDerive, frozen.clone()), (Operation::JobResume, frozen)];
    assert_refused(&ground, "station-1", &refused);
    ground.assert_clean();
}

#[test]
fn keys_stop_with_an_operator_who_is_disabled_and_two_others_go_on() {
    let (mut ground, mut bench) = shop();
    let shift = bench.floor.shift(&mut bench.station, "disabled", &head("known", 1, 3));
    bench.derive(&shift, &[&uid(1)]).unwrap();
    let mut officers = Officers::of(&ground);
    alone(&mut officers.0[0], Operation::PrincipalDisable, &disable("operator-2")).unwrap();
    let over = Refusal::StateConflict { reason: Conflict::SessionOver };
    assert_eq!(bench.derive(&shift, &[&uid(2)]).unwrap_err(), over);
    assert_refused(&ground, "station-1", &[(Operation::CardDerive, over)]);
    ground.assert_clean();
}
