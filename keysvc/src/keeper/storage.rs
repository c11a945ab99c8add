//! Storage keys: one for each retention class and month, and one for each job that has data. Destroying one erases all that
//! lies under it.
//!
//! The data key under one encrypts payloads and a job's items, and never leaves the process but wrapped. What a storage key
//! is for, its name says. How keys are made and destroyed while the service runs, those that people order, lies in
//! `storage/life.rs`; those of jobs in `storage/job.rs`.

mod job;
mod life;

pub use job::name_of_job;

use super::ledger::{DataKey, DataKeys, LedgerFault, Reader, Seal, SealClass, Sequencer, Settled};
use crate::error::Fault;
use keysvc_protocol::{
    bytes::ObjectIdentifier,
    control::STORAGE_OF_JOB,
    key::{KeyKind, KeyRecord},
    name::Name,
};
use keysvc_token::{ObjectId, Token};
use std::path::Path;

const OPERATIONAL: &str = "storage.operational.";
const INCIDENT: &str = "storage.incident.";

/// The names of the storage keys of the month of `now_ms`, such as `storage.operational.2026-11`: of the operational class,
/// then of the incident class.
///
/// # Errors
/// [`Fault`] when the clock shows no year that has four digits.
pub fn names_of_month(now_ms: u64) -> Result<[Name; 2], Fault> {
    let no_calendar = || Fault::Invariant("the clock is past all calendars");
    let millisecond = i64::try_from(now_ms).map_err(|_| no_calendar())?;
    let time = jiff::Timestamp::from_millisecond(millisecond).map_err(|_| no_calendar())?;
    let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
    let name = |class| {
        let name = format!("{class}{:04}-{:02}", date.year(), date.month()).parse();
        name.map_err(|_| Fault::Invariant("a month has no name"))
    };
    Ok([name(OPERATIONAL)?, name(INCIDENT)?])
}

/// What lies under the storage key of this name; nothing where it is not a storage key's.
#[must_use]
pub fn class_of(name: &Name) -> Option<SealClass> {
    let name = name.as_str();
    if let Some(job) = name.strip_prefix(STORAGE_OF_JOB) {
        return job.parse().ok().map(SealClass::Job);
    }
    let classes = [(OPERATIONAL, SealClass::Operational), (INCIDENT, SealClass::Incident)];
    classes.into_iter().find(|(head, _)| name.starts_with(head)).map(|(_, class)| class)
}

/// What lies under the storage key of this identifier, by the keys on record.
#[must_use]
pub fn class_under(storage_key: &ObjectIdentifier, records: &[KeyRecord]) -> Option<SealClass> {
    let record = records.iter().find(|record| record.kind == KeyKind::Storage && record.id == *storage_key);
    record.and_then(|record| class_of(&record.name))
}

/// The token and where its files and the store lie.
#[derive(Debug)]
pub struct Storage<'a> {
    /// The token.
    pub token: &'a Token,
    /// Folder of the token's files, where it keeps them in files.
    pub token_folder: Option<&'a Path>,
    /// Folder of the store.
    pub store: &'a Path,
}

