//! What can go wrong with a token, in our words, with what to do about it.
//!
//! Apart because the daemon decides by it: a fatal error ends the keeper, a data fault does not. It carries the
//! PKCS#11 return code by name and never the paragraph the standard writes about it.

use std::path::PathBuf;

use cryptoki::error::{Error, RvError};
use cryptoki::session::Session;

use crate::class::{TokenErrorClass, class_of};
use crate::object::ObjectId;
use crate::profile::KeyKind;
use crate::spki::SpkiError;

/// Says why a token did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The PKCS#11 module is not on this machine.
    #[error("no PKCS#11 module at {}: install it (Debian: apt-get install softhsm2) or correct the path", path.display())]
    ModuleMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is no PKCS#11 module.
    #[error("{} does not load as a PKCS#11 module ({detail}): name the right file", path.display())]
    ModuleUnusable {
        /// The file.
        path: PathBuf,
        /// The loader's words.
        detail: String,
    },
    /// The PKCS#11 module was loaded and found no token folder or device, or its own configuration is wrong.
    #[error(
        "the PKCS#11 module {} does not start ({code}): look for its token folder or device, its configuration file \
         and its rights",
        path.display()
    )]
    ModuleAway {
        /// The module's file.
        path: PathBuf,
        /// The `CKR_` name.
        code: String,
    },
    /// No initialised token carries the label.
    #[error("no initialised token is labelled {label:?}: {}", others_shown(others))]
    SlotNotFound {
        /// The label looked for.
        label: String,
        /// The labels of the initialised tokens that are there.
        others: Vec<String>,
    },
    /// More than one token carries the label, so which is meant cannot be told.
    #[error("{count} tokens are labelled {label:?}: keep one token per folder, or give each its own label")]
    AmbiguousLabel {
        /// The label looked for.
        label: String,
        /// How many tokens carry it.
        count: usize,
    },
    /// A token with this label exists already, so it is not made again.
    #[error("a token labelled {label:?} exists already: choose another label or another token folder")]
    LabelTaken {
        /// The label asked for.
        label: String,
    },
    /// A label is empty, too long (a token's 32 bytes, an object's 64) or has control characters.
    #[error("the label {label:?} is not usable: 1 to {longest} bytes without control characters are")]
    UnusableLabel {
        /// The label given.
        label: String,
        /// The greatest length, in bytes.
        longest: usize,
    },
    /// The module offers no uninitialised token to take.
    #[error("the PKCS#11 module offers no free slot for a new token: check its token folder and its rights")]
    NoFreeSlot,
    /// The PIN was refused. It is not tried again: a token may lock.
    #[error(
        "the token {label:?} refused the PIN: correct the PIN file before the next start, a token may lock"
    )]
    WrongPin {
        /// The token's label.
        label: String,
    },
    /// The token has locked the PIN.
    #[error("the PIN of the token {label:?} is locked: its security officer must set a new one")]
    PinLocked {
        /// The token's label.
        label: String,
    },
    /// The PIN has expired.
    #[error("the PIN of the token {label:?} has expired: set a new one with the token's own tools")]
    PinExpired {
        /// The token's label.
        label: String,
    },
    /// The token has no user's PIN, as one that was just initialised.
    #[error("the token {label:?} has no user's PIN: it was initialised anew, put the service's token back")]
    NoPin {
        /// The token's label.
        label: String,
    },
    /// A PIN for a new token is too short or too long for it.
    #[error("the token takes PINs of {shortest} to {longest} bytes: choose others, nothing was changed")]
    PinLength {
        /// The shortest PIN, in bytes.
        shortest: usize,
        /// The longest PIN, in bytes.
        longest: usize,
    },
    /// A kind of key was asked for something that it is not for.
    #[error("a {kind} key is not for this: {needed}")]
    WrongKind {
        /// The kind given.
        kind: KeyKind,
        /// What was needed.
        needed: &'static str,
    },
    /// The key is not on the token.
    #[error("no {kind} key {id} on the token: compare the key manifest with the token's objects")]
    NotFound {
        /// The kind looked for.
        kind: KeyKind,
        /// The `CKA_ID` looked for.
        id: ObjectId,
    },
    /// More than one object answers to the identifier, so none is used.
    #[error("{count} objects answer to the {kind} key {id}: destroy the ones that no ceremony made")]
    Ambiguous {
        /// The kind looked for.
        kind: KeyKind,
        /// The `CKA_ID` looked for.
        id: ObjectId,
        /// How many objects answer.
        count: usize,
    },
    /// An object with the identifier is not of the kind, so it was not destroyed.
    #[error(
        "the object {id} is no {kind} key ({attribute} is {found}, not {wanted}): compare it with the key manifest, \
         nothing was destroyed"
    )]
    NotOfKind {
        /// The kind asked for.
        kind: KeyKind,
        /// The `CKA_ID` asked for.
        id: ObjectId,
        /// The attribute's `CKA_` name.
        attribute: &'static str,
        /// What the key profile wants.
        wanted: String,
        /// What the token holds.
        found: String,
    },
    /// An object with this identifier exists already, so no second one is made.
    #[error("the token holds an object {id} already: a key's identifier is never used twice")]
    Duplicate {
        /// The `CKA_ID` asked for.
        id: ObjectId,
    },
    /// The token made the key, but not as ordered; it was destroyed at once.
    #[error("the token made the key with {attribute} {found}, not {wanted}: it cannot keep this kind of key")]
    NotAsOrdered {
        /// The attribute's `CKA_` name.
        attribute: &'static str,
        /// What the key profile wants.
        wanted: String,
        /// What the token made.
        found: String,
    },
    /// Two keys that must lie on one token do not.
    #[error("the two keys lie on different tokens")]
    OtherToken,
    /// A public key that was given to us is not usable.
    #[error("the public key is not usable: {0}")]
    PublicKey(#[from] SpkiError),
    /// What the token was given does not decode, unwrap or fit; the token itself is well.
    #[error(
        "the token could not process the data ({operation}: {code}): the data is damaged or for another key"
    )]
    BadData {
        /// The PKCS#11 call.
        operation: String,
        /// The `CKR_` name.
        code: String,
    },
    /// The token forbids the operation with this key or mechanism.
    #[error("the token refused the operation ({operation}: {code}): the key or the mechanism is not for it")]
    Refused {
        /// The PKCS#11 call.
        operation: String,
        /// The `CKR_` name.
        code: String,
    },
    /// The token does not know a mechanism that only this operation takes.
    #[error("the token does not offer {mechanism}: this cannot be done with it, everything else can")]
    NotOffered {
        /// The mechanism's `CKM_` name.
        mechanism: &'static str,
    },
    /// The token, or its module, has no session free.
    #[error(
        "the token has no session free ({operation}: {code}): end other programs that use it, or raise its limit"
    )]
    NoSession {
        /// The PKCS#11 call.
        operation: String,
        /// The `CKR_` name.
        code: String,
    },
    /// The token is gone, its handles are dead or the device failed: only a restart helps.
    #[error(
        "the token is not usable any more ({operation}: {code}): restart, and check the device if it stays so"
    )]
    Gone {
        /// The PKCS#11 call.
        operation: String,
        /// The `CKR_` name.
        code: String,
        /// The return value's class: the token is away, this session is lost, or something else.
        class: TokenErrorClass,
    },
    /// The token answered something that its standard does not foresee here.
    #[error("the token answered {operation} with something unexpected: {detail}")]
    Unexpected {
        /// The PKCS#11 call.
        operation: String,
        /// What was odd about it; no key material.
        detail: String,
    },
}

