//! The anchor: the last signed checkpoint in a file outside the database.
//!
//! It guards against an old copy of the database put back, not against root. Two slots of 1 KiB are written in
//! turn, each with its SHA-256, so that a write cut short leaves the other. Syncing is the caller's, once a second;
//! a sync that fails is never tried again.

use super::{fault::LedgerFault, reader::Reader};
use keysvc_protocol::{
    checkpoint::{CheckpointError, Origin, SignedCheckpoint},
    hash::sha256,
    public_key::PublicKey,
};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A slot: the note's length (2 bytes, big-endian), the note, zeros, SHA-256 over all before it.
const SLOT_LEN: usize = 1024;
const DIGEST_LEN: usize = 32;
/// The longest note a slot holds: ours take at most 723 bytes.
const NOTE_LEN_MAX: usize = SLOT_LEN - DIGEST_LEN - 2;

/// Why the anchor and the log do not agree, or the anchor cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AnchorFault {
    /// The file could not be opened, read, written or synced.
    #[error("the anchor {} cannot be used; check the disk and that the file is the keeper's user's", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// Neither slot of the file is whole.
    #[error("the anchor {} is damaged; compare the log with a witness, then remove the file", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The checkpoint does not fit a slot.
    #[error("a checkpoint of {found} bytes does not fit the anchor")]
    TooLong {
        /// Its length, in bytes.
        found: usize,
    },
    /// The anchored checkpoint is not this log's, or not signed by its key.
    #[error("the anchor is not this log's; check that store and token belong together")]
    Foreign(#[source] CheckpointError),
    /// The log ends before the anchor.
    #[error("the log has {log} leaves and the anchor {anchor}; an old store was put back, restore the newest one")]
    Ahead {
        /// The anchor's size, in leaves.
        anchor: u64,
        /// The log's size, in leaves.
        log: u64,
    },
    /// The log says something else than the anchor.
    #[error("the log's first {size} leaves are not the anchored ones; this is another store, restore the right one")]
    OtherRoot {
        /// The anchor's size, in leaves.
        size: u64,
    },
    /// The log could not be read.
    #[error("{0}")]
    Ledger(#[from] LedgerFault),
}

/// The anchor's file.
#[derive(Debug)]
pub struct Anchor {
    path: PathBuf,
    file: File,
    newest: Mutex<Newest>,
}

#[derive(Debug)]
struct Newest {
    checkpoint: Option<SignedCheckpoint>,
    next_slot: u64,
}

impl Anchor {
    /// Opens or makes the file at `path`, for its owner alone.
    ///
    /// # Errors
    /// [`AnchorFault::File`], or [`AnchorFault::Damaged`] when something is in it but no whole checkpoint.
    pub fn open(path: &Path) -> Result<Self, AnchorFault> {
        let fault = |error| file_fault(path, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(fault)?;
        let len = file.metadata().map_err(fault)?.len();
        let slots = [0, 1].map(|slot| read_slot(&file, slot));
        let [first, second] = slots;
        let newest = match (first.map_err(fault)?, second.map_err(fault)?) {
            (None, None) if len > 0 => {
                return Err(AnchorFault::Damaged { path: path.to_path_buf() });
            }
            (None, second) => Newest { checkpoint: second, next_slot: 0 },
            (Some(first), Some(second)) if size(&second) >= size(&first) => {
                Newest { checkpoint: Some(second), next_slot: 0 }
            }
            (Some(first), _) => Newest { checkpoint: Some(first), next_slot: 1 },
        };
        Ok(Self { path: path.to_path_buf(), file, newest: Mutex::new(newest) })
    }

    /// The anchored checkpoint; nothing before the first.
    #[must_use]
    pub fn read(&self) -> Option<SignedCheckpoint> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).checkpoint.clone()
    }

    /// Anchors a checkpoint, by one write; a smaller one than the anchored, or one of its size, changes nothing.
    ///
    /// # Errors
    /// [`AnchorFault::File`] or [`AnchorFault::TooLong`].
    pub fn advance(&self, checkpoint: &SignedCheckpoint) -> Result<(), AnchorFault> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.checkpoint.as_ref().is_some_and(|anchored| size(anchored) >= size(checkpoint)) {
            return Ok(());
        }
        let note = checkpoint.as_bytes();
        let slot = slot_of(note).ok_or(AnchorFault::TooLong { found: note.len() })?;
        self.file.write_all_at(&slot, offset(newest.next_slot)).map_err(|error| file_fault(&self.path, error))?;
        *newest = Newest { checkpoint: Some(checkpoint.clone()), next_slot: newest.next_slot ^ 1 };
        Ok(())
    }

    /// Makes what was anchored durable.
    ///
    /// # Errors
    /// [`AnchorFault::File`]: whether it is durable is unknown, the keeper ends.
    pub fn sync(&self) -> Result<(), AnchorFault> {
        self.file.sync_data().map_err(|error| file_fault(&self.path, error))
    }

    /// Checks that the log contains what is anchored. `key` is the log's checkpoint key.
    ///
    /// # Errors
    /// [`AnchorFault`] when the anchor is not this log's, ahead of it or beside it; the keeper must not start.
    pub fn compare(&self, log: &Reader, origin: &Origin, key: &PublicKey) -> Result<(), AnchorFault> {
        let Some(anchored) = self.read() else {
            return Ok(());
        };
        anchored.verify(origin, key).map_err(AnchorFault::Foreign)?;
        let anchor = anchored.checkpoint().head;
        let size = log.head().size;
        if anchor.size > size {
            return Err(AnchorFault::Ahead { anchor: anchor.size, log: size });
        }
        if log.root_at(anchor.size)? != anchor.root {
            return Err(AnchorFault::OtherRoot { size: anchor.size });
        }
        Ok(())
    }
}

fn file_fault(path: &Path, error: io::Error) -> AnchorFault {
    AnchorFault::File { path: path.to_path_buf(), source: Arc::new(error) }
}

fn size(checkpoint: &SignedCheckpoint) -> u64 {
    checkpoint.checkpoint().head.size
}

const fn offset(slot: u64) -> u64 {
    slot.saturating_mul(SLOT_LEN as u64)
}

fn slot_of(note: &[u8]) -> Option<Vec<u8>> {
    if note.len() > NOTE_LEN_MAX {
        return None;
    }
    let mut slot = u16::try_from(note.len()).ok()?.to_be_bytes().to_vec();
    slot.extend_from_slice(note);
    slot.resize(SLOT_LEN.saturating_sub(DIGEST_LEN), 0);
    let digest = sha256(&[&slot]);
    slot.extend_from_slice(digest.as_bytes());
    Some(slot)
}

/// The checkpoint in a slot; nothing when the slot is not there or not whole.
fn read_slot(file: &File, slot: u64) -> io::Result<Option<SignedCheckpoint>> {
    let mut bytes = [0; SLOT_LEN];
    match file.read_exact_at(&mut bytes, offset(slot)) {
        Ok(()) => Ok(checkpoint_in(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn checkpoint_in(slot: &[u8; SLOT_LEN]) -> Option<SignedCheckpoint> {
    let (body, digest) = slot.split_last_chunk::<DIGEST_LEN>()?;
    if sha256(&[body]).as_bytes() != digest {
        return None;
    }
    let (len, rest) = body.split_first_chunk::<2>()?;
    SignedCheckpoint::parse(rest.get(..usize::from(u16::from_be_bytes(*len)))?).ok()
}
