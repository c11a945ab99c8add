//! Our statement key: what signs the requests that change something.
//!
//! Behind a small trait, because a terminal keeps it in a file and a station in a token; a terminal's build knows
//! the file alone.

use crate::{
    config::{ClientConfig, ConfigError},
    error::ClientError,
    private_file,
};
use base64ct::{Base64, Encoding as _};
use keysvc_protocol::public_key::{PublicKey, low_s};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use std::{fmt, path::Path, sync::Arc};
use zeroize::Zeroizing;

/// The order n of P-256 (SEC 2 section 2.4.2), big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// DER before the point of a P-256 `SubjectPublicKeyInfo` (RFC 5480).
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A P-256 key that signs statements.
pub trait StatementSigner: fmt::Debug + Send + Sync {
    /// The public half.
    fn public_key(&self) -> PublicKey;

    /// Signs the SHA-256 of `message`: r then s, 64 bytes, low-S. May block on a token.
    ///
    /// # Errors
    /// [`ClientError`] when the key or its token fails.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], ClientError>;
}

/// The signer that the configuration names: the file where there is one, else the token.
///
/// # Errors
/// [`ClientError::Config`] when it names neither or the file is unusable, [`ClientError::Token`] when the token is.
pub fn of_config(config: &ClientConfig) -> Result<Arc<dyn StatementSigner>, ClientError> {
    if let Some(statement) = &config.statement {
        return Ok(Arc::new(FileSigner::read(&statement.file)?));
    }
    #[cfg(any(feature = "station", feature = "officer"))]
    if let Some(settings) = &config.token {
        let token = crate::token_signer::open(settings, None)?;
        let signer = crate::token_signer::TokenSigner::find(&token, keysvc_token::KeyKind::Statement)?;
        return Ok(Arc::new(signer));
    }
    Err(ConfigError::missing("a statement key: give [statement] with file, or [token]").into())
}

/// A statement key read from a file.
pub struct FileSigner {
    pair: EcdsaKeyPair,
    public: PublicKey,
    random: SystemRandom,
}

impl FileSigner {
    /// Reads a P-256 key in PKCS#8 (RFC 5958), DER or PEM, from a file only its owner may touch.
    ///
    /// # Errors
    /// [`ConfigError`] when the file is open to others, cannot be read or does not hold such a key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = private_file::read(path)?;
        let der = pkcs8(&bytes)
            .ok_or_else(|| ConfigError::content(path, "not a private key in PKCS#8, DER or PEM"))?;
        Self::from_pkcs8(&der)
            .ok_or_else(|| ConfigError::content(path, "not a P-256 key in PKCS#8 with its public half"))
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random).ok()?;
        let spki = [SPKI_HEAD.as_slice(), pair.public_key().as_ref()].concat();
        let public = PublicKey::from_spki(&spki).ok()?;
        Some(Self { pair, public, random })
    }
}

impl StatementSigner for FileSigner {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], ClientError> {
        let fault = || ClientError::Request { what: "the statement key did not sign".into() };
        let signature = self.pair.sign(&self.random, message).map_err(|_| fault())?;
        let signature: [u8; 64] = signature.as_ref().try_into().map_err(|_| fault())?;
        Ok(lowered(signature))
    }
}

impl fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileSigner({})", self.public.identifier())
    }
}

/// DER as it is, or out of PEM (RFC 7468) with the label `PRIVATE KEY`.
fn pkcs8(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if bytes.first() == Some(&0x30) {
        return Some(Zeroizing::new(bytes.to_vec()));
    }
    let text = str::from_utf8(bytes).ok()?;
    let (_, text) = text.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (text, _) = text.split_once("-----END PRIVATE KEY-----")?;
    let base64: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    Base64::decode_vec(&base64).ok().map(Zeroizing::new)
}

/// Replaces s by n - s where s is above half the order: of the two values that verify, one form is accepted.
fn lowered(mut signature: [u8; 64]) -> [u8; 64] {
    if low_s(&signature) {
        return signature;
    }
    let mut borrow = false;
    for (digit, order) in signature.iter_mut().rev().zip(ORDER.iter().rev()) {
        let (without, first) = order.overflowing_sub(*digit);
        let (difference, second) = without.overflowing_sub(u8::from(borrow));
        *digit = difference;
        borrow = first || second;
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::{
        ecdsa::{Signature, SigningKey, signature::Signer as _},
        elliptic_curve::generic_array::GenericArray,
    };
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    fn pair() -> (rcgen::KeyPair, FileSigner) {
        let pair = rcgen::KeyPair::generate().unwrap();
        let signer = FileSigner::from_pkcs8(&pair.serialize_der()).unwrap();
        (pair, signer)
    }

    fn file(content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("statement");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        (folder, path)
    }

    #[test]
    fn signatures_verify_and_are_always_low() {
        let (_, signer) = pair();
        // Half of what ring makes is high, so 64 all low ones by chance are impossible.
        for number in 0..64_u8 {
            let message = [number; 3];
            let signature = signer.sign(&message).unwrap();
            assert!(low_s(&signature));
            assert_eq!(signer.public_key().verify(&[&message], &signature), Ok(()));
        }
    }

    #[test]
    fn the_high_twin_becomes_the_low_one_as_another_library_makes_it() {
        let key = SigningKey::from_bytes(GenericArray::from_slice(&[9; 32])).unwrap();
        let signature: Signature = key.sign(b"message");
        let low = signature.normalize_s().unwrap_or(signature);
        let (r, s) = low.split_scalars();
        let high: [u8; 64] = Signature::from_scalars(r, -*s).unwrap().to_bytes().into();
        let low: [u8; 64] = low.to_bytes().into();
        assert!(!low_s(&high));
        assert_eq!(lowered(high), low);
        assert_eq!(lowered(low), low);
    }

    #[test]
    fn der_and_pem_hold_the_same_key() {
        let (pair, signer) = pair();
        let (_der_folder, der) = file(&pair.serialize_der());
        let (_pem_folder, pem) = file(pair.serialize_pem().as_bytes());
        assert_eq!(FileSigner::read(&der).unwrap().public_key(), signer.public_key());
        assert_eq!(FileSigner::read(&pem).unwrap().public_key(), signer.public_key());
    }

    #[test]
    fn what_is_no_key_or_open_to_others_is_refused_by_name() {
        for content in
            [b"".as_slice(), b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
        {
            let (_folder, path) = file(content);
            assert!(
                matches!(FileSigner::read(&path), Err(ConfigError::Content { path: named, .. }) if named == path)
            );
        }
        let (pair, _) = pair();
        let (_folder, path) = file(&pair.serialize_der());
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(FileSigner::read(&path), Err(ConfigError::TooOpen { mode: 0o644, .. })));
    }
}
