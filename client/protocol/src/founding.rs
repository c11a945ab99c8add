//! The founding file: who is who and what the service is for, signed by every officer before there is a log.
//!
//! Written as TOML by people and read with any TOML library through these types; leaf 0 holds the file's bytes.
//! This module checks what the file says of itself; the signatures' arithmetic is [`crate::cose`]'s.

mod delays;
mod family;
mod profile;
mod roster;
mod text;

pub use delays::{DELAY_S_MAX, DESTROY_DELAY_S_MIN, Delays, ROSTER_DELAY_S_MIN};
pub use family::{CardFamily, Function};
pub use profile::{CardSession, GoldenVector, InputPart, Profile, Scheme, Slot, VECTORS_MAX, ValueRules};
pub use roster::{Officer, Principal, PrincipalKind};
pub use text::{P256Text, SubjectPublicKeyInfo};

use crate::{
    bytes::{Digest, from_hex},
    cbor,
    cose::{CoseError, Kind, Signed},
    hash::sha256,
    name::Name,
    schema::Schema,
    trust::TrustDomain,
};
use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use serde::{Deserialize, Serialize};

/// Most officers.
pub const OFFICERS_MAX: usize = 32;
/// Most departments among the officers: the policies' needs are found by trying the sets of departments, 2 to the
/// power of 8 of them, which is 256.
pub const DEPARTMENTS_MAX: usize = 8;

/// The founding file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Founding {
    /// The SPIFFE trust domain of every certificate.
    pub trust_domain: TrustDomain,
    /// SHA-256 of the site CA's certificate (DER), hexadecimal.
    #[serde(with = "text::display")]
    pub ca: Digest,
    /// Digest of the policies, as `keysvc check-config` prints it, hexadecimal.
    #[serde(with = "text::display")]
    pub policy: Digest,
    /// Whether keys with a known value and short delays are allowed. Never for real cards.
    #[serde(default)]
    pub development: bool,
    /// How long what takes people waits before it takes effect.
    #[serde(default)]
    pub delays: Delays,
    /// The officers; each signs this file.
    pub officers: Vec<Officer>,
    /// Machines and people other than officers.
    #[serde(default)]
    pub principals: Vec<Principal>,
    /// The programmes.
    #[serde(default)]
    pub programmes: Vec<Programme>,
    /// The card profiles.
    #[serde(default)]
    pub profiles: Vec<Profile>,
    /// The keys to be made beside the service's own.
    pub keys: Vec<FoundedKey>,
}

/// A programme: an organisation's stored value in one currency on cards of one profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Programme {
    /// Its name.
    pub name: Name,
    /// The organisation whose terminals may update its values.
    pub organisation: Name,
    /// ISO 4217 numeric currency code.
    pub currency: u16,
    /// The card profile whose value rules hold.
    pub profile: Name,
    /// The value signing key.
    pub value_key: Name,
}

/// A key made at the founding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FoundedKey {
    /// Its name.
    pub name: Name,
    /// `card-master` or `value-signing`.
    pub kind: FoundedKind,
    /// A known value (AES-128, 32 hexadecimal digits): a TEST KEY, with `development = true` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The kinds of key a founding file may ask for; the service's own keys are always made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoundedKind {
    /// A card master key.
    CardMaster,
    /// A value signing key.
    ValueSigning,
}

/// What an officer signs: the digest of the founding file, under the officer's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundingAgreement {
    /// Field 0.
    pub schema: Schema,
    /// SHA-256 of the founding file's bytes.
    pub file: Digest,
    /// The officer.
    pub officer: Name,
}

/// What is wrong with a founding file: the place in it and the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {mend}")]
pub struct FoundingError {
    /// The key in the file, such as `keys.demo-known.value`.
    pub place: String,
    /// What to do about it.
    pub mend: String,
}

pub(crate) fn fault(place: impl Into<String>, mend: impl Into<String>) -> FoundingError {
    FoundingError { place: place.into(), mend: mend.into() }
}

/// Why an officer's signature over a founding file does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// The signature itself.
    #[error("{0}")]
    Signature(#[from] CoseError),
    /// It is over something else than this file by this officer.
    #[error("it is over another file or by another officer")]
    OtherFile,
}

