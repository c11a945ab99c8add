//! Personalization jobs and cards, as whoever is enrolled may read them: the numbers of a job come to those alone who may
//! know them, and operators see the ends of a card's identifier.
//!
//! A job is the service's word. Its audit record is signed, and proved to be in the log.

use super::{Outgoing, Reader};
use crate::{error::ClientError, leaf_shown::Shown};
use keysvc_protocol::{
    card::{CardUid, ShownCard},
    cbor,
    checkpoint::{Origin, SignedCheckpoint},
    hash::sha256,
    job::JobRecord,
    leaf::{JobRecordMadeLeaf, LeafKind},
    merkle::{Proof, verify_consistency},
    name::Name,
    receipt::Receipt,
    reply::{CardReply, JobListReply, JobRecordReply, JobReply, JobView},
    request::{CheckCard, ListJobs, Operation, ReadJob, ReadJobRecord},
    schema::Schema,
};

/// Most pages of the list: 16,384 jobs in pages of 64. A service that pages on for ever is stopped here.
const PAGES_MAX: usize = 256;
/// The epoch of the log.
const EPOCH: u32 = 1;

/// A job's audit record, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedJob {
    /// What it says.
    pub record: JobRecord,
    /// The signed bytes: they are evidence by the trust file's founding alone.
    pub message: Vec<u8>,
    /// The leaf that says that it was made.
    pub leaf_index: u64,
}

impl Reader {
    /// One job; its numbers where we may know them.
    ///
    /// # Errors
    /// [`ClientError`] of the call, or [`ClientError::Malformed`] for another job than asked for.
    pub async fn job(&self, job: &Name) -> Result<JobView, ClientError> {
        let request = ReadJob { schema: Schema, job: job.clone() };
        let reply: JobReply = self.ask(Outgoing::read(Operation::JobGet, &request)).await?;
        if reply.job.name == *job {
            Ok(reply.job)
        } else {
            Err(ClientError::malformed("another job than asked for"))
        }
    }

    /// The jobs by name, the purged ones too where they are wanted; with `after` those that follow it.
    ///
    /// # Errors
    /// [`ClientError`] of the calls; [`ClientError::Malformed`] for more than 16,384 jobs: ask for those after a name.
    pub async fn jobs(&self, purged: bool, after: Option<Name>) -> Result<Vec<JobView>, ClientError> {
        let mut all: Vec<JobView> = Vec::new();
        for _ in 0..PAGES_MAX {
            let after = all.last().map(|last| last.name.clone()).or_else(|| after.clone());
            let request = ListJobs { schema: Schema, purged, after: after.clone() };
            let reply: JobListReply = self.ask(Outgoing::read(Operation::JobList, &request)).await?;
            let names = reply.jobs.iter().map(|job| &job.name);
            if !after.iter().chain(names).is_sorted_by(|one, next| one < next) {
                return Err(ClientError::malformed("jobs out of order"));
            }
            if reply.jobs.is_empty() {
                return Ok(all);
            }
            all.extend(reply.jobs.into_vec());
        }
        Err(ClientError::malformed("a list of jobs without an end"))
    }

    /// One card of the registry; a card that it has not met is blank.
    ///
    /// # Errors
    /// [`ClientError`] of the call, or [`ClientError::Malformed`] for another card than asked for.
    pub async fn card(&self, card: &CardUid) -> Result<CardReply, ClientError> {
        let request = CheckCard { schema: Schema, card: *card };
        let reply: CardReply = self.ask(Outgoing::read(Operation::CardCheck, &request)).await?;
        let asked = match &reply.card {
            ShownCard::Whole { card: whole } => whole == card,
            masked @ ShownCard::Masked { .. } => *masked == ShownCard::masked(card),
        };
        if asked { Ok(reply) } else { Err(ClientError::malformed("another card than asked for")) }
    }

    /// A job's audit record, signed by the service statement key; the checkpoint in it is proved to be of our log, and the
    /// read is itself in the log.
    ///
    /// # Errors
    /// [`ClientError`] of the calls; [`ClientError::Untrusted`] when the record is another's, or proves nothing.
    pub async fn job_record(&self, job: &Name) -> Result<RecordedJob, ClientError> {
        let reader = self.begun()?;
        let request = ReadJobRecord { schema: Schema, job: job.clone() };
        let reply: JobRecordReply = reader.ask(Outgoing::read(Operation::JobRecord, &request)).await?;
        let founded = reader.founded();
        let message = reply.record.into_bytes();
        let record = JobRecord::verify(&message, founded.genesis(), founded.statement_key())
            .map_err(|error| untrusted(error.to_string()))?;
        if record.job.name != *job {
            return Err(untrusted("it is of another job"));
        }
        recorded(&reply.receipt, &record)?;
        reader.contained(&record.checkpoint, &reply.receipt.checkpoint).await?;
        Ok(RecordedJob { record, message, leaf_index: reply.receipt.leaf_index })
    }

    /// Checks that a checkpoint is the service's, and that the tree of a judged one begins with its leaves.
    async fn contained(&self, older: &SignedCheckpoint, newer: &SignedCheckpoint) -> Result<(), ClientError> {
        let founded = self.founded();
        let origin = Origin::of(&founded.trust().domain, EPOCH);
        let verified = older.verify(&origin, founded.checkpoint_key());
        verified.map_err(|error| untrusted(format!("its checkpoint: {error}")))?;
        let (old, new) = (older.checkpoint().head, newer.checkpoint().head);
        let proof = if old.size < new.size {
            let reply = self.proof(new.size, None, Some(old.size)).await?;
            reply.consistency.ok_or_else(|| ClientError::malformed("no consistency proof"))?
        } else {
            Proof::default()
        };
        verify_consistency(old, new, &proof).map_err(|error| untrusted(format!("its checkpoint: {error}")))
    }
}

/// Checks that the receipt's leaf says that this record was made.
fn recorded(receipt: &Receipt, record: &JobRecord) -> Result<(), ClientError> {
    let leaf: JobRecordMadeLeaf = Shown::of(receipt)?.payload(LeafKind::JobRecordMade)?;
    if leaf.job != record.job.name || leaf.record != sha256(&[&cbor::encode(record)]) {
        return Err(untrusted("the leaf says that another record was made"));
    }
    Ok(())
}

fn untrusted(why: impl std::fmt::Display) -> ClientError {
    ClientError::untrusted(format!("its job record: {why}"))
}

#[cfg(test)]
mod tests;
