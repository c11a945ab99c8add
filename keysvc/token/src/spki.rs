//! Public keys as DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7): the token speaks points and moduli, the
//! rest of the world speaks this.
//!
//! Exactly the two forms that we use, P-256 (RFC 5480) and RSA (RFC 3279), written and read by hand: what is read is
//! written again and must be equal, so there is one encoding of each key.

use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::Session;
use ring::digest::{SHA256, digest};

use crate::attribute::read_one;
use crate::error::TokenError;
use crate::object::{CheckValue, ObjectId, resolve};
use crate::profile::{Half, KeyKind, Shape};
use crate::token::Token;

/// What stands before the 65 bytes of an uncompressed P-256 point.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The algorithm identifier rsaEncryption with its NULL parameters.
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// How many bytes an uncompressed point of P-256 has.
const POINT_LEN: usize = 65;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// The smallest RSA modulus, in bits.
const RSA_BITS_MIN: usize = 3072;
/// The greatest RSA modulus, in bits: beyond it a wrap takes longer than a request may.
const RSA_BITS_MAX: usize = 8192;
/// The shortest and the longest public exponent, in bytes: 65537 has three.
const RSA_EXPONENT_BYTES: std::ops::RangeInclusive<usize> = 3..=4;

/// Says what is wrong with a public key from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpkiError {
    /// It is no DER `SubjectPublicKeyInfo` of an RSA key.
    #[error("it is not an RSA key in DER")]
    NotRsa,
    /// The modulus is too short or too long.
    #[error("its modulus has {found} bits, 3072 to 8192 are allowed")]
    ModulusBits {
        /// The length found, in bits.
        found: usize,
    },
    /// The exponent is too small, even or very large.
    #[error("its exponent is not an odd number from 65537 to 32 bits")]
    Exponent,
}

/// An RSA public key: big-endian, without leading zeros.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RsaPublicKey {
    pub(crate) modulus: Vec<u8>,
    pub(crate) exponent: Vec<u8>,
}

impl RsaPublicKey {
    /// Reads a `SubjectPublicKeyInfo` from outside and judges the key's strength.
    pub(crate) fn from_spki(der: &[u8]) -> Result<Self, SpkiError> {
        let key = Self::decode(der).ok_or(SpkiError::NotRsa)?;
        // The modulus has no leading zero byte here, so its length follows from its first byte.
        let Some(first) = key.modulus.first() else { return Err(SpkiError::NotRsa) };
        let unused = usize::try_from(first.leading_zeros()).unwrap_or(usize::MAX);
        let found = key.modulus.len().saturating_mul(8).saturating_sub(unused);
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&found) {
            return Err(SpkiError::ModulusBits { found });
        }
        let is_odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last & 1 == 1);
        // Three bytes without a leading zero and odd: 65537 at least.
        if !(is_odd(&key.exponent) && RSA_EXPONENT_BYTES.contains(&key.exponent.len())) {
            return Err(SpkiError::Exponent);
        }
        if is_odd(&key.modulus) { Ok(key) } else { Err(SpkiError::NotRsa) }
    }

    pub(crate) fn to_spki(&self) -> Vec<u8> {
        let numbers = [integer(&self.modulus), integer(&self.exponent)].concat();
        let bits = [vec![0], element(SEQUENCE, &numbers)].concat();
        element(SEQUENCE, &[RSA_ALGORITHM.to_vec(), element(BIT_STRING, &bits)].concat())
    }

    fn decode(der: &[u8]) -> Option<Self> {
        let (outer, rest) = split(der, SEQUENCE)?;
        let bits = outer.strip_prefix(RSA_ALGORITHM.as_slice())?;
        let (bits, after_bits) = split(bits, BIT_STRING)?;
        let (numbers, after_numbers) = split(bits.strip_prefix(&[0])?, SEQUENCE)?;
        let (modulus, numbers) = split(numbers, INTEGER)?;
        let (exponent, numbers) = split(numbers, INTEGER)?;
        let bare = |bytes: &[u8]| bytes.strip_prefix(&[0]).unwrap_or(bytes).to_vec();
        let key = Self { modulus: bare(modulus), exponent: bare(exponent) };
        let ends = [rest, after_bits, after_numbers, numbers].concat();
        // One encoding of each key: whatever is not written the way we write it is refused.
        (ends.is_empty() && key.to_spki() == der).then_some(key)
    }
}

/// Reads the public half of a pair on the token.
pub(crate) fn read(
    (token, session): (&Token, &Session),
    kind: KeyKind,
    id: ObjectId,
) -> Result<Vec<u8>, TokenError> {
    let public = || resolve((token, session), kind, Half::Public, id);
    match kind.profile().shape {
        Shape::EcP256 => p256(session, public()?),
        Shape::Rsa3072 => rsa(session, public()?),
        Shape::Aes128 | Shape::Aes256 => {
            Err(TokenError::WrongKind { kind, needed: "a key with a public half" })
        }
    }
}

/// SHA-256 of a `SubjectPublicKeyInfo`.
pub(crate) fn check_value(spki: &[u8]) -> CheckValue {
    let mut bytes = [0; 32];
    for (slot, byte) in bytes.iter_mut().zip(digest(&SHA256, spki).as_ref()) {
        *slot = *byte;
    }
    CheckValue::Spki(bytes)
}

