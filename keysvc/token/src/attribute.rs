//! The key table's words translated into PKCS#11's, and attributes read back as text.
//!
//! Apart so that the table stays data. It decides nothing: wanted values come from the table, found ones from the
//! token.

use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;

use crate::error::{TokenError, fault};
use crate::mechanism::{Mechanism, mechanism_type};
use crate::object::hex;
use crate::profile::{Flag, Half, Life, Origin, Profile, Shape};

/// The DER of the object identifier secp256r1 (RFC 5480), as `CKA_EC_PARAMS` carries it.
pub(crate) const P256_PARAMS: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// The public exponent 65537, big-endian.
pub(crate) const RSA_EXPONENT: [u8; 3] = [1, 0, 1];
/// How many bits the modulus of a wrapping key has.
pub(crate) const RSA_BITS: Ulong = Ulong::new(3072);

/// One attribute of an object beside what the table wants of it.
pub(crate) struct Observed {
    pub(crate) half: Half,
    pub(crate) attribute: &'static str,
    pub(crate) wanted: String,
    pub(crate) found: String,
}

/// Reads every attribute that the table knows of one half, in a fixed order.
pub(crate) fn observe(
    session: &Session,
    handle: ObjectHandle,
    profile: &Profile,
    half: Half,
    origin: Origin,
) -> Result<Vec<Observed>, TokenError> {
    let mut all = observe_shape(session, handle, profile, half)?;
    for wanted in profile.flags(half).into_iter().chain(profile.birth_marks(half, origin)) {
        let found = text(read_one(session, handle, flag_type(wanted.0))?);
        all.push(Observed { half, attribute: wanted.0.name(), wanted: wanted.1.to_string(), found });
    }
    let found = read_one(session, handle, AttributeType::AllowedMechanisms)?;
    let wanted = wanted_mechanisms(profile, found.as_ref());
    all.push(Observed { half, attribute: "CKA_ALLOWED_MECHANISMS", wanted, found: text(found) });
    Ok(all)
}

/// The allowed mechanisms of the table, with those further ones that the key has: which of them a token offered when
/// the key was made, a later version of its firmware does not tell.
fn wanted_mechanisms(profile: &Profile, found: Option<&Attribute>) -> String {
    let found = match found {
        Some(Attribute::AllowedMechanisms(found)) => found.as_slice(),
        _ => &[],
    };
    let more: Vec<_> = profile
        .mechanisms_if_offered
        .iter()
        .copied()
        .filter(|further| found.contains(&mechanism_type(*further)))
        .collect();
    mechanism_names(profile.allowed_mechanisms(&more).into_iter().map(mechanism_type).collect())
}

/// Reads what says of which class, algorithm and length one half is.
pub(crate) fn observe_shape(
    session: &Session,
    handle: ObjectHandle,
    profile: &Profile,
    half: Half,
) -> Result<Vec<Observed>, TokenError> {
    let read = |attribute, kind, wanted| -> Result<Observed, TokenError> {
        Ok(Observed { half, attribute, wanted, found: text(read_one(session, handle, kind)?) })
    };
    let mut all = vec![
        read("CKA_CLASS", AttributeType::Class, class_of(profile, half).to_string())?,
        read("CKA_KEY_TYPE", AttributeType::KeyType, key_type_of(profile.shape).to_string())?,
    ];
    match (profile.shape, half) {
        (Shape::Aes128, _) => all.push(read("CKA_VALUE_LEN", AttributeType::ValueLen, "16".into())?),
        (Shape::Aes256, _) => all.push(read("CKA_VALUE_LEN", AttributeType::ValueLen, "32".into())?),
        (Shape::EcP256, _) => all.push(read("CKA_EC_PARAMS", AttributeType::EcParams, hex(&P256_PARAMS))?),
        (Shape::Rsa3072, Half::Public) => {
            all.push(read("CKA_MODULUS_BITS", AttributeType::ModulusBits, RSA_BITS.to_string())?);
            all.push(read("CKA_PUBLIC_EXPONENT", AttributeType::PublicExponent, hex(&RSA_EXPONENT))?);
        }
        (Shape::Rsa3072, Half::Secret) => {
            all.push(read("CKA_PUBLIC_EXPONENT", AttributeType::PublicExponent, hex(&RSA_EXPONENT))?);
        }
    }
    Ok(all)
}

