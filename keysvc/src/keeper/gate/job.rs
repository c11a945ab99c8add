//! The job that a request names, and the people whose agreements to the act it carries.
//!
//! Apart from the gate's way because the agreements are statements of their own, each by another person than the caller.

use super::{
    super::{
        action::{Action, Histories, JobAround},
        site::Enrolled,
    },
    NotAdmitted,
};
use keysvc_protocol::{
    cbor,
    control::Control,
    cose::Signed,
    founding::PrincipalKind,
    job::{AGREEMENT_LEN_MAX, JobAct, JobAgreement, Role, signers},
    name::Name,
    refusal::{Refusal, Uncounted},
};

/// What is on record of the job that a request names, with the people who signed the act on it. Those of a caller that
/// is no station are not looked at: it can do nothing with them.
///
/// # Errors
/// [`NotAdmitted`]: an agreement that does not count, or a fault of the store.
pub(super) fn around<A: Action>(
    action: &A,
    histories: &dyn Histories,
    control: &Control,
    caller: &Enrolled,
) -> Result<JobAround, NotAdmitted> {
    let Some(name) = action.job() else { return Ok(JobAround::default()) };
    let mut job = JobAround::of(histories.job(name)?);
    let acted = action.acted(&caller.id).filter(|_| caller.kind == PrincipalKind::Station);
    let Some(acted) = acted else { return Ok(job) };
    let too_few = Refusal::ApprovalInvalid { reason: Uncounted::TooFew };
    let mut agreements = acted.agreements.iter();
    for role in acted.roles {
        let signed = agreements.next().ok_or_else(|| too_few.clone())?;
        let person = signer(control, (name, &acted.act), signed.as_bytes(), *role)?;
        job.signed_by(*role, &person);
    }
    Ok(job)
}

/// Who signed an agreement. Judged as of its signing: whether it is still fresh, and serves for the first time, is judged
/// with the act itself, for a repetition of one on record is answered however old its agreements are.
fn signer(control: &Control, on: (&Name, &JobAct), signed: &[u8], role: Role) -> Result<Name, Refusal> {
    let signed_ms = signed_ms(signed).unwrap_or_default();
    let person = signers(control, signed_ms, on, &[(signed, role)])?.pop();
    person.ok_or(Refusal::ApprovalInvalid { reason: Uncounted::TooFew })
}

/// When an agreement says that it was signed; not verified.
fn signed_ms(signed: &[u8]) -> Option<u64> {
    let parsed = Signed::parse(signed).ok()?;
    let said: JobAgreement = cbor::decode(parsed.recorded_payload(), AGREEMENT_LEN_MAX).ok()?;
    Some(said.signed_ms)
}
