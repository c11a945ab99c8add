//! Names of principals, organisations, programmes, profiles and keys.

use alloc::string::{String, ToString};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Longest name, in bytes.
pub const NAME_LEN_MAX: usize = 64;

/// Text that is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 64 of a-z, 0-9, '-', '_' and '.', beginning with a letter or digit")]
pub struct NotAName;

/// A name: 1 to 64 bytes of `a-z 0-9 - _ .`, beginning with a letter or digit. ASCII only, so that no two names
/// look alike.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NotAName;
    fn from_str(text: &str) -> Result<Self, NotAName> {
        let first = text.bytes().next().ok_or(NotAName)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = plain(first)
            && text.len() <= NAME_LEN_MAX
            && text.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'_' | b'.'));
        if good { Ok(Self(text.to_string())) } else { Err(NotAName) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

struct NameVisitor;

impl de::Visitor<'_> for NameVisitor {
    type Value = Name;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NotAName}")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Name, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

/// Longest reason, in bytes.
pub const REASON_LEN_MAX: usize = 200;

/// Text that is not a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason is 1 to 200 printable ASCII characters")]
pub struct NotAReason;

/// Why somebody did something, in their words: 1 to 200 bytes of printable ASCII, so that what is signed looks on every
/// screen as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(String);

impl Reason {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = NotAReason;
    fn from_str(text: &str) -> Result<Self, NotAReason> {
        let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let seen = !text.trim().is_empty();
        if printable && seen && text.len() <= REASON_LEN_MAX {
            Ok(Self(text.to_string()))
        } else {
            Err(NotAReason)
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ReasonVisitor;
        impl de::Visitor<'_> for ReasonVisitor {
            type Value = Reason;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{NotAReason}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Reason, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(ReasonVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_lower_case_ascii() {
        for good in ["a", "station-1", "demo-known", "0.9_x"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["", "-a", ".a", "A", "a b", "é", "a/b", long.as_str()] {
            assert_eq!(bad.parse::<Name>(), Err(NotAName), "{bad}");
        }
    }

    #[test]
    fn reasons_are_printable_ascii_that_says_something() {
        let longest = "x".repeat(REASON_LEN_MAX);
        for good in ["lost", "Ticket 5: card found, again!", longest.as_str()] {
            assert_eq!(good.parse::<Reason>().unwrap().as_str(), good);
        }
        let long = "x".repeat(REASON_LEN_MAX + 1);
        for bad in ["", " ", "a\nb", "a\u{202e}b", "\u{7f}", "é", long.as_str()] {
            assert_eq!(bad.parse::<Reason>(), Err(NotAReason), "{bad:?}");
            assert!(crate::cbor::decode::<Reason>(&crate::cbor::encode(&bad), 300).is_err(), "{bad:?}");
        }
    }
}
