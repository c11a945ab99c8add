//! Jobs and cards in the store: the whole way of a job, what is refused on record, and what a restart finds.

use super::super::ground::{
    Ask, NOW_MS, Store, first_load, folder,
    jobs::{Floor, OPERATORS, SESSION_MS, STATION, card, cards, head, words},
    moment,
    people::by_quorum,
    update,
};
use crate::keeper::ledger::{
    change::{Change, Outcome as Settled},
    fault::LedgerFault,
    sqlite::database,
};
use keysvc_protocol::{
    card::{CardState, CardUid},
    cbor,
    freeze::{Scope, ScopeKind},
    job::{Counts, Job, JobState, Outcome, Tally},
    key::KeyState,
    leaf::{CardKeysDerivedLeaf, JobOpenedLeaf, JobRecordMadeLeaf, LeafKind},
    name::Name,
    refusal::{Conflict, Refusal, Thing, Uncounted},
    request::{Operation, ValueOperation::Load},
    schema::Schema,
};
use rusqlite::Connection;
use std::time::{Duration, Instant};

fn name(name: &str) -> Name {
    name.parse().unwrap()
}

fn conflict(reason: Conflict) -> Refusal {
    Refusal::StateConflict { reason }
}

fn in_state(state: JobState) -> Refusal {
    conflict(Conflict::JobState { state })
}

fn of_card(state: CardState) -> Refusal {
    conflict(Conflict::CardState { state })
}

/// A floor on which a job of so many cards, as they are encountered, is open.
fn open(folder: &tempfile::TempDir, issued: u32) -> Floor {
    let mut floor = Floor::founded(folder);
    floor.sealed("nfc-1", issued, &[]);
    let change = floor.open("nfc-1", &OPERATORS);
    floor.made(&change);
    floor
}

fn derived(floor: &mut Floor, job: &str, cards: &[CardUid]) -> CardKeysDerivedLeaf {
    let change = floor.derive(job, 1, cards);
    cbor::decode(&floor.made(&change).payload, 1 << 17).unwrap()
}

/// Counts and closes the job, so that its cards may go.
fn closed(floor: &mut Floor, counts: Counts) {
    let count = floor.count("nfc-1", counts);
    floor.made(&count);
    let close = floor.close("nfc-1");
    floor.made(&close);
}

/// Everything the store says of jobs and cards.
fn book(store: &Store, cards: &[CardUid]) -> impl PartialEq + std::fmt::Debug + use<> {
    let jobs: Vec<(Job, Tally)> = store.reader.jobs(None, true, 99).unwrap();
    let known: Vec<_> = cards.iter().map(|card| store.reader.card(card).unwrap()).collect();
    let items: Vec<_> = jobs
        .iter()
        .filter(|(job, _)| job.state != JobState::Purged)
        .flat_map(|(job, _)| cards.iter().map(|card| store.reader.item(&job.name, card).unwrap()))
        .collect();
    (jobs, known, items, store.reader.cards().unwrap(), store.reader.jobs_to_purge().unwrap())
}

