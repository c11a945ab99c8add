//! Why policies could not be loaded or a question not be judged.
//! Each message names the place and the mend; the gate treats every one of them as a denial.

use std::io;
use std::path::PathBuf;

use crate::depth::DEPTH_MAX;
use crate::folder::{SITE_FILE_BYTES_MAX, SITE_FILES_MAX};
use crate::policy_set::SITE_POLICIES_MAX;

/// A policy set that does not load, or a question it cannot judge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The site's folder cannot be listed.
    #[error(
        "the policy folder {} cannot be read: {reason}; check the path and that the keeper may read it",
        folder.display()
    )]
    Folder {
        /// The folder as configured.
        folder: PathBuf,
        /// What the system answered.
        reason: io::ErrorKind,
    },

    /// The site's folder holds no policy file.
    #[error(
        "the policy folder {} holds no *.cedar file, so everything would be denied; \
         write the shipped site.cedar into it",
        folder.display()
    )]
    Empty {
        /// The folder as configured.
        folder: PathBuf,
    },

    /// The site's folder holds more files than are read.
    #[error(
        "the policy folder {} holds more than {SITE_FILES_MAX} files; join some of them",
        folder.display()
    )]
    TooManyFiles {
        /// The folder as configured.
        folder: PathBuf,
    },

    /// A set given as files has none.
    #[error("the policy set has no file, so everything would be denied; start from the shipped site.cedar")]
    NoFiles,

    /// A set given as files has more than are read.
    #[error("the policy set has more than {SITE_FILES_MAX} files; join some of them")]
    MoreFiles,

    /// A file given in memory has a name no policy file has.
    #[error("{name:?} is no name of a policy file; give a plain name that ends in .cedar")]
    FileName {
        /// The name.
        name: String,
    },

    /// Two files given in memory have one name.
    #[error("{name} is there twice; give each file of the policy set a name of its own")]
    SameName {
        /// The name.
        name: String,
    },

    /// Something in the site's folder is not a plain `*.cedar` file.
    #[error("{} is not a plain *.cedar file; move it out of the policy folder", file.display())]
    UnknownFile {
        /// The stray file, folder or link.
        file: PathBuf,
    },

    /// A policy file cannot be read.
    #[error("{} cannot be read: {reason}; check that the keeper may read it", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system answered.
        reason: io::ErrorKind,
    },

    /// A policy file is too large.
    #[error("{} is larger than {SITE_FILE_BYTES_MAX} bytes; split it into several files", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },

    /// A policy file is not text.
    #[error("{}, line {line}: not UTF-8; save the file as UTF-8 text", file.display())]
    NotText {
        /// The file.
        file: PathBuf,
        /// The line with the first bad byte, from 1.
        line: usize,
    },

    /// The site has more policies than are evaluated.
    #[error(
        "the site has more than {SITE_POLICIES_MAX} policies, each of which costs time in every decision; \
         join those that say the same"
    )]
    TooManyPolicies,

    /// A policy file is not Cedar.
    #[error("{file}, line {line}: {reason}; mend the policy's syntax there")]
    Syntax {
        /// The file's name.
        file: String,
        /// From 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },

    /// A policy does not agree with the schema, can never apply, or hides characters.
    #[error("{file}, line {line}: {reason}; write only what keysvc.cedarschema declares")]
    Invalid {
        /// The file's name.
        file: String,
        /// From 1.
        line: usize,
        /// What the validator says.
        reason: String,
    },

    /// A policy is deeper than Cedar is let into.
    #[error(
        "{file}, line {line}: a policy with more than {DEPTH_MAX} brackets and operators inside each other; \
         write it as several policies, or ask whether a set contains what you compare with"
    )]
    TooDeep {
        /// The file's name.
        file: String,
        /// Where it becomes so, from 1.
        line: usize,
    },

    /// There is no thread to read policies on.
    #[error("no thread to read the policies on: {reason}; give the service more processes or memory")]
    NoThread {
        /// What the system answered.
        reason: io::ErrorKind,
    },

    /// A policy has an open slot.
    #[error("{file}, line {line}: a template with ?principal or ?resource; name them in the policy instead")]
    Template {
        /// The file's name.
        file: String,
        /// From 1.
        line: usize,
    },

    /// A policy says something of its refusal that the keeper does not know.
    #[error(
        "{file}, line {line}: @refusal says what the keeper cannot tell; \
         write it before a forbid as @refusal(\"same_person\"), or leave it out"
    )]
    Refusal {
        /// The file's name.
        file: String,
        /// From 1.
        line: usize,
    },

    /// Two policies have the same place, by which policies are told apart.
    #[error("{policy}: two policies stand here; begin each on a line of its own")]
    Twice {
        /// File, line and column: `site.cedar:12:1`.
        policy: String,
    },

    /// The schema shipped with the program cannot be used.
    #[error("the shipped keysvc.cedarschema: {reason}; the program is damaged, install it again")]
    Schema {
        /// What is wrong with it.
        reason: String,
    },

    /// A question whose resource or context is not the action's.
    #[error("{action}: {reason}; ask with the resource and context the schema gives this action")]
    Misfit {
        /// The action asked for.
        action: String,
        /// What does not fit.
        reason: String,
    },

    /// An amount that policies cannot hold.
    #[error("the amount is above {}; ask for less", i64::MAX)]
    AmountTooLarge,

    /// Facts that Cedar does not take.
    #[error("the request cannot be put to the policies: {reason}; report this with the request id")]
    Unusable {
        /// What Cedar says.
        reason: String,
    },

    /// A policy failed while it was evaluated.
    #[error("{policy}: {reason}; the request is denied, mend the policy")]
    Evaluation {
        /// File, line and column of the policy: `site.cedar:12:1`.
        policy: String,
        /// What the evaluator says.
        reason: String,
    },
}
