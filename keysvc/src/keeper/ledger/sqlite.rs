//! The embedded backend: SQLite, one writer connection, one transaction a batch.
//!
//! WAL with synchronous=FULL: a commit that returned is on the disk. What each change writes is in `write`, the
//! statements are in `rows`, files and lock in `place`. A statement that fails is never tried again. A disk without room
//! is the one failure after which the store goes on: it is met by a write before the sync, so that nothing of the batch
//! is durable, and what the batch changed in memory is undone.

mod book;
mod data_keys;
#[cfg(test)]
pub(super) mod ground;
mod place;
mod rows;
mod standing;
#[cfg(test)]
mod tests;
mod write;

pub(super) use book::{Items, JobBook};
pub use data_keys::{DataKey, DataKeys};
pub(super) use place::{database, files, lock, open_reader};
pub(super) use rows::{ProposalRow, Rows, idem_mark};
pub(super) use write::{IDEM_KEPT_MS, bears_value};

use super::{
    SharedControl,
    backend::{Applied, Backend},
    change::Change,
    fault::{LedgerFault, StoreError},
    refusals::Refusals,
    restore,
    seal::{Seals, SharedTags},
};
use keysvc_protocol::{
    control::Moment,
    leaf::LeafEntry,
    merkle::{Frontier, Nodes, TreeHead, leaf_hash, place_of},
};
use ring::rand::SystemRandom;
use rusqlite::{Connection, ErrorCode};
use std::{
    fs::File,
    path::{Path, PathBuf},
};
use write::{Write, Written};

/// Leaves after which the writer makes a heartbeat, where nobody else does: a start looks through those after the last
/// one, and 65,536 of them at some 5 microseconds each take a third of a second.
const LEAVES_A_HEARTBEAT: u64 = 65_536;

/// The store of one keeper.
#[derive(Debug)]
pub(super) struct Sqlite {
    connection: Connection,
    state: State,
    // Held as long as the connection, dropped after it: the fields' order.
    _lock: File,
}

/// What the writer knows without asking the database.
#[derive(Debug)]
struct State {
    frontier: Frontier,
    last_ms: u64,
    halted: Option<u64>,
    oldest_idem_ms: Option<u64>,
    refusals: Refusals,
    seals: Seals,
    tags: SharedTags,
    control: SharedControl,
    // Whether an older log's cards are still to be listed.
    unissued: bool,
    // The last heartbeat's leaf, and after how many leaves the writer makes one of its own.
    beat: u64,
    beat_every: u64,
    // The data key the tags' key is sealed under in the store.
    tags_sealed: Option<u32>,
    random: SystemRandom,
}

/// What a store says when it is opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) head: TreeHead,
    pub(super) halted: Option<u64>,
    pub(super) tags: SharedTags,
    pub(super) control: SharedControl,
    pub(super) database: PathBuf,
}

impl Sqlite {
    /// Opens or makes the store in `folder` and checks that its last leaf agrees with the tree before it; reads as
    /// many rows as the log's size has bits, whatever its size.
    ///
    /// # Errors
    /// [`LedgerFault`] saying what to do: in use, another program's, damaged.
    pub(super) fn open(folder: &Path, seals: Seals, now_ms: u64) -> Result<(Self, Opened), LedgerFault> {
        let lock = lock(folder)?;
        let (connection, database) = place::open_writer(folder)?;
        let rows = Rows(&connection);
        let random = SystemRandom::new();
        let (frontier, last_ms) = restore(rows)?;
        let (tags, control) = (SharedTags::default(), SharedControl::default());
        let (halted, oldest_idem_ms) = (rows.halted()?, rows.oldest_idem()?);
        let opened =
            Opened { head: frontier.head(), halted, tags: tags.clone(), control: control.clone(), database };
        let state = State {
            frontier,
            last_ms,
            halted,
            oldest_idem_ms,
            refusals: Refusals::new(now_ms),
            seals,
            tags,
            control,
            unissued: !rows.unissued()?.is_empty(),
            beat: last_beat(rows),
            beat_every: LEAVES_A_HEARTBEAT,
            tags_sealed: None,
            random,
        };
        Ok((Self { connection, state, _lock: lock }, opened))
    }

