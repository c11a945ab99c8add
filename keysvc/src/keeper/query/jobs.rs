//! Reads about personalization jobs and cards.
//!
//! How many cards a job has, nobody is told who makes them or has made any: they count blind.

use super::{Query, View};
use crate::{
    error::{Fault, NotDone},
    keeper::{gate::Permit, site::Enrolled},
};
use keysvc_protocol::{
    bytes::Digest,
    card::{CardRecord, CardState, CardUid, ShownCard},
    control::Freezes,
    founding::{PrincipalKind, Programme},
    freeze::Scope,
    hash::sha256,
    job::{Job, JobState, Role, Tally},
    list::List,
    name::Name,
    refusal::{Refusal, Thing},
    reply::{CardReply, JOBS_MAX, JobListReply, JobNumbers, JobReply, JobView},
    request::{CheckCard, ListJobs, ReadJob},
    schema::Schema,
};

/// What a caller is told of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// As if it did not exist.
    Nothing,
    /// No number at all.
    Outside,
    /// What is in hand at the station, and no other number.
    InHand,
    /// All of it.
    Numbers,
}

fn has(caller: &Enrolled, role: Role) -> bool {
    caller.kind == PrincipalKind::Operator
        && caller.capabilities.iter().any(|capability| capability == role.capability())
}

/// What this caller sees of a job. Whoever operated it never learns how many cards it has, nor does who may operate the
/// next one, whatever else they do.
fn sight(caller: &Enrolled, job: &Job) -> Sight {
    let oversees = matches!(caller.kind, PrincipalKind::Officer | PrincipalKind::Auditor);
    if caller.kind == PrincipalKind::Station {
        return if job.head.station == caller.id { Sight::InHand } else { Sight::Nothing };
    }
    if job.history().operated_by.contains(&caller.id) {
        return Sight::InHand;
    }
    if has(caller, Role::StationOperator) {
        return Sight::Outside;
    }
    if oversees || has(caller, Role::Reviewer) || (has(caller, Role::DataOperator) && is_theirs(caller, job))
    {
        return Sight::Numbers;
    }
    Sight::Outside
}

/// Whether a data operator made or sealed a job, or may still be who seals it and has to read it first.
fn is_theirs(caller: &Enrolled, job: &Job) -> bool {
    let sealed_by = job.sealed.as_ref().map(|sealed| &sealed.by);
    job.state == JobState::Draft || job.created.by == caller.id || sealed_by == Some(&caller.id)
}

/// Whether a caller may read the audit record of a job, which holds all its numbers: of operators only those who see
/// them anyway.
#[must_use]
pub fn may_read_record(caller: &Enrolled, job: &Job) -> bool {
    caller.kind != PrincipalKind::Operator || sight(caller, job) == Sight::Numbers
}

/// A job as a caller may see it; nothing where it is to be as if it did not exist.
fn view(caller: &Enrolled, (job, tally): (&Job, &Tally), now_ms: u64) -> Option<JobView> {
    let sight = sight(caller, job);
    if sight == Sight::Nothing {
        return None;
    }
    let session = job.session().filter(|_| job.state == JobState::Open);
    Some(JobView {
        name: job.name.clone(),
        state: job.state,
        order: job.head.order.clone(),
        profile: job.head.profile.clone(),
        profile_version: job.head.profile_version,
        station: job.head.station.clone(),
        equipment: job.head.equipment.clone(),
        listed: job.head.listed,
        due_ms: job.head.due_ms,
        pending: if sight == Sight::Outside { 0 } else { tally.pending() },
        overdue: job.is_overdue(now_ms),
        operators: session.map(|session| session.operators.clone()).unwrap_or_default(),
        session_expires_ms: session.map(|session| session.expires_ms),
        numbers: (sight == Sight::Numbers).then(|| numbers(job, tally)),
    })
}

