//! The token's objects: what lies there, which handle a key has, whether it is still as the key table wants it.
//!
//! Searches happen here and only at start and in ceremonies: `SoftHSM` opens and locks every object's file for each,
//! so nothing on a request's path may search.

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
                let handle = resolve(session, kind, *half, id)?;
                let observed = observe(session, handle, kind.profile(), *half, (origin, self.offered()))?;
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
        self.with_session(|session| check_value_of(session, kind, id))
    }

    /// Destroys a key for ever, both halves of a pair. A half alone is destroyed too.
    ///
    /// # Errors
    /// If there is no such key, more than one, or if the token refuses or fails.
    pub fn destroy(&self, kind: KeyKind, id: ObjectId) -> Result<(), TokenError> {
        self.with_session(|session| {
            let mut handles = Vec::new();
            for half in kind.profile().halves() {
                match resolve(session, kind, *half, id) {
                    Ok(handle) => handles.push(handle),
                    Err(TokenError::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if handles.is_empty() {
                return Err(TokenError::NotFound { kind, id });
            }
            handles.into_iter().try_for_each(|handle| session.destroy_object(handle).map_err(fault))
        })
    }

    /// Destroys one object of an inventory, such as what an interrupted creation left without an identifier.
    ///
    /// # Errors
    /// If the token refuses or fails.
    pub fn destroy_found(&self, object: &FoundObject) -> Result<(), TokenError> {
        self.with_session(|session| session.destroy_object(object.handle).map_err(fault))
    }
}

/// Finds the one object of a key's half.
pub(crate) fn resolve(
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

pub(crate) fn check_value_of(session: &Session, kind: KeyKind, id: ObjectId) -> Result<CheckValue, TokenError> {
    match kind {
        KeyKind::CardMaster => master::check_value(session, resolve(session, kind, Half::Secret, id)?),
        KeyKind::Storage => storage::check_value(session, resolve(session, kind, Half::Secret, id)?),
        _ => Ok(spki::check_value(&spki::read(session, kind, id)?)),
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
