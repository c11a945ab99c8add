//! Where the keeper takes the token's PIN from: a private file, a credential of the service manager, or an open file
//! descriptor. Never from the environment or the arguments, where others could read it.

use super::{ConfigError, TokenSection, paths::check_private_file};
use keysvc_token::Pin;
use std::{
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The variable in which the service manager names the folder of a unit's credentials (systemd.exec(5)).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The one source of the PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinSource {
    /// A file that its owner alone can read.
    File(PathBuf),
    /// A credential of this name.
    Credential(String),
    /// An open file descriptor of this number.
    Descriptor(u32),
}

impl TokenSection {
    /// The source of the PIN.
    ///
    /// # Errors
    /// [`ConfigError`] when there is not exactly one; [`super::Config::read`] has seen to it.
    pub fn pin_source(&self) -> Result<PinSource, ConfigError> {
        match (&self.pin_file, &self.pin_credential, self.pin_fd) {
            (Some(file), None, None) => Ok(PinSource::File(file.clone())),
            (None, Some(name), None) => Ok(PinSource::Credential(name.clone())),
            (None, None, Some(number)) => Ok(PinSource::Descriptor(number)),
            _ => Err(ConfigError::file(
                Path::new("keysvc.toml"),
                "give exactly one of token.pin-file, token.pin-credential and token.pin-fd",
            )),
        }
    }
}

impl PinSource {
    /// Reads the PIN. A descriptor that is a pipe gives it once.
    ///
    /// # Errors
    /// [`ConfigError`] with what is wrong and the mend.
    pub fn read(&self) -> Result<Pin, ConfigError> {
        let path = self.path()?;
        let pin = match self {
            Self::File(_) => Pin::from_file(&path),
            Self::Credential(_) | Self::Descriptor(_) => {
                let file = open(&path)?;
                self.guarded(&path, &file)?;
                Pin::from_reader(file, &path)
            }
        };
        pin.map_err(|error| ConfigError::file(&path, error.to_string()))
    }

    /// Looks at the source without reading it, and names it.
    ///
    /// # Errors
    /// [`ConfigError`] with what is wrong and the mend.
    pub fn look(&self) -> Result<String, ConfigError> {
        let path = self.path()?;
        match self {
            Self::File(file) => check_private_file(file)?,
            Self::Credential(_) | Self::Descriptor(_) => self.guarded(&path, &open(&path)?)?,
        }
        Ok(path.display().to_string())
    }

    /// Refuses a source that gives the PIN only once: a parent that starts its keeper again needs it again.
    ///
    /// # Errors
    /// [`ConfigError`] for a descriptor that is no regular file.
    pub fn readable_again(&self) -> Result<(), ConfigError> {
        let Self::Descriptor(number) = self else { return Ok(()) };
        let path = self.path()?;
        if open(&path)?.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(());
        }
        Err(ConfigError::key(
            Path::new("keysvc.toml"),
            "token.pin-fd",
            format!(
                "descriptor {number} gives the PIN once, and serve starts the keeper again when it must; \
                 open a file of mode 0600 there, or run front and keeper apart"
            ),
        ))
    }

    fn path(&self) -> Result<PathBuf, ConfigError> {
        match self {
            Self::File(file) => Ok(file.clone()),
            Self::Descriptor(number) => Ok(PathBuf::from(format!("/dev/fd/{number}"))),
            Self::Credential(name) => {
                let wrong = |mend: &str| {
                    ConfigError::key(
                        Path::new("keysvc.toml"),
                        "token.pin-credential",
                        format!("{name:?}: {mend}"),
                    )
                };
                if name.contains('/') || name.starts_with('.') {
                    return Err(wrong("a credential's name has no slash and begins with no point"));
                }
                let folder = std::env::var_os(CREDENTIALS).ok_or_else(|| {
                    wrong("the service manager gave no credentials; add LoadCredential= or LoadCredentialEncrypted= to the unit")
                })?;
                Ok(Path::new(&folder).join(name))
            }
        }
    }

    /// Refuses what others than this user can reach.
    fn guarded(&self, path: &Path, file: &File) -> Result<(), ConfigError> {
        let metadata =
            file.metadata().map_err(|error| ConfigError::file(path, format!("cannot be read ({error})")))?;
        // The group bits of a credential are the mask of the access list by which the manager lets this user in.
        let others = if matches!(self, Self::Credential(_)) { 0o037 } else { 0o077 };
        if metadata.is_file() && metadata.mode() & others != 0 {
            let mode = metadata.mode() & 0o777;
            return Err(ConfigError::file(
                path,
                format!("others may read the PIN (mode {mode:04o}); give a file of mode 0600"),
            ));
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<File, ConfigError> {
    File::open(path).map_err(|error| {
        ConfigError::file(
            path,
            format!("the PIN cannot be read ({error}); check the source in [token] and its owner"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        io::Write as _,
        os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    };

    fn descriptor(number: i32) -> PinSource {
        PinSource::Descriptor(u32::try_from(number).unwrap())
    }

    #[test]
    fn a_descriptor_of_a_private_file_gives_the_pin_again_and_again() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        file.write_all(b"123456\n").unwrap();
        let source = descriptor(file.as_raw_fd());
        for _ in 0..2 {
            source.read().unwrap();
        }
        assert_eq!(source.readable_again(), Ok(()));
        file.set_permissions(fs::Permissions::from_mode(0o640)).unwrap();
        assert!(source.read().unwrap_err().mend.contains("mode 0640"));
        assert!(source.look().is_err());
    }

    #[test]
    fn a_pipe_gives_the_pin_once_and_is_refused_where_it_is_needed_again() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"123456").unwrap();
        drop(writer);
        let source = descriptor(reader.as_raw_fd());
        assert!(source.readable_again().unwrap_err().mend.contains("gives the PIN once"));
        source.read().unwrap();
        assert!(source.read().is_err());
    }

    #[test]
    fn a_credential_without_a_service_manager_says_what_the_unit_lacks() {
        let error = PinSource::Credential("pin".to_owned()).read().unwrap_err();
        assert!(error.to_string().contains("LoadCredential="), "{error}");
        let error = PinSource::Credential("../pin".to_owned()).read().unwrap_err();
        assert!(error.to_string().contains("no slash"), "{error}");
    }
}
