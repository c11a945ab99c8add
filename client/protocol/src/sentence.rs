//! The sentence of an act: what officers read before they sign, and auditors afterwards.
//!
//! Made from the exact bytes that are signed. Every field of the request is in it, and no two requests of an operation
//! have one sentence. Who asks stands in the proposal, not in the request, and is said beside it. Pure text: it neither
//! verifies nor judges.

mod governed;
mod job;
mod text;

pub use job::agreement;
pub use text::grouped;

use crate::{
    bytes::Idem,
    cbor::{self, REQUEST_LEN_MAX},
    founding::PrincipalKind,
    freeze::Scope,
    name::{Name, Reason},
    quorum::Need,
    refusal::{Invalid, Refusal},
    request::{
        ActivateKey, CancelProposal, CompromiseKey, ConfirmClock, CreateKey, DestroyKey, DisablePrincipal,
        EnablePrincipal, EnrolPrincipal, Enrolment, LiftFreeze, Operation, RetireKey, RotatePrincipal,
        SetFreeze, SetQuorum, SuspendKey, UpdateValue, ValueOperation,
    },
};
use alloc::{format, string::String, vec::Vec};
use serde::{Serialize, de::DeserializeOwned};
use text::{Amount, counted, fingerprint, list, quoted, utc};

/// The sentence of a request, from the payload that its caller signed.
///
/// # Errors
/// [`Refusal::Invalid`] when the payload is not the operation's, or the operation is none that is signed: nobody is to
/// sign what cannot be said.
pub fn sentence(operation: Operation, payload: &[u8]) -> Result<String, Refusal> {
    match operation {
        Operation::JobOpen
        | Operation::JobResume
        | Operation::CardDerive
        | Operation::CardTransition
        | Operation::JobCreate
        | Operation::JobItems
        | Operation::JobSeal
        | Operation::JobWithdraw
        | Operation::JobSuspend
        | Operation::CardResult
        | Operation::JobCount
        | Operation::JobIncident
        | Operation::JobClose => job::sentence(operation, payload),
        Operation::ValueUpdate => Ok(update_value(&decode(payload)?)),
        Operation::ProposalCancel => Ok(cancel(&decode(payload)?)),
        Operation::PrincipalEnrol => Ok(enrol(&decode(payload)?)),
        Operation::PrincipalRotate => Ok(rotate(&decode(payload)?)),
        Operation::PrincipalDisable
        | Operation::PrincipalEnable
        | Operation::KeyCreate
        | Operation::KeyActivate
        | Operation::KeySuspend
        | Operation::KeyRetire
        | Operation::KeyCompromise
        | Operation::KeyDestroy => of_standing(operation, payload),
        Operation::FreezeSet => {
            let SetFreeze { schema: _, idem, scope, reason } = decode(payload)?;
            Ok(format!("Stop {}. {}", stopped(&scope), closing(&idem, Some(&reason))))
        }
        Operation::FreezeLift => {
            let LiftFreeze { schema: _, idem, scope, reason } = decode(payload)?;
            Ok(format!("Let {} go on. {}", stopped(&scope), closing(&idem, Some(&reason))))
        }
        Operation::QuorumSet => Ok(set_quorum(&decode(payload)?)),
        Operation::ClockConfirm => {
            let ConfirmClock { schema: _, idem, time_ms } = decode(payload)?;
            let time = utc(time_ms);
            Ok(format!(
                "State that the service's clock was right when it showed {time} ({time_ms} ms). {}",
                closing(&idem, None)
            ))
        }
        Operation::KeyImport
        | Operation::ComponentGive
        | Operation::ProfilePut
        | Operation::PolicyPropose
        | Operation::CeremonyRecord => governed::sentence(operation, payload),
        _ => Err(Refusal::Invalid { reason: Invalid::NotSigned }),
    }
}

/// What a need asks for, as in "It takes ...".
#[must_use]
pub fn need(need: &Need) -> String {
    let Need { schema: _, persons, departments, named } = need;
    let from =
        if *departments > 1 { format!(" of at least {departments} departments") } else { String::new() };
    let among = if named.is_empty() {
        String::new()
    } else {
        format!(", each of these departments among them: {}", list(named))
    };
    format!("{persons} people{from}{among}")
}

fn decode<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
    cbor::decode(payload, REQUEST_LEN_MAX).map_err(|_| Refusal::Invalid { reason: Invalid::Encoding })
}

/// The request's number, and the reason last, because it is free text.
fn closing(idem: &Idem, reason: Option<&Reason>) -> String {
    let number = format!("Request number {}.", grouped(idem.as_bytes()));
    match reason {
        Some(reason) => format!("{number} Reason given: {}.", quoted(reason)),
        None => number,
    }
}

fn update_value(request: &UpdateValue) -> String {
    let UpdateValue {
        schema: _,
        programme,
        card,
        purse,
        operation,
        expected_seq,
        amount,
        currency,
        balance_before,
        txn,
    } = request;
    let does = match operation {
        ValueOperation::Load => "Load",
        ValueOperation::Debit => "Debit",
    };
    let onto = match operation {
        ValueOperation::Load => "on",
        ValueOperation::Debit => "from",
    };
    let amount = Amount { minor: *amount, currency: *currency };
    let before = Amount { minor: *balance_before, currency: *currency }.number();
    format!(
        "{does} {amount} {onto} card {card}, purse {purse}, of programme {programme}; sequence number \
         {expected_seq}, balance before {before}. Transaction number {}.",
        grouped(txn.as_bytes())
    )
}