#[test]
fn a_job_goes_its_whole_way_and_a_restart_finds_the_same_book_at_every_step() {
    let folder = folder();
    let mut floor = Floor::founded(&folder);
    let all = cards(1..6);
    let key = floor.make_key("nfc-1");
    let steps: [&dyn Fn(&mut Floor) -> Change; 13] = [
        &|floor| floor.create("data-1", "nfc-1", head(5, true)),
        &|floor| floor.items("data-1", "nfc-1", &cards(1..4)),
        &|floor| floor.items("data-1", "nfc-1", &cards(4..6)),
        &|floor| floor.seal("data-2", "nfc-1"),
        &|floor| floor.open("nfc-1", &OPERATORS),
        &|floor| floor.derive("nfc-1", 1, &cards(1..6)),
        &|floor| floor.suspend("operator-1", "nfc-1"),
        &|floor| floor.resume("nfc-1"),
        &|floor| {
            let cause = words("torn");
            floor.results("nfc-1", &[(card(5), Outcome::Reject { cause }), (card(4), Outcome::Sample)])
        },
        &|floor| floor.good("nfc-1", &cards(1..4)),
        &|floor| floor.incident("nfc-1"),
        &|floor| floor.count("nfc-1", Counts { good: 3, rejected: 1, sample: 1, ..Counts::default() }),
        &|floor| floor.close("nfc-1"),
    ];
    for (number, step) in steps.into_iter().enumerate() {
        let change = step(&mut floor);
        let leaf = floor.made(&change);
        let before = book(&floor.store, &all);
        floor = floor.reopened(&folder);
        assert_eq!(before, book(&floor.store, &all), "step {number}");
        // A session that was suspended is not answered again, and no leaf of the class Job once it is erased.
        assert_eq!(floor.made(&change).index, leaf.index, "step {number}");
    }
    let (job, tally) = floor.job("nfc-1");
    assert_eq!((job.state, job.items, job.sessions.len()), (JobState::Closed, 5, 2));
    assert_eq!(tally, Tally { made: 5, good: 3, rejected: 1, sample: 1 });
    let states = [1, 4, 5].map(|number| floor.store.reader.card(&card(number)).unwrap().unwrap().state);
    assert_eq!(states, [CardState::Ready, CardState::Retired, CardState::AwaitingDestruction]);
    assert_eq!(floor.store.reader.jobs_to_purge().unwrap(), [name("nfc-1")]);
    let item = floor.store.reader.item(&name("nfc-1"), &card(2)).unwrap().unwrap();
    assert_eq!(item.data.0.as_bytes(), format!("data of {}", card(2)).as_bytes());
    floor.destroy_key("nfc-1", key);
    let purged = floor.made(&Floor::purged("nfc-1", true));
    assert_eq!(purged.kind, LeafKind::JobPurged);
    let before = book(&floor.store, &all);
    let floor = floor.reopened(&folder);
    assert_eq!(before, book(&floor.store, &all));
    assert_eq!(floor.job("nfc-1").0.state, JobState::Purged);
    assert_eq!(floor.store.reader.jobs_to_purge().unwrap(), []);
    assert_eq!(floor.store.reader.item(&name("nfc-1"), &card(2)).unwrap(), None);
    assert_eq!(floor.store.reader.jobs(None, false, 9).unwrap(), []);
    assert_eq!(floor.store.reader.overdue(u64::MAX >> 1).unwrap(), 0);
}

#[test]
fn a_purge_leaves_no_item_row_and_only_a_closed_job_is_purged() {
    let folder = folder();
    let mut floor = Floor::founded(&folder);
    let rows = || {
        let connection = Connection::open(database(folder.path())).unwrap();
        connection.query_row("SELECT count(*) FROM job_item", [], |row| row.get::<_, u32>(0)).unwrap()
    };
    for (job, range) in [("nfc-1", 1..4), ("nfc-2", 4..6)] {
        floor.make_key(job);
        let create = floor.create("data-1", job, head(9, true));
        floor.made(&create);
        let items = floor.items("data-1", job, &cards(range));
        floor.made(&items);
    }
    let size = floor.store.reader.head().size;
    let early = floor.store.one(&Floor::purged("nfc-1", true), NOW_MS).unwrap();
    assert!(matches!(early, Settled::Refused(refusal) if refusal == in_state(JobState::Draft)));
    let none = floor.store.one(&Floor::purged("nfc-9", true), NOW_MS).unwrap();
    assert!(matches!(none, Settled::Refused(Refusal::NotFound { what: Thing::Job })));
    assert_eq!((floor.store.reader.head().size, rows()), (size, 5), "the service asked itself");
    let withdraw = floor.withdraw("data-1", "nfc-1");
    floor.made(&withdraw);
    floor.made(&Floor::purged("nfc-1", true));
    assert_eq!(rows(), 2);
    assert!(floor.store.reader.item(&name("nfc-2"), &card(4)).unwrap().is_some());
}

