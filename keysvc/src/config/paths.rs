//! Reading files whose size and mode matter.

use super::ConfigError;
use std::{fs::File, io::Read as _, os::unix::fs::MetadataExt as _, path::Path};

/// Refuses a secret's file that others than its owner can read.
///
/// # Errors
/// [`ConfigError`] naming the file and the mend.
pub fn check_private_file(file: &Path) -> Result<(), ConfigError> {
    private_trouble(file)
        .map_or(Ok(()), |(wrong, mend)| Err(ConfigError::file(file, format!("{wrong}; {mend}"))))
}

/// What is wrong with a secret's file, and the mend.
pub(super) fn private_trouble(file: &Path) -> Option<(String, String)> {
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) => return Some((format!("cannot be read ({error})"), "check path and owner".to_owned())),
    };
    if !metadata.is_file() {
        return Some(("not a regular file".to_owned(), "name the file itself".to_owned()));
    }
    let mode = metadata.mode() & 0o7777;
    (mode & 0o077 != 0).then(|| {
        (format!("others may read it (mode {mode:04o})"), format!("run: chmod 600 {}", file.display()))
    })
}

/// Reads a file of at most `max` bytes.
///
/// # Errors
/// [`ConfigError`] when it cannot be read or is longer.
pub fn read_capped(file: &Path, max: u64) -> Result<Vec<u8>, ConfigError> {
    let unreadable = |error: std::io::Error| {
        // A half that runs may read the files that were there at its start (docs/operations.md, sandbox).
        let replaced = if error.kind() == std::io::ErrorKind::PermissionDenied {
            "; if it took another file's place, write it in place or restart"
        } else {
            ""
        };
        ConfigError::file(file, format!("cannot be read ({error}); check path and owner{replaced}"))
    };
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(unreadable)?;
    opened.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        return Err(ConfigError::file(file, format!("longer than {max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_that_others_may_read_is_refused_with_the_mend() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pin");
        std::fs::write(&file, "1234").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(check_private_file(&file).unwrap_err().mend.contains("chmod 600"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(check_private_file(&file), Ok(()));
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("long");
        std::fs::write(&file, [0; 11]).unwrap();
        assert!(read_capped(&file, 10).is_err());
        assert_eq!(read_capped(&file, 11).unwrap().len(), 11);
    }
}
