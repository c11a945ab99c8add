//! The wrapped data keys in the store.
//!
//! Apart from the writer because they are read before it: the token unwraps them, and only then can the store be
//! opened. Has a connection of its own and takes no lock; it only ever adds rows.

use super::{super::fault::LedgerFault, place, read_fault};
use keysvc_protocol::bytes::ObjectIdentifier;
use rusqlite::{Connection, params};
use std::path::Path;

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
        let sql = "SELECT id, storage_key, wrapped FROM data_key ORDER BY id";
        let mut statement = self.0.prepare(sql).map_err(read_fault)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, [u8; 16]>(1)?, row.get(2)?)));
        let keys = rows.map_err(read_fault)?.map(|row| {
            let (id, storage_key, wrapped) = row.map_err(read_fault)?;
            Ok(DataKey { id, storage_key: ObjectIdentifier::new(storage_key), wrapped })
        });
        keys.collect()
    }

    /// Stores a data key wrapped under `storage_key`; gives its number. It is durable when this returns.
    ///
    /// # Errors
    /// [`LedgerFault::Commit`] when it failed or its outcome is unknown.
    pub fn add(&self, storage_key: ObjectIdentifier, wrapped: &[u8; 40]) -> Result<u32, LedgerFault> {
        let sql = "INSERT INTO data_key (storage_key, wrapped) VALUES (?1, ?2) RETURNING id";
        self.0
            .query_row(sql, params![storage_key.as_bytes(), wrapped], |row| row.get(0))
            .map_err(|error| LedgerFault::Commit(super::StoreError::new(error)))
    }
}
