//! The transport key: made for one exchange with one station, wraps card keys, leaves only wrapped to that station.
//!
//! A session object in a session of its own, so it dies with this value, with the keeper, and with nothing else.

use std::fmt;

use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};

use crate::attribute::template;
use crate::card_key::CardKey;
use crate::error::{TokenError, data_fault, fault};
use crate::object::{CheckValue, Transient};
use crate::profile::{Half, KeyKind};
use crate::spki::RsaPublicKey;
use crate::storage;
use crate::token::{Holder, Token};

/// A transport key inside the token (AES-256), destroyed when dropped. It wraps, nothing else.
pub struct TransportKey {
    token: Token,
    handle: ObjectHandle,
    /// INVARIANT: the session that made the key; closing it destroys the key.
    _holder: Holder,
}

impl TransportKey {
    /// Generates a transport key in the token.
    ///
    /// # Errors
    /// If the token fails.
    pub fn generate(token: &Token) -> Result<Self, TokenError> {
        let ordered = template(KeyKind::Transport.profile(), Half::Secret, token.offered());
        let (handle, holder) = token.with_own_session(|session| {
            session.generate_key(&Mechanism::AesKeyGen, &ordered).map_err(fault)
        })?;
        Ok(Self { token: token.clone(), handle, _holder: holder })
    }

    /// The transport key's check value: 5 bytes of the key wrap of 16 zero bytes.
    ///
    /// # Errors
    /// If the token fails.
    pub fn check_value(&self) -> Result<CheckValue, TokenError> {
        self.token.with_session(|session| storage::check_value(session, self.handle))
    }

    /// Wraps a card key (RFC 3394, 24 bytes).
    ///
    /// # Errors
    /// If the card key lies on another token, or if the token fails.
    pub fn wrap(&self, card_key: &CardKey) -> Result<[u8; 24], TokenError> {
        if !self.token.is_same(card_key.token()) {
            return Err(TokenError::OtherToken);
        }
        let wrapped = self.token.with_session(|session| {
            session.wrap_key(&Mechanism::AesKeyWrap, self.handle, card_key.handle()).map_err(fault)
        })?;
        wrapped
            .try_into()
            .map_err(|_| TokenError::unexpected("C_WrapKey", "a wrapped card key that is not 24 bytes long"))
    }

    /// Wraps this key to a station's public key (RSAES-OAEP with SHA-1 and MGF1-SHA-1, the one form that every token
    /// offers; OAEP does not rest on SHA-1's collision resistance). `spki` is DER, at least 3072 bits.
    ///
    /// # Errors
    /// If the public key is not RSA, too weak or refused by the token, or if the token fails.
    pub fn wrap_to(&self, spki: &[u8]) -> Result<Vec<u8>, TokenError> {
        let RsaPublicKey { modulus, exponent } = RsaPublicKey::from_spki(spki)?;
        self.token.with_session(|session| {
            let station = session
                .create_object(&[
                    Attribute::Class(ObjectClass::PUBLIC_KEY),
                    Attribute::KeyType(KeyType::RSA),
                    Attribute::Token(false),
                    Attribute::Private(false),
                    Attribute::Modulus(modulus),
                    Attribute::PublicExponent(exponent),
                    Attribute::Wrap(true),
                    Attribute::Encrypt(false),
                    Attribute::Verify(false),
                    Attribute::VerifyRecover(false),
                    Attribute::Derive(false),
                ])
                .map_err(data_fault(session))?;
            let station = Transient::new(session, station);
            session.wrap_key(&oaep(), station.handle(), self.handle).map_err(data_fault(session))
        })
    }
}

impl fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransportKey(..)")
    }
}

/// RSAES-OAEP (RFC 8017 section 7.1) with SHA-1, MGF1-SHA-1 and no label.
pub(crate) fn oaep() -> Mechanism<'static> {
    Mechanism::RsaPkcsOaep(PkcsOaepParams::new(
        MechanismType::SHA1,
        PkcsMgfType::MGF1_SHA1,
        PkcsOaepSource::empty(),
    ))
}
