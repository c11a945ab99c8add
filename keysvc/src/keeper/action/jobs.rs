//! What the policies are asked about personalization jobs and the cards they make.
//!
//! Apart because they share their facts: the history of a job, and the people who signed an act on it. Whether the act can
//! be done is [`keysvc_protocol::job`]'s, which the ledger asks inside its transaction.

use super::{Action, Around};
use crate::error::Fault;
use keysvc_policies::{ContextFacts, JobFacts, ResourceFacts};
use keysvc_protocol::{
    bytes::Idem,
    job::{History, JobAct, Role},
    name::{Name, Reason},
    refusal::{Invalid, Refusal, Thing},
    request::{
        AddJobItems, Agreements, CheckCard, CloseJob, CountJob, CreateJob, DeriveCardKeys, GiveResults,
        ListJobs, MoveCards, OpenJob, Operation, ReadJob, ReadJobRecord, ReportIncident, ResumeJob, SealJob,
        SuspendJob, WithdrawJob,
    },
};
use std::{collections::BTreeSet, fmt};

/// What is on record of jobs, for a gate that reads no store.
pub trait Histories: fmt::Debug + Send + Sync {
    /// A job, as far as the policies are told of it; nothing where there is none of this name.
    ///
    /// # Errors
    /// [`Fault`] of the store.
    fn job(&self, name: &Name) -> Result<Option<JobSeen>, Fault>;
}

/// A job on record, as far as the policies are told of it.
#[derive(Debug, Clone)]
pub struct JobSeen {
    /// Who has done what on it.
    pub history: History,
    /// Whose cards they are.
    pub customer: Reason,
    /// The card profile.
    pub profile: Name,
    /// Its version.
    pub profile_version: u32,
}

/// The act on its job that a request carries people's agreements to.
#[derive(Debug)]
pub struct Acted<'a> {
    /// The act, as each of them signed it.
    pub act: JobAct,
    /// The agreements.
    pub agreements: &'a Agreements,
    /// Whose they are to be, in their order.
    pub roles: &'static [Role],
}

/// The job that a request names, in the policies' words. Of one that is not on record all is empty, so that whoever may
/// not ask about jobs is told the same of every name.
#[derive(Debug, Default)]
pub struct JobAround {
    seen: bool,
    customer: String,
    profile: Option<(Name, u32)>,
    created_by: String,
    sealed_by: String,
    operated_by: Vec<String>,
    reviewed_by: Vec<String>,
    operators: Vec<String>,
    reviewer: String,
    witness: String,
}

impl JobAround {
    /// What the policies are told of a job on record.
    #[must_use]
    pub fn of(seen: Option<JobSeen>) -> Self {
        let Some(JobSeen { history, customer, profile, profile_version }) = seen else {
            return Self::default();
        };
        let one = |name: Option<Name>| name.map(|name| name.to_string()).unwrap_or_default();
        let all = |names: BTreeSet<Name>| names.iter().map(Name::to_string).collect();
        Self {
            seen: true,
            customer: customer.to_string(),
            profile: Some((profile, profile_version)),
            created_by: one(history.created_by),
            sealed_by: one(history.sealed_by),
            operated_by: all(history.operated_by),
            reviewed_by: all(history.reviewed_by),
            ..Self::default()
        }
    }

    /// Adds somebody who signed the act.
    pub fn signed_by(&mut self, role: Role, person: &Name) {
        match role {
            Role::StationOperator => self.operators.push(person.to_string()),
            Role::Reviewer => self.reviewer = person.to_string(),
            Role::Monitor => self.witness = person.to_string(),
            // A data operator signs a request of its own.
            Role::DataOperator => {}
        }
    }

    fn facts(&self) -> JobFacts<'_> {
        JobFacts {
            created_by: &self.created_by,
            sealed_by: &self.sealed_by,
            operated_by: &self.operated_by,
            reviewed_by: &self.reviewed_by,
            operators: &self.operators,
            reviewer: &self.reviewer,
            witness: &self.witness,
        }
    }

    fn profile(&self) -> &str {
        self.profile.as_ref().map_or("", |(name, _)| name.as_str())
    }

    fn resource<'a>(&'a self, name: &'a Name) -> ResourceFacts<'a> {
        ResourceFacts::Job { name: name.as_str(), customer: &self.customer, profile: self.profile() }
    }
}

