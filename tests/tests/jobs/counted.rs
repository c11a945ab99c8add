//! Counting blind: the station hears whether a count balances, the reviewer alone by how much it does not; incidents; the
//! end of a job with its witness; and the record that says all of it.

use super::{CARD, assert_refused, both, conflict, get, good, is, name_of, shop, signs, uid, uncounted};
use keysvc_protocol::{
    job::{Balance, CountGiven, Counts, Incident, JobAct, JobRecord, JobState, Outcome, Tally},
    leaf::{IncidentReportedLeaf, JobRecordMadeLeaf, LeafKind},
    refusal::{Conflict::Unbalanced, Invalid, Refusal, Uncounted::NotInRole},
    reply::{JobChangedReply, JobCountReply, JobListReply, JobRecordReply},
    request::{CloseJob, CountJob, ListJobs, Operation, ReadJobRecord},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{idem, name},
    cards::statement_key,
    ended::ended,
    ground::{Ground, text},
    jobs::{Bench, Shift, give, head, now_ms, receipt, results, suspend},
    raw::{self, Caller},
    settings::page,
};
use std::process::Command;

fn incident() -> Incident {
    Incident {
        equipment: "encoder 1".parse().unwrap(),
        time_ms: now_ms(),
        cause: "the feeder is jammed".parse().unwrap(),
        place: "tray 3".parse().unwrap(),
        in_hand: 1,
    }
}

/// A job of five cards: two good ones, and a third in hand.
fn begun(bench: &mut Bench, job: &str) -> (Shift, keysvc_protocol::delivery::Delivery) {
    let shift = bench.floor.shift(&mut bench.station, job, &head("known", 1, 5));
    let delivery = bench.derive(&shift, &[&uid(1), &uid(2)]).unwrap();
    bench.good(&shift, &delivery).unwrap();
    let third = bench.derive(&shift, &[&uid(3)]).unwrap();
    (shift, third)
}

fn numbers_for(ground: &Ground, personas: &[&str], job: &str) -> Vec<bool> {
    let seen = |persona: &&str| get(&mut Caller::new(ground.site(), persona), job).unwrap().numbers.is_some();
    personas.iter().map(seen).collect()
}

#[test]
fn the_station_hears_that_a_count_misses_the_reviewer_sees_by_how_much_and_the_operators_see_no_number() {
    let (mut ground, mut bench) = shop();
    let (shift, third) = begun(&mut bench, "blind");
    let mut reviewer = Caller::new(ground.site(), "reviewer-1");
    let mut balance = || get(&mut reviewer, "blind").unwrap().numbers.unwrap().balance;
    assert_eq!(balance(), None);
    // A card in hand is nowhere, however well the sum comes out.
    let first = Counts { good: 2, rejected: 1, returned: 2, ..Counts::default() };
    assert_eq!(bench.floor.count(&mut bench.station, "blind", first), Ok(false));
    assert_eq!(balance(), Some(Balance { rejected: 1, pending: 1, ..Balance::default() }));
    let cause = "scratched".parse().unwrap();
    let reject = results(&third, &Outcome::Reject { cause });
    give(&mut bench.station, &shift.job, reject).unwrap();
    let second = Counts { good: 3, sample: 1, returned: 4, ..Counts::default() };
    assert_eq!(bench.floor.count(&mut bench.station, "blind", second), Ok(false));
    let missed = Balance { total: 3, good: 1, rejected: -1, sample: 1, pending: 0 };
    assert_eq!(balance(), Some(missed));
    let closed = bench.floor.close(&mut bench.station, "blind");
    assert_eq!(closed.unwrap_err(), conflict(Unbalanced));
    // What was handed over to another process counts as well.
    let third = Counts { good: 2, rejected: 1, returned: 1, handed_over: 1, ..Counts::default() };
    assert_eq!(bench.floor.count(&mut bench.station, "blind", third), Ok(true));
    assert_eq!(balance(), Some(Balance::default()));
    // Counted wrong once more, it is not counted any more.
    assert_eq!(bench.floor.count(&mut bench.station, "blind", second), Ok(false));
    assert_eq!(get(&mut bench.station, "blind").unwrap().state, JobState::Open);
    assert_eq!(bench.floor.close(&mut bench.station, "blind").unwrap_err(), conflict(Unbalanced));
    bench.floor.finish(&mut bench.station, "blind", third, "station-1");

    let sees = ["reviewer-1", "data-1", "data-2", "officer-3", "auditor-1"];
    assert_eq!(numbers_for(&ground, &sees, "blind"), [true; 5]);
    let blind = ["operator-1", "operator-2", "monitor-1", "station-1"];
    assert_eq!(numbers_for(&ground, &blind, "blind"), [false; 4]);
    for outsider in ["terminal-1", "office-1", "station-2"] {
        let seen = get(&mut Caller::new(ground.site(), outsider), "blind");
        assert!(seen.is_err(), "{outsider}: {seen:?}");
    }
    let close = (Operation::JobClose, conflict(Unbalanced));
    assert_refused(&ground, "station-1", &[close.clone(), close]);
    ground.assert_clean();
}

