//! The import pair: a one-time EC pair to whose public half components of a key are sealed on their way in.
//!
//! Session objects in a session of their own, so the pair dies with this value, with the keeper, and with nothing else.
//! It agrees on a secret with a sender's key and does nothing more: what is sealed, and to whom it belongs, is its
//! user's affair.

use std::fmt;

use cryptoki::mechanism::Mechanism as Call;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::SystemRandom;
use zeroize::Zeroizing;

use crate::attribute::{Observed, observe, template};
use crate::error::{TokenError, data_fault, fault};
use crate::master::read_value;
use crate::mechanism::Mechanism;
use crate::object::Transient;
use crate::profile::{Half, KeyKind, Origin};
use crate::spki;
use crate::token::{Holder, Token};

/// How many bytes an uncompressed point of P-256 has.
const POINT_LEN: usize = 65;

/// A one-time pair inside the token (EC P-256), destroyed when dropped. It derives, nothing else.
pub struct ImportPair {
    token: Token,
    handle: ObjectHandle,
    spki: Vec<u8>,
    point: [u8; POINT_LEN],
    /// INVARIANT: the session that made the pair; closing it destroys the pair.
    _holder: Holder,
}

impl ImportPair {
    /// Generates a pair in the token.
    ///
    /// # Errors
    /// [`TokenError::NotOffered`] on a token without the mechanisms for it, which can do everything but import;
    /// [`TokenError::NotAsOrdered`] if the token makes the pair otherwise than the key table orders; else if it fails.
    pub fn generate(token: &Token) -> Result<Self, TokenError> {
        token.needs(&[Mechanism::EcKeyPairGen, Mechanism::Ecdh1Derive])?;
        let profile = KeyKind::Import.profile();
        let [secret, public] =
            [Half::Secret, Half::Public].map(|half| template(profile, half, token.offered()));
        let ((handle, spki), holder) = token.with_own_session(|session| {
            let (public, private) =
                session.generate_key_pair(&Call::EccKeyPairGen, &public, &secret).map_err(fault)?;
            // An error ends the session, and that destroys the pair.
            for (half, made) in [(Half::Secret, private), (Half::Public, public)] {
                as_ordered(session, made, half)?;
            }
            Ok((private, spki::p256(session, public)?))
        })?;
        let point = *spki
            .last_chunk()
            .ok_or_else(|| TokenError::unexpected("C_GetAttributeValue", "a public key without a point"))?;
        Ok(Self { token: token.clone(), handle, spki, point, _holder: holder })
    }

    /// The DER `SubjectPublicKeyInfo` of the public half, 91 bytes.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The public half as an uncompressed point.
    #[must_use]
    pub fn point(&self) -> [u8; POINT_LEN] {
        self.point
    }

    /// Agrees on a secret with a sender's point, inside the token: the x coordinate of the shared point.
    ///
    /// # Errors
    /// [`TokenError::BadData`] if the point is not on the curve; else if the token fails.
    pub fn dh(&self, sender: &[u8; POINT_LEN]) -> Result<Zeroizing<[u8; 32]>, TokenError> {
        // First, because a token that did not look would answer points of weaker curves, and each answer tells
        // something of the private key.
        if !is_on_curve(sender)? {
            return Err(TokenError::bad_data("C_DeriveKey", "no point of the curve"));
        }
        self.token.with_session(|session| derive(session, self.handle, sender))
    }
}

impl fmt::Debug for ImportPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImportPair(..)")
    }
}

/// Refuses a half that the token made otherwise than the key table orders.
fn as_ordered(session: &Session, made: ObjectHandle, half: Half) -> Result<(), TokenError> {
    let observed = observe(session, made, KeyKind::Import.profile(), half, Origin::Generated)?;
    let drifted = observed.into_iter().find(|one| one.wanted != one.found);
    match drifted {
        None => Ok(()),
        Some(Observed { attribute, wanted, found, .. }) => {
            Err(TokenError::NotAsOrdered { attribute, wanted, found })
        }
    }
}

