//! Who has done what on each personalization job, followed from the leaves: what the policies are told of it.
//!
//! Histories alone: which cards there are, and whether counts balance, the policies are not told, so that memory grows with
//! the jobs and not with their cards. Each agreement of a person is verified as the keeper does it. Whether the leaves keep
//! the rules of jobs is the auditor's affair.

use super::log::Leaf;
use keysvc_client::protocol::{
    bytes::Blob,
    cbor::{self, REQUEST_LEN_MAX},
    control::Control,
    cose::Signed,
    job::{History, JobAct, JobHead, Role, signers},
    leaf::{ActByQuorumLeaf, IncidentReportedLeaf, JobChangedLeaf, JobOpenedLeaf, LeafKind, Statement},
    name::Name,
    receipt::LEAF_PAYLOAD_LEN_MAX,
    request::{
        AddJobItems, Agreements, CloseJob, CountJob, CreateJob, GiveResults, OpenJob, Operation,
        ReportIncident, ResumeJob, SealJob, SuspendJob, WithdrawJob,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// The jobs there are, by what their leaves say.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    known: BTreeMap<Name, Known>,
    // Whatever was made before the last leaf that is withheld may have a past that is not seen.
    seen_from: u64,
}

#[derive(Debug)]
struct Known {
    customer: String,
    profile: String,
    profile_version: u32,
    created_leaf: u64,
    history: History,
}

/// A request about a job, with all that the policies are told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OnJob {
    pub(super) name: String,
    pub(super) customer: String,
    pub(super) profile: String,
    pub(super) profile_version: u32,
    pub(super) created_by: String,
    pub(super) sealed_by: String,
    pub(super) operated_by: Vec<String>,
    pub(super) reviewed_by: Vec<String>,
    /// The operators whose agreements the request carries.
    pub(super) operators: Vec<String>,
    /// The reviewer whose agreement it carries.
    pub(super) reviewer: String,
    /// The witness whose agreement it carries.
    pub(super) witness: String,
}

/// A request about a job, taken apart as far as it matters here.
struct Request {
    job: Name,
    head: Option<JobHead>,
    signing: Vec<(Name, Role)>,
}

/// Who asks, when, and what stands in the signed request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) control: &'a Control,
    pub(super) time_ms: u64,
    pub(super) by: &'a Name,
    pub(super) operation: Operation,
    pub(super) payload: &'a [u8],
}

/// Whether an operation changes one job, so that its circumstances are the job's.
pub(super) const fn concerns(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::JobCreate
            | Operation::JobItems
            | Operation::JobSeal
            | Operation::JobWithdraw
            | Operation::JobOpen
            | Operation::JobResume
            | Operation::JobSuspend
            | Operation::CardResult
            | Operation::JobCount
            | Operation::JobIncident
            | Operation::JobClose
    )
}

impl Jobs {
    /// What the policies are told of a request about a job; nothing where the job's past is withheld.
    ///
    /// # Errors
    /// What is wrong with the request or an agreement in it, in words.
    pub(super) fn told(&self, asking: Asking<'_>) -> Result<Option<OnJob>, String> {
        let request = Request::read(asking)?;
        let mut told = match request.head {
            Some(head) => OnJob {
                name: request.job.to_string(),
                customer: head.customer.as_str().to_owned(),
                profile: head.profile.to_string(),
                profile_version: head.profile_version,
                ..OnJob::default()
            },
            None => match self.of(&request.job) {
                Some(told) => told,
                None => return Ok(None),
            },
        };
        for (person, role) in request.signing {
            match role {
                Role::Reviewer => told.reviewer = person.to_string(),
                Role::Monitor => told.witness = person.to_string(),
                Role::StationOperator | Role::DataOperator => told.operators.push(person.to_string()),
            }
        }
        Ok(Some(told))
    }

    /// The job as it stands, without anybody who signs; nothing where its past is withheld.
    pub(super) fn of(&self, name: &Name) -> Option<OnJob> {
        let known = self.known.get(name).filter(|known| known.created_leaf >= self.seen_from)?;
        let History { created_by, sealed_by, operated_by, reviewed_by } = &known.history;
        let one = |name: &Option<Name>| name.as_ref().map(Name::to_string).unwrap_or_default();
        Some(OnJob {
            name: name.to_string(),
            customer: known.customer.clone(),
            profile: known.profile.clone(),
            profile_version: known.profile_version,
            created_by: one(created_by),
            sealed_by: one(sealed_by),
            operated_by: operated_by.iter().map(Name::to_string).collect(),
            reviewed_by: reviewed_by.iter().map(Name::to_string).collect(),
            ..OnJob::default()
        })
    }

