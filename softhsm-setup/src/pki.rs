//! A development site's certification authority: certificates with SPIFFE names, and revocation lists (RFC 5280).
//!
//! Apart because it is the one place where certificates are made; the service only ever checks them. It makes bad
//! ones too when a test asks for them, so it judges no name and no validity. Not for production: keys lie in files.

use crate::{
    SetupError,
    private::{fill, new_file},
};
use keysvc_protocol::{bytes::Digest, hash::sha256, trust::TrustDomain};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData as _,
    RevocationReason, RevokedCertParams, SanType, SerialNumber,
};
use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use x509_parser::{parse_x509_certificate, pem::parse_x509_pem};
use zeroize::Zeroizing;

/// The last second of the year 9999, in seconds since 1970: the latest time X.509 can write.
const LATEST: u64 = 253_402_300_799;
const DAY: Duration = Duration::from_hours(24);
/// How long a certificate lives unless the request says otherwise.
const YEAR: Duration = Duration::from_hours(24 * 365);
/// How long the authority lives, so that it outlives all it issues.
const AUTHORITY_YEARS: u32 = 10;

/// What a certificate is to say. Every field may be set to something that the service must refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The subject's common name; nobody decides by it.
    pub name: String,
    /// The URI names, in order. A good certificate has exactly one, `spiffe://<trust domain>/<kind>/<name>`.
    pub uris: Vec<String>,
    /// The first second of its validity.
    pub not_before: SystemTime,
    /// The last second of its validity.
    pub not_after: SystemTime,
    /// Whether it is for a server: `serverAuth`, `localhost` and 127.0.0.1, instead of `clientAuth`.
    pub server: bool,
}

/// Writes the URI name of a peer.
#[must_use]
pub fn spiffe(trust_domain: &str, kind: &str, name: &str) -> String {
    format!("spiffe://{trust_domain}/{kind}/{name}")
}

impl CertificateRequest {
    /// Asks for a client's certificate, valid from a day ago for a year.
    #[must_use]
    pub fn client(trust_domain: &TrustDomain, kind: &str, name: &str) -> Self {
        let now = SystemTime::now();
        Self {
            name: name.to_owned(),
            uris: vec![spiffe(trust_domain.as_str(), kind, name)],
            // A day, so that clocks that disagree do not matter here.
            not_before: now.checked_sub(DAY).unwrap_or(UNIX_EPOCH),
            not_after: now.checked_add(YEAR).unwrap_or(now),
            server: false,
        }
    }

    /// Asks for the service's own certificate, for `localhost` and 127.0.0.1.
    #[must_use]
    pub fn service(trust_domain: &TrustDomain) -> Self {
        Self { server: true, ..Self::client(trust_domain, "service", "keysvc") }
    }

    fn params(&self) -> Result<CertificateParams, SetupError> {
        let mut params = CertificateParams::default();
        params.not_before = time(self.not_before)?.into();
        params.not_after = time(self.not_after)?.into();
        params.serial_number = Some(serial()?);
        params.distinguished_name = distinguished_name(&self.name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        for uri in &self.uris {
            let uri = uri.as_str().try_into().map_err(failed("a certificate's URI name"))?;
            params.subject_alt_names.push(SanType::URI(uri));
        }
        params.extended_key_usages = if self.server {
            let localhost = "localhost".try_into().map_err(failed("a certificate's host name"))?;
            params.subject_alt_names.push(SanType::DnsName(localhost));
            params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
            vec![ExtendedKeyUsagePurpose::ServerAuth]
        } else {
            vec![ExtendedKeyUsagePurpose::ClientAuth]
        };
        Ok(params)
    }
}

/// A certification authority and its key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
    pem: String,
}

