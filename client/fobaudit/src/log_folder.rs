//! The export folder on disk: the signed note `checkpoint`, and tiles, bundles and payload files by their spans.
//!
//! The only file that opens an export's files. It reads one at a time, each once for a walk, and judges no content:
//! a file that is missing or not one is a [`Problem`] for the caller to report, a disk that fails is a [`Fault`].

use crate::{fault::Fault, finding::Problem};
use keysvc_protocol::{
    bytes::Digest,
    checkpoint::NOTE_LEN_MAX,
    export::{
        CHECKPOINT_FILE, ENTRY_BUNDLE_LEN_MAX, FileError, LeafPayload, OLD_LEAVES_FOLDER,
        PAYLOAD_FILE_LEN_MAX, PayloadFile, Span, decode_entries, decode_hashes,
    },
};
use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// Longest trust file, in bytes: "trust-domain " with 255 and "genesis " with 64, and room for a wrong one to be
/// told as such.
const TRUST_LEN_MAX: u64 = 4096;
/// Longest hash tile, in bytes: 256 hashes of 32.
const TILE_LEN_MAX: usize = 256 * Digest::LEN;

/// An export folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogFolder<'a>(&'a Path);

impl<'a> LogFolder<'a> {
    /// The folder at this path.
    pub(crate) const fn new(path: &'a Path) -> Self {
        Self(path)
    }

    /// The checkpoint's bytes.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read, or the folder has the form that exports had before.
    pub(crate) fn checkpoint(&self) -> Result<Vec<u8>, Fault> {
        if self.0.join(OLD_LEAVES_FOLDER).is_dir() && !self.0.join("tile").is_dir() {
            return Err(Fault::OldExport { path: self.0.to_path_buf() });
        }
        read_note(&self.0.join(CHECKPOINT_FILE))
    }

    /// The hash tile of a span of tree level `8 * level`.
    ///
    /// # Errors
    /// [`Fault`] when it is there and cannot be read; the inner [`Problem`] when it is missing or not one.
    pub(crate) fn tile(&self, level: u8, span: Span) -> Result<Result<Vec<Digest>, Problem>, Fault> {
        self.read(span.tile_path(level), TILE_LEN_MAX, |bytes| decode_hashes(bytes, span))
    }

    /// The entries of a span of leaves.
    ///
    /// # Errors
    /// As [`Self::tile`].
    pub(crate) fn entries(&self, span: Span) -> Result<Result<Vec<Vec<u8>>, Problem>, Fault> {
        self.read(span.entries_path(), ENTRY_BUNDLE_LEN_MAX, |bytes| {
            Ok(decode_entries(bytes, span)?.into_iter().map(<[u8]>::to_vec).collect())
        })
    }

    /// The payloads of a span of leaves.
    ///
    /// # Errors
    /// As [`Self::tile`].
    pub(crate) fn payloads(&self, span: Span) -> Result<Result<Vec<LeafPayload>, Problem>, Fault> {
        self.read(span.payload_path(), PAYLOAD_FILE_LEN_MAX, |bytes| PayloadFile::decode(bytes, span))
    }

    fn read<T>(
        self,
        file: String,
        len_max: usize,
        decode: impl FnOnce(&[u8]) -> Result<T, FileError>,
    ) -> Result<Result<T, Problem>, Fault> {
        let path = self.0.join(&file);
        let opened = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(Problem::MissingFile { file }));
            }
            opened => opened.map_err(|source| Fault::Unreadable { path: path.clone(), source })?,
        };
        let mut bytes = Vec::new();
        // One byte more than it may have, so that one too long is found as such when it is decoded.
        let limit = u64::try_from(len_max).unwrap_or(u64::MAX).saturating_add(1);
        opened.take(limit).read_to_end(&mut bytes).map_err(|source| Fault::Unreadable { path, source })?;
        Ok(decode(&bytes).map_err(|why| Problem::BadFile { file, why }))
    }
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
    use std::fs;

    #[test]
    fn a_file_longer_than_its_kind_may_be_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        fs::write(&path, [0; 11]).unwrap();
        assert!(matches!(read_file(&path, 10), Err(Fault::TooLong { max: 10, .. })));
        assert_eq!(read_file(&path, 11).unwrap().len(), 11);
    }

    #[test]
    fn a_file_that_is_missing_or_not_one_is_told_by_its_name_in_the_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let (folder, span) = (LogFolder::new(scratch.path()), Span::of(0, 256).unwrap());
        let file = "tile/0/000".to_owned();
        assert_eq!(folder.tile(0, span).unwrap(), Err(Problem::MissingFile { file: file.clone() }));
        fs::create_dir_all(scratch.path().join("tile/0")).unwrap();
        for (len, why) in [(8191, FileError::CutShort), (9000, FileError::Trailing)] {
            fs::write(scratch.path().join(&file), vec![0; len]).unwrap();
            assert_eq!(folder.tile(0, span).unwrap(), Err(Problem::BadFile { file: file.clone(), why }));
        }
    }

    #[test]
    fn an_export_in_the_old_form_is_told_with_the_next_command() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join(OLD_LEAVES_FOLDER)).unwrap();
        let fault = LogFolder::new(scratch.path()).checkpoint().unwrap_err();
        assert!(matches!(fault, Fault::OldExport { .. }));
        assert_eq!(fault.exit_code(), 2);
        assert!(fault.next().contains("fobctl audit export"));
    }
}
