//! Known answers: what a token must compute, and what it must never give twice.
//!
//! Apart from what it must refuse, because a token that lies is found here: one that computes another CMAC, signature,
//! wrapping or derivation than all others do, or whose random numbers, keys or signatures repeat. Everything is made in
//! the caller's session and of published values. It asks for nothing twice to be sure: one wrong answer is enough.

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::ekdf::AesCbcDeriveParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::{Outcome, secret};
use crate::attribute::P256_PARAMS;
use crate::error::{TokenError, fault};
use crate::spki;

/// The messages of the ECDSA probes: two, so that their signatures can be compared.
const MESSAGES: [&[u8]; 2] = [b"keysvc token admission", b"keysvc token admission, the second"];
/// The key of RFC 4493's examples, and of NIST SP 800-38A's for AES-128.
const KEY: [u8; 16] =
    [0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c];
/// RFC 4493 example 1: the CMAC of the empty message.
const CMAC_OF_NOTHING: [u8; 16] =
    [0xbb, 0x1d, 0x69, 0x29, 0xe9, 0x59, 0x37, 0x28, 0x7f, 0xa3, 0x7d, 0x12, 0x9b, 0x75, 0x67, 0x46];
/// SP 800-38A F.2.1, first block: the initialisation vector.
const CBC_IV: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// SP 800-38A F.2.1, first block: what is encrypted. Wrapped, it is a key.
const BLOCK: [u8; 16] =
    [0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a];
/// The CMAC of a zero block under SP 800-38A F.2.1's first ciphertext block (`OpenSSL` 3.0): the derived key stays in the
/// token, and this is what shows which one it is.
const CMAC_UNDER_CBC: [u8; 16] =
    [0xa9, 0x89, 0xb5, 0xfb, 0x94, 0xbd, 0x38, 0x10, 0xdf, 0x79, 0xb2, 0x0f, 0xfd, 0x52, 0x97, 0x6f];
/// RFC 3394's wrapping of [`BLOCK`] under [`KEY`] (`OpenSSL` 3.0).
const WRAPPED: [u8; 24] = [
    0x71, 0x01, 0x7a, 0xa6, 0x02, 0x60, 0xc0, 0x99, 0x34, 0xdc, 0xce, 0x4a, 0x2e, 0x49, 0x52, 0x7a, 0x88,
    0xcd, 0x84, 0x5c, 0x47, 0xf3, 0xb8, 0x2d,
];
/// Random bytes that are drawn twice: that two draws of 32 bytes agree by chance is less likely than anything.
const RANDOM_LEN: usize = 32;

pub(super) fn cmac_known_answer(session: &Session) -> Result<Outcome, TokenError> {
    Ok(Outcome::answered(cmac(session, &KEY, &[])? == CMAC_OF_NOTHING))
}

/// The CMAC of a message under a key of this value.
pub(super) fn cmac(session: &Session, key: &[u8; 16], message: &[u8]) -> Result<Vec<u8>, TokenError> {
    let key = known(session, key, Attribute::Sign(true))?;
    session.sign(&Mechanism::AesCMac, key, message).map_err(fault)
}

pub(super) fn derivation_known_answer(session: &Session) -> Result<Outcome, TokenError> {
    let key = known(session, &KEY, Attribute::Derive(true))?;
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(Ulong::new(16)),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Sign(true),
    ];
    let mechanism = Mechanism::AesCbcEncryptData(AesCbcDeriveParams::new(CBC_IV, &BLOCK));
    let derived = session.derive_key(&mechanism, key, &template).map_err(fault)?;
    let found = session.sign(&Mechanism::AesCMac, derived, &[0; 16]).map_err(fault)?;
    Ok(Outcome::answered(found == CMAC_UNDER_CBC))
}