#[test]
fn items_without_their_jobs_data_key_are_a_fault_of_one_change_and_nothing_is_written() {
    let folder = folder();
    let mut floor = Floor::founded(&folder);
    let create = floor.create("data-1", "nfc-1", head(9, true));
    floor.made(&create);
    let items = floor.items("data-1", "nfc-1", &cards(1..3));
    let (size, before) = (floor.store.reader.head().size, floor.job("nfc-1"));
    let fault = floor.store.one(&items, NOW_MS).unwrap_err();
    assert!(matches!(&fault, LedgerFault::NoJobSeal { .. }) && !fault.ends_the_keeper(), "{fault}");
    assert_eq!((floor.store.reader.head().size, floor.job("nfc-1")), (size, before));
    floor.make_key("nfc-1");
    floor.made(&items);
    assert_eq!(floor.job("nfc-1").0.items, 2);
}

#[test]
fn a_repetition_of_items_that_are_erased_is_refused_with_the_job() {
    let folder = folder();
    let mut floor = Floor::founded(&folder);
    let key = floor.make_key("nfc-1");
    let create = floor.create("data-1", "nfc-1", head(9, true));
    floor.made(&create);
    let items = floor.items("data-1", "nfc-1", &cards(1..3));
    floor.made(&items);
    let withdraw = floor.withdraw("data-1", "nfc-1");
    floor.made(&withdraw);
    floor.destroy_key("nfc-1", key);
    assert_eq!(floor.refused(&items), in_state(JobState::Purged));
}

#[test]
fn what_a_job_does_not_allow_is_refused_on_record_and_changes_nothing() {
    let folder = folder();
    let mut floor = open(&folder, 3);
    derived(&mut floor, "nfc-1", &cards(1..3));
    let before = book(&floor.store, &cards(1..5));
    let again = floor.create("data-1", "nfc-1", head(3, false));
    assert_eq!(floor.refused(&again), conflict(Conflict::NameTaken));
    let stranger = floor.create("operator-1", "nfc-2", head(3, false));
    assert_eq!(floor.refused(&stranger), Refusal::Forbidden);
    let sealed = floor.seal("data-2", "nfc-1");
    assert_eq!(floor.refused(&sealed), in_state(JobState::Open));
    let withdraw = floor.withdraw("data-1", "nfc-1");
    assert_eq!(floor.refused(&withdraw), in_state(JobState::Open));
    let items = floor.items("data-1", "nfc-1", &cards(1..2));
    assert_eq!(floor.refused(&items), in_state(JobState::Open));
    let one = floor.open("nfc-1", &["operator-1", "operator-1"]);
    assert_eq!(floor.refused(&one), Refusal::SamePerson);
    let resume = floor.resume("nfc-1");
    assert_eq!(floor.refused(&resume), in_state(JobState::Open));
    floor.exchange = floor.job("nfc-1").0.session().unwrap().exchange;
    let other = floor.suspend("operator-3", "nfc-1");
    assert_eq!(floor.refused(&other), Refusal::Forbidden);
    let close = floor.close("nfc-1");
    assert_eq!(floor.refused(&close), conflict(Conflict::Unbalanced));
    let unknown = floor.good("nfc-1", &cards(4..5));
    assert_eq!(floor.refused(&unknown), Refusal::NotFound { what: Thing::Card });
    let nowhere = floor.count("nfc-9", Counts::default());
    assert_eq!(floor.refused(&nowhere), Refusal::NotFound { what: Thing::Job });
    let nowhere = floor.incident("nfc-9");
    assert_eq!(floor.refused(&nowhere), Refusal::NotFound { what: Thing::Job });
    let sold = floor.transition("office-1", &cards(1..2), CardState::Active);
    assert_eq!(floor.refused(&sold), in_state(JobState::Open), "its cards are counted first");
    let anew = floor.derive("nfc-1", 2, &cards(1..2));
    assert_eq!(floor.refused(&anew), Refusal::ResultPending);
    let moved = floor.derive("nfc-9", 1, &cards(1..2));
    assert_eq!(floor.refused(&moved), Refusal::NotFound { what: Thing::Job });
    assert_eq!(book(&floor.store, &cards(1..5)), before);
}