/// One derivation into a readable object, which is read and destroyed at once.
fn derive(
    session: &Session,
    private: ObjectHandle,
    sender: &[u8; POINT_LEN],
) -> Result<Zeroizing<[u8; 32]>, TokenError> {
    let readable = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::ValueLen(Ulong::new(32)),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ];
    let call = Call::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), sender));
    let agreed = session.derive_key(&call, private, &readable).map_err(data_fault(session))?;
    let agreed = Transient::new(session, agreed);
    read_value(session, agreed.handle())
}

/// Whether these bytes are an uncompressed point of the curve: ring looks before it agrees on a secret, which is thrown
/// away here.
fn is_on_curve(point: &[u8; POINT_LEN]) -> Result<bool, TokenError> {
    let other = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new())
        .map_err(|_| TokenError::unexpected("the system", "no random bytes"))?;
    Ok(agree_ephemeral(other, &UnparsedPublicKey::new(&ECDH_P256, point), |_| ()).is_ok())
}

#[cfg(test)]
mod tests {
    use cryptoki::object::AttributeType;

    use super::*;
    use crate::attribute::read_one;
    use crate::class::TokenErrorClass;
    use crate::object::ObjectId;
    use crate::scratch::{key_count, on_each_lesser_module, on_each_module};

    /// A sender with a fresh key: ring's arithmetic beside the token's.
    struct Sender(EphemeralPrivateKey, [u8; 65]);

    impl Sender {
        fn new() -> Self {
            let key = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
            let point = key.compute_public_key().unwrap().as_ref().try_into().unwrap();
            Self(key, point)
        }

        fn agree(self, point: [u8; 65]) -> [u8; 32] {
            let other = UnparsedPublicKey::new(&ECDH_P256, point);
            agree_ephemeral(self.0, &other, |shared| shared.try_into().unwrap()).unwrap()
        }
    }

    /// What is not a point of the curve in the only form there is.
    fn no_points() -> Vec<(&'static str, [u8; 65])> {
        let Sender(_, point) = Sender::new();
        let with = |at: usize, byte: u8| {
            let mut changed = point;
            changed[at] = byte;
            changed
        };
        let mut beyond = [0xff; 65];
        beyond[0] = 4;
        let mut origin = [0; 65];
        origin[0] = 4;
        vec![
            ("off the curve", with(64, point[64] ^ 1)),
            ("the origin", origin),
            ("coordinates beyond the field", beyond),
            ("infinity", [0; 65]),
            ("the compressed form", with(0, 2 + (point[64] & 1))),
            ("the hybrid form", with(0, 6 + (point[64] & 1))),
        ]
    }

    #[test]
    fn the_token_and_a_sender_agree_on_a_secret() {
        on_each_module("import::tests::the_token_and_a_sender_agree_on_a_secret", |scratch| {
            let pair = ImportPair::generate(&scratch.open()).unwrap();
            assert_eq!(pair.spki().len(), 91);
            assert_eq!(pair.spki()[26..], pair.point());
            // Until one begins with a zero byte, which no token may leave off: one in 256 does.
            for tried in 0.. {
                let sender = Sender::new();
                let here = pair.dh(&sender.1).unwrap();
                assert_eq!(*here, sender.agree(pair.point()));
                if here[0] == 0 {
                    break;
                }
                assert!(tried < 8_000, "no secret began with a zero byte");
            }
        });
    }

    #[test]
    fn a_point_off_the_curve_is_refused_and_the_pair_still_works() {
        on_each_module(
            "import::tests::a_point_off_the_curve_is_refused_and_the_pair_still_works",
            |scratch| {
                let pair = ImportPair::generate(&scratch.open()).unwrap();
                for (name, point) in no_points() {
                    let error = pair.dh(&point).unwrap_err();
                    assert!(matches!(error, TokenError::BadData { .. }), "{name}: {error:?}");
                    assert!(!error.is_fatal(), "{name}");
                    let sender = Sender::new();
                    assert_eq!(*pair.dh(&sender.1).unwrap(), sender.agree(pair.point()), "{name}");
                }
            },
        );
    }

