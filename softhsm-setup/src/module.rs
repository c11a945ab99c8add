//! The PKCS#11 modules on which a site can be laid out: how each is told where its token's files are.
//!
//! Apart because modules agree on PKCS#11 and on nothing before it: each takes its configuration from a variable of its
//! own, in a form of its own. They are told apart by file name. It loads none of them, and knows nothing of what a token
//! can do: the service asks the token that.

use crate::{SetupError, softhsm};
use std::path::{Path, PathBuf};

/// A module whose configuration can be written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleKind {
    /// `SoftHSM`: a folder of files, one for each object.
    SoftHsm,
    /// kryoptic: one database for each token.
    Kryoptic,
}

impl ModuleKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::SoftHsm, Self::Kryoptic];

    /// The kind of the module at `path`, by its file name.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| path.file_name().is_some_and(|name| name == kind.library()))
    }

    /// The module's file name.
    #[must_use]
    pub const fn library(self) -> &'static str {
        match self {
            Self::SoftHsm => "libsofthsm2.so",
            Self::Kryoptic => "libkryoptic_pkcs11.so",
        }
    }

    /// The environment variable that names its configuration file. Set on child processes only.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::SoftHsm => softhsm::CONFIGURATION_VARIABLE,
            Self::Kryoptic => "KRYOPTIC_CONF",
        }
    }

    /// The name of its configuration file in a persona's folder.
    #[must_use]
    pub const fn configuration_file(self) -> &'static str {
        match self {
            Self::SoftHsm => "softhsm2.conf",
            Self::Kryoptic => "kryoptic.toml",
        }
    }

    /// The text of a configuration file that keeps one token in the folder `tokens`.
    #[must_use]
    pub(crate) fn configuration(self, tokens: &Path) -> String {
        match self {
            Self::SoftHsm => softhsm::configuration(tokens),
            Self::Kryoptic => {
                let database = toml::Value::from(tokens.join("token.sql").display().to_string());
                format!("[[slots]]\nslot = 1\ndbtype = \"sqlite\"\ndbargs = {database}\n")
            }
        }
    }
}

/// A module that is there, and how it is told of its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it is.
    pub(crate) kind: ModuleKind,
}

impl Module {
    /// `SoftHSM`, whatever its file is called: `SOFTHSM2_MODULE` may name it as it likes.
    pub(crate) fn softhsm(path: &Path) -> Self {
        Self { path: path.to_owned(), kind: ModuleKind::SoftHsm }
    }

    /// A module that a person names.
    pub(crate) fn named(path: &Path) -> Result<Self, SetupError> {
        let kind = ModuleKind::of(path).ok_or_else(|| SetupError::ModuleUnknown { path: path.to_owned() })?;
        if !path.is_file() {
            return Err(SetupError::ModuleMissing { path: path.to_owned() });
        }
        let path = std::path::absolute(path).map_err(SetupError::file("find", path))?;
        Ok(Self { path, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_known_by_its_file_name_alone() {
        let kind = |path: &str| ModuleKind::of(Path::new(path));
        assert_eq!(kind("/usr/lib/softhsm/libsofthsm2.so"), Some(ModuleKind::SoftHsm));
        assert_eq!(kind("/a/libkryoptic_pkcs11.so"), Some(ModuleKind::Kryoptic));
        assert_eq!(kind("/libkryoptic_pkcs11.so/libsoftokn3.so"), None);
        assert_eq!(kind("/"), None);
    }

    #[test]
    fn a_module_that_is_not_known_or_not_there_is_refused_by_name() {
        let refused = |path: &str| Module::named(Path::new(path)).unwrap_err();
        let error = refused("/usr/lib/libsoftokn3.so");
        assert!(matches!(error, SetupError::ModuleUnknown { .. }), "{error}");
        for kind in ModuleKind::ALL {
            assert!(error.to_string().contains(kind.library()), "{error}");
        }
        let error = refused("/nonexistent/libkryoptic_pkcs11.so");
        assert!(matches!(error, SetupError::ModuleMissing { .. }), "{error}");
    }

    #[test]
    fn kryoptics_configuration_is_toml_that_names_the_database() {
        let text = ModuleKind::Kryoptic.configuration(Path::new("/a \"b\"/tokens"));
        let read: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(read["slots"][0]["dbargs"].as_str(), Some("/a \"b\"/tokens/token.sql"));
    }
}
