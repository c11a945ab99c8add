//! The wrapped data keys in the store.
//!
//! Apart from the writer because they are read before it: the token unwraps them, and only then can the store be
//! opened. Has a connection of its own and takes no lock: it adds rows, and erases those of jobs that are purged, each in
//! a transaction for which the writer waits.

use super::{super::fault::LedgerFault, StoreError, has_no_room, place, read_fault};
use keysvc_protocol::bytes::ObjectIdentifier;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::{path::Path, time::Duration};

/// How long readers are waited for when the write-ahead log is emptied. Less than [`place::BUSY`], which the writer waits
/// for this one before it calls its commit failed.
const READERS: Duration = Duration::from_secs(1);

/// A data key as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataKey {
    /// Its number; what is sealed under it names it so.
    pub id: u32,
    /// `CKA_ID` of the storage key in the token that wraps it.
    pub storage_key: ObjectIdentifier,
    /// The AES-256 key wrapped by AES-KW (RFC 3394): 40 bytes.
    pub wrapped: [u8; 40],
}

/// The table of data keys.
#[derive(Debug)]
pub struct DataKeys(Connection);

impl DataKeys {
    /// Opens the table in the store's `folder`, making the store if there is none.
    ///
    /// # Errors
    /// [`LedgerFault`] saying what to do.
    pub fn open(folder: &Path) -> Result<Self, LedgerFault> {
        place::open_writer(folder).map(|(connection, _)| Self(connection))
    }

    /// Opens the table of a store that is there, to read it.
    ///
    /// # Errors
    /// [`LedgerFault`] when there is none.
    pub fn read(folder: &Path) -> Result<Self, LedgerFault> {
        place::open_reader(&place::database(folder)).map(Self)
    }

    /// All data keys, oldest first.
    ///
    /// # Errors
    /// [`LedgerFault`] when they cannot be read.
    pub fn all(&self) -> Result<Vec<DataKey>, LedgerFault> {
        rows(&self.0).map_err(read_fault)
    }

    /// Stores a data key wrapped under `storage_key`, where none lies under it yet; gives the one that does. It is durable
    /// when this returns.
    ///
    /// # Errors
    /// [`LedgerFault::Commit`] when it failed or its outcome is unknown.
    pub fn add(&self, storage_key: ObjectIdentifier, wrapped: &[u8; 40]) -> Result<DataKey, LedgerFault> {
        self.at_once(|store| {
            let found = rows(store)?.into_iter().find(|row| row.storage_key == storage_key);
            if let Some(found) = found {
                return Ok(found);
            }
            let sql = "INSERT INTO data_key (storage_key, wrapped) VALUES (?1, ?2) RETURNING id";
            let id = store.query_row(sql, params![storage_key.as_bytes(), wrapped], |row| row.get(0))?;
            Ok(DataKey { id, storage_key, wrapped: *wrapped })
        })
    }

    /// Erases the data key under `storage_key`: its row, every copy of it in the database's pages, and the write-ahead log
    /// that held it. One that is not there is looked for in the files all the same, for an erasure may have been broken off
    /// in between. The numbers of the others stay, and its own never comes back.
    ///
    /// The rows are written anew, some dozens a year and one for each job under way: a page from which rows were moved may
    /// hold a copy of one that its table does not know, and only a page that is given up is overwritten as a whole.
    ///
    /// # Errors
    /// [`LedgerFault::StillRead`] when somebody reads the store as it was before; it is to be asked again.
    /// [`LedgerFault::Commit`] when it failed or its outcome is unknown.
    pub fn erase(&self, storage_key: &ObjectIdentifier) -> Result<(), LedgerFault> {
        self.at_once(|store| {
            let all = rows(store)?;
            if all.iter().all(|row| row.storage_key != *storage_key) {
                return Ok(());
            }
            store.execute("DELETE FROM data_key", [])?;
            let sql = "INSERT INTO data_key (id, storage_key, wrapped) VALUES (?1, ?2, ?3)";
            for row in all.iter().filter(|row| row.storage_key != *storage_key) {
                store.execute(sql, params![row.id, row.storage_key.as_bytes(), row.wrapped])?;
            }
            Ok(())
        })?;
        self.empty_log()
    }

    /// Moves the write-ahead log into the database and empties it, so that nothing of what was erased is left in it. The
    /// writer waits meanwhile: for readers for a second at most, and while the log is copied. That is some 32 MiB, at which
    /// the writer moves it by itself; more where somebody's reading has kept the writer from that.
    ///
    /// # Errors
    /// [`LedgerFault::StillRead`] when somebody reads the store as it was before; it is to be asked again.
    pub fn empty_log(&self) -> Result<(), LedgerFault> {
        self.0.busy_timeout(READERS).map_err(read_fault)?;
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: rusqlite::Result<bool> = self.0.query_row(sql, [], |row| row.get(0));
        self.0.busy_timeout(place::BUSY).map_err(read_fault)?;
        if busy.map_err(read_fault)? { Err(LedgerFault::StillRead) } else { Ok(()) }
    }

