//! Why decision cases could not be read. Each message names the file and the mend.

use std::io;
use std::path::PathBuf;

use super::cases::{CASE_BYTES_MAX, CASES_MAX};

/// Cases that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// The folder cannot be listed.
    #[error("the folder of cases {} cannot be read: {reason}; check the path", folder.display())]
    Folder {
        /// The folder as given.
        folder: PathBuf,
        /// What the system answered.
        reason: io::ErrorKind,
    },

    /// The folder holds no case.
    #[error("the folder {} holds no case; write one, *.toml, for each question that matters", folder.display())]
    Empty {
        /// The folder as given.
        folder: PathBuf,
    },

    /// The folder holds more cases than are read.
    #[error("the folder {} holds more than {CASES_MAX} cases; give a part of them", folder.display())]
    TooMany {
        /// The folder as given.
        folder: PathBuf,
    },

    /// Something in the folder is not a plain `*.toml` file.
    #[error("{} is not a plain *.toml file; move it out of the folder of cases", file.display())]
    UnknownFile {
        /// The stray file, folder or link.
        file: PathBuf,
    },

    /// A case cannot be read.
    #[error("{} cannot be read as text: {reason}; check the file", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system answered.
        reason: io::ErrorKind,
    },

    /// A case is too large.
    #[error("{} is larger than {CASE_BYTES_MAX} bytes; a case is one question", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },

    /// A case is not written as one.
    #[error("the case {name}, line {line}: {reason}; write it as the shipped cases are written")]
    Malformed {
        /// The case's name.
        name: String,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}