    fn write(&mut self, batch: &[Change], now: Moment) -> Result<Applied, LedgerFault> {
        let rows = Rows(&self.connection);
        rows.begin()?;
        let mut write = Write::new(rows, &mut self.state, now);
        write.mark_older()?;
        write.issue_older()?;
        let mut outcomes = Vec::with_capacity(batch.len());
        for change in batch {
            outcomes.push(match write.apply(change) {
                Err(fault) if !fault.is_of_one_change() => return Err(fault),
                outcome => outcome,
            });
        }
        let Written { completed, control, marked } = write.finish()?;
        rows.commit()?;
        if let Some(tags) = marked {
            tags.now_marked();
        }
        // Durable from here on, and shown before the answers; a batch that wrote nothing leaves what was restored meanwhile.
        if !completed.is_empty() && control.is_some() {
            self.state.control.store(control);
        }
        let (head, halted) = (self.state.frontier.head(), self.state.halted);
        Ok(Applied { outcomes, head, completed, halted })
    }
}

/// The last heartbeat's leaf, for no more than to know when the next one is due: a list that is damaged is told when the
/// state is restored.
fn last_beat(rows: Rows<'_>) -> u64 {
    let listed = rows.listed_control(false).unwrap_or_default().into_iter().rev();
    restore::last_heartbeat(rows, listed).ok().flatten().unwrap_or(0)
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // So that an orderly stop leaves one file, for whoever copies it. Not waited for: what a reader still needs
        // stays in the log beside it, and the next start takes it from there.
        let _ = self.connection.busy_timeout(std::time::Duration::ZERO);
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }
}

impl Backend for Sqlite {
    fn apply(&mut self, batch: &[Change], now: Moment) -> Result<Applied, LedgerFault> {
        let before = self.state.standing();
        self.write(batch, now).map_err(|fault| match fault {
            // Whether anything was written is not known: the caller must not go on as if nothing was.
            LedgerFault::Read(error) => LedgerFault::Commit(error),
            LedgerFault::NoRoom(error) => match self.undo(before) {
                Ok(()) => LedgerFault::NoRoom(error),
                Err(_) => LedgerFault::Commit(error),
            },
            fault => fault,
        })
    }
}

/// Opens the store in `folder` to read it, whether a keeper uses it or not.
pub(super) fn open_to_read(folder: &Path) -> Result<Opened, LedgerFault> {
    let database = database(folder);
    let connection = open_reader(&database)?;
    let rows = Rows(&connection);
    let (frontier, _) = restore(rows)?;
    let (tags, control) = (SharedTags::default(), SharedControl::default());
    Ok(Opened { head: frontier.head(), halted: rows.halted()?, tags, control, database })
}

/// Size and root of the log.
pub(super) fn head_of(rows: Rows<'_>) -> Result<TreeHead, LedgerFault> {
    Ok(restore(rows)?.0.head())
}

/// The right edge and the last leaf's time, 0 for an empty log.
fn restore(rows: Rows<'_>) -> Result<(Frontier, u64), LedgerFault> {
    let Some(last) = rows.last_leaf()? else {
        return Ok((Frontier::new(), 0));
    };
    let mut frontier = Frontier::from_nodes(last, &rows)?;
    let leaf = rows.leaf(last)?.ok_or(LedgerFault::Broken { leaf: last })?;
    let entry = LeafEntry::decode(&leaf.entry).map_err(|_| LedgerFault::Broken { leaf: last })?;
    let completed = frontier.append(leaf_hash(&leaf.entry)).to_bytes();
    if entry.index != last || rows.hashes(last)?.as_ref() != Some(&completed) {
        return Err(LedgerFault::Broken { leaf: last });
    }
    Ok((frontier, entry.time_ms))
}

impl Nodes for Rows<'_> {
    type Error = LedgerFault;
    fn node(&self, level: u8, index: u64) -> Result<keysvc_protocol::bytes::Digest, LedgerFault> {
        let place = place_of(level, index);
        let row = self.hashes(place.leaf)?;
        row.and_then(|row| place.in_row(&row)).ok_or(LedgerFault::Broken { leaf: place.leaf })
    }
}

pub(super) fn read_fault(error: rusqlite::Error) -> LedgerFault {
    if has_no_room(&error) {
        LedgerFault::NoRoom(StoreError::new(error))
    } else {
        LedgerFault::Read(StoreError::new(error))
    }
}

/// Whether a write met a disk without room. `SQLite` says so of writes alone: a sync that fails for whatever reason is
/// another error of it, and so is an index of the write-ahead log that cannot grow after the commit is in it.
fn has_no_room(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}
