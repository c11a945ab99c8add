//! Policy files given in memory, under the rules of a folder: few, small, plainly named, none twice.
//! Apart from the folder because these come over the wire or out of the log; it reads no disk.

use crate::error::PolicyError;
use crate::folder::{SITE_FILE_BYTES_MAX, SITE_FILES_MAX};
use crate::source::{Source, is_file_name};

/// Every one of `files`, name and text, sorted by the bytes of its name.
pub(crate) fn read(files: &[(&str, &str)]) -> Result<Vec<Source>, PolicyError> {
    if files.is_empty() {
        return Err(PolicyError::NoFiles);
    }
    if files.len() > SITE_FILES_MAX {
        return Err(PolicyError::MoreFiles);
    }
    let mut sources = files.iter().map(|(name, text)| source(name, text)).collect::<Result<Vec<_>, _>>()?;
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    let twice = sources.iter().zip(sources.iter().skip(1)).find(|(one, next)| one.name == next.name);
    match twice {
        Some((one, _)) => Err(PolicyError::SameName { name: one.name.clone() }),
        None => Ok(sources),
    }
}

fn source(name: &str, text: &str) -> Result<Source, PolicyError> {
    if !is_file_name(name) {
        return Err(PolicyError::FileName { name: name.to_owned() });
    }
    // usize has at most 64 bits on every platform Rust knows.
    if text.len() as u64 > SITE_FILE_BYTES_MAX {
        return Err(PolicyError::TooLarge { file: name.into() });
    }
    Ok(Source { name: name.to_owned(), text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(files: &[(&str, &str)]) -> PolicyError {
        read(files).unwrap_err()
    }

    #[test]
    fn files_come_sorted_by_the_bytes_of_their_names() {
        let sources = read(&[("b.cedar", "b"), ("a.cedar", "a"), ("Z.cedar", "z")]).unwrap();
        let read: Vec<_> =
            sources.iter().map(|source| (source.name.as_str(), source.text.as_str())).collect();
        assert_eq!(read, [("Z.cedar", "z"), ("a.cedar", "a"), ("b.cedar", "b")]);
    }

    #[test]
    fn no_file_is_no_set() {
        assert_eq!(refused(&[]), PolicyError::NoFiles);
    }

    #[test]
    fn a_name_twice_is_refused() {
        let files = [("b.cedar", "b"), ("a.cedar", "a"), ("b.cedar", "other")];
        assert_eq!(refused(&files), PolicyError::SameName { name: "b.cedar".to_owned() });
        assert!(read(&files[..2]).is_ok());
    }

    #[test]
    fn a_name_that_is_no_plain_cedar_file_is_refused() {
        for name in [
            "",
            "site",
            "site.txt",
            "site.CEDAR",
            "site.cedar~",
            ".cedar",
            "keysvc.cedarschema",
            "/site.cedar",
            "../site.cedar",
            "more/site.cedar",
            "site.cedar/",
            "site\n.cedar",
            "site\0.cedar",
        ] {
            let expected = PolicyError::FileName { name: name.to_owned() };
            assert_eq!(refused(&[("a.cedar", ""), (name, "")]), expected);
        }
    }

    #[test]
    fn a_file_may_be_as_large_as_the_cap_and_no_larger() {
        let cap = usize::try_from(SITE_FILE_BYTES_MAX).unwrap();
        assert!(read(&[("site.cedar", &" ".repeat(cap))]).is_ok());
        let over = refused(&[("site.cedar", &" ".repeat(cap + 1))]);
        assert_eq!(over, PolicyError::TooLarge { file: "site.cedar".into() });
    }

    #[test]
    fn there_may_be_as_many_files_as_the_cap_and_no_more() {
        let names: Vec<_> = (0..=SITE_FILES_MAX).map(|number| format!("{number}.cedar")).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert_eq!(read(&files[1..]).unwrap().len(), SITE_FILES_MAX);
        assert_eq!(refused(&files), PolicyError::MoreFiles);
    }
}
