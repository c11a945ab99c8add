//! What people and the station do to a job, apart from its cards.
//!
//! INVARIANT: everything is judged before anything is put.

use super::{
    AGREEMENT_EARLY_MAX_MS, Balance, Book, Closing, CountGiven, Done, IncidentGiven, Job, JobAct, JobEvent,
    Membership, Role, SESSION_LIFE_MS, Session, Suspension, Tally,
    agreement::{Agreed, agreed, is_after},
    apply::{ENCODING, Judge, Step, book},
    head::{FULL, check_name},
    people::too_few,
};
use crate::{
    bytes::{Blob, Digest},
    control::Member,
    job::JobState,
    leaf::{IncidentReportedLeaf, JobChangedLeaf, JobItemsLeaf, JobOpenedLeaf, JobPurgedLeaf},
    list::List,
    merkle::Frontier,
    name::Name,
    refusal::{Conflict, Invalid, Refusal, Thing},
    request::{
        AddJobItems, Agreements, CloseJob, CountJob, CreateJob, OpenJob, Operation, ReportIncident,
        ResumeJob, SealJob, SuspendJob, WithdrawJob,
    },
    schema::Schema,
};
use alloc::{collections::BTreeSet, vec::Vec};

const fn conflict(reason: Conflict) -> Refusal {
    Refusal::StateConflict { reason }
}

/// The job of this name.
pub(super) fn found<B: Book>(into: &mut B, name: &Name) -> Step<(Job, Tally), B::Fault> {
    let job = book(into.job(name))?;
    Ok(job.ok_or(Refusal::NotFound { what: Thing::Job })?)
}

impl Job {
    pub(super) fn step(&mut self, event: JobEvent) -> Result<(), Refusal> {
        let state = self.state.after(event);
        self.state = state.map_err(|step| conflict(Conflict::JobState { state: step.state }))?;
        Ok(())
    }

    pub(super) fn is_at(&self, station: &Name) -> Result<(), Refusal> {
        if self.head.station == *station { Ok(()) } else { Err(conflict(Conflict::OtherStation)) }
    }

    /// What a session's agreements must come after: the stop that it ends, or the session before it.
    fn since_ms(&self, event: JobEvent) -> u64 {
        let stopped = self.suspensions.last().map(|suspension| suspension.done.at_ms);
        let opened = self.session().map(|session| session.opened_ms);
        let since = if event == JobEvent::Resume { stopped.max(opened) } else { opened };
        since.unwrap_or(0)
    }

    fn manifest(&self) -> Result<Frontier, Refusal> {
        let edge = Frontier::from_roots(u64::from(self.items), self.edge.to_vec());
        edge.ok_or(Refusal::Invalid { reason: Invalid::Manifest })
    }

    /// The manifest's root: as sealed, or as it stands in a draft; nothing where a draft's items are gone.
    #[must_use]
    pub fn manifest_root(&self) -> Option<Digest> {
        self.root.or_else(|| self.manifest().ok().map(|edge| edge.root()))
    }
}

/// A list with one more. Where it is full its oldest entry goes whose people do it again later: the log keeps them all, and
/// nobody who ever did something is forgotten, for that says what they may not do.
fn pushed<T: Clone, const MAX: usize>(
    list: &List<T, MAX>,
    item: T,
    people: impl Fn(&T) -> Vec<Name>,
) -> Result<List<T, MAX>, Refusal> {
    let mut items = list.to_vec();
    items.push(item);
    if items.len() > MAX {
        let again = |place: usize, entry: &T| {
            let later = items.iter().skip(place.saturating_add(1)).flat_map(&people).collect::<BTreeSet<_>>();
            people(entry).iter().all(|name| later.contains(name))
        };
        let oldest = items.iter().enumerate().position(|(place, entry)| again(place, entry)).ok_or(FULL)?;
        items.remove(oldest);
    }
    List::try_from(items).map_err(|_| FULL)
}

impl<'a> Judge<'a> {
    fn done(&self, by: &Name) -> Done {
        Done { by: by.clone(), at_ms: self.at.time_ms, leaf: self.at.index }
    }

    /// The enabled member of this name, who must have a role.
    fn in_role(&self, name: &Name, role: Role) -> Result<&'a Member, Refusal> {
        let member = self.control.roster().enabled(name)?;
        if role.is_held_by(member) { Ok(member) } else { Err(Refusal::Forbidden) }
    }

    fn agreed(
        &self,
        signed: Option<&Blob<{ super::AGREEMENT_LEN_MAX }>>,
        on: (&Name, &JobAct),
        role: Role,
    ) -> Result<Agreed, Refusal> {
        agreed(self.control, self.at, signed.ok_or(too_few())?.as_bytes(), on, role)
    }
}

