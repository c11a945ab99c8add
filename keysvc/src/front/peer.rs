//! Who is on the other end: the one URI name and the key of a certificate that was verified.
//!
//! It trusts that the chain was verified; whether the name and the key are enrolled is the other half's affair.

use crate::link::{Peer, SERIAL_LEN_MAX, URI_LEN_MAX};
use keysvc_protocol::{bytes::Digest, founding::PrincipalKind, hash::sha256, name::Name, trust::TrustDomain};
use std::{fmt::Write as _, sync::Arc};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

/// Who is on the other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// SHA-256 of the certificate's key, or of the whole certificate where it cannot be read.
    pub(super) key_digest: Digest,
    /// The peer, or why it is none: every request is then refused.
    pub(super) peer: Result<Arc<Peer>, NotAPeer>,
    /// Whether it says it is an officer. Chooses the pool of places, nothing else.
    pub(super) is_officer: bool,
}

/// Why a verified certificate names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAPeer {
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// It has no URI name, or more than one.
    #[error("the certificate has not exactly one URI name")]
    NotOneName,
    /// The name is not `spiffe://<trust domain>/<kind>/<name>`.
    #[error("the certificate's URI name is not of this trust domain, a kind and a name")]
    OtherName,
}

/// Reads a verified leaf certificate (DER).
pub(super) fn identify(leaf: &[u8], domain: &TrustDomain) -> Identity {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
        return Identity { key_digest: sha256(&[leaf]), peer: Err(NotAPeer::Unreadable), is_officer: false };
    };
    let key_digest = sha256(&[certificate.public_key().raw]);
    match name(&certificate, domain) {
        Ok((uri, kind)) => Identity {
            key_digest,
            peer: Ok(Arc::new(Peer { key_digest, uri, serial: serial(certificate.raw_serial()) })),
            is_officer: kind == PrincipalKind::Officer,
        },
        Err(fault) => Identity { key_digest, peer: Err(fault), is_officer: false },
    }
}

fn name(
    certificate: &X509Certificate<'_>,
    domain: &TrustDomain,
) -> Result<(String, PrincipalKind), NotAPeer> {
    let names = certificate.subject_alternative_name().map_err(|_| NotAPeer::Unreadable)?;
    let names = names.ok_or(NotAPeer::NotOneName)?;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let (Some(uri), None) = (uris.next(), uris.next()) else { return Err(NotAPeer::NotOneName) };
    let kind = kind(uri, domain).ok_or(NotAPeer::OtherName)?;
    Ok((uri.to_owned(), kind))
}

/// The kind in `spiffe://<trust domain>/<kind>/<name>`; nothing for any other URI.
fn kind(uri: &str, domain: &TrustDomain) -> Option<PrincipalKind> {
    use PrincipalKind::{Auditor, Office, Officer, Operator, Platform, Station, Terminal};
    let path = uri.strip_prefix("spiffe://")?.strip_prefix(domain.as_str())?.strip_prefix('/')?;
    let (kind, name) = path.split_once('/')?;
    let kinds = [Station, Terminal, Officer, Operator, Office, Auditor, Platform];
    let kind = kinds.into_iter().find(|known| known.name() == kind)?;
    (uri.len() <= URI_LEN_MAX && name.parse::<Name>().is_ok()).then_some(kind)
}

fn serial(bytes: &[u8]) -> String {
    bytes.iter().take(SERIAL_LEN_MAX / 2).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _, SanType, SerialNumber};

    fn identity(names: Vec<SanType>) -> (Identity, Digest) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.serial_number = Some(SerialNumber::from(vec![0x01, 0xab]));
        let certificate = params.self_signed(&key).unwrap();
        let digest = sha256(&[&key.subject_public_key_info()]);
        (identify(certificate.der(), &"demo.test".parse().unwrap()), digest)
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    #[test]
    fn one_name_of_the_trust_domain_names_a_peer_and_its_key() {
        let (identity, digest) = identity(vec![
            SanType::DnsName("t1.demo.test".try_into().unwrap()),
            uri("spiffe://demo.test/terminal/t1"),
        ]);
        let peer = Peer {
            key_digest: digest,
            uri: "spiffe://demo.test/terminal/t1".to_owned(),
            serial: "01ab".to_owned(),
        };
        assert_eq!(identity.peer, Ok(Arc::new(peer)));
        assert_eq!((identity.key_digest, identity.is_officer), (digest, false));
    }

    #[test]
    fn an_officer_is_known_by_the_name() {
        assert!(identity(vec![uri("spiffe://demo.test/officer/ada")]).0.is_officer);
    }

    #[test]
    fn no_name_or_two_names_name_nobody() {
        let two = vec![uri("spiffe://demo.test/terminal/t1"), uri("spiffe://demo.test/terminal/t2")];
        for names in [Vec::new(), vec![SanType::DnsName("demo.test".try_into().unwrap())], two] {
            let (identity, digest) = identity(names);
            assert_eq!(identity.peer, Err(NotAPeer::NotOneName));
            assert_eq!(identity.key_digest, digest);
        }
    }

    #[test]
    fn a_name_of_another_form_names_nobody() {
        for text in [
            "spiffe://other.test/terminal/t1",
            "spiffe://demo.test.evil/terminal/t1",
            "spiffe://demo.testterminal/t1",
            "https://demo.test/terminal/t1",
            "spiffe://demo.test/terminal",
            "spiffe://demo.test/terminal/",
            "spiffe://demo.test/terminal/T1",
            "spiffe://demo.test/terminal/t1/x",
            "spiffe://demo.test/root/t1",
            "spiffe://demo.test/terminal/t1?x",
            "SPIFFE://demo.test/terminal/t1",
        ] {
            assert_eq!(identity(vec![uri(text)]).0.peer, Err(NotAPeer::OtherName), "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_name_nobody() {
        let identity = identify(b"not a certificate", &"demo.test".parse().unwrap());
        assert_eq!(identity.peer, Err(NotAPeer::Unreadable));
    }
}
