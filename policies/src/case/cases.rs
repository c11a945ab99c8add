//! Many decision cases: the shipped ones, or a folder of them.
//! Reading only; what is done with them is next door.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::Case;
use super::error::CaseError;

/// Cases a folder may hold: six times the shipped ones.
pub const CASES_MAX: usize = 4096;

/// Bytes of one case, a hundred times a shipped one: 4096 * 64 KiB is 256 MiB at most, read once.
pub const CASE_BYTES_MAX: u64 = 64 * 1024;

// `build.rs` writes the list of `tests/decisions`.
include!(concat!(env!("OUT_DIR"), "/shipped_cases.rs"));

/// Decision cases, sorted by name.
#[derive(Debug)]
pub struct Cases(Vec<Case>);

impl Cases {
    /// The cases this program was tested with: what the shipped policies permit and what they do not.
    ///
    /// # Errors
    ///
    /// None in a program that passed its tests.
    pub fn shipped() -> Result<Self, CaseError> {
        SHIPPED_CASES.iter().map(|(name, text)| Case::parse(name, text)).collect::<Result<_, _>>().map(Self)
    }

    /// Every case of `folder`, which holds nothing but `*.toml` files.
    ///
    /// # Errors
    ///
    /// Whatever is not a folder of plain, small cases; the error names the file and the line.
    pub fn folder(folder: &Path) -> Result<Self, CaseError> {
        let unlisted = |error: io::Error| CaseError::Folder { folder: folder.into(), reason: error.kind() };
        let mut cases = Vec::new();
        for entry in fs::read_dir(folder).map_err(unlisted)? {
            if cases.len() == CASES_MAX {
                return Err(CaseError::TooMany { folder: folder.into() });
            }
            cases.push(case(&entry.map_err(unlisted)?.path())?);
        }
        if cases.is_empty() {
            return Err(CaseError::Empty { folder: folder.into() });
        }
        cases.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(Self(cases))
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Case> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Cases {
    type Item = &'a Case;
    type IntoIter = std::slice::Iter<'a, Case>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn case(path: &Path) -> Result<Case, CaseError> {
    let unreadable = |error: io::Error| CaseError::Unreadable { file: path.into(), reason: error.kind() };
    // Before it is opened and without following a link, because opening a pipe would block.
    let plain = fs::symlink_metadata(path).map_err(unreadable)?.is_file();
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".toml"));
    let (true, Some(name)) = (plain, name.filter(|name| !name.is_empty())) else {
        return Err(CaseError::UnknownFile { file: path.into() });
    };
    let mut text = String::new();
    // One byte more than allowed tells a full file from one that is too large.
    let limit = CASE_BYTES_MAX.saturating_add(1);
    let read =
        File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text)).map_err(unreadable)?;
    if read as u64 > CASE_BYTES_MAX {
        return Err(CaseError::TooLarge { file: path.into() });
    }
    Case::parse(name, &text)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn refused(folder: &TempDir) -> CaseError {
        Cases::folder(folder.path()).unwrap_err()
    }

    #[test]
    fn the_shipped_cases_are_those_of_the_folder() {
        let shipped = Cases::shipped().unwrap();
        let read = Cases::folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decisions")).unwrap();
        assert!(shipped.iter().count() > 300);
        assert_eq!(format!("{shipped:?}"), format!("{read:?}"));
    }

    #[test]
    fn cases_come_sorted_by_name_without_the_ending() {
        let (_, text) = SHIPPED_CASES[0];
        let folder = folder(&[("b.toml", text), ("a-b.toml", text)]);
        let cases = Cases::folder(folder.path()).unwrap();
        assert_eq!(cases.iter().map(Case::name).collect::<Vec<_>>(), ["a-b", "b"]);
    }

    #[test]
    fn what_is_no_folder_of_cases_is_refused_naming_it() {
        let (_, text) = SHIPPED_CASES[0];
        let empty = folder(&[]);
        assert_eq!(refused(&empty), CaseError::Empty { folder: empty.path().into() });
        let missing = empty.path().join("cases");
        let expected = CaseError::Folder { folder: missing.clone(), reason: io::ErrorKind::NotFound };
        assert_eq!(Cases::folder(&missing).unwrap_err(), expected);

        for name in ["case.txt", "case.toml~", ".toml"] {
            let stray = folder(&[("a.toml", text), (name, text)]);
            assert_eq!(refused(&stray), CaseError::UnknownFile { file: stray.path().join(name) });
        }
        let nested = folder(&[]);
        fs::create_dir(nested.path().join("more.toml")).unwrap();
        assert_eq!(refused(&nested), CaseError::UnknownFile { file: nested.path().join("more.toml") });

        let bad = folder(&[("a.toml", "why = 1")]);
        assert!(matches!(refused(&bad), CaseError::Malformed { name, line: 1, .. } if name == "a"));
    }

    #[test]
    fn a_case_is_small_text() {
        let (_, text) = SHIPPED_CASES[0];
        let cap = usize::try_from(CASE_BYTES_MAX).unwrap();
        let full = format!("{text}{}", "\n".repeat(cap - text.len()));
        assert!(Cases::folder(folder(&[("a.toml", &full)]).path()).is_ok());
        let over = folder(&[("a.toml", &format!("{full}\n"))]);
        assert_eq!(refused(&over), CaseError::TooLarge { file: over.path().join("a.toml") });

        let binary = folder(&[]);
        fs::write(binary.path().join("a.toml"), [0xff]).unwrap();
        assert!(matches!(refused(&binary), CaseError::Unreadable { reason: io::ErrorKind::InvalidData, .. }));
    }
}
