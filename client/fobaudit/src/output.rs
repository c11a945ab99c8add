//! What the program says: data on stdout through [`Output`], errors on stderr through [`complain`].
//!
//! Nothing else in the program writes. A reader that closes the pipe has seen enough: that is no fault.

use crate::fault::Fault;
use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

/// The one way to stdout.
#[derive(Debug)]
pub(crate) struct Output<W>(W);

impl<W: Write> Output<W> {
    /// Prints to this writer.
    pub(crate) const fn new(writer: W) -> Self {
        Self(writer)
    }

    /// Prints a text and one line feed. A closed pipe is taken as printed.
    ///
    /// # Errors
    /// [`Fault::Output`] when it cannot be written.
    pub(crate) fn print(&mut self, text: &dyn Display) -> Result<(), Fault> {
        let written = writeln!(self.0, "{text}").and_then(|()| self.0.flush());
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(Fault::Output),
        }
    }
}

/// Says on stderr what failed and why, and what to do next. When stderr is closed nobody listens.
pub(crate) fn complain(what: &dyn Display, next: &str) {
    let _: io::Result<()> = writeln!(anstream::stderr().lock(), "fobaudit: {what}\n  next: {next}");
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_closes_the_pipe_is_no_fault() {
        assert!(Output::new(Broken(ErrorKind::BrokenPipe)).print(&"text").is_ok());
    }

    #[test]
    fn a_full_disk_is_a_fault() {
        let printed = Output::new(Broken(ErrorKind::StorageFull)).print(&"text");
        assert!(matches!(printed, Err(Fault::Output(error)) if error.kind() == ErrorKind::StorageFull));
    }

    #[test]
    fn a_text_ends_with_one_line_feed() {
        let mut bytes = Vec::new();
        Output::new(&mut bytes).print(&"text").unwrap();
        assert_eq!(bytes, b"text\n");
    }
}