#[test]
fn a_count_takes_an_operator_of_the_job_and_a_reviewer_in_this_order_and_a_close_a_monitor() {
    let (ground, mut bench) = shop();
    let (shift, third) = begun(&mut bench, "roles");
    bench.good(&shift, &third).unwrap();
    let (job, counts) = (shift.job.clone(), good(3, 2));
    let act = JobAct::Count { counts };
    let count = |station: &mut Caller, agreements| {
        let request = CountJob { schema: Schema, idem: idem(), job: job.clone(), counts, agreements };
        station.ask::<JobCountReply>(Operation::JobCount, &request).map(|reply| reply.balanced)
    };
    let sign = |bench: &Bench, person: &str| signs(&ground, &bench.floor, person, "roles", &act);
    for (one, other) in [
        ("reviewer-1", "operator-1"),
        ("operator-1", "operator-2"),
        ("reviewer-1", "reviewer-1"),
        ("data-1", "reviewer-1"),
    ] {
        let agreements = both(sign(&bench, one), sign(&bench, other));
        assert_eq!(count(&mut bench.station, agreements), Err(uncounted(NotInRole)), "{one}, {other}");
    }
    let good = both(sign(&bench, "operator-2"), sign(&bench, "reviewer-1"));
    assert_eq!(count(&mut bench.station, good), Ok(true));

    let close = |station: &mut Caller, receipt: keysvc_protocol::job::PurgeReceipt, agreement| {
        let agreements = vec![agreement].try_into().unwrap();
        let request = CloseJob { schema: Schema, idem: idem(), job: job.clone(), receipt, agreements };
        station.ask::<JobChangedReply>(Operation::JobClose, &request).map(|reply| reply.state)
    };
    let receipt = receipt("station-1");
    let act = JobAct::Close { receipt: receipt.clone() };
    for person in ["operator-1", "reviewer-1", "data-2"] {
        let witness = signs(&ground, &bench.floor, person, "roles", &act);
        let closed = close(&mut bench.station, receipt.clone(), witness);
        assert_eq!(closed, Err(uncounted(NotInRole)), "{person}");
    }
    let elsewhere =
        bench.floor.close_with(&mut bench.station, "roles", keysvc_tests::jobs::receipt("station-2"));
    assert_eq!(elsewhere.unwrap_err(), Refusal::Invalid { reason: Invalid::Items });
    let state = bench.floor.close(&mut bench.station, "roles").unwrap().state;
    assert!(matches!(state, JobState::Closed | JobState::Purged), "{state}");
    let mut refused = vec![(Operation::JobCount, uncounted(NotInRole)); 4];
    refused.extend(vec![(Operation::JobClose, uncounted(NotInRole)); 3]);
    refused.push((Operation::JobClose, Refusal::Invalid { reason: Invalid::Items }));
    assert_refused(&ground, "station-1", &refused);
}

#[test]
fn an_incident_is_said_by_operator_and_reviewer_while_the_station_holds_the_job_and_stays_on_record() {
    let (mut ground, mut bench) = shop();
    bench.floor.prepare("jam", &head("known", 1, 5));
    let early = bench.floor.incident(&mut bench.station, "jam", &incident());
    assert_eq!(early, Err(is(JobState::Sealed)));
    let shift = bench.floor.open((&mut bench.station, "station-1"), "jam").unwrap();
    bench.floor.incident(&mut bench.station, "jam", &incident()).unwrap();
    let mut operator = Caller::new(ground.site(), "operator-2");
    let stop = suspend("jam", Counts::default());
    operator.ask::<JobChangedReply>(Operation::JobSuspend, &stop).unwrap();
    bench.floor.incident(&mut bench.station, "jam", &incident()).unwrap();
    bench.floor.resume((&mut bench.station, "station-1"), "jam").unwrap();
    bench.floor.finish(&mut bench.station, "jam", good(0, 5), "station-1");
    let late = bench.floor.incident(&mut bench.station, "jam", &incident());
    assert_eq!(late, Err(is(JobState::Purged)));
    let told =
        [(Operation::JobIncident, is(JobState::Sealed)), (Operation::JobIncident, is(JobState::Purged))];
    assert_refused(&ground, "station-1", &told);
    let view = get(&mut bench.floor.data[0], name_of(&shift)).unwrap();
    assert_eq!(view.numbers.unwrap().incidents, 2);
    // The purge of the job's data leaves them.
    let leaves = raw::leaves(&ground);
    let all: Vec<IncidentReportedLeaf> = raw::of_kind(&leaves, LeafKind::IncidentReported);
    assert_eq!(all.len(), 2);
    ground.assert_clean();
}

fn record(caller: &mut Caller, job: &str) -> Result<JobRecordReply, Refusal> {
    caller.ask(Operation::JobRecord, &ReadJobRecord { schema: Schema, job: name(job) })
}