#[test]
fn a_batch_that_runs_past_the_job_is_cut_and_its_leaf_says_where() {
    let folder = folder();
    let mut floor = open(&folder, 3);
    let leaf = derived(&mut floor, "nfc-1", &cards(1..3));
    assert_eq!((leaf.cards, leaf.count, leaf.profile.as_str(), leaf.profile_version), (2, 2, "tag", 1));
    let leaf = derived(&mut floor, "nfc-1", &cards(3..6));
    assert_eq!((leaf.cards, leaf.count), (1, 1));
    let more = floor.derive("nfc-1", 1, &cards(4..6));
    assert_eq!(floor.refused(&more), conflict(Conflict::JobComplete));
    let reader = &floor.store.reader;
    assert_eq!((reader.cards().unwrap(), reader.cards_under(&name("b"), 1).unwrap()), (3, 3));
    assert_eq!(reader.card(&card(4)).unwrap(), None);
    assert_eq!(floor.job("nfc-1").1.made, 3);
}

#[test]
fn card_keys_are_asked_for_again_only_while_their_session_lasts() {
    let folder = folder();
    let mut floor = open(&folder, 3);
    let opened = floor.open("nfc-1", &OPERATORS);
    let leaf = floor.made(&opened);
    let said: JobOpenedLeaf = cbor::decode(&leaf.payload, 1 << 17).unwrap();
    assert_eq!((said.operation, said.expires_at_ms), (Operation::JobOpen, NOW_MS + SESSION_MS));
    let derive = floor.derive("nfc-1", 1, &cards(1..3));
    let first = floor.made(&derive);
    assert_eq!(first.index, leaf.index + 1);
    assert!(floor.made(&derive).retried && floor.made(&opened).retried);
    let suspend = floor.suspend("operator-2", "nfc-1");
    floor.made(&suspend);
    for again in [&derive, &opened] {
        assert_eq!(floor.refused(again), in_state(JobState::Suspended));
    }
    let resume = floor.resume("nfc-1");
    floor.made(&resume);
    assert_eq!(floor.refused(&derive), Refusal::ExchangeUnknown);
    assert_eq!(floor.refused(&opened), conflict(Conflict::SessionOver));
    let derive = floor.derive("nfc-1", 1, &cards(1..3));
    floor.made(&derive);
    floor.now_ms += SESSION_MS + 1;
    for again in [&derive, &resume] {
        assert_eq!(floor.refused(again), conflict(Conflict::SessionOver));
    }
}

#[test]
fn freezes_of_a_job_its_station_profile_key_or_cards_stop_its_making_and_nothing_that_ends_it() {
    let folder = folder();
    let scopes = [
        (Scope::Job { name: name("nfc-1") }, ScopeKind::Job, true),
        (Scope::Station { name: name(STATION) }, ScopeKind::Station, true),
        (Scope::Profile { name: name("tag") }, ScopeKind::Profile, true),
        (Scope::Key { name: name("b") }, ScopeKind::Key, true),
        (Scope::Card { card: card(1), programme: None }, ScopeKind::Card, false),
    ];
    let mut floor = open(&folder, 9);
    derived(&mut floor, "nfc-1", &cards(1..3));
    for (number, (scope, kind, opens)) in (1..).zip(scopes) {
        let freeze = floor.store.freeze("anna", 2 * number, scope.clone());
        floor.made(&freeze.alter());
        let derive = floor.derive("nfc-1", 1, &cards(1..3));
        assert_eq!(floor.refused(&derive), Refusal::Frozen { scope: kind });
        if opens {
            let before = floor.exchange;
            let open = floor.open("nfc-1", &OPERATORS);
            assert_eq!(floor.refused(&open), Refusal::Frozen { scope: kind });
            floor.exchange = before;
        }
        let incident = floor.incident("nfc-1");
        floor.made(&incident);
        let lift = floor.store.lift("anna", 2 * number + 1, scope);
        let now = moment(floor.now_ms);
        let evidence = floor.store.approved(&lift, number, &["anna", "boris"], now);
        floor.made(&lift.by_quorum(&evidence));
    }
    let freeze = floor.store.freeze("anna", 100, Scope::Job { name: name("nfc-1") });
    floor.made(&freeze.alter());
    let good = floor.good("nfc-1", &cards(1..3));
    floor.made(&good);
    let sell = floor.transition("office-1", &cards(1..2), CardState::Active);
    assert_eq!(floor.refused(&sell), Refusal::Frozen { scope: ScopeKind::Job });
    let suspend = floor.suspend("operator-1", "nfc-1");
    floor.made(&suspend);
    let misspelt = floor.store.freeze("anna", 101, Scope::Job { name: name("nfc-l") });
    assert_eq!(floor.refused(&misspelt.alter()), Refusal::NotFound { what: Thing::Job });
}

