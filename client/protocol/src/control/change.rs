//! A change to the state, as its signed request says it.

use super::Control;
use crate::{
    bytes::Digest,
    cbor::{self, REQUEST_LEN_MAX},
    founding::{PrincipalKind, Profile},
    freeze::Scope,
    key::{KeyEvent, KeyKind},
    name::{Name, Reason},
    proposal::{Precondition, ProposalId},
    quorum::Need,
    refusal::{Invalid, Refusal},
    request::{
        ActivateKey, CancelProposal, CompromiseKey, ConfirmClock, CreateKey, DestroyKey, DisablePrincipal,
        EnablePrincipal, EnrolPrincipal, Enrolment, GiveComponent, ImportKey, LiftFreeze, Operation,
        ProposePolicy, PutProfile, RecordCeremony, RetireKey, RotatePrincipal, SetFreeze, SetQuorum,
        SuspendKey,
    },
};
use alloc::vec::Vec;
use serde::{Serialize, de::DeserializeOwned};

/// What a request about the state would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Change {
    /// A new principal.
    Enrol {
        /// The principal.
        principal: Enrolment,
    },
    /// Other keys for a principal.
    Rotate {
        /// The request.
        request: RotatePrincipal,
    },
    /// A principal disabled.
    Disable {
        /// The principal.
        id: Name,
    },
    /// A principal enabled again.
    Enable {
        /// The principal.
        id: Name,
    },
    /// The next version of a key.
    Create {
        /// Its name.
        name: Name,
        /// What it is for.
        kind: KeyKind,
    },
    /// A key's next state.
    Key {
        /// Its name.
        name: Name,
        /// Its version.
        version: u32,
        /// What happens to it.
        event: KeyEvent,
    },
    /// Something stopped.
    Freeze {
        /// What.
        scope: Scope,
        /// Why.
        reason: Reason,
    },
    /// Something let go on.
    Lift {
        /// What.
        scope: Scope,
    },
    /// A threshold.
    Threshold {
        /// The operation.
        operation: Operation,
        /// The need.
        need: Need,
    },
    /// The next version of a key, from components.
    Import {
        /// The request.
        request: ImportKey,
    },
    /// A component of a key that comes in.
    Component {
        /// The request.
        request: GiveComponent,
    },
    /// The next version of a card profile.
    Profile {
        /// The profile.
        profile: Profile,
    },
    /// Other policies.
    Policies {
        /// The request.
        request: ProposePolicy,
    },
    /// A ceremony's transcript, which changes nothing.
    Ceremony {
        /// SHA-256 of the transcript.
        transcript: Digest,
    },
    /// The clock's standing.
    Clock {
        /// When it was compared, milliseconds since 1970-01-01 UTC.
        time_ms: u64,
    },
}

fn decode<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
    cbor::decode(payload, REQUEST_LEN_MAX).map_err(|_| Refusal::Invalid { reason: Invalid::Encoding })
}

