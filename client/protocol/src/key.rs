//! Keys as the log and the callers know them: kind, state, check value, attributes. Never a value.

use crate::{
    bytes::{Blob, Digest, ObjectIdentifier, ShortCheck},
    list::List,
    name::Name,
    schema::Schema,
};
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What a key is for. One key, one use (docs/keys.md has the table).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyKind {
    /// AES-128 from which card keys are derived (NXP AN10922); can only derive.
    CardMaster,
    /// EC P-256 that signs value updates.
    ValueSigning,
    /// EC P-256 that signs deliveries and openings for stations, and trust bundles.
    ServiceStatement,
    /// EC P-256 that signs checkpoints of the log.
    Checkpoint,
    /// AES-256 that wraps the data keys of one retention class and month.
    Storage,
}

impl KeyKind {
    /// Its name in the founding file and for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CardMaster => "card-master",
            Self::ValueSigning => "value-signing",
            Self::ServiceStatement => "service-statement",
            Self::Checkpoint => "checkpoint",
            Self::Storage => "storage",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Key states of SP 800-57 part 1, section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyState {
    /// Made, not yet in use.
    PreActivation,
    /// Protects and processes.
    Active,
    /// Out of use for the time being; probed only.
    Suspended,
    /// Processes what was protected before; protects nothing new.
    Deactivated,
    /// Not trusted any more; probed and re-keyed only.
    Compromised,
    /// Gone.
    Destroyed,
}

impl KeyState {
    /// Its name for people, as SP 800-57 part 1 writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreActivation => "pre-activation",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deactivated => "deactivated",
            Self::Compromised => "compromised",
            Self::Destroyed => "destroyed",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happens to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyEvent {
    /// Put into use.
    Activate,
    /// Taken out of use for the time being.
    Suspend,
    /// Taken out of use for new protection.
    Deactivate,
    /// Found untrustworthy.
    Compromise,
    /// Destroyed in the token.
    Destroy,
}

/// A step that SP 800-57 does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key that is {state:?} has no step {event:?}")]
pub struct ForbiddenTransition {
    /// The state it is in.
    pub state: KeyState,
    /// The event that was tried.
    pub event: KeyEvent,
}

impl KeyState {
    /// The state after `event`.
    ///
    /// # Errors
    /// [`ForbiddenTransition`] where SP 800-57 part 1 section 7 has no such step.
    pub fn after(self, event: KeyEvent) -> Result<Self, ForbiddenTransition> {
        use {KeyEvent as Event, KeyState as State};
        Ok(match (self, event) {
            (State::PreActivation | State::Suspended, Event::Activate) => State::Active,
            (State::Active, Event::Suspend) => State::Suspended,
            (State::Active | State::Suspended, Event::Deactivate) => State::Deactivated,
            (
                State::PreActivation | State::Active | State::Suspended | State::Deactivated,
                Event::Compromise,
            ) => State::Compromised,
            (State::PreActivation | State::Deactivated | State::Compromised, Event::Destroy) => {
                State::Destroyed
            }
            (state, event) => return Err(ForbiddenTransition { state, event }),
        })
    }

    /// Whether new things may be protected with it: cards issued, values signed.
    #[must_use]
    pub const fn protects(self) -> bool {
        matches!(self, Self::Active)
    }

    /// Whether what it protected may still be processed.
    #[must_use]
    pub const fn processes(self) -> bool {
        matches!(self, Self::Active | Self::Deactivated)
    }
}

/// A check value with its method: two keys with one check value are, for people, the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum CheckValue {
    /// `cmac`: the first 5 bytes of AES-CMAC over a zero block.
    Cmac {
        /// The bytes.
        value: ShortCheck,
    },
    /// `kw`: the first 5 bytes of AES-KW over 16 zero bytes.
    Kw {
        /// The bytes.
        value: ShortCheck,
    },
    /// `spki`: SHA-256 over the public half's `SubjectPublicKeyInfo`.
    Spki {
        /// The digest.
        value: Digest,
    },
}

impl CheckValue {
    /// The method's name.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Cmac { .. } => "cmac",
            Self::Kw { .. } => "kw",
            Self::Spki { .. } => "spki",
        }
    }
}

impl fmt::Display for CheckValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cmac { value } | Self::Kw { value } => value.fmt(f),
            Self::Spki { value } => value.fmt(f),
        }
    }
}

/// One attribute as read back from the token, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeText {
    /// Its PKCS#11 name, such as `CKA_DERIVE`.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A key as the log records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Field 0.
    pub schema: Schema,
    /// Its name.
    pub name: Name,
    /// Its version, from 1.
    pub version: u32,
    /// What it is for.
    pub kind: KeyKind,
    /// Its state.
    pub state: KeyState,
    /// `CKA_ID` in the token.
    pub id: ObjectIdentifier,
    /// Its check value.
    pub check: CheckValue,
    /// Whether its value is published or known: never for real cards. Shown as TEST KEY everywhere.
    pub test_key: bool,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub made_at_ms: u64,
    /// Attributes read back from the token.
    pub attributes: List<AttributeText, 96>,
    /// The public half, DER `SubjectPublicKeyInfo`; for pairs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<Blob<1024>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [KeyState; 6] = [
        KeyState::PreActivation,
        KeyState::Active,
        KeyState::Suspended,
        KeyState::Deactivated,
        KeyState::Compromised,
        KeyState::Destroyed,
    ];
    const EVENTS: [KeyEvent; 5] = [
        KeyEvent::Activate,
        KeyEvent::Suspend,
        KeyEvent::Deactivate,
        KeyEvent::Compromise,
        KeyEvent::Destroy,
    ];

    #[test]
    fn exactly_the_steps_of_sp_800_57_are_allowed() {
        let allowed: usize = STATES
            .into_iter()
            .map(|state| EVENTS.into_iter().filter(|event| state.after(*event).is_ok()).count())
            .sum();
        assert_eq!(allowed, 12);
        for event in EVENTS {
            assert_eq!(
                KeyState::Destroyed.after(event),
                Err(ForbiddenTransition { state: KeyState::Destroyed, event })
            );
        }
        assert_eq!(KeyState::Compromised.after(KeyEvent::Destroy), Ok(KeyState::Destroyed));
        assert!(KeyState::Active.after(KeyEvent::Destroy).is_err(), "an active key is deactivated first");
    }

    #[test]
    fn only_active_keys_protect_and_only_active_and_deactivated_ones_process() {
        for state in STATES {
            assert_eq!(state.protects(), state == KeyState::Active);
            assert_eq!(state.processes(), matches!(state, KeyState::Active | KeyState::Deactivated));
        }
    }

    #[test]
    fn kinds_and_states_keep_their_numbers() {
        let kinds = [
            KeyKind::CardMaster,
            KeyKind::ValueSigning,
            KeyKind::ServiceStatement,
            KeyKind::Checkpoint,
            KeyKind::Storage,
        ];
        for (number, kind) in (0_u8..).zip(kinds) {
            assert_eq!(crate::cbor::encode(&kind), [number]);
        }
        for (number, state) in (0_u8..).zip(STATES) {
            assert_eq!(crate::cbor::encode(&state), [number]);
        }
    }
}
