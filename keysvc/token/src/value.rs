//! Values that come into the token from outside: the check value of one, and an object made from one.
//!
//! Apart because it is the one place where a secret goes into a template: the wrapper's copy of it is wiped here. Where
//! the value comes from, and whether it may come in at all, is the caller's affair.

use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use zeroize::Zeroize;

use crate::card_key;
use crate::error::{TokenError, fault};
use crate::mechanism::{Mechanism, mechanism_type};
use crate::object::Transient;
use crate::token::Token;

impl Token {
    /// The check value that a key of this value would have: the first 5 bytes of AES-CMAC over a zero block, computed
    /// in the token with a session object that can do nothing else and is destroyed at once.
    ///
    /// # Errors
    /// [`TokenError::NotOffered`] on a token without CMAC; else if the token fails.
    pub fn check_value_of(&self, value: &[u8; 16]) -> Result<[u8; 5], TokenError> {
        self.needs(&[Mechanism::AesCmac])?;
        self.with_session(|session| {
            let key = Transient::new(session, create(session, checked_only(), value)?);
            card_key::check_value(session, key.handle())
        })
    }
}

/// Makes an AES-128 key of this value, and wipes the copy of it in the template.
pub(crate) fn create(
    session: &Session,
    mut template: Vec<Attribute>,
    value: &[u8; 16],
) -> Result<ObjectHandle, TokenError> {
    // The length follows from the value; a token refuses both together.
    template.retain(|attribute| !matches!(attribute, Attribute::ValueLen(_)));
    template.extend([
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Value(value.to_vec()),
    ]);
    let made = session.create_object(&template);
    for attribute in &mut template {
        if let Attribute::Value(bytes) = attribute {
            bytes.zeroize();
        }
    }
    made.map_err(fault)
}

fn checked_only() -> Vec<Attribute> {
    vec![
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Modifiable(false),
        Attribute::Copyable(false),
        Attribute::Encrypt(false),
        Attribute::Decrypt(false),
        Attribute::Sign(true),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::AllowedMechanisms(vec![mechanism_type(Mechanism::AesCmac)]),
    ]
}

#[cfg(test)]
mod tests {
    use crate::object::ObjectId;
    use crate::scratch::{key_count, on_each_module};
    use crate::vectors::{bytes, vectors};

    #[test]
    fn the_check_value_is_the_published_cmac_and_no_other_kind() {
        on_each_module("value::tests::the_check_value_is_the_published_cmac_and_no_other_kind", |scratch| {
            let token = scratch.open();
            let (mut equal, mut others) = (0, 0);
            for vector in vectors("kcv.json").into_iter().filter(|vector| vector["alg"] == "AES-128") {
                let value: [u8; 16] = bytes(&vector["key"]).try_into().unwrap();
                let check = token.check_value_of(&value).unwrap();
                if vector["kcv_cmac_zero_block_5"].is_string() {
                    assert_eq!(check.as_slice(), bytes(&vector["kcv_cmac_zero_block_5"]));
                    equal += 1;
                }
                for other in ["kcv_ecb_zero_3", "kcv_globalplatform_ecb01_3"] {
                    if vector[other].is_string() {
                        assert_ne!(check[..3], bytes(&vector[other]), "{other}");
                        others += 1;
                    }
                }
            }
            assert_eq!((equal, others), (3, 7));
        });
    }

    #[test]
    fn each_component_and_their_sum_have_the_published_check_values() {
        on_each_module(
            "value::tests::each_component_and_their_sum_have_the_published_check_values",
            |scratch| {
                let token = scratch.open();
                let (mut made, mut refused) = (0, 0);
                for (number, vector) in (1..).zip(vectors("key_components.json")) {
                    let components = vector["components"].as_array().unwrap();
                    let mut sum = [0; 16];
                    for component in components {
                        let Ok(value) = <[u8; 16]>::try_from(bytes(&component["value"])) else {
                            refused += 1;
                            continue;
                        };
                        sum.iter_mut().zip(value).for_each(|(byte, add)| *byte ^= add);
                        if component["kcv_cmac_5"].is_string() {
                            let check = token.check_value_of(&value).unwrap();
                            assert_eq!(check.as_slice(), bytes(&component["kcv_cmac_5"]));
                        }
                    }
                    let Ok(combined) = <[u8; 16]>::try_from(bytes_or_none(&vector["combined"])) else {
                        continue;
                    };
                    assert_eq!(sum, combined);
                    let key = token.import(ObjectId([number; 16]), "imported", &zeroize::Zeroizing::new(sum));
                    assert_eq!(key.unwrap().check.bytes(), bytes(&vector["combined_kcv_cmac_5"]));
                    made += 1;
                }
                // The longer keys' components: three of AES-256, three of AES-192.
                assert_eq!((made, refused), (1, 6));
            },
        );
    }

    fn bytes_or_none(value: &serde_json::Value) -> Vec<u8> {
        if value.is_string() { bytes(value) } else { Vec::new() }
    }

    #[test]
    fn a_check_value_leaves_no_object_behind() {
        on_each_module("value::tests::a_check_value_leaves_no_object_behind", |scratch| {
            let token = scratch.open();
            token.check_value_of(&[7; 16]).unwrap();
            assert_eq!(key_count(&token), 0);
        });
    }
}