impl TokenError {
    /// Tells whether the token cannot be used any more, so that the keeper must restart.
    ///
    /// A damaged input, a refusal or a missing key is not fatal; lost handles, a failed device and an answer out of
    /// order are.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Unexpected { .. })
    }

    /// The class of the error.
    #[must_use]
    pub fn class(&self) -> TokenErrorClass {
        match self {
            Self::ModuleMissing { .. } | Self::ModuleAway { .. } | Self::SlotNotFound { .. } => {
                TokenErrorClass::Away
            }
            Self::Gone { class, .. } => *class,
            Self::BadData { .. } | Self::PublicKey(_) => TokenErrorClass::Data,
            Self::WrongPin { .. } | Self::PinExpired { .. } | Self::NoPin { .. } | Self::PinLength { .. } => {
                TokenErrorClass::Pin
            }
            Self::PinLocked { .. } => TokenErrorClass::Locked,
            Self::Refused { .. }
            | Self::NotOffered { .. }
            | Self::WrongKind { .. }
            | Self::NotAsOrdered { .. } => TokenErrorClass::Mechanism,
            Self::ModuleUnusable { .. }
            | Self::AmbiguousLabel { .. }
            | Self::LabelTaken { .. }
            | Self::UnusableLabel { .. }
            | Self::NoFreeSlot
            | Self::NotFound { .. }
            | Self::Ambiguous { .. }
            | Self::NotOfKind { .. }
            | Self::Duplicate { .. }
            | Self::OtherToken
            | Self::NoSession { .. }
            | Self::Unexpected { .. } => TokenErrorClass::Other,
        }
    }

    /// Tells whether the token is not there and may come back by itself, as one on a mount or a network does. A file
    /// that is no module and a refused PIN stay as they are, however often they are tried.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.class() == TokenErrorClass::Away
    }

    /// Tells whether the token refused the PIN, so that it must not be tried again: a token may lock.
    #[must_use]
    pub fn is_pin(&self) -> bool {
        matches!(self, Self::WrongPin { .. } | Self::PinExpired { .. } | Self::PinLocked { .. })
    }

    pub(crate) fn unexpected(operation: &str, detail: &str) -> Self {
        Self::Unexpected { operation: operation.to_owned(), detail: detail.to_owned() }
    }

    pub(crate) fn bad_data(operation: &str, detail: &str) -> Self {
        Self::BadData { operation: operation.to_owned(), code: detail.to_owned() }
    }
}

