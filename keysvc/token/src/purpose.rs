//! One key, one purpose: the token refuses each kind of key every operation but its own.

use std::slice::from_ref;

use cryptoki::error::Result;
use cryptoki::mechanism::ekdf::AesCbcDeriveParams;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;

use crate::attribute::{class_of, read_one, template};
use crate::error::fault;
use crate::object::{ObjectId, resolve};
use crate::profile::{Half, KeyKind, Life, Shape};
use crate::scratch::on_each_module;
use crate::transport::oaep;

/// An operation as PKCS#11 has it, with the mechanism that fits the shape best.
type Operation = (&'static str, fn(&Session, Shape, ObjectHandle) -> Result<()>);

const OPERATIONS: [Operation; 7] = [
    ("encrypt", |s, shape, key| s.encrypt(&cipher(shape), key, &[0; 16]).map(drop)),
    ("decrypt", |s, shape, key| s.decrypt(&cipher(shape), key, &vec![0; cipher_length(shape)]).map(drop)),
    ("sign", |s, shape, key| s.sign(&signature(shape), key, &[0; 32]).map(drop)),
    ("verify", |s, shape, key| s.verify(&signature(shape), key, &[0; 32], &vec![0; signature_length(shape)])),
    ("wrap", |s, shape, key| s.wrap_key(&wrapping(shape), key, extractable(s)?).map(drop)),
    ("unwrap", |s, shape, key| s.unwrap_key(&wrapping(shape), key, &[0; 24], &anything()).map(drop)),
    ("derive", |s, shape, key| {
        let mut template = anything();
        template.push(Attribute::ValueLen(Ulong::new(16)));
        s.derive_key(&derivation(shape), key, &template).map(drop)
    }),
];

/// The base point of P-256 (SEC 2 section 2.4.2), uncompressed.
const BASE_POINT: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
    0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

fn derivation(shape: Shape) -> Mechanism<'static> {
    if shape == Shape::EcP256 {
        Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), &BASE_POINT))
    } else {
        Mechanism::AesCbcEncryptData(AesCbcDeriveParams::new([0; 16], &[0; 16]))
    }
}

fn cipher(shape: Shape) -> Mechanism<'static> {
    if shape == Shape::Rsa3072 { oaep() } else { Mechanism::AesCbc([0; 16]) }
}

fn cipher_length(shape: Shape) -> usize {
    if shape == Shape::Rsa3072 { 384 } else { 16 }
}

fn signature(shape: Shape) -> Mechanism<'static> {
    match shape {
        Shape::Aes128 | Shape::Aes256 => Mechanism::AesCMac,
        Shape::EcP256 => Mechanism::Ecdsa,
        Shape::Rsa3072 => Mechanism::Sha256RsaPkcs,
    }
}

fn signature_length(shape: Shape) -> usize {
    match shape {
        Shape::Aes128 | Shape::Aes256 => 16,
        Shape::EcP256 => 64,
        Shape::Rsa3072 => 384,
    }
}

fn wrapping(shape: Shape) -> Mechanism<'static> {
    if shape == Shape::Rsa3072 { oaep() } else { Mechanism::AesKeyWrap }
}

/// A session key that may be wrapped.
fn extractable(session: &Session) -> Result<ObjectHandle> {
    session.generate_key(
        &Mechanism::AesKeyGen,
        &[Attribute::Token(false), Attribute::Extractable(true), Attribute::ValueLen(Ulong::new(16))],
    )
}

fn anything() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
    ]
}

/// The operations of a kind's own secret half.
fn own(kind: KeyKind) -> &'static [&'static str] {
    match kind {
        KeyKind::CardMaster | KeyKind::Import => &["derive"],
        KeyKind::Storage => &["wrap", "unwrap"],
        KeyKind::Transport => &["wrap"],
        KeyKind::Wrapping => &["unwrap"],
        KeyKind::CardKey
        | KeyKind::ValueSigning
        | KeyKind::ServiceStatement
        | KeyKind::Checkpoint
        | KeyKind::Approval
        | KeyKind::Statement => &["sign"],
    }
}

fn make(session: &Session, kind: KeyKind, id: ObjectId) -> ObjectHandle {
    let profile = kind.profile();
    let [secret, public] = [Half::Secret, Half::Public].map(|half| {
        let mut ordered = template(profile, half, &[]);
        ordered.push(Attribute::Id(id.0.to_vec()));
        ordered
    });
    let made = match profile.shape {
        Shape::EcP256 => {
            session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &secret).map(|(_, private)| private)
        }
        _ => session.generate_key(&Mechanism::AesKeyGen, &secret),
    };
    made.map_err(fault).unwrap()
}

