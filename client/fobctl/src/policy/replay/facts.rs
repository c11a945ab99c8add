//! What the policies are asked about a recorded request: the keeper's own mapping, one function for each group of
//! operations.
//!
//! It must stay the keeper's (`keysvc/src/keeper/action.rs`, `action/people.rs`): a log replayed under the policies that
//! were in force differs in nothing, which the journey of policies proves. It decides nothing.

use super::jobs::{self, Asking, Jobs, OnJob};
use crate::policy::caller::Caller;
use keysvc_client::protocol::{
    cbor::{self, REQUEST_LEN_MAX},
    control::{Change, Control},
    founding::{Function, Profile},
    freeze::Scope,
    name::Name,
    request::{DeriveCardKeys, MoveCards, Operation, UpdateValue},
};
use keysvc_policies::{ContextFacts, JobFacts, ResourceFacts};
use serde::{Serialize, de::DeserializeOwned};

/// A recorded request, as far as the policies are told of it.
#[derive(Debug)]
pub(super) enum Asked {
    /// A load or debit.
    Value(UpdateValue),
    /// Card keys, with the profile of their job.
    Cards {
        /// The request.
        derive: DeriveCardKeys,
        /// The card profile.
        profile: Name,
        /// Its version.
        version: u32,
    },
    /// Cards in other states.
    Moved(MoveCards),
    /// What is done to a job.
    Job(Box<OnJob>),
    /// What is read of a job.
    JobRead(Box<OnJob>),
    /// What moves principals, keys, freezes, thresholds, profiles or policies.
    Change(Box<Change>),
    /// What is about the service or the log and has no circumstances.
    Plain,
}

impl Asked {
    /// Reads the payload of a signed request; nothing where it is about a job whose past is withheld.
    ///
    /// # Errors
    /// Why it is not the operation's, in words.
    pub(super) fn of(jobs: &Jobs, asking: Asking<'_>) -> Result<Option<Self>, String> {
        let (operation, payload) = (asking.operation, asking.payload);
        if jobs::concerns(operation) {
            return Ok(jobs.told(asking)?.map(|told| Self::Job(Box::new(told))));
        }
        Ok(Some(match operation {
            Operation::ValueUpdate => Self::Value(request(payload)?),
            Operation::CardTransition => Self::Moved(request(payload)?),
            Operation::CardDerive => {
                let derive: DeriveCardKeys = request(payload)?;
                let Some(job) = jobs.of(&derive.job) else { return Ok(None) };
                let profile = job.profile.parse().map_err(|_| "its job has no profile".to_owned())?;
                Self::Cards { derive, profile, version: job.profile_version }
            }
            _ => {
                let change = Change::of(operation, payload).map_err(|refusal| refusal.to_string())?;
                change.map_or(Self::Plain, |change| Self::Change(Box::new(change)))
            }
        }))
    }

    /// The change in it, if it is one.
    pub(super) fn change(&self) -> Option<&Change> {
        match self {
            Self::Change(change) => Some(change),
            _ => None,
        }
    }
}

/// Resource and circumstances; nothing where the request names what does not exist.
pub(super) fn facts<'a>(
    asked: &'a Asked,
    operation: Operation,
    caller: &Caller,
    control: &'a Control,
) -> Option<(ResourceFacts<'a>, ContextFacts<'a>)> {
    match asked {
        Asked::Value(update) => value(update, control),
        Asked::Cards { derive, profile, version } => cards(derive, (profile, *version), control),
        Asked::Moved(request) => Some((ResourceFacts::Service, moved(request))),
        Asked::Job(job) => Some((of_job(job), ContextFacts::Job(history(job)))),
        Asked::JobRead(job) => Some((of_job(job), read(job))),
        Asked::Change(change) => Some((ResourceFacts::Service, changed(change, caller, control)?)),
        Asked::Plain => Some((plain(operation), ContextFacts::None)),
    }
}

/// `value.update`.
fn value<'a>(update: &UpdateValue, control: &'a Control) -> Option<(ResourceFacts<'a>, ContextFacts<'a>)> {
    let founding = control.founding();
    let programme = founding.programmes.iter().find(|programme| programme.name == update.programme)?;
    let context = ContextFacts::ValueUpdate {
        operation: update.operation.name(),
        // As the keeper puts it: past 2^63 no policy reaches.
        amount: update.amount.min(u64::from(u32::MAX) << 31),
        no_card_session: true,
        passive_tag: control.profiles().passive_tag(programme),
        development: founding.development,
    };
    let resource = ResourceFacts::Programme {
        name: programme.name.as_str(),
        organisation: programme.organisation.as_str(),
        currency: programme.currency,
    };
    Some((resource, context))
}

