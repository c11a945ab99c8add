//! The storage key: wraps and unwraps data keys of one retention class and month. Destroying it erases them all.
//!
//! Data keys do come into this process, because the ledger encrypts with them; the encryption itself is not here.

use std::fmt;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::types::Ulong;
use zeroize::Zeroizing;

use crate::error::{TokenError, data_fault, fault};
use crate::master::read_value;
use crate::object::{CheckValue, ObjectId, Transient, resolve};
use crate::profile::{Half, KeyKind};
use crate::token::Token;

/// A storage key on the token. Its handle was found once.
pub struct StorageKey {
    token: Token,
    handle: ObjectHandle,
    id: ObjectId,
}

/// A 32-byte key for data at rest, wiped when dropped.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl Token {
    /// Finds a storage key by identifier.
    ///
    /// # Errors
    /// If the kind is not the storage key, if no key or more than one answers, or if the token fails.
    pub fn storage_key(&self, kind: KeyKind, id: ObjectId) -> Result<StorageKey, TokenError> {
        if kind != KeyKind::Storage {
            return Err(TokenError::WrongKind { kind, needed: "a storage key" });
        }
        let handle = self.with_session(|session| resolve((self, session), kind, Half::Secret, id))?;
        Ok(StorageKey { token: self.clone(), handle, id })
    }
}

impl StorageKey {
    /// Draws a data key in the token. Returns it with its wrapping (RFC 3394, 40 bytes).
    ///
    /// # Errors
    /// If the token fails.
    pub fn generate_data_key(&self) -> Result<(DataKey, [u8; 40]), TokenError> {
        let mut ordered = readable().to_vec();
        ordered.push(Attribute::ValueLen(Ulong::new(32)));
        self.token.with_session(|session| {
            let drawn = session.generate_key(&Mechanism::AesKeyGen, &ordered).map_err(fault)?;
            let drawn = Transient::new(session, drawn);
            let wrapped =
                session.wrap_key(&Mechanism::AesKeyWrap, self.handle, drawn.handle()).map_err(fault)?;
            let wrapped = wrapped.try_into().map_err(|_| {
                TokenError::unexpected("C_WrapKey", "a wrapped data key that is not 40 bytes long")
            })?;
            Ok((DataKey(read_value(session, drawn.handle())?), wrapped))
        })
    }

    /// Unwraps a data key that this key has wrapped.
    ///
    /// # Errors
    /// [`TokenError::BadData`] if the bytes are damaged or another key wrapped them; else if the token fails.
    pub fn unwrap_data_key(&self, wrapped: &[u8; 40]) -> Result<DataKey, TokenError> {
        self.token.with_session(|session| {
            let opened = session
                .unwrap_key(&Mechanism::AesKeyWrap, self.handle, wrapped, &readable())
                .map_err(data_fault(session))?;
            let opened = Transient::new(session, opened);
            Ok(DataKey(read_value(session, opened.handle())?))
        })
    }

    /// The storage key's check value: 5 bytes of the key wrap of 16 zero bytes.
    ///
    /// # Errors
    /// If the token fails.
    pub fn check_value(&self) -> Result<CheckValue, TokenError> {
        self.token.with_session(|session| check_value(session, self.handle))
    }

    /// The key's `CKA_ID`.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.id
    }
}

impl fmt::Debug for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageKey({})", self.id)
    }
}

impl DataKey {
    /// The 32 bytes of the key.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// The check value of a key that may wrap: it cannot make a CMAC, so it wraps a key of zeros, which is no secret.
pub(crate) fn check_value(session: &Session, wrapping: ObjectHandle) -> Result<CheckValue, TokenError> {
    let zeros = session
        .create_object(&[
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(false),
            Attribute::Private(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
            Attribute::Value(vec![0; 16]),
        ])
        .map_err(fault)?;
    let zeros = Transient::new(session, zeros);
    let wrapped = session.wrap_key(&Mechanism::AesKeyWrap, wrapping, zeros.handle()).map_err(fault)?;
    match wrapped.first_chunk() {
        Some(head) => Ok(CheckValue::Kw(*head)),
        None => Err(TokenError::unexpected("C_WrapKey", "a wrapped key that is shorter than 5 bytes")),
    }
}

/// A data key's template: a session object that the process may read, used by the token for nothing.
fn readable() -> [Attribute; 13] {
    [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
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
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::on_each_module;

    const ID: ObjectId = ObjectId([7; 16]);
    const OTHER: ObjectId = ObjectId([8; 16]);

    #[test]
    fn a_data_key_comes_back_from_its_wrapping() {
        on_each_module("storage::tests::a_data_key_comes_back_from_its_wrapping", |scratch| {
            let token = scratch.open();
            let made = token.generate(KeyKind::Storage, ID, "2026-11").unwrap();
            let key = token.storage_key(KeyKind::Storage, ID).unwrap();
            assert_eq!(key.check_value().unwrap(), made.check);
            assert_eq!(made.check.method(), "kw");
            let (data_key, wrapped) = key.generate_data_key().unwrap();
            assert_eq!(key.unwrap_data_key(&wrapped).unwrap().expose(), data_key.expose());
            let (another, _) = key.generate_data_key().unwrap();
            assert_ne!(another.expose(), data_key.expose());
        });
    }

    #[test]
    fn a_damaged_or_foreign_wrapping_is_bad_data_and_the_key_works_on() {
        on_each_module(
            "storage::tests::a_damaged_or_foreign_wrapping_is_bad_data_and_the_key_works_on",
            |scratch| {
                let token = scratch.open();
                token.generate(KeyKind::Storage, ID, "2026-11").unwrap();
                token.generate(KeyKind::Storage, OTHER, "2026-12").unwrap();
                let key = token.storage_key(KeyKind::Storage, ID).unwrap();
                let other = token.storage_key(KeyKind::Storage, OTHER).unwrap();
                let (_, foreign) = other.generate_data_key().unwrap();
                let (_, mut damaged) = key.generate_data_key().unwrap();
                damaged[39] ^= 1;
                for wrapped in [foreign, damaged, [0; 40]] {
                    let error = key.unwrap_data_key(&wrapped).unwrap_err();
                    assert!(matches!(error, TokenError::BadData { .. }), "{error:?}");
                    assert!(!error.is_fatal());
                }
                let (data_key, wrapped) = key.generate_data_key().unwrap();
                assert_eq!(key.unwrap_data_key(&wrapped).unwrap().expose(), data_key.expose());
            },
        );
    }

    #[test]
    fn a_destroyed_storage_key_takes_its_data_keys_with_it() {
        on_each_module("storage::tests::a_destroyed_storage_key_takes_its_data_keys_with_it", |scratch| {
            let token = scratch.open();
            token.generate(KeyKind::Storage, ID, "2026-11").unwrap();
            let key = token.storage_key(KeyKind::Storage, ID).unwrap();
            let (_, wrapped) = key.generate_data_key().unwrap();
            token.destroy(KeyKind::Storage, ID).unwrap();
            assert!(key.unwrap_data_key(&wrapped).unwrap_err().is_fatal());
            assert_eq!(
                token.storage_key(KeyKind::Storage, ID).unwrap_err(),
                TokenError::NotFound { kind: KeyKind::Storage, id: ID }
            );
        });
    }

    #[test]
    fn a_data_key_does_not_print() {
        assert_eq!(format!("{:?}", DataKey(Zeroizing::new([1; 32]))), "DataKey(..)");
    }
}
