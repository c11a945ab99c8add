//! What a leaf records of a request: who asked what, and how it was decided.
//!
//! The one reading of leaves for the replay. Signatures of requests are verified again with the key that their signer had
//! at that leaf.

use super::{
    facts::Asked,
    jobs::{Asking, Jobs},
    log::Leaf,
};
use crate::policy::caller::Caller;
use keysvc_client::protocol::{
    cbor,
    control::{Control, Member},
    cose::{Kind, Signed},
    leaf::{
        ActByQuorumLeaf, CardKeysDerivedLeaf, CardsChangedLeaf, ChangedLeaf, EntriesReadLeaf,
        EvidenceReadLeaf, IncidentReportedLeaf, JobChangedLeaf, JobItemsLeaf, JobOpenedLeaf,
        JobRecordMadeLeaf, LeafKind, ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf,
        RefusalsCountedLeaf, RefusedLeaf, Statement, ValueUpdatedLeaf,
    },
    name::Name,
    proposal::{Proposal, ProposalEnd, ProposalId},
    quorum::{self, Need, Verdict},
    receipt::LEAF_PAYLOAD_LEN_MAX,
    refusal::Refusal,
    request::Operation,
    value::ValueUpdate,
};
use serde::{Serialize, de::DeserializeOwned};

/// A request on record.
#[derive(Debug)]
pub(super) struct OnRecord {
    /// Who asked, as enrolled then.
    pub(super) caller: Caller,
    /// The operation.
    pub(super) operation: Operation,
    /// What was asked.
    pub(super) asked: Asked,
    /// How it was decided.
    pub(super) decided: Decided,
    /// The proposal it became, or was done by.
    pub(super) proposal: Option<ProposalId>,
}

/// How a request was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decided {
    /// Its caller alone was enough.
    Alone,
    /// It takes people: so many.
    TakesPeople(Need),
    /// It was done with these people.
    WithPeople {
        /// Distinct people.
        persons: u8,
        /// Their departments.
        departments: Vec<String>,
    },
    /// The policies denied it.
    Denied,
}

/// What a leaf has for the replay.
#[derive(Debug)]
pub(super) enum Found {
    /// It records no request.
    Nothing,
    /// A request that can be decided again.
    Request(Box<OnRecord>),
    /// Refusals of which the log keeps too little.
    Refused(u64),
    /// A request whose payload is withheld.
    Withheld,
    /// A vote on a proposal that is not known, because it was withheld.
    Unknown,
    /// A proposal ended without its act.
    Ended(ProposalId),
}

/// Reads a leaf against the state before it.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(control: &Control, jobs: &Jobs, leaf: &Leaf) -> Result<Found, String> {
    let Some(payload) = &leaf.payload else { return Ok(withheld(leaf.kind)) };
    let reader = Reader { control, jobs, time_ms: leaf.time_ms };
    match leaf.kind {
        LeafKind::SiteChanged
        | LeafKind::FreezeChanged
        | LeafKind::ValueUpdated
        | LeafKind::CardKeysDerived
        | LeafKind::JobOpened
        | LeafKind::JobChanged
        | LeafKind::JobItemsAdded
        | LeafKind::IncidentReported
        | LeafKind::CardsChanged => {
            let (by, operation, statement) = inner(leaf.kind, payload)?;
            reader.signed(&by, operation, &statement, Decided::Alone)
        }
        LeafKind::ActByQuorum | LeafKind::SealedActByQuorum => reader.act(&decode(payload)?),
        LeafKind::ProposalMade => reader.proposed(&decode(payload)?),
        LeafKind::ProposalVoted => reader.voted(&decode(payload)?),
        LeafKind::ProposalClosed => reader.closed(&decode(payload)?),
        LeafKind::EntriesRead => {
            reader.plain(&decode::<EntriesReadLeaf>(payload)?.reader, Operation::LogEntries, Decided::Alone)
        }
        LeafKind::EvidenceRead => {
            reader.plain(&decode::<EvidenceReadLeaf>(payload)?.reader, Operation::EvidenceGet, Decided::Alone)
        }
        LeafKind::JobRecordMade => Ok(reader.record(&decode(payload)?)?),
        LeafKind::Refused => reader.refused(&decode(payload)?),
        LeafKind::RefusalsCounted => Ok(Found::Refused(decode::<RefusalsCountedLeaf>(payload)?.count)),
        LeafKind::Founding
        | LeafKind::Start
        | LeafKind::KeyIntent
        | LeafKind::KeyOutcome
        | LeafKind::RollbackShown
        | LeafKind::BundleMade
        | LeafKind::Heartbeat
        | LeafKind::TookEffect
        | LeafKind::KeyDestroyed
        | LeafKind::JobPurged => Ok(Found::Nothing),
    }
}

