//! Check values of components and keys as people type, read and compare them: ten hexadecimal digits, in groups.
//!
//! A check value is no secret: it tells whether two people speak of the same key, and nothing about the key.

use crate::{confirm, fault::Fault};
use keysvc_client::protocol::bytes::ShortCheck;

/// Reads ten hexadecimal digits, with spaces or hyphens between groups or not; for command lines.
///
/// # Errors
/// What it should be, in words.
pub(crate) fn parse(text: &str) -> Result<ShortCheck, String> {
    let digits: String = text.chars().filter(|letter| !matches!(letter, ' ' | '-')).collect();
    digits.to_ascii_lowercase().parse().map_err(|_| "a check value is 10 hexadecimal digits".to_owned())
}

/// In groups of four digits: `1a2b 3c4d 5e`.
pub(crate) fn grouped(check: ShortCheck) -> String {
    let digits = check.to_string();
    let groups: Vec<_> = digits.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

/// Has a person say that this is what stands on the form: by its first group, or more of it.
///
/// # Errors
/// [`Fault::OtherCheckValue`] for anything else, and where nobody answers.
pub(crate) fn compared(check: ShortCheck) -> Result<(), Fault> {
    confirm::first_group(
        &check.to_string(),
        "type the first four digits of the check value on the form to give it:",
    )
    .map_err(|()| Fault::OtherCheckValue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_value_is_typed_as_it_is_shown() {
        let check = ShortCheck::new([0x1a, 0x2b, 0x3c, 0x4d, 0x5e]);
        assert_eq!(grouped(check), "1a2b 3c4d 5e");
        for good in ["1a2b 3c4d 5e", "1A2B3C4D5E", "1a2b-3c4d-5e"] {
            assert_eq!(parse(good), Ok(check), "{good}");
        }
        for bad in ["", "1a2b3c4d", "1a2b3c4d5e6f", "1a2b3c4d5g"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
