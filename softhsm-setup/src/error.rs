//! Why a site could not be made.

use crate::ModuleKind;
use std::{io, path::PathBuf};

/// Why a site could not be made, and the mend.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The folder holds something already; it was left as it is.
    #[error("{} holds something already, and was left as it is: name another folder or remove this one", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The folder's path cannot stand in every file that must name it.
    #[error("the path {} does not do: it must be UTF-8 without '#', '=' and control characters", path.display())]
    PathUnusable {
        /// The path.
        path: PathBuf,
    },
    /// The folder's path is too long for the socket below it.
    #[error(
        "the path {} is too long: a Unix socket below it must have at most {longest} bytes; name a shorter one",
        path.display()
    )]
    PathTooLong {
        /// The folder.
        path: PathBuf,
        /// Longest socket path, in bytes.
        longest: usize,
    },
    /// Port 0: clients could not know where the service listens.
    #[error("port 0 does not do: choose the port, clients are told it now")]
    NoPort,
    /// Somebody or something of the site has the name already.
    #[error("the name {name} is taken in this site: choose another")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Somebody is to have capabilities that do not do.
    #[error("the capabilities of {name} do not do: {reason}")]
    Capabilities {
        /// Who.
        name: String,
        /// Why not.
        reason: String,
    },
    /// There is no `SoftHSM`, and none was installed.
    #[error("no SoftHSM on this machine ({why}): run '{command}', then try again")]
    NoModule {
        /// Why it was not installed.
        why: String,
        /// The command that installs it.
        command: &'static str,
    },
    /// The environment names a module that is not there.
    #[error("{variable} names {}, which is not a file: correct it or unset it", path.display())]
    ModuleNamedWrongly {
        /// The environment variable.
        variable: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// A module was named of which this program does not know how it is configured.
    #[error(
        "{} is neither {} nor {}, and how it is configured is not known here: leave --module out, then put that module \
         and a token of it into the site's keysvc.toml",
        path.display(), ModuleKind::SoftHsm.library(), ModuleKind::Kryoptic.library()
    )]
    ModuleUnknown {
        /// The module.
        path: PathBuf,
    },
    /// A module was named that is not there.
    #[error("there is no file {}: build or install the module, or name another one", path.display())]
    ModuleMissing {
        /// The module.
        path: PathBuf,
    },
    /// A token was to be made outside a folder of its own.
    #[error("{variable} is not set: a token is made in a folder of its own; use 'softhsm-setup dev'")]
    NoTokenFolder {
        /// The variable that would name it.
        variable: &'static str,
    },
    /// A persona's token could not be made.
    #[error("the token of {name} was not made: {words}")]
    Persona {
        /// The persona.
        name: String,
        /// What the process that makes it said.
        words: String,
    },
    /// A token refuses or fails.
    #[error(transparent)]
    Token(#[from] keysvc_token::TokenError),
    /// A PIN file is not as it must be.
    #[error(transparent)]
    Pin(#[from] keysvc_token::PinError),
    /// What a token holds is not on the disk for sure.
    #[error(transparent)]
    Durability(#[from] keysvc_token::DurabilityError),
    /// A certificate, key or revocation list could not be made.
    #[error("cannot make {what}: {reason}")]
    Pki {
        /// What was to be made.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// Something made here is not as the service wants it.
    #[error("{what} does not come out right: {reason}")]
    Text {
        /// The file or answer.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// A file or folder cannot be read or written.
    #[error("cannot {verb} {}: {source}", path.display())]
    File {
        /// What was tried, such as `write`.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl SetupError {
    /// Whether the mend is to ask otherwise, rather than to mend the machine.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Occupied { .. }
                | Self::PathUnusable { .. }
                | Self::PathTooLong { .. }
                | Self::NoPort
                | Self::NameTaken { .. }
                | Self::Capabilities { .. }
                | Self::NoTokenFolder { .. }
                | Self::ModuleUnknown { .. }
                | Self::ModuleMissing { .. }
                | Self::ModuleNamedWrongly { .. }
        )
    }

    /// Wraps a system's error about a path.
    pub(crate) fn file(verb: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { verb, path, source }
    }
}
