//! The audit record of a job, as `fobctl job record --out` writes it: signed by the service, and compared with the same job
//! as an outsider makes it from the log.
//!
//! The signature only shows that the service said so. Where the log says otherwise, the log's own leaves are right and the
//! record is not.

use crate::{
    checks::{JobSight, Seen, Wanted},
    fault::Fault,
    key_check::public_half,
    log_folder::{LogFolder, read_file},
    verify::{Comparison, Proved},
    walk::Opened,
};
use keysvc_protocol::{
    cbor,
    checkpoint::CheckpointError,
    hash::sha256,
    job::{Job, JobRecord, NotARecord, Tally},
    key::KeyKind,
    name::Name,
    trust::Trust,
};
use serde::Serialize;
use serde_json::Value;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Longest file: a record of 256 KiB at most, and 160 bytes of COSE frame with room for a wrong one to be told as such.
const FILE_LEN_MAX: u64 = 260 * 1024;
/// How long after its making a record's leaf may be: the service writes it before it signs.
const MADE_WITHIN_MS: u64 = 60_000;

/// Why a record is not to be compared at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordProblem {
    /// The log proves nothing, so nothing shows whose the record is.
    #[error("the log it is to be compared with is not proved")]
    NothingProved,
    /// Not signed by the service as a job's audit record, or none.
    #[error("{0}")]
    NotARecord(#[from] NotARecord),
    /// Its checkpoint is not this log's.
    #[error("its checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The log was exported before the record was made.
    #[error("it was made when the log had {size} leaves, and this export has {found}")]
    Ahead {
        /// Leaves at its checkpoint.
        size: u64,
        /// Leaves of the export.
        found: u64,
    },
    /// The log has no such job at that number of leaves.
    #[error("the log has no job {0} at that number of leaves")]
    NoJob(Name),
}

/// One thing that the record says otherwise than the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Where in the record, such as `tally.good`.
    pub(crate) field: String,
    /// What the record says.
    pub(crate) record: Value,
    /// What the log says.
    pub(crate) log: Value,
}

/// A record that is the service's, compared.
#[derive(Debug)]
pub(crate) struct Compared {
    /// The record.
    pub(crate) record: JobRecord,
    /// What it says otherwise than the log; nothing where it says the same.
    pub(crate) differences: Vec<Difference>,
    /// What cannot be compared, in words.
    pub(crate) left_out: Vec<String>,
    /// The leaf that says that it was to be signed, and who asked.
    pub(crate) made: Option<(u64, Name)>,
    /// Whether that leaf should be in the log, and is not.
    pub(crate) not_in_log: bool,
}

impl Compared {
    /// Whether the log says the same.
    pub(crate) const fn holds(&self) -> bool {
        self.differences.is_empty() && !self.not_in_log
    }
}

/// A record's file, and what came of it.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The file.
    pub(crate) file: PathBuf,
    /// What came of it.
    pub(crate) outcome: Result<Compared, RecordProblem>,
}

impl Checked {
    /// Why it is not verified; nothing where it is.
    pub(crate) fn reason(&self) -> Option<String> {
        match &self.outcome {
            Err(problem) => Some(format!("the record is not verified: {problem}")),
            Ok(compared) if compared.holds() => None,
            Ok(Compared { differences, .. }) => Some(match differences.as_slice() {
                [] => "the log does not say that this record was made".to_owned(),
                [one] => format!("the record says {} of {}, the log says {}", one.record, one.field, one.log),
                [one, more @ ..] => format!(
                    "the record says {} of {}, the log says {}, and differs in {} more",
                    one.record,
                    one.field,
                    one.log,
                    more.len()
                ),
            }),
        }
    }
}

/// Reads a record's file.
///
/// # Errors
/// [`Fault`] when it cannot be read or is too long.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    read_file(path, FILE_LEN_MAX)
}

/// Verifies a record's signature and checkpoint by leaf 0, before the log is walked.
///
/// # Errors
/// [`Fault`] when the folder cannot be read; inside it why the record is not to be compared.
pub(crate) fn open(
    bytes: &[u8],
    folder: LogFolder<'_>,
    trust: &Trust,
) -> Result<Result<JobRecord, RecordProblem>, Fault> {
    // What is wrong with the folder is found again, and told, by the verification.
    let Some(opened) = Opened::open(folder, trust, &mut crate::finding::Findings::default())? else {
        return Ok(Err(RecordProblem::NothingProved));
    };
    Ok(proved(bytes, &opened))
}

