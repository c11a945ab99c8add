//! A key as the commands show it: never a value, and TEST KEY wherever its value is known.

use crate::shown::utc;
use keysvc_client::protocol::key::{KeyRecord, KeyState};
use serde::Serialize;

/// The mark of a key whose value is published or known.
pub(crate) const TEST_KEY: &str = "TEST KEY";

/// A key's record for people and JSON.
#[derive(Debug, Serialize)]
pub(crate) struct KeyView {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: u32,
    /// What it is for.
    pub(crate) kind: &'static str,
    /// Its state, as in SP 800-57.
    pub(crate) state: &'static str,
    /// Its check value.
    pub(crate) check: CheckView,
    /// Whether its value is known.
    pub(crate) test_key: bool,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub(crate) made_at_ms: u64,
    /// When it was made, RFC 3339 in UTC.
    pub(crate) made_at: String,
    /// `CKA_ID`, hexadecimal.
    pub(crate) id: String,
}

/// A check value with its method.
#[derive(Debug, Serialize)]
pub(crate) struct CheckView {
    /// `cmac`, `kw` or `spki`.
    pub(crate) method: &'static str,
    /// Hexadecimal.
    pub(crate) value: String,
}

/// An attribute as read back from the token.
#[derive(Debug, Serialize)]
pub(crate) struct AttributeView {
    /// Its name, as PKCS#11 spells it.
    pub(crate) name: String,
    /// Its value in words.
    pub(crate) value: String,
}

impl AttributeView {
    /// All attributes of a key.
    pub(crate) fn of(key: &KeyRecord) -> Vec<Self> {
        let attributes = key.attributes.iter();
        attributes.map(|one| Self { name: one.name.clone(), value: one.value.clone() }).collect()
    }
}

impl From<&KeyRecord> for KeyView {
    fn from(key: &KeyRecord) -> Self {
        Self {
            name: key.name.to_string(),
            version: key.version,
            kind: key.kind.name(),
            state: state(key.state),
            check: CheckView { method: key.check.method(), value: key.check.to_string() },
            test_key: key.test_key,
            made_at_ms: key.made_at_ms,
            made_at: utc(key.made_at_ms),
            id: key.id.to_string(),
        }
    }
}

impl KeyView {
    /// The mark, where there is reason for it.
    pub(crate) const fn mark(&self) -> &'static str {
        if self.test_key { TEST_KEY } else { "" }
    }
}

/// A key's state in words.
pub(crate) const fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::PreActivation => "pre-activation",
        KeyState::Active => "active",
        KeyState::Suspended => "suspended",
        KeyState::Deactivated => "deactivated",
        KeyState::Compromised => "compromised",
        KeyState::Destroyed => "destroyed",
    }
}
