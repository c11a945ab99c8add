//! Digests and public keys as text in the founding file: hexadecimal for digests, base64 for keys.

use crate::public_key::PublicKey;
use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};
use base64ct::{Base64, Encoding as _};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Values through their `Display` and `FromStr`.
pub(crate) mod display {
    use super::{Deserialize, Deserializer, Serializer, String};
    use alloc::string::ToString as _;
    use core::{fmt::Display, str::FromStr};
    use serde::de::Error as _;

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_string())
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A public key's DER `SubjectPublicKeyInfo`, written in base64: P-256, or RSA for wrapping keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectPublicKeyInfo(Vec<u8>);

impl SubjectPublicKeyInfo {
    /// Wraps DER bytes; at most 1,024.
    #[must_use]
    pub fn new(der: Vec<u8>) -> Option<Self> {
        (der.len() <= 1024).then_some(Self(der))
    }

    /// The DER bytes.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SubjectPublicKeyInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64::encode_string(&self.0))
    }
}

impl fmt::Debug for SubjectPublicKeyInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectPublicKeyInfo({} bytes)", self.0.len())
    }
}

impl Serialize for SubjectPublicKeyInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for SubjectPublicKeyInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let der =
            Base64::decode_vec(&text).map_err(|_| D::Error::custom("a public key is base64 of its DER"))?;
        Self::new(der).ok_or_else(|| D::Error::custom("a public key has at most 1024 bytes"))
    }
}

/// A P-256 key in base64 of its DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct P256Text(PublicKey);

impl P256Text {
    /// Wraps a key.
    #[must_use]
    pub const fn new(key: PublicKey) -> Self {
        Self(key)
    }

    /// The key.
    #[must_use]
    pub const fn p256(&self) -> PublicKey {
        self.0
    }
}

impl Serialize for P256Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64::encode_string(self.0.spki()))
    }
}

impl<'de> Deserialize<'de> for P256Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = SubjectPublicKeyInfo::deserialize(deserializer)?;
        PublicKey::from_spki(key.as_der()).map(Self).map_err(D::Error::custom)
    }
}
