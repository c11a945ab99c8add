//! Jobs and cards, followed leaf by leaf by the state machine that the service itself asks before it writes: every signature
//! verified, every count made again.
//!
//! The items of a purged job are erased, which is as it must be: what the seal signed stands for them. Any other payload that
//! is withheld ends what can be followed in full of the jobs that there were: from there on findings about them are those that
//! hold nevertheless. Jobs that were made later are judged in full.

mod doubt;

use super::{Site, decode, statement};
use crate::{
    finding::{JobProblem, Problem},
    registry::{Registry, SavedRegistry},
};
use doubt::{Doubt, SavedDoubt};
use keysvc_protocol::{
    bytes::Digest,
    cbor::{self, REQUEST_LEN_MAX},
    control::{At, STORAGE_OF_JOB},
    cose::Signed,
    job::{self, Job, Judge, Tally, Trust},
    key::KeyState,
    leaf::{
        CardKeysDerivedLeaf, CardsChangedLeaf, IncidentReportedLeaf, JobChangedLeaf, JobItemsLeaf,
        JobOpenedLeaf, JobPurgedLeaf, JobRecordMadeLeaf, KeyDestroyedLeaf, LeafEntry, LeafKind, Statement,
    },
    list::WrongCount,
    name::Name,
    refusal::{Conflict, Refusal},
    request::{
        AddJobItems, CloseJob, CountJob, CreateJob, DeriveCardKeys, GiveResults, OpenJob, Operation,
        ReportIncident, ResumeJob, SealJob, SuspendJob, WithdrawJob,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A job to look at as it stood when the log had this many leaves, and the audit record that it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The job.
    pub(crate) job: Name,
    /// The number of leaves.
    pub(crate) size: u64,
    /// SHA-256 of the record's signed bytes.
    pub(crate) record: Digest,
}

/// What was seen of a [`Wanted`] job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The job as it stood; nothing where there was none.
    pub(crate) job: Option<(Job, Tally)>,
    /// The leaf that says that the record was to be signed, and who asked.
    pub(crate) made: Option<(u64, Name)>,
    // Whether the number of leaves was reached.
    reached: bool,
}

/// How far jobs and cards could be followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobSight {
    /// The first leaf whose payload was needed and withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<u64>,
    /// Leaves that were not judged, themselves withheld or standing on what is.
    pub(crate) unfollowed: u64,
    /// Leaves with items that were not seen: erased with their job, or withheld.
    pub(crate) items_not_seen: u64,
    /// Audit records that were asked for.
    pub(crate) records: u64,
}

/// What a later run needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedJobs {
    registry: SavedRegistry,
    sight: JobSight,
    doubt: SavedDoubt,
}

/// The jobs and cards so far.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    registry: Registry,
    sight: JobSight,
    doubt: Doubt,
    wanted: Option<(Wanted, Seen)>,
}

impl Jobs {
    /// The same, looking at a job as it stood.
    pub(super) fn wanting(mut self, wanted: Option<Wanted>) -> Self {
        self.wanted = wanted.map(|wanted| (wanted, Seen::default()));
        self
    }

    /// What a later run needs.
    pub(super) fn save(&self) -> Result<SavedJobs, WrongCount> {
        Ok(SavedJobs { registry: self.registry.save()?, sight: self.sight, doubt: self.doubt.save()? })
    }

    /// The jobs as an earlier run left them.
    pub(super) fn restore(saved: SavedJobs) -> Self {
        let (registry, doubt) = (Registry::restore(saved.registry), Doubt::restore(saved.doubt));
        Self { registry, sight: saved.sight, doubt, wanted: None }
    }

    /// The jobs and cards.
    pub(crate) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// How far they could be followed.
    pub(crate) const fn sight(&self) -> JobSight {
        self.sight
    }

    /// What was seen of the wanted job, once all leaves are read.
    pub(crate) fn seen(&mut self) -> Option<Seen> {
        self.look(u64::MAX);
        self.wanted.take().map(|(_, seen)| seen)
    }

    /// Before the leaf of this index is taken.
    pub(super) fn look(&mut self, index: u64) {
        let Some((wanted, seen)) = &mut self.wanted else { return };
        if !seen.reached && index >= wanted.size {
            seen.reached = true;
            seen.job = self.registry.job_of(&wanted.job).cloned();
        }
    }