impl<'a> Around<'a> {
    /// That the job is on record. Asked after the policies.
    fn job_exists(&self) -> Result<(), Refusal> {
        if self.job.seen { Ok(()) } else { Err(Refusal::NotFound { what: Thing::Job }) }
    }

    /// What is asked about an act on a job.
    fn about_job(&self, name: &'a Name) -> (ResourceFacts<'a>, ContextFacts<'a>) {
        (self.job.resource(name), ContextFacts::Job(self.job.facts()))
    }

    /// What is asked about a look at a job.
    fn job_read(&self, name: &'a Name) -> (ResourceFacts<'a>, ContextFacts<'a>) {
        let JobFacts { created_by, sealed_by, operated_by, .. } = self.job.facts();
        (self.job.resource(name), ContextFacts::JobRead { created_by, sealed_by, operated_by })
    }
}

macro_rules! acts_on_a_job {
    (by quorum: $quorum:expr; $($type:ty => $operation:ident $(by $roles:expr, $act:expr)?;)*) => {
        $(impl Action for $type {
            const OPERATION: Operation = Operation::$operation;
            const BY_QUORUM: bool = $quorum;
            fn question<'a>(
                &'a self,
                around: &'a Around<'a>,
            ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
                Ok(around.about_job(&self.job))
            }
            fn idem(&self) -> Option<Idem> {
                Some(self.idem)
            }
            fn job(&self) -> Option<&Name> {
                Some(&self.job)
            }
            $(fn acted(&self, caller: &Name) -> Option<Acted<'_>> {
                let act: fn(&Self, &Name) -> JobAct = $act;
                Some(Acted { act: act(self, caller), agreements: &self.agreements, roles: &$roles })
            })?
            fn check(&self, around: &Around<'_>) -> Result<(), Refusal> {
                around.job_exists()
            }
        })*
    };
}

const OPERATORS: [Role; 2] = [Role::StationOperator; 2];
const REVIEWED: [Role; 2] = [Role::StationOperator, Role::Reviewer];

acts_on_a_job! {
    by quorum: false;
    AddJobItems => JobItems;
    SealJob => JobSeal;
    WithdrawJob => JobWithdraw;
    SuspendJob => JobSuspend;
    GiveResults => CardResult;
    CountJob => JobCount by REVIEWED, |asked, _| JobAct::Count { counts: asked.counts };
    ReportIncident => JobIncident by REVIEWED, |asked, _| JobAct::Incident { incident: asked.incident.clone() };
    CloseJob => JobClose by [Role::Monitor], |asked, _| JobAct::Close { receipt: asked.receipt.clone() };
}

acts_on_a_job! {
    by quorum: true;
    OpenJob => JobOpen by OPERATORS, |_, station| JobAct::Open { station: station.clone() };
    ResumeJob => JobResume by OPERATORS, |_, station| JobAct::Resume { station: station.clone() };
}

impl Action for CreateJob {
    const OPERATION: Operation = Operation::JobCreate;
    const BY_QUORUM: bool = false;

    fn question<'a>(
        &'a self,
        around: &'a Around<'a>,
    ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        let resource = ResourceFacts::Job {
            name: self.job.as_str(),
            customer: self.head.customer.as_str(),
            profile: self.head.profile.as_str(),
        };
        // Nobody has done anything on it, and one that is there already is not this caller's to hear of.
        Ok((resource, ContextFacts::Job(around.job.facts())))
    }

    fn idem(&self) -> Option<Idem> {
        Some(self.idem)
    }
}

macro_rules! looks_at_a_job {
    ($($type:ty => $operation:ident;)*) => {
        $(impl Action for $type {
            const OPERATION: Operation = Operation::$operation;
            fn question<'a>(
                &'a self,
                around: &'a Around<'a>,
            ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
                Ok(around.job_read(&self.job))
            }
            fn job(&self) -> Option<&Name> {
                Some(&self.job)
            }
            fn check(&self, around: &Around<'_>) -> Result<(), Refusal> {
                around.job_exists()
            }
        })*
    };
}