/// A leaf whose payload is withheld: one request, where its kind records any. How many refusals were counted is not known.
const fn withheld(kind: LeafKind) -> Found {
    match kind {
        LeafKind::JobOpened
        | LeafKind::JobChanged
        | LeafKind::JobItemsAdded
        | LeafKind::IncidentReported
        | LeafKind::CardsChanged
        | LeafKind::JobRecordMade
        | LeafKind::CardKeysDerived
        | LeafKind::ValueUpdated
        | LeafKind::EntriesRead
        | LeafKind::Refused
        | LeafKind::RefusalsCounted
        | LeafKind::ProposalMade
        | LeafKind::ProposalVoted
        | LeafKind::FreezeChanged
        | LeafKind::SealedActByQuorum
        | LeafKind::EvidenceRead
        | LeafKind::SiteChanged
        | LeafKind::ActByQuorum => Found::Withheld,
        _ => Found::Nothing,
    }
}

struct Reader<'a> {
    control: &'a Control,
    jobs: &'a Jobs,
    time_ms: u64,
}

impl Reader<'_> {
    fn caller(&self, name: &Name) -> Result<Caller, String> {
        let member = self.control.roster().member(name);
        member
            .map(|member| Caller::of(&member.enrolment))
            .ok_or_else(|| format!("{name}, who asked, is not enrolled"))
    }

    /// A request in its statement, which its signer's key of that time verifies; nothing where it is about a job whose
    /// past is withheld.
    fn on_record(
        &self,
        by: &Name,
        operation: Operation,
        statement: &Statement,
        decided: Decided,
    ) -> Result<Option<OnRecord>, String> {
        let caller = self.caller(by)?;
        let key = self.control.roster().member(by).and_then(Member::statement_key);
        let key = key.ok_or_else(|| format!("{by}, who asked, has no statement key"))?;
        let signed = Signed::parse(statement.0.as_bytes()).map_err(|error| error.to_string())?;
        let kind = Kind::Request(operation);
        let payload = signed.open(kind, self.control.genesis().as_bytes(), &key);
        let payload = payload.map_err(|error| format!("the statement of {by}: {error}"))?;
        let asking = Asking { control: self.control, time_ms: self.time_ms, by, operation, payload };
        let asked = Asked::of(self.jobs, asking)?;
        Ok(asked.map(|asked| OnRecord { caller, operation, asked, decided, proposal: None }))
    }

    fn signed(
        &self,
        by: &Name,
        operation: Operation,
        statement: &Statement,
        decided: Decided,
    ) -> Result<Found, String> {
        Ok(found(self.on_record(by, operation, statement, decided)?))
    }

    /// A job's audit record that was asked for, which leaves no statement.
    fn record(&self, leaf: &JobRecordMadeLeaf) -> Result<Found, String> {
        let Some(job) = self.jobs.of(&leaf.job) else { return Ok(Found::Withheld) };
        let (caller, asked) = (self.caller(&leaf.reader)?, Asked::JobRead(Box::new(job)));
        let (operation, decided) = (Operation::JobRecord, Decided::Alone);
        Ok(Found::Request(Box::new(OnRecord { caller, operation, asked, decided, proposal: None })))
    }

    /// A request without circumstances, which leaves no statement.
    fn plain(&self, by: &Name, operation: Operation, decided: Decided) -> Result<Found, String> {
        let (caller, asked) = (self.caller(by)?, Asked::Plain);
        Ok(Found::Request(Box::new(OnRecord { caller, operation, asked, decided, proposal: None })))
    }

    fn act(&self, leaf: &ActByQuorumLeaf) -> Result<Found, String> {
        let bytes = leaf.evidence.proposal.as_bytes();
        let proposal = Proposal::decode(bytes).map_err(|error| error.to_string())?;
        let quorum =
            quorum::count(bytes, leaf.evidence.approvals(), self.control.genesis(), self.control.roster())
                .map_err(|why| why.to_string())?;
        let (by, operation, statement) = inner(leaf.kind, leaf.act.as_bytes())?;
        let decided = Decided::WithPeople {
            persons: quorum.persons(),
            departments: quorum.departments().iter().map(Name::to_string).collect(),
        };
        let record = self.on_record(&by, operation, &statement, decided)?;
        Ok(found(record.map(|record| OnRecord { proposal: Some(proposal.id), ..record })))
    }

    fn proposed(&self, leaf: &ProposalMadeLeaf) -> Result<Found, String> {
        let proposal = Proposal::decode(leaf.proposal.as_bytes()).map_err(|error| error.to_string())?;
        let Proposal { id, request, need, .. } = proposal;
        let decided = Decided::TakesPeople(need);
        let record = self.on_record(&request.requester, request.operation, &request.statement, decided)?;
        Ok(found(record.map(|record| OnRecord { proposal: Some(id), ..record })))
    }

    /// Who voted is told by the key alone, which needs the proposal that was voted on.
    fn voted(&self, leaf: &ProposalVotedLeaf) -> Result<Found, String> {
        let operation = match leaf.verdict {
            Verdict::Approve => Operation::ProposalApprove,
            Verdict::Reject => Operation::ProposalReject,
        };
        if self.control.proposals().get(&leaf.proposal).is_none() {
            return Ok(Found::Unknown);
        }
        let (control, approval) = (self.control, leaf.approval.as_bytes());
        let judged = control.judged_vote(self.time_ms, &leaf.proposal, leaf.verdict, approval);
        let (officer, _) = judged.map_err(|refusal| refusal.to_string())?;
        self.plain(&officer, operation, Decided::Alone)
    }

    fn closed(&self, leaf: &ProposalClosedLeaf) -> Result<Found, String> {
        match &leaf.end {
            ProposalEnd::Cancelled { by, .. } => self.plain(by, Operation::ProposalCancel, Decided::Alone),
            ProposalEnd::Expired | ProposalEnd::Failed { .. } => Ok(Found::Ended(leaf.proposal)),
        }
    }

    /// Of a refusal the log keeps who asked which operation and the answer. Where the policies are told no more than
    /// that, and nobody but they deny it, it can be decided again.
    fn refused(&self, leaf: &RefusedLeaf) -> Result<Found, String> {
        let known = self.control.roster().member(&leaf.principal).is_some_and(|member| member.enabled);
        if known && leaf.refusal == Refusal::Forbidden && denied_by_policies_alone(leaf.operation) {
            self.plain(&leaf.principal, leaf.operation, Decided::Denied)
        } else {
            Ok(Found::Refused(1))
        }
    }
}

