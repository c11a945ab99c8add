//! The client's configuration, `client.toml`: where the service is, who we are, what we trust.
//!
//! Relative paths are taken from the folder of the file, so that a persona's folder can be moved whole.
//! It reads the file and the trust file; keys and certificates are read where they are used.

use keysvc_protocol::trust::{Trust, TrustError};
use serde::Deserialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Longest configuration or trust file, in bytes.
const FILE_LEN_MAX: u64 = 64 * 1024;
/// The time one call may take, with all its retries, where the file says nothing: a commit and a token call take
/// milliseconds, a restart of the keeper half a second.
const DEADLINE_MS: u64 = 10_000;
/// The longest such time: a minute's retries help no one who waits at a counter.
const DEADLINE_MS_MAX: u64 = 60_000;

/// The configuration of one persona.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientConfig {
    /// `host:port` of the service.
    pub endpoint: String,
    /// The DNS name in the service's certificate.
    pub server_name: String,
    /// The site CA's certificate, PEM.
    pub ca: PathBuf,
    /// Our certificate chain, PEM.
    pub certificate: PathBuf,
    /// Our TLS key, PEM, readable by the owner alone.
    pub key: PathBuf,
    /// The trust file, two lines.
    pub trust: PathBuf,
    /// The folder where the highest checkpoint, the founding and evidence are kept.
    pub state: PathBuf,
    /// The time one call may take with all its retries, milliseconds, 1 to 60,000.
    #[serde(default = "deadline_ms")]
    pub deadline_ms: u64,
    /// The own token; for stations and officers.
    #[serde(default)]
    pub token: Option<TokenSettings>,
    /// The statement key in a file; for terminals.
    #[serde(default)]
    pub statement: Option<StatementSettings>,
}

/// Where the own token is found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenSettings {
    /// The PKCS#11 module's shared library.
    pub module: PathBuf,
    /// The token's label, at most 32 bytes.
    pub label: String,
    /// The file with the PIN, readable by the owner alone; left out where a person types it.
    #[serde(default)]
    pub pin_file: Option<PathBuf>,
}

/// Where the statement key lies.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StatementSettings {
    /// A P-256 key in PKCS#8, DER or PEM, readable by the owner alone.
    pub file: PathBuf,
}

/// What is wrong with the configuration or a file it names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {} ({reason}): create it, or correct the path", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A file with a secret is open to others than its owner.
    #[error("{} is open to others (mode {mode:04o}): run chmod 600 on it", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its mode, the lowest nine bits.
        mode: u32,
    },
    /// The file does not hold what it should.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the mend.
        what: String,
    },
    /// The configuration lacks what the persona needs.
    #[error("the configuration lacks {what}")]
    Missing {
        /// The section or key, and what it is for.
        what: String,
    },
}

impl ConfigError {
    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), reason: error.kind().to_string() }
    }

    pub(crate) fn content(path: &Path, what: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), what: what.into() }
    }

    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::Missing { what: what.into() }
    }
}

impl ClientConfig {
    /// Reads `client.toml`.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text(path)?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::content(path, error.to_string().trim_end()))?;
        config.check().map_err(|what| ConfigError::content(path, what))?;
        config.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let port = self
            .endpoint
            .rsplit_once(':')
            .and_then(|(host, port)| port.parse::<u16>().ok().filter(|port| *port != 0 && !host.is_empty()));
        if port.is_none() {
            return Err("endpoint: give host:port".into());
        }
        if !(1..=DEADLINE_MS_MAX).contains(&self.deadline_ms) {
            return Err(format!("deadline-ms: give 1 to {DEADLINE_MS_MAX}"));
        }
        Ok(())
    }

    fn resolve(&mut self, folder: &Path) {
        let own = [&mut self.ca, &mut self.certificate, &mut self.key, &mut self.trust, &mut self.state];
        let pin = self.token.as_mut().and_then(|token| token.pin_file.as_mut());
        let statement = self.statement.as_mut().map(|statement| &mut statement.file);
        // An absolute path stays as it is.
        own.into_iter().chain(pin).chain(statement).for_each(|path| *path = folder.join(&path));
    }

    /// Reads the trust file.
    ///
    /// # Errors
    /// [`ConfigError`] when it cannot be read or is not one.
    pub fn read_trust(&self) -> Result<Trust, ConfigError> {
        let text = read_text(&self.trust)?;
        Trust::parse(&text).map_err(|error: TrustError| ConfigError::content(&self.trust, error.to_string()))
    }

    /// The time one call may take with all its retries.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}