    /// Takes note of a leaf whose payload is not there, or of an act that may hide one.
    pub(super) fn not_seen(&mut self, entry: &LeafEntry, hidden_act: bool) {
        match entry.kind {
            LeafKind::JobItemsAdded => {
                self.registry.items_not_seen();
                self.sight.items_not_seen = self.sight.items_not_seen.saturating_add(1);
            }
            // Only who reviewed is lost with it: of that, less is known and nothing else wrong.
            LeafKind::IncidentReported => self.unfollowed(),
            kind if job::concerns(kind) || hidden_act => {
                self.lose(entry.index);
            }
            _ => {}
        }
    }

    /// From this leaf on not all is known.
    fn lose(&mut self, index: u64) {
        self.sight.from.get_or_insert(index);
        self.doubt.begin(index);
        self.unfollowed();
    }

    const fn unfollowed(&mut self) {
        self.sight.unfollowed = self.sight.unfollowed.saturating_add(1);
    }

    /// Takes the next leaf that is about jobs or cards, or the act in one. Says whether it was judged.
    pub(super) fn take(
        &mut self,
        site: &Site<'_>,
        entry: &LeafEntry,
        (kind, payload): (LeafKind, &[u8]),
    ) -> Result<bool, Problem> {
        if site.people.is_lost() {
            self.lose(entry.index);
            return Ok(false);
        }
        let judge = Judge {
            control: site.people.control(),
            at: At { index: entry.index, time_ms: entry.time_ms },
            trust: Trust::Nobody,
            by_quorum: matches!(entry.kind, LeafKind::ActByQuorum | LeafKind::SealedActByQuorum),
        };
        self.doubt.clear_station(&mut self.registry, (kind, payload));
        let Ok(taken) = job::apply(&mut self.registry, &judge, kind, payload);
        let Err(why) = taken else { return Ok(true) };
        if let Some(why) = self.doubt.left_of(&mut self.registry, &judge, (kind, payload), why) {
            return Err(problem(site, kind, payload, why));
        }
        self.doubt.pass(&mut self.registry, (kind, payload));
        self.unfollowed();
        Ok(false)
    }

    /// The storage key of a job is destroyed by the leaf that closed or withdrew the job, and by no other.
    pub(super) fn key_destroyed(&self, site: &Site<'_>, leaf: &KeyDestroyedLeaf) -> Result<(), JobProblem> {
        let job = leaf.name.as_str().strip_prefix(STORAGE_OF_JOB).and_then(|job| job.parse::<Name>().ok());
        let Some(job) = job else { return Ok(()) };
        let closed = self.registry.job_of(&job).and_then(|(job, _)| job.closed.as_ref());
        match closed {
            Some(closed) if closed.done.leaf == leaf.intent => Ok(()),
            None if site.people.is_lost() || self.doubt.of_job(&self.registry, &job) => Ok(()),
            _ => Err(JobProblem::OtherIntent { job, intent: leaf.intent }),
        }
    }

    /// An audit record was asked for, by somebody enrolled, of a job that there is.
    pub(super) fn record_made(
        &mut self,
        site: &Site<'_>,
        entry: &LeafEntry,
        leaf: JobRecordMadeLeaf,
    ) -> Result<(), Problem> {
        self.sight.records = self.sight.records.saturating_add(1);
        if let Some((wanted, seen)) = &mut self.wanted
            && wanted.record == leaf.record
        {
            seen.made.get_or_insert((entry.index, leaf.reader.clone()));
        }
        if !site.people.knows(&leaf.reader) {
            return Err(Problem::Stranger(leaf.reader));
        }
        if self.registry.job_of(&leaf.job).is_none() && self.sight.from.is_none() {
            return Err(JobProblem::RecordOfNone(leaf.job).into());
        }
        Ok(())
    }
}

/// The storage key of a purged job is destroyed, which the keys' own leaves say.
pub(super) fn purged(site: &Site<'_>, leaf: &JobPurgedLeaf) -> Result<(), JobProblem> {
    let name = format!("{STORAGE_OF_JOB}{}", leaf.job).parse::<Name>().ok();
    let key = name.and_then(|name| site.people.key(&name, 1));
    match key {
        _ if site.people.is_lost() => Ok(()),
        Some(key) if key.state != KeyState::Destroyed => Err(JobProblem::KeyStands(leaf.job.clone())),
        None if leaf.had_key => Err(JobProblem::NoKey(leaf.job.clone())),
        Some(_) | None => Ok(()),
    }
}

