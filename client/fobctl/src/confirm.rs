//! Asking a person to agree. The question goes to stderr: stdout is for data.

use crate::{fault::Fault, output::tell};
use std::io::{self, BufRead, Read as _};

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
    fn only_the_word_yes_agrees() {
        for good in ["yes\n", "yes", "yes\r\n"] {
            assert!(agreed(&mut good.as_bytes()).is_ok(), "{good:?}");
        }
        for bad in ["", "\n", "y\n", "YES\n", "yes please\n", " yes\n"] {
            assert!(matches!(agreed(&mut bad.as_bytes()), Err(Fault::Declined)), "{bad:?}");
        }
    }
}
