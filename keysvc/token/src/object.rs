//! The token's objects: what lies there, which handle a key has, whether it is still as the key table wants it.
//!
//! Searches happen here and only at start and in ceremonies: `SoftHSM` opens and locks every object's file for each,
//! so nothing on a request's path may search, and the start finds keys in an inventory that it holds ([`crate::inventory`]).

use std::fmt;

use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use crate::attribute::{class_of, observe, read_one, text};
use crate::error::{TokenError, fault};
use crate::profile::{Half, KeyKind, Life, Origin};
use crate::token::Token;
use crate::{master, spki, storage};

/// A key's identifier on the token (`CKA_ID`): 16 bytes, fixed at birth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(
    /// The bytes of `CKA_ID`.
    pub [u8; 16],
);

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

/// Identifies a key's value without showing it (docs/keys.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckValue {
    /// The first 5 bytes of AES-CMAC over a zero block.
    Cmac([u8; 5]),
    /// The first 5 bytes of the AES key wrap of 16 zero bytes.
    Kw([u8; 5]),
    /// SHA-256 of the DER `SubjectPublicKeyInfo`.
    Spki([u8; 32]),
}

impl CheckValue {
    /// The method's name in the key manifest.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Cmac(_) => "cmac",
            Self::Kw(_) => "kw",
            Self::Spki(_) => "spki",
        }
    }

    /// The bytes of the check value: 5, or 32 for a pair.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        match self {
            Self::Cmac(bytes) | Self::Kw(bytes) => bytes,
            Self::Spki(bytes) => bytes,
        }
    }
}

/// An object found on the token, whoever made it.
#[derive(Clone, Debug)]
pub struct FoundObject {
    /// Its `CKA_ID`; none if it has none of 16 bytes.
    pub id: Option<ObjectId>,
    /// Its `CKA_CLASS` by name, or `absent`.
    pub class: String,
    /// Its `CKA_KEY_TYPE` by name, or `absent`.
    pub key_type: String,
    /// Its label; empty if it has none.
    pub label: String,
    /// Whether it is the public half of a pair.
    pub public: bool,
    handle: ObjectHandle,
}

impl FoundObject {
    pub(crate) fn handle(&self) -> ObjectHandle {
        self.handle
    }
}

/// An attribute that is not as the key table wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The attribute's `CKA_` name.
    pub attribute: &'static str,
    /// What the key table wants.
    pub wanted: String,
    /// What the token holds.
    pub found: String,
    /// Whether it is an attribute of the public half.
    pub public: bool,
}

impl Token {
    /// Lists every token object, ours or not, the public halves of pairs too.
    ///
    /// # Errors
    /// If the token fails.
    pub fn inventory(&self) -> Result<Vec<FoundObject>, TokenError> {
        self.with_session(|session| {
            let handles = session.find_objects(&[Attribute::Token(true)]).map_err(fault)?;
            handles.into_iter().map(|handle| describe(session, handle)).collect()
        })
    }

    /// Compares a key with every attribute the key table knows of its kind; nothing in the answer means exact.
    ///
    /// # Errors
    /// If there is no such key, or more than one, or if the token fails.
    pub fn drift(&self, kind: KeyKind, id: ObjectId, origin: Origin) -> Result<Vec<Drift>, TokenError> {
        self.with_session(|session| {
            let mut all = Vec::new();
            for half in kind.profile().halves() {
                let handle = resolve((self, session), kind, *half, id)?;
                let observed = observe(session, handle, kind.profile(), *half, origin)?;
                all.extend(observed.into_iter().filter(|one| one.wanted != one.found).map(|one| Drift {
                    attribute: one.attribute,
                    wanted: one.wanted,
                    found: one.found,
                    public: one.half == Half::Public,
                }));
            }
            Ok(all)
        })
    }

    /// Computes a key's check value in the token.
    ///
    /// # Errors
    /// If there is no such key, or more than one, or if the token fails.
    pub fn check_value(&self, kind: KeyKind, id: ObjectId) -> Result<CheckValue, TokenError> {
        self.with_session(|session| check_value_of((self, session), kind, id))
    }
}

/// Finds the one object of a key's half: in the inventory that is held and knows it, else by a search.
pub(crate) fn resolve(
    (token, session): (&Token, &Session),
    kind: KeyKind,
    half: Half,
    id: ObjectId,
) -> Result<ObjectHandle, TokenError> {
    match token.held_handle(class_of(kind.profile(), half), id) {
        Some(handle) if kind.profile().life == Life::Token => Ok(handle),
        _ => search(session, kind, half, id),
    }
}