pub(super) fn wrapping_known_answer(session: &Session) -> Result<Outcome, TokenError> {
    let wrapping = known(session, &KEY, Attribute::Wrap(true))?;
    let wrapped = known(session, &BLOCK, Attribute::Extractable(true))?;
    let found = session.wrap_key(&Mechanism::AesKeyWrap, wrapping, wrapped).map_err(fault)?;
    Ok(Outcome::answered(found == WRAPPED))
}

pub(super) fn ecdsa_verifies(session: &Session) -> Result<Outcome, TokenError> {
    let (key, point) = pair(session)?;
    let [message, _] = MESSAGES;
    let signature = sign(session, key, message)?;
    Ok(Outcome::answered(verifies(&point, message, &signature)))
}

/// Two signatures with one random number between them give their key away to whoever sees both.
pub(super) fn signatures_are_fresh(session: &Session) -> Result<Outcome, TokenError> {
    let (key, _) = pair(session)?;
    let [one, two] = MESSAGES.map(|message| sign(session, key, message));
    Ok(Outcome::fresh(r_of(&one?), r_of(&two?)))
}

pub(super) fn random_is_fresh(session: &Session) -> Result<Outcome, TokenError> {
    let mut drawn = [[0; RANDOM_LEN]; 2];
    for bytes in &mut drawn {
        session.generate_random_slice(bytes).map_err(fault)?;
    }
    let [one, two] = drawn;
    Ok(Outcome::fresh(&one, &two))
}

pub(super) fn keys_are_fresh(session: &Session) -> Result<Outcome, TokenError> {
    let check = || {
        let key = secret(session, &[Attribute::Sign(true)])?;
        session.sign(&Mechanism::AesCMac, key, &[0; 16]).map_err(fault)
    };
    Ok(Outcome::fresh(&check()?, &check()?))
}

impl Outcome {
    /// Of two that must differ.
    fn fresh(one: &[u8], two: &[u8]) -> Self {
        let passed = one != two && !one.is_empty();
        Self { passed, detail: if passed { "as expected" } else { "the same twice" }.into() }
    }
}

/// The half of a signature that depends on its random number alone.
fn r_of(signature: &[u8]) -> &[u8] {
    signature.get(..32).unwrap_or_default()
}

/// A new pair: the private half's handle, the public point.
fn pair(session: &Session) -> Result<(ObjectHandle, Vec<u8>), TokenError> {
    let (public, private) = session
        .generate_key_pair(
            &Mechanism::EccKeyPairGen,
            &[Attribute::Token(false), Attribute::Private(false), Attribute::EcParams(P256_PARAMS.to_vec())],
            &[Attribute::Token(false), Attribute::Private(true), Attribute::Sign(true)],
        )
        .map_err(fault)?;
    let spki = spki::p256(session, public)?;
    let point = spki.last_chunk::<65>().map_or([].as_slice(), |point| point.as_slice());
    Ok((private, point.to_vec()))
}

fn sign(session: &Session, key: ObjectHandle, message: &[u8]) -> Result<Vec<u8>, TokenError> {
    session.sign(&Mechanism::Ecdsa, key, digest(&SHA256, message).as_ref()).map_err(fault)
}

fn verifies(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
}

/// An AES-128 session key of a published value.
fn known(session: &Session, value: &[u8; 16], may: Attribute) -> Result<ObjectHandle, TokenError> {
    session
        .create_object(&[
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(false),
            may,
            Attribute::Value(value.to_vec()),
        ])
        .map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_twice_or_not_at_all_is_not_fresh() {
        assert!(Outcome::fresh(&[1; 32], &[2; 32]).passed);
        let again = Outcome::fresh(&[1; 32], &[1; 32]);
        assert_eq!((again.passed, again.detail.as_str()), (false, "the same twice"));
        assert!(!Outcome::fresh(&[], &[]).passed);
        // A shared number shows in r, whatever s is.
        let [one, two] = [3, 4].map(|s| [[7; 32], [s; 32]].concat());
        assert!(!Outcome::fresh(r_of(&one), r_of(&two)).passed);
    }
}
