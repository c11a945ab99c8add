//! Opening a job: sealed, at its own station, by two operators who agreed to this and now, when the station holds nothing
//! else and nobody has stopped it.

use super::{
    CARD, Officers, assert_refused, both, conflict, get, good, is, name_of, of_job, open_by, opening_at,
    shop, signs, uncounted,
};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor,
    cose::Kind,
    freeze::{Scope, ScopeKind},
    job::{AGREEMENT_LEN_MAX, JobAct, JobAgreement, JobState},
    leaf::{JobOpenedLeaf, LeafKind},
    refusal::{
        Conflict, Refusal, Thing,
        Uncounted::{Form, NotInRole, OtherAct, Signature, Stale, TooFew, UsedBefore},
    },
    reply::JobOpenReply,
    request::Operation::{self, JobOpen},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{idem, name},
    cards::holder,
    ground::Ground,
    jobs::{head, now_ms},
    raw::{self, sign},
};

const MINUTE_MS: u64 = 60_000;

/// operator-1's agreement as it is not made: at another time, as another kind, for another site.
struct Odd {
    signed_ms: u64,
    kind: Kind,
    scope: Digest,
}

fn odd(ground: &Ground, job: &str, act: &JobAct, odd: &Odd) -> Blob<AGREEMENT_LEN_MAX> {
    let said = JobAgreement {
        schema: Schema,
        job: name(job),
        act: act.clone(),
        person: name("operator-1"),
        signed_ms: odd.signed_ms,
        nonce: idem(),
    };
    let key = raw::key(ground.site(), "operator-1");
    sign(&key, odd.kind, odd.scope.as_bytes(), cbor::encode(&said)).try_into().unwrap()
}

#[test]
fn a_job_is_opened_sealed_at_its_station_by_two_operators_and_not_before_the_other_is_purged() {
    let (mut ground, mut bench) = shop();
    let (floor, station) = (&mut bench.floor, &mut bench.station);
    let about = head("known", 1, 5);
    floor.create("first", &about).unwrap();
    let mut tell = Vec::new();
    let mut refused = |answer: Result<JobOpenReply, Refusal>, refusal: Refusal| {
        assert_eq!(answer.unwrap_err(), refusal);
        tell.push((JobOpen, refusal));
    };
    let act = opening_at("station-1");
    let agreed = floor.operators_agree(&name("nonesuch"), &act);
    refused(open_by(station, "nonesuch", agreed), Refusal::NotFound { what: Thing::Job });
    let agreed = floor.operators_agree(&name("first"), &act);
    refused(open_by(station, "first", agreed), is(JobState::Draft));
    floor.seal("first", &about, &[]).unwrap();
    let one = signs(&ground, floor, "operator-1", "first", &act);
    let again = signs(&ground, floor, "operator-1", "first", &act);
    refused(open_by(station, "first", both(one.clone(), again)), Refusal::SamePerson);
    refused(open_by(station, "first", vec![one.clone()].try_into().unwrap()), uncounted(TooFew));
    for other in ["reviewer-1", "data-1"] {
        let other = signs(&ground, floor, other, "first", &act);
        refused(open_by(station, "first", both(one.clone(), other)), uncounted(NotInRole));
    }
    // Another station, even with the operators' agreement to it.
    let mut elsewhere = holder(CARD, ground.site(), "station-2");
    let agreed = floor.operators_agree(&name("first"), &opening_at("station-2"));
    let answer = open_by(&mut elsewhere, "first", agreed);
    assert_eq!(answer.unwrap_err(), conflict(Conflict::OtherStation));

    let agreed = floor.operators_agree(&name("first"), &act);
    open_by(station, "first", agreed.clone()).unwrap();
    let view = get(station, "first").unwrap();
    let operators: Vec<_> = view.operators.iter().map(|name| name.as_str()).collect();
    assert_eq!((view.state, operators), (JobState::Open, vec!["operator-1", "operator-2"]));
    let left_ms = view.session_expires_ms.unwrap() - now_ms();
    assert!((110 * MINUTE_MS..=120 * MINUTE_MS).contains(&left_ms), "{left_ms} ms of two hours");
    // The next session takes two fresh agreements.
    refused(open_by(station, "first", agreed), uncounted(UsedBefore));
    floor.prepare("second", &about);
    let agreed = floor.operators_agree(&name("second"), &act);
    refused(open_by(station, "second", agreed), Refusal::PurgePending);
    // It can be ended without a card, and then the other one is opened.
    floor.finish(station, "first", good(0, 5), "station-1");
    assert_eq!(get(station, "first").unwrap().state, JobState::Purged);
    floor.open((station, "station-1"), "second").unwrap();

    assert_refused(&ground, "station-1", &tell);
    assert_refused(&ground, "station-2", &[(JobOpen, conflict(Conflict::OtherStation))]);
    let opened: Vec<JobOpenedLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::JobOpened);
    assert!(opened.iter().all(|leaf| leaf.operation == JobOpen && leaf.station.as_str() == "station-1"));
    assert_eq!(opened.len(), 2);
    ground.assert_clean();
}

