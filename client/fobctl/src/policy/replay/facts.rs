//! What the policies are asked about a recorded request: the keeper's own mapping, one function for each group of
//! operations.
//!
//! It must stay the keeper's (`keysvc/src/keeper/action.rs`, `action/people.rs`): a log replayed under the policies that
//! were in force differs in nothing, which the journey of policies proves. It decides nothing.

use crate::policy::caller::Caller;
use keysvc_client::protocol::{
    cbor::{self, REQUEST_LEN_MAX},
    control::{Change, Control},
    founding::{Function, Profile},
    freeze::Scope,
    name::Name,
    refusal::{Invalid, Refusal},
    request::{DeriveCardKeys, Operation, UpdateValue},
};
use keysvc_policies::{ContextFacts, ResourceFacts};

/// A recorded request, as far as the policies are told of it.
#[derive(Debug)]
pub(super) enum Asked {
    /// A load or debit.
    Value(UpdateValue),
    /// Card keys.
    Cards(DeriveCardKeys),
    /// An exchange with a station.
    Station,
    /// What moves principals, keys, freezes, thresholds, profiles or policies.
    Change(Box<Change>),
    /// What is about the service or the log and has no circumstances.
    Plain,
}

impl Asked {
    /// Reads the payload of a signed request.
    ///
    /// # Errors
    /// [`Refusal`] when it is not the operation's.
    pub(super) fn of(operation: Operation, payload: &[u8]) -> Result<Self, Refusal> {
        let encoding = |_| Refusal::Invalid { reason: Invalid::Encoding };
        match operation {
            Operation::ValueUpdate => {
                cbor::decode(payload, REQUEST_LEN_MAX).map(Self::Value).map_err(encoding)
            }
            Operation::CardDerive => {
                cbor::decode(payload, REQUEST_LEN_MAX).map(Self::Cards).map_err(encoding)
            }
            Operation::StationOpen => Ok(Self::Station),
            _ => {
                Ok(Change::of(operation, payload)?
                    .map_or(Self::Plain, |change| Self::Change(Box::new(change))))
            }
        }
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
        Asked::Cards(derive) => Some(cards(derive, control)),
        Asked::Station => Some((ResourceFacts::Service, ContextFacts::Quorum)),
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
fn cards<'a>(derive: &'a DeriveCardKeys, control: &Control) -> (ResourceFacts<'a>, ContextFacts<'a>) {
    let context = ContextFacts::CardDerive {
        cards: u32::try_from(derive.cards.len()).unwrap_or(u32::MAX),
        slots: u32::try_from(derive.slots.len()).unwrap_or(u32::MAX),
        development: control.founding().development,
    };
    (ResourceFacts::Profile { name: derive.profile.as_str() }, context)
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
        Scope::Card { .. } | Scope::Profile { .. } | Scope::Key { .. } | Scope::All => None,
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
