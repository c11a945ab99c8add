//! Requests about what takes people: proposals, principals, keys, freezes, thresholds.
//!
//! Apart from the others because together they are one subject. What they do to the service's state is
//! [`crate::control`]'s.

use crate::{
    bytes::{Blob, Digest, Idem},
    founding::PrincipalKind,
    freeze::Scope,
    key::KeyKind,
    list::List,
    name::{Name, Reason},
    proposal::{APPROVAL_LEN_MAX, ProposalId},
    quorum::Need,
    request::Operation,
    schema::Schema,
};
use serde::{Deserialize, Serialize};

/// A principal's keys and place, as pinned by its enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// Field 0.
    pub schema: Schema,
    /// Its name; never used before, not even by one that is disabled.
    pub id: Name,
    /// What it is.
    pub kind: PrincipalKind,
    /// Its organisation; of an officer the department.
    pub group: Name,
    /// What it may do beyond its kind, as the site's policies name it; none for an officer.
    pub capabilities: List<Name, 16>,
    /// SHA-256 of the TLS key's `SubjectPublicKeyInfo`.
    pub tls_key: Digest,
    /// The statement key (an officer's approval key), DER `SubjectPublicKeyInfo`; for whoever changes something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_key: Option<Blob<128>>,
    /// The RSA wrapping key of a station, DER `SubjectPublicKeyInfo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapping_key: Option<Blob<1024>>,
}

request!(
    /// `proposal.list`: the open ones, or the newest of all. At most 64 a reply, newest first.
    ListProposals {
        /// Whether ended ones are wanted too.
        ended: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Only those made before this leaf: to page on.
        before: Option<u64>,
    }
);
request!(
    /// `proposal.get`: one proposal with its votes.
    ReadProposal {
        /// The proposal.
        id: ProposalId,
    }
);
request!(
    /// `proposal.approve`: an officer's signed verdict.
    ApproveProposal {
        /// The proposal.
        id: ProposalId,
        /// COSE_Sign1 of a [`crate::quorum::Approval`] by the officer's approval key.
        approval: Blob<APPROVAL_LEN_MAX>,
    }
);
request!(
    /// `proposal.reject`: an officer's signed verdict.
    RejectProposal {
        /// The proposal.
        id: ProposalId,
        /// COSE_Sign1 of a [`crate::quorum::Approval`] by the officer's approval key.
        approval: Blob<APPROVAL_LEN_MAX>,
    }
);
request!(
    /// `proposal.cancel`: withdraws a proposal while it is open, or its act while it waits for its delay.
    CancelProposal {
        /// The idempotency key.
        idem: Idem,
        /// The proposal.
        id: ProposalId,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `proposal.result`: the reply to the requester's own request, once the quorum was met.
    ReadResult {
        /// The proposal.
        id: ProposalId,
    }
);
request!(
    /// `principal.enrol`: a new person or machine.
    EnrolPrincipal {
        /// The idempotency key.
        idem: Idem,
        /// The principal.
        principal: Enrolment,
    }
);
request!(
    /// `principal.rotate`: other keys for the calling principal; keys left out stay.
    RotatePrincipal {
        /// The idempotency key.
        idem: Idem,
        /// The caller's own name.
        id: Name,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// The new TLS key's pin.
        tls_key: Option<Digest>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// The new statement key, DER `SubjectPublicKeyInfo`.
        statement_key: Option<Blob<128>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// The new wrapping key, DER `SubjectPublicKeyInfo`.
        wrapping_key: Option<Blob<1024>>,
    }
);
request!(
    /// `principal.disable`.
    DisablePrincipal {
        /// The idempotency key.
        idem: Idem,
        /// The principal.
        id: Name,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `principal.enable`.
    EnablePrincipal {
        /// The idempotency key.
        idem: Idem,
        /// The principal.
        id: Name,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `principal.list`: by name, at most 256 a reply.
    ListPrincipals {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Only those after this name: to page on.
        after: Option<Name>,
    }
);
request!(
    /// `key.create`: the next version of a key, made in the token; not in use before `key.activate`.
    CreateKey {
        /// The idempotency key.
        idem: Idem,
        /// The key's name.
        name: Name,
        /// What it is for: a card master or value signing key.
        kind: KeyKind,
    }
);
request!(
    /// `key.activate`.
    ActivateKey {
        /// The idempotency key.
        idem: Idem,
        /// The key's name.
        name: Name,
        /// Its version.
        version: u32,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `key.suspend`.
    SuspendKey {
        /// The idempotency key.
        idem: Idem,
        /// The key's name.
        name: Name,
        /// Its version.
        version: u32,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `key.retire`.
    RetireKey {
        /// The idempotency key.
        idem: Idem,
        /// The key's name.
        name: Name,
        /// Its version.
        version: u32,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `key.compromise`.
    CompromiseKey {
        /// The idempotency key.
        idem: Idem,
        /// The key's name.
        name: Name,
        /// Its version.
        version: u32,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `key.destroy`.
    DestroyKey {
        /// The idempotency key.
        idem: Idem,
        /// The key's name.
        name: Name,
        /// Its version.
        version: u32,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `key.impact`: what hangs on a version of a key.
    ReadImpact {
        /// The key's name.
        name: Name,
        /// Its version.
        version: u32,
    }
);
request!(
    /// `freeze.set`.
    SetFreeze {
        /// The idempotency key.
        idem: Idem,
        /// What it is about.
        scope: Scope,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `freeze.lift`.
    LiftFreeze {
        /// The idempotency key.
        idem: Idem,
        /// What it is about.
        scope: Scope,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `freeze.list`: what is stopped, oldest first, at most 256 a reply.
    ListFreezes {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Only those after this leaf: to page on.
        after: Option<u64>,
    }
);
request!(
    /// `quorum.set`: how many people an operation takes from now on; never fewer than its floor or its policy asks.
    SetQuorum {
        /// The idempotency key.
        idem: Idem,
        /// The operation.
        operation: Operation,
        /// The need; the floor's own lifts what was set before.
        need: Need,
    }
);
request!(
    /// `clock.confirm`: two people have compared the service's clock with a good one.
    ConfirmClock {
        /// The idempotency key.
        idem: Idem,
        /// The service's time when it was compared, milliseconds since 1970-01-01 UTC.
        time_ms: u64,
    }
);
request!(
    /// `evidence.get`: the self-contained evidence of the act that a proposal became.
    ReadEvidence {
        /// The proposal.
        id: ProposalId,
    }
);