#[test]
fn the_record_of_a_job_is_signed_and_fobaudit_makes_the_same_from_the_log_with_the_service_off() {
    let (mut ground, mut bench) = shop();
    let (shift, third) = begun(&mut bench, "recorded");
    let sample = results(&third, &Outcome::Sample);
    give(&mut bench.station, &shift.job, sample).unwrap();
    assert_eq!(bench.floor.count(&mut bench.station, "recorded", good(2, 2)), Ok(false));
    bench.floor.incident(&mut bench.station, "recorded", &incident()).unwrap();
    let counts = Counts { good: 2, sample: 1, returned: 2, ..Counts::default() };
    bench.floor.finish(&mut bench.station, "recorded", counts, "station-1");
    let mut reviewer = Caller::new(ground.site(), "reviewer-1");
    let reply = record(&mut reviewer, "recorded").unwrap();
    let key = statement_key(&mut Caller::new(ground.site(), "platform-1"));
    let said = JobRecord::verify(reply.record.as_bytes(), &reviewer.genesis, &key).unwrap();
    assert_eq!(said.tally, Tally { made: 3, good: 2, rejected: 0, sample: 1 });
    let job = said.job;
    assert_eq!((job.state, job.name.as_str(), job.incidents.len()), (JobState::Purged, "recorded", 1));
    let even: Vec<_> = job.counts.iter().map(|given: &CountGiven| given.balance.is_even()).collect();
    assert_eq!(even, [false, true], "all counts are kept");
    let closed = job.closed.unwrap();
    assert_eq!(closed.witness.unwrap().as_str(), "monitor-1");
    assert_eq!(job.sessions[0].operators.to_vec(), [name("operator-1"), name("operator-2")]);
    let place = reply.receipt.check_inclusion();
    assert!(place.is_ok(), "the record's own leaf is proved");
    let made: Vec<JobRecordMadeLeaf> = raw::of_kind(&raw::leaves(&ground), LeafKind::JobRecordMade);
    assert_eq!(made.iter().map(|leaf| leaf.reader.as_str()).collect::<Vec<_>>(), ["reviewer-1"]);
    // Nobody who made the cards learns how many there were.
    for persona in ["operator-1", "station-1", "terminal-1"] {
        let refused = record(&mut Caller::new(ground.site(), persona), "recorded").unwrap_err();
        assert!(matches!(refused, Refusal::Forbidden | Refusal::SamePerson), "{persona}: {refused:?}");
    }

    let folder = ground.site().folder().to_owned();
    let (file, export) = (folder.join("recorded.record"), folder.join("export"));
    let mut fobctl = ground.fobctl("auditor-1", &["job", "record", "recorded", "--out"]);
    let fetched = ended({
        fobctl.arg(&file);
        fobctl
    });
    assert!(fetched.status.success(), "{}", text(&fetched));
    let mut exports = ground.fobctl("auditor-1", &["audit", "export"]);
    exports.arg(&export);
    let exported = ended(exports);
    assert!(exported.status.success(), "{}", text(&exported));
    ground.stop();
    let mut fobaudit = Command::new(&ground.programs().fobaudit);
    fobaudit.arg("counts").arg(&export).arg("--trust").arg(ground.site().trust());
    let agreed = ended({
        fobaudit.arg("--record").arg(&file);
        fobaudit
    });
    assert!(agreed.status.success(), "{}", text(&agreed));
    assert!(text(&agreed).contains("recorded"), "{}", text(&agreed));
}

#[test]
fn a_job_that_should_be_gone_is_overdue_in_the_list_and_in_the_figures() {
    let mut ground = Ground::founded();
    let port = ground.with_health();
    ground.start().unwrap();
    let mut bench = Bench::new(CARD, &ground, "station-1");
    let mut about = head("known", 1, 5);
    about.due_ms = now_ms() + 3_000;
    bench.floor.prepare("late", &about);
    bench.floor.prepare("in-time", &head("known", 1, 5));
    let mut data = Caller::new(ground.site(), "data-1");
    let overdue = |data: &mut Caller| {
        let request = ListJobs { schema: Schema, purged: false, after: None };
        let list: JobListReply = data.ask(Operation::JobList, &request).unwrap();
        let jobs = list.jobs.iter().map(|job| (job.name.to_string(), job.overdue));
        jobs.collect::<Vec<_>>()
    };
    let both = |late| [("in-time".to_owned(), false), ("late".to_owned(), late)];
    keysvc_tests::agreed::until("it is late", || overdue(&mut data) == both(true));
    ground.wait_until("the figures", || {
        let has = |page: &str| page.lines().any(|line| line == "keysvc_jobs_overdue 1");
        page(port, "/metrics").is_some_and(|page| has(&page.body))
    });
    // It is ended all the same.
    bench.floor.open((&mut bench.station, "station-1"), "late").unwrap();
    bench.floor.finish(&mut bench.station, "late", good(0, 5), "station-1");
    assert_eq!(overdue(&mut data), [("in-time".to_owned(), false)]);
}
