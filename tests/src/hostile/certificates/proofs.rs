//! Right certificates whose owner does not show that it has the key, no certificate, and older protocols.

use super::{Case, Expected, shown};
use crate::hostile::{
    der::Certificate,
    handshake::{Proof, Shown, old_hello},
};
use rcgen::KeyPair;
use rustls::AlertDescription::{CertificateRequired, DecryptError, ProtocolVersion};

macro_rules! old {
    ($name:literal, $version:expr) => {
        Case {
            name: $name,
            expected: Expected::Alert(ProtocolVersion),
            make: |mint| Shown { instead: Some(old_hello($version)), ..shown(mint, vec![]) },
        }
    };
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "no certificate",
        expected: Expected::Alert(CertificateRequired),
        make: |mint| shown(mint, vec![]),
    },
    Case {
        name: "a right certificate and another key's proof",
        expected: Expected::Alert(DecryptError),
        make: |mint| {
            let other = KeyPair::generate().unwrap().serialize_der();
            Shown { key: other, ..shown(mint, vec![mint.leaf(|_| {})]) }
        },
    },
    Case {
        name: "a right certificate and a damaged proof",
        expected: Expected::Alert(DecryptError),
        make: |mint| Shown { proof: Proof::Damaged, ..shown(mint, vec![mint.leaf(|_| {})]) },
    },
    Case {
        name: "a right certificate and a proof over another handshake",
        expected: Expected::Alert(DecryptError),
        make: |mint| Shown { proof: Proof::OfAnother, ..shown(mint, vec![mint.leaf(|_| {})]) },
    },
    Case {
        name: "a bit of the signature turned",
        expected: Expected::Alert(DecryptError),
        make: |mint| {
            let mut certificate = Certificate::read(&mint.leaf(|_| {}));
            if let Some(last) = certificate.signature.last_mut() {
                *last ^= 1;
            }
            shown(mint, vec![certificate.der()])
        },
    },
    Case {
        name: "a bit of what is signed turned",
        expected: Expected::Alert(DecryptError),
        make: |mint| {
            let mut certificate = Certificate::read(&mint.leaf(|_| {}));
            certificate.replace(b"/terminal-1", b"/terminal-2");
            shown(mint, vec![certificate.der()])
        },
    },
    old!("TLS 1.2 alone", [3, 3]),
    old!("TLS 1.1 alone", [3, 2]),
    old!("TLS 1.0 alone", [3, 1]),
    old!("SSL 3 alone", [3, 0]),
];
