//! The audit record of a job: everything about it, as of a checkpoint, signed by the service.
//!
//! An outsider makes the same record from the log's leaves; the signature only says that the service said so too.

use super::{Job, Tally};
use crate::{
    bytes::Digest,
    cbor::{self, DecodeError},
    checkpoint::SignedCheckpoint,
    cose::{CoseError, Kind, Signed},
    public_key::PublicKey,
    schema::Schema,
};
use serde::{Deserialize, Serialize};

/// Longest encoded audit record, in bytes: 128 sessions of 200, 64 stops, counts and incidents of 700 each.
pub const JOB_RECORD_LEN_MAX: usize = 256 * 1024;

/// The audit record ([`Kind::JobRecord`], bound to the genesis digest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRecord {
    /// Field 0.
    pub schema: Schema,
    /// The job, as it stood.
    pub job: Job,
    /// Its cards, by what the log says of them.
    pub tally: Tally,
    /// The checkpoint by which all leaves it is made of are in the log.
    pub checkpoint: SignedCheckpoint,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub made_ms: u64,
}

/// Why bytes are not a job's audit record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotARecord {
    /// Not signed by the service statement key as this kind in this scope.
    #[error("not the service's statement: {0}")]
    Signature(#[from] CoseError),
    /// The signed payload is not a record.
    #[error("not the service's statement: {0}")]
    Encoding(#[from] DecodeError),
}

impl JobRecord {
    /// Verifies and reads a record signed by the service statement key.
    ///
    /// # Errors
    /// [`NotARecord`] naming the first check that failed.
    pub fn verify(message: &[u8], genesis: &Digest, key: &PublicKey) -> Result<Self, NotARecord> {
        let payload = Signed::parse(message)?.open(Kind::JobRecord, genesis.as_bytes(), key)?;
        Ok(cbor::decode(payload, JOB_RECORD_LEN_MAX)?)
    }
}
