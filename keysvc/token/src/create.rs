//! Makes keys on the token as the key table orders them, and reads back what was made.
//!
//! Apart because it runs in ceremonies only. It writes no record: the daemon's ledger holds the intent before and the
//! outcome after. Label and identifier are given here and never change.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::Session;
use zeroize::Zeroizing;

use crate::attribute::{Observed, observe, template};
use crate::error::{TokenError, fault};
use crate::mechanism;
use crate::object::{CheckValue, ObjectId, check_value_of, resolve};
use crate::profile::{Half, KeyKind, Life, Origin, Shape};
use crate::token::Token;
use crate::{spki, value};

/// The longest label of an object, in bytes.
const LABEL_LONGEST: usize = 64;

/// A key that was just made: what the log's outcome records of it.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// Its `CKA_ID`.
    pub id: ObjectId,
    /// What it is for.
    pub kind: KeyKind,
    /// Its label.
    pub label: String,
    /// Its check value, computed in the token.
    pub check: CheckValue,
    /// The DER `SubjectPublicKeyInfo` of a pair.
    pub public: Option<Vec<u8>>,
    /// Every attribute of the key table as the token holds it: `CKA_` name (with `public ` before it for a public
    /// half) and value as text, always in the same order.
    pub attributes: Vec<(String, String)>,
}

impl Token {
    /// Generates a key inside the token.
    ///
    /// # Errors
    /// If the kind lives in sessions only, the label is unusable, the identifier is taken, the token makes the key
    /// otherwise than the key table orders (it is then destroyed at once), or the token fails.
    pub fn generate(&self, kind: KeyKind, id: ObjectId, label: &str) -> Result<CreatedKey, TokenError> {
        let order = Order { kind, id, label, origin: Origin::Generated };
        self.make(&order, |session| {
            let [secret, public] = order.templates(self.offered());
            generate_from(session, kind.profile().shape, &secret, &public)
        })
    }

    /// Brings in a card master of a published value, with the same attributes. Development only: the value is no
    /// secret, and the attributes say for ever that the token did not make it.
    ///
    /// # Errors
    /// As [`Token::generate`].
    pub fn import_known(
        &self,
        id: ObjectId,
        label: &str,
        value: &[u8; 16],
    ) -> Result<CreatedKey, TokenError> {
        self.make_from(id, label, value)
    }

    /// Brings in a card master whose value custodians' components make, with the same attributes. The value is a
    /// secret: no copy of it is left in this process but the caller's. The attributes say for ever that the token did
    /// not make it.
    ///
    /// # Errors
    /// As [`Token::generate`].
    pub fn import(
        &self,
        id: ObjectId,
        label: &str,
        value: &Zeroizing<[u8; 16]>,
    ) -> Result<CreatedKey, TokenError> {
        self.make_from(id, label, value)
    }

    fn make_from(&self, id: ObjectId, label: &str, value: &[u8; 16]) -> Result<CreatedKey, TokenError> {
        let order = Order { kind: KeyKind::CardMaster, id, label, origin: Origin::Imported };
        self.make(&order, |session| {
            let [template, _] = order.templates(self.offered());
            value::create(session, template, value).map(drop)
        })
    }

    fn make(
        &self,
        order: &Order<'_>,
        create: impl FnOnce(&Session) -> Result<(), TokenError>,
    ) -> Result<CreatedKey, TokenError> {
        if order.kind.profile().life == Life::Session {
            return Err(TokenError::WrongKind { kind: order.kind, needed: "a key that lies on the token" });
        }
        check_label(order.label, LABEL_LONGEST)?;
        let made = self.with_session(|session| {
            if !session.find_objects(&[Attribute::Id(order.id.0.to_vec())]).map_err(fault)?.is_empty() {
                return Err(TokenError::Duplicate { id: order.id });
            }
            let created = create(session);
            self.forget_held(order.id);
            created?;
            order.read_back(self, session)
        });
        if matches!(made, Err(TokenError::NotAsOrdered { .. })) {
            // Ours a moment ago and never used: destroyed before anyone relies on it.
            self.destroy_just_made(order.id)?;
        }
        made
    }
}

