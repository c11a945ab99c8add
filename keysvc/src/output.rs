//! What a program prints: data on standard output, everything else on standard error. A reader that went away is no
//! error.

use std::io::{IsTerminal as _, Write as _};

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

    /// How far long work is; standard error. On a terminal each call takes the line of the one before, and an empty
    /// text clears it; elsewhere it is a line.
    pub fn progress(&self, text: &str) {
        let mut out = anstream::stderr();
        // Who does not see how far it is sees how it ends.
        let _ = if std::io::stderr().is_terminal() {
            write!(out, "\r\x1b[K{text}").and_then(|()| out.flush())
        } else if text.is_empty() {
            Ok(())
        } else {
            writeln!(out, "{text}")
        };
    }

    /// Asks the person at the terminal; nothing where there is none.
    #[must_use]
    pub fn ask(&self, question: &str) -> Option<String> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let mut out = anstream::stderr();
        // Whoever does not see the question will not answer it.
        let _ = write!(out, "{question}").and_then(|()| out.flush());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(answer)
    }

    /// A line that belongs to the one above it; standard error.
    pub fn detail(&self, text: &str) {
        // Nowhere is left to say that standard error is closed.
        let _ = writeln!(anstream::stderr(), "    {text}");
    }

    /// What failed and what to do; standard error.
    pub fn error(&self, program: &str, text: &str) {
        // Nowhere is left to say that standard error is closed.
        let _ = writeln!(anstream::stderr(), "{program}: {text}");
    }
}
