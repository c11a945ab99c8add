//! A derived card key: a session object that is wrapped out or used for one card, then destroyed.
//! Its value never comes into this process.

use std::fmt;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;

use crate::error::{TokenError, fault};
use crate::token::Token;

/// A card key inside the token, destroyed when dropped. It makes CMACs and can be wrapped, nothing else.
///
/// It lives in the session of the thread that derived it: other threads may use it, but not longer than that thread
/// lives.
pub struct CardKey {
    token: Token,
    handle: ObjectHandle,
}

impl CardKey {
    pub(crate) fn new(token: Token, handle: ObjectHandle) -> Self {
        Self { token, handle }
    }

    /// The first 5 bytes of AES-CMAC over a zero block, computed in the token.
    ///
    /// # Errors
    /// If the token fails.
    pub fn check_value(&self) -> Result<[u8; 5], TokenError> {
        self.token.with_session(|session| check_value(session, self.handle))
    }

    pub(crate) fn handle(&self) -> ObjectHandle {
        self.handle
    }

    pub(crate) fn token(&self) -> &Token {
        &self.token
    }
}

impl fmt::Debug for CardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardKey(..)")
    }
}

impl Drop for CardKey {
    fn drop(&mut self) {
        let destroyed = self.token.with_session(|session| session.destroy_object(self.handle).map_err(fault));
        if let Err(error) = destroyed {
            tracing::warn!(%error, "a card key was not destroyed");
        }
    }
}

/// The check value of a key that may make CMACs.
pub(crate) fn check_value(session: &Session, handle: ObjectHandle) -> Result<[u8; 5], TokenError> {
    let cmac = session.sign(&Mechanism::AesCMac, handle, &[0; 16]).map_err(fault)?;
    cmac.first_chunk()
        .copied()
        .ok_or_else(|| TokenError::unexpected("C_Sign", "a CMAC that is shorter than 5 bytes"))
}
