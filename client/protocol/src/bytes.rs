//! Byte strings of fixed or bounded length, each with its own type so that one cannot stand in for another.

use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A byte string has another length than its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("wrong length: {found} bytes")]
pub struct WrongLength {
    /// The length found, in bytes.
    pub found: usize,
}

pub(crate) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Reads lower- or upper-case hexadecimal into bytes; nothing when it is not hexadecimal.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
            _ => None,
        })
        .collect()
}

pub(crate) struct FixedVisitor<const N: usize>;

impl<const N: usize> de::Visitor<'_> for FixedVisitor<N> {
    type Value = [u8; N];
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a byte string of {N} bytes")
    }
    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;
            /// Wraps the bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = WrongLength;
            fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
                bytes.try_into().map(Self).map_err(|_| WrongLength { found: bytes.len() })
            }
        }

        impl core::str::FromStr for $name {
            type Err = WrongLength;
            fn from_str(text: &str) -> Result<Self, WrongLength> {
                from_hex(text)
                    .as_deref()
                    .ok_or(WrongLength { found: text.len() / 2 })
                    .and_then(Self::try_from)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_bytes(FixedVisitor::<$len>).map(Self)
            }
        }
    };
}

fixed_bytes!(
    /// A SHA-256 digest (FIPS 180-4), 32 bytes. Of a payload, a public key, a node of the log's tree.
    Digest,
    32
);
fixed_bytes!(
    /// The idempotency key of a request that changes something: 16 random bytes, unique per principal.
    /// For a value update it is the terminal's transaction number, `txn`.
    Idem,
    16
);
fixed_bytes!(
    /// A COSE key identifier (RFC 9052 section 3.1): the first 8 bytes of SHA-256 over the key's
    /// `SubjectPublicKeyInfo`.
    KeyIdentifier,
    8
);
fixed_bytes!(
    /// An exchange: a station's use of one transport key, 16 random bytes made by the service.
    Exchange,
    16
);
fixed_bytes!(
    /// `CKA_ID` of a key in the token, 16 random bytes fixed at its birth.
    ObjectIdentifier,
    16
);
fixed_bytes!(
    /// Salt of a leaf's payload digest, 16 random bytes: a reader who sees only the digest cannot guess the payload.
    Salt,
    16
);
fixed_bytes!(
    /// The head of a digest over the previous value update's payload, 16 bytes; zeros before the first update.
    PreviousUpdate,
    16
);
fixed_bytes!(
    /// A card key wrapped by AES-KW (RFC 3394) under a transport key: 24 bytes.
    WrappedCardKey,
    24
);
fixed_bytes!(
    /// A check value of a symmetric key: the first 5 bytes of what its method computes.
    ShortCheck,
    5
);

fixed_bytes!(
    /// Two bytes at one end of a card's identifier.
    Ends,
    2
);
fixed_bytes!(
    /// A proposal's identifier, 16 random bytes made by the service; used once in a log.
    ProposalId,
    16
);
fixed_bytes!(
    /// The identifier of one boot of the service's host, 16 random bytes made by its kernel.
    Boot,
    16
);

/// A byte string of at most `MAX` bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Blob<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Blob<MAX> {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    /// The bytes, given away.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl<const MAX: usize> TryFrom<Vec<u8>> for Blob<MAX> {
    type Error = WrongLength;
    fn try_from(bytes: Vec<u8>) -> Result<Self, WrongLength> {
        if bytes.len() > MAX { Err(WrongLength { found: bytes.len() }) } else { Ok(Self(bytes)) }
    }
}

impl<const MAX: usize> fmt::Debug for Blob<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl<const MAX: usize> Serialize for Blob<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

struct BlobVisitor<const MAX: usize>;

impl<const MAX: usize> de::Visitor<'_> for BlobVisitor<MAX> {
    type Value = Blob<MAX>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a byte string of at most {MAX} bytes")
    }
    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob<MAX>, E> {
        if bytes.len() > MAX { Err(E::invalid_length(bytes.len(), &self)) } else { Ok(Blob(bytes.to_vec())) }
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Blob<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BlobVisitor::<MAX>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;

    #[test]
    fn fixed_bytes_travel_as_a_byte_string_of_their_length_only() {
        let bytes = cbor::encode(&ShortCheck::new([1, 2, 3, 4, 5]));
        assert_eq!(bytes, [0x45, 1, 2, 3, 4, 5]);
        assert_eq!(cbor::decode(&bytes, 10), Ok(ShortCheck::new([1, 2, 3, 4, 5])));
        assert!(cbor::decode::<ShortCheck>(&[0x44, 1, 2, 3, 4], 10).is_err());
        assert!(cbor::decode::<ShortCheck>(&[0x85, 1, 2, 3, 4, 5], 10).is_err());
    }

    #[test]
    fn hexadecimal_is_read_back_and_anything_else_is_refused() {
        assert_eq!("0102030405".parse(), Ok(ShortCheck::new([1, 2, 3, 4, 5])));
        assert!("010203040".parse::<ShortCheck>().is_err());
        assert!("01020304zz".parse::<ShortCheck>().is_err());
    }

    #[test]
    fn a_blob_over_its_limit_is_refused() {
        assert!(cbor::decode::<Blob<2>>(&[0x43, 1, 2, 3], 10).is_err());
        assert!(cbor::decode::<Blob<3>>(&[0x43, 1, 2, 3], 10).is_ok());
    }
}