    #[test]
    fn the_modules_own_answer_to_such_a_point_is_bad_data_too() {
        on_each_module("import::tests::the_modules_own_answer_to_such_a_point_is_bad_data_too", |scratch| {
            let token = scratch.open();
            let pair = ImportPair::generate(&token).unwrap();
            // The compressed and the hybrid form are points, which a module may know how to read: SoftHSM takes the
            // hybrid one.
            for (name, point) in no_points().into_iter().filter(|(name, _)| !name.contains("form")) {
                let error = token.with_session(|session| derive(session, pair.handle, &point)).unwrap_err();
                assert!(matches!(error, TokenError::BadData { .. }), "{name}: {error:?}");
            }
            let sender = Sender::new();
            assert_eq!(*pair.dh(&sender.1).unwrap(), sender.agree(pair.point()));
        });
    }

    #[test]
    fn a_pair_works_on_every_thread_and_outlives_its_maker() {
        on_each_module("import::tests::a_pair_works_on_every_thread_and_outlives_its_maker", |scratch| {
            let token = scratch.open();
            let pair = std::thread::scope(|scope| scope.spawn(|| ImportPair::generate(&token)).join())
                .unwrap()
                .unwrap();
            token.close_thread_session();
            let agree = || {
                let sender = Sender::new();
                *pair.dh(&sender.1).unwrap() == sender.agree(pair.point())
            };
            assert!(agree());
            assert!(std::thread::scope(|scope| scope.spawn(agree).join()).unwrap());
        });
    }

    #[test]
    fn a_pair_leaves_nothing_behind_but_itself_and_goes_when_dropped() {
        on_each_module(
            "import::tests::a_pair_leaves_nothing_behind_but_itself_and_goes_when_dropped",
            |scratch| {
                let token = scratch.open();
                let count = || key_count(&token);
                assert_eq!(count(), 0);
                let pair = ImportPair::generate(&token).unwrap();
                assert_eq!(count(), 2);
                pair.dh(&Sender::new().1).unwrap();
                pair.dh(&[0; 65]).unwrap_err();
                assert_eq!(count(), 2);
                assert!(
                    token.inventory().unwrap().is_empty(),
                    "a session's object does not lie on the token"
                );
                drop(pair);
                assert_eq!(count(), 0);
            },
        );
    }

    #[test]
    fn the_private_half_cannot_be_read_wrapped_or_changed() {
        on_each_module("import::tests::the_private_half_cannot_be_read_wrapped_or_changed", |scratch| {
            let token = scratch.open();
            let pair = ImportPair::generate(&token).unwrap();
            token
                .with_session(|session| {
                    assert_eq!(read_one(session, pair.handle, AttributeType::Value)?, None);
                    let wrapping = session
                        .generate_key(
                            &Call::AesKeyGen,
                            &[
                                Attribute::Token(false),
                                Attribute::Wrap(true),
                                Attribute::ValueLen(Ulong::new(32)),
                            ],
                        )
                        .map_err(fault)?;
                    for call in [Call::AesKeyWrap, Call::AesKeyWrapPad] {
                        assert!(session.wrap_key(&call, wrapping, pair.handle).is_err());
                    }
                    for change in
                        [Attribute::Extractable(true), Attribute::Sensitive(false), Attribute::Sign(true)]
                    {
                        assert!(session.update_attributes(pair.handle, &[change]).is_err());
                    }
                    assert!(session.copy_object(pair.handle, &[Attribute::Token(true)]).is_err());
                    Ok(())
                })
                .unwrap();
        });
    }

    #[test]
    fn a_token_without_the_agreement_says_so_and_does_the_rest() {
        on_each_lesser_module(
            "import::tests::a_token_without_the_agreement_says_so_and_does_the_rest",
            "CKM_ECDH1_DERIVE",
            |scratch| {
                let token = scratch.open();
                let error = ImportPair::generate(&token).unwrap_err();
                assert_eq!(error, TokenError::NotOffered { mechanism: "CKM_ECDH1_DERIVE" });
                assert_eq!((error.is_fatal(), error.class()), (false, TokenErrorClass::Mechanism));
                assert_eq!(token.missing_mechanisms().unwrap(), [""; 0], "a keeper does not need it");
                token.generate(KeyKind::CardMaster, ObjectId([7; 16]), "master").unwrap();
            },
        );
    }

    #[test]
    fn a_pair_does_not_print() {
        on_each_module("import::tests::a_pair_does_not_print", |scratch| {
            let pair = ImportPair::generate(&scratch.open()).unwrap();
            assert_eq!(format!("{pair:?}"), "ImportPair(..)");
        });
    }
}
