//! What is being erased of a job at its station, as it is put down before the first file goes.
//!
//! Apart because it must outlive the program that began it: the number of files in the receipt is made from it, wherever that
//! program ended. Erases nothing but a journal that was erased in part.

use crate::fault::Fault;
use keysvc_client::{ClientError, protocol::job::PurgeReceipt};
use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
};

/// Longest file, in bytes: a number, and four names of files of at most 60 bytes.
pub(super) const LEN_MAX: usize = 512;
/// Most bytes overwritten at a time.
const ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];

/// An erasure that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Erasure {
    // Files of an earlier erasure, whose receipt the service never had.
    before: u32,
    names: BTreeSet<String>,
}

impl Erasure {
    /// One after an earlier receipt, or the first.
    pub(super) fn after(receipt: Option<&PurgeReceipt>) -> Self {
        Self { before: receipt.map_or(0, |receipt| receipt.files), names: BTreeSet::new() }
    }

    /// These files are to be erased too.
    pub(super) fn add(&mut self, names: Vec<String>) {
        self.names.extend(names);
    }

    /// How many files it is in all.
    pub(super) fn files(&self) -> u32 {
        self.before.saturating_add(u32::try_from(self.names.len()).unwrap_or(u32::MAX))
    }

    /// As it is put down: the number of files before, and each name on a line.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut lines = vec![self.before.to_string()];
        lines.extend(self.names.iter().cloned());
        lines.push(String::new());
        lines.join("\n").into_bytes()
    }

    /// As it was put down.
    ///
    /// # Errors
    /// [`Fault`] for a file that is none.
    pub(super) fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, Fault> {
        let text = str::from_utf8(bytes).unwrap_or_default();
        let mut lines = text.lines();
        let before = lines.next().and_then(|line| line.parse().ok());
        let names = lines.map(str::to_owned).collect();
        before.map(|before| Self { before, names }).ok_or_else(|| {
            let reason = "damaged: it does not say what is being erased; keep it for the reviewer, remove it, and erase again";
            let state = ClientError::State { path: path.to_owned(), reason: reason.to_owned() };
            Fault::client("go on with the erasure", state)
        })
    }
}

/// Overwrites and removes a journal whose erasure was broken off: its beginning is zeros, and nobody can open it any more.
///
/// # Errors
/// [`Fault::File`] naming it.
pub(super) fn overwrite_torn(journal: &Path) -> Result<(), Fault> {
    let fault = |source| Fault::File { doing: "erase", path: journal.to_owned(), source };
    match is_torn(journal) {
        Ok(true) => overwrite(journal).map_err(fault),
        Ok(false) => Ok(()),
        Err(source) => Err(fault(source)),
    }
}

fn is_torn(journal: &Path) -> io::Result<bool> {
    let mut first = Vec::new();
    match File::open(journal) {
        Ok(file) => file.take(1).read_to_end(&mut first)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(first == [0])
}

fn overwrite(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let mut left = file.metadata()?.len();
    while left > 0 {
        let some = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all(ZEROS.get(..some).unwrap_or_default())?;
        left = left.saturating_sub(u64::try_from(some).unwrap_or(u64::MAX));
    }
    file.sync_all()?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erasure_is_there_again_as_it_was_put_down_and_a_damaged_one_is_named() {
        let mut erasure = Erasure { before: 3, names: BTreeSet::new() };
        erasure.add(vec!["session".to_owned(), "nfc-1.journal".to_owned()]);
        let read = Erasure::from_bytes(Path::new("erasing"), &erasure.to_bytes()).unwrap();
        assert_eq!((read.files(), &read), (5, &erasure));
        for damaged in ["", "session\n", "-1\n"] {
            let fault = Erasure::from_bytes(Path::new("erasing"), damaged.as_bytes()).unwrap_err();
            assert!(fault.to_string().contains("does not say what is being erased"), "{fault}");
        }
    }
}