#[test]
fn another_generation_takes_two_people_and_becomes_an_act_by_quorum() {
    let folder = folder();
    let mut floor = open(&folder, 2);
    derived(&mut floor, "nfc-1", &cards(1..2));
    let good = floor.good("nfc-1", &cards(1..2));
    floor.made(&good);
    let alone = floor.derive("nfc-1", 2, &cards(1..2));
    let too_few = Refusal::ApprovalInvalid { reason: Uncounted::TooFew };
    assert_eq!(floor.refused(&alone), too_few);
    let anew = floor.derive("nfc-1", 2, &cards(1..2));
    let now = moment(floor.now_ms);
    let evidence = floor.store.approved(&Floor::as_request(&anew), 1, &["anna", "boris"], now);
    let act = floor.made(&by_quorum(anew.clone(), &evidence));
    assert_eq!((act.kind, act.act().unwrap().0), (LeafKind::SealedActByQuorum, LeafKind::CardKeysDerived));
    let record = floor.store.reader.card(&card(1)).unwrap().unwrap();
    assert_eq!((record.generation, record.leaf, record.state), (2, act.index, CardState::InProduction));
    assert!(floor.made(&anew).retried);
    let results = floor.good("nfc-1", &cards(1..2));
    let Change::GiveResults { .. } = &results else { panic!("{results:?}") };
    let not = floor.store.one(&by_quorum(results, &evidence), NOW_MS);
    assert!(matches!(not, Err(LedgerFault::NoAct)));
}

#[test]
fn a_card_is_sold_and_taken_back_by_its_organisation_and_its_holder_stands_in_the_leaf() {
    let folder = folder();
    let mut floor = open(&folder, 9);
    derived(&mut floor, "nfc-1", &cards(1..4));
    let good = floor.good("nfc-1", &cards(1..4));
    floor.made(&good);
    closed(&mut floor, Counts { good: 3, returned: 6, ..Counts::default() });
    let sell = floor.transition("terminal-1", &cards(1..2), CardState::Active);
    let leaf = floor.made(&sell);
    let record = floor.store.reader.card(&card(1)).unwrap().unwrap();
    assert_eq!(
        (record.state, record.location.as_str(), record.holder),
        (CardState::Active, "store-1", Some(leaf.index))
    );
    let holder = floor.store.reader.holder(leaf.index).unwrap().unwrap();
    assert_eq!(holder.0.as_bytes(), b"holder 7");
    assert_eq!(floor.store.reader.holder(leaf.index - 1).unwrap(), None);
    let others = floor.transition("office-2", &cards(1..2), CardState::Retired);
    assert_eq!(floor.refused(&others), Refusal::Forbidden);
    let frozen = floor.store.freeze("anna", 1, Scope::Card { card: card(1), programme: None });
    floor.made(&frozen.alter());
    let stopped = floor.transition("office-1", &cards(1..3), CardState::Retired);
    assert_eq!(floor.refused(&stopped), Refusal::Frozen { scope: ScopeKind::Card });
    let retire = floor.transition("office-1", &cards(2..4), CardState::Retired);
    let now = moment(floor.now_ms);
    let evidence = floor.store.approved(&Floor::as_request(&retire), 1, &["anna", "boris"], now);
    let act = floor.made(&by_quorum(retire, &evidence));
    assert_eq!(act.act().unwrap().0, LeafKind::CardsChanged);
    assert_eq!(floor.store.reader.card(&card(3)).unwrap().unwrap().state, CardState::Retired);
}

