//! The station's side: its RSA key unwraps a transport key in the station's own token, which unwraps card keys.
//!
//! Apart from transport.rs because it runs on another machine with another token. Card keys come out as bytes here,
//! because the station writes them to cards. It checks no delivery's signature: the client does, before.

use std::fmt;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::types::Ulong;
use zeroize::Zeroizing;

use crate::attribute::read_one;
use crate::card_key;
use crate::error::{TokenError, data_fault};
use crate::master::read_value;
use crate::mechanism::{self, mechanism_type};
use crate::object::{CheckValue, ObjectId, Transient, resolve};
use crate::profile::{Half, KeyKind};
use crate::token::{Holder, Token};
use crate::transport::oaep;
use crate::{spki, storage};

/// A station's RSA key on the station's token. Its handle was found once.
pub struct WrappingKey {
    token: Token,
    handle: ObjectHandle,
    id: ObjectId,
    spki: Vec<u8>,
}

/// A transport key in the station's token, destroyed when dropped.
pub struct StationTransport {
    token: Token,
    handle: ObjectHandle,
    /// INVARIANT: the session that unwrapped the key; closing it destroys the key.
    _holder: Holder,
}

/// A card key's 16 bytes, for writing to one card; wiped when dropped.
pub struct CardKeyValue {
    value: Zeroizing<[u8; 16]>,
    check: [u8; 5],
}

impl Token {
    /// Finds a wrapping key by identifier.
    ///
    /// # Errors
    /// If the kind is not the wrapping key, if no key or more than one answers, or if the token fails.
    pub fn wrapping_key(&self, kind: KeyKind, id: ObjectId) -> Result<WrappingKey, TokenError> {
        if kind != KeyKind::Wrapping {
            return Err(TokenError::WrongKind { kind, needed: "a wrapping key" });
        }
        self.with_session(|session| {
            let handle = resolve((self, session), kind, Half::Secret, id)?;
            Ok(WrappingKey { token: self.clone(), handle, id, spki: spki::read((self, session), kind, id)? })
        })
    }
}

impl WrappingKey {
    /// The DER `SubjectPublicKeyInfo` of the public half, to be pinned at enrolment.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key's `CKA_ID`.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Unwraps a transport key that was wrapped to this key.
    ///
    /// # Errors
    /// [`TokenError::BadData`] if the bytes are damaged, for another key, or no AES-256 key; else if the token fails.
    pub fn unwrap_transport(&self, wrapped: &[u8]) -> Result<StationTransport, TokenError> {
        let (handle, holder) = self.token.with_own_session(|session| {
            let handle = session
                .unwrap_key(&oaep(), self.handle, wrapped, &station_transport())
                .map_err(data_fault(session))?;
            // SoftHSM tells no length of what it unwrapped; a token that does tell one is held to it.
            if let Some(Attribute::ValueLen(length)) = read_one(session, handle, AttributeType::ValueLen)?
                && ![0, 32].map(Ulong::new).contains(&length)
            {
                // The session's end destroys what was unwrapped.
                return Err(TokenError::bad_data("C_UnwrapKey", "no AES-256 key"));
            }
            Ok(handle)
        })?;
        Ok(StationTransport { token: self.token.clone(), handle, _holder: holder })
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappingKey({})", self.id)
    }
}

impl StationTransport {
    /// The transport key's check value: 5 bytes of the key wrap of 16 zero bytes, equal to the keeper's.
    ///
    /// # Errors
    /// If the token fails.
    pub fn check_value(&self) -> Result<CheckValue, TokenError> {
        self.token.with_session(|session| storage::check_value(session, self.handle))
    }

