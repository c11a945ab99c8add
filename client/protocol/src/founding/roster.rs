//! Officers and principals in the founding file.

use super::{
    DEPARTMENTS_MAX, FoundingError, OFFICERS_MAX, P256Text, SubjectPublicKeyInfo, fault, text, unique,
};
use crate::{bytes::Digest, name::Name};
use alloc::{
    collections::BTreeSet,
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
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Station,
        Self::Terminal,
        Self::Officer,
        Self::Operator,
        Self::Office,
        Self::Auditor,
        Self::Platform,
    ];

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
    let departments: BTreeSet<_> = officers.iter().map(|officer| &officer.department).collect();
    if departments.len() > DEPARTMENTS_MAX {
        return Err(fault(
            "officers.department",
            format!("they are of {} departments; at most {DEPARTMENTS_MAX} do", departments.len()),
        ));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bytes::from_hex, public_key::PublicKey};
    use p256::ecdsa::SigningKey;
    use proptest::prelude::*;

    /// Officers of these departments, each with keys of their own.
    fn officers(departments: impl Iterator<Item = usize>) -> Vec<Officer> {
        let officer = |(number, department): (u8, usize)| {
            let signing = SigningKey::from_slice(&[number; 32]).unwrap();
            let mut spki = from_hex("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
            spki.extend_from_slice(signing.verifying_key().to_encoded_point(false).as_bytes());
            Officer {
                name: format!("officer-{number}").parse().unwrap(),
                department: format!("department-{department}").parse().unwrap(),
                tls_key: Digest::new([number; 32]),
                approval_key: P256Text::new(PublicKey::from_spki(&spki).unwrap()),
            }
        };
        (1..).zip(departments).map(officer).collect()
    }

    #[test]
    fn a_ninth_department_is_refused_and_a_ninth_officer_is_not() {
        assert_eq!(check(&officers(0..8), &[]), Ok(()));
        assert_eq!(check(&officers((0..9).map(|number| number % 8)), &[]), Ok(()));
        let error = check(&officers(0..9), &[]).unwrap_err();
        assert_eq!(error.to_string(), "officers.department: they are of 9 departments; at most 8 do");
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: BTreeSet<_> = PrincipalKind::ALL.map(PrincipalKind::name).into();
        assert_eq!(names.len(), PrincipalKind::ALL.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn officers_pass_if_and_only_if_they_and_their_departments_are_few_enough(
            departments in proptest::collection::vec(0_usize..12, 0..36),
        ) {
            let distinct = departments.iter().collect::<BTreeSet<_>>().len();
            let few = (2..=32).contains(&departments.len()) && distinct <= 8;
            prop_assert_eq!(check(&officers(departments.into_iter()), &[]).is_ok(), few);
        }
    }
}
