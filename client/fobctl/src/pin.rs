//! Where an officer's PIN comes from: a file, an open file descriptor, or the terminal without echo.
//!
//! Never from the command line or the environment, where others could read it.

use crate::fault::Fault;
use keysvc_client::Pin;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The shortest and longest PIN, in bytes, as for PIN files.
const LEN: std::ops::RangeInclusive<usize> = 4..=64;
/// What is read at most: the longest PIN, one line feed, and one byte to see that it is too long.
const READ_MAX: u64 = 66;

/// The source of the PIN.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PinSource {
    /// A file with the PIN, readable by its owner alone.
    #[arg(long, value_name = "FILE", conflicts_with = "pin_fd")]
    pub(crate) pin_file: Option<PathBuf>,
    /// An open file descriptor to read the PIN from, such as a pipe.
    #[arg(long, value_name = "N")]
    pub(crate) pin_fd: Option<u32>,
}

impl PinSource {
    /// Reads the PIN. Without an option it is in the `configured` file, or else asked for on the terminal.
    ///
    /// # Errors
    /// [`Fault::Usage`] when the source gives no PIN.
    pub(crate) fn read(&self, configured: Option<&Path>, who: &str) -> Result<Pin, Fault> {
        match (self.pin_file.as_deref().or(configured), self.pin_fd) {
            (_, Some(number)) => from_descriptor(number),
            (Some(path), None) => {
                let mend = "mend the file, or leave --pin-file out to be asked";
                Pin::from_file(path).map_err(|error| Fault::usage(error.to_string(), mend))
            }
            (None, None) => from_terminal(who),
        }
    }
}

fn from_descriptor(number: u32) -> Result<Pin, Fault> {
    let open = File::open(format!("/dev/fd/{number}"));
    open.map_err(|error| no_pin(&format!("file descriptor {number} cannot be read ({})", error.kind())))
        .and_then(|file| from_stream(file, &format!("file descriptor {number}")))
}

fn from_stream(stream: impl Read, name: &str) -> Result<Pin, Fault> {
    // Room for all that is read, so that no copy is left behind when the buffer grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(128));
    let read = stream.take(READ_MAX).read_to_end(&mut bytes);
    read.map_err(|error| no_pin(&format!("{name} cannot be read ({})", error.kind())))?;
    let text = str::from_utf8(&bytes).map_err(|_| no_pin(&format!("{name} does not hold text")))?;
    let pin = text.strip_suffix('\n').unwrap_or(text);
    checked(Zeroizing::new(pin.to_owned()), name)
}

fn from_terminal(who: &str) -> Result<Pin, Fault> {
    let typed = rpassword::prompt_password(format!("PIN of {who}'s card: "));
    let typed = typed.map_err(|error| no_pin(&format!("the PIN cannot be asked for ({error})")))?;
    checked(Zeroizing::new(typed), "what was typed")
}

fn checked(mut pin: Zeroizing<String>, name: &str) -> Result<Pin, Fault> {
    if LEN.contains(&pin.len()) {
        // Moved, not copied: the PIN wipes it from here on.
        Ok(Pin::new(std::mem::take(&mut *pin)))
    } else {
        Err(no_pin(&format!("{name} is not a PIN of 4 to 64 bytes")))
    }
}

fn no_pin(what: &str) -> Fault {
    Fault::usage(what, "give --pin-file FILE, --pin-fd N, or run it on a terminal to be asked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::{self, Permissions},
        io::Write as _,
        os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    };

    fn file(content: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn what(result: Result<Pin, Fault>) -> String {
        match result {
            Err(Fault::Usage { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pin_comes_out_of_a_private_file_only() {
        let (_folder, path) = file("123456\n", 0o600);
        let source = PinSource { pin_file: Some(path.clone()), pin_fd: None };
        assert!(source.read(None, "alice").is_ok());
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(what(source.read(None, "alice")).contains("chmod 600"));
    }

    #[test]
    fn a_pin_comes_out_of_a_pipe() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"123456\n").unwrap();
        drop(writer);
        let number = u32::try_from(reader.as_raw_fd()).unwrap();
        let source = PinSource { pin_file: None, pin_fd: Some(number) };
        assert!(source.read(None, "alice").is_ok());
    }

    #[test]
    fn a_descriptor_wins_over_the_configured_file() {
        let (_folder, path) = file("123456", 0o600);
        let source = PinSource { pin_file: None, pin_fd: Some(9_999) };
        assert!(what(source.read(Some(&path), "alice")).starts_with("file descriptor 9999 cannot be read"));
        assert!(PinSource::default().read(Some(&path), "alice").is_ok());
    }

    #[test]
    fn three_and_sixty_five_bytes_are_no_pin() {
        for bad in ["", "123", "123\n", &"1".repeat(65), &"1".repeat(500)] {
            assert_eq!(what(from_stream(bad.as_bytes(), "it")), "it is not a PIN of 4 to 64 bytes");
        }
        for good in ["1234", &"1".repeat(64), &format!("{}\n", "1".repeat(64))] {
            assert!(from_stream(good.as_bytes(), "it").is_ok());
        }
        assert_eq!(what(from_stream([0xff; 8].as_slice(), "it")), "it does not hold text");
    }
}
