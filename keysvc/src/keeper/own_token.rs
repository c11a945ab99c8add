//! The service's own token, known by its serial number, so that its PIN is tried on no other: each refused attempt
//! counts, and a token may lock.
//!
//! The serial lies in a file beside the anchor, and not in the log or with the store: keys that were restored to another
//! token are the same keys, and the log knows tokens by their keys alone. The file proves nothing; the manifest does.

use crate::{
    config::{Config, ConfigError, read_capped},
    error::Fault,
};
use keysvc_token::{FoundToken, Token, TokenConfig, TokenIdentity};
use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Longest file, in bytes: `CK_TOKEN_INFO.serialNumber` has 16, and a line's end comes to it.
const LEN_MAX: u64 = 32;

/// Finds the configured token and looks whether it is the service's. Tries no PIN.
///
/// # Errors
/// [`Fault::Token`] when it is away, [`Fault::OtherToken`] when another one is in its place.
pub fn find(config: &Config) -> Result<FoundToken, Fault> {
    let section = &config.token;
    let found = Token::find(&TokenConfig { module: section.module.clone(), label: section.label.clone() })?;
    let file = place(config);
    match known(&file)? {
        Some(serial) if serial != found.identity().serial => Err(stranger(
            found.identity(),
            &format!(
                "the service's has {serial}, so the PIN was not tried: put the service's token back, or remove {} if its \
                 keys were restored to this one, or if the service is founded anew",
                file.display()
            ),
        )),
        _ => Ok(found),
    }
}

/// Writes down which token is the service's, where nothing is written down yet. To be called once its keys were
/// compared with the log.
///
/// # Errors
/// [`Fault::Io`] when the file cannot be written.
pub fn remember(config: &Config, token: &Token) -> Result<(), Fault> {
    let file = place(config);
    if known(&file)?.is_some() {
        return Ok(());
    }
    write(&file, &token.identity().serial)
        .map_err(|source| Fault::Io { what: "writing down the token's serial number", source })
}

/// What is said of a token that is not the service's.
#[must_use]
pub fn stranger(identity: &TokenIdentity, why: &str) -> Fault {
    Fault::OtherToken(format!("the token {:?} has the serial {}; {why}", identity.label, identity.serial))
}

/// The file that names the service's token.
#[must_use]
pub fn place(config: &Config) -> PathBuf {
    with_end(&config.keeper.anchor, ".token-serial")
}

fn with_end(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn known(file: &Path) -> Result<Option<String>, ConfigError> {
    if !file.exists() {
        return Ok(None);
    }
    let bytes = read_capped(file, LEN_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_| ConfigError::file(file, "not UTF-8 text; remove it"))?;
    // A keeper that did not come to write it, or whose write did not come to the disk, has tried no PIN on a stranger.
    let serial = text.trim_matches(|letter: char| letter == '\0' || letter.is_whitespace());
    Ok((!serial.is_empty()).then(|| serial.to_owned()))
}

/// In place, and in one write: the keeper may write this file and none beside it.
fn write(file: &Path, serial: &str) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create(true).truncate(false).open(file)?;
    out.write_all(format!("{serial}\n").as_bytes())?;
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_serial_is_read_as_it_was_written_and_a_file_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("anchor.token-serial");
        assert_eq!(known(&file), Ok(None));
        write(&file, "90713265aabbccdd").unwrap();
        assert_eq!(known(&file), Ok(Some("90713265aabbccdd".to_owned())));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        for unwritten in [&b""[..], &[0; 17]] {
            fs::write(&file, unwritten).unwrap();
            assert_eq!(known(&file), Ok(None));
        }
        fs::write(&file, [b'x'; 33]).unwrap();
        assert!(known(&file).is_err());
    }
}
