//! The gate: who calls, whether they signed it, and whether the policies allow it.
//!
//! It alone makes a [`Permit`]. What can change between here and the commit (sequence numbers, retries) is decided
//! again inside the ledger's transaction.

use super::{
    action::Action,
    site::{Enrolled, Site},
};
use crate::{error::Fault, link::Peer};
use arc_swap::ArcSwap;
use keysvc_policies::{Decision, PolicySet, PrincipalFacts, Question};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor::{self, REQUEST_LEN_MAX},
    cose::{CoseError, Kind, Signed},
    hash::sha256,
    leaf::Statement,
    refusal::{Invalid, Refusal},
};
use std::sync::Arc;

/// Proof that the gate let a request through: the caller is enrolled, the statement is theirs, the policies said
/// yes.
///
/// Its fields are private and only [`Gate::admit`] makes one:
/// ```compile_fail,E0451
/// # fn steal(caller: std::sync::Arc<keysvc::keeper::site::Enrolled>, statement: keysvc::keeper::gate::Said) {
/// let action = keysvc_protocol::request::ReadStatus { schema: keysvc_protocol::schema::Schema };
/// keysvc::keeper::gate::Permit { action, caller, said: statement };
/// # }
/// ```
/// while reading one is anybody's right:
/// ```
/// # fn read(permit: &keysvc::keeper::gate::Permit<keysvc_protocol::request::ReadStatus>) {
/// let action = keysvc_protocol::request::ReadStatus { schema: keysvc_protocol::schema::Schema };
/// assert_eq!(*permit.action(), action);
/// # }
/// ```
#[derive(Debug)]
pub struct Permit<A> {
    action: A,
    caller: Arc<Enrolled>,
    said: Said,
}

/// What the caller sent: the statement, where the operation is signed, and its payload's digest.
#[derive(Debug)]
pub struct Said {
    statement: Option<Statement>,
    payload_digest: Digest,
}

impl<A> Permit<A> {
    /// The request.
    #[must_use]
    pub fn action(&self) -> &A {
        &self.action
    }

    /// Who asks.
    #[must_use]
    pub fn caller(&self) -> &Arc<Enrolled> {
        &self.caller
    }

    /// The signed request as received; none for reads.
    #[must_use]
    pub fn statement(&self) -> Option<&Statement> {
        self.said.statement.as_ref()
    }

    /// SHA-256 of the request's payload: equality of requests is over this, never over signatures.
    #[must_use]
    pub fn payload_digest(&self) -> Digest {
        self.said.payload_digest
    }
}

/// Why the gate did not let a request through.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// The caller's affair.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// Ours.
    #[error("{0}")]
    Fault(#[from] Fault),
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    site: Arc<Site>,
    policies: ArcSwap<PolicySet>,
}

impl Gate {
    /// A gate for `site` under `policies`.
    #[must_use]
    pub fn new(site: Arc<Site>, policies: PolicySet) -> Self {
        Self { site, policies: ArcSwap::from_pointee(policies) }
    }

    /// Judges by these policies from the next request on. The caller has compared their digest with the log's.
    pub fn replace_policies(&self, policies: PolicySet) {
        self.policies.store(Arc::new(policies));
    }

    /// Who signed a `value.update` that `caller` passes on: an enrolled principal of the caller's own organisation. A
    /// claim until [`Gate::admit`] has verified the signature.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when it is no statement by anyone enrolled, [`Refusal::Forbidden`] when the signer is of
    /// another organisation.
    pub fn signer(&self, statement: &[u8], caller: &Enrolled) -> Result<Arc<Enrolled>, Refusal> {
        let parsed = Signed::parse(statement).map_err(|_| Refusal::Invalid { reason: Invalid::NotSigned })?;
        let signer = self
            .site
            .by_statement_key(parsed.key_identifier())
            .ok_or(Refusal::Invalid { reason: Invalid::Signature })?;
        if signer.organisation == caller.organisation {
            Ok(Arc::clone(signer))
        } else {
            Err(Refusal::Forbidden)
        }
    }

    /// Who calls: the principal that pinned the connection's key, if its certificate carries the name enrolled.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when nobody did, or the name is another.
    pub fn caller(&self, peer: &Peer) -> Result<Arc<Enrolled>, Refusal> {
        let enrolled = self.site.by_pin(&peer.key_digest).ok_or(Refusal::Unauthenticated)?;
        if enrolled.uri == peer.uri { Ok(Arc::clone(enrolled)) } else { Err(Refusal::Unauthenticated) }
    }

    /// Lets a request through or says why not: statement, then policies, then rules of form.
    ///
    /// # Errors
    /// [`NotAdmitted`]: a refusal of the caller's, or a fault of the policies.
    pub fn admit<A: Action>(&self, request: &[u8], caller: Arc<Enrolled>) -> Result<Permit<A>, NotAdmitted> {
        let payload = self.payload::<A>(request, &caller)?;
        let action: A = cbor::decode(payload, REQUEST_LEN_MAX)
            .map_err(|_| Refusal::Invalid { reason: Invalid::Encoding })?;
        self.ask(&action, &caller)?;
        action.check(&self.site, &caller)?;
        let statement = if A::OPERATION.is_signed() {
            Some(Statement(Blob::try_from(request.to_vec()).map_err(Refusal::from)?))
        } else {
            None
        };
        let said = Said { statement, payload_digest: sha256(&[payload]) };
        Ok(Permit { action, caller, said })
    }

    /// The request's payload; of a statement only after its signature holds.
    fn payload<'a, A: Action>(&self, request: &'a [u8], caller: &Enrolled) -> Result<&'a [u8], Refusal> {
        if !A::OPERATION.is_signed() {
            return Ok(request);
        }
        let Some(key) = &caller.statement_key else { return Err(Refusal::Forbidden) };
        let kind = Kind::Request(A::OPERATION);
        let opened = Signed::parse(request).and_then(|s| s.open(kind, self.site.genesis().as_bytes(), key));
        opened.map_err(|error| {
            let reason = match error {
                CoseError::Malformed | CoseError::WrongKind => Invalid::NotSigned,
                CoseError::WrongKey | CoseError::BadSignature => Invalid::Signature,
            };
            Refusal::Invalid { reason }
        })
    }

    fn ask<A: Action>(&self, action: &A, caller: &Enrolled) -> Result<(), NotAdmitted> {
        let (resource, context) = action.question(&self.site)?;
        let principal = PrincipalFacts {
            id: caller.id.as_str(),
            kind: caller.kind.name(),
            organisation: &caller.organisation,
            department: &caller.department,
            capabilities: &caller.capabilities,
        };
        let question = Question { principal, action: A::OPERATION.name(), resource, context };
        match self.policies.load().decide(&question).map_err(Fault::from)? {
            Decision::Allow => Ok(()),
            Decision::Deny => Err(Refusal::Forbidden.into()),
        }
    }
}