looks_at_a_job! {
    ReadJob => JobGet;
    ReadJobRecord => JobRecord;
}

macro_rules! looks_at_the_service {
    ($($type:ty => $operation:ident;)*) => {
        $(impl Action for $type {
            const OPERATION: Operation = Operation::$operation;
            fn question<'a>(
                &'a self,
                _: &'a Around<'a>,
            ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
                Ok((ResourceFacts::Service, ContextFacts::None))
            }
        })*
    };
}

looks_at_the_service! {
    ListJobs => JobList;
    CheckCard => CardCheck;
}

impl Action for DeriveCardKeys {
    const OPERATION: Operation = Operation::CardDerive;

    fn idem(&self) -> Option<Idem> {
        Some(self.idem)
    }

    fn job(&self) -> Option<&Name> {
        Some(&self.job)
    }

    fn question<'a>(
        &'a self,
        around: &'a Around<'a>,
    ) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        let profiles = around.control.profiles();
        let profile = around.job.profile.as_ref().and_then(|(name, version)| profiles.get(name, *version));
        let context = ContextFacts::CardDerive {
            cards: u32::try_from(self.cards.len()).unwrap_or(u32::MAX),
            slots: profile.map_or(0, |in_use| u32::try_from(in_use.profile.slots.len()).unwrap_or(u32::MAX)),
            generation: self.generation,
            development: around.site.development(),
        };
        Ok((ResourceFacts::Profile { name: around.job.profile() }, context))
    }

    fn check(&self, around: &Around<'_>) -> Result<(), Refusal> {
        around.job_exists()?;
        let mut seen = BTreeSet::new();
        if self.cards.is_empty() || !self.cards.iter().all(|card| seen.insert(card)) {
            return Err(Refusal::Invalid { reason: Invalid::Items });
        }
        Ok(())
    }
}

impl Action for MoveCards {
    const OPERATION: Operation = Operation::CardTransition;

    fn idem(&self) -> Option<Idem> {
        Some(self.idem)
    }

    fn question<'a>(&'a self, _: &'a Around<'a>) -> Result<(ResourceFacts<'a>, ContextFacts<'a>), Refusal> {
        let cards = u32::try_from(self.cards.len()).unwrap_or(u32::MAX);
        Ok((ResourceFacts::Service, ContextFacts::CardTransition { to: self.to.name(), cards }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<Name> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn the_policies_are_told_who_did_what_and_who_signs_now() {
        let history = History {
            created_by: Some("data-1".parse().unwrap()),
            sealed_by: None,
            operated_by: names(&["operator-2", "operator-1"]),
            reviewed_by: names(&["reviewer-1"]),
        };
        let mut job = JobAround::of(Some(JobSeen {
            history,
            customer: "acme".parse().unwrap(),
            profile: "door".parse().unwrap(),
            profile_version: 2,
        }));
        job.signed_by(Role::StationOperator, &"operator-3".parse().unwrap());
        job.signed_by(Role::Reviewer, &"reviewer-2".parse().unwrap());
        let facts = job.facts();
        assert_eq!((facts.created_by, facts.sealed_by), ("data-1", ""));
        assert_eq!(facts.operated_by, ["operator-1", "operator-2"]);
        assert_eq!(facts.reviewed_by, ["reviewer-1"]);
        assert_eq!(
            (facts.operators, facts.reviewer, facts.witness),
            (&["operator-3".to_owned()][..], "reviewer-2", "")
        );
        let name = "nfc-1".parse().unwrap();
        let expected = ResourceFacts::Job { name: "nfc-1", customer: "acme", profile: "door" };
        assert_eq!(job.resource(&name), expected);
    }

    #[test]
    fn of_a_job_that_is_not_on_record_the_policies_are_told_nothing() {
        let job = JobAround::of(None);
        let name = "nfc-1".parse().unwrap();
        assert_eq!(job.resource(&name), ResourceFacts::Job { name: "nfc-1", customer: "", profile: "" });
        assert!(job.facts().operated_by.is_empty() && job.facts().created_by.is_empty());
    }
}
