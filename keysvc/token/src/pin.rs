//! A token's PIN: read from a file that nobody else can read, handed to the token, wiped.
//!
//! Apart because it is the one secret of this crate that lies on disk. It asks nobody: prompts are the programs'.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cryptoki::types::AuthPin;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// The shortest PIN, in bytes.
const SHORTEST: usize = 4;
/// The longest PIN, in bytes.
pub(crate) const LONGEST: usize = 64;
/// What is read of a PIN file at most: the longest PIN, one newline, and one byte to see that it is too long.
const READ_MAX: u64 = 66;

/// A token's PIN.
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// Takes a PIN that a program has asked for or drawn.
    #[must_use]
    pub fn new(pin: String) -> Self {
        Self(Zeroizing::new(pin))
    }

    /// Reads a PIN from a file: 4 to 64 bytes of UTF-8, one newline at the end is left off.
    ///
    /// # Errors
    /// If the path is no regular file (a symbolic link is none), if group or others have any right to it, or if what
    /// it holds is no PIN.
    pub fn from_file(path: &Path) -> Result<Self, PinError> {
        let file = open(path)?;
        let metadata = file.metadata().map_err(|error| PinError::unreadable(path, &error))?;
        if !metadata.is_file() {
            return Err(PinError::NotRegular { path: path.to_owned() });
        }
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(PinError::TooOpen { path: path.to_owned(), mode });
        }
        Self::from_reader(file, path)
    }

    /// Reads a PIN from what a program has opened, such as a pipe, under the rules of a PIN file's content; `name` is
    /// what errors call it. Whether others can read it too is the caller's affair.
    ///
    /// # Errors
    /// If it cannot be read, or if what it holds is no PIN.
    pub fn from_reader(reader: impl Read, name: &Path) -> Result<Self, PinError> {
        let path = name;
        let mut text = Zeroizing::new(String::with_capacity(LONGEST * 2));
        reader.take(READ_MAX).read_to_string(&mut text).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => PinError::Length { path: path.to_owned() },
            _ => PinError::unreadable(path, &error),
        })?;
        let pin = text.strip_suffix('\n').unwrap_or(&text);
        if !(SHORTEST..=LONGEST).contains(&pin.len()) {
            return Err(PinError::Length { path: path.to_owned() });
        }
        Ok(Self::new(pin.to_owned()))
    }

    /// The length, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A copy as the PKCS#11 wrapper takes it; it wipes itself.
    pub(crate) fn auth(&self) -> AuthPin {
        AuthPin::from(self.0.as_str())
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

/// Opens without following a link and without waiting for a pipe's other end.
fn open(path: &Path) -> Result<File, PinError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(|error| {
        if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            PinError::NotRegular { path: path.to_owned() }
        } else {
            PinError::unreadable(path, &error)
        }
    })
}

/// Says why a file gave no PIN, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// The file cannot be read.
    #[error("cannot read the PIN file {} ({reason}): create it, or correct the path", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The path is a link, a folder, a pipe or a device.
    #[error("the PIN file {} is not a regular file: put the PIN itself there", path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// Group or others have rights to the file.
    #[error("the PIN file {} is open to others (mode {mode:04o}): run chmod 600 on it", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its mode, the lowest nine bits.
        mode: u32,
    },
    /// What the file holds is too short or too long for a PIN, or no UTF-8.
    #[error("the PIN file {} does not hold 4 to 64 bytes of text: write the PIN alone on one line", path.display())]
    Length {
        /// The file.
        path: PathBuf,
    },
}

impl PinError {
    fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), reason: error.kind().to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn file(content: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_private_file_with_a_pin_is_read_without_its_newline() {
        let (_folder, path) = file("123456\n", 0o600);
        assert_eq!(Pin::from_file(&path).unwrap().0.as_str(), "123456");
        let (_folder, path) = file("123456", 0o400);
        assert_eq!(Pin::from_file(&path).unwrap().0.as_str(), "123456");
    }

    #[test]
    fn only_one_newline_is_left_off() {
        let (_folder, path) = file("1234\n\n", 0o600);
        assert_eq!(Pin::from_file(&path).unwrap().0.as_str(), "1234\n");
    }

    #[test]
    fn a_file_open_to_others_is_refused_and_the_mend_is_named() {
        for mode in [0o640, 0o604, 0o610, 0o601, 0o620] {
            let (_folder, path) = file("123456", mode);
            let error = Pin::from_file(&path).unwrap_err();
            assert_eq!(error, PinError::TooOpen { path: path.clone(), mode });
            assert!(error.to_string().contains("chmod 600"), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn a_link_and_a_folder_are_refused() {
        let (folder, path) = file("123456", 0o600);
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(Pin::from_file(&link).unwrap_err(), PinError::NotRegular { path: link });
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        assert_eq!(Pin::from_file(&inner).unwrap_err(), PinError::NotRegular { path: inner });
    }

    #[test]
    fn a_pipe_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        assert_eq!(Pin::from_file(&path).unwrap_err(), PinError::NotRegular { path });
    }

    #[test]
    fn a_pin_of_three_or_of_sixty_five_bytes_is_refused() {
        for content in ["", "123", "123\n", &"1".repeat(65), &"1".repeat(2000)] {
            let (_folder, path) = file(content, 0o600);
            assert_eq!(Pin::from_file(&path).unwrap_err(), PinError::Length { path });
        }
        for content in ["1234".to_owned(), "1".repeat(64), format!("{}\n", "1".repeat(64))] {
            let (_folder, path) = file(&content, 0o600);
            assert!(Pin::from_file(&path).is_ok());
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let path = PathBuf::from("/nonexistent/pin");
        let error = Pin::from_file(&path).unwrap_err();
        assert_eq!(error, PinError::Unreadable { path, reason: "entity not found".into() });
    }

    #[test]
    fn a_pin_does_not_print() {
        assert_eq!(format!("{:?}", Pin::new("123456".into())), "Pin(..)");
    }
}
