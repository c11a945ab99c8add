//! Asking a person to agree. The question goes to stderr: stdout is for data.

use crate::{fault::Fault, output::tell};
use std::{
    fmt::Display,
    io::{self, BufRead, Read as _},
};

/// Digits of a digest's group: fewer are not compared.
const GROUP: usize = 4;
/// Longest digest that is read, in bytes: 64 digits, with spaces between groups.
const DIGEST_LEN_MAX: u64 = 128;
/// Longest answer that is read, in bytes.
const ANSWER_LEN_MAX: u64 = 64;

/// Asks on the terminal, and waits for `yes` on stdin.
///
/// # Errors
/// [`Fault::Declined`] for any other answer, and where nobody answers.
pub(crate) fn ask() -> Result<(), Fault> {
    tell(&"type yes to sign:");
    agreed(&mut io::stdin().lock())
}

/// The same of one of several people at the machine.
///
/// # Errors
/// [`Fault::Declined`] for any other answer, and where nobody answers.
pub(crate) fn ask_person(person: &impl Display) -> Result<(), Fault> {
    tell(&format_args!("{person}: type yes to sign:"));
    agreed(&mut io::stdin().lock())
}

/// Asks on the terminal for the first group of a digest, or takes it from the command line; more of it may be given.
///
/// # Errors
/// [`Fault::OtherDigest`] for anything else, and where nobody answers.
pub(crate) fn digest(digest: &str, given: Option<&str>) -> Result<(), Fault> {
    if let Some(given) = given {
        return begins(digest, given);
    }
    tell(&"type the first four digits of the digest to sign:");
    typed_digest(digest, &mut io::stdin().lock())
}

/// Asks on the terminal for the first group of anything people compare, or more of it.
///
/// # Errors
/// Nothing more than that something else was typed, or nothing.
pub(crate) fn first_group(whole: &str, question: &str) -> Result<(), ()> {
    tell(&question);
    typed_digest(whole, &mut io::stdin().lock()).map_err(|_| ())
}

fn typed_digest(digest: &str, input: &mut impl BufRead) -> Result<(), Fault> {
    let mut line = String::new();
    let read = input.take(DIGEST_LEN_MAX).read_line(&mut line);
    read.map_err(|_| Fault::OtherDigest).and_then(|_| begins(digest, &line))
}

fn begins(digest: &str, given: &str) -> Result<(), Fault> {
    let given: String = given.chars().filter(|character| !character.is_whitespace()).collect();
    let good = given.len() >= GROUP && digest.starts_with(&given.to_ascii_lowercase());
    if good { Ok(()) } else { Err(Fault::OtherDigest) }
}

fn agreed(input: &mut impl BufRead) -> Result<(), Fault> {
    let mut line = String::new();
    match input.take(ANSWER_LEN_MAX).read_line(&mut line) {
        Ok(_) if line.trim_end_matches(['\r', '\n']) == "yes" => Ok(()),
        _ => Err(Fault::Declined),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_confirmed_by_four_of_its_first_digits_or_more_and_by_nothing_else() {
        let whole = "0123456789abcdef".repeat(4);
        for good in ["0123", "0123 4567", "01234567 89AB", &whole] {
            assert!(digest(&whole, Some(good)).is_ok(), "{good}");
            assert!(typed_digest(&whole, &mut format!("{good}\n").as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", "012", "0124", "yes", "4567", &format!("{whole}0")] {
            assert!(matches!(digest(&whole, Some(bad)), Err(Fault::OtherDigest)), "{bad}");
            assert!(matches!(typed_digest(&whole, &mut bad.as_bytes()), Err(Fault::OtherDigest)), "{bad}");
        }
    }

    #[test]
    fn only_the_word_yes_agrees() {
        for good in ["yes\n", "yes", "yes\r\n"] {
            assert!(agreed(&mut good.as_bytes()).is_ok(), "{good:?}");
        }
        for bad in ["", "\n", "y\n", "YES\n", "yes please\n", " yes\n"] {
            assert!(matches!(agreed(&mut bad.as_bytes()), Err(Fault::Declined)), "{bad:?}");
        }
    }
}