fn numbers(job: &Job, tally: &Tally) -> JobNumbers {
    JobNumbers {
        customer: job.head.customer.clone(),
        lot: job.head.lot.clone(),
        ordered: job.head.ordered,
        issued: job.head.issued,
        carried_over: job.head.carried_over,
        items: job.items,
        head: job.head.digest(),
        root: job.manifest_root().unwrap_or_else(of_nothing),
        tally: *tally,
        created: job.created.clone(),
        sessions: count(job.sessions.len()),
        suspensions: count(job.suspensions.len()),
        incidents: count(job.incidents.len()),
        counts: count(job.counts.len()),
        balance: job.counts.last().map(|count| count.balance),
        sealed: job.sealed.clone(),
    }
}

/// The root of a manifest without items (RFC 6962 section 2.1).
fn of_nothing() -> Digest {
    sha256(&[])
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Query for ReadJob {
    type Reply = JobReply;

    fn answer(permit: &Permit<Self>, by: &View<'_>) -> Result<JobReply, NotDone> {
        let not_found = Refusal::NotFound { what: Thing::Job };
        let found = by.reader.job(&permit.action().job).map_err(Fault::from)?;
        let seen = found.and_then(|(job, tally)| view(permit.caller(), (&job, &tally), by.now_ms));
        Ok(JobReply { schema: Schema, job: seen.ok_or(not_found)? })
    }
}

impl Query for ListJobs {
    type Reply = JobListReply;

    fn answer(permit: &Permit<Self>, by: &View<'_>) -> Result<JobListReply, NotDone> {
        let (asked, caller, after) = (permit.action(), permit.caller(), permit.action().after.as_ref());
        // Whatever a station is not shown must not cost it a page: everybody else is shown every job.
        let page = match caller.kind {
            PrincipalKind::Station => by.reader.jobs_of(&caller.id, after, asked.purged, JOBS_MAX),
            _ => by.reader.jobs(after, asked.purged, JOBS_MAX),
        };
        let page = page.map_err(Fault::from)?;
        let seen = page.iter().filter_map(|(job, tally)| view(caller, (job, tally), by.now_ms));
        let jobs: Vec<_> = seen.collect();
        let too_long = |_| Fault::Invariant("a list is longer than its reply");
        Ok(JobListReply { schema: Schema, jobs: List::try_from(jobs).map_err(too_long)? })
    }
}

impl Query for CheckCard {
    type Reply = CardReply;

    fn answer(permit: &Permit<Self>, by: &View<'_>) -> Result<CardReply, NotDone> {
        let (card, caller) = (permit.action().card, permit.caller());
        let record = by.reader.card(&card).map_err(Fault::from)?;
        let frozen = is_frozen(&card, caller, (by.control.freezes(), &by.site.founding().programmes));
        let state = record.as_ref().map_or(CardState::Blank, |record| record.state);
        let mut reply = CardReply {
            schema: Schema,
            card: shown(&card, caller),
            state: state.shown(frozen),
            generation: record.as_ref().map_or(0, |record| record.generation),
            profile: None,
            location: None,
            job: None,
            holder: None,
        };
        if let Some(record) = record {
            let job = by.reader.job(&record.job).map_err(Fault::from)?;
            let (job, _) = job.ok_or(Fault::Invariant("a card's job is not there"))?;
            reply.profile = Some(job.head.profile.clone());
            if names_job(caller, &job) {
                reply.job = Some(job.name);
            }
            if let Some(leaf) = record.holder.filter(|_| names_holder(caller, &record)) {
                reply.holder = by.reader.holder(leaf).map_err(Fault::from)?;
            }
            reply.location = Some(record.location);
        }
        Ok(reply)
    }
}

/// The card as its reader is shown it: operators know cards by their ends.
fn shown(card: &CardUid, caller: &Enrolled) -> ShownCard {
    match caller.kind {
        PrincipalKind::Operator => ShownCard::masked(card),
        _ => ShownCard::Whole { card: *card },
    }
}

/// Whether a card is stopped everywhere, or in a programme of the caller's own organisation.
fn is_frozen(card: &CardUid, caller: &Enrolled, (freezes, programmes): (&Freezes, &[Programme])) -> bool {
    let in_programme =
        |programme: Option<Name>| freezes.get(&Scope::Card { card: *card, programme }).is_some();
    let own = |programme: &&Programme| programme.organisation.as_str() == caller.organisation;
    in_programme(None)
        || programmes.iter().filter(own).any(|programme| in_programme(Some(programme.name.clone())))
}

/// Whether the job of a card is named: it is nothing to those who sell it.
fn names_job(caller: &Enrolled, job: &Job) -> bool {
    !matches!(caller.kind, PrincipalKind::Terminal | PrincipalKind::Office)
        && sight(caller, job) != Sight::Nothing
}

/// Whether a card's holder is named: to the office that has the card, and to auditors.
fn names_holder(caller: &Enrolled, record: &CardRecord) -> bool {
    match caller.kind {
        PrincipalKind::Auditor => true,
        PrincipalKind::Office => caller.store.as_ref() == Some(&record.location),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{
        bytes::Exchange,
        job::{Done, JobHead, Session},
    };

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn caller(id: &str, kind: PrincipalKind, capability: &str) -> Enrolled {
        Enrolled {
            id: name(id),
            kind,
            organisation: "bureau".to_owned(),
            department: String::new(),
            capabilities: vec![capability.to_owned()],
            statement_key: None,
            wrapping_key: None,
            uri: String::new(),
            store: Some(name("bureau")),
            enabled: true,
        }
    }

    fn operator(id: &str, capability: &str) -> Enrolled {
        caller(id, PrincipalKind::Operator, capability)
    }

    fn done(by: &str) -> Done {
        Done { by: name(by), at_ms: 1, leaf: 1 }
    }

    fn job() -> Job {
        let session = Session {
            exchange: Exchange::new([1; 16]),
            operators: List::try_from(vec![name("operator-1"), name("operator-2")]).unwrap(),
            opened_ms: 1,
            expires_ms: 100,
            leaf: 3,
        };
        Job {
            schema: Schema,
            name: name("nfc-1"),
            head: JobHead {
                schema: Schema,
                order: "4711".parse().unwrap(),
                customer: "acme".parse().unwrap(),
                profile: name("door"),
                profile_version: 1,
                lot: "lot 1".parse().unwrap(),
                station: name("station-1"),
                equipment: "encoder".parse().unwrap(),
                ordered: 3,
                issued: 4,
                carried_over: 0,
                listed: false,
                due_ms: 50,
            },
            state: JobState::Open,
            created: done("data-1"),
            items: 0,
            edge: List::default(),
            sessions: List::try_from(vec![session]).unwrap(),
            suspensions: List::default(),
            counts: List::default(),
            incidents: List::default(),
            used: List::default(),
            root: None,
            sealed: Some(done("data-2")),
            closed: None,
            purged_ms: None,
        }
    }

    const TALLY: Tally = Tally { made: 3, good: 1, rejected: 0, sample: 0 };

    fn seen(caller: &Enrolled) -> Option<(u32, bool)> {
        view(caller, (&job(), &TALLY), 60).map(|view| (view.pending, view.numbers.is_some()))
    }

    #[test]
    fn numbers_are_for_those_who_neither_make_the_cards_nor_ever_made_any_of_them() {
        assert_eq!(seen(&caller("officer-1", PrincipalKind::Officer, "")), Some((2, true)));
        assert_eq!(seen(&caller("auditor-1", PrincipalKind::Auditor, "")), Some((2, true)));
        assert_eq!(seen(&operator("data-1", "data-operator")), Some((2, true)));
        assert_eq!(seen(&operator("reviewer-1", "reviewer")), Some((2, true)));
        assert_eq!(seen(&operator("operator-1", "reviewer")), Some((2, false)), "it operated the job");
        assert_eq!(seen(&operator("operator-1", "data-operator")), Some((2, false)), "it operated the job");
        assert_eq!(seen(&operator("operator-1", "station-operator")), Some((2, false)));
        assert_eq!(seen(&operator("operator-9", "station-operator")), Some((0, false)));
        assert_eq!(seen(&operator("monitor-1", "monitor")), Some((0, false)));
        assert_eq!(seen(&caller("station-1", PrincipalKind::Station, "reviewer")), Some((2, false)));
        assert_eq!(seen(&caller("station-2", PrincipalKind::Station, "reviewer")), None, "another's");
    }

    #[test]
    fn whoever_may_work_at_a_station_reads_the_numbers_of_no_job_and_no_record() {
        for other in ["reviewer", "data-operator"] {
            // The name is that of who made the job.
            let mut both = operator("data-1", other);
            assert!(may_read_record(&both, &job()));
            both.capabilities.push("station-operator".to_owned());
            assert_eq!(seen(&both), Some((0, false)), "{other}");
            assert!(!may_read_record(&both, &job()), "{other}");
            let draft = Job { state: JobState::Draft, sessions: List::default(), ..job() };
            assert_eq!(sight(&both, &draft), Sight::Outside, "{other}");
        }
        // Of who is no operator the word means nothing.
        assert!(may_read_record(&caller("auditor-1", PrincipalKind::Auditor, "station-operator"), &job()));
    }

    #[test]
    fn a_data_operator_reads_the_numbers_of_drafts_and_of_the_jobs_they_made_or_sealed() {
        let data = |id| operator(id, "data-operator");
        assert_eq!(["data-1", "data-2"].map(|id| sight(&data(id), &job())), [Sight::Numbers; 2]);
        assert_eq!(sight(&data("data-3"), &job()), Sight::Outside);
        assert!(!may_read_record(&data("data-3"), &job()));
        assert!(!may_read_record(&operator("operator-1", "reviewer"), &job()), "it operated the job");
        assert!(may_read_record(&operator("reviewer-1", "reviewer"), &job()));
        assert!(may_read_record(&caller("office-1", PrincipalKind::Office, ""), &job()));
        let draft = Job { state: JobState::Draft, sessions: List::default(), sealed: None, ..job() };
        assert_eq!(sight(&data("data-3"), &draft), Sight::Numbers);
        let sealed = Job { state: JobState::Sealed, sealed: None, ..draft };
        assert_eq!(sight(&data("data-3"), &sealed), Sight::Outside);
    }

    #[test]
    fn a_session_is_shown_while_the_job_is_open() {
        let officer = caller("officer-1", PrincipalKind::Officer, "");
        let open = view(&officer, (&job(), &TALLY), 60).unwrap();
        assert_eq!((open.operators.len(), open.session_expires_ms, open.overdue), (2, Some(100), true));
        let suspended = Job { state: JobState::Suspended, ..job() };
        let stopped = view(&officer, (&suspended, &TALLY), 40).unwrap();
        assert_eq!((stopped.operators.len(), stopped.session_expires_ms, stopped.overdue), (0, None, false));
    }

    #[test]
    fn operators_see_the_ends_of_a_card_and_everybody_else_all_of_it() {
        let card = "04782e21801d80".parse().unwrap();
        assert_eq!(shown(&card, &operator("operator-1", "station-operator")).to_string(), "0478..1d80");
        let office = caller("office-1", PrincipalKind::Office, "");
        assert_eq!(shown(&card, &office).to_string(), "04782e21801d80");
    }

    #[test]
    fn the_job_of_a_card_is_nothing_to_those_who_sell_it_nor_to_another_station() {
        for (kind, id, expected) in [
            (PrincipalKind::Terminal, "terminal-1", false),
            (PrincipalKind::Office, "office-1", false),
            (PrincipalKind::Station, "station-1", true),
            (PrincipalKind::Station, "station-2", false),
            (PrincipalKind::Operator, "operator-9", true),
            (PrincipalKind::Officer, "officer-1", true),
        ] {
            assert_eq!(names_job(&caller(id, kind, ""), &job()), expected, "{id}");
        }
    }

    #[test]
    fn the_holder_of_a_card_is_for_the_office_that_has_it_and_for_auditors() {
        let at = |location: &str| CardRecord {
            schema: Schema,
            state: CardState::Active,
            generation: 1,
            job: name("nfc-1"),
            location: name(location),
            leaf: 1,
            outcome: None,
            holder: Some(1),
        };
        let office = caller("office-1", PrincipalKind::Office, "");
        assert!(names_holder(&office, &at("bureau")));
        assert!(!names_holder(&office, &at("coffee")));
        assert!(names_holder(&caller("auditor-1", PrincipalKind::Auditor, ""), &at("coffee")));
        for kind in [PrincipalKind::Terminal, PrincipalKind::Officer, PrincipalKind::Operator] {
            assert!(!names_holder(&caller("x", kind, ""), &at("bureau")));
        }
    }
}