impl Authority {
    /// Makes an authority with a new P-256 key, valid for ten years.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn create(trust_domain: &TrustDomain) -> Result<Self, SetupError> {
        let key = key_pair()?;
        let mut params = authority_params(trust_domain);
        let now = SystemTime::now();
        let life = YEAR.saturating_mul(AUTHORITY_YEARS);
        params.not_before = time(now.checked_sub(DAY).unwrap_or(UNIX_EPOCH))?.into();
        params.not_after = time(now.checked_add(life).unwrap_or(now))?.into();
        params.serial_number = Some(serial()?);
        let certificate = params.self_signed(&key).map_err(failed("the authority's certificate"))?;
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Ok(Self { issuer: Issuer::new(params, key), der, pem })
    }

    /// The certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the certificate's DER, as the founding file names it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(&[&self.der])
    }

    /// Issues a certificate for a new P-256 key.
    ///
    /// # Errors
    /// If the request holds what no certificate can, or if there is no randomness.
    pub fn issue(&self, request: &CertificateRequest) -> Result<Issued, SetupError> {
        self.certify(request, key_pair()?)
    }

    /// Issues another certificate for the key of `former`: renewal keeps the key, because enrolment pins keys.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn renew(&self, former: &Issued, request: &CertificateRequest) -> Result<Issued, SetupError> {
        let key = KeyPair::from_pem(&former.key_pem()).map_err(failed("a key for a renewed certificate"))?;
        self.certify(request, key)
    }

    fn certify(&self, request: &CertificateRequest, key: KeyPair) -> Result<Issued, SetupError> {
        let params = request.params()?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed("a certificate"))?;
        Ok(Issued { der: certificate.der().to_vec(), pem: certificate.pem(), key })
    }

    /// Issues a revocation list over `revoked`, valid from now until `next_update`, PEM. Its number is the time in
    /// microseconds, so that a later list has a higher one.
    ///
    /// # Errors
    /// If `next_update` is a time that X.509 cannot write.
    pub fn revoke(&self, revoked: &[Serial], next_update: SystemTime) -> Result<String, SetupError> {
        let now = time(SystemTime::now())?;
        let number = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let entry = |serial: &Serial| RevokedCertParams {
            serial_number: serial.0.clone(),
            revocation_time: now.into(),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: time(next_update)?.into(),
            crl_number: SerialNumber::from(u64::try_from(number).unwrap_or(u64::MAX)),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).map_err(failed("a revocation list"))?;
        list.pem().map_err(failed("a revocation list"))
    }

    /// Writes `ca.crt` and `ca.key` into a folder where they are not.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), SetupError> {
        new_file(&folder.join("ca.crt"), &self.pem)?;
        new_file(&folder.join("ca.key"), Zeroizing::new(self.issuer.key().serialize_pem()).as_bytes())
    }

    /// Reads what [`Authority::write`] wrote.
    pub(crate) fn read(folder: &Path, trust_domain: &TrustDomain) -> Result<Self, SetupError> {
        let text = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(SetupError::file("read", path))
        };
        let pem = text("ca.crt")?;
        let der = der_of(&pem)?;
        let key =
            KeyPair::from_pem(&Zeroizing::new(text("ca.key")?)).map_err(failed("the authority again"))?;
        Ok(Self { issuer: Issuer::new(authority_params(trust_domain), key), der, pem })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.digest())
    }
}

/// A certificate and its key.
pub struct Issued {
    der: Vec<u8>,
    pem: String,
    key: KeyPair,
}

impl Issued {
    /// The certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.der
    }

    /// The private key, PKCS#8 in PEM.
    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }

    /// SHA-256 of the key's DER `SubjectPublicKeyInfo`, as enrolment pins it.
    #[must_use]
    pub fn tls_key(&self) -> Digest {
        sha256(&[&self.key.subject_public_key_info()])
    }

    /// Writes `tls.crt` and `tls.key`, mode 0600, into a folder where they are not.
    ///
    /// # Errors
    /// If they are there, or cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), SetupError> {
        new_file(&folder.join("tls.crt"), &self.pem)?;
        new_file(&folder.join("tls.key"), self.key_pem().as_bytes())
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Issued({})", self.tls_key())
    }
}

/// A certificate's serial number, by which a revocation list names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serial(SerialNumber);

impl Serial {
    /// Reads the serial number of a certificate in PEM, such as a persona's `tls.crt`.
    ///
    /// # Errors
    /// If the text is no certificate.
    pub fn of(certificate_pem: &str) -> Result<Self, SetupError> {
        let der = der_of(certificate_pem)?;
        let (_, certificate) = parse_x509_certificate(&der).map_err(failed("sense of a certificate file"))?;
        Ok(Self(SerialNumber::from_slice(&certificate.tbs_certificate.serial.to_bytes_be())))
    }
}

/// Makes a P-256 key for a persona without a token: PKCS#8 in PEM, and the DER `SubjectPublicKeyInfo`.
pub(crate) fn key_file() -> Result<(Zeroizing<String>, Vec<u8>), SetupError> {
    let key = key_pair()?;
    Ok((Zeroizing::new(key.serialize_pem()), key.subject_public_key_info()))
}

fn key_pair() -> Result<KeyPair, SetupError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed("a P-256 key"))
}

