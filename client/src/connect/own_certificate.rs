//! Our own certificate as we can judge it before the service does: whose it is, how long it holds, and whether the site's
//! CA signed it.
//!
//! Beside the TLS side because the chain is verified by the code that the service verifies it with. Of the certificate
//! only the validity and the key are read here, in the one place where X.509 puts them; it believes no name in it.

use super::tls;
use crate::{
    clock::moment,
    config::{ClientConfig, ConfigError},
    own_name::{self, OwnName},
};
use keysvc_protocol::{bytes::Digest, hash::sha256, trust::TrustDomain};
use rustls::{
    RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, UnixTime},
    server::WebPkiClientVerifier,
};
use std::{sync::Arc, time::Duration};

/// Our certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCertificate {
    /// What it calls us; nothing where it has no name for this trust domain.
    pub name: Option<OwnName>,
    /// From when on it holds: milliseconds since 1970-01-01 UTC.
    pub not_before_ms: u64,
    /// Until when it holds, same clock.
    pub not_after_ms: u64,
    /// SHA-256 of its key's `SubjectPublicKeyInfo`: what the enrolment pins.
    pub tls_key: Digest,
    /// Why the configured CA does not vouch for it, at a time when it holds; nothing where it does.
    pub distrusted: Option<String>,
}

impl OwnCertificate {
    /// Reads the certificate that the configuration names, with its key and the CA.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file that does not read, or a key that is not the certificate's.
    pub fn read(config: &ClientConfig, domain: &TrustDomain) -> Result<Self, ConfigError> {
        // That the key is the certificate's is seen where both are put together.
        tls::client_config(config)?;
        let odd = || ConfigError::content(&config.certificate, "not a certificate as RFC 5280 has it");
        let chain = tls::certificates(&config.certificate)?;
        let (own, others) = chain.split_first().ok_or_else(odd)?;
        let parts = Parts::of(own).ok_or_else(odd)?;
        Ok(Self {
            name: own_name::read(&config.certificate, domain)?,
            not_before_ms: parts.not_before_ms,
            not_after_ms: parts.not_after_ms,
            tls_key: sha256(&[parts.spki]),
            distrusted: distrusted(tls::certificates(&config.ca)?, own, others, parts.not_before_ms),
        })
    }
}

