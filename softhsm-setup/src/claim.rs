//! The site's folder while it is being filled: taken by one process, emptied again if that fails.
//!
//! Apart because of its one promise: what was in the folder before is never touched, and what is there after a
//! failure is nothing. A killed process leaves its half-made site behind; the next one refuses it by name.

use crate::{SetupError, private::new_folder};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// A folder that is ours alone until it is whole.
#[derive(Debug)]
pub(crate) struct Claim {
    folder: PathBuf,
    made: bool,
    whole: bool,
}

impl Claim {
    /// Takes a folder that is not there or is empty, by making `first` in it; its parents are made as needed.
    pub(crate) fn take(folder: &Path, first: &str) -> Result<Self, SetupError> {
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(SetupError::file("create", parent))?;
        }
        let made = match new_folder(folder) {
            Ok(()) => true,
            Err(SetupError::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        let occupied = || SetupError::Occupied { path: folder.to_owned() };
        if !made {
            let mut entries = fs::read_dir(folder).map_err(|_| occupied())?;
            if entries.next().is_some() {
                return Err(occupied());
            }
        }
        // Two processes may both find it empty; only one of them makes the first folder.
        match new_folder(&folder.join(first)) {
            Ok(()) => {}
            Err(SetupError::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                return Err(occupied());
            }
            Err(error) => return Err(error),
        }
        let claim = Self { folder: folder.to_owned(), made, whole: false };
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .map_err(SetupError::file("make private", folder))?;
        Ok(claim)
    }

    /// Keeps what was made.
    pub(crate) fn keep(mut self) {
        self.whole = true;
    }

    fn empty(&self) -> io::Result<()> {
        if self.made {
            return fs::remove_dir_all(&self.folder);
        }
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.whole {
            // What cannot be removed stays, and the next attempt says so.
            let _ = self.empty();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_refused_and_left_as_it_is() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("theirs");
        fs::write(&file, "theirs").unwrap();
        let error = Claim::take(scratch.path(), "pki").unwrap_err();
        assert!(matches!(error, SetupError::Occupied { .. }), "{error}");
        assert_eq!(fs::read_to_string(file).unwrap(), "theirs");
        assert!(!scratch.path().join("pki").exists());
    }

    #[test]
    fn a_folder_is_taken_by_one_only() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("deep/site");
        let claim = Claim::take(&folder, "pki").unwrap();
        let error = Claim::take(&folder, "pki").unwrap_err();
        assert!(matches!(error, SetupError::Occupied { .. }), "{error}");
        claim.keep();
        assert!(folder.join("pki").is_dir());
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let scratch = tempfile::tempdir().unwrap();
        let made = scratch.path().join("site");
        let claim = Claim::take(&made, "pki").unwrap();
        fs::write(made.join("pki/half"), "").unwrap();
        drop(claim);
        assert!(!made.exists());
        drop(Claim::take(scratch.path(), "pki").unwrap());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}