    /// Writes in one transaction that begins before anything is read.
    fn at_once<T>(&self, write: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, LedgerFault> {
        let written = || {
            let transaction = Transaction::new_unchecked(&self.0, TransactionBehavior::Immediate)?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(written)
        };
        written().map_err(|error: rusqlite::Error| {
            if has_no_room(&error) { read_fault(error) } else { LedgerFault::Commit(StoreError::new(error)) }
        })
    }
}

fn rows(store: &Connection) -> rusqlite::Result<Vec<DataKey>> {
    let mut statement = store.prepare("SELECT id, storage_key, wrapped FROM data_key ORDER BY id")?;
    let keys = statement.query_map([], |row| {
        let storage_key = ObjectIdentifier::new(row.get(1)?);
        Ok(DataKey { id: row.get(0)?, storage_key, wrapped: row.get(2)? })
    })?;
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::{change::Outcome, fault::LedgerFault, sqlite::ground},
            Rows,
        },
        *,
    };
    use crate::keeper::ledger::sqlite::{files, open_reader};
    use ground::{NOW_MS, Store, first_load, folder};
    use tempfile::TempDir;

    fn storage_key(number: u16) -> ObjectIdentifier {
        let mut id = [0xa5; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        ObjectIdentifier::new(id)
    }

    /// Bytes that are found nowhere else.
    fn wrapped(number: u16) -> [u8; 40] {
        let mut bytes = [0xd7; 40];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        bytes[38..].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    /// How often a wrapped key lies in the files of a store.
    fn copies(folder: &TempDir, number: u16) -> usize {
        let wrapped = wrapped(number);
        let bytes = files(folder.path()).into_iter().filter_map(|file| std::fs::read(file).ok());
        bytes.map(|bytes| bytes.windows(wrapped.len()).filter(|window| *window == wrapped).count()).sum()
    }

    #[test]
    fn an_erased_data_key_lies_in_no_file_of_the_store_and_the_others_stay() {
        let folder = folder();
        let mut store = Store::founded(&folder);
        let keys = DataKeys::open(folder.path()).unwrap();
        // Several pages of 4 KiB with some fifty rows each, erased in an order in which pages are merged: a plain DELETE
        // leaves copies of rows that were moved.
        for number in 0..140 {
            assert_eq!(keys.add(storage_key(number), &wrapped(number)).unwrap().id, u32::from(number) + 1);
        }
        let (erased, left): (Vec<u16>, Vec<u16>) = (0..140).partition(|step| *step < 93);
        let [erased, left] =
            [erased, left].map(|steps| steps.into_iter().map(|step| step * 3 % 140).collect::<Vec<_>>());
        for number in &erased {
            assert!(copies(&folder, *number) > 0, "{number}");
            keys.erase(&storage_key(*number)).unwrap();
        }
        for number in erased {
            assert_eq!(copies(&folder, number), 0, "{number}");
        }
        let all = keys.all().unwrap();
        assert_eq!(all.len(), 47);
        assert!(left.iter().all(|number| all.iter().any(|row| row.wrapped == wrapped(*number))));
        // The writer goes on beside it, and no number comes back.
        assert!(matches!(store.one(&first_load(1), NOW_MS), Ok(Outcome::Recorded(_))));
        keys.erase(&storage_key(139)).unwrap();
        assert_eq!(keys.add(storage_key(139), &wrapped(139)).unwrap().id, 141);
        let given = Rows(&open_reader(&files(folder.path())[0]).unwrap()).data_keys_given();
        assert_eq!(given.unwrap(), 141);
    }

    #[test]
    fn an_erasure_that_somebodys_reading_broke_off_is_made_whole_when_it_is_asked_again() {
        let folder = folder();
        let _store = Store::founded(&folder);
        let keys = DataKeys::open(folder.path()).unwrap();
        keys.add(storage_key(1), &wrapped(1)).unwrap();
        let reading = open_reader(&files(folder.path())[0]).unwrap();
        let rows = Rows(&reading);
        let seen = rows.at_one_moment(|rows| {
            let seen = rows.wrapping_keys()?;
            assert!(matches!(keys.erase(&storage_key(1)), Err(LedgerFault::StillRead)));
            assert!(!LedgerFault::StillRead.ends_the_keeper());
            Ok(seen)
        });
        assert_eq!(seen.unwrap(), [storage_key(1)]);
        // Its row is gone, its bytes are not.
        assert_eq!((keys.all().unwrap(), rows.wrapping_keys().unwrap()), (vec![], vec![]));
        assert!(copies(&folder, 1) > 0);
        keys.erase(&storage_key(1)).unwrap();
        assert_eq!(copies(&folder, 1), 0);
    }

    #[test]
    fn of_two_data_keys_for_one_storage_key_the_first_stays() {
        let folder = folder();
        let keys = DataKeys::open(folder.path()).unwrap();
        let first = keys.add(storage_key(1), &wrapped(1)).unwrap();
        assert_eq!(keys.add(storage_key(1), &wrapped(2)).unwrap(), first);
        assert_eq!(keys.all().unwrap(), [first]);
    }

    #[test]
    fn what_the_writer_deletes_is_overwritten() {
        let folder = folder();
        let store = Store::founded(&folder);
        let secure: i64 = store.pragma("secure_delete");
        assert_eq!(secure, 1);
    }
}