/// Verifies the chain as the service does, at a time when the certificate holds.
fn distrusted(
    ca: Vec<CertificateDer<'static>>,
    own: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    at_ms: u64,
) -> Option<String> {
    let mut roots = RootCertStore::empty();
    for certificate in ca {
        roots.add(certificate).ok()?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let at = UnixTime::since_unix_epoch(Duration::from_millis(at_ms));
    match verifier.build() {
        Ok(verifier) => verifier.verify_client_cert(own, others, at).err().map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// What is read of a certificate.
struct Parts<'a> {
    not_before_ms: u64,
    not_after_ms: u64,
    spki: &'a [u8],
}

impl<'a> Parts<'a> {
    /// `Certificate` and `TBSCertificate` of RFC 5280 section 4.1, as far as the key.
    fn of(der: &'a [u8]) -> Option<Self> {
        let certificate = Element::first(der)?.within(SEQUENCE)?;
        let mut rest = Element::first(certificate)?.within(SEQUENCE)?;
        if rest.first() == Some(&VERSION) {
            rest = Element::first(rest)?.rest;
        }
        // Serial number, signature algorithm, issuer.
        for _ in 0..3 {
            rest = Element::first(rest)?.rest;
        }
        let validity = Element::first(rest)?;
        let (from, to) = {
            let from = Element::first(validity.within(SEQUENCE)?)?;
            (from.time_ms()?, Element::first(from.rest)?.time_ms()?)
        };
        let subject = Element::first(validity.rest)?;
        let spki = Element::first(subject.rest)?;
        spki.within(SEQUENCE)?;
        Some(Self { not_before_ms: from, not_after_ms: to, spki: spki.whole })
    }
}

const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT Version`.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// One element of DER (X.690), and what comes after it.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let (&tag, after) = bytes.split_first()?;
        let (&first, after) = after.split_first()?;
        let (len, after) = match first {
            short @ 0..=0x7f => (usize::from(short), after),
            // Up to 65,535 bytes: a certificate has a few thousand.
            0x81 | 0x82 => {
                let (len, after) = after.split_at_checked(usize::from(first & 0x0f))?;
                (len.iter().fold(0, |len: usize, byte| len << 8 | usize::from(*byte)), after)
            }
            _ => return None,
        };
        let (content, rest) = after.split_at_checked(len)?;
        let whole = bytes.get(..bytes.len().checked_sub(rest.len())?)?;
        Some(Self { tag, content, whole, rest })
    }

    fn within(&self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }

    /// RFC 5280 section 4.1.2.5: seconds are there, the zone is Z, and two-digit years from 50 on are of 1900.
    fn time_ms(&self) -> Option<u64> {
        let text = str::from_utf8(self.content).ok()?;
        let (year, rest) = match self.tag {
            UTC_TIME => {
                let (year, rest) = text.split_at_checked(2)?;
                let year: u64 = year.parse().ok()?;
                (if year < 50 { year.checked_add(2000)? } else { year.checked_add(1900)? }, rest)
            }
            GENERALIZED_TIME => {
                let (year, rest) = text.split_at_checked(4)?;
                (year.parse().ok()?, rest)
            }
            _ => return None,
        };
        let rest = rest.strip_suffix('Z')?.as_bytes();
        let parts: Option<Vec<u64>> =
            rest.chunks(2).map(|two| str::from_utf8(two).ok()?.parse().ok()).collect();
        let parts: [u64; 5] = parts?.try_into().ok()?;
        moment(year, parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::stand_in::StandIn;

    #[tokio::test]
    async fn a_certificate_of_the_sites_ca_is_trusted_and_says_how_long_it_holds() {
        let ground = StandIn::start(|_, _| unreachable!()).await;
        let config = ground.config();
        let own = OwnCertificate::read(&config, &"demo.keysvc.test".parse().unwrap()).unwrap();
        assert_eq!(own.distrusted, None);
        assert!(own.not_before_ms < own.not_after_ms, "{own:?}");
        // rcgen's certificates hold from 1975 to 4096 where nothing else is said.
        assert_eq!((own.not_before_ms, own.not_after_ms), (157_766_400_000, 67_090_118_400_000));
    }

    #[tokio::test]
    async fn a_certificate_of_another_ca_is_told_and_another_key_is_refused() {
        let (ground, other) =
            (StandIn::start(|_, _| unreachable!()).await, StandIn::start(|_, _| unreachable!()).await);
        let domain = "demo.keysvc.test".parse().unwrap();
        let stranger = ClientConfig { ca: other.config().ca, ..ground.config() };
        assert!(OwnCertificate::read(&stranger, &domain).unwrap().distrusted.is_some());
        let mixed = ClientConfig { key: other.config().key, ..ground.config() };
        assert!(matches!(OwnCertificate::read(&mixed, &domain), Err(ConfigError::Content { .. })));
    }

    #[test]
    fn times_of_both_forms_are_read_and_others_are_not() {
        let time = |tag: u8, text: &str| {
            let der = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
            Element::first(&der)?.time_ms()
        };
        assert_eq!(time(UTC_TIME, "261118110640Z"), Some(1_795_000_000_000));
        assert_eq!(time(GENERALIZED_TIME, "20261118110640Z"), Some(1_795_000_000_000));
        assert_eq!(time(UTC_TIME, "991231235959Z"), Some(946_684_799_000));
        for bad in ["2611181106Z", "261118110640+0100", "261318110640Z", "26111811064xZ", ""] {
            assert_eq!(time(UTC_TIME, bad), None, "{bad}");
        }
        assert!(Element::first(&[0x30, 0x84, 0, 0, 0, 1, 0]).is_none());
        assert!(Element::first(&[0x30, 5, 1]).is_none());
    }
}