fn cancel(request: &CancelProposal) -> String {
    let CancelProposal { schema: _, idem, id, reason } = request;
    let id = grouped(id.as_bytes());
    format!("Cancel proposal {id}, or what it became while it waits. {}", closing(idem, Some(reason)))
}

/// Where a principal belongs, as its kind calls it.
const fn place(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Officer => "department",
        _ => "organisation",
    }
}

const fn key_name(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::Officer => "approval key",
        _ => "statement key",
    }
}

fn enrol(request: &EnrolPrincipal) -> String {
    let EnrolPrincipal { schema: _, idem, principal } = request;
    let Enrolment { schema: _, id, kind, group, capabilities, tls_key, statement_key, wrapping_key } =
        principal;
    let mut keys = alloc::vec![format!("TLS key {}", grouped(tls_key.as_bytes()))];
    if let Some(key) = statement_key {
        keys.push(format!("{} {}", key_name(*kind), fingerprint(key.as_bytes())));
    }
    if let Some(key) = wrapping_key {
        keys.push(format!("wrapping key {}", fingerprint(key.as_bytes())));
    }
    let may =
        if capabilities.is_empty() { String::new() } else { format!(", that may {}", list(capabilities)) };
    let place = place(*kind);
    format!("Enrol {kind} {id} of {place} {group}{may}; {}. {}", list(&keys), closing(idem, None))
}

fn rotate(request: &RotatePrincipal) -> String {
    let RotatePrincipal { schema: _, idem, id, tls_key, statement_key, wrapping_key } = request;
    let tls_key = tls_key.as_ref().map(|key| format!("TLS key {}", grouped(key.as_bytes())));
    let statement_key = statement_key
        .as_ref()
        .map(|key| format!("statement or approval key {}", fingerprint(key.as_bytes())));
    let wrapping_key =
        wrapping_key.as_ref().map(|key| format!("wrapping key {}", fingerprint(key.as_bytes())));
    let keys: Vec<_> = [tls_key, statement_key, wrapping_key].into_iter().flatten().collect();
    let keys = if keys.is_empty() { String::from("none") } else { list(&keys) };
    format!("Give {id} other keys: {keys}; the others stay. {}", closing(idem, None))
}

/// Requests that name one principal or key and what becomes of it.
fn of_standing(operation: Operation, payload: &[u8]) -> Result<String, Refusal> {
    let key = |does: &str, name: &Name, version: u32, after: &str| {
        format!("{does} version {version} of key {name}{after}.")
    };
    let (act, idem, reason) = match operation {
        Operation::PrincipalDisable => {
            let DisablePrincipal { schema: _, idem, id, reason } = decode(payload)?;
            (format!("Disable {id}: nothing it asks is done any more."), idem, Some(reason))
        }
        Operation::PrincipalEnable => {
            let EnablePrincipal { schema: _, idem, id, reason } = decode(payload)?;
            (format!("Enable {id} again."), idem, Some(reason))
        }
        Operation::KeyCreate => {
            let CreateKey { schema: _, idem, name, kind } = decode(payload)?;
            (format!("Make the next version of key {name} ({kind})."), idem, None)
        }
        Operation::KeyActivate => {
            let ActivateKey { schema: _, idem, name, version, reason } = decode(payload)?;
            (key("Put into use", &name, version, ""), idem, Some(reason))
        }
        Operation::KeySuspend => {
            let SuspendKey { schema: _, idem, name, version, reason } = decode(payload)?;
            (key("Take out of use for the time being", &name, version, ""), idem, Some(reason))
        }
        Operation::KeyRetire => {
            let RetireKey { schema: _, idem, name, version, reason } = decode(payload)?;
            (key("Retire", &name, version, ": it protects nothing new"), idem, Some(reason))
        }
        Operation::KeyCompromise => {
            let CompromiseKey { schema: _, idem, name, version, reason } = decode(payload)?;
            (key("Declare compromised", &name, version, ""), idem, Some(reason))
        }
        Operation::KeyDestroy => {
            let DestroyKey { schema: _, idem, name, version, reason } = decode(payload)?;
            (
                key("Destroy for good", &name, version, " in the token, once its delay is over"),
                idem,
                Some(reason),
            )
        }
        _ => return Err(Refusal::Invalid { reason: Invalid::NotSigned }),
    };
    Ok(format!("{act} {}", closing(&idem, reason.as_ref())))
}

/// What a freeze stops.
fn stopped(scope: &Scope) -> String {
    match scope {
        Scope::All => String::from("all value and all cards"),
        Scope::Store { name } => format!("the terminals and offices of organisation {name}"),
        Scope::Profile { name } => format!("card profile {name}"),
        Scope::Card { card, programme: None } => format!("card {card} in every programme"),
        Scope::Card { .. }
        | Scope::Terminal { .. }
        | Scope::Station { .. }
        | Scope::Programme { .. }
        | Scope::Key { .. }
        | Scope::Job { .. } => format!("{scope}"),
    }
}

fn set_quorum(request: &SetQuorum) -> String {
    let SetQuorum { schema: _, idem, operation, need: asked } = request;
    format!("From now on {operation} takes {}. {}", need(asked), closing(idem, None))
}

#[cfg(test)]
mod tests;
