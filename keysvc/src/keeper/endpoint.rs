//! The endpoint: from frames to requests, and from what went wrong to what a caller is told.
//!
//! The one place where a fault becomes a refusal.

mod end;
mod look;

pub use end::note_end;
pub use look::look;

use super::{
    gate::NoCaller,
    keyring::Keyring,
    ledger::LedgerFault,
    serve::{Ended, Keeper},
    site::Enrolled,
};
use crate::{
    error::Fault,
    link::{Answer, Call},
    metrics::{Outcome, kind_of},
};
use keysvc_protocol::{
    bytes::Digest,
    cbor::{self, DecodeError, REQUEST_LEN_MAX},
    hash::sha256,
    refusal::{Conflict, Invalid, Refusal},
    request::{
        ActivateKey, AddJobItems, CheckCard, CloseJob, CompromiseKey, ConfirmClock, CountJob, CreateJob,
        CreateKey, DeriveCardKeys, DestroyKey, DisablePrincipal, EnablePrincipal, EnrolPrincipal, Envelope,
        GiveResults, ImportKey, LiftFreeze, ListFreezes, ListJobs, ListKeys, ListPrincipals, ListProfiles,
        ListProposals, MoveCards, OpenJob, Operation, ProposePolicy, PutProfile, ReadBundle, ReadCheckpoint,
        ReadComponentKey, ReadEntries, ReadEvidence, ReadImpact, ReadJob, ReadKey, ReadPolicy, ReadProfile,
        ReadProof, ReadProposal, ReadStatus, RecordCeremony, ReportIncident, ResumeJob, RetireKey,
        RotatePrincipal, SealJob, SetFreeze, SetQuorum, SuspendJob, SuspendKey, UpdateValue, WithdrawJob,
    },
};
use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// Answers one call, which the ledger expects from now on.
pub fn handle(keeper: Arc<Keeper>, call: Call) -> impl Future<Output = Answer> + Send + use<> {
    let sequencer = keeper.ledger.sequencer().clone();
    sequencer.expect(answer_to(keeper, call))
}

async fn answer_to(keeper: Arc<Keeper>, call: Call) -> Answer {
    let begun = Instant::now();
    let operation = call.operation.name();
    let refusal = match answer(&keeper, &call).await {
        Ok(Answered::Done(body)) => {
            keeper.metrics.requests().answered(operation, Outcome::Done, begun.elapsed());
            return Answer::reply(body);
        }
        Ok(Answered::Pending(body)) => {
            keeper.metrics.requests().answered(operation, Outcome::Done, begun.elapsed());
            return Answer::pending(body);
        }
        Ok(Answered::Refused(refusal)) => refusal,
        Err(fault) => {
            note_token_fault(&keeper, &fault);
            tracing::error!(
                request_id = %call.request_id,
                operation,
                duration_us = elapsed_us(begun),
                fault = fault.chain(),
                "a request met a fault"
            );
            if fault.is_fatal() && !keeper.closing.load(Ordering::Acquire) {
                end(&fault, &keeper.keyring, &keeper.socket);
            }
            told(&fault)
        }
    };
    keeper.metrics.requests().answered(operation, Outcome::of(&refusal), begun.elapsed());
    keeper.metrics.requests().refused(&refusal);
    tracing::debug!(
        request_id = %call.request_id,
        operation,
        refusal = refusal.number(),
        name = kind_of(&refusal),
        duration_us = elapsed_us(begun),
        "refused"
    );
    Answer::refusal(refusal, call.request_id)
}

