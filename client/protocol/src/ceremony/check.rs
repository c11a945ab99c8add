//! Whether a plan agrees with itself: names, numbers and values, before anybody signs it.
//!
//! Apart from the plan's types because it is what reviewers rely on. It knows no log: whether people, keys and files are
//! there is found when it is run.

use super::plan::{Activity, Component, PEOPLE_MAX, Person, Plan, Role, STEPS_MAX, Step};
use crate::{
    bytes::{Digest, ShortCheck},
    key::KeyState,
};
use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString as _},
};

/// The states that a key may be expected in.
const STATES: [KeyState; 6] = [
    KeyState::PreActivation,
    KeyState::Active,
    KeyState::Suspended,
    KeyState::Deactivated,
    KeyState::Compromised,
    KeyState::Destroyed,
];

/// What is wrong with a plan: the place in it and the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {mend}")]
pub struct PlanError {
    /// The key in the file, such as `steps.3.by`; steps count from 1.
    pub place: String,
    /// What to do about it.
    pub mend: String,
}

fn fault(place: impl Into<String>, mend: &str) -> PlanError {
    PlanError { place: place.into(), mend: mend.to_string() }
}

impl Plan {
    /// Checks that the plan agrees with itself.
    ///
    /// # Errors
    /// [`PlanError`] with the place and the mend, for the first thing wrong.
    pub fn check(&self) -> Result<(), PlanError> {
        if !(2..=PEOPLE_MAX).contains(&self.people.len()) {
            return Err(fault("people", "name 2 to 16 people"));
        }
        let names: BTreeSet<_> = self.people.iter().map(|person| &person.name).collect();
        if names.len() != self.people.len() {
            return Err(fault("people", "somebody stands there twice; keep one"));
        }
        if !(1..=STEPS_MAX).contains(&self.steps.len()) {
            return Err(fault("steps", "give 1 to 64 steps"));
        }
        if self.genesis.is_some() == self.founds() {
            return Err(fault(
                "genesis",
                "give the genesis digest of the log, except where the plan founds it",
            ));
        }
        for (number, step) in (1_u16..).zip(&self.steps) {
            self.check_step(number, step)?;
        }
        Ok(())
    }

    fn check_step(&self, number: u16, step: &Step) -> Result<(), PlanError> {
        let at = |key: &str| format!("steps.{number}.{key}");
        let Some(person) = self.person(&step.by) else {
            return Err(fault(at("by"), "name somebody who stands under people"));
        };
        let Some(activity) = &step.activity else { return Ok(()) };
        if !may_do(person, activity) {
            return Err(fault(at("by"), "this takes a person of another role"));
        }
        let asked = |of_step: u16| {
            let before = (1..number).contains(&of_step);
            self.step(of_step).filter(|_| before).and_then(|step| step.activity.as_ref())
        };
        match activity {
            Activity::Approve { of_step } if !asked(*of_step).is_some_and(Activity::asks) => {
                Err(fault(at("do.of-step"), "name an earlier step that asks for something"))
            }
            Activity::ComponentGive { of_step } => match asked(*of_step) {
                Some(Activity::KeyImport { components, .. })
                    if components.iter().any(|component| component.custodian == step.by) =>
                {
                    Ok(())
                }
                _ => {
                    Err(fault(at("do.of-step"), "name an earlier key-import with a component of this person"))
                }
            },
            Activity::KeyImport { components, check_value, .. } => {
                if self.can_import(check_value, components) {
                    Ok(())
                } else {
                    let mend =
                        "give two or three components of people in the plan, and check values of 10 digits";
                    Err(fault(at("do"), mend))
                }
            }
            Activity::KeyShow { check_value, state, .. } => {
                if !check_value.as_deref().is_none_or(is_check_value) {
                    let mend = "give a check value: 10 digits, or 64 of a signing key";
                    return Err(fault(at("do.check-value"), mend));
                }
                if !state.as_deref().is_none_or(|state| STATES.map(KeyState::name).contains(&state)) {
                    return Err(fault(
                        at("do.state"),
                        "give a state such as pre-activation, active or deactivated",
                    ));
                }
                Ok(())
            }
            Activity::ProfilePut { version: 0, .. } => {
                Err(fault(at("do.version"), "give the profile's version; they count from 1"))
            }
            _ => Ok(()),
        }
    }

    fn can_import(&self, check_value: &str, components: &[Component]) -> bool {
        let good = |one: &Component| is_short(&one.check_value) && self.person(&one.custodian).is_some();
        (2..=3).contains(&components.len()) && is_short(check_value) && components.iter().all(good)
    }
}

/// Whether a person's role lets them do this. An officer may hold a component as well; a custodian approves nothing.
fn may_do(person: &Person, activity: &Activity) -> bool {
    match activity {
        Activity::Status | Activity::KeyShow { .. } => true,
        Activity::ComponentGive { .. } => person.role != Role::Witness,
        _ => person.role == Role::Officer,
    }
}

fn is_short(text: &str) -> bool {
    text.parse::<ShortCheck>().is_ok()
}

/// A check value of any key: a signing key's is the digest of its public half.
fn is_check_value(text: &str) -> bool {
    is_short(text) || text.parse::<Digest>().is_ok()
}
