//! Faults of the program's own surroundings: files that cannot be read, an output that cannot be written.
//!
//! What a verification finds wrong is never a fault but a [`crate::finding::Finding`].

use crate::state::StateError;
use keysvc_protocol::trust::TrustError;
use std::{io, path::PathBuf};

/// Why the program cannot do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than its kind may be.
    #[error("cannot read {}: it has more than {max} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        max: u64,
    },
    /// The trust file is not one.
    #[error("cannot use {}: {why}", path.display())]
    NotTrust {
        /// The file.
        path: PathBuf,
        /// Why.
        why: TrustError,
    },
    /// The export folder has the form that exports had before.
    #[error("cannot read {}: it is an export in the old form, files under `leaves/`", path.display())]
    OldExport {
        /// The folder.
        path: PathBuf,
    },
    /// The state file cannot be gone on from.
    #[error("cannot go on from {}: {why}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        why: StateError,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Fault {
    /// The exit code: 4 for what cannot be read, 2 for a wrong file named on the command line, 1 for the rest.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { .. } | Self::TooLong { .. } => 4,
            Self::NotTrust { .. } | Self::OldExport { .. } | Self::State { .. } => 2,
            Self::Unwritable { .. } | Self::Output(_) => 1,
        }
    }

    /// What to do next.
    pub(crate) const fn next(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "name the folder that `fobctl audit export` wrote and the files beside it; see `fobaudit help`"
            }
            Self::TooLong { .. } => "name a file of the right kind; see `fobaudit help`",
            Self::NotTrust { .. } => {
                "name the trust file that the officers handed out: two lines, trust-domain and genesis"
            }
            Self::OldExport { .. } => {
                "export the log again with `fobctl audit export` into an empty folder, and verify that one"
            }
            Self::State { why, .. } => why.next(),
            Self::Unwritable { .. } => "name a place that can be written, then run the same command again",
            Self::Output(_) => "free the output, then run the same command again",
        }
    }
}
