//! A card: its identifier, its states, its place in the registry.

mod record;
mod state;

pub use record::{CardRecord, HOLDER_REF_LEN_MAX, HolderRef, ShownCard};
pub use state::{CardEvent, CardState, ForbiddenStep};

use crate::bytes::{from_hex, write_hex};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Bytes that are not a card identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a card identifier has 4, 7 or 10 bytes, not {found}")]
pub struct NotAUid {
    /// The length found, in bytes.
    pub found: usize,
}

/// A card's UID as ISO/IEC 14443-3 knows it: 4, 7 or 10 bytes.
///
/// 4-byte identifiers are not unique: they are good ones here, and refused where keys are diversified by them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardUid {
    bytes: [u8; 10],
    len: u8,
}

impl CardUid {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        // INVARIANT: len is 4, 7 or 10, set by try_from alone.
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// Whether a card key may be diversified by it: not with 4 bytes, which are reused among cards (AN10922 wants
    /// a unique input).
    #[must_use]
    pub fn diversifies(&self) -> bool {
        self.len != 4
    }
}

impl TryFrom<&[u8]> for CardUid {
    type Error = NotAUid;
    fn try_from(uid: &[u8]) -> Result<Self, NotAUid> {
        let refusal = NotAUid { found: uid.len() };
        let len @ (4 | 7 | 10) = u8::try_from(uid.len()).map_err(|_| refusal)? else {
            return Err(refusal);
        };
        let mut bytes = [0; 10];
        bytes.iter_mut().zip(uid).for_each(|(to, from)| *to = *from);
        Ok(Self { bytes, len })
    }
}

impl FromStr for CardUid {
    type Err = NotAUid;
    fn from_str(text: &str) -> Result<Self, NotAUid> {
        let refusal = NotAUid { found: text.len() / 2 };
        from_hex(text).ok_or(refusal).and_then(|bytes| Self::try_from(bytes.as_slice()))
    }
}

impl fmt::Display for CardUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(self.as_bytes(), f)
    }
}

impl fmt::Debug for CardUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Card identifiers do not belong in logs in clear.
        f.write_str("CardUid(..)")
    }
}

impl Serialize for CardUid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }
}

struct UidVisitor;

impl de::Visitor<'_> for UidVisitor {
    type Value = CardUid;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a byte string of 4, 7 or 10 bytes")
    }
    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<CardUid, E> {
        CardUid::try_from(bytes).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for CardUid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(UidVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn only_4_7_and_10_bytes_are_card_identifiers() {
        for len in 0..16 {
            let uid = CardUid::try_from(vec![1_u8; len].as_slice());
            assert_eq!(uid.is_ok(), matches!(len, 4 | 7 | 10), "{len}");
        }
    }

    #[test]
    fn four_bytes_do_not_diversify() {
        assert!(!CardUid::try_from([1_u8; 4].as_slice()).unwrap().diversifies());
        assert!(CardUid::try_from([1_u8; 7].as_slice()).unwrap().diversifies());
    }
}
