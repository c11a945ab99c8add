//! The gate: who calls, whether they signed it, and whether the policies allow it.
//!
//! It alone makes a [`Permit`]. What can change between here and the commit (sequence numbers, retries, the officers'
//! state) is decided again inside the ledger's transaction. Where the policies ask for people it makes an [`Unapproved`],
//! which becomes a proposal; with a proposal's evidence the same request passes here afresh.

mod job;
mod need;

use super::{
    action::{Action, Around, Histories, policy_set, principal_facts},
    site::{Enrolled, Site},
};
use crate::{error::Fault, link::Peer};
use arc_swap::ArcSwap;
use keysvc_policies::{Denied, PolicySet, Question, QuorumFacts, Verdict};
use keysvc_protocol::{
    bytes::{Blob, Digest, Idem},
    cbor::{self, REQUEST_LEN_MAX},
    control::Control,
    cose::{CoseError, Kind, Signed},
    hash::sha256,
    leaf::Statement,
    name::Name,
    proposal::{Evidence, Proposal},
    quorum::{self, Need, Quorum},
    refusal::{Conflict, Invalid, Refusal, Thing, Uncounted},
    request::Operation,
};
use std::sync::Arc;

/// Proof that the gate let a request through: the caller is enrolled, the statement is theirs, the policies said
/// yes.
///
/// Its fields are private and only [`Gate::admit`] makes one:
/// ```compile_fail,E0451
/// # fn steal(caller: std::sync::Arc<keysvc::keeper::site::Enrolled>, statement: keysvc::keeper::gate::Said) {
/// let action = keysvc_protocol::request::ReadStatus { schema: keysvc_protocol::schema::Schema };
/// keysvc::keeper::gate::Permit { action, caller, said: statement, evidence: None };
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
    evidence: Option<Evidence>,
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

    /// The proposal and approvals it passed with, where it took people.
    #[must_use]
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }
}

/// A good request that takes people first.
#[derive(Debug)]
pub struct Unapproved {
    /// What is asked.
    pub operation: Operation,
    /// Who asks.
    pub caller: Arc<Enrolled>,
    /// The signed request.
    pub statement: Statement,
    /// SHA-256 of its payload.
    pub payload_digest: Digest,
    /// Its idempotency key.
    pub idem: Idem,
    /// What the policies ask; nothing where only its type does.
    pub need: Option<Need>,
}

/// Why nobody calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCaller {
    /// The peer's key is nobody's, or its certificate carries another name.
    Unknown,
    /// The principal of this name is disabled.
    Disabled(Name),
}

/// Why the gate did not let a request through.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// The caller's affair.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// It takes people first.
    #[error("it takes people first")]
    Unapproved(Box<Unapproved>),
    /// Ours.
    #[error("{0}")]
    Fault(#[from] Fault),
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    site: Arc<Site>,
    histories: Box<dyn Histories>,
    // What was in force at the start: a request that looked at the state before a change may still ask by it.
    first: Arc<PolicySet>,
    policies: ArcSwap<PolicySet>,
}

impl Gate {
    /// A gate for `site`, with the policies that were loaded; which are in force is the log's word. `histories` are
    /// those of the jobs on record.
    #[must_use]
    pub fn new(site: Arc<Site>, histories: Box<dyn Histories>, policies: PolicySet) -> Self {
        let first = Arc::new(policies);
        Self { site, histories, policies: ArcSwap::new(Arc::clone(&first)), first }
    }

    /// The policies in force as the log's state has them: those that were loaded, or, once people have put others in
    /// force, a set built from the files in the log and kept from then on.
    ///
    /// # Errors
    /// [`Fault::Refusing`] when neither is what the log says is in force.
    pub fn policies(&self, control: &Control) -> Result<Arc<PolicySet>, Fault> {
        let in_force = |set: &PolicySet| Digest::new(set.digest()) == *control.policy();
        let loaded = self.policies.load_full();
        if in_force(&loaded) {
            return Ok(loaded);
        }
        if in_force(&self.first) {
            return Ok(Arc::clone(&self.first));
        }
        let set = control.policies().files().and_then(policy_set).filter(in_force);
        let set = Arc::new(set.ok_or_else(|| {
            Fault::Refusing(format!(
                "no policies with the digest {} are at hand, which the log says are in force",
                control.policy()
            ))
        })?);
        self.policies.store(Arc::clone(&set));
        Ok(set)
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
        if !signer.enabled {
            return Err(Refusal::StateConflict { reason: Conflict::Disabled });
        }
        if signer.organisation == caller.organisation { Ok(signer) } else { Err(Refusal::Forbidden) }
    }

