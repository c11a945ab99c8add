//! The client's configuration, `client.toml`: where the service is, who we are, what we trust.
//!
//! Relative paths are taken from the folder of the file, so that a persona's folder can be moved whole.
//! It reads the file and the trust file; keys and certificates are read where they are used.

use keysvc_protocol::trust::{Trust, TrustError};
use serde::{Deserialize, Deserializer, de};
use std::{
    fmt, fs, io,
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
/// Most endpoints: each may cost a call 2.5 s before the next is tried, and a deadline is 60 s at most.
const ENDPOINTS_MAX: usize = 8;
/// Calls under way at once where the file says nothing: two tills' worth and their proofs.
const CONNECTIONS: usize = 4;
/// Most of them: the service gives one certificate 64 connections, and a persona may run in four processes.
const CONNECTIONS_MAX: usize = 16;

/// The configuration of one persona.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientConfig {
    /// `host:port` of the service, or of several fronts of one service (one trust domain, one log) in the order in
    /// which they are tried: `endpoint = "a:8443"` or `endpoints = ["a:8443", "b:8443"]`, one of the two.
    #[serde(alias = "endpoint", deserialize_with = "one_or_more")]
    pub endpoints: Vec<String>,
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
    /// How many calls may be under way at once, each on a connection of its own, 1 to 16.
    #[serde(default = "connections")]
    pub connections: usize,
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
        let count = self.endpoints.len();
        if !(1..=ENDPOINTS_MAX).contains(&count) {
            return Err(format!("endpoints: {count} of them; give 1 to {ENDPOINTS_MAX}"));
        }
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            if !is_endpoint(endpoint) {
                return Err(format!("endpoint '{endpoint}': give host:port"));
            }
            if self.endpoints.iter().take(index).any(|before| before == endpoint) {
                return Err(format!("endpoints: {endpoint} is given twice"));
            }
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            return Err(format!("connections: give 1 to {CONNECTIONS_MAX}"));
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

const fn connections() -> usize {
    CONNECTIONS
}

fn is_endpoint(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0))
}

/// One text or a list of them.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMore;
    impl<'de> de::Visitor<'de> for OneOrMore {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("host:port in quotes, or a list of them")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Vec<String>, A::Error> {
            Vec::deserialize(de::value::SeqAccessDeserializer::new(seq))
        }
    }
    deserializer.deserialize_any(OneOrMore)
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
            let said = format!("endpoint '{endpoint}': give host:port");
            assert_eq!(fault(&TEXT.replace("localhost:8443", endpoint)), said);
        }
    }

    #[test]
    fn one_endpoint_or_a_list_of_them_is_given_and_never_both() {
        let one = r#"endpoint = "localhost:8443""#;
        assert_eq!(read(TEXT).unwrap().endpoints, ["localhost:8443"]);
        let list = |list: &str| TEXT.replace(one, &format!("endpoints = {list}"));
        let two = read(&list(r#"["a:8443", "b:8443"]"#)).unwrap();
        assert_eq!(two.endpoints, ["a:8443", "b:8443"]);
        let both = TEXT.replace(one, &format!("{one}\nendpoints = [\"b:8443\"]"));
        assert!(fault(&both).contains("duplicate field"), "{}", fault(&both));
        assert!(fault(&TEXT.replace(one, "")).contains("missing field `endpoints`"));
        assert_eq!(fault(&list("[]")), "endpoints: 0 of them; give 1 to 8");
        assert_eq!(fault(&list(r#"["a:1", "b:1", "a:1"]"#)), "endpoints: a:1 is given twice");
        let nine: Vec<_> = (1..10).map(|port| format!("a:{port}")).collect();
        assert_eq!(fault(&list(&format!("{nine:?}"))), "endpoints: 9 of them; give 1 to 8");
        assert!(fault(&list("8443")).contains("host:port in quotes"), "{}", fault(&list("8443")));
    }

    #[test]
    fn connections_outside_their_limits_are_refused() {
        assert_eq!(read(TEXT).unwrap().connections, 4);
        for connections in ["0", "17"] {
            let text = format!("connections = {connections}\n{TEXT}");
            assert_eq!(fault(&text), "connections: give 1 to 16");
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