#[test]
fn an_agreement_is_to_one_act_on_one_job_of_one_site_and_serves_for_a_quarter_of_an_hour() {
    let (ground, mut bench) = shop();
    let (floor, station) = (&mut bench.floor, &mut bench.station);
    floor.prepare("one", &head("known", 1, 5));
    floor.prepare("other", &head("known", 1, 5));
    let act = opening_at("station-1");
    let genesis = raw::genesis(ground.site());
    let usual = || Odd { signed_ms: now_ms(), kind: Kind::JobAgreement, scope: genesis };
    let elsewhere = opening_at("station-2");
    let resume = JobAct::Resume { station: name("station-1") };
    let cases = [
        (odd(&ground, "one", &act, &Odd { signed_ms: now_ms() - 16 * MINUTE_MS, ..usual() }), Stale),
        (odd(&ground, "one", &act, &Odd { signed_ms: now_ms() + 6 * MINUTE_MS, ..usual() }), Stale),
        (odd(&ground, "other", &act, &usual()), OtherAct),
        (odd(&ground, "one", &elsewhere, &usual()), OtherAct),
        (odd(&ground, "one", &resume, &usual()), OtherAct),
        (odd(&ground, "one", &act, &Odd { scope: Digest::new([7; 32]), ..usual() }), Signature),
        (odd(&ground, "one", &act, &Odd { kind: Kind::Approval, ..usual() }), Form),
        (vec![1, 2, 3].try_into().unwrap(), Form),
    ];
    let mut tell = Vec::new();
    for (agreement, reason) in cases {
        let other = signs(&ground, floor, "operator-2", "one", &act);
        assert_eq!(open_by(station, "one", both(agreement, other)).unwrap_err(), uncounted(reason));
        tell.push((JobOpen, uncounted(reason)));
    }
    // A clock that is a little off is no matter.
    let early = odd(&ground, "one", &act, &Odd { signed_ms: now_ms() + 4 * MINUTE_MS, ..usual() });
    open_by(station, "one", both(early, signs(&ground, floor, "operator-2", "one", &act))).unwrap();
    assert_refused(&ground, "station-1", &tell);
}

#[test]
fn nobody_opens_a_job_or_works_on_it_while_its_station_or_the_job_itself_is_frozen() {
    let (ground, mut bench) = shop();
    let mut officers = Officers::of(&ground);
    bench.floor.prepare("frozen", &head("known", 1, 5));
    let station = Scope::Station { name: name("station-1") };
    let mut tell: Vec<(Operation, Refusal)> = Vec::new();
    for (scope, kind) in [(station, ScopeKind::Station), (of_job("frozen"), ScopeKind::Job)] {
        officers.freeze(&scope);
        let answer = bench.floor.open((&mut bench.station, "station-1"), "frozen");
        assert_eq!(answer.unwrap_err(), Refusal::Frozen { scope: kind });
        tell.push((JobOpen, Refusal::Frozen { scope: kind }));
        officers.lift(&scope);
    }
    let shift = bench.floor.open((&mut bench.station, "station-1"), "frozen").unwrap();
    officers.freeze(&of_job("frozen"));
    let stopped = Refusal::Frozen { scope: ScopeKind::Job };
    assert_eq!(bench.derive(&shift, &["04782e21801d80"]).unwrap_err(), stopped);
    assert_eq!(bench.renew(&shift).unwrap_err(), stopped);
    tell.extend([(Operation::CardDerive, stopped.clone()), (JobOpen, stopped)]);
    officers.lift(&of_job(name_of(&shift)));
    bench.derive(&shift, &["04782e21801d80"]).unwrap();
    assert_refused(&ground, "station-1", &tell);
    // What does not exist cannot be stopped.
    let request = keysvc_tests::agreed::freeze(&of_job("nonesuch"));
    let answer = keysvc_tests::agreed::alone(&mut officers.0[0], Operation::FreezeSet, &request);
    assert_eq!(answer.unwrap_err(), Refusal::NotFound { what: Thing::Job });
}
