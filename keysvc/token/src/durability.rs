//! Makes a token folder durable: SoftHSM writes its files without ever asking the disk to keep them.
//!
//! Apart from the PKCS#11 calls because it is about files, and a hardware token needs none of it. Called before a
//! ceremony that changed the token is acknowledged.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How deep folders may lie in a token folder: SoftHSM has one level, a folder for each token.
const DEPTH_MAX: u8 = 4;

/// Says which file or folder could not be made durable. What is on the disk is then unknown.
#[derive(Debug, thiserror::Error)]
#[error("cannot make {} durable: check the disk, then compare the token with the key manifest", path.display())]
pub struct DurabilityError {
    /// The file or folder.
    pub path: PathBuf,
    /// The system's error.
    #[source]
    pub source: io::Error,
}

/// Syncs every file below a token folder, then the folders from the inside out, then the folder that holds it.
/// Links are not followed.
///
/// # Errors
/// At the first file or folder that cannot be synced. It is never tried again: after a failed sync the system may
/// have forgotten what it did not write.
pub fn sync_folder(folder: &Path) -> Result<(), DurabilityError> {
    sync_below(folder, DEPTH_MAX)?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        Some(_) => sync(Path::new(".")),
        None => Ok(()),
    }
}

fn sync_below(folder: &Path, depth: u8) -> Result<(), DurabilityError> {
    let failed = |source| DurabilityError { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        match depth.checked_sub(1) {
            Some(left) if kind.is_dir() => sync_below(&entry.path(), left)?,
            _ if kind.is_file() => sync(&entry.path())?,
            Some(_) => {}
            None => return Err(failed(io::Error::other("folders lie too deep for a token folder"))),
        }
    }
    // Last, because a folder's entries must not be durable before the files they name.
    sync(folder)
}

fn sync(path: &Path) -> Result<(), DurabilityError> {
    match File::open(path).and_then(|file| file.sync_all()) {
        // Destroyed since it was listed, by another ceremony's right: nothing to keep.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|source| DurabilityError { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ObjectId;
    use crate::profile::KeyKind;
    use crate::scratch::on_each_module;

    #[test]
    fn the_folder_of_a_real_token_is_synced() {
        on_each_module("durability::tests::the_folder_of_a_real_token_is_synced", |scratch| {
            scratch.open().generate(KeyKind::CardMaster, ObjectId([1; 16]), "master").unwrap();
            sync_folder(&scratch.token_folder()).unwrap();
        });
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_it() {
        let error = sync_folder(Path::new("/nonexistent/tokens")).unwrap_err();
        assert_eq!(error.path, Path::new("/nonexistent/tokens"));
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn folders_deeper_than_a_token_folder_has_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("1/2/3/4/5")).unwrap();
        assert!(sync_folder(folder.path()).is_err());
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/nonexistent", folder.path().join("link")).unwrap();
        sync_folder(folder.path()).unwrap();
    }
}