    /// Takes the next leaf, with the site as it stands before it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn take(&mut self, control: &Control, leaf: &Leaf) -> Result<(), String> {
        let Some(payload) = &leaf.payload else {
            if is_past(leaf.kind) {
                self.seen_from = leaf.index.saturating_add(1);
            }
            return Ok(());
        };
        match leaf.kind {
            LeafKind::ActByQuorum | LeafKind::SealedActByQuorum => {
                let act: ActByQuorumLeaf = decode(payload)?;
                self.inner(control, leaf, act.kind, act.act.as_bytes())
            }
            kind => self.inner(control, leaf, kind, payload),
        }
    }

    fn inner(
        &mut self,
        control: &Control,
        leaf: &Leaf,
        kind: LeafKind,
        payload: &[u8],
    ) -> Result<(), String> {
        let (by, operation, statement): (Name, Operation, Statement) = match kind {
            LeafKind::JobOpened => {
                let leaf: JobOpenedLeaf = decode(payload)?;
                (leaf.station, leaf.operation, leaf.statement)
            }
            LeafKind::JobChanged => {
                let leaf: JobChangedLeaf = decode(payload)?;
                (leaf.principal, leaf.operation, leaf.statement)
            }
            LeafKind::IncidentReported => {
                let leaf: IncidentReportedLeaf = decode(payload)?;
                (leaf.station, Operation::JobIncident, leaf.statement)
            }
            _ => return Ok(()),
        };
        let signed = Signed::parse(statement.0.as_bytes()).map_err(|error| error.to_string())?;
        let payload = signed.recorded_payload();
        let request = Request::read(Asking { control, time_ms: leaf.time_ms, by: &by, operation, payload })?;
        self.remember(leaf.index, (&by, operation), request);
        Ok(())
    }

    fn remember(&mut self, index: u64, (by, operation): (&Name, Operation), request: Request) {
        if let Some(head) = request.head {
            let history = History { created_by: Some(by.clone()), ..History::default() };
            let known = Known {
                customer: head.customer.as_str().to_owned(),
                profile: head.profile.to_string(),
                profile_version: head.profile_version,
                created_leaf: index,
                history,
            };
            self.known.insert(request.job, known);
            return;
        }
        // One that was made where nothing is seen stays unknown.
        let Some(Known { history, .. }) = self.known.get_mut(&request.job) else { return };
        if operation == Operation::JobSeal {
            history.sealed_by = Some(by.clone());
        }
        let operates = matches!(operation, Operation::JobOpen | Operation::JobResume);
        for (person, role) in request.signing {
            match role {
                Role::StationOperator if operates => history.operated_by.insert(person),
                Role::Reviewer => history.reviewed_by.insert(person),
                _ => false,
            };
        }
    }
}

/// Whether leaves of this kind make what the policies are told of jobs.
const fn is_past(kind: LeafKind) -> bool {
    matches!(
        kind,
        LeafKind::JobOpened
            | LeafKind::JobChanged
            | LeafKind::IncidentReported
            | LeafKind::SealedActByQuorum
            | LeafKind::ActByQuorum
    )
}

impl Request {
    fn read(asking: Asking<'_>) -> Result<Self, String> {
        let payload = asking.payload;
        let plain = |job| Self { job, head: None, signing: Vec::new() };
        let station = || asking.by.clone();
        Ok(match asking.operation {
            Operation::JobCreate => {
                let CreateJob { job, head, .. } = request(payload)?;
                Self { head: Some(head), ..plain(job) }
            }
            Operation::JobItems => plain(request::<AddJobItems>(payload)?.job),
            Operation::JobSeal => plain(request::<SealJob>(payload)?.job),
            Operation::JobWithdraw => plain(request::<WithdrawJob>(payload)?.job),
            Operation::JobSuspend => plain(request::<SuspendJob>(payload)?.job),
            Operation::CardResult => plain(request::<GiveResults>(payload)?.job),
            Operation::JobOpen => {
                let OpenJob { job, agreements, .. } = request(payload)?;
                asking.signed(job, &JobAct::Open { station: station() }, &agreements, &OPERATORS)?
            }
            Operation::JobResume => {
                let ResumeJob { job, agreements, .. } = request(payload)?;
                asking.signed(job, &JobAct::Resume { station: station() }, &agreements, &OPERATORS)?
            }
            Operation::JobCount => {
                let CountJob { job, counts, agreements, .. } = request(payload)?;
                asking.signed(job, &JobAct::Count { counts }, &agreements, &REVIEWED)?
            }
            Operation::JobIncident => {
                let ReportIncident { job, incident, agreements, .. } = request(payload)?;
                asking.signed(job, &JobAct::Incident { incident }, &agreements, &REVIEWED)?
            }
            Operation::JobClose => {
                let CloseJob { job, receipt, agreements, .. } = request(payload)?;
                asking.signed(job, &JobAct::Close { receipt }, &agreements, &[Role::Monitor])?
            }
            _ => return Err("it is not about a job".to_owned()),
        })
    }
}

