//! What the program says: reports on stdout through [`Output`], everything for a person beside them on stderr.
//!
//! Nothing else in the program writes. A reader that closes the pipe has seen enough: that is no fault.

use crate::fault::Fault;
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

/// The style of what must not be overlooked.
pub(crate) const LOUD: Style = AnsiColor::Yellow.on_default().bold();

/// What a command found, for people and as JSON.
pub(crate) trait Report: Serialize {
    /// The schema id, `keysvc/fobctl-<noun>-<verb>/<version>`.
    fn schema(&self) -> &'static str;

    /// The text for people, without a line feed at its end.
    fn text(&self) -> String;
}

#[derive(Serialize)]
struct Envelope<'a, R> {
    schema: &'static str,
    #[serde(flatten)]
    report: &'a R,
}

/// The one way to stdout.
#[derive(Debug)]
pub(crate) struct Output<W> {
    writer: W,
    json: bool,
}

impl<W: Write> Output<W> {
    /// Prints to this writer, as JSON or for people.
    pub(crate) const fn new(writer: W, json: bool) -> Self {
        Self { writer, json }
    }

    /// Prints a report and one line feed. A closed pipe is taken as printed.
    ///
    /// # Errors
    /// [`Fault::Output`] when it cannot be written.
    pub(crate) fn print<R: Report>(&mut self, report: &R) -> Result<(), Fault> {
        let text = if self.json { json(report)? } else { report.text() };
        self.print_text(&format!("{text}\n"))
    }

    /// Prints a text that is data for another program, such as a shell, whatever `--json` says.
    ///
    /// # Errors
    /// [`Fault::Output`] when it cannot be written.
    pub(crate) fn print_text(&mut self, text: &str) -> Result<(), Fault> {
        let written = self.writer.write_all(text.as_bytes()).and_then(|()| self.writer.flush());
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(Fault::Output),
        }
    }
}

fn json<R: Report>(report: &R) -> Result<String, Fault> {
    let envelope = Envelope { schema: report.schema(), report };
    serde_json::to_string_pretty(&envelope).map_err(|error| Fault::Output(error.into()))
}

/// Says something on stderr. When stderr is closed nobody listens.
pub(crate) fn tell(text: &dyn Display) {
    let _: io::Result<()> = writeln!(anstream::stderr().lock(), "{text}");
}

/// Says on stderr what failed and why, and what to do next.
pub(crate) fn complain(what: &dyn Display, next: &str) {
    tell(&format_args!("fobctl: {}\n  next: {next}", crate::shown::plain(&what.to_string())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Sample {
        number: u8,
    }

    impl Report for Sample {
        fn schema(&self) -> &'static str {
            "keysvc/fobctl-sample/1"
        }
        fn text(&self) -> String {
            format!("number {}", self.number)
        }
    }

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(json: bool) -> String {
        let mut bytes = Vec::new();
        Output::new(&mut bytes, json).print(&Sample { number: 7 }).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_reader_that_closes_the_pipe_is_no_fault() {
        assert!(Output::new(Broken(ErrorKind::BrokenPipe), false).print(&Sample { number: 7 }).is_ok());
    }

    #[test]
    fn a_full_disk_is_a_fault() {
        let printed = Output::new(Broken(ErrorKind::StorageFull), true).print(&Sample { number: 7 });
        assert!(matches!(printed, Err(Fault::Output(error)) if error.kind() == ErrorKind::StorageFull));
    }

    #[test]
    fn a_report_is_text_or_json_with_its_schema_first() {
        assert_eq!(printed(false), "number 7\n");
        assert_eq!(printed(true), "{\n  \"schema\": \"keysvc/fobctl-sample/1\",\n  \"number\": 7\n}\n");
    }
}