#[test]
fn each_key_does_its_own_work_and_no_other() {
    on_each_module("purpose::each_key_does_its_own_work_and_no_other", |scratch| {
        let token = scratch.open();
        for (number, kind) in (1..).zip(KeyKind::ALL) {
            let id = ObjectId([number; 16]);
            let shape = kind.profile().shape;
            if kind.profile().life == Life::Token {
                token.generate(kind, id, kind.name()).unwrap();
            }
            token
                .with_session(|session| {
                    let key = match kind.profile().life {
                        Life::Token => resolve((&token, session), kind, Half::Secret, id)?,
                        Life::Session => make(session, kind, id),
                    };
                    let (own, others): (Vec<_>, Vec<_>) =
                        OPERATIONS.into_iter().partition(|(name, _)| own(kind).contains(name));
                    for (name, operation) in others {
                        // A session of its own, so that one refused operation does not stay open for the next.
                        // With which code is the token's affair: some have none for "this key may not".
                        let answer = operation(&token.open_session()?, shape, key);
                        assert!(answer.is_err(), "a {kind} key was let {name}");
                    }
                    // Last, so that it shows that token and handle are well. Unwrapping zeros fails whatever the key; its
                    // own tests show that it works.
                    token.random(&mut [0; 1])?;
                    for (name, operation) in own.into_iter().filter(|(name, _)| *name != "unwrap") {
                        let answer = operation(&token.open_session()?, shape, key);
                        assert!(answer.is_ok(), "a {kind} key was not let {name}: {answer:?}");
                    }
                    Ok(())
                })
                .unwrap();
        }
    });
}

#[test]
fn a_public_half_does_nothing_but_verify() {
    on_each_module("purpose::a_public_half_does_nothing_but_verify", |scratch| {
        let token = scratch.open();
        for (number, kind) in (1..).zip([KeyKind::ValueSigning, KeyKind::Wrapping]) {
            let id = ObjectId([number; 16]);
            token.generate(kind, id, kind.name()).unwrap();
            token
                .with_session(|session| {
                    let public = resolve((&token, session), kind, Half::Public, id)?;
                    for (name, operation) in OPERATIONS {
                        let session = token.open_session()?;
                        let error = operation(&session, kind.profile().shape, public).unwrap_err();
                        if (kind, name) == (KeyKind::ValueSigning, "verify") {
                            // Its own work: it says that the signature of zeros is none.
                            assert_eq!(crate::error::code_name(code(&error)), "CKR_SIGNATURE_INVALID");
                        } else {
                            assert_ne!(crate::error::code_name(code(&error)), "CKR_SIGNATURE_INVALID");
                        }
                    }
                    Ok(())
                })
                .unwrap();
        }
    });
}

fn code(error: &cryptoki::error::Error) -> cryptoki::error::RvError {
    match error {
        cryptoki::error::Error::Pkcs11(code, _) => *code,
        other => panic!("{other}"),
    }
}

#[test]
fn no_key_on_the_token_can_be_read_changed_copied_or_wrapped_out() {
    on_each_module("purpose::no_key_on_the_token_can_be_read_changed_copied_or_wrapped_out", |scratch| {
        let token = scratch.open();
        for (number, kind) in
            (1..).zip(KeyKind::ALL.into_iter().filter(|kind| kind.profile().life == Life::Token))
        {
            let id = ObjectId([number; 16]);
            token.generate(kind, id, kind.name()).unwrap();
            token
                .with_session(|session| {
                    let key = resolve((&token, session), kind, Half::Secret, id)?;
                    let value = match kind.profile().shape {
                        Shape::Rsa3072 => AttributeType::PrivateExponent,
                        _ => AttributeType::Value,
                    };
                    assert_eq!(read_one(session, key, value)?, None, "{kind}");
                    assert!(session.update_attributes(key, &[Attribute::Label(vec![b'x'])]).is_err());
                    assert!(session.update_attributes(key, &[Attribute::Extractable(true)]).is_err());
                    for wider in [
                        Attribute::Token(false),
                        Attribute::Label(vec![b'x']),
                        Attribute::Sign(true),
                        Attribute::Decrypt(true),
                        Attribute::Derive(true),
                        Attribute::Copyable(true),
                        Attribute::AllowedMechanisms(vec![MechanismType::AES_ECB]),
                    ] {
                        assert!(session.copy_object(key, from_ref(&wider)).is_err(), "{kind} {wider:?}");
                        let set = session.update_attributes(key, from_ref(&wider));
                        assert!(set.is_err(), "{kind} {wider:?}");
                    }
                    let wrapping = session
                        .generate_key(
                            &Mechanism::AesKeyGen,
                            &[
                                Attribute::Token(false),
                                Attribute::Wrap(true),
                                Attribute::ValueLen(Ulong::new(32)),
                            ],
                        )
                        .map_err(fault)?;
                    assert!(session.wrap_key(&Mechanism::AesKeyWrap, wrapping, key).is_err(), "{kind}");
                    assert!(session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, key).is_err(), "{kind}");
                    assert_eq!(
                        read_one(session, key, AttributeType::Class)?,
                        Some(Attribute::Class(class_of(kind.profile(), Half::Secret)))
                    );
                    Ok(())
                })
                .unwrap();
        }
    });
}
