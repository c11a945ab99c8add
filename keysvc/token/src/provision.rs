//! Initialises a new token: label, security officer's PIN, user's PIN.
//!
//! Apart because it runs once in a token's life, before anyone logs in as user. It makes no keys.

use std::ops::RangeInclusive;
use std::path::Path;

use cryptoki::context::Pkcs11;
use cryptoki::session::UserType;

use crate::create::check_label;
use crate::error::{TokenError, fault};
use crate::pin::{LONGEST, Pin};
use crate::token::{find_slot, load, log_in};

/// The length of `CK_TOKEN_INFO.label`, in bytes.
const LABEL_LONGEST: usize = 32;

/// Initialises the module's free token with a label of at most 32 bytes and the two PINs. An initialised token is
/// never touched.
///
/// # Errors
/// If the module does not load, the label is unusable or taken, no slot is free, or the token refuses or fails.
pub fn initialise_token(module: &Path, label: &str, so_pin: &Pin, pin: &Pin) -> Result<(), TokenError> {
    check_label(label, LABEL_LONGEST)?;
    let module = load(module)?;
    match find_slot(&module, label) {
        Err(TokenError::SlotNotFound { .. }) => {}
        Ok(_) | Err(TokenError::AmbiguousLabel { .. }) => {
            return Err(TokenError::LabelTaken { label: label.to_owned() });
        }
        Err(error) => return Err(error),
    }
    initialise_free_slot(&module, label, so_pin, pin)?;
    // Looked up again: a token may move to another slot when it is initialised.
    let (slot, _) = find_slot(&module, label)?;
    let session = module.open_rw_session(slot).map_err(fault)?;
    log_in(&session, UserType::So, so_pin, label)?;
    session.init_pin(&pin.auth()).map_err(fault)?;
    session.logout().map_err(fault)
}

fn initialise_free_slot(module: &Pkcs11, label: &str, so_pin: &Pin, pin: &Pin) -> Result<(), TokenError> {
    for slot in module.get_slots_with_token().map_err(fault)? {
        // A slot whose token does not answer is not free.
        let Ok(info) = module.get_token_info(slot) else { continue };
        if info.token_initialized() {
            continue;
        }
        // Before anything is changed: a PIN refused later would leave a token without a user.
        let lengths = pin_lengths(info.min_pin_length(), info.max_pin_length());
        if !(lengths.contains(&so_pin.len()) && lengths.contains(&pin.len())) {
            return Err(TokenError::PinLength { shortest: *lengths.start(), longest: *lengths.end() });
        }
        return module.init_token(slot, &so_pin.auth(), label).map_err(fault);
    }
    Err(TokenError::NoFreeSlot)
}

/// The lengths that a token takes for a PIN. Some say 0 for "no longest": a longest below the shortest would let no PIN
/// pass, so it is read as none, up to the longest that a [`Pin`] has.
fn pin_lengths(shortest: usize, longest: usize) -> RangeInclusive<usize> {
    shortest..=if longest < shortest { LONGEST } else { longest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::{Make, on_each_module};
    use crate::token::{Token, TokenConfig};

    #[test]
    fn a_new_token_opens_with_its_own_pin_only() {
        on_each_module("provision::tests::a_new_token_opens_with_its_own_pin_only", |scratch| {
            let pin = || Pin::new("77777777".into());
            initialise_token(scratch.module(), "second", &scratch.so_pin(), &pin()).unwrap();
            let config = TokenConfig { module: scratch.module().to_owned(), label: "second".into() };
            assert_eq!(
                Token::open(&config, &scratch.pin()).unwrap_err(),
                TokenError::WrongPin { label: "second".into() }
            );
            assert_eq!(Token::open(&config, &pin()).unwrap().identity().label, "second");
        });
    }

    #[test]
    fn a_pin_that_the_token_would_refuse_changes_nothing() {
        on_each_module("provision::tests::a_pin_that_the_token_would_refuse_changes_nothing", |scratch| {
            let short = Pin::new("123".into());
            let (shortest, longest) = match scratch.make() {
                Make::SoftHsm => (4, 255),
                Make::Kryoptic | Make::Nss => (8, LONGEST),
            };
            let refused = Err(TokenError::PinLength { shortest, longest });
            assert_eq!(initialise_token(scratch.module(), "new", &scratch.so_pin(), &short), refused);
            assert_eq!(initialise_token(scratch.module(), "new", &short, &scratch.pin()), refused);
            initialise_token(scratch.module(), "new", &scratch.so_pin(), &scratch.pin()).unwrap();
        });
    }

    #[test]
    fn a_token_that_says_no_longest_pin_takes_every_pin() {
        assert_eq!(pin_lengths(8, 0), 8..=64);
        assert_eq!(pin_lengths(4, 255), 4..=255);
        assert_eq!(pin_lengths(6, 6), 6..=6);
    }

    #[test]
    fn a_label_of_a_token_is_one_to_thirty_two_bytes() {
        on_each_module("provision::tests::a_label_of_a_token_is_one_to_thirty_two_bytes", |scratch| {
            for label in [String::new(), "x".repeat(33), "a\nb".into()] {
                assert_eq!(
                    initialise_token(scratch.module(), &label, &scratch.so_pin(), &scratch.pin()),
                    Err(TokenError::UnusableLabel { label, longest: 32 })
                );
            }
            let longest = "x".repeat(32);
            initialise_token(scratch.module(), &longest, &scratch.so_pin(), &scratch.pin()).unwrap();
        });
    }
}