/// `card.derive`.
fn cards<'a>(
    derive: &DeriveCardKeys,
    (profile, version): (&'a Name, u32),
    control: &Control,
) -> Option<(ResourceFacts<'a>, ContextFacts<'a>)> {
    let standing = control.profiles().get(profile, version)?;
    let context = ContextFacts::CardDerive {
        cards: u32::try_from(derive.cards.len()).unwrap_or(u32::MAX),
        slots: u32::try_from(standing.profile.slots.len()).unwrap_or(u32::MAX),
        generation: derive.generation,
        development: control.founding().development,
    };
    Some((ResourceFacts::Profile { name: profile.as_str() }, context))
}

/// `card.transition`.
fn moved(request: &MoveCards) -> ContextFacts<'static> {
    let cards = u32::try_from(request.cards.len()).unwrap_or(u32::MAX);
    ContextFacts::CardTransition { to: request.to.name(), cards }
}

fn of_job(job: &OnJob) -> ResourceFacts<'_> {
    ResourceFacts::Job { name: &job.name, customer: &job.customer, profile: &job.profile }
}

/// What is done to a job.
fn history(job: &OnJob) -> JobFacts<'_> {
    JobFacts {
        created_by: &job.created_by,
        sealed_by: &job.sealed_by,
        operated_by: &job.operated_by,
        reviewed_by: &job.reviewed_by,
        operators: &job.operators,
        reviewer: &job.reviewer,
        witness: &job.witness,
    }
}

/// `job.record`.
fn read(job: &OnJob) -> ContextFacts<'_> {
    ContextFacts::JobRead {
        created_by: &job.created_by,
        sealed_by: &job.sealed_by,
        operated_by: &job.operated_by,
    }
}

fn request<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    cbor::decode(payload, REQUEST_LEN_MAX).map_err(|error| error.to_string())
}

/// What has no circumstances: reads, votes, withdrawals.
const fn plain(operation: Operation) -> ResourceFacts<'static> {
    match operation {
        Operation::LogCheckpoint | Operation::LogEntries | Operation::LogProof => ResourceFacts::Log,
        _ => ResourceFacts::Service,
    }
}

/// What moves the state that people move.
fn changed<'a>(change: &'a Change, caller: &Caller, control: &'a Control) -> Option<ContextFacts<'a>> {
    let officers = u32::try_from(control.roster().voters().len()).unwrap_or(u32::MAX);
    Some(match change {
        Change::Enrol { principal } => ContextFacts::Principal {
            subject_kind: principal.kind.name(),
            subject_organisation: principal.group.as_str(),
            own: false,
            officers,
        },
        Change::Rotate { request } => principal(&request.id, caller, control)?,
        Change::Disable { id } | Change::Enable { id } => principal(id, caller, control)?,
        Change::Create { kind, .. } => ContextFacts::Key { kind: kind.name(), officers },
        Change::Import { request } => ContextFacts::Key { kind: request.kind.name(), officers },
        Change::Key { name, version, .. } => {
            ContextFacts::Key { kind: control.keys().get(name, *version)?.kind.name(), officers }
        }
        Change::Freeze { scope, .. } | Change::Lift { scope } => freeze(scope, control),
        Change::Profile { profile } => profile_put(profile, officers),
        Change::Threshold { .. } | Change::Clock { .. } | Change::Policies { .. } => {
            ContextFacts::Site { officers }
        }
        Change::Component { .. } | Change::Ceremony { .. } => ContextFacts::None,
    })
}

/// Changes of somebody who is enrolled.
fn principal<'a>(subject: &Name, caller: &Caller, control: &'a Control) -> Option<ContextFacts<'a>> {
    let enrolment = &control.roster().member(subject)?.enrolment;
    Some(ContextFacts::Principal {
        subject_kind: enrolment.kind.name(),
        subject_organisation: enrolment.group.as_str(),
        own: enrolment.id == *caller.id(),
        officers: u32::try_from(control.roster().voters().len()).unwrap_or(u32::MAX),
    })
}

/// `freeze.set` and `freeze.lift`.
fn freeze<'a>(scope: &'a Scope, control: &'a Control) -> ContextFacts<'a> {
    let organisation = match scope {
        Scope::Card { programme: Some(name), .. } | Scope::Programme { name } => {
            let mut programmes = control.founding().programmes.iter();
            programmes
                .find(|programme| programme.name == *name)
                .map(|programme| programme.organisation.as_str())
        }
        Scope::Terminal { name } | Scope::Station { name } => {
            control.roster().member(name).map(|member| member.enrolment.group.as_str())
        }
        Scope::Store { name } => Some(name.as_str()),
        Scope::Card { .. } | Scope::Profile { .. } | Scope::Key { .. } | Scope::Job { .. } | Scope::All => {
            None
        }
    };
    ContextFacts::Freeze {
        scope: scope.kind().name(),
        organisation: organisation.unwrap_or_default(),
        officers: u32::try_from(control.roster().voters().len()).unwrap_or(u32::MAX),
    }
}

/// `profile.put`.
fn profile_put(profile: &Profile, officers: u32) -> ContextFacts<'static> {
    ContextFacts::Profile {
        family: profile.family.name(),
        stored_value: profile.enables(Function::StoredValue),
        officers,
    }
}