    /// Who calls: the enabled principal that pinned the connection's key, if its certificate carries the name enrolled.
    /// Asked for every request, so that disabling somebody holds on a connection that is open.
    ///
    /// # Errors
    /// [`NoCaller`].
    pub fn caller(&self, peer: &Peer) -> Result<Arc<Enrolled>, NoCaller> {
        let enrolled = self.site.by_pin(&peer.key_digest).ok_or(NoCaller::Unknown)?;
        if enrolled.uri != peer.uri {
            return Err(NoCaller::Unknown);
        }
        if enrolled.enabled { Ok(enrolled) } else { Err(NoCaller::Disabled(enrolled.id.clone())) }
    }

    /// Lets a request through or says why not: statement, then policies, then rules of form.
    ///
    /// # Errors
    /// [`NotAdmitted`]: a refusal of the caller's, people that it takes first, or a fault of the policies.
    pub fn admit<A: Action>(&self, request: &[u8], caller: Arc<Enrolled>) -> Result<Permit<A>, NotAdmitted> {
        let control = self.site.control()?;
        let payload = self.payload::<A>(request, &caller)?;
        let action: A = decode(payload)?;
        let job = job::around(&action, self.histories.as_ref(), &control, &caller)?;
        let around = Around { site: &self.site, control: &control, caller: &caller, job: &job };
        let takes_people = self.takes_people(&action, &around)?;
        action.check(&around)?;
        let statement = statement::<A>(request)?;
        let payload_digest = sha256(&[payload]);
        if takes_people != People::None {
            let need = match takes_people {
                People::Asked(need) => Some(need),
                People::None | People::ByType => None,
            };
            let (Some(statement), Some(idem)) = (statement, action.idem()) else {
                return Err(Refusal::Forbidden.into());
            };
            let operation = A::OPERATION;
            let unapproved = Unapproved { operation, caller, statement, payload_digest, idem, need };
            return Err(NotAdmitted::Unapproved(Box::new(unapproved)));
        }
        Ok(Permit { action, caller, said: Said { statement, payload_digest }, evidence: None })
    }

    /// Lets a proposal's request through with the people who approved it. Everything is judged as if it came now: who
    /// asked is still enrolled, the statement still theirs, the approvals still count, the policies allow it with exactly
    /// these people.
    ///
    /// # Errors
    /// [`NotAdmitted`]; never [`NotAdmitted::Unapproved`].
    pub fn admit_approved<A: Action>(&self, evidence: Evidence) -> Result<Permit<A>, NotAdmitted> {
        let control = self.site.control()?;
        let (proposal, caller) = self.requested::<A>(&evidence)?;
        let request = proposal.request.statement.0.as_bytes();
        let payload = self.payload::<A>(request, &caller)?;
        let action: A = decode(payload)?;
        let quorum = counted(&evidence, &control)?;
        let job = job::around(&action, self.histories.as_ref(), &control, &caller)?;
        let around = Around { site: &self.site, control: &control, caller: &caller, job: &job };
        let enough = quorum.meets(&proposal.need)
            && control
                .least_need(A::OPERATION, action.alters().as_ref())
                .is_none_or(|least| quorum.meets(&least));
        if !enough {
            return Err(Refusal::ApprovalInvalid { reason: Uncounted::TooFew }.into());
        }
        let departments: Vec<String> = quorum.departments().iter().map(Name::to_string).collect();
        let facts = QuorumFacts { persons: quorum.persons(), departments: &departments };
        if let Verdict::Denied(denied) = self.ask(&action, &around, facts)? {
            return Err(told(denied).into());
        }
        action.check(&around)?;
        let said = Said { statement: statement::<A>(request)?, payload_digest: sha256(&[payload]) };
        Ok(Permit { action, caller, said, evidence: Some(evidence) })
    }

    /// Lets an act through that is on record, to be answered again. Who agreed was judged when it was recorded: officers
    /// who left or changed their keys since take nothing back, and the requester may have other keys. That the requester
    /// is enabled is judged now, and freezes and keys' states in the ledger.
    ///
    /// # Errors
    /// [`NotAdmitted`]; never [`NotAdmitted::Unapproved`].
    pub fn admit_recorded<A: Action>(&self, evidence: Evidence) -> Result<Permit<A>, NotAdmitted> {
        let (proposal, caller) = self.requested::<A>(&evidence)?;
        let request = proposal.request.statement.0.as_bytes();
        let signed =
            Signed::parse(request).map_err(|_| Fault::Invariant("a recorded statement does not read"))?;
        let payload = signed.recorded_payload();
        let said = Said { statement: statement::<A>(request)?, payload_digest: sha256(&[payload]) };
        Ok(Permit { action: decode(payload)?, caller, said, evidence: Some(evidence) })
    }