    /// Unwraps a card key (RFC 3394, 24 bytes), takes its check value in the token, and destroys the object.
    ///
    /// # Errors
    /// [`TokenError::BadData`] if the bytes are damaged or another key wrapped them; else if the token fails.
    pub fn unwrap_card_key(&self, wrapped: &[u8; 24]) -> Result<CardKeyValue, TokenError> {
        self.token.with_session(|session| {
            let opened = session
                .unwrap_key(&Mechanism::AesKeyWrap, self.handle, wrapped, &readable_card_key())
                .map_err(data_fault(session))?;
            let opened = Transient::new(session, opened);
            let check = card_key::check_value(session, opened.handle())?;
            Ok(CardKeyValue { value: read_value(session, opened.handle())?, check })
        })
    }
}

impl fmt::Debug for StationTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StationTransport(..)")
    }
}

impl CardKeyValue {
    /// The 16 bytes of the card key.
    #[must_use]
    pub fn expose(&self) -> &[u8; 16] {
        &self.value
    }

    /// The first 5 bytes of AES-CMAC over a zero block, computed in the token before the key left it.
    ///
    /// # Errors
    /// None today; a token that computes it later could fail.
    pub fn check_value(&self) -> Result<[u8; 5], TokenError> {
        Ok(self.check)
    }
}

impl fmt::Debug for CardKeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardKeyValue(..)")
    }
}

/// Wraps as well as unwraps: the check value is a wrapping.
fn station_transport() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Wrap(true),
        Attribute::Unwrap(true),
        Attribute::Derive(false),
        Attribute::AllowedMechanisms(vec![mechanism_type(mechanism::Mechanism::AesKeyWrap)]),
    ]
}

