//! The export folder on disk: the signed note `checkpoint` and the files of leaves under `leaves/`.
//!
//! The only file that opens files. It reads one file of leaves at a time and judges nothing.

use crate::fault::Fault;
use keysvc_protocol::{
    checkpoint::NOTE_LEN_MAX,
    export::{CHECKPOINT_FILE, FILE_BYTES_MAX, LEAVES_FOLDER, file_name},
};
use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

/// Longest trust file, in bytes: "trust-domain " with 255 and "genesis " with 64, and room for a wrong one to be
/// told as such.
const TRUST_LEN_MAX: u64 = 4096;

/// An export folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogFolder<'a>(&'a Path);

/// One file of leaves, as its name has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LeafFileName {
    /// Index of its first leaf.
    pub(crate) first: u64,
    /// Its name in the folder of leaves.
    pub(crate) name: String,
}

impl<'a> LogFolder<'a> {
    /// The folder at this path.
    pub(crate) const fn new(path: &'a Path) -> Self {
        Self(path)
    }

    /// The checkpoint's bytes.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read.
    pub(crate) fn checkpoint(&self) -> Result<Vec<u8>, Fault> {
        read_note(&self.0.join(CHECKPOINT_FILE))
    }

    /// The files of leaves in ascending order; other names in the folder are passed over.
    ///
    /// # Errors
    /// [`Fault`] when the folder cannot be listed.
    pub(crate) fn leaf_files(&self) -> Result<Vec<LeafFileName>, Fault> {
        let folder = self.0.join(LEAVES_FOLDER);
        let unreadable = |source| Fault::Unreadable { path: folder.clone(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            files.extend(name.to_str().and_then(leaf_file_name));
        }
        files.sort();
        Ok(files)
    }

    /// The bytes of one file of leaves.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read.
    pub(crate) fn leaf_file(&self, file: &LeafFileName) -> Result<Vec<u8>, Fault> {
        let max = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
        read_file(&self.0.join(LEAVES_FOLDER).join(&file.name), max)
    }
}

fn leaf_file_name(name: &str) -> Option<LeafFileName> {
    let first = name.strip_suffix(".cbor")?.parse().ok()?;
    (file_name(first) == name).then(|| LeafFileName { first, name: name.to_owned() })
}

/// Reads a signed note.
///
/// # Errors
/// [`Fault`] when it cannot be read.
pub(crate) fn read_note(path: &Path) -> Result<Vec<u8>, Fault> {
    // One byte more than a note may have, so that one too long is found as such when it is parsed.
    read_file(path, u64::try_from(NOTE_LEN_MAX).unwrap_or(u64::MAX).saturating_add(1))
}

/// Reads a trust file's text; bytes that are no text become text that is no trust file.
///
/// # Errors
/// [`Fault`] when it cannot be read.
pub(crate) fn read_trust(path: &Path) -> Result<String, Fault> {
    read_file(path, TRUST_LEN_MAX).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a file of at most `max` bytes.
///
/// # Errors
/// [`Fault`] when it cannot be read or is longer.
pub(crate) fn read_file(path: &Path, max: u64) -> Result<Vec<u8>, Fault> {
    let unreadable = |source| Fault::Unreadable { path: PathBuf::from(path), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        return Err(Fault::TooLong { path: PathBuf::from(path), max });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_one_form_are_files_of_leaves() {
        assert_eq!(leaf_file_name("000000000256.cbor").map(|file| file.first), Some(256));
        for name in ["256.cbor", "000000000256.cbor.tmp", "+00000000256.cbor", "checkpoint", ".cbor"] {
            assert_eq!(leaf_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_file_longer_than_its_kind_may_be_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        fs::write(&path, [0; 11]).unwrap();
        assert!(matches!(read_file(&path, 10), Err(Fault::TooLong { max: 10, .. })));
        assert_eq!(read_file(&path, 11).unwrap().len(), 11);
    }
}