    /// The proposal in evidence, which must be of this operation, and its requester, who must be enabled.
    fn requested<A: Action>(&self, evidence: &Evidence) -> Result<(Proposal, Arc<Enrolled>), NotAdmitted> {
        let proposal = Proposal::decode(evidence.proposal.as_bytes())
            .map_err(|_| Fault::Invariant("a recorded proposal does not read"))?;
        if proposal.request.operation != A::OPERATION {
            return Err(Fault::Invariant("a proposal is executed as another operation").into());
        }
        let caller = self.site.by_name(&proposal.request.requester);
        let caller = caller.ok_or(Refusal::NotFound { what: Thing::Principal })?;
        if !caller.enabled {
            return Err(Refusal::StateConflict { reason: Conflict::Disabled }.into());
        }
        Ok((proposal, caller))
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

    /// Whether it takes people, and how many the policies ask for. The floor of an operation's type holds even where the
    /// policies would let one caller do it.
    fn takes_people<A: Action>(&self, action: &A, around: &Around<'_>) -> Result<People, NotAdmitted> {
        let least = around.control.least_need(A::OPERATION, action.alters().as_ref());
        match self.ask(action, around, QuorumFacts::NONE)? {
            Verdict::Allowed => return Ok(if least.is_some() { People::ByType } else { People::None }),
            Verdict::Denied(Denied::Forbidden) if A::BY_QUORUM => {}
            // No number of officers makes two people of one.
            Verdict::Denied(denied) => return Err(told(denied).into()),
        }
        let policies = self.policies(around.control)?;
        let (resource, context) = action.question(around)?;
        let question = question::<A>(around, (resource, context), QuorumFacts::NONE);
        match need::of_policies(&policies, &question, around.control)? {
            Some(need) => Ok(People::Asked(need)),
            None => Err(Refusal::Forbidden.into()),
        }
    }

    fn ask<A: Action>(
        &self,
        action: &A,
        around: &Around<'_>,
        quorum: QuorumFacts<'_>,
    ) -> Result<Verdict, NotAdmitted> {
        let facts = action.question(around)?;
        let question = question::<A>(around, facts, quorum);
        Ok(self.policies(around.control)?.judge(&question).map_err(Fault::from)?)
    }
}

/// What a caller is told of a denial.
const fn told(denied: Denied) -> Refusal {
    match denied {
        Denied::Forbidden => Refusal::Forbidden,
        Denied::SamePerson => Refusal::SamePerson,
    }
}

/// Whether a request takes people, and who says so.
#[derive(Debug, PartialEq, Eq)]
enum People {
    /// It takes its caller alone.
    None,
    /// Its type does; the policies would have let the caller do it.
    ByType,
    /// The policies do.
    Asked(Need),
}

fn question<'a, A: Action>(
    around: &'a Around<'_>,
    (resource, context): (keysvc_policies::ResourceFacts<'a>, keysvc_policies::ContextFacts<'a>),
    quorum: QuorumFacts<'a>,
) -> Question<'a> {
    let principal = principal_facts(around.caller);
    Question { principal, action: A::OPERATION.name(), resource, context, quorum }
}

fn decode<A: Action>(payload: &[u8]) -> Result<A, Refusal> {
    cbor::decode(payload, REQUEST_LEN_MAX).map_err(|_| Refusal::Invalid { reason: Invalid::Encoding })
}

fn statement<A: Action>(request: &[u8]) -> Result<Option<Statement>, Refusal> {
    if !A::OPERATION.is_signed() {
        return Ok(None);
    }
    Ok(Some(Statement(Blob::try_from(request.to_vec()).map_err(Refusal::from)?)))
}

/// The people behind recorded evidence, by the officers as they are now.
fn counted(evidence: &Evidence, control: &Control) -> Result<Quorum, Refusal> {
    let proposal = evidence.proposal.as_bytes();
    quorum::count(proposal, evidence.approvals(), control.genesis(), control.roster())
        .map_err(|reason| Refusal::ApprovalInvalid { reason })
}
