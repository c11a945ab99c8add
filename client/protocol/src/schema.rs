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

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            1 => Ok(Self),
            _ => Err(D::Error::custom("unknown schema number")),
        }
    }
}