#[test]
fn value_is_kept_from_cards_that_the_registry_knows_and_that_are_not_in_use() {
    let folder = folder();
    let mut floor = open(&folder, 9);
    let value = |card: CardUid, idem, seq| {
        let mut load = update(idem, &Ask(Load, 100, seq, (seq - 1) * 100));
        if let Change::UpdateValue { request, .. } = &mut load {
            request.card = card;
        }
        load
    };
    floor.made(&value(card(8), 1, 1));
    derived(&mut floor, "nfc-1", &cards(1..2));
    assert_eq!(floor.refused(&value(card(1), 2, 1)), of_card(CardState::InProduction));
    let good = floor.good("nfc-1", &cards(1..2));
    floor.made(&good);
    floor.made(&value(card(1), 3, 1));
    closed(&mut floor, Counts { good: 1, returned: 8, ..Counts::default() });
    let retire = floor.transition("office-1", &cards(1..2), CardState::Retired);
    floor.made(&retire);
    assert_eq!(floor.refused(&value(card(1), 4, 2)), of_card(CardState::Retired));
}

#[test]
fn a_deactivated_master_key_goes_on_for_the_cards_that_have_keys_under_it() {
    let folder = folder();
    let mut floor = open(&folder, 9);
    derived(&mut floor, "nfc-1", &cards(1..2));
    let retire = floor.store.key_event("anna", Operation::KeyRetire, 3, ("b", 1));
    let now = moment(floor.now_ms);
    let evidence = floor.store.approved(&retire, 1, &["anna", "boris"], now);
    floor.made(&retire.by_quorum(&evidence));
    let mut floor = floor.reopened(&folder);
    let both = floor.derive("nfc-1", 1, &cards(1..3));
    assert_eq!(floor.refused(&both), conflict(Conflict::KeyState { state: KeyState::Deactivated }));
    derived(&mut floor, "nfc-1", &cards(1..2));
    assert_eq!(floor.store.reader.cards_under(&name("b"), 1).unwrap(), 1);
}

#[test]
fn jobs_are_listed_by_name_page_by_page_and_counted_when_they_are_overdue() {
    let folder = folder();
    let mut floor = Floor::founded(&folder);
    for (number, due_ms) in [(3, 10), (1, 20), (2, 30)] {
        let head = keysvc_protocol::job::JobHead { due_ms: NOW_MS + due_ms, ..head(1, false) };
        let create = floor.create("data-1", &format!("nfc-{number}"), head);
        floor.made(&create);
    }
    let withdraw = floor.withdraw("data-1", "nfc-1");
    floor.made(&withdraw);
    floor.made(&Floor::purged("nfc-1", false));
    let reader = &floor.store.reader;
    let names = |after: Option<&str>, purged, limit| {
        let after = after.map(name);
        let jobs = reader.jobs(after.as_ref(), purged, limit).unwrap();
        jobs.into_iter().map(|(job, _)| job.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, true, 9), ["nfc-1", "nfc-2", "nfc-3"]);
    assert_eq!(names(None, false, 9), ["nfc-2", "nfc-3"]);
    assert_eq!(names(Some("nfc-2"), false, 9), ["nfc-3"]);
    assert_eq!(names(None, true, 1), ["nfc-1"]);
    let overdue = [10, 11, 31].map(|after_ms| reader.overdue(NOW_MS + after_ms).unwrap());
    assert_eq!(overdue, [0, 1, 2]);
    assert_eq!(reader.job(&name("nfc-9")).unwrap(), None);
}