const fn deadline_ms() -> u64 {
    DEADLINE_MS
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |error: io::Error| ConfigError::unreadable(path, &error);
    if fs::metadata(path).map_err(unreadable)?.len() > FILE_LEN_MAX {
        return Err(ConfigError::content(path, format!("longer than {FILE_LEN_MAX} bytes")));
    }
    fs::read_to_string(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        endpoint = "localhost:8443"
        server-name = "keysvc.test"
        ca = "ca.pem"
        certificate = "terminal-1.pem"
        key = "terminal-1.key"
        trust = "/etc/keysvc/trust"
        state = "state"
        [token]
        module = "/usr/lib/softhsm/libsofthsm2.so"
        label = "terminal-1"
        pin-file = "pin"
        [statement]
        file = "statement.pem"
    "#;

    fn read(text: &str) -> Result<ClientConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.toml");
        fs::write(&path, text).unwrap();
        let config = ClientConfig::read(&path);
        config.map(|mut config| {
            config.state = config.state.strip_prefix(folder.path()).unwrap().to_owned();
            config.key = config.key.strip_prefix(folder.path()).unwrap().to_owned();
            config
        })
    }

    fn fault(text: &str) -> String {
        match read(text).unwrap_err() {
            ConfigError::Content { what, .. } => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn relative_paths_are_taken_from_the_files_folder() {
        let config = read(TEXT).unwrap();
        assert_eq!(config.state, Path::new("state"));
        assert_eq!(config.key, Path::new("terminal-1.key"));
        assert_eq!(config.trust, Path::new("/etc/keysvc/trust"));
        assert_eq!(config.deadline(), Duration::from_secs(10));
        assert_eq!(config.token.unwrap().module, Path::new("/usr/lib/softhsm/libsofthsm2.so"));
    }

    #[test]
    fn token_and_statement_may_be_left_out() {
        let text = TEXT.split("[token]").next().unwrap();
        let config = read(text).unwrap();
        assert_eq!((config.token, config.statement), (None, None));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let text = TEXT.replace("server-name", "servername");
        assert!(fault(&text).contains("unknown field `servername`"), "{}", fault(&text));
    }

    #[test]
    fn an_endpoint_without_a_port_is_refused() {
        for endpoint in ["localhost", ":8443", "localhost:0", "localhost:https"] {
            assert_eq!(fault(&TEXT.replace("localhost:8443", endpoint)), "endpoint: give host:port");
        }
    }

    #[test]
    fn a_deadline_outside_its_limits_is_refused() {
        for deadline in ["0", "60001"] {
            let text = format!("deadline-ms = {deadline}\n{TEXT}");
            assert_eq!(fault(&text), "deadline-ms: give 1 to 60000");
        }
    }

    #[test]
    fn a_trust_file_is_read_and_a_bad_one_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trust");
        let config = ClientConfig { trust: path.clone(), ..read(TEXT).unwrap() };
        let hex = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        fs::write(&path, format!("trust-domain demo\ngenesis {hex}\n")).unwrap();
        assert_eq!(config.read_trust().unwrap().genesis.to_string(), hex);
        fs::write(&path, "genesis\n").unwrap();
        let what = TrustError::NotTwoLines.to_string();
        assert_eq!(config.read_trust(), Err(ConfigError::Content { path, what }));
    }
}
