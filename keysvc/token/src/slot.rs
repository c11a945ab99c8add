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

/// What a token says of the tries that a PIN has left, before any is made. PKCS#11 has no counter, only these marks,
/// and a token may set none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PinTries {
    /// The token says nothing: all tries are left, or it does not tell.
    NotSaid,
    /// A wrong PIN was given since the last right one.
    Low,
    /// One more wrong PIN locks it.
    LastTry,
    /// It is locked: no PIN is looked at any more.
    Locked,
}

impl PinTries {
    /// Reads a token's flags. The gravest counts, because a token may leave the lesser ones set beside it.
    const fn of(count_low: bool, final_try: bool, locked: bool) -> Self {
        match (locked, final_try, count_low) {
            (true, _, _) => Self::Locked,
            (false, true, _) => Self::LastTry,
            (false, false, true) => Self::Low,
            (false, false, false) => Self::NotSaid,
        }
    }
}

/// A token that was found and looked at. Nobody is logged in yet.
pub struct FoundToken {
    module: Pkcs11,
    slot: Slot,
    identity: TokenIdentity,
    has_pin: bool,
    tries: PinTries,
}

impl FoundToken {
    /// What the token says of itself.
    #[must_use]
    pub fn identity(&self) -> &TokenIdentity {
        &self.identity
    }

    /// What the token said, when it was found, of the tries that its user's PIN has left.
    #[must_use]
    pub const fn pin_tries(&self) -> PinTries {
        self.tries
    }

    /// Logs in, with one attempt; with none where the token says that its PIN is locked.
    ///
    /// If this process is logged in to the token already, PKCS#11 does not look at the PIN again.
    ///
    /// # Errors
    /// If the token has no PIN, refuses this one or has locked it, or if it fails.
    pub fn log_in(self, pin: &Pin) -> Result<Token, TokenError> {
        let Self { module, slot, identity, has_pin, tries } = self;
        if !has_pin {
            return Err(TokenError::NoPin { label: identity.label });
        }
        if tries == PinTries::Locked {
            return Err(TokenError::PinLocked { label: identity.label });
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
        tries: PinTries::of(info.user_pin_count_low(), info.user_pin_final_try(), info.user_pin_locked()),
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
    session.login(user, Some(&pin.auth())).or_else(|error| not_logged_in(error, label))
}

/// What a login means that the token did not answer with yes: a wrong PIN and a locked one are two things.
fn not_logged_in(error: Error, label: &str) -> Result<(), TokenError> {
    let label = label.to_owned();
    match error {
        Error::Pkcs11(RvError::UserAlreadyLoggedIn, _) => Ok(()),
        Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
            Err(TokenError::WrongPin { label })
        }
        Error::Pkcs11(RvError::PinLocked, _) => Err(TokenError::PinLocked { label }),
        Error::Pkcs11(RvError::PinExpired, _) => Err(TokenError::PinExpired { label }),
        Error::Pkcs11(RvError::UserPinNotInitialized, _) => Err(TokenError::NoPin { label }),
        error => Err(fault(error)),
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::*;
    use crate::scratch::{on_each_module, with_scratch_token};

    #[test]
    fn the_gravest_of_a_tokens_marks_counts() {
        use PinTries::{LastTry, Locked, Low, NotSaid};
        for (marks, tries) in [
            ((false, false, false), NotSaid),
            ((true, false, false), Low),
            ((false, true, false), LastTry),
            ((true, true, false), LastTry),
            ((false, false, true), Locked),
            ((true, true, true), Locked),
        ] {
            assert_eq!(PinTries::of(marks.0, marks.1, marks.2), tries, "{marks:?}");
        }
    }

    #[test]
    fn a_wrong_pin_and_a_locked_one_are_told_apart() {
        let login = |code| not_logged_in(Error::Pkcs11(code, Function::Login), "card").unwrap_err();
        assert_eq!(login(RvError::PinIncorrect), TokenError::WrongPin { label: "card".into() });
        assert_eq!(login(RvError::PinLocked), TokenError::PinLocked { label: "card".into() });
        assert_eq!(login(RvError::PinExpired), TokenError::PinExpired { label: "card".into() });
    }

    #[test]
    fn softhsm_says_that_a_wrong_pin_was_given_until_the_right_one_is() {
        with_scratch_token(
            "slot::tests::softhsm_says_that_a_wrong_pin_was_given_until_the_right_one_is",
            |scratch| {
                let tries = || Token::find(scratch.config()).unwrap().pin_tries();
                assert_eq!(tries(), PinTries::NotSaid);
                // It never locks, and has no last try.
                for _ in 0..4 {
                    let error = Token::open(scratch.config(), &Pin::new("000000".into())).unwrap_err();
                    assert_eq!(error, TokenError::WrongPin { label: "scratch".into() });
                    assert_eq!(tries(), PinTries::Low);
                }
                let _token = scratch.open();
                assert_eq!(tries(), PinTries::NotSaid);
            },
        );
    }

    #[test]
    fn a_locked_pin_is_not_tried() {
        on_each_module("slot::tests::a_locked_pin_is_not_tried", |scratch| {
            let found = FoundToken { tries: PinTries::Locked, ..Token::find(scratch.config()).unwrap() };
            let error = found.log_in(&Pin::new("000000".into())).unwrap_err();
            assert_eq!(error, TokenError::PinLocked { label: "scratch".into() });
            assert!(error.is_pin());
            // No attempt was counted.
            assert_eq!(Token::find(scratch.config()).unwrap().pin_tries(), PinTries::NotSaid);
        });
    }
}