pub(super) fn create<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &JobChangedLeaf) -> Step<(), B::Fault> {
    let request: CreateJob = judge.request((&leaf.principal, Operation::JobCreate), &leaf.statement)?;
    judge.in_role(&leaf.principal, Role::DataOperator)?;
    check_name(&request.job)?;
    request.head.check(judge.control, judge.at.time_ms)?;
    if book(into.job(&request.job))?.is_some() {
        return Err(conflict(Conflict::NameTaken).into());
    }
    let job = Job {
        schema: Schema,
        name: request.job,
        head: request.head,
        state: JobState::Draft,
        created: judge.done(&leaf.principal),
        items: 0,
        edge: List::default(),
        sessions: List::default(),
        suspensions: List::default(),
        counts: List::default(),
        incidents: List::default(),
        used: List::default(),
        root: None,
        sealed: None,
        closed: None,
        purged_ms: None,
    };
    book(into.put_job(&job, &Tally::default()))
}

pub(super) fn add_items<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &JobItemsLeaf) -> Step<(), B::Fault> {
    let request: AddJobItems = judge.request((&leaf.principal, Operation::JobItems), &leaf.statement)?;
    judge.in_role(&leaf.principal, Role::DataOperator)?;
    let (mut job, tally) = found(into, &request.job)?;
    job.step(JobEvent::AddItems)?;
    let items = Refusal::Invalid { reason: Invalid::Items };
    if job.created.by != leaf.principal {
        return Err(Refusal::Forbidden.into());
    }
    let mut seen = BTreeSet::new();
    let once = request.items.iter().all(|item| seen.insert(item.card));
    if !job.head.listed || request.items.is_empty() || !once {
        return Err(items.into());
    }
    for item in request.items.iter() {
        if book(into.listed(&request.job, &item.card))? == Membership::Listed {
            return Err(items.into());
        }
    }
    let added = u32::try_from(request.items.len()).unwrap_or(u32::MAX);
    let limit = job.head.cards();
    let mut edge = job.manifest()?;
    job.items = job
        .items
        .checked_add(added)
        .filter(|items| *items <= limit)
        .ok_or(Refusal::LimitExceeded { limit: u64::from(limit) })?;
    for item in request.items.iter() {
        edge.append(item.hash());
    }
    job.edge = List::try_from(edge.roots().to_vec()).map_err(|_| FULL)?;
    for item in request.items.iter() {
        book(into.put_item(&request.job, item))?;
    }
    book(into.put_job(&job, &tally))
}

pub(super) fn seal<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &JobChangedLeaf) -> Step<(), B::Fault> {
    let request: SealJob = judge.request((&leaf.principal, Operation::JobSeal), &leaf.statement)?;
    judge.in_role(&leaf.principal, Role::DataOperator)?;
    let (mut job, tally) = found(into, &request.job)?;
    job.step(JobEvent::Seal)?;
    if job.created.by == leaf.principal {
        return Err(Refusal::SamePerson.into());
    }
    let manifest = Refusal::Invalid { reason: Invalid::Manifest };
    // Where some of its items are erased, what was built up cannot be made again, and the signed word stands. Where as many
    // were seen as it says, they must be these.
    let unseen = job.head.listed && request.items > job.items && into.items_were_erased();
    let same = request.items == job.items && request.root == job.manifest()?.root();
    if request.head != job.head.digest() || !(unseen || same) {
        return Err(manifest.into());
    }
    if job.head.listed && request.items < job.head.ordered {
        return Err(Refusal::Invalid { reason: Invalid::Job }.into());
    }
    job.items = request.items;
    job.edge = List::default();
    job.root = Some(request.root);
    job.sealed = Some(judge.done(&leaf.principal));
    book(into.put_job(&job, &tally))
}

pub(super) fn withdraw<B: Book>(
    into: &mut B,
    judge: &Judge<'_>,
    leaf: &JobChangedLeaf,
) -> Step<(), B::Fault> {
    let request: WithdrawJob = judge.request((&leaf.principal, Operation::JobWithdraw), &leaf.statement)?;
    judge.in_role(&leaf.principal, Role::DataOperator)?;
    let (mut job, tally) = found(into, &request.job)?;
    job.step(JobEvent::Withdraw)?;
    if !job.history().prepared(&leaf.principal) {
        return Err(Refusal::Forbidden.into());
    }
    job.closed = Some(Closing { done: judge.done(&leaf.principal), receipt: None, witness: None });
    book(into.put_job(&job, &tally))
}

