//! Authorities and the certificates they give out, right but for one thing.
//!
//! Each certificate of a case has the key that `terminal-1` is enrolled with, so that it is the one thing that is refused and
//! not the key. The service trusts two authorities: the site's own, which may have no intermediates, and a wide one.

use super::der::Certificate;
use crate::ground::Ground;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    RevocationReason, RevokedCertParams, SanType, SerialNumber, SigningKey as _,
};
use softhsm_setup::{TRUST_DOMAIN, pki::spiffe};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// The serial number that the site's list revokes.
pub const REVOKED: u64 = 7_001;
/// The serial number of an intermediate that the wide authority's list revokes.
pub const REVOKED_MIDDLE: u64 = 7_002;
/// The persona whose key the cases show.
pub const PERSONA: &str = "terminal-1";
const DAY: Duration = Duration::from_hours(24);

/// An authority: its certificate and what it signs with.
#[derive(Debug)]
pub struct Authority {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// The certificate, PEM.
    pub pem: String,
    params: CertificateParams,
    issuer: Issuer<'static, KeyPair>,
}

fn authority_params(name: &str, paths: BasicConstraints) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(paths);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

impl Authority {
    /// A root of this name.
    ///
    /// # Panics
    /// When the system gives no randomness.
    #[must_use]
    pub fn root(name: &str) -> Self {
        let (params, key) = (authority_params(name, BasicConstraints::Unconstrained), new_key());
        let certificate = params.self_signed(&key).unwrap();
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Self { der, pem, params: params.clone(), issuer: Issuer::new(params, key) }
    }

