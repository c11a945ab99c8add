//! `keysvc.toml`: where things are, and every limit with its arithmetic.
//!
//! Reading refuses unknown keys and names the file, the key and the mend; [`examine`] says everything that is wrong at
//! once. Limits that can be set are in [`FrontLimits`] and [`KeeperLimits`], all others in [`fixed`]. Which parts must
//! agree with the log (trust domain, policies) is checked where they are used.

mod explain;
pub mod fixed;
mod front_limits;
mod keys;
mod limit;
mod limits;
mod log;
mod nearest;
mod paths;
mod pin_source;
mod sandbox;
mod user;

pub use explain::{Finding, Findings, examine};
pub use front_limits::FrontLimits;
pub use limits::KeeperLimits;
pub use log::{LogConfig, LogFormat, LogLevel};
pub use paths::{check_private_file, read_capped};
pub use pin_source::PinSource;
pub use sandbox::{KeeperCalls, SandboxConfig, SandboxPart};
pub use user::uid_of;

use front_limits::FRONT;
use keysvc_protocol::trust::TrustDomain;
use limit::differing;
use limits::KEEPER;
use serde::Deserialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Largest configuration or founding file read, in bytes: a founding file with 32 officers and 1,000 principals of
/// 300 bytes takes 320 KiB, but leaf 0 must hold it, so 64 KiB as for any request.
pub const FILE_LEN_MAX: u64 = 64 * 1024;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// The service's log.
    #[serde(default)]
    pub log: LogConfig,
    /// What each half may do.
    #[serde(default)]
    pub sandbox: SandboxConfig,
}

/// Who reads the configuration: each half checks the files it uses, and only those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Whoever checks or founds the whole.
    Both,
    /// The front.
    Front,
    /// The keeper.
    Keeper,
}

impl Half {
    /// Whether what is `of` one half is this one's affair.
    const fn holds(self, of: Self) -> bool {
        matches!((self, of), (Self::Both, _) | (Self::Front, Self::Front) | (Self::Keeper, Self::Keeper))
    }
}

/// `[front]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// Address and port of the health and metrics listener; off without it.
    #[serde(default)]
    pub health: Option<SocketAddr>,
    /// Limits.
    #[serde(default)]
    pub limits: FrontLimits,
}

/// `[keeper]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// The user that the front runs as; the keeper's own without it.
    #[serde(default)]
    pub front_user: Option<String>,
    /// Limits.
    #[serde(default)]
    pub limits: KeeperLimits,
}

/// `[token]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenSection {
    /// The PKCS#11 module.
    pub module: PathBuf,
    /// The token's label.
    pub label: String,
    /// File with the PIN; mode 0600. One of the three, and no more: [`TokenSection::pin_source`].
    #[serde(default)]
    pub pin_file: Option<PathBuf>,
    /// Name of the systemd credential with the PIN.
    #[serde(default)]
    pub pin_credential: Option<String>,
    /// Open file descriptor to read the PIN from.
    #[serde(default)]
    pub pin_fd: Option<u32>,
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
    /// Reads and checks the configuration in `file`, for both halves.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing wrong, with how many more there are.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        Self::read_for(file, Half::Both)
    }

    /// Reads the configuration in `file` and checks what `half` uses.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn read_for(file: &Path, half: Half) -> Result<Self, ConfigError> {
        Ok(examine(file, half)?)
    }

    /// The limits that are not as they are by default: name, value, default.
    #[must_use]
    pub fn set_limits(&self) -> Vec<(String, u64, u64)> {
        let front = differing(&FRONT, &self.front.limits, &FrontLimits::default());
        let keeper = differing(&KEEPER, &self.keeper.limits, &KeeperLimits::default());
        let named = |section: &'static str| {
            move |(name, value, default)| (format!("{section}.{name}"), value, default)
        };
        front
            .into_iter()
            .map(named("front.limits"))
            .chain(keeper.into_iter().map(named("keeper.limits")))
            .collect()
    }

    /// The user that may connect to the keeper: the front's, or this process's own.
    ///
    /// # Errors
    /// [`ConfigError`] when there is no such user.
    pub fn front_uid(&self) -> Result<u32, ConfigError> {
        let Some(name) = &self.keeper.front_user else { return Ok(rustix::process::getuid().as_raw()) };
        uid_of(name).ok_or_else(|| {
            ConfigError::key(
                Path::new("keysvc.toml"),
                "keeper.front-user",
                format!("there is no user {name}"),
            )
        })
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
