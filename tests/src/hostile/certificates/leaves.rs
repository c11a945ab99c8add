//! Leaf certificates that are not right in something but their names.

use super::{Case, Expected, shown};
use crate::hostile::{
    der::{ALGORITHM, SERIAL, element},
    mint::{Authority, Mint, REVOKED, good_uri},
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose as Purpose, IsCa,
    KeyUsagePurpose as Usage, SerialNumber, date_time_ymd,
};
use rustls::AlertDescription::{
    CertificateExpired, CertificateRevoked, CertificateUnknown, DecodeError, DecryptError, UnknownCA,
    UnsupportedCertificate,
};
use std::time::{Duration, SystemTime};

/// ecdsa-with-SHA1 (RFC 3279 section 2.2.3), 1.2.840.10045.4.1, as an algorithm.
const SHA1: [u8; 11] = [0x30, 0x09, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
/// An identifier under a private arc that nobody knows.
const UNKNOWN: [u64; 9] = [1, 3, 6, 1, 4, 1, 99_999, 8, 1];

macro_rules! leaf {
    ($name:literal, $expected:expr, $change:expr) => {
        Case {
            name: $name,
            expected: $expected,
            make: |mint| {
                let change: fn(&mut CertificateParams) = $change;
                shown(mint, vec![mint.leaf(change)])
            },
        }
    };
}

fn from_now(seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { SystemTime::now() - by } else { SystemTime::now() + by }
}

fn extension(content: Vec<u8>, critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&UNKNOWN, content);
    extension.set_criticality(critical);
    extension
}

/// A second extension of names beside the first: the good name again.
fn names_again() -> CustomExtension {
    let name = element(0x86, good_uri().as_bytes());
    CustomExtension::from_oid_content(&[2, 5, 29, 17], element(0x30, &name))
}

fn by(mint: &Mint, authority: &Authority) -> Vec<Vec<u8>> {
    vec![mint.leaf_of(authority, |_| {})]
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an unknown authority",
        expected: Expected::Alert(UnknownCA),
        make: |mint| shown(mint, by(mint, &Authority::root("somebody"))),
    },
    Case {
        name: "an authority of the same name with another key",
        expected: Expected::Alert(DecryptError),
        make: |mint| shown(mint, by(mint, &Authority::root(&mint.name))),
    },
    Case {
        name: "self-signed",
        expected: Expected::Alert(UnknownCA),
        make: |mint| shown(mint, vec![mint.right().self_signed(&mint.key).unwrap().der().to_vec()]),
    },
    Case {
        name: "self-signed in the authority's name",
        expected: Expected::Alert(DecryptError),
        make: |mint| {
            let mut params = mint.right();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, mint.name.as_str());
            shown(mint, vec![params.self_signed(&mint.key).unwrap().der().to_vec()])
        },
    },
    leaf!("expired long ago", Expected::Alert(CertificateExpired), |params| params.not_after =
        date_time_ymd(2020, 1, 1)),
    leaf!("expired two seconds ago", Expected::Alert(CertificateExpired), |params| params.not_after =
        from_now(-2).into()),
    leaf!("not valid for a minute yet", Expected::Alert(CertificateExpired), |params| params.not_before =
        from_now(60).into()),
    leaf!("valid from the year 4000", Expected::Alert(CertificateExpired), |params| {
        params.not_before = date_time_ymd(4000, 1, 1);
        params.not_after = date_time_ymd(4001, 1, 1);
    }),
    leaf!("ends before it begins", Expected::Alert(CertificateExpired), |params| {
        params.not_before = from_now(3_600).into();
        params.not_after = from_now(-3_600).into();
    }),
    leaf!("revoked", Expected::Alert(CertificateRevoked), |params| params.serial_number =
        Some(SerialNumber::from(REVOKED))),
    leaf!("for servers alone", Expected::Alert(UnsupportedCertificate), |params| {
        params.extended_key_usages = vec![Purpose::ServerAuth];
    }),
    leaf!("for any purpose, by that word", Expected::Alert(UnsupportedCertificate), |params| {
        params.extended_key_usages = vec![Purpose::Any];
    }),
    leaf!("for a purpose that nobody knows", Expected::Alert(UnsupportedCertificate), |params| {
        params.extended_key_usages = vec![Purpose::Other(UNKNOWN.to_vec())];
    }),
    leaf!("for no purpose", Expected::Nobody, |params| params.extended_key_usages = vec![]),
    leaf!("with a key for encryption alone", Expected::Nobody, |params| params.key_usages =
        vec![Usage::KeyEncipherment]),
    leaf!("with a key for key agreement alone", Expected::Nobody, |params| params.key_usages =
        vec![Usage::KeyAgreement]),
    leaf!("with a key of no usage", Expected::Nobody, |params| params.key_usages = vec![]),
    leaf!("with a key for signing certificates too", Expected::Nobody, |params| {
        params.key_usages = vec![Usage::DigitalSignature, Usage::KeyCertSign];
    }),
    leaf!("an authority's certificate by its constraints", Expected::Alert(CertificateUnknown), |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    }),
    leaf!("with an unknown critical extension", Expected::Alert(CertificateUnknown), |params| {
        params.custom_extensions.push(extension(vec![5, 0], true));
    }),
    leaf!("with its names twice", Expected::Alert(CertificateUnknown), |params| {
        params.custom_extensions.push(names_again());
    }),
    leaf!("with an extension of 100 KiB", Expected::AlertOrClosed(DecodeError), |params| {
        params.custom_extensions.push(extension(vec![7; 100 * 1024], false));
    }),
    leaf!("with a serial number of 40 bytes", Expected::Nobody, |params| {
        params.serial_number = Some(SerialNumber::from(vec![1; 40]));
    }),
    leaf!("with the serial number 0", Expected::Nobody, |params| {
        params.serial_number = Some(SerialNumber::from(vec![0]));
    }),
    Case {
        name: "with a negative serial number",
        expected: Expected::Nobody,
        make: |mint| {
            let negative = element(2, &[0x81, 0x23]);
            shown(mint, vec![mint.remade(|certificate| certificate.fields[SERIAL] = negative)])
        },
    },
    Case {
        name: "version 1",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| {
            let old = mint.remade(|certificate| {
                certificate.fields.remove(0);
                certificate.fields.pop();
            });
            shown(mint, vec![old])
        },
    },
    Case {
        name: "version 2",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| {
            let version = element(0xa0, &element(2, &[1]));
            shown(mint, vec![mint.remade(|certificate| certificate.fields[0] = version)])
        },
    },
    Case {
        name: "signed over a SHA-1 digest, by its word",
        expected: Expected::Alert(DecryptError),
        make: |mint| {
            let weak = mint.remade(|certificate| {
                certificate.fields[ALGORITHM] = SHA1.to_vec();
                certificate.algorithm = SHA1.to_vec();
            });
            shown(mint, vec![weak])
        },
    },
    Case {
        name: "with two algorithms, one signed and one beside the signature",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| shown(mint, vec![mint.remade(|certificate| certificate.algorithm = SHA1.to_vec())]),
    },
];
