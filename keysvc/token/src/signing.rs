//! Signs digests with a pair on the token (`CKM_ECDSA` over P-256).
//!
//! It signs exactly 32 bytes: tokens take a digest of any length, so the type does the checking. What the digest
//! stands for is the caller's affair.

use std::fmt;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::ObjectHandle;

use crate::error::{TokenError, fault};
use crate::object::{ObjectId, resolve};
use crate::profile::{Flag, Half, KeyKind, Shape};
use crate::spki;
use crate::token::Token;

/// The order n of P-256 (SEC 2 section 2.4.2), big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// Half the order, rounded down: the greatest s that is low.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde,
    0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// A signing key on the token. Its handle was found once, so signing searches nothing.
pub struct SigningKey {
    token: Token,
    handle: ObjectHandle,
    kind: KeyKind,
    id: ObjectId,
    spki: Vec<u8>,
}

impl Token {
    /// Finds a signing key by kind and identifier.
    ///
    /// # Errors
    /// If the kind does not sign, if no key or more than one answers, or if the token fails.
    pub fn signing_key(&self, kind: KeyKind, id: ObjectId) -> Result<SigningKey, TokenError> {
        if kind.profile().shape != Shape::EcP256 || !kind.profile().uses.contains(&Flag::Sign) {
            return Err(TokenError::WrongKind { kind, needed: "a key that signs" });
        }
        self.with_session(|session| {
            let handle = resolve((self, session), kind, Half::Secret, id)?;
            Ok(SigningKey {
                token: self.clone(),
                handle,
                kind,
                id,
                spki: spki::read((self, session), kind, id)?,
            })
        })
    }
}

impl SigningKey {
    /// Signs a 32-byte digest. Returns r || s, big-endian, with the lower of the two possible s (FIPS 186-5 takes
    /// either; one form only keeps a signature from having a twin).
    ///
    /// # Errors
    /// If the token fails or answers otherwise than with 64 bytes.
    pub fn sign(&self, digest: &[u8; 32]) -> Result<[u8; 64], TokenError> {
        let signature = self
            .token
            .with_session(|session| session.sign(&Mechanism::Ecdsa, self.handle, digest).map_err(fault))?;
        let mut signature: [u8; 64] = signature
            .try_into()
            .map_err(|_| TokenError::unexpected("C_Sign", "a signature that is not 64 bytes long"))?;
        if let Some(s) = signature.last_chunk_mut::<32>() {
            lower(s);
        }
        Ok(signature)
    }

    /// The DER `SubjectPublicKeyInfo` of the public half, 91 bytes.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key's `CKA_ID`.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// What the key signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.kind, self.id)
    }
}

/// Replaces s by n - s if s is above half the order. Nothing here is secret: s is half of a signature.
fn lower(s: &mut [u8; 32]) {
    if *s <= HALF_ORDER {
        return;
    }
    let mut borrow = false;
    for (digit, order) in s.iter_mut().zip(&ORDER).rev() {
        let (without, first) = order.overflowing_sub(*digit);
        let (difference, second) = without.overflowing_sub(u8::from(borrow));
        *digit = difference;
        borrow = first || second;
    }
}

#[cfg(test)]
mod tests {
    use ring::digest::{SHA256, digest};
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;
    use crate::object::CheckValue;
    use crate::scratch::on_each_module;

    const ID: ObjectId = ObjectId([7; 16]);

    #[test]
    fn every_signature_is_low_and_verifies_outside_the_token() {
        on_each_module("signing::tests::every_signature_is_low_and_verifies_outside_the_token", |scratch| {
            let token = scratch.open();
            let made = token.generate(KeyKind::ValueSigning, ID, "value").unwrap();
            let key = token.signing_key(KeyKind::ValueSigning, ID).unwrap();
            assert_eq!((key.id(), key.kind()), (ID, KeyKind::ValueSigning));
            assert_eq!(key.spki(), made.public.unwrap());
            assert_eq!(key.spki().len(), 91);
            assert_eq!(
                CheckValue::Spki(digest(&SHA256, key.spki()).as_ref().try_into().unwrap()),
                made.check
            );
            let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.spki()[26..]);
            // Half of all signatures would be high: sixty-four low ones are no accident.
            for number in 0..64_u8 {
                let message = [number; 5];
                let hash = digest(&SHA256, &message).as_ref().try_into().unwrap();
                let signature = key.sign(&hash).unwrap();
                assert!(signature[32..] <= HALF_ORDER[..]);
                verifier.verify(&message, &signature).unwrap();
            }
        });
    }

    #[test]
    fn one_key_signs_on_many_threads() {
        on_each_module("signing::tests::one_key_signs_on_many_threads", |scratch| {
            let token = scratch.open();
            token.generate(KeyKind::Checkpoint, ID, "checkpoint").unwrap();
            let key = token.signing_key(KeyKind::Checkpoint, ID).unwrap();
            let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.spki()[26..]);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for number in 0..20_u8 {
                            let hash = digest(&SHA256, &[number]).as_ref().try_into().unwrap();
                            verifier.verify(&[number], &key.sign(&hash).unwrap()).unwrap();
                        }
                    });
                }
            });
        });
    }

    #[test]
    fn a_key_of_a_kind_that_does_not_sign_is_no_signing_key() {
        on_each_module("signing::tests::a_key_of_a_kind_that_does_not_sign_is_no_signing_key", |scratch| {
            let token = scratch.open();
            for kind in [
                KeyKind::CardMaster,
                KeyKind::Storage,
                KeyKind::Wrapping,
                KeyKind::Transport,
                KeyKind::Import,
            ] {
                assert_eq!(
                    token.signing_key(kind, ID).unwrap_err(),
                    TokenError::WrongKind { kind, needed: "a key that signs" }
                );
            }
        });
    }

    #[test]
    fn a_high_s_becomes_its_negative_and_a_low_one_stays() {
        let number = |low: u8| {
            let mut bytes = [0; 32];
            bytes[31] = low;
            bytes
        };
        let mut s = ORDER;
        s[31] -= 1;
        lower(&mut s);
        assert_eq!(s, number(1));
        let mut s = HALF_ORDER;
        lower(&mut s);
        assert_eq!(s, HALF_ORDER);
        // n is odd, so the two halves are neighbours: n - (half + 1) is half.
        let mut s = HALF_ORDER;
        s[31] += 1;
        lower(&mut s);
        assert_eq!(s, HALF_ORDER);
        let mut s = number(1);
        lower(&mut s);
        assert_eq!(s, number(1));
    }
}
