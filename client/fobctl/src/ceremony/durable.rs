//! Files that must survive a power cut in the middle of a ceremony: whole in their old or their new form, never between.

use crate::fault::Fault;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Writes a file in place of an earlier one: a new file, synced, renamed over it, and the folder synced.
///
/// # Errors
/// [`Fault::File`] naming the file.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let mut fresh = path.to_owned().into_os_string();
    fresh.push(".new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&fresh, path))
        .and_then(|()| File::open(folder_of(path)).and_then(|folder| folder.sync_all()));
    written.map_err(|source| Fault::File { doing: "write", path: path.to_owned(), source })
}

/// Makes a folder for its owner alone, where it is not there yet.
///
/// # Errors
/// [`Fault::File`] naming the folder.
pub(crate) fn folder(path: &Path) -> Result<(), Fault> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Fault::File { doing: "make", path: path.to_owned(), source })
}

/// A file's bytes, at most so many; nothing where it is not there.
///
/// # Errors
/// [`Fault`] when it cannot be read or is longer.
pub(crate) fn read(path: &Path, len_max: usize) -> Result<Option<Vec<u8>>, Fault> {
    match crate::file::read(path, len_max) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Fault::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let scratch = tempfile::tempdir().unwrap();
        let place = scratch.path().join("a/b");
        folder(&place).unwrap();
        let path = place.join("progress.cbor");
        assert!(read(&path, 9).unwrap().is_none());
        put(&path, b"one").unwrap();
        put(&path, b"two").unwrap();
        assert_eq!(read(&path, 9).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o700);
        assert!(read(&path, 2).is_err());
    }
}
