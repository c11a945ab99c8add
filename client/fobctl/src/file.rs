//! Files from outside and files for outside: read with a limit, written whole and never over another.

use crate::fault::Fault;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Who may read a written file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// The owner alone, mode 0600.
    Owner,
    /// Whom the umask lets, mode 0644 at most.
    Others,
}

/// Reads a file of at most `len_max` bytes.
///
/// # Errors
/// [`Fault`] when it cannot be read or is longer.
pub(crate) fn read(path: &Path, len_max: usize) -> Result<Vec<u8>, Fault> {
    let fault = |source| Fault::File { doing: "read", path: path.to_owned(), source };
    let limit = u64::try_from(len_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(fault)?;
    if bytes.len() > len_max {
        let what = format!("{} has more than {len_max} bytes", path.display());
        return Err(Fault::usage(what, "name a file of the right kind"));
    }
    Ok(bytes)
}

/// Refuses a path where something is already. Asked before anything is signed or derived, so that no work is lost.
///
/// # Errors
/// [`Fault::Usage`] naming the path.
pub(crate) fn refuse_existing(path: &Path) -> Result<(), Fault> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(taken(path));
    }
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) if !folder.is_dir() => {
            let what = format!("there is no folder {}", folder.display());
            Err(Fault::usage(what, "make the folder, or name another file with --out"))
        }
        _ => Ok(()),
    }
}

fn taken(path: &Path) -> Fault {
    Fault::usage(
        format!("{} exists already and is not overwritten", path.display()),
        "name another file with --out, or remove that one",
    )
}

/// Writes a new file and syncs it. What could not be written whole is removed.
///
/// # Errors
/// [`Fault`] when the path is taken or the file cannot be written.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), Fault> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Others => 0o644,
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let fault = |source| Fault::File { doing: "write", path: path.to_owned(), source };
    let mut file = file.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(path),
        _ => fault(error),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| {
        // The write's fault is the one to tell; where removing fails too, the file is short and its user will see.
        let _: io::Result<()> = fs::remove_file(path);
        fault(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_secret_file_is_its_owners_alone_and_never_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("keys.csv");
        write(&path, b"one", Readers::Owner).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(write(&path, b"two", Readers::Owner).unwrap_err().exit_code(), 2);
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn a_taken_path_and_a_missing_folder_are_refused_beforehand() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a");
        assert!(refuse_existing(&path).is_ok());
        std::os::unix::fs::symlink("/nonexistent", &path).unwrap();
        assert!(matches!(refuse_existing(&path), Err(Fault::Usage { .. })));
        assert!(matches!(refuse_existing(&scratch.path().join("b/c")), Err(Fault::Usage { .. })));
    }

    #[test]
    fn a_file_over_its_limit_is_refused_and_a_missing_one_named() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a");
        fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(Fault::Usage { .. })));
        let missing = scratch.path().join("b");
        assert!(matches!(read(&missing, 4), Err(Fault::File { path, .. }) if path == missing));
    }
}
