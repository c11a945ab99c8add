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
use zeroize::Zeroizing;

/// The style of what must not be overlooked.
pub(crate) const LOUD: Style = AnsiColor::Yellow.on_default().bold();

/// Room for a report that holds a secret, in bytes: three components with what stands beside them take less than one KiB
/// and a folder's name, which a path's 4 KiB bound, twice where it is escaped.
const SECRET_LEN_MAX: usize = 16 * 1024;

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

    /// Prints a report that holds a secret, from memory of its last size that is wiped: no copy of it is left in this
    /// process, for people or as JSON. `text` must be wiped by the caller.
    ///
    /// # Errors
    /// [`Fault::Output`] when it cannot be written.
    pub(crate) fn print_secret<R: Serialize>(
        &mut self,
        schema: &'static str,
        report: &R,
        text: &str,
    ) -> Result<(), Fault> {
        let mut page = Zeroizing::new(vec![0_u8; SECRET_LEN_MAX]);
        let mut free: &mut [u8] = &mut page;
        let written = if self.json {
            serde_json::to_writer_pretty(&mut free, &Envelope { schema, report }).map_err(io::Error::from)
        } else {
            free.write_all(text.as_bytes())
        };
        written.and_then(|()| free.write_all(b"\n")).map_err(Fault::Output)?;
        let left = free.len();
        let len = SECRET_LEN_MAX.saturating_sub(left);
        self.print_bytes(page.get(..len).unwrap_or_default())
    }

    /// Prints a text that is data for another program, such as a shell, whatever `--json` says.
    ///
    /// # Errors
    /// [`Fault::Output`] when it cannot be written.
    pub(crate) fn print_text(&mut self, text: &str) -> Result<(), Fault> {
        self.print_bytes(text.as_bytes())
    }

    // Whole lines go through the standard output's own buffer without being kept in it.
    fn print_bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.writer.write_all(bytes).and_then(|()| self.writer.flush());
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
    fn a_report_with_a_secret_is_printed_as_any_other() {
        let secret = |json| {
            let mut bytes = Vec::new();
            let mut output = Output::new(&mut bytes, json);
            output.print_secret("keysvc/fobctl-sample/1", &Sample { number: 7 }, "number 7").unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!([secret(false), secret(true)], [printed(false), printed(true)]);
        // What does not fit is not printed in part.
        let mut bytes = Vec::new();
        let long = "x".repeat(SECRET_LEN_MAX);
        let printed = Output::new(&mut bytes, false).print_secret(
            "keysvc/fobctl-sample/1",
            &Sample { number: 7 },
            &long,
        );
        assert!(matches!(printed, Err(Fault::Output(_))) && bytes.is_empty());
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
