//! Certificates with what stands between them and an authority; and what is served although it looks odd.

use super::{Case, Expected, shown};
use crate::hostile::handshake::Shown;
use crate::hostile::mint::{Authority, Mint, REVOKED_MIDDLE, uri};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose as Purpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose as Usage, NameConstraints, SanType, SerialNumber, date_time_ymd,
};
use rustls::AlertDescription::{
    BadCertificate, CertificateExpired, CertificateRevoked, CertificateUnknown, DecodeError, DecryptError,
    UnknownCA, UnsupportedCertificate,
};

/// A leaf below this intermediate, with its certificate.
fn below(mint: &Mint, middle: &Authority) -> Shown {
    shown(mint, vec![mint.leaf_of(middle, |_| {}), middle.der.clone()])
}

/// Below an intermediate of the wide authority whose certificate was changed.
fn below_changed(mint: &Mint, change: impl FnOnce(&mut CertificateParams)) -> Shown {
    below(mint, &mint.wide.renewed(&mint.middle, change))
}

fn constrained(permitted: Vec<GeneralSubtree>, excluded: Vec<GeneralSubtree>) -> Option<NameConstraints> {
    Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded })
}

fn host(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// Below an intermediate with such constraints, with these names beside the good one.
fn below_constraints(mint: &Mint, constraints: Option<NameConstraints>, names: Vec<SanType>) -> Shown {
    let middle = mint.wide.renewed(&mint.middle, |params| params.name_constraints = constraints);
    let leaf = mint.leaf_of(&middle, |params| params.subject_alt_names.extend(names));
    shown(mint, vec![leaf, middle.der])
}

/// A leaf below so many intermediates.
fn deep(mint: &Mint, count: usize) -> Shown {
    let ladder = &mint.ladder[..count];
    let leaf = mint.leaf_of(&ladder[count - 1], |_| {});
    shown(mint, std::iter::once(leaf).chain(ladder.iter().rev().map(|one| one.der.clone())).collect())
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "ten intermediates",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| deep(mint, 10),
    },
    Case {
        name: "an intermediate of the site's authority without a list of its own",
        expected: Expected::Alert(UnknownCA),
        make: |mint| below(mint, &mint.site.below("site's middle", |_| {})),
    },
    Case {
        name: "an intermediate below one that may have none",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| {
            let last =
                |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            let first = mint.wide.renewed(&mint.ladder[0], last);
            let second = &mint.ladder[1];
            shown(mint, vec![mint.leaf_of(second, |_| {}), second.der.clone(), first.der])
        },
    },
    Case {
        name: "an intermediate that is no authority by its constraints",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| below_changed(mint, |params| params.is_ca = IsCa::ExplicitNoCa),
    },
    Case {
        name: "an intermediate that says nothing of being an authority",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| below_changed(mint, |params| params.is_ca = IsCa::NoCa),
    },
    Case {
        name: "an intermediate whose key may not sign certificates",
        expected: Expected::Nobody,
        make: |mint| {
            below_changed(mint, |params| params.key_usages = vec![Usage::DigitalSignature, Usage::CrlSign])
        },
    },
    Case {
        name: "an intermediate for servers alone",
        expected: Expected::Alert(UnsupportedCertificate),
        make: |mint| below_changed(mint, |params| params.extended_key_usages = vec![Purpose::ServerAuth]),
    },
    Case {
        name: "an intermediate that has expired",
        expected: Expected::Alert(CertificateExpired),
        make: |mint| below_changed(mint, |params| params.not_after = date_time_ymd(2020, 1, 1)),
    },
    Case {
        name: "an intermediate that is revoked",
        expected: Expected::Alert(CertificateRevoked),
        make: |mint| {
            below_changed(mint, |params| params.serial_number = Some(SerialNumber::from(REVOKED_MIDDLE)))
        },
    },
    Case {
        name: "an intermediate without a list of its own",
        expected: Expected::Alert(UnknownCA),
        make: |mint| below(mint, &mint.wide.below("unlisted middle", |_| {})),
    },
    Case {
        name: "an intermediate that is missing",
        expected: Expected::Alert(UnknownCA),
        make: |mint| shown(mint, vec![mint.leaf_of(&mint.middle, |_| {})]),
    },
    Case {
        name: "an intermediate of the right name with another key",
        expected: Expected::Alert(DecryptError),
        make: |mint| {
            shown(
                mint,
                vec![mint.leaf_of(&mint.wide.below("middle", |_| {}), |_| {}), mint.middle.der.clone()],
            )
        },
    },
    Case {
        name: "issued by another client's certificate",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| {
            let key = KeyPair::generate().unwrap();
            let mut params = mint.right();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, "terminal-2");
            let der = mint.site.certify(&params, &key);
            below(mint, &Authority::with("terminal-2", key, (&der, "")))
        },
    },
    Case {
        name: "a host name that an intermediate's constraints exclude",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| {
            let excluded = constrained(vec![], vec![GeneralSubtree::DnsName("evil.test".to_owned())]);
            below_constraints(mint, excluded, vec![host("a.evil.test")])
        },
    },
    Case {
        name: "a host name outside an intermediate's constraints",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| {
            let permitted = constrained(vec![GeneralSubtree::DnsName("good.test".to_owned())], vec![]);
            below_constraints(mint, permitted, vec![host("a.evil.test")])
        },
    },
    Case {
        name: "the authority's own certificate and key",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| Shown { key: mint.site.key(), ..shown(mint, vec![mint.site.der.clone()]) },
    },
    Case {
        name: "an intermediate's own certificate and key",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| Shown { key: mint.middle.key(), ..shown(mint, vec![mint.middle.der.clone()]) },
    },
    Case {
        name: "the authority first and the leaf behind it",
        expected: Expected::Alert(CertificateUnknown),
        make: |mint| shown(mint, vec![mint.site.der.clone(), mint.leaf(|_| {})]),
    },
    Case {
        name: "four hundred certificates",
        expected: Expected::AlertOrClosed(DecodeError),
        make: |mint| {
            let mut chain = vec![mint.leaf(|_| {})];
            chain.resize_with(400, || mint.wide.der.clone());
            shown(mint, chain)
        },
    },
    Case {
        name: "a garbled certificate behind the leaf",
        expected: Expected::Nobody,
        make: |mint| shown(mint, vec![mint.leaf(|_| {}), vec![0x30, 3, 1, 1, 0xff]]),
    },
    Case {
        name: "no certificate, but bytes",
        expected: Expected::Alert(BadCertificate),
        make: |mint| shown(mint, vec![b"not a certificate".to_vec()]),
    },
    Case {
        name: "a certificate of no bytes",
        expected: Expected::Alert(BadCertificate),
        make: |mint| shown(mint, vec![vec![]]),
    },
    Case {
        name: "a certificate without its last byte",
        expected: Expected::Alert(BadCertificate),
        make: |mint| {
            let mut leaf = mint.leaf(|_| {});
            leaf.pop();
            shown(mint, vec![leaf])
        },
    },
    Case {
        name: "a certificate with a byte behind it",
        expected: Expected::Alert(BadCertificate),
        make: |mint| shown(mint, vec![[mint.leaf(|_| {}), vec![0]].concat()]),
    },
];