/// As a number that every log format takes.
fn elapsed_us(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn note_token_fault(keeper: &Keeper, fault: &Fault) {
    if let Fault::Token(error) = fault {
        keeper.metrics.token_fault(error.class());
    }
}

/// Ends the process: what it holds in memory cannot be trusted or used any more. The front answers whoever waits,
/// and the parent starts the keeper again. Why is noted beside the keeper's `socket`.
pub fn end(fault: &Fault, keyring: &Keyring, socket: &Path) -> ! {
    tracing::error!(fault = fault.chain(), "the keeper ends");
    note_end(socket, fault);
    leave(fault.exit() as i32, keyring)
}

/// Ends the process with `code`, once the token calls in progress have ended.
pub fn leave(code: i32, keyring: &Keyring) -> ! {
    if keyring.hold() {
        std::process::exit(code)
    }
    // A call hangs in the module, and an orderly exit would run the module's own clean-up beside it.
    std::process::abort()
}

/// What a caller is told of a fault.
fn told(fault: &Fault) -> Refusal {
    match fault {
        Fault::Ledger(LedgerFault::Full) => Refusal::Busy,
        Fault::Ledger(_) => Refusal::StoreUnavailable,
        Fault::Token(_) => Refusal::TokenUnavailable,
        _ => Refusal::Internal,
    }
}

/// What a call came to.
enum Answered {
    Done(Vec<u8>),
    Pending(Vec<u8>),
    Refused(Refusal),
}

async fn answer(keeper: &Keeper, call: &Call) -> Result<Answered, Fault> {
    let caller = match keeper.gate.caller(&call.peer) {
        Ok(caller) => caller,
        Err(NoCaller::Unknown) => {
            keeper.ledger.sequencer().count_unknown();
            return Ok(Answered::Refused(Refusal::Unauthenticated));
        }
        Err(NoCaller::Disabled(name)) => {
            let refusal = Refusal::StateConflict { reason: Conflict::Disabled };
            keeper.record_refused(&name, call.operation, &refusal, request_digest(&call.body)).await?;
            return Ok(Answered::Refused(refusal));
        }
    };
    match dispatch(keeper, call, &caller).await {
        Ok(body) => Ok(Answered::Done(body)),
        Err(Ended::Pending(body)) => Ok(Answered::Pending(body)),
        Err(Ended::RefusedOnRecord(refusal)) => Ok(Answered::Refused(refusal)),
        Err(Ended::Refused(refusal)) => {
            let request = request_digest(&call.body);
            // No audit, no service: a refusal is told once its leaf is durable. Past the first ten of a minute it is
            // counted, and the count becomes a leaf when the minute is over.
            keeper.record_refused(&caller.id, call.operation, &refusal, request).await?;
            Ok(Answered::Refused(refusal))
        }
        Err(Ended::Fault(fault)) => Err(fault),
    }
}

async fn dispatch(keeper: &Keeper, call: &Call, caller: &Arc<Enrolled>) -> Result<Vec<u8>, Ended> {
    if keeper.halted.load(Ordering::Acquire) && call.operation != Operation::Status {
        return Err(Ended::RefusedOnRecord(Refusal::HistoryRolledBack));
    }
    let envelope: Envelope = cbor::decode(&call.body, REQUEST_LEN_MAX).map_err(|error| {
        let reason =
            if matches!(error, DecodeError::TooLong { .. }) { Invalid::TooLong } else { Invalid::Encoding };
        Ended::Refused(Refusal::Invalid { reason })
    })?;
    // One operation brings something beside its request, and never comes without it.
    if envelope.beside.is_some() != (call.operation == Operation::ComponentGive) {
        return Err(Ended::Refused(Refusal::Invalid { reason: Invalid::Encoding }));
    }
    carry_out(keeper, call.operation, &envelope, Arc::clone(caller)).await
}

/// From an operation to its request's type: the one list that serving needs.
async fn carry_out(
    keeper: &Keeper,
    operation: Operation,
    envelope: &Envelope,
    caller: Arc<Enrolled>,
) -> Result<Vec<u8>, Ended> {
    match operation {
        Operation::Status => keeper.read::<ReadStatus>(envelope, caller).await,
        Operation::KeyList => keeper.read::<ListKeys>(envelope, caller).await,
        Operation::KeyGet => keeper.read::<ReadKey>(envelope, caller).await,
        Operation::JobOpen => keeper.change::<OpenJob>(envelope, caller).await,
        Operation::CardDerive => keeper.change::<DeriveCardKeys>(envelope, caller).await,
        Operation::ValueUpdate => keeper.change::<UpdateValue>(envelope, caller).await,
        Operation::LogCheckpoint => keeper.read::<ReadCheckpoint>(envelope, caller).await,
        Operation::LogEntries => keeper.change::<ReadEntries>(envelope, caller).await,
        Operation::LogProof => keeper.read::<ReadProof>(envelope, caller).await,
        Operation::BundleGet => keeper.read::<ReadBundle>(envelope, caller).await,
        Operation::ValueBatch => keeper.batch(envelope, caller).await,
        Operation::ProposalList => keeper.read::<ListProposals>(envelope, caller).await,
        Operation::ProposalGet => keeper.read::<ReadProposal>(envelope, caller).await,
        Operation::ProposalApprove => keeper.approve(envelope, caller).await,
        Operation::ProposalReject => keeper.reject(envelope, caller).await,
        Operation::ProposalCancel => keeper.cancel(envelope, caller).await,
        Operation::ProposalResult => keeper.result(envelope, caller).await,
        Operation::PrincipalEnrol => keeper.change::<EnrolPrincipal>(envelope, caller).await,
        Operation::PrincipalRotate => keeper.change::<RotatePrincipal>(envelope, caller).await,
        Operation::PrincipalDisable => keeper.change::<DisablePrincipal>(envelope, caller).await,
        Operation::PrincipalEnable => keeper.change::<EnablePrincipal>(envelope, caller).await,
        Operation::PrincipalList => keeper.read::<ListPrincipals>(envelope, caller).await,
        Operation::KeyCreate => keeper.change::<CreateKey>(envelope, caller).await,
        Operation::KeyActivate => keeper.change::<ActivateKey>(envelope, caller).await,
        Operation::KeySuspend => keeper.change::<SuspendKey>(envelope, caller).await,
        Operation::KeyRetire => keeper.change::<RetireKey>(envelope, caller).await,
        Operation::KeyCompromise => keeper.change::<CompromiseKey>(envelope, caller).await,
        Operation::KeyDestroy => keeper.change::<DestroyKey>(envelope, caller).await,
        Operation::KeyImpact => keeper.read::<ReadImpact>(envelope, caller).await,
        Operation::FreezeSet => keeper.change::<SetFreeze>(envelope, caller).await,
        Operation::FreezeLift => keeper.change::<LiftFreeze>(envelope, caller).await,
        Operation::FreezeList => keeper.read::<ListFreezes>(envelope, caller).await,
        Operation::QuorumSet => keeper.change::<SetQuorum>(envelope, caller).await,
        Operation::ClockConfirm => keeper.change::<ConfirmClock>(envelope, caller).await,
        Operation::EvidenceGet => keeper.change::<ReadEvidence>(envelope, caller).await,
        Operation::KeyImport => keeper.change::<ImportKey>(envelope, caller).await,
        Operation::ComponentKey => keeper.read::<ReadComponentKey>(envelope, caller).await,
        Operation::ComponentGive => keeper.give(envelope, caller).await,
        Operation::ProfilePut => keeper.change::<PutProfile>(envelope, caller).await,
        Operation::ProfileGet => keeper.read::<ReadProfile>(envelope, caller).await,
        Operation::ProfileList => keeper.read::<ListProfiles>(envelope, caller).await,
        Operation::PolicyPropose => keeper.change::<ProposePolicy>(envelope, caller).await,
        Operation::PolicyGet => keeper.read::<ReadPolicy>(envelope, caller).await,
        Operation::CeremonyRecord => keeper.change::<RecordCeremony>(envelope, caller).await,
        Operation::JobCreate => keeper.change::<CreateJob>(envelope, caller).await,
        Operation::JobItems => keeper.of_job_key::<AddJobItems>(envelope, caller).await,
        Operation::JobSeal => keeper.change::<SealJob>(envelope, caller).await,
        Operation::JobWithdraw => keeper.of_job_key::<WithdrawJob>(envelope, caller).await,
        Operation::JobResume => keeper.change::<ResumeJob>(envelope, caller).await,
        Operation::JobSuspend => keeper.change::<SuspendJob>(envelope, caller).await,
        Operation::CardResult => keeper.change::<GiveResults>(envelope, caller).await,
        Operation::JobCount => keeper.change::<CountJob>(envelope, caller).await,
        Operation::JobIncident => keeper.change::<ReportIncident>(envelope, caller).await,
        Operation::JobClose => keeper.of_job_key::<CloseJob>(envelope, caller).await,
        Operation::JobGet => keeper.read::<ReadJob>(envelope, caller).await,
        Operation::JobList => keeper.read::<ListJobs>(envelope, caller).await,
        Operation::JobRecord => keeper.job_record(envelope, caller).await,
        Operation::CardCheck => keeper.read::<CheckCard>(envelope, caller).await,
        Operation::CardTransition => keeper.change::<MoveCards>(envelope, caller).await,
    }
}

/// Over the request itself, as the ledger has it for what it refuses, so that whoever holds a signed request finds its
/// refusal; over the whole body where no envelope can be read.
fn request_digest(body: &[u8]) -> Digest {
    match cbor::decode::<Envelope>(body, REQUEST_LEN_MAX) {
        Ok(envelope) => sha256(&[envelope.request.as_bytes()]),
        Err(_) => sha256(&[body]),
    }
}
