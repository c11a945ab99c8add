//! Officers and principals in the founding file.

use super::{FoundingError, OFFICERS_MAX, P256Text, SubjectPublicKeyInfo, fault, text, unique};
use crate::{bytes::Digest, name::Name};
use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::fmt;
use serde::{Deserialize, Serialize};

/// What a principal is. The last but one part of its certificate's URI name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrincipalKind {
    /// A personalization station.
    Station,
    /// A terminal.
    Terminal,
    /// A security officer.
    Officer,
    /// An operator at a station.
    Operator,
    /// A store or headquarters office.
    Office,
    /// An auditor.
    Auditor,
    /// The platform's own people and monitors.
    Platform,
}

impl PrincipalKind {
    /// Its name in certificates and policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Station => "station",
            Self::Terminal => "terminal",
            Self::Officer => "officer",
            Self::Operator => "operator",
            Self::Office => "office",
            Self::Auditor => "auditor",
            Self::Platform => "platform",
        }
    }
}

impl fmt::Display for PrincipalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An officer: a person who signs with the approval key in a card of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Officer {
    /// The officer's name.
    pub name: Name,
    /// The officer's department.
    pub department: Name,
    /// SHA-256 of the TLS key's `SubjectPublicKeyInfo`, hexadecimal.
    #[serde(with = "text::display")]
    pub tls_key: Digest,
    /// The approval key, base64 of its DER.
    pub approval_key: P256Text,
}

/// A machine or person other than an officer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Principal {
    /// Its name.
    pub id: Name,
    /// What it is.
    pub kind: PrincipalKind,
    /// Its organisation.
    pub organisation: Name,
    /// What it may do beyond its kind, as the site's policies name it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Name>,
    /// SHA-256 of the TLS key's `SubjectPublicKeyInfo`, hexadecimal.
    #[serde(with = "text::display")]
    pub tls_key: Digest,
    /// The statement key, base64 of its DER; for whoever changes something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_key: Option<P256Text>,
    /// The RSA wrapping key of a station, base64 of its DER, 3,072 bits or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapping_key: Option<SubjectPublicKeyInfo>,
}

/// Checks names, keys and what each kind must have. One key under two names would let one person count twice.
pub(super) fn check(officers: &[Officer], principals: &[Principal]) -> Result<(), FoundingError> {
    if officers.len() < 2 || officers.len() > OFFICERS_MAX {
        return Err(fault("officers", format!("name 2 to {OFFICERS_MAX} of them")));
    }
    let names = officers.iter().map(|officer| officer.name.to_string());
    unique("officers", names.chain(principals.iter().map(|principal| principal.id.to_string())))?;
    unique(
        "officers.approval-key",
        officers
            .iter()
            .map(|officer| signer(officer.approval_key))
            .chain(principals.iter().filter_map(|principal| principal.statement_key).map(signer)),
    )?;
    let pins = officers.iter().map(|officer| officer.tls_key.to_string());
    unique("tls-key", pins.chain(principals.iter().map(|principal| principal.tls_key.to_string())))?;
    principals.iter().try_for_each(check_principal)
}

fn signer(key: P256Text) -> String {
    key.p256().digest().to_string()
}

fn check_principal(principal: &Principal) -> Result<(), FoundingError> {
    let place = format!("principals.{}", principal.id);
    let signs = matches!(principal.kind, PrincipalKind::Station | PrincipalKind::Terminal);
    if principal.kind == PrincipalKind::Officer {
        return Err(fault(format!("{place}.kind"), "an officer stands under officers, with an approval key"));
    }
    if signs && principal.statement_key.is_none() {
        return Err(fault(format!("{place}.statement-key"), "it changes things, so it needs one"));
    }
    if (principal.kind == PrincipalKind::Station) != principal.wrapping_key.is_some() {
        return Err(fault(format!("{place}.wrapping-key"), "a station has one, and only a station"));
    }
    Ok(())
}