const OPERATORS: [Role; 2] = [Role::StationOperator, Role::StationOperator];
const REVIEWED: [Role; 2] = [Role::StationOperator, Role::Reviewer];

impl Asking<'_> {
    fn signed(
        &self,
        job: Name,
        act: &JobAct,
        agreements: &Agreements,
        roles: &[Role],
    ) -> Result<Request, String> {
        let pairs: Vec<_> = agreements.iter().map(Blob::as_bytes).zip(roles.iter().copied()).collect();
        let people = signers(self.control, self.time_ms, (&job, act), &pairs);
        let people = people.map_err(|refusal| format!("the agreements of {job}: {refusal}"))?;
        Ok(Request { job, head: None, signing: people.into_iter().zip(roles.iter().copied()).collect() })
    }
}

fn request<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    cbor::decode(payload, REQUEST_LEN_MAX).map_err(|error| error.to_string())
}

fn decode<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::schema::Schema;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn head() -> JobHead {
        JobHead {
            schema: Schema,
            order: "A-1".parse().unwrap(),
            customer: "acme".parse().unwrap(),
            profile: name("fob"),
            profile_version: 1,
            lot: "L7".parse().unwrap(),
            station: name("station-1"),
            equipment: "encoder 2".parse().unwrap(),
            ordered: 1,
            issued: 2,
            carried_over: 0,
            listed: false,
            due_ms: 9,
        }
    }

    fn plain(job: &str) -> Request {
        Request { job: name(job), head: None, signing: Vec::new() }
    }

    #[test]
    fn a_jobs_past_is_who_made_sealed_operated_and_reviewed_it() {
        let mut jobs = Jobs::default();
        jobs.remember(
            3,
            (&name("data-1"), Operation::JobCreate),
            Request { head: Some(head()), ..plain("j") },
        );
        jobs.remember(4, (&name("data-2"), Operation::JobSeal), plain("j"));
        let signing = |people: &[(&str, Role)]| Request {
            signing: people.iter().map(|(person, role)| (name(person), *role)).collect(),
            ..plain("j")
        };
        let operators = [("op-2", Role::StationOperator), ("op-1", Role::StationOperator)];
        jobs.remember(5, (&name("station-1"), Operation::JobOpen), signing(&operators));
        let reviewed = [("op-3", Role::StationOperator), ("rev-1", Role::Reviewer)];
        jobs.remember(6, (&name("station-1"), Operation::JobCount), signing(&reviewed));
        let told = jobs.of(&name("j")).unwrap();
        assert_eq!((told.created_by.as_str(), told.sealed_by.as_str()), ("data-1", "data-2"));
        assert_eq!(
            (told.operated_by, told.reviewed_by),
            (vec!["op-1".into(), "op-2".into()], vec!["rev-1".into()])
        );
        assert_eq!((told.customer.as_str(), told.profile.as_str()), ("acme", "fob"));
        assert!(told.operators.is_empty() && told.reviewer.is_empty());
        assert_eq!(jobs.of(&name("other")), None);
    }

    #[test]
    fn a_job_from_before_a_leaf_that_is_withheld_is_not_told_of() {
        let mut jobs = Jobs::default();
        let made = || Request { head: Some(head()), ..plain("j") };
        jobs.remember(3, (&name("data-1"), Operation::JobCreate), made());
        jobs.seen_from = 4;
        assert_eq!(jobs.of(&name("j")), None);
        jobs.remember(4, (&name("data-1"), Operation::JobCreate), made());
        assert!(jobs.of(&name("j")).is_some());
    }
}
