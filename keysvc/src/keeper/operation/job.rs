//! What people and stations do to personalization jobs. One file each where more is done than to record it.
//!
//! What each of them does to the job is the protocol's ([`keysvc_protocol::job`]), which the ledger asks inside its
//! transaction. No reply of these holds a leaf or a number from which the size of a job would follow.

mod close;
mod count;
mod incident;
mod items;
mod open;
mod purge;
mod recorded;
mod withdraw;

pub use purge::{Purging, is_of_one_job, purge, sweep};

use super::{Means, signed};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        action::Action,
        gate::Permit,
        ledger::{Change, NotRecorded},
    },
};
use keysvc_protocol::{
    bytes::Idem,
    job::{Job, JobState},
    leaf::JobChangedLeaf,
    name::Name,
    receipt::Receipt,
    reply::JobChangedReply,
    schema::Schema,
};

/// The change that a request of this kind makes of its job.
///
/// # Errors
/// [`NotRecorded::Refused`] when it came unsigned.
fn change<A: Action>(permit: &Permit<A>, idem: Idem, job: &Name) -> Result<Change, NotRecorded> {
    let (statement, retry) = signed(permit, idem)?;
    let principal = permit.caller().id.clone();
    let leaf = JobChangedLeaf { schema: Schema, principal, operation: A::OPERATION, statement };
    Ok(Change::AlterJob { retry, job: job.clone(), leaf })
}

/// A job of which something is on record.
pub(super) fn on_record(means: &Means<'_>, name: &Name) -> Result<Job, Fault> {
    let job = means.reader.job(name)?;
    job.map(|(job, _)| job).ok_or(Fault::Invariant("a job of which something is recorded is not there"))
}

/// A job's state after what was recorded. Where it is not open any more, its session's transport key goes with it.
fn state_after(means: &Means<'_>, name: &Name) -> Result<JobState, NotDone> {
    let state = on_record(means, name)?.state;
    if state != JobState::Open {
        means.keyring.end_session(name)?;
    }
    Ok(state)
}

fn changed(state: JobState, receipt: Receipt) -> JobChangedReply {
    JobChangedReply { schema: Schema, state, receipt }
}
