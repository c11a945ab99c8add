//! Reading the site's folder: only plain `*.cedar` files, few and small.
//! Apart from parsing, so that nothing but size and kind is judged before the text is in hand.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::error::PolicyError;
use crate::source::{Source, is_file_name, line_at};

/// Files a site's folder may hold. One per subject is a dozen; 64 * 256 KiB is 16 MiB of text at
/// most, read once at start.
pub const SITE_FILES_MAX: usize = 64;

/// Bytes of one policy file: about 4,000 lines, a hundred times the shipped site.
pub const SITE_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Every file of `folder`, sorted by the bytes of its name.
pub(crate) fn read(folder: &Path) -> Result<Vec<Source>, PolicyError> {
    let unlisted = |error: io::Error| PolicyError::Folder { folder: folder.into(), reason: error.kind() };
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).map_err(unlisted)? {
        if sources.len() == SITE_FILES_MAX {
            return Err(PolicyError::TooManyFiles { folder: folder.into() });
        }
        sources.push(source(&entry.map_err(unlisted)?.path())?);
    }
    if sources.is_empty() {
        return Err(PolicyError::Empty { folder: folder.into() });
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

fn source(path: &Path) -> Result<Source, PolicyError> {
    let unreadable = |error: io::Error| PolicyError::Unreadable { file: path.into(), reason: error.kind() };
    // Before it is opened and without following a link, because opening a pipe would block.
    let plain = fs::symlink_metadata(path).map_err(unreadable)?.is_file();
    let name = path.file_name().and_then(|name| name.to_str()).filter(|name| is_file_name(name));
    let (true, Some(name)) = (plain, name) else {
        return Err(PolicyError::UnknownFile { file: path.into() });
    };

    let mut bytes = Vec::new();
    // One byte more than allowed tells a full file from one that is too large.
    let limit = SITE_FILE_BYTES_MAX.saturating_add(1);
    let read =
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
    if read as u64 > SITE_FILE_BYTES_MAX {
        return Err(PolicyError::TooLarge { file: path.into() });
    }
    let text = String::from_utf8(bytes).map_err(|error| PolicyError::NotText {
        file: path.into(),
        line: line_at(error.as_bytes(), error.utf8_error().valid_up_to()),
    })?;
    Ok(Source { name: name.to_owned(), text })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn unknown(folder: &TempDir, name: &str) -> PolicyError {
        PolicyError::UnknownFile { file: folder.path().join(name) }
    }

    #[test]
    fn files_come_sorted_by_the_bytes_of_their_names() {
        let folder = folder(&[("b.cedar", b"b"), ("a.cedar", b"a"), ("Z.cedar", b"z")]);
        let names = read(folder.path()).unwrap().into_iter().map(|source| source.name).collect::<Vec<_>>();
        assert_eq!(names, ["Z.cedar", "a.cedar", "b.cedar"]);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = folder(&[]);
        let missing = folder.path().join("policies");
        let expected = PolicyError::Folder { folder: missing.clone(), reason: io::ErrorKind::NotFound };
        assert_eq!(read(&missing).unwrap_err(), expected);
    }

    #[test]
    fn an_empty_folder_is_refused() {
        let folder = folder(&[]);
        assert_eq!(read(folder.path()).unwrap_err(), PolicyError::Empty { folder: folder.path().into() });
    }

    #[test]
    fn a_file_of_another_name_is_refused() {
        for name in
            ["notes.txt", "site.cedar~", ".site.cedar.swp", ".cedar", "site.CEDAR", "keysvc.cedarschema"]
        {
            let folder = folder(&[("site.cedar", b""), (name, b"")]);
            assert_eq!(read(folder.path()).unwrap_err(), unknown(&folder, name));
        }
    }

    #[test]
    fn a_folder_or_a_link_is_refused_even_with_the_right_name() {
        let nested = folder(&[]);
        fs::create_dir(nested.path().join("more.cedar")).unwrap();
        assert_eq!(read(nested.path()).unwrap_err(), unknown(&nested, "more.cedar"));

        let linked = folder(&[]);
        let elsewhere = folder(&[("site.cedar", b"")]);
        symlink(elsewhere.path().join("site.cedar"), linked.path().join("site.cedar")).unwrap();
        assert_eq!(read(linked.path()).unwrap_err(), unknown(&linked, "site.cedar"));
    }

    #[test]
    fn a_file_may_be_as_large_as_the_cap_and_no_larger() {
        let cap = usize::try_from(SITE_FILE_BYTES_MAX).unwrap();
        let full = folder(&[("site.cedar", &vec![b' '; cap])]);
        assert_eq!(read(full.path()).unwrap()[0].text.len(), cap);

        let over = folder(&[("site.cedar", &vec![b' '; cap + 1])]);
        let expected = PolicyError::TooLarge { file: over.path().join("site.cedar") };
        assert_eq!(read(over.path()).unwrap_err(), expected);
    }

    #[test]
    fn there_may_be_as_many_files_as_the_cap_and_no_more() {
        let folder = folder(&[]);
        for number in 0..SITE_FILES_MAX {
            fs::write(folder.path().join(format!("{number}.cedar")), b"").unwrap();
        }
        assert_eq!(read(folder.path()).unwrap().len(), SITE_FILES_MAX);

        fs::write(folder.path().join("more.cedar"), b"").unwrap();
        let expected = PolicyError::TooManyFiles { folder: folder.path().into() };
        assert_eq!(read(folder.path()).unwrap_err(), expected);
    }

    #[test]
    fn bytes_that_are_not_text_are_refused_naming_the_line() {
        let folder = folder(&[("site.cedar", b"// one\n// two \xff\n")]);
        let expected = PolicyError::NotText { file: folder.path().join("site.cedar"), line: 2 };
        assert_eq!(read(folder.path()).unwrap_err(), expected);
    }
}
