//! Files with secrets: read only when nobody but their owner has any right to them.

use crate::config::ConfigError;
use std::{fs::File, io::Read as _, os::unix::fs::MetadataExt as _, path::Path};
use zeroize::Zeroizing;

/// Largest key file, in bytes: a P-256 key takes 241 as PEM, an RSA key of 4,096 bits 3,272.
const FILE_LEN_MAX: u64 = 16 * 1024;

/// Reads a file that only its owner may touch.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let unreadable = |error: std::io::Error| ConfigError::unreadable(path, &error);
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(ConfigError::TooOpen { path: path.to_owned(), mode });
    }
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len().min(FILE_LEN_MAX)).unwrap_or(0)));
    file.take(FILE_LEN_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    #[test]
    fn a_file_open_to_others_is_refused_and_the_mend_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, b"secret").unwrap();
        for mode in [0o640, 0o604, 0o644, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err();
            assert_eq!(error, ConfigError::TooOpen { path: path.clone(), mode });
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nonexistent/key")).unwrap_err();
        assert!(matches!(error, ConfigError::Unreadable { .. }));
        assert!(error.to_string().contains("/nonexistent/key"));
    }
}