/// Searches for the one object of a key's half.
pub(crate) fn search(
    session: &Session,
    kind: KeyKind,
    half: Half,
    id: ObjectId,
) -> Result<ObjectHandle, TokenError> {
    let profile = kind.profile();
    if profile.life == Life::Session {
        return Err(TokenError::WrongKind { kind, needed: "a key that lies on the token" });
    }
    let wanted = [Attribute::Class(class_of(profile, half)), Attribute::Id(id.0.to_vec())];
    let mut found = session.find_objects(&wanted).map_err(fault)?;
    match (found.pop(), found.len()) {
        (None, _) => Err(TokenError::NotFound { kind, id }),
        (Some(handle), 0) => Ok(handle),
        (Some(_), more) => Err(TokenError::Ambiguous { kind, id, count: more.saturating_add(1) }),
    }
}

pub(crate) fn check_value_of(
    (token, session): (&Token, &Session),
    kind: KeyKind,
    id: ObjectId,
) -> Result<CheckValue, TokenError> {
    let resolve = |half| resolve((token, session), kind, half, id);
    match kind {
        KeyKind::CardMaster => master::check_value(session, resolve(Half::Secret)?),
        KeyKind::Storage => storage::check_value(session, resolve(Half::Secret)?),
        _ => Ok(spki::check_value(&spki::read((token, session), kind, id)?)),
    }
}

