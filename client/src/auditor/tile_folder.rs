//! The export folder on disk: files that appear whole, synced in rounds, under a checkpoint that comes last.
//!
//! Apart because it knows nothing of leaves: it puts bytes under the names that it is told.

use crate::{
    error::ClientError,
    folder::{Folder, fault},
};
use keysvc_protocol::export::{CHECKPOINT_FILE, OLD_LEAVES_FOLDER};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Files that are synced together: a sync of many costs little more than a sync of one, and their paths of 60 bytes
/// or so take 60 KB.
const ROUND: usize = 1024;
/// The folder that every export has, by which one is told from a folder of other files.
const TILE_FOLDER: &str = "tile";

/// An export folder that no other process writes meanwhile.
#[derive(Debug)]
pub(super) struct TileFolder {
    folder: Folder,
    path: PathBuf,
    // Held open: closing it frees the lock.
    _lock: File,
    // Files written since the last round.
    unsynced: Vec<PathBuf>,
}

impl TileFolder {
    /// Opens a folder that is missing, empty or an export's, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, ClientError> {
        let folder = Folder::open(path)?;
        let refused = |what: String| ClientError::Request { what };
        let is_empty = fs::read_dir(path).map_err(|error| fault(path, &error))?.next().is_none();
        if !is_empty && !path.join(TILE_FOLDER).is_dir() {
            let what = if path.join(OLD_LEAVES_FOLDER).is_dir() {
                "an export in the old form, files under `leaves/`, is not continued"
            } else {
                "an export needs an empty folder or one of its own, and there are other files"
            };
            return Err(refused(format!("{what} in {}; name an empty folder", path.display())));
        }
        let lock = File::open(path).map_err(|error| fault(path, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, path: path.to_owned(), _lock: lock, unsynced: Vec::new() }),
            Err(TryLockError::WouldBlock) => {
                Err(refused(format!("another export is writing to {}; wait until it ends", path.display())))
            }
            Err(TryLockError::Error(error)) => Err(fault(path, &error)),
        }
    }

    /// The path of a file, for people.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file's bytes; nothing where there is no such file.
    pub(super) fn read(&self, name: &str, len_max: usize) -> Result<Option<Vec<u8>>, ClientError> {
        self.folder.read(name, len_max)
    }

    /// Puts a file in place whole: written beside and renamed. It is on disk for certain after [`Self::commit`].
    pub(super) fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), ClientError> {
        let path = self.path(name);
        write_whole(&path, bytes).map_err(|error| fault(&path, &error))?;
        self.unsynced.push(path);
        if self.unsynced.len() >= ROUND { self.sync() } else { Ok(()) }
    }

    /// Syncs every file and then the signed note, which is last because it makes them part of the log.
    pub(super) fn commit(&mut self, note: &[u8]) -> Result<(), ClientError> {
        self.sync()?;
        self.folder.replace(CHECKPOINT_FILE, note)
    }

    /// Syncs the files of this round, and the folders that name them.
    fn sync(&mut self) -> Result<(), ClientError> {
        let mut folders = BTreeSet::new();
        for path in self.unsynced.drain(..) {
            sync(&path)?;
            folders.extend(
                path.ancestors()
                    .skip(1)
                    .take_while(|above| above.starts_with(&self.path))
                    .map(Path::to_owned),
            );
        }
        // Deepest first: the name of a folder is on disk once the one above it is synced.
        folders.iter().rev().try_for_each(|folder| sync(folder))
    }

    /// Removes a file if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), ClientError> {
        let path = self.path(name);
        missing_is_good(fs::remove_file(&path)).map_err(|error| fault(&path, &error))
    }

    /// Removes the partial files that lie beside the full file `name`, but for the one of `width`.
    pub(super) fn remove_partial(&self, name: &str, width: Option<usize>) -> Result<(), ClientError> {
        let folder = self.path(&format!("{name}.p"));
        let Some(width) = width else {
            return missing_is_good(fs::remove_dir_all(&folder)).map_err(|error| fault(&folder, &error));
        };
        let kept = width.to_string();
        let unusable = |error: io::Error| fault(&folder, &error);
        for file in fs::read_dir(&folder).map_err(unusable)? {
            let file = file.map_err(unusable)?;
            if file.file_name() != OsStr::new(&kept) {
                missing_is_good(fs::remove_file(file.path())).map_err(unusable)?;
            }
        }
        Ok(())
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut beside = OsStr::new(".").to_owned();
    beside.push(name);
    beside.push(".new");
    let beside = parent.join(beside);
    let create = || OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside);
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            create()?
        }
        file => file?,
    };
    file.write_all(bytes)?;
    fs::rename(&beside, path)
}

fn sync(path: &Path) -> Result<(), ClientError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| fault(path, &error))
}

fn missing_is_good(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn files_appear_whole_in_folders_of_the_owner_alone_and_the_checkpoint_after_them() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("log");
        let mut folder = TileFolder::open(&path).unwrap();
        folder.put("tile/0/x001/000.p/5", b"five").unwrap();
        folder.put("tile/0/x001/000.p/9", b"nine").unwrap();
        folder.commit(b"note").unwrap();
        assert_eq!(fs::read(path.join("tile/0/x001/000.p/5")).unwrap(), b"five");
        assert_eq!(fs::read(path.join(CHECKPOINT_FILE)).unwrap(), b"note");
        assert_eq!(fs::metadata(path.join("tile/0")).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(path.join("tile/0/x001/000.p/5")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.join("tile/0/x001/000.p")).unwrap().count(), 2);
        folder.remove_partial("tile/0/x001/000", Some(9)).unwrap();
        assert!(!path.join("tile/0/x001/000.p/5").exists() && path.join("tile/0/x001/000.p/9").exists());
        folder.remove_partial("tile/0/x001/000", None).unwrap();
        folder.remove_partial("tile/0/x001/000", None).unwrap();
        assert!(!path.join("tile/0/x001/000.p").exists());
    }

    #[test]
    fn a_folder_of_other_files_or_of_the_old_form_is_not_written_to() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("checkpoint"), b"a client's state").unwrap();
        let what = |error| match error {
            ClientError::Request { what } => what,
            other => panic!("{other:?}"),
        };
        assert!(what(TileFolder::open(scratch.path()).unwrap_err()).contains("other files"));
        fs::create_dir(scratch.path().join(OLD_LEAVES_FOLDER)).unwrap();
        assert!(what(TileFolder::open(scratch.path()).unwrap_err()).contains("old form"));
    }

    #[test]
    fn two_exports_do_not_write_to_one_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let held = TileFolder::open(scratch.path()).unwrap();
        assert!(matches!(TileFolder::open(scratch.path()), Err(ClientError::Request { .. })));
        drop(held);
        assert!(TileFolder::open(scratch.path()).is_ok());
    }
}