#[test]
fn a_stations_jobs_are_listed_without_those_of_others() {
    let folder = folder();
    let mut floor = Floor::founded(&folder);
    for job in ["nfc-1", "nfc-2", "nfc-3", "nfc-4"] {
        let create = floor.create("data-1", job, head(1, false));
        floor.made(&create);
    }
    let connection = Connection::open(database(folder.path())).unwrap();
    let others = "UPDATE job SET station = 'station-2' WHERE name IN ('nfc-1', 'nfc-3')";
    assert_eq!(connection.execute(others, []).unwrap(), 2);
    let withdraw = floor.withdraw("data-1", "nfc-2");
    floor.made(&withdraw);
    floor.made(&Floor::purged("nfc-2", false));
    let reader = &floor.store.reader;
    let names = |after: Option<&str>, purged, limit| {
        let after = after.map(name);
        let jobs = reader.jobs_of(&name(STATION), after.as_ref(), purged, limit).unwrap();
        jobs.into_iter().map(|(job, _)| job.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, true, 9), ["nfc-2", "nfc-4"]);
    assert_eq!(names(None, false, 9), ["nfc-4"]);
    assert_eq!(names(Some("nfc-2"), true, 9), ["nfc-4"]);
    assert_eq!(names(None, true, 1), ["nfc-2"]);
    assert_eq!(reader.jobs_of(&name("station-9"), None, true, 9).unwrap(), []);
}

#[test]
fn of_two_hundred_and_fifty_six_jobs_one_must_be_purged_before_the_next_is_made() {
    let folder = folder();
    let mut floor = Floor::founded(&folder);
    let first = floor.create("data-1", "nfc-0", head(1, false));
    floor.made(&first);
    for number in 1..256 {
        let create = floor.create("data-1", &format!("nfc-{number}"), head(1, false));
        floor.made(&create);
    }
    let full = conflict(Conflict::Full);
    let next = floor.create("data-1", "nfc-256", head(1, false));
    assert_eq!(floor.refused(&next), full);
    let taken = floor.create("data-1", "nfc-7", head(1, false));
    assert_eq!(floor.refused(&taken), conflict(Conflict::NameTaken));
    assert!(floor.made(&first).retried);
    let withdraw = floor.withdraw("data-1", "nfc-0");
    floor.made(&withdraw);
    assert_eq!(floor.refused(&next), full, "closed and not purged yet");
    floor.made(&Floor::purged("nfc-0", false));
    floor.made(&next);
}

#[test]
fn items_go_in_portions_and_only_those_of_a_closed_job_whose_data_key_is_gone() {
    let folder = folder();
    let mut floor = Floor::founded(&folder);
    let key = floor.make_key("nfc-1");
    let create = floor.create("data-1", "nfc-1", head(9, true));
    floor.made(&create);
    let items = floor.items("data-1", "nfc-1", &cards(1..6));
    floor.made(&items);
    let rows = || {
        let connection = Connection::open(database(folder.path())).unwrap();
        connection.query_row("SELECT count(*) FROM job_item", [], |row| row.get::<_, u32>(0)).unwrap()
    };
    let some = |job: &str| Change::ForgetItems { job: name(job), max: 2 };
    let early = floor.store.one(&some("nfc-1"), NOW_MS).unwrap();
    assert!(matches!(early, Settled::Refused(refusal) if refusal == in_state(JobState::Draft)));
    let withdraw = floor.withdraw("data-1", "nfc-1");
    floor.made(&withdraw);
    let keyed = floor.store.one(&some("nfc-1"), NOW_MS).unwrap();
    assert!(matches!(keyed, Settled::Refused(refusal) if refusal == in_state(JobState::Closed)));
    let none = floor.store.one(&some("nfc-9"), NOW_MS).unwrap();
    assert!(matches!(none, Settled::Refused(Refusal::NotFound { what: Thing::Job })));
    assert_eq!(rows(), 5);
    floor.destroy_key("nfc-1", key);
    let size = floor.store.reader.head().size;
    for left in [3, 1, 0, 0] {
        assert!(matches!(floor.store.one(&some("nfc-1"), NOW_MS), Ok(Settled::Counted)));
        assert_eq!((rows(), floor.store.reader.has_items(&name("nfc-1")).unwrap()), (left, left > 0));
    }
    assert_eq!(floor.store.reader.head().size, size, "no leaf says so");
    floor.made(&Floor::purged("nfc-1", true));
}

