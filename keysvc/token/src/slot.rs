//! Finding a token: the module, the slot, and what the token says of itself, all before any PIN is tried.
//!
//! Apart because a PIN is tried on a token that was looked at first, and on no other: each refused attempt counts, and
//! the third may lock a token. It opens no session but the one that logs in.

use std::fmt;
use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};

use crate::error::{TokenError, code_name, fault};
use crate::pin::Pin;
use crate::token::{Token, TokenConfig};

/// What a token says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenIdentity {
    /// The label.
    pub label: String,
    /// The manufacturer.
    pub manufacturer: String,
    /// The model.
    pub model: String,
    /// The serial number.
    pub serial: String,
}

impl From<&TokenInfo> for TokenIdentity {
    fn from(info: &TokenInfo) -> Self {
        Self {
            label: info.label().trim_end().to_owned(),
            manufacturer: info.manufacturer_id().trim_end().to_owned(),
            model: info.model().trim_end().to_owned(),
            serial: info.serial_number().trim_end().to_owned(),
        }
    }
}

/// A token that was found and looked at. Nobody is logged in yet.
pub struct FoundToken {
    module: Pkcs11,
    slot: Slot,
    identity: TokenIdentity,
    has_pin: bool,
}

impl FoundToken {
    /// What the token says of itself.
    #[must_use]
    pub fn identity(&self) -> &TokenIdentity {
        &self.identity
    }

    /// Logs in, with one attempt.
    ///
    /// If this process is logged in to the token already, PKCS#11 does not look at the PIN again.
    ///
    /// # Errors
    /// If the token has no PIN, refuses this one or has locked it, or if it fails.
    pub fn log_in(self, pin: &Pin) -> Result<Token, TokenError> {
        let Self { module, slot, identity, has_pin } = self;
        if !has_pin {
            return Err(TokenError::NoPin { label: identity.label });
        }
        let anchor = module.open_rw_session(slot).map_err(fault)?;
        tracing::info!(label = identity.label, serial = identity.serial, "logging in to the token");
        log_in(&anchor, UserType::User, pin, &identity.label)?;
        Token::logged_in(module, slot, identity, anchor)
    }
}

impl fmt::Debug for FoundToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundToken").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Finds the one token with this label.
pub(crate) fn find(config: &TokenConfig) -> Result<FoundToken, TokenError> {
    let module = load(&config.module)?;
    let (slot, info) = find_slot(&module, &config.label)?;
    Ok(FoundToken {
        slot,
        identity: TokenIdentity::from(&info),
        has_pin: info.user_pin_initialized(),
        module,
    })
}

/// Loads and initialises a PKCS#11 module.
pub(crate) fn load(path: &Path) -> Result<Pkcs11, TokenError> {
    if !path.is_file() {
        return Err(TokenError::ModuleMissing { path: path.to_owned() });
    }
    let unusable = |detail: String| TokenError::ModuleUnusable { path: path.to_owned(), detail };
    let module = Pkcs11::new(path).map_err(|error| match error {
        Error::LibraryLoading(error) => unusable(error.to_string()),
        error => unusable(fault(error).to_string()),
    })?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(Error::Pkcs11(code, _)) => {
            return Err(TokenError::ModuleAway { path: path.to_owned(), code: code_name(code) });
        }
        Err(error) => return Err(unusable(fault(error).to_string())),
    }
    // Never unloaded: a module brings its own threads, locks and exit handlers, which must not lose their code.
    std::mem::forget(module.clone());
    Ok(module)
}

/// Finds the one initialised token with this label.
pub(crate) fn find_slot(module: &Pkcs11, label: &str) -> Result<(Slot, TokenInfo), TokenError> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for slot in module.get_slots_with_token().map_err(fault)? {
        // A slot whose token does not answer is not the one we look for.
        let Ok(info) = module.get_token_info(slot) else { continue };
        if !info.token_initialized() {
            continue;
        }
        if info.label().trim_end() == label {
            found.push((slot, info));
        } else {
            others.push(info.label().trim_end().to_owned());
        }
    }
    match (found.pop(), found.len()) {
        (None, _) => Err(TokenError::SlotNotFound { label: label.to_owned(), others }),
        (Some(one), 0) => Ok(one),
        (Some(_), more) => {
            Err(TokenError::AmbiguousLabel { label: label.to_owned(), count: more.saturating_add(1) })
        }
    }
}

/// Logs in with one attempt: a token counts them, and may lock.
pub(crate) fn log_in(session: &Session, user: UserType, pin: &Pin, label: &str) -> Result<(), TokenError> {
    let label = || label.to_owned();
    match session.login(user, Some(&pin.auth())) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
            Err(TokenError::WrongPin { label: label() })
        }
        Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(TokenError::PinLocked { label: label() }),
        Err(Error::Pkcs11(RvError::PinExpired, _)) => Err(TokenError::PinExpired { label: label() }),
        Err(Error::Pkcs11(RvError::UserPinNotInitialized, _)) => Err(TokenError::NoPin { label: label() }),
        Err(error) => Err(fault(error)),
    }
}
