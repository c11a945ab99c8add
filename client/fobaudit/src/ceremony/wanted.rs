//! What is looked for in a log for a ceremony: its proposals, the requests of its steps, and its anchor.
//!
//! Apart from the replay because it follows from the transcript alone.

use super::replay::DRIFT_MAX_MS;
use keysvc_protocol::{
    bytes::{Digest, Idem, ProposalId},
    cbor::{self, REQUEST_LEN_MAX},
    ceremony::{STEPS_MAX, Transcript, idem_of_step},
    hash::sha256,
    request::{
        ActivateKey, CreateKey, EnrolPrincipal, ImportKey, Operation, ProposePolicy, PutProfile, RetireKey,
    },
};
use std::collections::BTreeSet;

/// What is looked for.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The transcript's digest.
    pub(super) transcript: Digest,
    /// Its plan's.
    pub(super) plan: Digest,
    proposals: BTreeSet<ProposalId>,
    // The idempotency keys of the plan's steps: a step that failed may not know what became of its request.
    idems: BTreeSet<Idem>,
    /// Leaves of this time and earlier are from before the ceremony: milliseconds since 1970-01-01 UTC.
    pub(super) before_ms: u64,
}

impl Wanted {
    /// What a transcript of this digest speaks of.
    pub(super) fn of(transcript: &Transcript, digest: Digest) -> Self {
        let plan = sha256(&[transcript.plan.as_bytes()]);
        let proposals = transcript.steps.iter().filter_map(|step| step.proposal).collect();
        let numbers = 1..=u16::try_from(STEPS_MAX).unwrap_or(u16::MAX);
        let idems = numbers.map(|number| idem_of_step(&plan, number)).collect();
        let before_ms = transcript.started_ms.saturating_sub(DRIFT_MAX_MS);
        Self { transcript: digest, plan, proposals, idems, before_ms }
    }
    /// Whether a proposal is one that the transcript names, or was made by a step of its plan.
    pub(super) fn holds(&self, proposal: &ProposalId, idem: Option<Idem>) -> bool {
        self.proposals.contains(proposal) || idem.is_some_and(|idem| self.idems.contains(&idem))
    }
}

/// The idempotency key of a request that becomes a proposal.
pub(super) fn idem_of(operation: Operation, payload: &[u8]) -> Option<Idem> {
    fn read<T: serde::Serialize + serde::de::DeserializeOwned>(payload: &[u8]) -> Option<T> {
        cbor::decode(payload, REQUEST_LEN_MAX).ok()
    }
    match operation {
        Operation::KeyCreate => read::<CreateKey>(payload).map(|request| request.idem),
        Operation::KeyActivate => read::<ActivateKey>(payload).map(|request| request.idem),
        Operation::KeyRetire => read::<RetireKey>(payload).map(|request| request.idem),
        Operation::KeyImport => read::<ImportKey>(payload).map(|request| request.idem),
        Operation::PrincipalEnrol => read::<EnrolPrincipal>(payload).map(|request| request.idem),
        Operation::ProfilePut => read::<PutProfile>(payload).map(|request| request.idem),
        Operation::PolicyPropose => read::<ProposePolicy>(payload).map(|request| request.idem),
        _ => None,
    }
}