pub(super) fn open<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &JobOpenedLeaf) -> Step<(), B::Fault> {
    let by = (&leaf.station, leaf.operation);
    let station = leaf.station.clone();
    let (name, agreements, event, act) = match leaf.operation {
        Operation::JobOpen => {
            let OpenJob { job, agreements, .. } = judge.request(by, &leaf.statement)?;
            (job, agreements, JobEvent::Open, JobAct::Open { station })
        }
        Operation::JobResume => {
            let ResumeJob { job, agreements, .. } = judge.request(by, &leaf.statement)?;
            (job, agreements, JobEvent::Resume, JobAct::Resume { station })
        }
        _ => return Err(ENCODING.into()),
    };
    let (mut job, tally) = found(into, &name)?;
    job.is_at(&leaf.station)?;
    if book(into.job_at(&leaf.station))?.is_some_and(|other| other != name) {
        return Err(Refusal::PurgePending.into());
    }
    job.step(event)?;
    let people = both(judge, &agreements, (&name, &act), (Role::StationOperator, Role::StationOperator))?;
    job.may_operate(&people)?;
    let since_ms = job.since_ms(event);
    job.use_up(&people, judge.at.time_ms)?;
    people.iter().try_for_each(|agreed| agreed.is_after(since_ms))?;
    let longest_ms = judge.at.time_ms.saturating_add(SESSION_LIFE_MS);
    if leaf.expires_at_ms <= judge.at.time_ms || leaf.expires_at_ms > longest_ms {
        return Err(Refusal::Invalid { reason: Invalid::Time }.into());
    }
    let operators: Vec<Name> = people.into_iter().map(|agreed| agreed.person).collect();
    let session = Session {
        exchange: leaf.exchange,
        operators: List::try_from(operators).map_err(|_| FULL)?,
        opened_ms: judge.at.time_ms,
        expires_ms: leaf.expires_at_ms,
        leaf: judge.at.index,
    };
    job.sessions = pushed(&job.sessions, session, |session| session.operators.to_vec())?;
    book(into.put_job_at(&leaf.station, Some(&name)))?;
    book(into.put_job(&job, &tally))
}

/// Both agreements of a request, in the order of their roles.
fn both(
    judge: &Judge<'_>,
    agreements: &Agreements,
    on: (&Name, &JobAct),
    (first, second): (Role, Role),
) -> Result<[Agreed; 2], Refusal> {
    Ok([judge.agreed(agreements.first(), on, first)?, judge.agreed(agreements.get(1), on, second)?])
}

pub(super) fn suspend<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &JobChangedLeaf) -> Step<(), B::Fault> {
    let request: SuspendJob = judge.request((&leaf.principal, Operation::JobSuspend), &leaf.statement)?;
    judge.in_role(&leaf.principal, Role::StationOperator)?;
    let (mut job, tally) = found(into, &request.job)?;
    job.step(JobEvent::Suspend)?;
    if !job.session().is_some_and(|session| session.operators.contains(&leaf.principal)) {
        return Err(Refusal::Forbidden.into());
    }
    let suspension = Suspension { done: judge.done(&leaf.principal), said: request.suspended };
    job.suspensions = pushed(&job.suspensions, suspension, |_| Vec::new())?;
    book(into.put_job(&job, &tally))
}

pub(super) fn count<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &JobChangedLeaf) -> Step<(), B::Fault> {
    let request: CountJob = judge.request((&leaf.principal, Operation::JobCount), &leaf.statement)?;
    let (mut job, tally) = found(into, &request.job)?;
    job.is_at(&leaf.principal)?;
    let balance = Balance::of(&job.head, &tally, &request.counts);
    job.step(if balance.is_even() { JobEvent::Balance } else { JobEvent::Mismatch })?;
    let act = JobAct::Count { counts: request.counts };
    let [operator, reviewer] = reviewed(judge, &mut job, &request.agreements, &act)?;
    let given = CountGiven {
        counts: request.counts,
        operator,
        reviewer,
        balance,
        at_ms: judge.at.time_ms,
        leaf: judge.at.index,
    };
    job.counts = pushed(&job.counts, given, |count| alloc::vec![count.reviewer.clone()])?;
    book(into.put_job(&job, &tally))
}