/// A key to be made.
struct Order<'a> {
    kind: KeyKind,
    id: ObjectId,
    label: &'a str,
    origin: Origin,
}

impl Order<'_> {
    /// The whole templates of both halves; the public one is for pairs.
    fn templates(&self, offered: &[mechanism::Mechanism]) -> [Vec<Attribute>; 2] {
        [Half::Secret, Half::Public].map(|half| {
            let mut all = template(self.kind.profile(), half, offered);
            all.extend([Attribute::Id(self.id.0.to_vec()), Attribute::Label(self.label.as_bytes().to_vec())]);
            all
        })
    }

    /// Reads the key as the token made it, and refuses it if it is not as ordered.
    fn read_back(&self, token: &Token, session: &Session) -> Result<CreatedKey, TokenError> {
        let Self { kind, id, label, origin } = *self;
        let mut attributes = Vec::new();
        for half in kind.profile().halves() {
            let handle = resolve((token, session), kind, *half, id)?;
            for one in observe(session, handle, kind.profile(), *half, origin)? {
                let Observed { attribute, wanted, found, .. } = one;
                if wanted != found {
                    return Err(TokenError::NotAsOrdered { attribute, wanted, found });
                }
                let prefix = if *half == Half::Public { "public " } else { "" };
                attributes.push((format!("{prefix}{attribute}"), found));
            }
        }
        let public =
            if kind.profile().shape.is_pair() { Some(spki::read((token, session), kind, id)?) } else { None };
        let check = match &public {
            Some(spki) => spki::check_value(spki),
            None => check_value_of((token, session), kind, id)?,
        };
        Ok(CreatedKey { id, kind, label: label.to_owned(), check, public, attributes })
    }
}

/// Refuses a label that is empty, longer than `longest` bytes, or has control characters.
pub(crate) fn check_label(label: &str, longest: usize) -> Result<(), TokenError> {
    if (1..=longest).contains(&label.len()) && !label.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(TokenError::UnusableLabel { label: label.to_owned(), longest })
    }
}