/// Translates a failed call in which nothing from outside was processed.
pub(crate) fn fault(error: Error) -> TokenError {
    match error {
        Error::Pkcs11(code, function) => classify(code, format!("C_{function:?}")),
        other => TokenError::unexpected("the PKCS#11 wrapper", &other.to_string()),
    }
}

/// Translates a failed call that processed bytes from outside. There a code of a failed device may mean the bytes: an
/// unwrap of garbage is `CKR_GENERAL_ERROR` to one token and `CKR_DEVICE_ERROR` to another. So the token is asked for a
/// random byte, and one that still gives it is well.
pub(crate) fn data_fault(session: &Session) -> impl FnOnce(Error) -> TokenError {
    |error| judge(error, || session.generate_random_slice(&mut [0; 1]).is_ok())
}

fn judge(error: Error, is_well: impl Fn() -> bool) -> TokenError {
    match error {
        Error::Pkcs11(
            code @ (RvError::GeneralError | RvError::FunctionFailed | RvError::DeviceError),
            function,
        ) if is_well() => TokenError::BadData { operation: format!("C_{function:?}"), code: code_name(code) },
        other => fault(other),
    }
}

fn classify(code: RvError, operation: String) -> TokenError {
    let name = code_name(code);
    if code == RvError::SessionCount {
        return TokenError::NoSession { operation, code: name };
    }
    match class_of(code) {
        TokenErrorClass::Data => TokenError::BadData { operation, code: name },
        // A PIN that a login refuses has words of its own; here it is one that could not be set.
        TokenErrorClass::Mechanism | TokenErrorClass::Pin => TokenError::Refused { operation, code: name },
        class => TokenError::Gone { operation, code: name, class },
    }
}

fn others_shown(others: &[String]) -> String {
    if others.is_empty() {
        return "the module shows no token at all; look for the token folder or device, and check the module's own \
                configuration"
            .to_owned();
    }
    let shown: Vec<String> = others.iter().map(|label| format!("{label:?}")).collect();
    format!("the module shows {}; check the label, and whether the right token is in place", shown.join(", "))
}

