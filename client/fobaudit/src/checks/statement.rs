//! The signed request inside a leaf: by the principal that the leaf names, with its enrolled statement key.

use super::{Site, enrolments::Enrolled};
use crate::finding::{PeopleProblem, Problem};
use keysvc_protocol::{
    cbor::{self, REQUEST_LEN_MAX},
    cose::{Kind, Signed},
    founding::PrincipalKind,
    leaf::Statement,
    name::Name,
    request::Operation,
};
use serde::{Serialize, de::DeserializeOwned};

/// Whose statement is expected, as what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    /// The principal's name.
    pub(super) name: &'a Name,
    /// What it must be enrolled as.
    pub(super) kind: PrincipalKind,
    /// What it must have asked for.
    pub(super) operation: Operation,
}

/// Verifies a statement and gives the request in it, and the caller's enrolment. Nothing is read before the
/// signature holds.
///
/// # Errors
/// [`Problem`] when the caller is not enrolled so at this leaf, or disabled, or the statement is not its.
pub(super) fn open<'p, T: Serialize + DeserializeOwned>(
    site: &Site<'p>,
    caller: Caller<'_>,
    statement: &Statement,
) -> Result<(T, &'p Enrolled), Problem> {
    let Caller { name, kind, operation } = caller;
    let stranger = || Problem::NotEnrolled { name: name.clone(), kind };
    let enrolled = site.people.principal(name, kind).ok_or_else(stranger)?;
    let key = enrolled.statement_key.ok_or_else(stranger)?;
    let payload = Signed::parse(statement.0.as_bytes())
        .and_then(|signed| signed.open(Kind::Request(operation), site.founded.genesis.as_bytes(), &key))
        .map_err(|why| Problem::Statement { operation, name: name.clone(), why })?;
    let request = cbor::decode(payload, REQUEST_LEN_MAX).map_err(|why| Problem::StatementForm {
        operation,
        name: name.clone(),
        why,
    })?;
    // Last, so that a forged statement is told as such.
    if !enrolled.enabled {
        return Err(PeopleProblem::Disabled(name.clone()).into());
    }
    Ok((request, enrolled))
}

/// Whether a statement is an enabled member's own, whatever the member is: where its rules said otherwise, this says more
/// exactly what is wrong.
///
/// # Errors
/// [`Problem`] when the signer is not enrolled at this leaf, or disabled, or the statement is not theirs.
pub(super) fn is_of(
    site: &Site<'_>,
    (name, operation): (&Name, Operation),
    statement: &Statement,
) -> Result<(), Problem> {
    let enrolled = site.people.enrolled(name).ok_or_else(|| Problem::Stranger(name.clone()))?;
    let key = enrolled.statement_key.ok_or_else(|| Problem::Stranger(name.clone()))?;
    Signed::parse(statement.0.as_bytes())
        .and_then(|signed| signed.open(Kind::Request(operation), site.founded.genesis.as_bytes(), &key))
        .map_err(|why| Problem::Statement { operation, name: name.clone(), why })?;
    if enrolled.enabled { Ok(()) } else { Err(PeopleProblem::Disabled(name.clone()).into()) }
}
