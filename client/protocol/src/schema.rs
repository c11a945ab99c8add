//! Field 0 of every message: the schema number.
//!
//! A type of its own so that a message with another number does not decode at all.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The only schema number there is so far: 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Schema;

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

/// A schema number that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown schema number")]
pub struct UnknownSchema;

impl TryFrom<u64> for Schema {
    type Error = UnknownSchema;
    fn try_from(number: u64) -> Result<Self, UnknownSchema> {
        if number == 1 { Ok(Self) } else { Err(UnknownSchema) }
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(u64::from(u8::deserialize(deserializer)?)).map_err(D::Error::custom)
    }
}
