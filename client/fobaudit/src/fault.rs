//! Faults of the program's own surroundings: files that cannot be read, an output that cannot be written.
//!
//! What a verification finds wrong is never a fault but a [`crate::finding::Finding`].

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
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl Fault {
    /// The exit code: 4 for what cannot be read, 2 for a wrong file named on the command line, 1 for the rest.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { .. } | Self::TooLong { .. } => 4,
            Self::NotTrust { .. } => 2,
            Self::Output(_) => 1,
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
            Self::Output(_) => "free the output, then run the same command again",
        }
    }
}
