//! How the keeper last ended, in a file beside the link's socket: the front says it while there is no keeper to ask, and
//! the next keeper goes on counting from it.
//!
//! Only words from closed lists are in it. It is advice for people and monitors; nothing decides by it.

use crate::config::read_capped;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Longest file, in bytes: two numbers, a reason and a count for each class.
const LEN_MAX: u64 = 1024;

/// How the keeper last ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LastEnd {
    /// When, milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// The exit code.
    pub exit: u8,
    /// Why, in a few words.
    pub reason: String,
    /// How often a fault of the token of each class ended a keeper.
    pub token_faults: BTreeMap<String, u64>,
}

impl LastEnd {
    /// What the keeper at `socket` left behind, if it did.
    #[must_use]
    pub fn read(socket: &Path) -> Option<Self> {
        let text = String::from_utf8(read_capped(&file(socket), LEN_MAX).ok()?).ok()?;
        toml::from_str(&text).ok()
    }

    /// Notes that the keeper at `socket` ends now; `token` is the class of the token's fault, where it was one.
    pub fn note(socket: &Path, exit: u8, reason: impl Into<String>, token: Option<&'static str>) {
        let mut token_faults = Self::read(socket).unwrap_or_default().token_faults;
        if let Some(class) = token {
            let count = token_faults.entry(class.to_owned()).or_default();
            *count = count.saturating_add(1);
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let end = Self { at_ms, exit, reason: reason.into(), token_faults };
        if let Err(error) = end.write(&file(socket)) {
            // The log has the whole story: this file only repeats its end.
            tracing::debug!(%error, "the end could not be noted beside the socket");
        }
    }

    fn write(&self, file: &Path) -> std::io::Result<()> {
        let text = toml::to_string(self).map_err(std::io::Error::other)?;
        // Whole or not at all: a reader may come at any moment.
        let fresh = file.with_extension("ended-new");
        fs::write(&fresh, text)?;
        // As the socket's: the front may be of another user in the same group.
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o640))?;
        fs::rename(&fresh, file)
    }
}

fn file(socket: &Path) -> PathBuf {
    socket.with_extension("ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_read_as_it_was_noted_and_faults_of_the_token_are_counted_on() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("keeper.sock");
        assert_eq!(LastEnd::read(&socket), None);
        LastEnd::note(&socket, 10, "the token is away", Some("away"));
        LastEnd::note(&socket, 10, "the token is away", Some("away"));
        LastEnd::note(&socket, 0, "it was told to", None);
        let end = LastEnd::read(&socket).unwrap();
        assert_eq!((end.exit, end.reason.as_str()), (0, "it was told to"));
        assert_eq!(end.token_faults, BTreeMap::from([("away".to_owned(), 2)]));
        assert!(end.at_ms > 1_767_225_600_000);
        fs::write(file(&socket), "exit = \"x\"").unwrap();
        assert_eq!(LastEnd::read(&socket), None);
    }
}
