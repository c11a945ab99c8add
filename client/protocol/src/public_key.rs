//! P-256 public keys and the verification of ES256 signatures with them.
//!
//! Two libraries can do the arithmetic: RustCrypto's p256 (no std, the terminal's) and ring (feature `ring`, the
//! daemon's). Both are called through the same checks, and the same vectors run on both.

use crate::{
    bytes::{Digest, KeyIdentifier},
    hash::sha256,
};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// DER before the point of a P-256 `SubjectPublicKeyInfo` (RFC 5480): algorithm id-ecPublicKey, curve prime256v1,
/// and the head of the bit string.
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Half of the order of P-256, big-endian: the largest `s` of a low-S signature.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde,
    0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// Bytes that are not an uncompressed P-256 `SubjectPublicKeyInfo` with its point on the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 public key")]
pub struct NotAKey;

/// A signature that does not verify, or is not in low-S form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// A P-256 public key as its DER `SubjectPublicKeyInfo`, 91 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 91]);

impl PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7, RFC 5480) of 91 bytes.
    ///
    /// # Errors
    /// [`NotAKey`] for another algorithm, curve or point form, and where the p256 library is compiled in for a
    /// point off the curve (ring finds that at the first verification).
    pub fn from_spki(spki: &[u8]) -> Result<Self, NotAKey> {
        let key: [u8; 91] = spki.try_into().map_err(|_| NotAKey)?;
        let (head, point) = key.split_at(SPKI_HEAD.len());
        if head != SPKI_HEAD || point.first() != Some(&4) {
            return Err(NotAKey);
        }
        #[cfg(feature = "p256")]
        p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| NotAKey)?;
        Ok(Self(key))
    }

    /// The DER `SubjectPublicKeyInfo`, 91 bytes.
    #[must_use]
    pub const fn spki(&self) -> &[u8; 91] {
        &self.0
    }

    /// SHA-256 of the `SubjectPublicKeyInfo`: what enrolment pins.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(&[&self.0])
    }

    /// The COSE key identifier: the first 8 bytes of [`PublicKey::digest`].
    #[must_use]
    pub fn identifier(&self) -> KeyIdentifier {
        let mut kid = [0; 8];
        kid.iter_mut().zip(self.digest().as_bytes()).for_each(|(to, from)| *to = *from);
        KeyIdentifier::new(kid)
    }

    /// Verifies an ES256 signature (r then s, 64 bytes) over the SHA-256 of `message`.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not verify or s is in the upper half (so that one payload has one form).
    pub fn verify(&self, message: &[&[u8]], signature: &[u8; 64]) -> Result<(), BadSignature> {
        #[cfg(feature = "ring")]
        return self.verify_low_s(message, signature, Self::verify_by_ring);
        #[cfg(all(feature = "p256", not(feature = "ring")))]
        return self.verify_low_s(message, signature, Self::verify_by_p256);
    }

    /// [`PublicKey::verify`] with one library's arithmetic. Apart, so that both can be tried in one build.
    fn verify_low_s(
        &self,
        message: &[&[u8]],
        signature: &[u8; 64],
        arithmetic: impl Fn(&Self, &[&[u8]], &[u8; 64]) -> Result<(), BadSignature>,
    ) -> Result<(), BadSignature> {
        if low_s(signature) { arithmetic(self, message, signature) } else { Err(BadSignature) }
    }

    /// [`PublicKey::verify`] with ring's arithmetic, without the low-S rule.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not verify.
    #[cfg(feature = "ring")]
    pub fn verify_by_ring(&self, message: &[&[u8]], signature: &[u8; 64]) -> Result<(), BadSignature> {
        let message = message.concat();
        let point = self.0.get(SPKI_HEAD.len()..).unwrap_or_default();
        ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point)
            .verify(&message, signature)
            .map_err(|_| BadSignature)
    }

    /// [`PublicKey::verify`] with RustCrypto's arithmetic, without the low-S rule.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not verify.
    #[cfg(feature = "p256")]
    pub fn verify_by_p256(&self, message: &[&[u8]], signature: &[u8; 64]) -> Result<(), BadSignature> {
        use p256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier as _};
        let point = self.0.get(SPKI_HEAD.len()..).unwrap_or_default();
        let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| BadSignature)?;
        let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
        key.verify_prehash(sha256(message).as_bytes(), &signature).map_err(|_| BadSignature)
    }
}

#[cfg(not(any(feature = "p256", feature = "ring")))]
compile_error!("keysvc-protocol needs the feature p256 or ring to verify signatures");

/// Whether s, the second half of the signature, is at most half the curve's order (and not the other of the two
/// values that verify).
#[must_use]
pub fn low_s(signature: &[u8; 64]) -> bool {
    signature.get(32..).is_some_and(|s| s <= HALF_ORDER.as_slice())
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.identifier())
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spki = crate::bytes::Blob::<91>::deserialize(deserializer)?;
        Self::from_spki(spki.as_bytes()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod wycheproof;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};

    fn pair() -> (SigningKey, PublicKey) {
        let key = SigningKey::from_slice(&[9; 32]).unwrap();
        let mut spki = Vec::from(SPKI_HEAD);
        spki.extend_from_slice(key.verifying_key().to_encoded_point(false).as_bytes());
        (key, PublicKey::from_spki(&spki).unwrap())
    }

    #[test]
    fn both_libraries_agree_on_good_and_bad_signatures() {
        let (key, public) = pair();
        let signature: Signature = key.sign(b"message");
        let good: [u8; 64] = signature.normalize_s().unwrap_or(signature).to_bytes().into();
        let mut bad = good;
        bad[40] ^= 1;
        assert_eq!(public.verify(&[b"mess", b"age"], &good), Ok(()));
        assert_eq!(public.verify_by_p256(&[b"message"], &good), Ok(()));
        assert_eq!(public.verify_by_p256(&[b"message"], &bad), Err(BadSignature));
        #[cfg(feature = "ring")]
        {
            assert_eq!(public.verify_by_ring(&[b"message"], &good), Ok(()));
            assert_eq!(public.verify_by_ring(&[b"message"], &bad), Err(BadSignature));
        }
    }

    #[test]
    fn the_high_s_twin_of_a_good_signature_is_refused() {
        let (key, public) = pair();
        let signature: Signature = key.sign(b"message");
        let low = signature.normalize_s().unwrap_or(signature);
        let (r, s) = low.split_scalars();
        let high: [u8; 64] = Signature::from_scalars(r, -*s).unwrap().to_bytes().into();
        assert_eq!(public.verify_by_p256(&[b"message"], &high), Ok(()), "it verifies as plain ECDSA");
        assert_eq!(public.verify(&[b"message"], &high), Err(BadSignature));
    }

    #[test]
    fn a_point_off_the_curve_is_not_a_key() {
        let (_, public) = pair();
        let mut spki = *public.spki();
        spki[90] ^= 1;
        assert_eq!(PublicKey::from_spki(&spki), Err(NotAKey));
        assert_eq!(PublicKey::from_spki(&spki[..90]), Err(NotAKey));
    }
}
