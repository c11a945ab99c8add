//! What the front asks of the keeper for itself: how it is, and its figures. No caller can ask for it: the front makes a
//! call only of an operation, and these bytes stand for none.

use keysvc_protocol::{
    bytes::Digest,
    cbor::{self, DecodeError},
    schema::Schema,
};
use serde::{Deserialize, Serialize};

/// Longest encoded state, in bytes: eleven numbers, a digest and a version.
const STATE_LEN_MAX: usize = 1024;

/// What the front wants to know of the keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A [`KeeperState`].
    State,
    /// OpenMetrics text without its end mark.
    Metrics,
}

impl Look {
    /// The byte in an operation's place; operations have the lowest ones.
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::State => 255,
            Self::Metrics => 254,
        }
    }

    /// The look of this byte.
    pub(super) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            255 => Some(Self::State),
            254 => Some(Self::Metrics),
            _ => None,
        }
    }
}

/// How the keeper is. Ages are by its own clock, so that no other need agree with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeeperState {
    /// Field 0.
    pub schema: Schema,
    /// The program's version.
    pub version: String,
    /// How long it serves, in milliseconds.
    pub uptime_ms: u64,
    /// Digest of the policies in force.
    pub policy: Digest,
    /// Whether the site is a development site.
    pub development: bool,
    /// Whether history was found rolled back: nothing is served.
    pub halted: bool,
    /// Whether it is about to end.
    pub closing: bool,
    /// Leaves in the log.
    pub leaves: u64,
    /// Size of the newest signed checkpoint.
    pub checkpoint_size: u64,
    /// Age of the newest signed checkpoint, in milliseconds.
    pub checkpoint_age_ms: u64,
    /// How long ago the token last gave a good answer to the keeper's own question, in milliseconds.
    pub token_silent_ms: u64,
    /// Changes waiting for the ledger.
    pub queue_len: u64,
    /// Personalization jobs that should have been purged by now.
    pub jobs_overdue: u64,
}

impl KeeperState {
    /// As it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// From what travelled.
    ///
    /// # Errors
    /// [`DecodeError`] when it is none of this build's.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        cbor::decode(bytes, STATE_LEN_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::request::Operation;

    #[test]
    fn no_operation_has_the_byte_of_a_look() {
        for look in [Look::State, Look::Metrics] {
            assert_eq!(Look::from_byte(look.byte()), Some(look));
            assert!(usize::from(look.byte()) >= Operation::ALL.len());
        }
        assert_eq!(Look::from_byte(0), None);
    }

    #[test]
    fn a_state_comes_back_as_it_was() {
        let state = KeeperState {
            schema: Schema,
            version: "0.1.0".to_owned(),
            uptime_ms: 1,
            policy: Digest::new([7; 32]),
            development: true,
            halted: false,
            closing: false,
            leaves: u64::MAX,
            checkpoint_size: 2,
            checkpoint_age_ms: 3,
            token_silent_ms: 4,
            queue_len: 5,
            jobs_overdue: 6,
        };
        assert_eq!(KeeperState::decode(&state.encode()), Ok(state.clone()));
        assert!(KeeperState::decode(&state.encode()[1..]).is_err());
    }
}