/// What a refusal says of a leaf: a signature that does not hold as everywhere else, and the rest of the job.
fn problem(site: &Site<'_>, kind: LeafKind, payload: &[u8], why: Refusal) -> Problem {
    let Some((by, operation, statement)) = asked(kind, payload) else {
        return match decode::<JobPurgedLeaf>(payload) {
            Ok(JobPurgedLeaf { job, .. }) => {
                JobProblem::Refused { operation: None, job: Some(job), why }.into()
            }
            Err(problem) => problem,
        };
    };
    if let Err(problem) = statement::is_of(site, (&by, operation), &statement) {
        return problem;
    }
    // As many as were left is what the refusal says; more than that is more than there are.
    let more = |limit| decode::<CardKeysDerivedLeaf>(payload).is_ok_and(|leaf| u64::from(leaf.cards) > limit);
    let why = match why {
        Refusal::LimitExceeded { limit } if operation == Operation::CardDerive && more(limit) => {
            Refusal::StateConflict { reason: Conflict::JobComplete }
        }
        why => why,
    };
    let job = Signed::parse(statement.0.as_bytes()).ok();
    let job = job.and_then(|signed| job_of(operation, signed.recorded_payload()));
    JobProblem::Refused { operation: Some(operation), job, why }.into()
}

/// Who asked for what in a leaf of a kind, in which statement.
fn asked(kind: LeafKind, payload: &[u8]) -> Option<(Name, Operation, Statement)> {
    Some(match kind {
        LeafKind::JobOpened => {
            let leaf: JobOpenedLeaf = decode(payload).ok()?;
            (leaf.station, leaf.operation, leaf.statement)
        }
        LeafKind::CardKeysDerived => {
            let leaf: CardKeysDerivedLeaf = decode(payload).ok()?;
            (leaf.station, Operation::CardDerive, leaf.statement)
        }
        LeafKind::JobChanged => {
            let leaf: JobChangedLeaf = decode(payload).ok()?;
            (leaf.principal, leaf.operation, leaf.statement)
        }
        LeafKind::JobItemsAdded => {
            let leaf: JobItemsLeaf = decode(payload).ok()?;
            (leaf.principal, Operation::JobItems, leaf.statement)
        }
        LeafKind::IncidentReported => {
            let leaf: IncidentReportedLeaf = decode(payload).ok()?;
            (leaf.station, Operation::JobIncident, leaf.statement)
        }
        LeafKind::CardsChanged => {
            let leaf: CardsChangedLeaf = decode(payload).ok()?;
            (leaf.principal, leaf.operation, leaf.statement)
        }
        _ => return None,
    })
}

/// The request of a statement that was verified.
pub(super) fn recorded<T: Serialize + DeserializeOwned>(statement: &Statement) -> Option<T> {
    let signed = Signed::parse(statement.0.as_bytes()).ok()?;
    read(signed.recorded_payload())
}

fn read<T: Serialize + DeserializeOwned>(request: &[u8]) -> Option<T> {
    cbor::decode(request, REQUEST_LEN_MAX).ok()
}

/// The job that a request is about.
fn job_of(operation: Operation, request: &[u8]) -> Option<Name> {
    match operation {
        Operation::JobOpen => read(request).map(|OpenJob { job, .. }| job),
        Operation::JobResume => read(request).map(|ResumeJob { job, .. }| job),
        Operation::CardDerive => read(request).map(|DeriveCardKeys { job, .. }| job),
        Operation::CardResult => read(request).map(|GiveResults { job, .. }| job),
        Operation::JobCreate => read(request).map(|CreateJob { job, .. }| job),
        Operation::JobItems => read(request).map(|AddJobItems { job, .. }| job),
        Operation::JobSeal => read(request).map(|SealJob { job, .. }| job),
        Operation::JobWithdraw => read(request).map(|WithdrawJob { job, .. }| job),
        Operation::JobSuspend => read(request).map(|SuspendJob { job, .. }| job),
        Operation::JobCount => read(request).map(|CountJob { job, .. }| job),
        Operation::JobIncident => read(request).map(|ReportIncident { job, .. }| job),
        Operation::JobClose => read(request).map(|CloseJob { job, .. }| job),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod logs;
#[cfg(test)]
pub(super) mod tests;
