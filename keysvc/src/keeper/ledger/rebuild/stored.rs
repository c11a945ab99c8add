//! The store as a verification sees it: locked, and read only.

use super::{
    super::{
        fault::LedgerFault,
        schema,
        sqlite::{DataKey, DataKeys, Rows, database, lock, open_reader},
    },
    findings::{Findings, NAMED_MAX, Part},
    leaves::LeafRow,
};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    key::KeyRecord,
    leaf::{FoundingLeaf, LeafEntry},
    merkle::leaf_hash,
    receipt::LEAF_PAYLOAD_LEN_MAX,
};
use rusqlite::Connection;
use std::{
    fs::File,
    path::{Path, PathBuf},
};

/// A store that no keeper uses meanwhile. Nothing is written to it: `SQLite` may make its own index of a log it finds
/// (`-shm`), and the lock's file is made where it is missing.
#[derive(Debug)]
pub struct Stored {
    connection: Connection,
    folder: PathBuf,
    // Held as long as the connection, dropped after it: the fields' order.
    _lock: File,
}

impl Stored {
    /// Locks and opens the store in `folder`.
    ///
    /// # Errors
    /// [`LedgerFault::InUse`] when a keeper uses it; else why it cannot be read, or is no store of this program's age.
    pub fn open(folder: &Path) -> Result<Self, LedgerFault> {
        let lock = lock(folder)?;
        let path = database(folder);
        let connection = open_reader(&path)?;
        schema::must_be_newest(&connection, &path)?;
        Ok(Self { connection, folder: folder.to_path_buf(), _lock: lock })
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        Rows(&self.connection)
    }

    /// The founding in leaf 0 and the genesis digest, which is the hash of that leaf.
    ///
    /// # Errors
    /// [`LedgerFault::Broken`] when leaf 0 is missing or no founding.
    pub fn founding(&self) -> Result<(FoundingLeaf, Digest), LedgerFault> {
        let broken = LedgerFault::Broken { leaf: 0 };
        let leaf = self.rows().leaf(0)?.ok_or_else(|| broken.clone())?;
        let founding = cbor::decode(&leaf.payload, LEAF_PAYLOAD_LEN_MAX).map_err(|_| broken)?;
        Ok((founding, leaf_hash(&leaf.entry)))
    }

    /// The wrapped data keys, oldest first.
    ///
    /// # Errors
    /// [`LedgerFault`] when they cannot be read.
    pub fn data_keys(&self) -> Result<Vec<DataKey>, LedgerFault> {
        DataKeys::read(&self.folder)?.all()
    }

    /// The keys on record, by name and version.
    ///
    /// # Errors
    /// [`LedgerFault`] when they cannot be read.
    pub fn keys(&self) -> Result<Vec<KeyRecord>, LedgerFault> {
        self.rows().keys()
    }

    /// Index and time of the last leaf; a last entry that does not read gives no time, so that nothing counts as
    /// forgotten.
    pub(super) fn last(&self) -> Result<Option<(u64, u64)>, LedgerFault> {
        let Some(last) = self.rows().last_leaf()? else { return Ok(None) };
        let entry = self.rows().leaf(last)?.and_then(|leaf| LeafEntry::decode(&leaf.entry).ok());
        Ok(Some((last, entry.map_or(0, |entry| entry.time_ms))))
    }

    /// Looks through pages and indices: a row that a table holds and its index does not is not found by requests.
    pub(super) fn check_pages(&self, findings: &mut Findings) -> Result<(), LedgerFault> {
        findings.compared(Part::Database, 1);
        for line in self.rows().integrity(NAMED_MAX)? {
            findings.differ(Part::Database, "pages", "a whole database", &line);
        }
        Ok(())
    }

    /// Gives each leaf in the order of indices until one is refused; says whether all were taken.
    pub(super) fn each_leaf(
        &self,
        mut take: impl FnMut(LeafRow) -> Result<bool, LedgerFault>,
    ) -> Result<bool, LedgerFault> {
        let read = super::super::sqlite::read_fault;
        let sql = "SELECT idx, entry, hashes, salt, sealed, payload FROM leaf ORDER BY idx";
        let mut statement = self.connection.prepare(sql).map_err(read)?;
        let mut rows = statement.query([]).map_err(read)?;
        while let Some(row) = rows.next().map_err(read)? {
            if !take(LeafRow::of(row).map_err(read)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
