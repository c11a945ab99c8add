//! What a program prints: data on standard output, everything else on standard error. A reader that went away is no
//! error.

use std::io::Write as _;

/// The way to standard output and standard error.
#[derive(Debug, Default)]
pub struct Output;

impl Output {
    /// One line of data.
    pub fn line(&self, text: &str) {
        let mut out = anstream::stdout();
        if let Err(error) = writeln!(out, "{text}")
            && error.kind() == std::io::ErrorKind::BrokenPipe
        {
            std::process::exit(0);
        }
    }

    /// What failed and what to do; standard error.
    pub fn error(&self, program: &str, text: &str) {
        // Nowhere is left to say that standard error is closed.
        let _ = writeln!(anstream::stderr(), "{program}: {text}");
    }
}