/// Generates a key from whole templates; the public one is for pairs.
fn generate_from(
    session: &Session,
    shape: Shape,
    secret: &[Attribute],
    public: &[Attribute],
) -> Result<(), TokenError> {
    let pair = |mechanism| session.generate_key_pair(&mechanism, public, secret).map(drop);
    match shape {
        Shape::Aes128 | Shape::Aes256 => session.generate_key(&Mechanism::AesKeyGen, secret).map(drop),
        Shape::EcP256 => pair(Mechanism::EccKeyPairGen),
        Shape::Rsa3072 => pair(Mechanism::RsaPkcsKeyPairGen),
    }
    .map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::on_each_module;
    use crate::vectors::{bytes, vectors};

    const ID: ObjectId = ObjectId([7; 16]);

    #[test]
    fn each_kind_is_made_as_the_key_table_orders() {
        on_each_module("create::tests::each_kind_is_made_as_the_key_table_orders", |scratch| {
            let token = scratch.open();
            for (number, kind) in (1..).zip(KeyKind::ALL) {
                let id = ObjectId([number; 16]);
                if kind.profile().life == Life::Session {
                    let error = token.generate(kind, id, "x").unwrap_err();
                    assert_eq!(error, TokenError::WrongKind { kind, needed: "a key that lies on the token" });
                    continue;
                }
                let made = token.generate(kind, id, "a label").unwrap();
                assert_eq!(token.drift(kind, id, Origin::Generated).unwrap(), [], "{kind}");
                assert_eq!(made.check, token.check_value(kind, id).unwrap(), "{kind}");
                assert_eq!(made.public.is_some(), kind.profile().shape.is_pair(), "{kind}");
                for half in kind.profile().halves() {
                    let prefix = if *half == Half::Public { "public " } else { "" };
                    for wanted in kind.profile().flags(*half) {
                        let pair = (format!("{prefix}{}", wanted.0.name()), wanted.1.to_string());
                        assert!(made.attributes.contains(&pair), "{kind} {pair:?}");
                    }
                }
            }
        });
    }

    #[test]
    fn the_attributes_of_two_keys_of_a_kind_are_recorded_alike() {
        on_each_module("create::tests::the_attributes_of_two_keys_of_a_kind_are_recorded_alike", |scratch| {
            let token = scratch.open();
            let one = token.generate(KeyKind::ValueSigning, ID, "one").unwrap();
            let two = token.generate(KeyKind::ValueSigning, ObjectId([8; 16]), "two").unwrap();
            assert_eq!(one.attributes, two.attributes);
            assert_eq!(one.attributes[0], ("CKA_CLASS".to_owned(), "CKO_PRIVATE_KEY".to_owned()));
            assert_ne!(one.check, two.check);
        });
    }

    #[test]
    fn an_imported_master_has_the_published_check_value() {
        on_each_module("create::tests::an_imported_master_has_the_published_check_value", |scratch| {
            let token = scratch.open();
            let mut tried = 0;
            for (number, vector) in (1..).zip(vectors("kcv.json")) {
                let (true, Some(_)) = (vector["alg"] == "AES-128", vector["kcv_cmac_zero_block_5"].as_str())
                else {
                    continue;
                };
                let value = bytes(&vector["key"]).try_into().unwrap();
                let made = token.import_known(ObjectId([number; 16]), "known", &value).unwrap();
                assert_eq!(made.check.bytes(), bytes(&vector["kcv_cmac_zero_block_5"]));
                assert_eq!(made.check.method(), "cmac");
                assert!(made.attributes.contains(&("CKA_LOCAL".to_owned(), "false".to_owned())));
                tried += 1;
            }
            assert_eq!(tried, 3);
        });
    }

    #[test]
    fn an_imported_master_is_as_the_table_orders_and_its_record_tells_its_origin() {
        on_each_module(
            "create::tests::an_imported_master_is_as_the_table_orders_and_its_record_tells_its_origin",
            |scratch| {
                let token = scratch.open();
                let (imported, generated) = (ID, ObjectId([8; 16]));
                let records = [
                    token.import(imported, "imported", &Zeroizing::new([5; 16])).unwrap(),
                    token.generate(KeyKind::CardMaster, generated, "generated").unwrap(),
                ];
                let origins = records.map(|record| {
                    let pairs = record.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                    Origin::recorded(pairs)
                });
                assert_eq!(origins, [Origin::Imported, Origin::Generated]);
                for (id, origin) in [imported, generated].into_iter().zip(origins) {
                    assert_eq!(token.drift(KeyKind::CardMaster, id, origin).unwrap(), []);
                }
                let master = token.master_key(KeyKind::CardMaster, imported).unwrap();
                assert_eq!(master.check_value().unwrap().bytes(), token.check_value_of(&[5; 16]).unwrap());
            },
        );
    }

    #[test]
    fn an_identifier_is_never_used_twice() {
        on_each_module("create::tests::an_identifier_is_never_used_twice", |scratch| {
            let token = scratch.open();
            token.generate(KeyKind::CardMaster, ID, "first").unwrap();
            for kind in [KeyKind::CardMaster, KeyKind::Checkpoint] {
                assert_eq!(token.generate(kind, ID, "second").unwrap_err(), TokenError::Duplicate { id: ID });
            }
            assert_eq!(
                token.import_known(ID, "third", &[1; 16]).unwrap_err(),
                TokenError::Duplicate { id: ID }
            );
        });
    }

    #[test]
    fn a_label_is_one_to_sixty_four_bytes_without_control_characters() {
        assert_eq!(check_label("programme 1", LABEL_LONGEST), Ok(()));
        assert_eq!(check_label(&"x".repeat(64), LABEL_LONGEST), Ok(()));
        for label in ["", "a\nb", "a\0", &"x".repeat(65)] {
            assert_eq!(
                check_label(label, LABEL_LONGEST),
                Err(TokenError::UnusableLabel { label: label.to_owned(), longest: 64 })
            );
        }
    }
}