impl Founding {
    /// Checks that the file agrees with itself: names unique, references resolved, limits sound, no key or person
    /// twice, known values and short delays only in development.
    ///
    /// # Errors
    /// [`FoundingError`] with the place and the mend, for the first thing wrong.
    pub fn check(&self) -> Result<(), FoundingError> {
        roster::check(&self.officers, &self.principals)?;
        self.check_keys()?;
        for profile in &self.profiles {
            profile.check(&self.keys)?;
        }
        let versions = self.profiles.iter().map(|p| format!("{} version {}", p.name, p.version));
        unique("profiles", versions)?;
        self.check_programmes()?;
        self.delays.check(self.development)
    }

    fn check_keys(&self) -> Result<(), FoundingError> {
        unique("keys", self.keys.iter().map(|key| key.name.to_string()))?;
        for key in &self.keys {
            let place = format!("keys.{}", key.name);
            if ["statement", "checkpoint"].contains(&key.name.as_str())
                || key.name.as_str().starts_with("storage")
            {
                return Err(fault(place, "this name is the service's own; choose another"));
            }
            let Some(value) = &key.value else { continue };
            if !self.development {
                return Err(fault(
                    format!("{place}.value"),
                    "a known value needs development = true; for real cards leave value out and the token makes the key",
                ));
            }
            if key.kind != FoundedKind::CardMaster || from_hex(value).is_none_or(|bytes| bytes.len() != 16) {
                return Err(fault(
                    format!("{place}.value"),
                    "only a card-master may have one, of 32 hexadecimal digits",
                ));
            }
        }
        Ok(())
    }

    fn check_programmes(&self) -> Result<(), FoundingError> {
        unique("programmes", self.programmes.iter().map(|programme| programme.name.to_string()))?;
        for programme in &self.programmes {
            let place = format!("programmes.{}", programme.name);
            if programme.currency == 0 || programme.currency > 999 {
                return Err(fault(format!("{place}.currency"), "give the ISO 4217 numeric code, 1 to 999"));
            }
            let versions = self.profiles.iter().filter(|profile| profile.name == programme.profile);
            let profile = versions.max_by_key(|profile| profile.version);
            if profile.is_none_or(|profile| profile.value.is_none()) {
                return Err(fault(format!("{place}.profile"), "name a profile that has a value table"));
            }
            let rules = profile.and_then(|profile| profile.value.as_ref());
            if rules.is_some_and(|rules| rules.currency != programme.currency) {
                return Err(fault(
                    format!("{place}.currency"),
                    "it is not the currency of the profile's value table; give one currency in both",
                ));
            }
            let key = self.keys.iter().find(|key| key.name == programme.value_key);
            if key.is_none_or(|key| key.kind != FoundedKind::ValueSigning) {
                return Err(fault(format!("{place}.value-key"), "name a key of kind value-signing"));
            }
        }
        Ok(())
    }

    /// The payload an officer signs for the file's `bytes`.
    #[must_use]
    pub fn agreement(bytes: &[u8], officer: &Name) -> Vec<u8> {
        let agreement =
            FoundingAgreement { schema: Schema, file: sha256(&[bytes]), officer: officer.clone() };
        cbor::encode(&agreement)
    }

    /// Checks one officer's signature over the file's `bytes`.
    ///
    /// # Errors
    /// [`AgreementError`] when it does not count.
    pub fn verify_agreement(
        &self,
        bytes: &[u8],
        officer: &Officer,
        signed: &[u8],
    ) -> Result<(), AgreementError> {
        let scope = self.trust_domain.as_str().as_bytes();
        let payload = Signed::parse(signed)?.open(Kind::Founding, scope, &officer.approval_key.p256())?;
        if payload == Self::agreement(bytes, &officer.name) { Ok(()) } else { Err(AgreementError::OtherFile) }
    }
}

pub(crate) fn unique(place: &str, names: impl Iterator<Item = String>) -> Result<(), FoundingError> {
    let mut seen = alloc::collections::BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(fault(format!("{place}.{name}"), "it stands there twice; keep one"));
        }
        seen.insert(name);
    }
    Ok(())
}