pub(crate) fn p256(session: &Session, public: ObjectHandle) -> Result<Vec<u8>, TokenError> {
    let Some(Attribute::EcPoint(value)) = read_one(session, public, AttributeType::EcPoint)? else {
        return Err(TokenError::unexpected("C_GetAttributeValue", "a public key without a point"));
    };
    let point = uncompressed(&value).ok_or_else(|| {
        TokenError::unexpected("C_GetAttributeValue", "a point that is no uncompressed P-256 point")
    })?;
    Ok([P256_PREFIX.as_slice(), point].concat())
}

/// The uncompressed point of a `CKA_EC_POINT`. PKCS#11 wants an OCTET STRING around it; some tokens leave it off. The
/// length tells which, because one bare point in 256 begins as an OCTET STRING of its length would.
fn uncompressed(value: &[u8]) -> Option<&[u8]> {
    let point = match value.len() {
        POINT_LEN => value,
        _ => split(value, OCTET_STRING).filter(|(_, rest)| rest.is_empty())?.0,
    };
    (point.len() == POINT_LEN && point.first() == Some(&0x04)).then_some(point)
}

fn rsa(session: &Session, public: ObjectHandle) -> Result<Vec<u8>, TokenError> {
    let modulus = read_one(session, public, AttributeType::Modulus)?;
    let exponent = read_one(session, public, AttributeType::PublicExponent)?;
    let (Some(Attribute::Modulus(modulus)), Some(Attribute::PublicExponent(exponent))) = (modulus, exponent)
    else {
        return Err(TokenError::unexpected(
            "C_GetAttributeValue",
            "a public key without modulus or exponent",
        ));
    };
    Ok(RsaPublicKey { modulus, exponent }.to_spki())
}

/// Writes a DER element (X.690 section 8.1) of up to 65535 bytes.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let length = match content.len() {
        0..=0x7f => vec![low],
        0x80..=0xff => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [vec![tag], length, content.to_vec()].concat()
}

/// Writes a positive DER integer.
fn integer(number: &[u8]) -> Vec<u8> {
    match number.first() {
        Some(first) if first & 0x80 != 0 => element(INTEGER, &[vec![0], number.to_vec()].concat()),
        _ => element(INTEGER, number),
    }
}

/// Splits the content of one DER element from what follows it; none if it is no such element.
fn split(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes.strip_prefix(&[tag])? {
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [0x81, low, rest @ ..] | [low @ 0..=0x7f, rest @ ..] => (usize::from(*low), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(modulus: Vec<u8>, exponent: Vec<u8>) -> Vec<u8> {
        RsaPublicKey { modulus, exponent }.to_spki()
    }

    #[test]
    fn an_rsa_key_comes_back_from_its_encoding() {
        let der = key(vec![0xc1; 384], vec![1, 0, 1]);
        assert_eq!(der.len(), 422);
        let read = RsaPublicKey::from_spki(&der).unwrap();
        assert_eq!((read.modulus, read.exponent), (vec![0xc1; 384], vec![1, 0, 1]));
    }

    #[test]
    fn a_point_is_read_bare_or_in_its_octet_string() {
        for second in [0x00, 0x3f, 0x41, 0x81, 0xff] {
            let mut point = [7; 65];
            (point[0], point[1]) = (0x04, second);
            let wrapped = [&[0x04, 65], point.as_slice()].concat();
            assert_eq!(uncompressed(&point), Some(point.as_slice()), "{second:02x}");
            assert_eq!(uncompressed(&wrapped), Some(point.as_slice()), "{second:02x}");
        }
        let compressed = [[0x02; 33].as_slice(), &[0x04; 66], &[]];
        assert_eq!(compressed.map(uncompressed), [None; 3]);
        assert_eq!(uncompressed(&[0x05; 65]), None);
    }

    #[test]
    fn a_modulus_is_measured_in_bits() {
        let short = [vec![0x7f], vec![0xff; 383]].concat();
        assert_eq!(
            RsaPublicKey::from_spki(&key(short, vec![1, 0, 1])),
            Err(SpkiError::ModulusBits { found: 3071 })
        );
        assert_eq!(
            RsaPublicKey::from_spki(&key(vec![0xff; 1025], vec![1, 0, 1])),
            Err(SpkiError::ModulusBits { found: 8200 })
        );
    }

    #[test]
    fn a_weak_exponent_or_an_even_number_is_refused() {
        for exponent in [vec![3], vec![1, 0, 0], vec![0xff, 0xff], vec![1, 0, 0, 0, 1]] {
            assert_eq!(RsaPublicKey::from_spki(&key(vec![0xc1; 384], exponent)), Err(SpkiError::Exponent));
        }
        assert_eq!(RsaPublicKey::from_spki(&key(vec![0xc2; 384], vec![1, 0, 1])), Err(SpkiError::NotRsa));
    }

    #[test]
    fn another_encoding_of_a_key_is_refused() {
        let der = key(vec![0xc1; 384], vec![1, 0, 1]);
        for length in 0..der.len() {
            assert_eq!(RsaPublicKey::from_spki(&der[..length]), Err(SpkiError::NotRsa), "{length}");
        }
        let longer = [der.as_slice(), &[0]].concat();
        assert_eq!(RsaPublicKey::from_spki(&longer), Err(SpkiError::NotRsa));
        let zeros = key([vec![0, 0], vec![0xc1; 384]].concat(), vec![1, 0, 1]);
        assert_eq!(RsaPublicKey::from_spki(&zeros), Err(SpkiError::NotRsa));
        let zeros = key(vec![0xc1; 384], vec![0, 1, 0, 1]);
        assert_eq!(RsaPublicKey::from_spki(&zeros), Err(SpkiError::NotRsa));
    }
}