/// Operator and reviewer of an act, whose agreements are then used.
fn reviewed(
    judge: &Judge<'_>,
    job: &mut Job,
    agreements: &Agreements,
    act: &JobAct,
) -> Result<[Name; 2], Refusal> {
    let roles = (Role::StationOperator, Role::Reviewer);
    let name = job.name.clone();
    let people = both(judge, agreements, (&name, act), roles)?;
    let [operator, reviewer] = &people;
    job.may_review(operator, reviewer)?;
    job.use_up(&people, judge.at.time_ms)?;
    Ok(people.map(|agreed| agreed.person))
}

pub(super) fn report<B: Book>(
    into: &mut B,
    judge: &Judge<'_>,
    leaf: &IncidentReportedLeaf,
) -> Step<(), B::Fault> {
    let request: ReportIncident = judge.request((&leaf.station, Operation::JobIncident), &leaf.statement)?;
    let (mut job, tally) = found(into, &request.job)?;
    job.is_at(&leaf.station)?;
    if !matches!(job.state, JobState::Open | JobState::Suspended | JobState::Counted) {
        return Err(conflict(Conflict::JobState { state: job.state }).into());
    }
    let act = JobAct::Incident { incident: request.incident.clone() };
    let [operator, reviewer] = reviewed(judge, &mut job, &request.agreements, &act)?;
    let given = IncidentGiven {
        incident: request.incident,
        operator,
        reviewer,
        at_ms: judge.at.time_ms,
        leaf: judge.at.index,
    };
    job.incidents = pushed(&job.incidents, given, |given| alloc::vec![given.reviewer.clone()])?;
    book(into.put_job(&job, &tally))
}

pub(super) fn close<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &JobChangedLeaf) -> Step<(), B::Fault> {
    let request: CloseJob = judge.request((&leaf.principal, Operation::JobClose), &leaf.statement)?;
    let (mut job, tally) = found(into, &request.job)?;
    job.is_at(&leaf.principal)?;
    if matches!(job.state, JobState::Open) {
        return Err(conflict(Conflict::Unbalanced).into());
    }
    job.step(JobEvent::Close)?;
    // INVARIANT: a job is counted only while its last count is even; said again where it would hurt.
    let even = job.counts.last().is_some_and(|count| count.balance.is_even());
    if !even || tally.pending() != 0 {
        return Err(conflict(Conflict::Unbalanced).into());
    }
    if request.receipt.station != leaf.principal || request.agreements.len() != 1 {
        return Err(Refusal::Invalid { reason: Invalid::Items }.into());
    }
    let act = JobAct::Close { receipt: request.receipt.clone() };
    let name = job.name.clone();
    let witness = judge.agreed(request.agreements.first(), (&name, &act), Role::Monitor)?;
    job.may_witness(&witness)?;
    // Nothing was made after the last count; so what was erased after it was erased for good, and seen so.
    let counted_ms = job.counts.last().map_or(0, |count| count.at_ms);
    is_after(request.receipt.erased_ms, counted_ms)?;
    if request.receipt.erased_ms > judge.at.time_ms.saturating_add(AGREEMENT_EARLY_MAX_MS) {
        return Err(Refusal::Invalid { reason: Invalid::Time }.into());
    }
    witness.is_after(counted_ms)?;
    job.use_up(core::slice::from_ref(&witness), judge.at.time_ms)?;
    job.closed = Some(Closing {
        done: judge.done(&leaf.principal),
        receipt: Some(request.receipt),
        witness: Some(witness.person),
    });
    book(into.put_job(&job, &tally))
}

pub(super) fn purge<B: Book>(into: &mut B, judge: &Judge<'_>, leaf: &JobPurgedLeaf) -> Step<(), B::Fault> {
    let (mut job, tally) = found(into, &leaf.job)?;
    job.step(JobEvent::Purge)?;
    job.purged_ms = Some(judge.at.time_ms);
    if job.sealed.is_none() {
        // What was built up of a draft is not on record once its items are gone.
        job.items = 0;
        job.edge = List::default();
    }
    if book(into.job_at(&job.head.station))?.as_ref() == Some(&leaf.job) {
        book(into.put_job_at(&job.head.station, None))?;
    }
    book(into.forget_items(&leaf.job))?;
    book(into.put_job(&job, &tally))
}
