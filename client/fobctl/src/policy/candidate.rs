//! A policy set that people look at: loaded as the keeper loads it, and whether it fits into a proposal.

use crate::fault::Fault;
use keysvc_client::protocol::{
    bytes::{Blob, Digest},
    list::List,
    name::Name,
    request::{POLICY_FILES_MAX, POLICY_SET_LEN_MAX, PolicyFile},
};
use keysvc_policies::PolicySet;
use serde::Serialize;
use std::{fmt::Display, path::Path};

/// One file of a set, for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FileView {
    /// Its name.
    pub(crate) name: String,
    /// Its length in bytes.
    pub(crate) bytes: usize,
}

/// Loads the folder's policies strictly: every file, validated against the shipped schema.
///
/// # Errors
/// [`Fault::Usage`] naming file and line.
pub(crate) fn load(folder: &Path) -> Result<PolicySet, Fault> {
    PolicySet::load(folder).map_err(|error| unusable(&error))
}

/// The policies shipped with this program.
///
/// # Errors
/// None in a program that passed its tests.
pub(crate) fn shipped() -> Result<PolicySet, Fault> {
    PolicySet::shipped().map_err(|error| unusable(&error))
}

/// An error of policies, cases or the prover as a wrong input. Its text ends with the mend, behind the last semicolon.
pub(crate) fn unusable(error: &impl Display) -> Fault {
    let text = error.to_string();
    match text.rsplit_once("; ") {
        Some((what, next)) => Fault::usage(what, next),
        None => Fault::usage(text, "correct the policies, then run the same command again"),
    }
}

/// A set's digest.
pub(crate) fn digest(set: &PolicySet) -> Digest {
    Digest::new(set.digest())
}

/// The set's files by name and length.
pub(crate) fn files(set: &PolicySet) -> Vec<FileView> {
    set.files().map(|(name, text)| FileView { name: name.to_owned(), bytes: text.len() }).collect()
}

/// The bytes of all texts together.
pub(crate) fn len(set: &PolicySet) -> usize {
    set.files().fold(0, |len, (_, text)| len.saturating_add(text.len()))
}

/// What keeps a set out of a proposal; nothing where it fits.
pub(crate) fn misfits(set: &PolicySet) -> Vec<String> {
    let (files, len) = (set.files().count(), len(set));
    let mut misfits = Vec::new();
    if files > POLICY_FILES_MAX {
        misfits.push(format!("{files} files, where a proposal holds {POLICY_FILES_MAX}: join some of them"));
    }
    if len > POLICY_SET_LEN_MAX {
        misfits.push(format!(
            "{len} bytes, where a proposal holds {POLICY_SET_LEN_MAX}: join policies that say the same, or shorten \
             their comments"
        ));
    }
    for (name, _) in set.files() {
        if name.parse::<Name>().is_err() {
            misfits.push(format!(
                "the file name {name:?} cannot stand in the log: use a-z, 0-9, '-', '_' and '.', at most 64 of them"
            ));
        }
    }
    misfits
}

/// The set's files as a proposal carries them.
///
/// # Errors
/// [`Fault::Unsound`] with everything that [`misfits`].
pub(crate) fn wire(set: &PolicySet) -> Result<List<PolicyFile, POLICY_FILES_MAX>, Fault> {
    let misfit =
        || Fault::unsound(misfits(set).join("; "), "make the set smaller, then run the same command again");
    if !misfits(set).is_empty() {
        return Err(misfit());
    }
    let file = |(name, text): (&str, &str)| {
        let (name, text) = (name.parse::<Name>().ok()?, Blob::try_from(text.as_bytes().to_vec()).ok()?);
        Some(PolicyFile { name, text })
    };
    let files: Option<Vec<_>> = set.files().map(file).collect();
    files.and_then(|files| List::try_from(files).ok()).ok_or_else(misfit)
}

/// The set that a proposal carries, loaded strictly; whether it has the digest stated is for the caller to compare.
///
/// # Errors
/// [`Fault::Usage`] for files that do not load.
pub(crate) fn of_wire(files: &[PolicyFile]) -> Result<PolicySet, Fault> {
    let text = |file: &PolicyFile| String::from_utf8_lossy(file.text.as_bytes()).into_owned();
    let files: Vec<_> = files.iter().map(|file| (file.name.as_str(), text(file))).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    PolicySet::from_files(&files).map_err(|error| unusable(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_set_goes_through_a_proposal_unchanged() {
        let set = PolicySet::shipped().unwrap();
        let again = of_wire(&wire(&set).unwrap()).unwrap();
        assert_eq!(again.digest(), set.digest());
        assert_eq!(files(&again), [FileView { name: "site.cedar".into(), bytes: len(&set) }]);
    }

    #[test]
    fn a_set_that_no_proposal_holds_says_everything_that_is_too_much() {
        let long = format!("// {}\n", "x".repeat(POLICY_SET_LEN_MAX));
        let mut files: Vec<_> = (10..26).map(|number| format!("{number}.cedar")).collect();
        files.push("Site.cedar".into());
        let files: Vec<_> = files.iter().map(|name| (name.as_str(), "// nothing")).collect();
        let set = load(folder(&[&files[..], &[("zz.cedar", long.as_str())]].concat()).path()).unwrap();
        let said = misfits(&set);
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].starts_with("18 files"), "{said:?}");
        assert!(said[2].contains("Site.cedar"), "{said:?}");
        assert_eq!(wire(&set).unwrap_err().exit_code(), 6);
    }

    #[test]
    fn a_policy_that_does_not_load_is_named_with_its_mend_as_the_next_step() {
        let fault =
            load(folder(&[("site.cedar", "permit (principal, action resource);")]).path()).unwrap_err();
        assert_eq!(fault.exit_code(), 2);
        assert!(fault.to_string().starts_with("site.cedar, line 1: "), "{fault}");
        assert_eq!(fault.next(), "mend the policy's syntax there");
    }
}
