//! The state folder: files that are whole or not there, and one lock for those who share it.

use crate::error::ClientError;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The longest wait for the lock: it is held for one file read and two synced writes, milliseconds on any disk.
const LOCK_MAX: Duration = Duration::from_secs(10);
/// The pause before the lock is tried again: half of what its holder needs.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// A folder only its owner may enter.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Opens the folder, making it and those above it where they are missing.
    pub(crate) fn open(path: &Path) -> Result<Self, ClientError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| fault(path, &error))?;
        Ok(Self(path.to_owned()))
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file's bytes; nothing where there is no such file.
    pub(crate) fn read(&self, name: &str, len_max: usize) -> Result<Option<Vec<u8>>, ClientError> {
        let path = self.path(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault(&path, &error)),
        };
        let mut bytes = Vec::new();
        let limit = u64::try_from(len_max).unwrap_or(u64::MAX).saturating_add(1);
        file.take(limit).read_to_end(&mut bytes).map_err(|error| fault(&path, &error))?;
        if bytes.len() > len_max {
            return Err(damaged(&path, &format!("longer than {len_max} bytes")));
        }
        Ok(Some(bytes))
    }

    /// Puts a file in place whole: written beside, synced, renamed, and the folder synced.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), ClientError> {
        let (path, beside) = (self.path(name), self.path(&format!(".{name}.new")));
        let written = write_synced(&beside, bytes)
            .and_then(|()| fs::rename(&beside, &path))
            // Last, because before it the rename may be lost.
            .and_then(|()| File::open(&self.0)?.sync_all());
        written.map_err(|error| fault(&path, &error))
    }

    /// Takes the folder's lock, waiting for other processes; it is free again when the value is dropped, and when
    /// its process dies.
    pub(crate) fn lock(&self) -> Result<Lock, ClientError> {
        let path = self.path("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|error| fault(&path, &error))?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_MAX => thread::sleep(LOCK_PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let reason = format!(
                        "another process has held it for {} s; end the one that hangs",
                        LOCK_MAX.as_secs()
                    );
                    return Err(ClientError::State { path, reason });
                }
                Err(TryLockError::Error(error)) => return Err(fault(&path, &error)),
            }
        }
    }
}

/// The state folder's lock, held.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held open: closing it frees the lock")] File);

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A file or folder that cannot be used.
pub(crate) fn fault(path: &Path, error: &io::Error) -> ClientError {
    let reason = format!("cannot be used ({error}); check the path, its rights and the space left");
    ClientError::State { path: path.to_owned(), reason }
}

/// A file that does not hold what was put there.
pub(crate) fn damaged(path: &Path, what: &str) -> ClientError {
    mended(
        path,
        what,
        "move it aside and find out why before it is forgotten, for this program did not write it so",
    )
}

/// The same, with what to do about this file.
pub(crate) fn mended(path: &Path, what: &str, mend: &str) -> ClientError {
    ClientError::State { path: path.to_owned(), reason: format!("damaged ({what}); {mend}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_replaced_file_is_read_back_and_nothing_is_left_beside_it() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(&scratch.path().join("a/b")).unwrap();
        assert_eq!(folder.read("head", 10).unwrap(), None);
        folder.replace("head", b"one").unwrap();
        folder.replace("head", b"two").unwrap();
        assert_eq!(folder.read("head", 10).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(scratch.path().join("a/b")).unwrap().count(), 1);
    }

    #[test]
    fn the_folder_and_its_files_are_the_owners_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("state");
        let folder = Folder::open(&path).unwrap();
        folder.replace("head", b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(path.join("head")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_over_its_limit_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(scratch.path()).unwrap();
        folder.replace("head", b"12345").unwrap();
        assert!(matches!(folder.read("head", 4), Err(ClientError::State { .. })));
    }

    #[test]
    fn the_lock_is_held_until_it_is_dropped() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = Folder::open(scratch.path()).unwrap();
        let held = folder.lock().unwrap();
        let other = File::open(scratch.path().join("lock")).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        assert!(other.try_lock().is_ok());
    }
}