impl Storage<'_> {
    /// All data keys, unwrapped in the token; of each class the newest month's last.
    ///
    /// # Errors
    /// [`Fault`] of store or token.
    pub fn seals(&self) -> Result<Vec<Seal>, Fault> {
        let wrapped = DataKeys::read(self.store)?.all()?;
        if wrapped.is_empty() {
            return Ok(Vec::new());
        }
        let records = Reader::open(self.store)?.keys()?;
        let seals = wrapped.iter().map(|row| {
            let class = class_under(&row.storage_key, &records);
            self.seal(row, class.ok_or(LedgerFault::BrokenTable { table: "data_key" })?)
        });
        seals.collect()
    }

    /// One data key, unwrapped in the token, for what it seals.
    ///
    /// # Errors
    /// [`Fault`] of the token.
    pub fn seal(&self, row: &DataKey, class: SealClass) -> Result<Seal, Fault> {
        let key = self.storage_key(&row.storage_key)?;
        Ok(Seal::new(row.id, class, key.unwrap_data_key(&row.wrapped)?.expose()))
    }

    fn storage_key(&self, id: &ObjectIdentifier) -> Result<keysvc_token::StorageKey, Fault> {
        Ok(self.token.storage_key(keysvc_token::KeyKind::Storage, ObjectId(*id.as_bytes()))?)
    }

    /// The data key under a storage key, made and kept wrapped in the store where there is none yet.
    ///
    /// # Errors
    /// [`Fault`] of store or token.
    pub fn seal_of(&self, storage_key: &KeyRecord) -> Result<Seal, Fault> {
        let class = class_of(&storage_key.name).filter(|_| storage_key.kind == KeyKind::Storage);
        let class = class.ok_or(Fault::Invariant("a key that is no storage key seals nothing"))?;
        let found =
            DataKeys::open(self.store)?.all()?.into_iter().find(|row| row.storage_key == storage_key.id);
        if let Some(row) = found {
            return self.seal(&row, class);
        }
        let (_, wrapped) = self.storage_key(&storage_key.id)?.generate_data_key()?;
        // Unwrapped again: another may have been quicker, and its data key is the one.
        let kept = DataKeys::open(self.store)?.add(storage_key.id, &wrapped)?;
        self.seal(&kept, class)
    }

    /// Has the month's leaves sealed from now on, of each class under its own data key; makes the storage keys of the month
    /// that `records`, the keys on record, do not hold. Gives the commits whose heads are to be signed.
    ///
    /// # Errors
    /// [`Fault`] of store or token; it is then to be asked again.
    pub async fn open_month(
        &self,
        sequencer: &Sequencer,
        records: &[KeyRecord],
        now_ms: u64,
    ) -> Result<Vec<Settled>, Fault> {
        let mut duties = Vec::new();
        for name in names_of_month(now_ms)? {
            let record = if let Some(known) = records.iter().find(|record| record.name == name) {
                known.clone()
            } else {
                let (record, settled) = self.make_month(sequencer, name, now_ms).await?;
                duties.extend(settled);
                record
            };
            // The seal that is installed last is the one that new payloads of its class get.
            sequencer.install_seal(self.seal_of(&record)?);
        }
        Ok(duties)
    }

    /// Makes the token's files durable, where it keeps them in files: generation itself syncs nothing.
    ///
    /// # Errors
    /// [`Fault`] of the file system.
    pub fn sync(&self) -> Result<(), Fault> {
        let Some(folder) = self.token_folder else { return Ok(()) };
        keysvc_token::sync_folder(folder).map_err(|error| Fault::Io {
            what: "syncing the token's folder",
            source: std::io::Error::other(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_key_is_named_after_its_class_and_month_in_utc() {
        let names = |now_ms| names_of_month(now_ms).unwrap().map(|name| name.to_string());
        assert_eq!(names(1_795_305_599_999), ["storage.operational.2026-11", "storage.incident.2026-11"]);
        assert_eq!(names(0), ["storage.operational.1970-01", "storage.incident.1970-01"]);
    }

    #[test]
    fn what_lies_under_a_storage_key_its_name_says() {
        let class = |name: &str| class_of(&name.parse().unwrap());
        for name in names_of_month(0).unwrap() {
            let retention = class_of(&name).unwrap().retention();
            assert_eq!(format!("{retention:?}").to_lowercase(), name.as_str().split('.').nth(1).unwrap());
        }
        assert_eq!(class("storage.job.nfc-1"), Some(SealClass::Job("nfc-1".parse().unwrap())));
        assert_eq!(class("storage.job.job.1"), Some(SealClass::Job("job.1".parse().unwrap())));
        for name in ["storage.job.", "storage.job", "storage", "storage.x.2026-11", "value-1"] {
            assert_eq!(class(name), None, "{name}");
        }
    }
}
