//! `keysvc.toml`: where things are, and every limit with its arithmetic.
//!
//! Reading refuses unknown keys and names the file, the key and the mend. Which parts must agree with the log
//! (trust domain, policies) is checked where they are used.

mod front_limits;
mod limits;
mod paths;

pub use front_limits::FrontLimits;
pub use limits::KeeperLimits;
pub use paths::{check_private_file, read_capped};

use keysvc_protocol::trust::TrustDomain;
use serde::Deserialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Largest configuration or founding file read, in bytes: a founding file with 32 officers and 1,000 principals of
/// 300 bytes takes 320 KiB, but leaf 0 must hold it, so 64 KiB as for any request.
pub const FILE_LEN_MAX: u64 = 64 * 1024;

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The SPIFFE trust domain; the founding file's.
    #[serde(deserialize_with = "trust_domain")]
    pub trust_domain: TrustDomain,
    /// The founding file; read by `keysvc init` alone.
    pub founding: PathBuf,
    /// Folder with the officers' signatures, `<officer>.cose`; read by `keysvc init` alone.
    pub signatures: PathBuf,
    /// The trust file: written by `keysvc init`, compared at every start.
    pub trust: PathBuf,
    /// The half that faces the network.
    pub front: FrontConfig,
    /// The half that holds token and store.
    pub keeper: KeeperConfig,
    /// The service's token.
    pub token: TokenSection,
}

/// `[front]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FrontConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The server's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM; mode 0600.
    pub key: PathBuf,
    /// The site CA's certificate, PEM.
    pub ca: PathBuf,
    /// Certificate revocation lists, PEM.
    #[serde(default)]
    pub crls: Vec<PathBuf>,
    /// Limits.
    #[serde(default)]
    pub limits: FrontLimits,
}

/// `[keeper]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KeeperConfig {
    /// The Unix socket between the halves; its folder is private to the service.
    pub socket: PathBuf,
    /// Folder of the store.
    pub store: PathBuf,
    /// The anchor file: the newest checkpoint, outside the store.
    pub anchor: PathBuf,
    /// Folder of the site's policies.
    pub policies: PathBuf,
    /// Limits.
    #[serde(default)]
    pub limits: KeeperLimits,
}

/// `[token]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenSection {
    /// The PKCS#11 module.
    pub module: PathBuf,
    /// The token's label.
    pub label: String,
    /// File with the PIN; mode 0600.
    pub pin_file: PathBuf,
    /// Folder of the token's files, for a token that keeps them in files: synced before a ceremony is acknowledged.
    #[serde(default)]
    pub folder: Option<PathBuf>,
}

/// What is wrong with a file the service reads: which file, which key in it, and the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {place}{mend}", file = file.display(), place = if key.is_empty() { String::new() } else { format!("{key}: ") })]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The key in the file, such as `front.listen`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to do.
    pub mend: String,
}

impl ConfigError {
    /// An error about `file` as a whole.
    #[must_use]
    pub fn file(file: &Path, mend: impl Into<String>) -> Self {
        Self::key(file, "", mend)
    }

    /// An error about one key in `file`.
    #[must_use]
    pub fn key(file: &Path, key: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { file: file.to_path_buf(), key: key.into(), mend: mend.into() }
    }
}

fn trust_domain<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<TrustDomain, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// Reads TOML text as a `T`, naming the key an error is at.
///
/// # Errors
/// [`ConfigError`] with the key and the parser's words.
pub fn parse_toml<T: serde::de::DeserializeOwned>(file: &Path, text: &str) -> Result<T, ConfigError> {
    let deserializer = toml::Deserializer::parse(text)
        .map_err(|error| ConfigError::file(file, error.message().to_owned()))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let key = error.path().to_string();
        let key = if key == "." { String::new() } else { key };
        ConfigError::key(file, key, error.into_inner().message().to_owned())
    })
}

impl Config {
    /// Reads and checks the configuration in `file`.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing wrong.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let bytes = read_capped(file, FILE_LEN_MAX)?;
        let text = String::from_utf8(bytes).map_err(|_| ConfigError::file(file, "not UTF-8 text"))?;
        let config: Self = parse_toml(file, &text)?;
        config.check(file)?;
        Ok(config)
    }

    fn check(&self, file: &Path) -> Result<(), ConfigError> {
        // sun_path holds 108 bytes with its end.
        if self.keeper.socket.as_os_str().len() > 100 {
            return Err(ConfigError::key(
                file,
                "keeper.socket",
                "a Unix socket's path has at most 100 bytes; shorten it",
            ));
        }
        check_private_file(&self.front.key)?;
        check_private_file(&self.token.pin_file)?;
        for (key, path) in [
            ("front.certificate", &self.front.certificate),
            ("front.ca", &self.front.ca),
            ("token.module", &self.token.module),
            ("keeper.policies", &self.keeper.policies),
        ] {
            if !path.exists() {
                let mend = format!("{} does not exist; name the right file", path.display());
                return Err(ConfigError::key(file, key, mend));
            }
        }
        self.keeper.limits.check(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let error = parse_toml::<TokenSection>(
            Path::new("k.toml"),
            "module = \"/m\"\nlabel = \"l\"\npin-file = \"/p\"\npinn = 1\n",
        )
        .unwrap_err();
        assert_eq!(error.file, Path::new("k.toml"));
        assert!(error.key.contains("pinn") || error.mend.contains("pinn"), "{error}");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_its_key() {
        let error =
            parse_toml::<TokenSection>(Path::new("k.toml"), "module = 3\nlabel = \"l\"\npin-file = \"/p\"\n")
                .unwrap_err();
        assert_eq!(error.key, "module");
    }
}
