//! Folders and files that only their owner can open, and the PINs in them.
//!
//! Apart so that there is one way to write: modes are given at creation, nothing is ever overwritten. It knows
//! nothing of what it writes.

use crate::SetupError;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::{
    fmt::Write as _,
    fs::{DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};
use zeroize::Zeroizing;

/// Random bytes in a PIN, written as twice as many hexadecimal digits: 128 bits, because `SoftHSM` never locks a PIN
/// and whoever copies the folder may try as often as they like.
const PIN_BYTES: usize = 16;

/// Makes a folder that was not there, mode 0700.
pub(crate) fn new_folder(path: &Path) -> Result<(), SetupError> {
    DirBuilder::new().mode(0o700).create(path).map_err(SetupError::file("create", path))
}

/// Writes a file that was not there, mode 0600.
pub(crate) fn new_file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), SetupError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(SetupError::file("create", path))?;
    file.write_all(content.as_ref()).map_err(SetupError::file("write", path))
}

/// Writes a random PIN of 32 hexadecimal digits into a file that was not there. It is not returned: whoever needs it
/// reads the file.
pub(crate) fn new_pin_file(path: &Path) -> Result<(), SetupError> {
    let mut random = Zeroizing::new([0_u8; PIN_BYTES]);
    fill(random.as_mut_slice())?;
    // Room for all of it at once: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(80));
    for byte in random.iter() {
        write!(text, "{byte:02x}").map_err(|_| SetupError::NoRandomness)?;
    }
    text.push('\n');
    new_file(path, text.as_bytes())
}

/// Fills `out` with the system's random bytes.
pub(crate) fn fill(out: &mut [u8]) -> Result<(), SetupError> {
    SystemRandom::new().fill(out).map_err(|_| SetupError::NoRandomness)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn folders_are_0700_and_files_0600() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("folder");
        new_folder(&folder).unwrap();
        new_file(&folder.join("file"), "text").unwrap();
        assert_eq!((mode(&folder), mode(&folder.join("file"))), (0o700, 0o600));
    }

    #[test]
    fn nothing_is_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        new_file(&path, "first").unwrap();
        let error = new_file(&path, "second").unwrap_err();
        assert!(matches!(error, SetupError::File { verb: "create", .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn a_pin_is_32_random_hexadecimal_digits() {
        let scratch = tempfile::tempdir().unwrap();
        let pins = ["a", "b"].map(|name| {
            let path = scratch.path().join(name);
            new_pin_file(&path).unwrap();
            keysvc_token::Pin::from_file(&path).unwrap();
            fs::read_to_string(path).unwrap()
        });
        assert_ne!(pins[0], pins[1]);
        for pin in pins {
            let digits = pin.strip_suffix('\n').unwrap();
            assert_eq!(digits.len(), 32);
            assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digits}");
        }
    }
}
