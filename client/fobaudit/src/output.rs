//! What the program says: data on stdout through [`Output`], errors on stderr through [`complain`], and the files it
//! was asked for through [`write_file`].
//!
//! Nothing else in the program writes. A reader that closes the pipe has seen enough: that is no fault.

use crate::fault::Fault;
use std::{
    ffi::OsString,
    fmt::Display,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::Path,
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

/// Writes a whole file: beside its place first, so that what stands there is the old file or the new one, never half.
///
/// # Errors
/// [`Fault::Unwritable`] when it cannot be written.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let unwritable = |source| Fault::Unwritable { path: path.to_path_buf(), source };
    let mut name =
        path.file_name().map(OsString::from).ok_or_else(|| unwritable(ErrorKind::IsADirectory.into()))?;
    name.push(".new");
    let beside = path.with_file_name(name);
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What was begun is of no use; that it cannot be removed either changes nothing.
        let _: io::Result<()> = fs::remove_file(&beside);
    }
    written.map_err(unwritable)
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
    fn a_file_is_written_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        for text in ["old and longer", "new"] {
            write_file(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let gone = write_file(&folder.path().join("gone/page.html"), b"text");
        assert!(matches!(gone, Err(Fault::Unwritable { .. })));
        let taken = write_file(folder.path(), b"text");
        assert!(matches!(taken, Err(Fault::Unwritable { .. })));
    }

    #[test]
    fn a_text_ends_with_one_line_feed() {
        let mut bytes = Vec::new();
        Output::new(&mut bytes).print(&"text").unwrap();
        assert_eq!(bytes, b"text\n");
    }
}
