//! The purge of a job: whatever lies under its data key is erased, and then the log says so.
//!
//! Begun by the request that closed or withdrew the job, and finished by whoever comes next, a start or an upkeep, where
//! that one did not get to the end.

use super::{super::Means, on_record};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        ledger::{Change, LedgerFault, Outcome, Reader, Sequencer, Settled},
        storage::{Storage, name_of_job},
    },
};
use keysvc_protocol::{job::JobState, leaf::JobPurgedLeaf, name::Name, schema::Schema};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// How often the store's write-ahead log is tried to be emptied. A try waits a second for readers, which outlasts any read
/// but a verification of the whole store.
const TRIES_MAX: u32 = 2;
/// How long is waited in between: the writer waits for a try, looks each 100 ms whether it may go on, and calls its commit
/// failed after 5 s, so that it must find a gap.
const WAIT: Duration = Duration::from_millis(250);
/// Items deleted in one commit: 5,000 rows of some 400 bytes are 2 MB, which the ledger's thread writes within some 20 ms. A
/// job of a million cards takes 200 of them, with other callers' commits in between.
const ITEMS_AT_ONCE: u32 = 5_000;

/// What a purge needs.
#[derive(Debug)]
pub struct Purging<'a> {
    /// Where the job's storage key is destroyed.
    pub storage: &'a Storage<'a>,
    /// The way for the leaves.
    pub sequencer: &'a Sequencer,
    /// What is recorded.
    pub reader: &'a Reader,
    /// Set while what was deleted may still lie in the store's write-ahead log.
    pub unswept: &'a AtomicBool,
}

/// Erases the data of a job that is closed, and records it. Gives the commits whose heads are to be signed; none where it
/// was done before.
///
/// # Errors
/// [`Fault`] of store or token; it is then to be asked again.
pub async fn purge(by: &Purging<'_>, name: &Name) -> Result<Vec<Settled>, Fault> {
    let job = by.reader.job(name)?.filter(|(job, _)| job.state == JobState::Closed);
    let Some(closing) = job.and_then(|(job, _)| job.closed) else { return Ok(Vec::new()) };
    let mut duties = by.storage.destroy_job(by.sequencer, name, closing.done.leaf).await?;
    // Not by what was destroyed now: an earlier purge may have come so far.
    let control = by.sequencer.control().ok_or(LedgerFault::NoControl)?;
    let had_key = control.keys().get(&name_of_job(name)?, 1).is_some();
    drop(control);
    let leaf = JobPurgedLeaf { schema: Schema, job: name.clone(), had_key };
    by.unswept.store(true, Ordering::Release);
    forget_items(by, name, &mut duties).await?;
    let settled = by.sequencer.submit(Change::JobPurged(leaf)).await?;
    match &settled.outcome {
        Outcome::Recorded(_) => {}
        // Purged by another, or after a history that was rolled back.
        Outcome::Refused(refusal) => {
            tracing::warn!(job = %name, %refusal, "the purge of a job was not recorded");
            duties.push(settled);
            return Ok(duties);
        }
        Outcome::Counted => return Err(Fault::Invariant("the purge of a job has no leaf")),
    }
    duties.push(settled);
    sweep(by).await?;
    tracing::info!(job = %name, "a job is purged");
    Ok(duties)
}

/// Deletes a job's items in portions, between which others write.
async fn forget_items(by: &Purging<'_>, job: &Name, duties: &mut Vec<Settled>) -> Result<(), Fault> {
    while by.reader.has_items(job)? {
        let change = Change::ForgetItems { job: job.clone(), max: ITEMS_AT_ONCE };
        let settled = by.sequencer.submit(change).await?;
        let goes_on = settled.outcome == Outcome::Counted;
        // It may have shared its commit with others' leaves.
        if settled.lead.is_some() {
            duties.push(settled);
        }
        if !goes_on {
            // The job is not to be purged any more; what would purge it is told so.
            break;
        }
    }
    Ok(())
}

/// Whether a fault that a purge met leaves everything but this one job as it should be: it passes by itself, or one key
/// cannot be destroyed. Else the keeper must end.
#[must_use]
pub fn is_of_one_job(fault: &Fault) -> bool {
    match fault {
        Fault::Ledger(fault) => !fault.ends_the_keeper(),
        Fault::Token(error) => !error.is_fatal(),
        // The token says that a key is destroyed and holds it, its folder does not sync, the log has it otherwise.
        Fault::Refusing(_) | Fault::Io { .. } | Fault::Invariant(_) => true,
        _ => false,
    }
}

/// Empties the store's write-ahead log of what a purge deleted. While somebody reads the store for longer, that is left to
/// the next upkeep.
///
/// # Errors
/// [`Fault`] of the store.
pub async fn sweep(by: &Purging<'_>) -> Result<(), Fault> {
    for _ in 0..TRIES_MAX {
        if !by.unswept.load(Ordering::Acquire) {
            return Ok(());
        }
        match by.storage.empty_log() {
            Ok(()) => by.unswept.store(false, Ordering::Release),
            Err(Fault::Ledger(LedgerFault::StillRead)) => tokio::time::sleep(WAIT).await,
            Err(fault) => return Err(fault),
        }
    }
    tracing::warn!(
        "the store is being read: what a purge erased is swept from its write-ahead log within minutes"
    );
    Ok(())
}

/// Purges a job after the request that closed it, and gives its state.
pub(super) async fn purged(means: &Means<'_>, name: &Name) -> Result<JobState, NotDone> {
    means.keyring.end_session(name)?;
    let by = Purging {
        storage: &means.storage,
        sequencer: means.sequencer,
        reader: means.reader,
        unswept: means.unswept,
    };
    let duties = match purge(&by, name).await {
        Ok(duties) => duties,
        // The job is closed all the same. The keeper goes on, for this would only happen again at its next start.
        Err(fault) if fault.is_fatal() && is_of_one_job(&fault) => {
            tracing::warn!(job = %name, fault = fault.chain(), "a job is not purged yet; it is tried again each minute");
            Vec::new()
        }
        Err(fault) => return Err(fault.into()),
    };
    for settled in duties {
        if let Some(lead) = settled.lead {
            means.notary.take(lead)?;
        }
    }
    Ok(on_record(means, name)?.state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_token::TokenError;

    #[test]
    fn a_purge_ends_the_keeper_by_nothing_that_is_one_jobs_alone_or_passes() {
        let source = || std::io::Error::other("no space left");
        for fault in [
            LedgerFault::StillRead.into(),
            LedgerFault::Full.into(),
            Fault::Refusing("the token still holds it".to_owned()),
            Fault::Io { what: "syncing the token's folder", source: source() },
            Fault::Invariant("the outcome of a job's erasure was refused"),
            TokenError::WrongPin { label: "service".to_owned() }.into(),
        ] {
            assert!(is_of_one_job(&fault), "{fault}");
        }
        for fault in [
            LedgerFault::Stopped.into(),
            LedgerFault::BrokenTable { table: "job" }.into(),
            Fault::OtherToken("it has another serial".to_owned()),
        ] {
            assert!(!is_of_one_job(&fault), "{fault}");
        }
    }
}
