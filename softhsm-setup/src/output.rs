//! What the command says: data on stdout, notes and errors on stderr.
//!
//! Apart so that nothing else prints. A reader that has gone away is not an error.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// The command's two streams.
pub(crate) struct Output {
    data: Box<dyn Write>,
    notes: Box<dyn Write>,
}

impl Output {
    /// The process's stdout and stderr.
    pub(crate) fn standard() -> Self {
        Self { data: Box::new(anstream::stdout()), notes: Box::new(anstream::stderr()) }
    }

    /// Writes data as it is.
    pub(crate) fn data(&mut self, text: &str) -> io::Result<()> {
        let written = self.data.write_all(text.as_bytes()).and_then(|()| self.data.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Writes a line for people. Where it cannot be written, nobody is there to be told so.
    pub(crate) fn note(&mut self, line: impl Display) {
        let _ = writeln!(self.notes, "{line}");
    }

    /// The stream for people.
    pub(crate) fn notes(&mut self) -> &mut dyn Write {
        &mut *self.notes
    }
}
