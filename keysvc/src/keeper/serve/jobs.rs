//! The way of what makes or destroys a job's data key, one at a time, and of a job's audit record.
//!
//! Apart because the key of a job that is over must never be made again, whoever adds items at that moment; and because
//! what an audit record says must be known before its leaf, which holds its digest.

use super::{Ended, Keeper, now_ms};
use crate::{
    error::Fault,
    keeper::{
        action::{Histories, JobSeen},
        ledger::{LedgerFault, NotRecorded, Reader},
        operation::{Operation, Purging, is_of_one_job, purge, sweep},
        query::may_read_record,
        site::Enrolled,
    },
};
use keysvc_protocol::{
    cbor,
    checkpoint::SignedCheckpoint,
    hash::sha256,
    job::{Job, JobRecord, Tally},
    leaf::JobRecordMadeLeaf,
    name::Name,
    refusal::{Refusal, Thing},
    reply::JobRecordReply,
    request::{Envelope, ReadJobRecord},
    schema::Schema,
};
use std::{sync::Arc, time::Duration};

/// How often, and how long at a time, the newest checkpoint is waited for: together 1 s, where a head is signed within
/// milliseconds of its commit.
const LOOKS_MAX: u32 = 200;
const LOOK: Duration = Duration::from_millis(5);
/// What is said of a job whose purge does not come to its end.
const NOT_PURGED: &str =
    "a job that is closed is not purged yet, and its station takes no other; it is tried again each minute";
/// How often a job that is being worked on is read again for its audit record: a commit takes a millisecond, and a record
/// is asked for when the work is done.
const READS_MAX: u32 = 64;

/// The histories of jobs as the log's projections have them.
#[derive(Debug)]
pub struct JobsOnRecord(pub Reader);

impl Histories for JobsOnRecord {
    fn job(&self, name: &Name) -> Result<Option<JobSeen>, Fault> {
        Ok(self.0.job(name)?.map(|(job, _)| JobSeen {
            history: job.history(),
            customer: job.head.customer,
            profile: job.head.profile,
            profile_version: job.head.profile_version,
        }))
    }
}

impl Keeper {
    /// A request that may make or destroy a job's data key.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn of_job_key<A: Operation>(
        &self,
        envelope: &Envelope,
        caller: Arc<Enrolled>,
    ) -> Result<Vec<u8>, Ended> {
        let _one_at_a_time = self.job_keys.lock().await;
        self.change::<A>(envelope, caller).await
    }

    /// Finishes the purges that were begun, and sweeps what they deleted. A job whose data cannot be erased now stays closed
    /// and in the way of its station's next one, and no other job waits for it, nor does the service: it is named, and tried
    /// again when this is asked again.
    ///
    /// # Errors
    /// [`Fault`] of store or token by which the keeper must end.
    pub async fn finish_purges(&self) -> Result<(), Fault> {
        let _one_at_a_time = self.job_keys.lock().await;
        let storage = self.place.storage();
        let by = Purging {
            storage: &storage,
            sequencer: self.ledger.sequencer(),
            reader: self.ledger.reader(),
            unswept: &self.unswept,
        };
        for job in by.reader.jobs_to_purge()? {
            self.keyring.end_session(&job)?;
            match purge(&by, &job).await {
                Ok(duties) => duties.into_iter().try_for_each(|settled| self.notarise(settled.lead))?,
                Err(fault) if is_of_one_job(&fault) => {
                    tracing::warn!(%job, fault = fault.chain(), "{}", NOT_PURGED);
                    // Whoever reads the store reads it for every job, and each try keeps the writer waiting for a second.
                    if matches!(fault, Fault::Ledger(LedgerFault::StillRead)) {
                        break;
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
        sweep(&by).await
    }

    /// The audit record of a job: its digest is recorded, with who asked; then it is signed.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn job_record(&self, envelope: &Envelope, caller: Arc<Enrolled>) -> Result<Vec<u8>, Ended> {
        let seen = self.seen(envelope.seen.as_ref(), &caller).await?;
        let permit = self.admit_read::<ReadJobRecord>(envelope.request.as_bytes(), caller)?;
        let name = permit.action().job.clone();
        let says = self.says_of(&name).await?;
        if !may_read_record(permit.caller(), &says.job) {
            return Err(Ended::Refused(Refusal::Forbidden));
        }
        let bytes = cbor::encode(&says);
        let made = JobRecordMadeLeaf {
            schema: Schema,
            reader: permit.caller().id.clone(),
            job: name,
            record: sha256(&[&bytes]),
        };
        let (on_record, lead) = match self.ledger.record_job_record(permit, made).await {
            Ok(done) => done,
            Err(NotRecorded::Refused(refusal)) => return Err(Ended::Refused(refusal)),
            Err(NotRecorded::RefusedOnRecord(refusal, lead)) => {
                self.notarise(lead)?;
                return Err(Ended::RefusedOnRecord(refusal));
            }
            Err(NotRecorded::Fault(fault)) => return Err(Fault::from(fault).into()),
        };
        self.notarise(lead)?;
        let signed = self.keyring.sign_job_record(&on_record, bytes)?;
        let receipt = self.receipt(&on_record, seen, true).await?;
        Ok(cbor::encode(&JobRecordReply { schema: Schema, record: signed, receipt }))
    }

    /// A job as it stands at the newest checkpoint: read before and after it, so that nothing of the job lies between.
    async fn says_of(&self, name: &Name) -> Result<JobRecord, Ended> {
        let read = || -> Result<(Job, Tally), Ended> {
            let found = self.ledger.reader().job(name).map_err(Fault::from)?;
            found.ok_or(Ended::Refused(Refusal::NotFound { what: Thing::Job }))
        };
        let mut before = read()?;
        for _ in 0..READS_MAX {
            let checkpoint = self.checkpoint_over(self.ledger.reader().head().size).await?;
            let after = read()?;
            if after == before {
                let (job, tally) = after;
                return Ok(JobRecord { schema: Schema, job, tally, checkpoint, made_ms: now_ms() });
            }
            before = after;
        }
        Err(Ended::Refused(Refusal::Busy))
    }

    /// The newest checkpoint, once it is one of at least so many leaves.
    async fn checkpoint_over(&self, size: u64) -> Result<SignedCheckpoint, Ended> {
        for _ in 0..LOOKS_MAX {
            let newest = self.newest()?;
            if newest.checkpoint().head.size >= size {
                return Ok(newest);
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Ended::Refused(Refusal::Busy))
    }
}
