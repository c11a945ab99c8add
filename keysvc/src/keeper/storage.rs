//! Storage keys: one for each retention class and month. Destroying one erases its class and month.
//!
//! The data key under one encrypts the month's payloads and never leaves the process but wrapped. How keys are made and
//! destroyed while the service runs, the month's and those that people order, lies in `storage/life.rs`.

mod life;

use super::ledger::{DataKey, DataKeys, Seal};
use crate::error::Fault;
use keysvc_protocol::{bytes::ObjectIdentifier, name::Name};
use keysvc_token::{ObjectId, Token};
use std::path::Path;

/// The name of the storage key of the operational class for the month of `now_ms`, such as
/// `storage.operational.2026-11`.
///
/// # Errors
/// [`Fault`] when the clock shows no year that has four digits.
pub fn name_of_month(now_ms: u64) -> Result<Name, Fault> {
    let millisecond =
        i64::try_from(now_ms).map_err(|_| Fault::Invariant("the clock is past all calendars"))?;
    let time = jiff::Timestamp::from_millisecond(millisecond)
        .map_err(|_| Fault::Invariant("the clock is past all calendars"))?;
    let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
    format!("storage.operational.{:04}-{:02}", date.year(), date.month())
        .parse()
        .map_err(|_| Fault::Invariant("a month has no name"))
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
    /// All data keys, unwrapped in the token; the newest month's last.
    ///
    /// # Errors
    /// [`Fault`] of store or token.
    pub fn seals(&self) -> Result<Vec<Seal>, Fault> {
        let wrapped = DataKeys::read(self.store)?.all()?;
        wrapped.iter().map(|row| self.seal(row)).collect()
    }

    /// One data key, unwrapped in the token.
    ///
    /// # Errors
    /// [`Fault`] of the token.
    pub fn seal(&self, row: &DataKey) -> Result<Seal, Fault> {
        let key = self.storage_key(&row.storage_key)?;
        Ok(Seal::new(row.id, key.unwrap_data_key(&row.wrapped)?.expose()))
    }

    fn storage_key(&self, id: &ObjectIdentifier) -> Result<keysvc_token::StorageKey, Fault> {
        Ok(self.token.storage_key(keysvc_token::KeyKind::Storage, ObjectId(*id.as_bytes()))?)
    }

    /// The data key under a storage key, made and kept wrapped in the store where there is none yet.
    ///
    /// # Errors
    /// [`Fault`] of store or token.
    pub fn seal_of(&self, storage_key: &ObjectIdentifier) -> Result<Seal, Fault> {
        let data_keys = DataKeys::open(self.store)?;
        let key = self.storage_key(storage_key)?;
        if let Some(row) = data_keys.all()?.into_iter().find(|row| row.storage_key == *storage_key) {
            return self.seal(&row);
        }
        let (data_key, wrapped) = key.generate_data_key()?;
        let id = data_keys.add(*storage_key, &wrapped)?;
        Ok(Seal::new(id, data_key.expose()))
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
        assert_eq!(name_of_month(1_795_305_599_999).unwrap().as_str(), "storage.operational.2026-11");
        assert_eq!(name_of_month(0).unwrap().as_str(), "storage.operational.1970-01");
    }
}
