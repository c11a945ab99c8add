//! The tables, as numbered steps from an empty database to the newest schema.
//!
//! `leaf` is the log; every other table that a leaf can change is a projection of it and can be rebuilt from it.
//! Unsigned numbers are stored as SQLite's signed ones of the same 64 bits.

use super::{
    fault::{LedgerFault, StoreError},
    sqlite::Rows,
};
use keysvc_protocol::{
    control::Control,
    leaf::{LeafEntry, LeafKind},
};
use rusqlite::Connection;
use std::{cmp::Ordering, path::Path};

/// `PRAGMA application_id` of our databases: "keys".
const APPLICATION_ID: i32 = 0x6b65_7973;

/// Step n leads from schema n to n + 1. Never changed once released; appended to.
const STEPS: [&str; 5] = [
    "
    -- hashes: of the subtrees this leaf completes, 32 bytes each. sealed: the data key, if the payload is sealed.
    CREATE TABLE leaf (
        idx INTEGER PRIMARY KEY, entry BLOB NOT NULL, hashes BLOB NOT NULL, salt BLOB NOT NULL,
        sealed INTEGER, payload BLOB NOT NULL
    ) STRICT;
    -- tag: of programme, card and purse, so that the disk names no card.
    CREATE TABLE purse (
        tag BLOB PRIMARY KEY, seq INTEGER NOT NULL, balance INTEGER NOT NULL, link BLOB NOT NULL,
        leaf INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- tag: of principal and idempotency key. request: tag of the payload's digest. In the order of leaves, so that
    -- the oldest are found first.
    CREATE TABLE idem (
        leaf INTEGER PRIMARY KEY, tag BLOB NOT NULL UNIQUE, request BLOB NOT NULL, time INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE key_record (
        name TEXT NOT NULL, version INTEGER NOT NULL, record BLOB NOT NULL, leaf INTEGER NOT NULL,
        PRIMARY KEY (name, version)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE intent (leaf INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
    CREATE TABLE halt (id INTEGER PRIMARY KEY CHECK (id = 0), leaf INTEGER NOT NULL) STRICT;
    -- No projections: keys of the store itself, wrapped by the token or sealed under such a key. AUTOINCREMENT,
    -- so that the number of an erased data key never comes back.
    CREATE TABLE data_key (
        id INTEGER PRIMARY KEY AUTOINCREMENT, storage_key BLOB NOT NULL, wrapped BLOB NOT NULL
    ) STRICT;
    CREATE TABLE tags_key (
        id INTEGER PRIMARY KEY CHECK (id = 0), sealed INTEGER NOT NULL, key BLOB NOT NULL
    ) STRICT;
",
    // The leaf of the newest trust bundle.
    "
    CREATE TABLE bundle (id INTEGER PRIMARY KEY CHECK (id = 0), leaf INTEGER NOT NULL) STRICT;
",
    "
    -- The leaves from which the state of what takes people is made again. roster: it changes who is enrolled, or a
    -- threshold.
    CREATE TABLE control (leaf INTEGER PRIMARY KEY, roster INTEGER NOT NULL) STRICT;
    -- state: encoded. closed: the leaf that ended it without its act. ended: neither open nor waiting.
    CREATE TABLE proposal (
        id BLOB PRIMARY KEY, made INTEGER NOT NULL UNIQUE, state BLOB NOT NULL, act INTEGER, closed INTEGER,
        ended INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX proposal_current ON proposal (made) WHERE ended = 0;
    CREATE TABLE vote (leaf INTEGER PRIMARY KEY, proposal BLOB NOT NULL, officer TEXT NOT NULL) STRICT;
    CREATE INDEX vote_proposal ON vote (proposal);
    -- tag: of a master key, its version and a card that has keys under it. impact: how many such cards.
    CREATE TABLE issued (tag BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE impact (
        name TEXT NOT NULL, version INTEGER NOT NULL, cards INTEGER NOT NULL, PRIMARY KEY (name, version)
    ) STRICT, WITHOUT ROWID;
    -- No projection: leaves of an older log whose cards are not among the issued yet; their payloads are sealed.
    CREATE TABLE unissued (leaf INTEGER PRIMARY KEY) STRICT;
",
    // State 5 is closed, 6 purged.
    "
    -- state: its place in JobState::ALL. due: when it must be purged. made to sample: its cards, by what the log says.
    CREATE TABLE job (
        name TEXT PRIMARY KEY, record BLOB NOT NULL, made INTEGER NOT NULL, good INTEGER NOT NULL,
        rejected INTEGER NOT NULL, sample INTEGER NOT NULL, state INTEGER NOT NULL, due INTEGER NOT NULL,
        station TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX job_current ON job (name) WHERE state <> 6;
    CREATE INDEX job_due ON job (due) WHERE state <> 6;
    CREATE INDEX job_closed ON job (name) WHERE state = 5;
    CREATE INDEX job_of_station ON job (station, name);
    CREATE INDEX job_of_station_current ON job (station, name) WHERE state <> 6;
    -- The job whose data a station holds.
    CREATE TABLE job_station (station TEXT PRIMARY KEY, job TEXT NOT NULL) STRICT, WITHOUT ROWID;
    -- tag: of the card, so that the disk names none. card_count: how many there are.
    CREATE TABLE card (tag BLOB PRIMARY KEY, record BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE card_count (id INTEGER PRIMARY KEY CHECK (id = 0), cards INTEGER NOT NULL) STRICT;
    INSERT INTO card_count (id, cards) VALUES (0, 0);
    -- tag: of job and card. sealed: the item under the job's data key. A job's rows lie together, to be deleted together.
    CREATE TABLE job_item (
        tag BLOB NOT NULL, job TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (job, tag)
    ) STRICT, WITHOUT ROWID;
",
    // mark: over all of the row, under the key of the tags; nothing in an older store's rows until its first batch.
    // next: a mark, and the tag after this one in the order of tags, so that what is not there is known not to be.
    "
    ALTER TABLE purse ADD COLUMN mark BLOB;
    ALTER TABLE purse ADD COLUMN next BLOB;
    ALTER TABLE idem ADD COLUMN mark BLOB;
    ALTER TABLE job ADD COLUMN mark BLOB;
    ALTER TABLE job_station ADD COLUMN mark BLOB;
    ALTER TABLE card ADD COLUMN mark BLOB;
    ALTER TABLE card ADD COLUMN next BLOB;
    -- The first tag of each chain: 'purse', 'card'.
    CREATE TABLE first (chain TEXT PRIMARY KEY, next BLOB NOT NULL) STRICT, WITHOUT ROWID;
",
];
/// The schema before which no leaf was listed in the table `control`.
const LISTED_FROM: u32 = 3;

/// Makes all tables in a database that has none, without saying whose it is: for what is made again to be compared.
pub(super) fn make_tables(connection: &Connection) -> Result<(), LedgerFault> {
    let read = |error| LedgerFault::Read(StoreError::new(error));
    STEPS.iter().try_for_each(|step| connection.execute_batch(step).map_err(read))
}

/// Checks that a database is ours and has the newest schema, and changes nothing.
pub(super) fn must_be_newest(connection: &Connection, path: &Path) -> Result<(), LedgerFault> {
    let foreign = |_| LedgerFault::Foreign { path: path.to_path_buf() };
    let number =
        |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(foreign);
    if number("application_id")? != APPLICATION_ID {
        return Err(LedgerFault::Foreign { path: path.to_path_buf() });
    }
    let found = u32::try_from(number("user_version")?).unwrap_or(u32::MAX);
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    match found.cmp(&known) {
        Ordering::Less => Err(LedgerFault::Older { found, known }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(LedgerFault::Newer { found, known }),
    }
}

/// Brings the database to the newest schema, in one transaction.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), LedgerFault> {
    let read = |error| LedgerFault::Read(StoreError::new(error));
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(read)?;
    let number = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(read);
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|_| LedgerFault::Foreign { path: path.to_path_buf() })?;
    if tables > 0 && number("application_id")? != APPLICATION_ID {
        return Err(LedgerFault::Foreign { path: path.to_path_buf() });
    }
    let version = u32::try_from(number("user_version")?).unwrap_or(u32::MAX);
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if version > known {
        return Err(LedgerFault::Newer { found: version, known });
    }
    if version == known {
        return Ok(());
    }
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)) {
        transaction.execute_batch(step).map_err(read)?;
    }
    if version < LISTED_FROM {
        list_older(&transaction)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(read)?;
    transaction.pragma_update(None, "user_version", known).map_err(read)?;
    transaction.commit().map_err(read)
}

/// Lists the leaves of an older log that later tables are made from, once: their entries are enough to tell them.
fn list_older(connection: &Connection) -> Result<(), LedgerFault> {
    let read = |error| LedgerFault::Read(StoreError::new(error));
    let mut statement = connection.prepare("SELECT idx, entry FROM leaf ORDER BY idx").map_err(read)?;
    let mut rows = statement.query([]).map_err(read)?;
    while let Some(row) = rows.next().map_err(read)? {
        let leaf = row.get::<_, i64>(0).map_err(read)?.cast_unsigned();
        let entry = LeafEntry::decode(&row.get::<_, Vec<u8>>(1).map_err(read)?);
        match entry.map_err(|_| LedgerFault::Broken { leaf })?.kind {
            LeafKind::CardKeysDerived => Rows(connection).put_unissued(leaf)?,
            kind if Control::concerns(kind) => Rows(connection).list_control(leaf, false)?,
            _ => {}
        }
    }
    Ok(())
}
