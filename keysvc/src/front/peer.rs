//! Who is on the other end: the one URI name and the key of a certificate that was verified.
//!
//! It trusts that the chain was verified, and looks at what the library's verification leaves out: key usages, a missing
//! extended key usage, and serial numbers that no authority may give. Whether the name and the key are enrolled is the
//! other half's affair.

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

/// Longest serial number, in bytes (RFC 5280 section 4.1.2.2); with the zero byte that keeps it positive, one more.
const SERIAL_BYTES_MAX: usize = 20;

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
    /// Its key is not for a client's signatures alone.
    #[error(
        "the certificate's keyUsage is not digitalSignature without a CA's, or its extendedKeyUsage not clientAuth"
    )]
    OtherUse,
    /// Its serial number is zero, negative or too long: no list could name it.
    #[error("the certificate's serial number is not positive or is longer than 20 bytes")]
    OtherSerial,
    /// A certificate it came with may not sign others.
    #[error("a certificate beside it is not one of a CA by its keyUsage")]
    OtherIssuer,
}

/// Reads a verified leaf certificate (DER) and those that it came with.
pub(super) fn identify(leaf: &[u8], beside: &[impl AsRef<[u8]>], domain: &TrustDomain) -> Identity {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else {
        return Identity { key_digest: sha256(&[leaf]), peer: Err(NotAPeer::Unreadable), is_officer: false };
    };
    let key_digest = sha256(&[certificate.public_key().raw]);
    let form = form(&certificate).and_then(|()| beside.iter().try_for_each(|one| issuer(one.as_ref())));
    match form.and_then(|()| name(&certificate, domain)) {
        Ok((uri, kind)) => Identity {
            key_digest,
            peer: Ok(Arc::new(Peer { key_digest, uri, serial: serial(certificate.raw_serial()) })),
            is_officer: kind == PrincipalKind::Officer,
        },
        Err(fault) => Identity { key_digest, peer: Err(fault), is_officer: false },
    }
}

/// What a leaf must be beside its name (RFC 5280 sections 4.1.2.2, 4.2.1.3 and 4.2.1.12; X509-SVID section 4).
fn form(certificate: &X509Certificate<'_>) -> Result<(), NotAPeer> {
    let usage = certificate.key_usage().map_err(|_| NotAPeer::Unreadable)?.ok_or(NotAPeer::OtherUse)?.value;
    let purposes = certificate.extended_key_usage().map_err(|_| NotAPeer::Unreadable)?;
    let signs = usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign();
    if !signs || !purposes.is_some_and(|purposes| purposes.value.client_auth) {
        return Err(NotAPeer::OtherUse);
    }
    let serial = certificate.raw_serial();
    let number = serial.strip_prefix(&[0]).unwrap_or(serial);
    let is_negative = serial.first().is_some_and(|first| first & 0x80 != 0);
    let good = !is_negative && number.iter().any(|byte| *byte != 0) && number.len() <= SERIAL_BYTES_MAX;
    if good { Ok(()) } else { Err(NotAPeer::OtherSerial) }
}

/// An intermediate that says what its key is for must say that it is for signing certificates.
fn issuer(certificate: &[u8]) -> Result<(), NotAPeer> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| NotAPeer::OtherIssuer)?;
    match certificate.key_usage() {
        Ok(usage) if usage.as_ref().is_none_or(|usage| usage.value.key_cert_sign()) => Ok(()),
        _ => Err(NotAPeer::OtherIssuer),
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
    use rcgen::{
        CertificateParams, ExtendedKeyUsagePurpose as Purpose, KeyPair, KeyUsagePurpose as Usage,
        PublicKeyData as _, SanType, SerialNumber,
    };

    const ALONE: [&[u8]; 0] = [];

    fn domain() -> TrustDomain {
        "demo.test".parse().unwrap()
    }

    fn params(names: Vec<SanType>) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.serial_number = Some(SerialNumber::from(vec![0x01, 0xab]));
        params.key_usages = vec![Usage::DigitalSignature];
        params.extended_key_usages = vec![Purpose::ClientAuth];
        params
    }

    fn identity(names: Vec<SanType>) -> (Identity, Digest) {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names).self_signed(&key).unwrap();
        let digest = sha256(&[&key.subject_public_key_info()]);
        (identify(certificate.der(), &ALONE, &domain()), digest)
    }

    /// What a certificate with a good name comes to that was changed.
    fn changed(change: impl FnOnce(&mut CertificateParams)) -> Result<Arc<Peer>, NotAPeer> {
        let mut params = params(vec![uri("spiffe://demo.test/terminal/t1")]);
        change(&mut params);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        identify(certificate.der(), &ALONE, &domain()).peer
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
    fn a_key_that_is_not_for_a_clients_signatures_names_nobody() {
        let usages =
            [vec![], vec![Usage::KeyEncipherment], vec![Usage::DigitalSignature, Usage::KeyCertSign]];
        for usages in usages {
            assert_eq!(changed(|params| params.key_usages = usages), Err(NotAPeer::OtherUse));
        }
        for purposes in [vec![], vec![Purpose::ServerAuth], vec![Purpose::Any]] {
            assert_eq!(changed(|params| params.extended_key_usages = purposes), Err(NotAPeer::OtherUse));
        }
        let both = vec![Usage::DigitalSignature, Usage::KeyAgreement];
        assert!(changed(|params| params.key_usages = both).is_ok());
    }

    #[test]
    fn a_serial_number_that_no_authority_may_give_names_nobody() {
        for serial in [vec![0], vec![0, 0], vec![1; 21]] {
            let changed = changed(|params| params.serial_number = Some(SerialNumber::from(serial.clone())));
            assert_eq!(changed, Err(NotAPeer::OtherSerial), "{serial:?}");
        }
        for serial in [vec![1], vec![0xff; 20]] {
            assert!(changed(|params| params.serial_number = Some(SerialNumber::from(serial))).is_ok());
        }
    }

    #[test]
    fn an_issuer_beside_it_must_be_one_by_its_key_usage() {
        let leaf = params(vec![uri("spiffe://demo.test/terminal/t1")]);
        let leaf = leaf.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let beside = |usages: Vec<Usage>| {
            let mut params = CertificateParams::default();
            params.key_usages = usages;
            let issuer = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            identify(leaf.der(), &[issuer.der()], &domain()).peer.map(drop)
        };
        assert_eq!(beside(vec![Usage::DigitalSignature]), Err(NotAPeer::OtherIssuer));
        assert_eq!(beside(vec![Usage::CrlSign, Usage::KeyCertSign]), Ok(()));
        assert_eq!(beside(vec![]), Ok(()));
    }

    #[test]
    fn bytes_that_are_no_certificate_name_nobody() {
        let identity = identify(b"not a certificate", &ALONE, &domain());
        assert_eq!(identity.peer, Err(NotAPeer::Unreadable));
    }
}