fn describe(session: &Session, handle: ObjectHandle) -> Result<FoundObject, TokenError> {
    let class = read_one(session, handle, AttributeType::Class)?;
    let public = matches!(class, Some(Attribute::Class(ObjectClass::PUBLIC_KEY)));
    let id = match read_one(session, handle, AttributeType::Id)? {
        Some(Attribute::Id(bytes)) => bytes.try_into().ok().map(ObjectId),
        _ => None,
    };
    let label = match read_one(session, handle, AttributeType::Label)? {
        Some(Attribute::Label(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    };
    let key_type = text(read_one(session, handle, AttributeType::KeyType)?);
    Ok(FoundObject { id, class: text(class), key_type, label, public, handle })
}

/// A session object that is gone when this value is, whichever way its function returns.
pub(crate) struct Transient<'s> {
    session: &'s Session,
    handle: ObjectHandle,
}

impl<'s> Transient<'s> {
    pub(crate) fn new(session: &'s Session, handle: ObjectHandle) -> Self {
        Self { session, handle }
    }

    pub(crate) fn handle(&self) -> ObjectHandle {
        self.handle
    }
}

impl Drop for Transient<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.session.destroy_object(self.handle).map_err(fault) {
            tracing::warn!(%error, "a session object was not destroyed");
        }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut all, byte| {
        // Writing to a string cannot fail.
        let _ = write!(all, "{byte:02x}");
        all
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use cryptoki::mechanism::{Mechanism, MechanismType};

    use super::*;
    use crate::attribute::{flag_attribute, template};
    use crate::profile::{Flag, Shape};
    use crate::scratch::{Scratch, on_each_module};

    const ID: ObjectId = ObjectId([7; 16]);

    /// What else a token must report once a flag is flipped, because PKCS#11 defines the one by the other.
    fn implied(flag: Flag) -> Option<&'static str> {
        match flag {
            Flag::Sensitive => Some("CKA_ALWAYS_SENSITIVE"),
            Flag::Extractable => Some("CKA_NEVER_EXTRACTABLE"),
            _ => None,
        }
    }

    /// Makes keys that differ from the table in one attribute each, and compares what drift reports.
    fn drift_names_each_flipped_attribute(scratch: &Scratch, kind: KeyKind) {
        let token = scratch.open();
        let mut number = 0;
        for half in kind.profile().halves() {
            for flipped in kind.profile().flags(*half) {
                number += 1;
                let id = ObjectId([number; 16]);
                let change = flag_attribute(flipped.0, !flipped.1);
                let made = generate_with(&token, kind, id, *half, &change);
                // Both modules make every one of them; what a token refuses to make needs no drift to find.
                assert_eq!(made, Ok(()), "{kind} {}", flipped.0.name());
                let mut wanted = vec![flipped.0.name()];
                wanted.extend((*half == Half::Secret).then(|| implied(flipped.0)).flatten());
                let drift = token.drift(kind, id, Origin::Generated).unwrap();
                let found: Vec<_> = drift.iter().map(|one| one.attribute).collect();
                assert_eq!(found, wanted, "{kind} {half:?}");
                assert!(drift.iter().all(|one| one.public == (*half == Half::Public)), "{kind} {half:?}");
                assert_eq!(drift[0].wanted, flipped.1.to_string());
                assert_eq!(drift[0].found, (!flipped.1).to_string());
            }
            // The allowed mechanisms are the one attribute that is no flag.
            number += 1;
            let id = ObjectId([number; 16]);
            let change = Attribute::AllowedMechanisms(vec![MechanismType::AES_ECB]);
            generate_with(&token, kind, id, *half, &change).unwrap();
            let drift = token.drift(kind, id, Origin::Generated).unwrap();
            assert_eq!(drift.len(), 1, "{kind} {half:?}");
            assert_eq!(
                (drift[0].attribute, drift[0].found.as_str()),
                ("CKA_ALLOWED_MECHANISMS", "CKM_AES_ECB")
            );
        }
    }

    fn generate_with(
        token: &Token,
        kind: KeyKind,
        id: ObjectId,
        half: Half,
        change: &Attribute,
    ) -> Result<(), TokenError> {
        let [secret, public] = [Half::Secret, Half::Public].map(|one| {
            let mut all = template(kind.profile(), one, token.offered());
            if one == half {
                all.retain(|attribute| attribute.attribute_type() != change.attribute_type());
                all.push(change.clone());
            }
            all.push(Attribute::Id(id.0.to_vec()));
            all
        });
        token.with_session(|session| {
            match kind.profile().shape {
                Shape::EcP256 => {
                    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &secret).map(drop)
                }
                _ => session.generate_key(&Mechanism::AesKeyGen, &secret).map(drop),
            }
            .map_err(fault)
        })
    }

    /// Makes a second object with this identifier, which [`Token::generate`] would refuse.
    pub(crate) fn make_twin(token: &Token, kind: KeyKind, id: ObjectId) {
        generate_with(token, kind, id, Half::Secret, &Attribute::Modifiable(true)).unwrap();
    }

    #[test]
    fn drift_names_each_flipped_attribute_of_a_card_master() {
        on_each_module("object::tests::drift_names_each_flipped_attribute_of_a_card_master", |scratch| {
            drift_names_each_flipped_attribute(scratch, KeyKind::CardMaster);
        });
    }

    #[test]
    fn drift_names_each_flipped_attribute_of_a_value_signing_key() {
        on_each_module(
            "object::tests::drift_names_each_flipped_attribute_of_a_value_signing_key",
            |scratch| drift_names_each_flipped_attribute(scratch, KeyKind::ValueSigning),
        );
    }

    #[test]
    fn drift_names_each_flipped_attribute_of_a_storage_key() {
        on_each_module("object::tests::drift_names_each_flipped_attribute_of_a_storage_key", |scratch| {
            drift_names_each_flipped_attribute(scratch, KeyKind::Storage);
        });
    }

    #[test]
    fn drift_tells_an_imported_key_from_a_generated_one() {
        on_each_module("object::tests::drift_tells_an_imported_key_from_a_generated_one", |scratch| {
            let token = scratch.open();
            let marks = ["CKA_ALWAYS_SENSITIVE", "CKA_NEVER_EXTRACTABLE", "CKA_LOCAL"];
            token.import_known(ID, "imported", &[1; 16]).unwrap();
            assert_eq!(token.drift(KeyKind::CardMaster, ID, Origin::Imported).unwrap(), []);
            let drift = token.drift(KeyKind::CardMaster, ID, Origin::Generated).unwrap();
            assert_eq!(drift.iter().map(|one| one.attribute).collect::<Vec<_>>(), marks);
            assert!(drift.iter().all(|one| (one.wanted.as_str(), one.found.as_str()) == ("true", "false")));

            let generated = ObjectId([8; 16]);
            token.generate(KeyKind::CardMaster, generated, "generated").unwrap();
            let drift = token.drift(KeyKind::CardMaster, generated, Origin::Imported).unwrap();
            assert_eq!(drift.iter().map(|one| one.attribute).collect::<Vec<_>>(), marks);
        });
    }

    #[test]
    fn a_birth_mark_cannot_be_ordered() {
        on_each_module("object::tests::a_birth_mark_cannot_be_ordered", |scratch| {
            let (token, kind) = (scratch.open(), KeyKind::CardMaster);
            let marks = [Flag::AlwaysSensitive, Flag::NeverExtractable, Flag::Local];
            for (number, mark) in (1..).zip(marks) {
                let [generated, imported] = [number, number + 10].map(|number| ObjectId([number; 16]));
                let made = generate_with(&token, kind, generated, Half::Secret, &flag_attribute(mark, false));
                refused_or_not_heeded(&token, generated, Origin::Generated, made);
                let made = import_with(&token, kind, imported, flag_attribute(mark, true));
                refused_or_not_heeded(&token, imported, Origin::Imported, made);
            }
        });
    }

    fn refused_or_not_heeded(token: &Token, id: ObjectId, origin: Origin, made: Result<(), TokenError>) {
        match made {
            Err(error) => assert!(matches!(error, TokenError::Refused { .. }), "{error:?}"),
            Ok(()) => assert_eq!(token.drift(KeyKind::CardMaster, id, origin).unwrap(), []),
        }
    }

    /// Brings in a value as the table says, with one attribute more.
    fn import_with(token: &Token, kind: KeyKind, id: ObjectId, more: Attribute) -> Result<(), TokenError> {
        let mut all = template(kind.profile(), Half::Secret, token.offered());
        all.extend([Attribute::Id(id.0.to_vec()), more]);
        token.with_session(|session| crate::value::create(session, all, &[1; 16]).map(drop))
    }

    #[test]
    fn drift_finds_a_mechanism_that_nobody_knows() {
        on_each_module("object::tests::drift_finds_a_mechanism_that_nobody_knows", |scratch| {
            let (token, kind) = (scratch.open(), KeyKind::CardMaster);
            let vendors = MechanismType::new_vendor_defined(0x8000_4b53).unwrap();
            let change = Attribute::AllowedMechanisms(vec![vendors]);
            generate_with(&token, kind, ID, Half::Secret, &change).unwrap();
            let drift = token.drift(kind, ID, Origin::Generated).unwrap();
            assert_eq!(drift.iter().map(|one| one.attribute).collect::<Vec<_>>(), ["CKA_ALLOWED_MECHANISMS"]);
            assert_ne!(drift[0].found, drift[0].wanted);
        });
    }

    #[test]
    fn drift_finds_a_key_of_another_type_or_length() {
        on_each_module("object::tests::drift_finds_a_key_of_another_type_or_length", |scratch| {
            let token = scratch.open();
            token.generate(KeyKind::Storage, ID, "longer").unwrap();
            let drift = token.drift(KeyKind::CardMaster, ID, Origin::Generated).unwrap();
            let length =
                Drift { attribute: "CKA_VALUE_LEN", wanted: "16".into(), found: "32".into(), public: false };
            assert!(drift.contains(&length), "{drift:?}");
            let rsa = ObjectId([8; 16]);
            token.generate(KeyKind::Wrapping, rsa, "other").unwrap();
            let drift = token.drift(KeyKind::ValueSigning, rsa, Origin::Generated).unwrap();
            assert_eq!((drift[0].attribute, drift[0].found.as_str()), ("CKA_KEY_TYPE", "CKK_RSA"));
        });
    }

    #[test]
    fn an_inventory_lists_every_object_with_both_halves_of_pairs() {
        on_each_module(
            "object::tests::an_inventory_lists_every_object_with_both_halves_of_pairs",
            |scratch| {
                let token = scratch.open();
                assert!(token.inventory().unwrap().is_empty());
                token.generate(KeyKind::CardMaster, ID, "master").unwrap();
                token.generate(KeyKind::Checkpoint, ObjectId([8; 16]), "checkpoint").unwrap();
                token
                    .with_session(|session| {
                        session
                            .create_object(&[
                                Attribute::Class(ObjectClass::DATA),
                                Attribute::Token(true),
                                Attribute::Value(vec![1]),
                            ])
                            .map_err(fault)
                    })
                    .unwrap();
                let mut found: Vec<_> = token
                    .inventory()
                    .unwrap()
                    .into_iter()
                    .map(|one| (one.label, one.class, one.id, one.public))
                    .collect();
                found.sort();
                let text = |text: &str| text.to_owned();
                assert_eq!(
                    found,
                    [
                        (text(""), text("CKO_DATA"), None, false),
                        (text("checkpoint"), text("CKO_PRIVATE_KEY"), Some(ObjectId([8; 16])), false),
                        (text("checkpoint"), text("CKO_PUBLIC_KEY"), Some(ObjectId([8; 16])), true),
                        (text("master"), text("CKO_SECRET_KEY"), Some(ID), false),
                    ]
                );
                for object in token.inventory().unwrap() {
                    token.destroy_found(&object).unwrap();
                }
                assert!(token.inventory().unwrap().is_empty());
            },
        );
    }

    #[test]
    fn two_objects_with_one_identifier_are_both_refused() {
        on_each_module("object::tests::two_objects_with_one_identifier_are_both_refused", |scratch| {
            let token = scratch.open();
            let kind = KeyKind::CardMaster;
            token.generate(kind, ID, "ours").unwrap();
            make_twin(&token, kind, ID);
            let ambiguous = TokenError::Ambiguous { kind, id: ID, count: 2 };
            assert_eq!(token.master_key(kind, ID).unwrap_err(), ambiguous);
            assert_eq!(token.drift(kind, ID, Origin::Generated), Err(ambiguous));
        });
    }

    #[test]
    fn an_identifier_is_written_in_lower_case_hexadecimal() {
        assert_eq!(ObjectId([0xab; 16]).to_string(), "ab".repeat(16));
    }
}