    /// An intermediate of this name below this one.
    ///
    /// # Panics
    /// As [`Authority::root`].
    #[must_use]
    pub fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (authority_params(name, BasicConstraints::Unconstrained), new_key());
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Self { der, pem, params: params.clone(), issuer: Issuer::new(params, key) }
    }

    /// Another certificate of this one for an authority that it certified before: the same name and key, so that the
    /// authority's list holds for it too.
    ///
    /// # Panics
    /// As [`Authority::root`].
    #[must_use]
    pub fn renewed(&self, of: &Self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::try_from(of.key()).unwrap();
        let mut params = of.params.clone();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Self { der, pem, issuer: Issuer::new(of.params.clone(), key), params: of.params.clone() }
    }

    /// One that signs with this key under this name, and whose own certificate is this.
    #[must_use]
    pub fn with(name: &str, key: KeyPair, (der, pem): (&[u8], &str)) -> Self {
        let params = authority_params(name, BasicConstraints::Unconstrained);
        let issuer = Issuer::new(params.clone(), key);
        Self { der: der.to_vec(), pem: pem.to_owned(), params, issuer }
    }

    /// A certificate for this key.
    ///
    /// # Panics
    /// When it holds what no certificate can.
    #[must_use]
    pub fn certify(&self, params: &CertificateParams, key: &impl PublicKeyData) -> Vec<u8> {
        params.signed_by(key, &self.issuer).unwrap().der().to_vec()
    }

    /// Signs a certificate that was changed anew.
    ///
    /// # Panics
    /// When the key does not sign.
    #[must_use]
    pub fn sign(&self, mut certificate: Certificate) -> Certificate {
        certificate.signature = self.issuer.key().sign(&certificate.signed()).unwrap();
        certificate
    }

    /// The authority's private key, PKCS#8.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        self.issuer.key().serialize_der()
    }

    /// A list of revoked serial numbers that is good for so long, PEM.
    ///
    /// # Panics
    /// When the system's clock stands before 1970.
    #[must_use]
    pub fn list(&self, revoked: &[u64], good_for: Duration) -> String {
        let now = SystemTime::now();
        let number = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
        let entry = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now.into(),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: (now - Duration::from_secs(1)).into(),
            next_update: (now + good_for).into(),
            crl_number: SerialNumber::from(u64::try_from(number).unwrap()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// Everything of which the cases are made.
#[derive(Debug)]
pub struct Mint {
    /// The site's own authority, under which no intermediate may stand.
    pub site: Authority,
    /// Another authority that the service trusts, with nothing said of paths.
    pub wide: Authority,
    /// An intermediate of the wide one, whose list the service has.
    pub middle: Authority,
    /// Ten intermediates, each below the one before and the first below the wide one; the service has all their lists.
    pub ladder: Vec<Authority>,
    /// The key of [`PERSONA`].
    pub key: KeyPair,
    /// The site's own authority's name.
    pub name: String,
    /// The file of lists.
    pub lists: PathBuf,
}

impl Mint {
    /// Makes the authorities, and has the service of a founded ground trust them and check their lists from its next start.
    ///
    /// # Panics
    /// When the ground's files are not as they are laid out.
    #[must_use]
    pub fn new(ground: &Ground) -> Self {
        let site = ground.site();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let name = format!("keysvc development CA of {TRUST_DOMAIN}");
        let key = KeyPair::from_pem(&read(&site.folder().join("pki/ca.key"))).unwrap();
        let shown = (site.authority().certificate_der(), site.authority().certificate_pem());
        let own = Authority::with(&name, key, shown);
        let wide = Authority::root("wide authority");
        let middle = wide.below("middle", |_| {});
        let mut ladder = vec![wide.below("rung 0", |_| {})];
        for number in 1..10 {
            let next = ladder[number - 1].below(&format!("rung {number}"), |_| {});
            ladder.push(next);
        }
        let key = KeyPair::from_pem(&read(&site.home(PERSONA).tls_key())).unwrap();
        let config: toml::Table = read(&site.service_config()).parse().unwrap();
        let ca = PathBuf::from(config["front"]["ca"].as_str().unwrap());
        // The site's stays first: it is the one that the founding file names.
        fs::write(&ca, format!("{}{}", read(&ca), wide.pem)).unwrap();
        let lists = ca.with_file_name("lists.pem");
        let mint = Self { site: own, wide, middle, ladder, key, name, lists };
        mint.write_lists(&[REVOKED], DAY);
        ground.change("crls = []", &format!("crls = [\"{}\"]", mint.lists.display()));
        mint
    }

    /// Writes the lists of all authorities; the site's revokes these and is good for so long.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write_lists(&self, revoked: &[u64], good_for: Duration) {
        let mut lists = vec![self.site.list(revoked, good_for), self.wide.list(&[REVOKED_MIDDLE], DAY)];
        lists.extend(self.ladder.iter().chain([&self.middle]).map(|one| one.list(&[], DAY)));
        // Beside it and then in its place, so that nobody reads half of it.
        let new = self.lists.with_extension("new");
        fs::write(&new, lists.concat()).unwrap();
        fs::rename(new, &self.lists).unwrap();
    }

    /// What a right certificate of [`PERSONA`] says.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn right(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        let now = SystemTime::now();
        params.not_before = (now - DAY).into();
        params.not_after = (now + DAY).into();
        params.serial_number = Some(SerialNumber::from(fastrand::u64(1 << 40..1 << 60)));
        params.distinguished_name.push(DnType::CommonName, PERSONA);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![uri(&good_uri())];
        params.use_authority_key_identifier_extension = true;
        params
    }

    /// The site's certificate for the key of [`PERSONA`], right but for `change`.
    #[must_use]
    pub fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        self.leaf_of(&self.site, change)
    }

    /// Another authority's certificate for the key of [`PERSONA`], right but for `change`.
    #[must_use]
    pub fn leaf_of(&self, by: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = self.right();
        change(&mut params);
        by.certify(&params, &self.key)
    }

    /// The site's certificate, taken apart, changed, and signed by the site's authority as it then is.
    #[must_use]
    pub fn remade(&self, change: impl FnOnce(&mut Certificate)) -> Vec<u8> {
        let mut certificate = Certificate::read(&self.leaf(|_| {}));
        change(&mut certificate);
        self.site.sign(certificate).der()
    }
}

/// The one name that [`PERSONA`] is enrolled with.
#[must_use]
pub fn good_uri() -> String {
    spiffe(TRUST_DOMAIN, "terminal", PERSONA)
}

/// A URI as a certificate's name.
///
/// # Panics
/// When it is not ASCII.
#[must_use]
pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}
