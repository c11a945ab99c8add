//! The name in our own certificate: `spiffe://TRUST-DOMAIN/KIND/NAME`.
//!
//! For those who were enrolled, or got other keys, after the founding: leaf 0 does not tell their names. The service
//! compares this name with the enrolment, so a wrong one is found there. The certificate is ours and part of the
//! configuration, so its one URI is looked for and nothing else in it is read.

use crate::config::ConfigError;
use base64ct::{Base64, Encoding as _};
use keysvc_protocol::{name::Name, trust::TrustDomain};
use std::{fs, path::Path};

/// Largest certificate file, in bytes: a chain of four certificates of 4 KiB each, in base64.
const FILE_LEN_MAX: usize = 24 * 1024;

/// What our certificate calls us, and the kind of principal it calls us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnName {
    /// The kind, such as `officer`.
    pub kind: String,
    /// The name.
    pub name: Name,
}

/// Reads the name out of the first certificate of a PEM file; nothing where it has none for this trust domain.
///
/// # Errors
/// [`ConfigError`] when the file cannot be read.
pub(crate) fn read(path: &Path, domain: &TrustDomain) -> Result<Option<OwnName>, ConfigError> {
    let pem = fs::read(path).map_err(|error| ConfigError::unreadable(path, &error))?;
    let text = pem.get(..pem.len().min(FILE_LEN_MAX)).and_then(|pem| str::from_utf8(pem).ok());
    Ok(text.and_then(first_certificate).and_then(|der| in_certificate(&der, domain)))
}

fn first_certificate(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (base64, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let base64: String = base64.split_ascii_whitespace().collect();
    Base64::decode_vec(&base64).ok()
}

/// The URI name (RFC 5280 section 4.2.1.6: tag 6 of a `GeneralName`, context-specific and primitive) that begins as ours
/// does.
fn in_certificate(der: &[u8], domain: &TrustDomain) -> Option<OwnName> {
    let start = format!("spiffe://{domain}/");
    let uris = der.windows(2).enumerate().filter_map(|(place, head)| {
        let [0x86, len] = head else { return None };
        let begin = place.checked_add(2)?;
        let uri = der.get(begin..begin.checked_add(usize::from(*len))?)?;
        str::from_utf8(uri).ok()?.strip_prefix(&start)
    });
    let mut names = uris.filter_map(|rest| {
        let (kind, name) = rest.split_once('/')?;
        Some(OwnName { kind: kind.to_owned(), name: name.parse().ok()? })
    });
    names.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn certificate(uri: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let mut params = CertificateParams::new(["host.test".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        let pem = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls.crt");
        fs::write(&path, pem).unwrap();
        (folder, path)
    }

    fn named(uri: &str) -> Option<OwnName> {
        let (_folder, path) = certificate(uri);
        read(&path, &"demo.keysvc.test".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_certificate_says_who_we_are_in_its_own_trust_domain() {
        let own = named("spiffe://demo.keysvc.test/officer/officer-4").unwrap();
        assert_eq!((own.kind.as_str(), own.name.as_str()), ("officer", "officer-4"));
        assert_eq!(named("spiffe://other.test/officer/officer-4"), None);
        assert_eq!(named("spiffe://demo.keysvc.test/officer/Not_A_Name"), None);
    }

    #[test]
    fn a_file_that_is_no_certificate_names_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls.crt");
        fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").unwrap();
        assert_eq!(read(&path, &"demo.keysvc.test".parse().unwrap()).unwrap(), None);
        assert!(read(&folder.path().join("none"), &"demo.keysvc.test".parse().unwrap()).is_err());
    }
}