fn readable_card_key() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Sign(true),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::AllowedMechanisms(vec![mechanism_type(mechanism::Mechanism::AesCmac)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::DiversificationInput;
    use crate::scratch::on_each_module;
    use crate::spki::{RsaPublicKey, SpkiError};
    use crate::transport::TransportKey;

    const ID: ObjectId = ObjectId([7; 16]);

    #[test]
    fn a_transport_key_arrives_with_its_check_value() {
        on_each_module("wrapping::tests::a_transport_key_arrives_with_its_check_value", |scratch| {
            let (keeper, station) = (scratch.open(), scratch.another("station"));
            let made = station.generate(KeyKind::Wrapping, ID, "station").unwrap();
            let wrapping = station.wrapping_key(KeyKind::Wrapping, ID).unwrap();
            assert_eq!(wrapping.spki(), made.public.unwrap());
            let transport = TransportKey::generate(&keeper).unwrap();
            let wrapped = transport.wrap_to(wrapping.spki()).unwrap();
            assert_eq!(wrapped.len(), 384);
            let arrived = wrapping.unwrap_transport(&wrapped).unwrap();
            assert_eq!(arrived.check_value().unwrap(), transport.check_value().unwrap());
            assert_eq!(arrived.check_value().unwrap().method(), "kw");
            let other = TransportKey::generate(&keeper).unwrap();
            assert_ne!(other.check_value().unwrap(), transport.check_value().unwrap());
        });
    }

    #[test]
    fn a_transport_key_works_on_every_thread_and_outlives_its_maker() {
        on_each_module(
            "wrapping::tests::a_transport_key_works_on_every_thread_and_outlives_its_maker",
            |scratch| {
                let keeper = scratch.open();
                keeper.generate(KeyKind::CardMaster, ID, "master").unwrap();
                let master = keeper.master_key(KeyKind::CardMaster, ID).unwrap();
                let transport =
                    std::thread::scope(|scope| scope.spawn(|| TransportKey::generate(&keeper)).join())
                        .unwrap()
                        .unwrap();
                keeper.close_thread_session();
                let input = DiversificationInput::try_from([3; 20].as_slice()).unwrap();
                let wrap = || transport.wrap(&master.derive(&input).unwrap()).unwrap();
                let here = wrap();
                let there = std::thread::scope(|scope| scope.spawn(wrap).join()).unwrap();
                assert_eq!(here, there);
            },
        );
    }

    #[test]
    fn garbage_is_bad_data_and_the_station_works_on() {
        on_each_module("wrapping::tests::garbage_is_bad_data_and_the_station_works_on", |scratch| {
            let (keeper, station) = (scratch.open(), scratch.another("station"));
            station.generate(KeyKind::Wrapping, ID, "station").unwrap();
            let wrapping = station.wrapping_key(KeyKind::Wrapping, ID).unwrap();
            let transport = TransportKey::generate(&keeper).unwrap();
            let wrapped = transport.wrap_to(wrapping.spki()).unwrap();
            let mut damaged = wrapped.clone();
            damaged[200] ^= 1;
            for garbage in [damaged, vec![0; 384], vec![0xff; 384], vec![1; 10], Vec::new()] {
                let error = wrapping.unwrap_transport(&garbage).unwrap_err();
                assert!(matches!(error, TokenError::BadData { .. }), "{} {error:?}", garbage.len());
                assert!(!error.is_fatal());
            }
            let arrived = wrapping.unwrap_transport(&wrapped).unwrap();
            for garbage in [[0; 24], [0xff; 24]] {
                let error = arrived.unwrap_card_key(&garbage).unwrap_err();
                assert!(matches!(error, TokenError::BadData { .. }), "{error:?}");
                assert!(!error.is_fatal());
            }
            assert_eq!(arrived.check_value().unwrap(), transport.check_value().unwrap());
        });
    }

    #[test]
    fn another_stations_transport_key_does_not_open() {
        on_each_module("wrapping::tests::another_stations_transport_key_does_not_open", |scratch| {
            let (keeper, one, two) =
                (scratch.open(), scratch.another("station 1"), scratch.another("station 2"));
            let [first, second] = [&one, &two].map(|station| {
                station.generate(KeyKind::Wrapping, ID, "station").unwrap();
                station.wrapping_key(KeyKind::Wrapping, ID).unwrap()
            });
            let transport = TransportKey::generate(&keeper).unwrap();
            let wrapped = transport.wrap_to(first.spki()).unwrap();
            assert!(matches!(second.unwrap_transport(&wrapped), Err(TokenError::BadData { .. })));
            assert!(first.unwrap_transport(&wrapped).is_ok());
        });
    }

    #[test]
    fn a_card_key_of_another_token_is_not_wrapped() {
        on_each_module("wrapping::tests::a_card_key_of_another_token_is_not_wrapped", |scratch| {
            let (one, two) = (scratch.open(), scratch.another("second"));
            one.generate(KeyKind::CardMaster, ID, "master").unwrap();
            let master = one.master_key(KeyKind::CardMaster, ID).unwrap();
            let card_key =
                master.derive(&DiversificationInput::try_from([3; 20].as_slice()).unwrap()).unwrap();
            let transport = TransportKey::generate(&two).unwrap();
            assert_eq!(transport.wrap(&card_key), Err(TokenError::OtherToken));
        });
    }

    #[test]
    fn a_weak_or_foreign_public_key_is_refused() {
        on_each_module("wrapping::tests::a_weak_or_foreign_public_key_is_refused", |scratch| {
            let keeper = scratch.open();
            let transport = TransportKey::generate(&keeper).unwrap();
            let weak = RsaPublicKey { modulus: vec![0xff; 256], exponent: vec![1, 0, 1] }.to_spki();
            assert_eq!(
                transport.wrap_to(&weak),
                Err(TokenError::PublicKey(SpkiError::ModulusBits { found: 2048 }))
            );
            let signing = keeper.generate(KeyKind::Approval, ID, "curve").unwrap();
            assert_eq!(
                transport.wrap_to(&signing.public.unwrap()),
                Err(TokenError::PublicKey(SpkiError::NotRsa))
            );
            assert_eq!(transport.wrap_to(&[]), Err(TokenError::PublicKey(SpkiError::NotRsa)));
        });
    }

    #[test]
    fn a_card_key_value_does_not_print() {
        let value = CardKeyValue { value: Zeroizing::new([1; 16]), check: [2; 5] };
        assert_eq!(format!("{value:?}"), "CardKeyValue(..)");
    }
}