/// What must be served.
pub const CONTROLS: &[Case] = &[
    Case {
        name: "a renewed certificate for the enrolled key",
        expected: Expected::Served,
        make: |mint| shown(mint, vec![mint.leaf(|_| {})]),
    },
    Case {
        name: "with the authority's certificate behind it",
        expected: Expected::Served,
        make: |mint| shown(mint, vec![mint.leaf(|_| {}), mint.site.der.clone()]),
    },
    Case {
        name: "with another authority's certificate behind it",
        expected: Expected::Served,
        make: |mint| shown(mint, vec![mint.leaf(|_| {}), Authority::root("somebody").der]),
    },
    Case {
        name: "below an intermediate that has its list",
        expected: Expected::Served,
        make: |mint| below(mint, &mint.middle),
    },
    Case { name: "below three intermediates", expected: Expected::Served, make: |mint| deep(mint, 3) },
    Case {
        name: "the good URI name among 99 host names",
        expected: Expected::Served,
        make: |mint| {
            let mut names: Vec<_> = (0..99).map(|number| host(&format!("h{number}.test"))).collect();
            names.insert(50, uri(&crate::hostile::mint::good_uri()));
            shown(mint, vec![mint.leaf(|params| params.subject_alt_names = names)])
        },
    },
    Case {
        name: "for servers and clients",
        expected: Expected::Served,
        make: |mint| {
            let both = vec![Purpose::ServerAuth, Purpose::ClientAuth];
            shown(mint, vec![mint.leaf(|params| params.extended_key_usages = both)])
        },
    },
    Case {
        name: "with a serial number of 20 bytes",
        expected: Expected::Served,
        make: |mint| {
            let serial = SerialNumber::from(vec![0x7f; 20]);
            shown(mint, vec![mint.leaf(|params| params.serial_number = Some(serial))])
        },
    },
    Case {
        name: "with an unknown extension that is not critical",
        expected: Expected::Served,
        make: |mint| {
            let unknown =
                rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 9], vec![5, 0]);
            shown(mint, vec![mint.leaf(|params| params.custom_extensions.push(unknown))])
        },
    },
];
