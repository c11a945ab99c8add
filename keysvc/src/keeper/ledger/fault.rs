//! Why the ledger cannot do its work, in our words and with what to do.

use keysvc_protocol::{merkle::ProofError, name::Name};
use std::{fmt, io, path::PathBuf, sync::Arc};

/// Why the ledger cannot do its work: our affair, never the caller's.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerFault {
    /// The queue is full; the request was not taken.
    #[error("the ledger's queue is full; try again")]
    Full,
    /// The ledger stopped before; the request was not taken, or nothing is known of it.
    #[error("the ledger has stopped; start the keeper again")]
    Stopped,
    /// A commit failed, or nothing is known of it. Never tried again: the keeper ends and recovery decides.
    #[error("a commit to the store failed or its outcome is unknown; end the keeper and start it again")]
    Commit(#[source] StoreError),
    /// The store's disk has no room. What was to be written was undone, none of it is durable, and the store goes on as
    /// soon as there is room.
    #[error("the store's disk has no room; make room, nothing else has to be done")]
    NoRoom(#[source] StoreError),
    /// The store could not be read or prepared.
    #[error("the store cannot be read; check the disk, then start the keeper again")]
    Read(#[source] StoreError),
    /// A file of the store could not be opened or made.
    #[error("{} cannot be opened; check that it belongs to the keeper's user", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// Another keeper holds the store's lock.
    #[error("the store in {} is in use; stop the other keeper first", folder.display())]
    InUse {
        /// The store's folder.
        folder: PathBuf,
    },
    /// The database is another program's.
    #[error("{} is no store of this program, or a damaged one; restore a backup, or give another folder", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The database was written by a later program.
    #[error("the store has schema {found} and this program knows {known}; start the newer program")]
    Newer {
        /// The schema number found.
        found: u32,
        /// The highest schema number known.
        known: u32,
    },
    /// The database was written by an earlier program, and nothing was to be changed.
    #[error(
        "the store has schema {found} and this program wants {known}; start the keeper once, which brings it there"
    )]
    Older {
        /// The schema number found.
        found: u32,
        /// The schema number wanted.
        known: u32,
    },
    /// A stored leaf contradicts its own hashes, or a row it needs is missing.
    #[error("leaf {leaf} of the store is damaged; restore a backup that reaches the anchor")]
    Broken {
        /// The leaf's index.
        leaf: u64,
    },
    /// A row beside the log, such as a purse or a key, does not hold what it must.
    #[error("the store's table {table} is damaged; restore a backup that reaches the anchor")]
    BrokenTable {
        /// The table.
        table: &'static str,
    },
    /// The lists from which the state of what takes people is made again do not lead to what a heartbeat says stood.
    #[error(
        "the store's tables control, proposal and vote do not lead to what heartbeat leaf {heartbeat} says; restore a \
         backup that reaches the anchor"
    )]
    OtherControl {
        /// The heartbeat's leaf.
        heartbeat: u64,
    },
    /// Something is sealed under a data key that was not given.
    #[error("data key {id} is needed and was not given; unwrap it in the token and start again")]
    SealMissing {
        /// The data key's number.
        id: u32,
    },
    /// Something is to be sealed and no data key was given yet.
    #[error("no data key was given yet; unwrap the month's in the token first")]
    NoSeal,
    /// Something of a job is to be sealed or opened, and its data key is not there.
    #[error("the data key of the job {job} is not there: none was made yet, or the job is purged")]
    NoJobSeal {
        /// The job.
        job: Name,
    },
    /// A leaf of a job was given without the job whose data key seals it.
    #[error("a leaf of a job was given without its job")]
    NoJob,
    /// The payload of a leaf was erased with its job: only its entry is left.
    #[error("the payload of leaf {leaf} was erased with its job")]
    Erased {
        /// The leaf's index.
        leaf: u64,
    },
    /// The write-ahead log holds what was erased as long as somebody reads the store as it was.
    #[error("the store is being read as it was before an erasure, which is not whole yet; it is tried again")]
    StillRead,
    /// Something does not open under the data key it names.
    #[error("what is sealed under data key {id} does not open; the key or the store is not the right one")]
    SealBroken {
        /// The data key's number.
        id: u32,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
    /// The thread could not be started.
    #[error("the ledger's thread cannot be started")]
    NoThread(#[source] Arc<io::Error>),
    /// The log has no founding yet; nothing else can be its first leaf.
    #[error("the log is empty; found it first")]
    NotFounded,
    /// The log has leaves; a founding can only be its first.
    #[error("the log is founded already")]
    AlreadyFounded,
    /// A key outcome names a leaf that is no open intent.
    #[error("leaf {intent} is not an open key intent")]
    NoIntent {
        /// The index named.
        intent: u64,
    },
    /// The state of what takes people was not restored from the log yet.
    #[error("the officers' state was not restored from the log; start the keeper again")]
    NoControl,
    /// The founding in the leaf does not read, or does not agree with itself.
    #[error("the founding does not read")]
    NoFounding,
    /// A change was given as one that took a quorum and is none that can.
    #[error("this change is none that a quorum makes")]
    NoAct,
    /// The payload is longer than a leaf may carry.
    #[error("the leaf's payload has {found} bytes, more than a leaf may carry")]
    TooLong {
        /// Its length, in bytes.
        found: usize,
    },
    /// What was asked lies outside the log: the caller's affair, nothing is wrong with the store.
    #[error("{0}")]
    Proof(#[from] ProofError),
}

impl LedgerFault {
    /// Whether the process must end: what was recorded is not known any more, or the store contradicts itself.
    #[must_use]
    pub const fn ends_the_keeper(&self) -> bool {
        !self.is_of_one_change()
            && !matches!(self, Self::Full | Self::NoRoom(_) | Self::StillRead | Self::Proof(_))
    }

    /// Whether this fault is one change's alone: nothing was written for it, and the batch goes on.
    pub(super) const fn is_of_one_change(&self) -> bool {
        matches!(
            self,
            Self::NotFounded
                | Self::AlreadyFounded
                | Self::NoIntent { .. }
                | Self::TooLong { .. }
                | Self::NoControl
                | Self::NoFounding
                | Self::NoAct
                | Self::NoSeal
                | Self::NoJobSeal { .. }
                | Self::NoJob
                | Self::Erased { .. }
                | Self::SealMissing { .. }
                | Self::SealBroken { .. }
        )
    }
}

/// What the store's library says, for the log alone; it names tables, never values.
#[derive(Clone)]
pub struct StoreError(Arc<dyn std::error::Error + Send + Sync>);

impl StoreError {
    pub(super) fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for StoreError {}