/// Writes a return code as the standard names it, such as `CKR_KEY_HANDLE_INVALID`.
pub(crate) fn code_name(code: RvError) -> String {
    match code {
        RvError::VendorDefined(number) | RvError::UnknownErrorCode(number) => format!("CKR 0x{number:08x}"),
        named => format!("{named:?}").chars().fold(String::from("CKR"), |mut name, letter| {
            if letter.is_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
            name
        }),
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::*;

    #[test]
    fn a_return_code_is_named_as_in_the_standard() {
        assert_eq!(code_name(RvError::KeyHandleInvalid), "CKR_KEY_HANDLE_INVALID");
        assert_eq!(code_name(RvError::VendorDefined(0x8000_0001)), "CKR 0x80000001");
    }

    #[test]
    fn a_dead_handle_is_fatal() {
        let error = fault(Error::Pkcs11(RvError::KeyHandleInvalid, Function::SignInit));
        assert_eq!(
            error,
            TokenError::Gone {
                operation: "C_SignInit".into(),
                code: "CKR_KEY_HANDLE_INVALID".into(),
                class: TokenErrorClass::Session
            }
        );
        assert!(error.is_fatal());
    }

    #[test]
    fn a_code_of_a_failed_device_means_the_data_only_where_the_token_is_well() {
        for code in [RvError::GeneralError, RvError::FunctionFailed, RvError::DeviceError] {
            let error = || Error::Pkcs11(code, Function::UnwrapKey);
            assert!(fault(error()).is_fatal());
            let judged = judge(error(), || true);
            assert_eq!(
                judged,
                TokenError::BadData { operation: "C_UnwrapKey".into(), code: code_name(code) }
            );
            assert!(!judged.is_fatal());
            assert_eq!(judge(error(), || false), fault(error()));
        }
    }

    #[test]
    fn a_token_without_a_free_session_is_well_and_says_what_to_do() {
        let error = fault(Error::Pkcs11(RvError::SessionCount, Function::OpenSession));
        assert!(!error.is_fatal() && !error.is_away());
        assert!(error.to_string().contains("C_OpenSession: CKR_SESSION_COUNT"), "{error}");
    }

    #[test]
    fn a_lost_login_is_fatal_even_for_data_from_outside() {
        assert!(judge(Error::Pkcs11(RvError::UserNotLoggedIn, Function::UnwrapKey), || true).is_fatal());
    }

    #[test]
    fn a_token_that_is_away_may_come_back_and_a_refused_pin_does_not() {
        let label = || "service".to_owned();
        let away = [
            TokenError::ModuleMissing { path: "/m.so".into() },
            TokenError::ModuleAway { path: "/m.so".into(), code: "CKR_GENERAL_ERROR".into() },
            TokenError::SlotNotFound { label: label(), others: Vec::new() },
            fault(Error::Pkcs11(RvError::DeviceRemoved, Function::Sign)),
        ];
        for error in away {
            assert!(error.is_away() && !error.is_pin(), "{error:?}");
        }
        let operators = [
            TokenError::WrongPin { label: label() },
            TokenError::PinLocked { label: label() },
            TokenError::PinExpired { label: label() },
        ];
        for error in operators {
            assert!(error.is_pin() && !error.is_away(), "{error:?}");
        }
        let no_module = TokenError::ModuleUnusable { path: "/m".into(), detail: "CKR is no start".into() };
        assert!(!no_module.is_away() && !no_module.is_pin());
    }

    #[test]
    fn a_label_that_no_token_carries_is_said_beside_those_that_are_there() {
        let error = |others: &[&str]| {
            let others = others.iter().map(|label| (*label).to_owned()).collect();
            TokenError::SlotNotFound { label: "srvice".into(), others }.to_string()
        };
        assert!(
            error(&["service", "spare"]).contains("the module shows \"service\", \"spare\"; check the label")
        );
        assert!(error(&[]).contains("the module shows no token at all"));
    }

    #[test]
    fn a_refusal_is_not_fatal() {
        let error = fault(Error::Pkcs11(RvError::KeyFunctionNotPermitted, Function::EncryptInit));
        assert_eq!(
            error,
            TokenError::Refused {
                operation: "C_EncryptInit".into(),
                code: "CKR_KEY_FUNCTION_NOT_PERMITTED".into()
            }
        );
        assert!(!error.is_fatal());
    }
}
