//! Where the store lies: its database, its lock, and how connections to it are made.

use super::{
    super::{fault::LedgerFault, schema},
    read_fault,
};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::FlockOperation;
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const DATABASE: &str = "ledger.sqlite3";
const LOCK: &str = "lock";
/// The writer's page cache, as `SQLite` counts it: negative is KiB. It takes what is used: a small store stays small. 32
/// MiB hold a quarter of the pages that are searched by tags for 1,000,000 purses (75 MiB of purses, 40 MiB of
/// idempotency keys), and the upper levels of the trees for tens of millions.
const WRITER_CACHE_KIB: i64 = -32 * 1024;
/// Pages of 4 KiB in the write-ahead log before they are moved into the database: 32 MiB. At the usual 1,000 the
/// database would be synced some 20 times a second under load; a start after a kill reads the whole log again, in some
/// 30 ms.
const WAL_PAGES: i64 = 8 * 1024;
/// How long a connection waits for another's write: only the data keys are written by a second one.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements kept by a connection: all there are.
const STATEMENTS_KEPT: usize = 96;

/// Takes the store's lock; it is given back when the file is dropped or the process ends.
pub(in super::super) fn lock(folder: &Path) -> Result<File, LedgerFault> {
    let path = folder.join(LOCK);
    let file = private_file(&path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LedgerFault::InUse { folder: folder.to_path_buf() }),
        Err(error) => Err(open_fault(&path, error.into())),
    }
}

/// The files of a store, whether they are there or not.
pub(in super::super) fn files(folder: &Path) -> Vec<PathBuf> {
    let with = |end: &str| folder.join(format!("{DATABASE}{end}"));
    vec![with(""), with("-wal"), with("-shm"), folder.join(LOCK)]
}

/// The database's file.
pub(in super::super) fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// Opens or makes the database for writing, at the newest schema.
pub(super) fn open_writer(folder: &Path) -> Result<(Connection, PathBuf), LedgerFault> {
    let path = database(folder);
    // Made here, because SQLite gives its other files the mode of this one.
    private_file(&path)?;
    let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A disk that fails says nothing of whose the database is.
    let foreign = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure | ErrorCode::DiskFull | ErrorCode::CannotOpen) => read_fault(error),
        _ => LedgerFault::Foreign { path: path.clone() },
    };
    connection.pragma_update(None, "journal_mode", "wal").map_err(foreign)?;
    connection.pragma_update(None, "synchronous", "full").map_err(read_fault)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB).map_err(read_fault)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES).map_err(read_fault)?;
    // What is erased is overwritten in its pages, and pages that are given up are.
    connection.pragma_update(None, "secure_delete", "on").map_err(read_fault)?;
    schema::migrate(&mut connection, &path)?;
    Ok((connection, path))
}

/// Opens a connection that only reads.
pub(in super::super) fn open_reader(path: &Path) -> Result<Connection, LedgerFault> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, LedgerFault> {
    let connection =
        Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(read_fault)?;
    connection.busy_timeout(BUSY).map_err(read_fault)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.pragma_update(None, "trusted_schema", false).map_err(read_fault)?;
    // What is sorted on the way to an answer lies in no file: the keeper may write none but the store's.
    connection.pragma_update(None, "temp_store", "memory").map_err(read_fault)?;
    Ok(connection)
}

fn private_file(path: &Path) -> Result<File, LedgerFault> {
    let options =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    options.map_err(|error| open_fault(path, error))
}

fn open_fault(path: &Path, error: io::Error) -> LedgerFault {
    LedgerFault::Open { path: path.to_path_buf(), source: Arc::new(error) }
}
