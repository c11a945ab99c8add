//! How far a run is, on standard error, where somebody watches: in one line that is gone at the end.

use std::io::{IsTerminal as _, Write as _};

/// The line.
#[derive(Debug)]
pub struct Progress {
    watched: bool,
}

impl Progress {
    /// Says nothing yet, and never anything where standard error is no terminal.
    pub fn new() -> Self {
        Self { watched: std::io::stderr().is_terminal() }
    }

    /// Replaces what the line says.
    pub fn tell(&mut self, what: &str) {
        if self.watched {
            // Who does not see how far it is sees how it ends.
            let _ = write!(anstream::stderr(), "\r\x1b[K{what}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.tell("");
    }
}