/// Reads without circumstances, which nothing but the policies forbids.
const fn denied_by_policies_alone(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Status
            | Operation::KeyList
            | Operation::KeyGet
            | Operation::LogCheckpoint
            | Operation::LogEntries
            | Operation::LogProof
            | Operation::BundleGet
            | Operation::ProposalList
            | Operation::ProposalGet
            | Operation::PrincipalList
            | Operation::KeyImpact
            | Operation::FreezeList
            | Operation::EvidenceGet
            | Operation::ProfileGet
            | Operation::ProfileList
            | Operation::PolicyGet
            | Operation::JobList
    )
}

/// What was found of a request; one about a job whose past is withheld is not decided again.
fn found(record: Option<OnRecord>) -> Found {
    record.map_or(Found::Withheld, |record| Found::Request(Box::new(record)))
}

/// Who asked, which operation, and the statement, of what was done.
fn inner(kind: LeafKind, payload: &[u8]) -> Result<(Name, Operation, Statement), String> {
    match kind {
        LeafKind::SiteChanged | LeafKind::FreezeChanged => {
            let act: ChangedLeaf = decode(payload)?;
            Ok((act.principal, act.operation, act.statement))
        }
        LeafKind::ValueUpdated => {
            let act: ValueUpdatedLeaf = decode(payload)?;
            let update =
                ValueUpdate::from_payload(act.update.as_bytes()).map_err(|error| error.to_string())?;
            Ok((update.terminal, Operation::ValueUpdate, act.statement))
        }
        LeafKind::CardKeysDerived => {
            let act: CardKeysDerivedLeaf = decode(payload)?;
            Ok((act.station, Operation::CardDerive, act.statement))
        }
        LeafKind::JobOpened => {
            let act: JobOpenedLeaf = decode(payload)?;
            Ok((act.station, act.operation, act.statement))
        }
        LeafKind::JobChanged => {
            let act: JobChangedLeaf = decode(payload)?;
            Ok((act.principal, act.operation, act.statement))
        }
        LeafKind::JobItemsAdded => {
            let act: JobItemsLeaf = decode(payload)?;
            Ok((act.principal, Operation::JobItems, act.statement))
        }
        LeafKind::IncidentReported => {
            let act: IncidentReportedLeaf = decode(payload)?;
            Ok((act.station, Operation::JobIncident, act.statement))
        }
        LeafKind::CardsChanged => {
            let act: CardsChangedLeaf = decode(payload)?;
            Ok((act.principal, act.operation, act.statement))
        }
        _ => Err("it holds an act of a kind that takes no people".to_owned()),
    }
}

fn decode<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX).map_err(|error| error.to_string())
}