/// The template of one half of a key, without label, identifier and value.
pub(crate) fn template(profile: &Profile, half: Half, offered: &[Mechanism]) -> Vec<Attribute> {
    let mut all: Vec<Attribute> =
        profile.flags(half).into_iter().map(|wanted| flag_attribute(wanted.0, wanted.1)).collect();
    all.push(Attribute::AllowedMechanisms(
        profile.allowed_mechanisms(offered).into_iter().map(mechanism_type).collect(),
    ));
    match (profile.shape, half) {
        (Shape::Aes128, _) => all.push(Attribute::ValueLen(Ulong::new(16))),
        (Shape::Aes256, _) => all.push(Attribute::ValueLen(Ulong::new(32))),
        (Shape::EcP256, Half::Public) => all.push(Attribute::EcParams(P256_PARAMS.to_vec())),
        (Shape::Rsa3072, Half::Public) => {
            all.extend([Attribute::ModulusBits(RSA_BITS), Attribute::PublicExponent(RSA_EXPONENT.to_vec())]);
        }
        (Shape::EcP256 | Shape::Rsa3072, Half::Secret) => {}
    }
    if profile.life == Life::Session {
        all.extend([
            Attribute::Class(class_of(profile, half)),
            Attribute::KeyType(key_type_of(profile.shape)),
        ]);
    }
    all
}

/// Reads one attribute; none if the object has no such attribute or does not show it.
pub(crate) fn read_one(
    session: &Session,
    handle: ObjectHandle,
    kind: AttributeType,
) -> Result<Option<Attribute>, TokenError> {
    match session.get_attributes(handle, &[kind]) {
        Ok(mut found) => Ok(found.pop()),
        // A value that the wrapper cannot name, such as a vendor's mechanism, is a drift to report and not a failure.
        Err(
            Error::InvalidValue
            | Error::NotSupported
            | Error::TryFromSlice(_)
            | Error::TryFromInt(_)
            | Error::Pkcs11(RvError::AttributeSensitive | RvError::AttributeTypeInvalid, _),
        ) => Ok(None),
        Err(error) => Err(fault(error)),
    }
}

/// The class of one half.
pub(crate) fn class_of(profile: &Profile, half: Half) -> ObjectClass {
    match (profile.shape.is_pair(), half) {
        (false, _) => ObjectClass::SECRET_KEY,
        (true, Half::Secret) => ObjectClass::PRIVATE_KEY,
        (true, Half::Public) => ObjectClass::PUBLIC_KEY,
    }
}

pub(crate) fn key_type_of(shape: Shape) -> cryptoki::object::KeyType {
    match shape {
        Shape::Aes128 | Shape::Aes256 => cryptoki::object::KeyType::AES,
        Shape::EcP256 => cryptoki::object::KeyType::EC,
        Shape::Rsa3072 => cryptoki::object::KeyType::RSA,
    }
}

/// An attribute's value as text: `true`, a number, a standard's name, or hexadecimal.
pub(crate) fn text(attribute: Option<Attribute>) -> String {
    use Attribute as A;
    match attribute {
        None => "absent".into(),
        Some(A::Class(class)) => class.to_string(),
        Some(A::KeyType(key_type)) => key_type.to_string(),
        Some(A::ValueLen(number) | A::ModulusBits(number)) => number.to_string(),
        Some(A::AllowedMechanisms(mechanisms)) => mechanism_names(mechanisms),
        Some(A::EcParams(bytes) | A::PublicExponent(bytes)) => hex(&bytes),
        Some(
            A::Token(flag)
            | A::Private(flag)
            | A::Sensitive(flag)
            | A::Extractable(flag)
            | A::Modifiable(flag)
            | A::Copyable(flag)
            | A::Destroyable(flag)
            | A::Encrypt(flag)
            | A::Decrypt(flag)
            | A::Sign(flag)
            | A::SignRecover(flag)
            | A::Verify(flag)
            | A::VerifyRecover(flag)
            | A::Wrap(flag)
            | A::Unwrap(flag)
            | A::Derive(flag)
            | A::AlwaysAuthenticate(flag)
            | A::AlwaysSensitive(flag)
            | A::NeverExtractable(flag)
            | A::Local(flag),
        ) => flag.to_string(),
        Some(_) => "unreadable".into(),
    }
}

/// Sorted by name: a token keeps them as a set.
fn mechanism_names(mechanisms: Vec<MechanismType>) -> String {
    let mut names: Vec<String> = mechanisms.into_iter().map(|mechanism| mechanism.to_string()).collect();
    names.sort_unstable();
    names.join(" ")
}

/// Writes, for each flag, both of its translations once.
macro_rules! flags {
    ($($flag:ident),+ $(,)?) => {
        pub(crate) fn flag_attribute(flag: Flag, value: bool) -> Attribute {
            match flag { $(Flag::$flag => Attribute::$flag(value)),+ }
        }

        pub(crate) fn flag_type(flag: Flag) -> AttributeType {
            match flag { $(Flag::$flag => AttributeType::$flag),+ }
        }
    };
}

flags!(
    Token,
    Private,
    Sensitive,
    Extractable,
    Modifiable,
    Copyable,
    Destroyable,
    Encrypt,
    Decrypt,
    Sign,
    SignRecover,
    Verify,
    VerifyRecover,
    Wrap,
    Unwrap,
    Derive,
    AlwaysAuthenticate,
    AlwaysSensitive,
    NeverExtractable,
    Local,
);