impl Change {
    /// Reads what a request's payload would change; nothing for operations that change something else.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when the payload is not the operation's.
    pub fn of(operation: Operation, payload: &[u8]) -> Result<Option<Self>, Refusal> {
        let key = |name, version, event| Self::Key { name, version, event };
        Ok(Some(match operation {
            Operation::PrincipalEnrol => {
                Self::Enrol { principal: decode::<EnrolPrincipal>(payload)?.principal }
            }
            Operation::PrincipalRotate => Self::Rotate { request: decode::<RotatePrincipal>(payload)? },
            Operation::PrincipalDisable => Self::Disable { id: decode::<DisablePrincipal>(payload)?.id },
            Operation::PrincipalEnable => Self::Enable { id: decode::<EnablePrincipal>(payload)?.id },
            Operation::KeyCreate => {
                let CreateKey { name, kind, .. } = decode(payload)?;
                Self::Create { name, kind }
            }
            Operation::KeyActivate => {
                let ActivateKey { name, version, .. } = decode(payload)?;
                key(name, version, KeyEvent::Activate)
            }
            Operation::KeySuspend => {
                let SuspendKey { name, version, .. } = decode(payload)?;
                key(name, version, KeyEvent::Suspend)
            }
            Operation::KeyRetire => {
                let RetireKey { name, version, .. } = decode(payload)?;
                key(name, version, KeyEvent::Deactivate)
            }
            Operation::KeyCompromise => {
                let CompromiseKey { name, version, .. } = decode(payload)?;
                key(name, version, KeyEvent::Compromise)
            }
            Operation::KeyDestroy => {
                let DestroyKey { name, version, .. } = decode(payload)?;
                key(name, version, KeyEvent::Destroy)
            }
            Operation::FreezeSet => {
                let SetFreeze { scope, reason, .. } = decode(payload)?;
                Self::Freeze { scope, reason }
            }
            Operation::FreezeLift => Self::Lift { scope: decode::<LiftFreeze>(payload)?.scope },
            Operation::QuorumSet => {
                let SetQuorum { operation, need, .. } = decode(payload)?;
                Self::Threshold { operation, need }
            }
            Operation::KeyImport => Self::Import { request: decode(payload)? },
            Operation::ComponentGive => Self::Component { request: decode(payload)? },
            Operation::ProfilePut => Self::Profile { profile: decode::<PutProfile>(payload)?.profile },
            Operation::PolicyPropose => Self::Policies { request: decode(payload)? },
            Operation::CeremonyRecord => {
                Self::Ceremony { transcript: decode::<RecordCeremony>(payload)?.transcript }
            }
            Operation::ClockConfirm => Self::Clock { time_ms: decode::<ConfirmClock>(payload)?.time_ms },
            _ => return Ok(None),
        }))
    }

    /// Whether it must wait for its delay once people have agreed.
    #[must_use]
    pub fn waits(&self, control: &Control) -> bool {
        match self {
            Self::Enrol { .. } | Self::Rotate { .. } | Self::Enable { .. } => self.is_of_officer(control),
            Self::Threshold { .. } | Self::Key { event: KeyEvent::Destroy, .. } => true,
            _ => false,
        }
    }

    /// Whether it is about an officer.
    #[must_use]
    pub fn is_of_officer(&self, control: &Control) -> bool {
        let officer = |name| control.roster().member(name).is_some_and(super::Member::is_officer);
        match self {
            Self::Enrol { principal } => principal.kind == PrincipalKind::Officer,
            Self::Rotate { request } => officer(&request.id),
            Self::Disable { id } | Self::Enable { id } => officer(id),
            _ => false,
        }
    }

    /// What it is made on, as it stands.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when what it is about is not there.
    pub fn preconditions(&self, control: &Control) -> Result<Vec<Precondition>, Refusal> {
        let not_found = |what| Refusal::NotFound { what };
        Ok(match self {
            Self::Rotate { request: RotatePrincipal { id, .. } }
            | Self::Disable { id }
            | Self::Enable { id } => {
                let member = control.roster().member(id);
                let member = member.ok_or(not_found(crate::refusal::Thing::Principal))?;
                alloc::vec![Precondition::Principal { name: id.clone(), leaf: member.leaf }]
            }
            Self::Key { name, version, .. } => {
                let key = control.keys().get(name, *version);
                let state = key.ok_or(not_found(crate::refusal::Thing::Key))?.state;
                alloc::vec![Precondition::Key { name: name.clone(), version: *version, state }]
            }
            Self::Lift { scope } => {
                let freeze = control.freezes().get(scope);
                let leaf = freeze.ok_or(not_found(crate::refusal::Thing::Freeze))?.leaf;
                alloc::vec![Precondition::Freeze { scope: scope.clone(), leaf }]
            }
            _ => Vec::new(),
        })
    }
}

impl Precondition {
    /// Whether it still holds.
    #[must_use]
    pub fn holds(&self, control: &Control) -> bool {
        match self {
            Self::Key { name, version, state } => {
                control.keys().get(name, *version).is_some_and(|key| key.state == *state)
            }
            Self::Principal { name, leaf } => {
                control.roster().member(name).is_some_and(|member| member.leaf == *leaf)
            }
            Self::Freeze { scope, leaf } => {
                control.freezes().get(scope).is_some_and(|freeze| freeze.leaf == *leaf)
            }
        }
    }
}

/// The proposal that a `proposal.cancel` names.
pub(super) fn cancelled(payload: &[u8]) -> Result<ProposalId, Refusal> {
    Ok(decode::<CancelProposal>(payload)?.id)
}
