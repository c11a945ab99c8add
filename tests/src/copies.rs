//! Copies of files and folders, to be put back later: an old store, or the state before a test spoilt it.
//!
//! Only for what no program uses at the moment. Modes are kept, for some programs refuse others.

use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Copies of several places, as they were.
#[derive(Debug)]
pub struct Copies {
    folder: TempDir,
    places: Vec<PathBuf>,
}

impl Copies {
    /// Copies each place: a file, a folder with all in it, or nothing where nothing is.
    ///
    /// # Panics
    /// When one cannot be read.
    #[must_use]
    pub fn of(places: &[PathBuf]) -> Self {
        let folder = TempDir::with_prefix("keysvc-copies-").unwrap();
        for (number, place) in places.iter().enumerate() {
            copy(place, &folder.path().join(number.to_string())).unwrap();
        }
        Self { folder, places: places.to_vec() }
    }

    /// Makes every place what it was when it was copied.
    ///
    /// # Panics
    /// When one cannot be written.
    pub fn put_back(&self) {
        for (number, place) in self.places.iter().enumerate() {
            remove(place).unwrap();
            copy(&self.folder.path().join(number.to_string()), place).unwrap();
        }
    }
}

fn remove(place: &Path) -> io::Result<()> {
    match fs::symlink_metadata(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.is_dir() => fs::remove_dir_all(place),
        Ok(_) => fs::remove_file(place),
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let found = match fs::metadata(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // A socket left behind is no file to copy.
        if entry.file_type()?.is_file() || entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    fs::set_permissions(to, found.permissions())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_was_changed_added_or_removed_is_as_it_was_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (file, store) = (folder.path().join("file"), folder.path().join("store"));
        fs::create_dir(&store).unwrap();
        fs::write(store.join("kept"), "before").unwrap();
        fs::set_permissions(&store, fs::Permissions::from_mode(0o700)).unwrap();
        let copies = Copies::of(&[file.clone(), store.clone()]);
        fs::write(&file, "new").unwrap();
        fs::remove_file(store.join("kept")).unwrap();
        fs::write(store.join("added"), "after").unwrap();
        copies.put_back();
        assert!(!file.exists() && !store.join("added").exists());
        assert_eq!(fs::read_to_string(store.join("kept")).unwrap(), "before");
        assert_eq!(fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