fn authority_params(trust_domain: &TrustDomain) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(&format!("keysvc development CA of {trust_domain}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// 127 random bits, so that a renewed certificate differs from the former and no number is negative or zero.
fn serial() -> Result<SerialNumber, SetupError> {
    let mut bytes = [0_u8; 16];
    fill(&mut bytes)?;
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

/// Lets through what X.509 can write (RFC 5280 section 4.1.2.5).
fn time(time: SystemTime) -> Result<SystemTime, SetupError> {
    let seconds = time.duration_since(UNIX_EPOCH).map(|since| since.as_secs());
    match seconds {
        Ok(seconds) if seconds <= LATEST => Ok(time),
        _ => Err(failed("a time")("X.509 is written here from 1970 to 9999")),
    }
}

fn der_of(pem: &str) -> Result<Vec<u8>, SetupError> {
    let (_, block) = parse_x509_pem(pem.as_bytes()).map_err(failed("sense of a certificate file"))?;
    Ok(block.contents)
}

fn failed<E: fmt::Display>(what: &'static str) -> impl FnOnce(E) -> SetupError {
    move |error| SetupError::Pki { what, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::{
        certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _,
        revocation_list::CertificateRevocationList,
    };

    fn domain() -> TrustDomain {
        "demo.keysvc.test".parse().unwrap()
    }

    fn parse(issued: &Issued) -> X509Certificate<'_> {
        parse_x509_certificate(issued.certificate_der()).unwrap().1
    }

    fn uris(issued: &Issued) -> Vec<String> {
        let certificate = parse(issued);
        let Some(names) = certificate.subject_alternative_name().unwrap() else { return vec![] };
        let uri = |name: &GeneralName<'_>| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        };
        names.value.general_names.iter().filter_map(uri).collect()
    }

    #[test]
    fn a_certificate_is_the_authoritys_and_has_one_uri_name() {
        let authority = Authority::create(&domain()).unwrap();
        let issued = authority.issue(&CertificateRequest::client(&domain(), "station", "station-1")).unwrap();
        assert_eq!(uris(&issued), ["spiffe://demo.keysvc.test/station/station-1"]);
        let certificate = parse(&issued);
        let (_, ca) = parse_x509_certificate(authority.certificate_der()).unwrap();
        assert_eq!(certificate.issuer(), ca.subject());
        assert!(certificate.validity().is_valid());
        assert!(ca.validity().is_valid() && ca.is_ca() && !certificate.is_ca());
        assert_eq!(sha256(&[certificate.public_key().raw]), issued.tls_key());
        // Another authority of the same name is another authority.
        assert_ne!(Authority::create(&domain()).unwrap().digest(), authority.digest());
    }

    #[test]
    fn bad_certificates_are_made_as_asked() {
        let authority = Authority::create(&domain()).unwrap();
        let good = CertificateRequest::client(&domain(), "terminal", "terminal-1");
        let issue = |request: &CertificateRequest| authority.issue(request).unwrap();
        assert!(uris(&issue(&CertificateRequest { uris: vec![], ..good.clone() })).is_empty());
        let other = spiffe("other.test", "terminal", "terminal-1");
        let two = CertificateRequest { uris: vec![other.clone(), other.clone()], ..good.clone() };
        assert_eq!(uris(&issue(&two)), [other.clone(), other]);
        let hour = Duration::from_hours(1);
        let expired = CertificateRequest { not_after: SystemTime::now() - hour, ..good.clone() };
        assert!(!parse(&issue(&expired)).validity().is_valid());
        let early = CertificateRequest { not_before: SystemTime::now() + hour, ..good };
        assert!(!parse(&issue(&early)).validity().is_valid());
    }

    #[test]
    fn a_renewed_certificate_keeps_the_key_and_has_another_serial_number() {
        let authority = Authority::create(&domain()).unwrap();
        let request = CertificateRequest::client(&domain(), "office", "office-1");
        let first = authority.issue(&request).unwrap();
        let second = authority.renew(&first, &request).unwrap();
        assert_eq!(first.tls_key(), second.tls_key());
        assert_ne!(
            Serial::of(first.certificate_pem()).unwrap(),
            Serial::of(second.certificate_pem()).unwrap()
        );
    }

    #[test]
    fn a_revocation_list_names_the_revoked_and_later_ones_count_up() {
        let authority = Authority::create(&domain()).unwrap();
        let issued = authority.issue(&CertificateRequest::client(&domain(), "office", "office-1")).unwrap();
        let serial = Serial::of(issued.certificate_pem()).unwrap();
        let tomorrow = SystemTime::now() + DAY;
        let numbers = [vec![serial], vec![]].map(|revoked| {
            let pem = authority.revoke(&revoked, tomorrow).unwrap();
            let (_, block) = parse_x509_pem(pem.as_bytes()).unwrap();
            assert_eq!(block.label, "X509 CRL");
            let (_, list) = CertificateRevocationList::from_der(&block.contents).unwrap();
            let listed: Vec<_> =
                list.iter_revoked_certificates().map(|one| one.user_certificate.clone()).collect();
            let wanted = parse(&issued).tbs_certificate.serial.clone();
            assert_eq!(listed, if revoked.is_empty() { vec![] } else { vec![wanted] });
            list.crl_number().unwrap().clone()
        });
        assert!(numbers[0] < numbers[1]);
    }

    #[test]
    fn a_time_that_x509_cannot_write_is_refused() {
        let authority = Authority::create(&domain()).unwrap();
        let mut request = CertificateRequest::client(&domain(), "office", "office-1");
        for time in [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(LATEST + 1)] {
            request.not_after = time;
            let error = authority.issue(&request).unwrap_err();
            assert!(matches!(error, SetupError::Pki { what: "a time", .. }), "{error}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_serial_number() {
        for text in ["", "none", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(Serial::of(text), Err(SetupError::Pki { .. })), "{text}");
        }
    }

    #[test]
    fn keys_do_not_print() {
        let authority = Authority::create(&domain()).unwrap();
        let issued = authority.issue(&CertificateRequest::service(&domain())).unwrap();
        assert_eq!(format!("{issued:?}"), format!("Issued({})", issued.tls_key()));
        assert_eq!(format!("{authority:?}"), format!("Authority({})", authority.digest()));
    }
}
