//! Where the files of one persona, or of the service, lie in a development site.
//!
//! Apart from the site, which fills homes: whoever uses one needs to know no more than its paths. It makes nothing.

use crate::ModuleKind;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The private folder of one persona or of the service. Not everyone has every file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    folder: PathBuf,
    tls: PathBuf,
}

impl Home {
    /// A home with these folders.
    pub(crate) const fn new(folder: PathBuf, tls: PathBuf) -> Self {
        Self { folder, tls }
    }

    /// The folder, an absolute path.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The client's configuration.
    #[must_use]
    pub fn client_config(&self) -> PathBuf {
        self.folder.join("client.toml")
    }

    /// The folder of what TLS needs: of the service, its front's own; of a persona, the persona's.
    #[must_use]
    pub fn tls_folder(&self) -> &Path {
        &self.tls
    }

    /// The TLS certificate, PEM.
    #[must_use]
    pub fn tls_certificate(&self) -> PathBuf {
        self.tls.join("tls.crt")
    }

    /// The TLS key, PKCS#8 in PEM.
    #[must_use]
    pub fn tls_key(&self) -> PathBuf {
        self.tls.join("tls.key")
    }

    /// The enrolment request of a persona that was made after the founding, TOML.
    #[must_use]
    pub fn enrolment(&self) -> PathBuf {
        self.folder.join("enrolment.toml")
    }

    /// The statement key of a persona without a token, PKCS#8 in PEM.
    #[must_use]
    pub fn statement_key(&self) -> PathBuf {
        self.folder.join("statement.key")
    }

    /// The file with the token's PIN.
    #[must_use]
    pub fn pin_file(&self) -> PathBuf {
        self.folder.join("pin")
    }

    /// `SoftHSM`'s configuration file.
    #[must_use]
    pub fn softhsm_conf(&self) -> PathBuf {
        self.configuration(ModuleKind::SoftHsm)
    }

    /// The folder where the module keeps the token.
    #[must_use]
    pub fn token_folder(&self) -> PathBuf {
        self.folder.join("tokens")
    }

    /// A command that runs `program` as this persona: with its own token, or with none at all.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for kind in ModuleKind::ALL {
            // Set for those without a token too: the module then has none, instead of the machine's own.
            command.env(kind.variable(), self.configuration(kind));
        }
        command
    }

    /// The kind of module that the token is on; none where there is no token.
    #[must_use]
    pub fn module_kind(&self) -> Option<ModuleKind> {
        ModuleKind::ALL.into_iter().find(|kind| fs::exists(self.configuration(*kind)).unwrap_or(false))
    }

    /// Where the configuration of such a module is, if the token is on one.
    #[must_use]
    pub fn configuration(&self, kind: ModuleKind) -> PathBuf {
        self.folder.join(kind.configuration_file())
    }

    /// Whether there is a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.module_kind().is_some()
    }
}