#[test]
fn the_record_of_a_job_is_on_record_before_it_is_signed() {
    let folder = folder();
    let mut floor = Floor::founded(&folder);
    let record = floor.digest();
    let leaf = JobRecordMadeLeaf { schema: Schema, reader: name("reviewer-1"), job: name("nfc-1"), record };
    let made = floor.made(&Change::JobRecordMade(leaf.clone()));
    assert_eq!(made.kind, LeafKind::JobRecordMade);
    assert_eq!(cbor::decode::<JobRecordMadeLeaf>(&made.payload, 1 << 17).unwrap(), leaf);
}

#[test]
fn fifty_thousand_cards_are_made_within_a_generous_time_and_none_stands_on_the_disk() {
    const BATCH: u32 = 1_000;
    let folder = folder();
    let mut floor = Floor::founded(&folder);
    let began = Instant::now();
    floor.sealed("nfc-1", 60_000, &[]);
    let open = floor.open("nfc-1", &OPERATORS);
    floor.made(&open);
    for batch in 0..50 {
        let batch = cards(batch * BATCH..(batch + 1) * BATCH);
        assert_eq!(derived(&mut floor, "nfc-1", &batch).cards, BATCH);
        let good = floor.good("nfc-1", &batch);
        floor.made(&good);
    }
    assert_eq!(floor.store.reader.cards().unwrap(), 50_000);
    assert_eq!(floor.job("nfc-1").1, Tally { made: 50_000, good: 50_000, ..Tally::default() });
    // Some 6 s here, unoptimized; what grows with the square of the cards takes hours.
    assert!(began.elapsed() < Duration::from_mins(5), "{:?}", began.elapsed());
    drop(floor);
    let bytes = std::fs::read(database(folder.path())).unwrap();
    let uid = card(4_711);
    assert!(!bytes.windows(7).any(|window| window == uid.as_bytes()));
}

#[test]
fn an_older_store_is_brought_up_with_the_leaves_of_its_keys_and_cards_listed() {
    let folder = folder();
    let mut floor = open(&folder, 3);
    derived(&mut floor, "nfc-1", &cards(1..2));
    floor.made(&first_load(9));
    let keys = floor.store.reader.control().unwrap().keys().iter().count();
    let Floor { store, seals, .. } = floor;
    drop(store);
    let connection = Connection::open(database(folder.path())).unwrap();
    let sql = "DROP TABLE control; DROP TABLE proposal; DROP TABLE vote; DROP TABLE issued; DROP TABLE impact; \
        DROP TABLE unissued; DROP TABLE job; DROP TABLE job_station; DROP TABLE job_item; DROP TABLE card; \
        DROP TABLE card_count; DROP TABLE first; ALTER TABLE purse DROP COLUMN mark; ALTER TABLE purse DROP COLUMN next; \
        ALTER TABLE idem DROP COLUMN mark;";
    connection.execute_batch(sql).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    drop(connection);
    let mut store = Store::open(&folder, seals);
    store.restored.clone().unwrap();
    assert_eq!(store.reader.control().unwrap().keys().iter().count(), keys);
    store.made(&Change::Heartbeat, moment(NOW_MS));
    assert_eq!(store.reader.cards_under(&name("b"), 1).unwrap(), 1);
}