/// The service statement key is the founding's: nobody can order another.
fn proved(bytes: &[u8], opened: &Opened) -> Result<JobRecord, RecordProblem> {
    let mut keys = opened.founded.keys.iter().filter(|key| key.kind == KeyKind::ServiceStatement);
    let key = keys.next().and_then(public_half).ok_or(RecordProblem::NothingProved)?;
    let record = JobRecord::verify(bytes, &opened.founded.genesis, &key)?;
    record.checkpoint.verify(&opened.origin, &opened.founded.checkpoint_key)?;
    let (size, found) = (record.checkpoint.checkpoint().head.size, opened.head.size);
    if size > found { Err(RecordProblem::Ahead { size, found }) } else { Ok(record) }
}

/// What the verification is to look at for a record.
pub(crate) fn recorded(file: &Path, record: &JobRecord) -> Comparison {
    let head = record.checkpoint.checkpoint().head;
    // Its encoding is the one that was signed: another one does not decode.
    let digest = sha256(&[&cbor::encode(record)]);
    Comparison {
        file: file.display().to_string(),
        head,
        wanted: Wanted { job: record.job.name.clone(), size: head.size, record: digest },
    }
}

/// Compares a record with what was seen of its job.
///
/// # Errors
/// [`RecordProblem::NoJob`] where there was none.
pub(crate) fn compare(record: JobRecord, proved: &Proved) -> Result<Compared, RecordProblem> {
    let seen = proved.jobs.seen.as_ref();
    let Some(Seen { job: Some((job, tally)), made, .. }) = seen else {
        return Err(RecordProblem::NoJob(record.job.name));
    };
    let sight = proved.jobs.jobs.sight();
    let mut differences = Vec::new();
    differ("job", &value(&record.job), &value(job), &mut differences);
    differ("tally", &value::<Tally>(&record.tally), &value(tally), &mut differences);
    let mut left_out = Vec::new();
    if let JobSight { from: Some(from), .. } = sight
        && from < record.checkpoint.checkpoint().head.size
    {
        left_out.push(format!(
            "jobs cannot be followed in full from leaf {from} on, where a payload is withheld: what differs may stand there"
        ));
    }
    if sight.items_not_seen > 0 && job.head.listed && job.sealed.is_none() {
        left_out.push("the number of cards listed and the manifest's edge: the items are erased".to_owned());
        differences.retain(|one| one.field != "job.items" && !one.field.starts_with("job.edge"));
    }
    let made_by = record.made_ms.saturating_add(MADE_WITHIN_MS);
    let not_in_log = made.is_none() && proved.last_ms > made_by;
    Ok(Compared { record, differences, left_out, made: made.clone(), not_in_log })
}

/// As JSON has it, in which every field has its name; bytes as their hexadecimal digits.
fn value<T: Serialize>(thing: &T) -> Value {
    legible(serde_json::to_value(thing).unwrap_or_default())
}

fn legible(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, legible(value))).collect())
        }
        Value::Array(items) => match bytes(&items) {
            Some(digits) => Value::String(digits),
            None => Value::Array(items.into_iter().map(legible).collect()),
        },
        other => other,
    }
}

/// The hexadecimal digits of what is bytes: nothing in a record is a list of plain numbers.
fn bytes(items: &[Value]) -> Option<String> {
    let byte = |item: &Value| item.as_u64().and_then(|number| u8::try_from(number).ok());
    let bytes = items.iter().map(byte).collect::<Option<Vec<_>>>().filter(|bytes| !bytes.is_empty())?;
    let mut digits = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        write!(digits, "{byte:02x}").ok()?;
    }
    Some(digits)
}

/// Notes each field in which two values differ, by its path.
fn differ(path: &str, record: &Value, log: &Value, into: &mut Vec<Difference>) {
    match (record, log) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let mut names: Vec<_> = ours.keys().chain(theirs.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let of = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or_default();
                differ(&format!("{path}.{name}"), &of(ours), &of(theirs), into);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (number, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                differ(&format!("{path}[{number}]"), ours, theirs, into);
            }
        }
        (record, log) if record != log => {
            into.push(Difference { field: path.to_owned(), record: record.clone(), log: log.clone() });
        }
        _ => {}
    }
}

/// A job as JSON, for who reads the figures by a program.
pub(crate) fn job_json(job: &Job) -> Value {
    value(job)
}
