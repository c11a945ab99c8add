//! Findings: what a verification found wrong, leaf by leaf. One list, so that the first reason is the first found.
//!
//! What is wrong with leaf 0 is [`FoundingProblem`]'s; nothing here judges, it only names.

mod job;
mod people;
mod value;

pub(crate) use job::JobProblem;
pub(crate) use people::PeopleProblem;
pub(crate) use value::ValueProblem;

use crate::founding_check::FoundingProblem;
use keysvc_protocol::{
    bundle::BundleError, bytes::ObjectIdentifier, cbor::DecodeError, checkpoint::CheckpointError,
    cose::CoseError, export::FileError, founding::PrincipalKind, leaf::LeafError, name::Name,
    request::Operation,
};
use std::fmt;

/// Most findings that are kept in words; the rest are counted.
pub(crate) const FINDINGS_MAX: usize = 50;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// Leaf 0 does not found this log.
    #[error("{0}")]
    Founding(#[from] FoundingProblem),
    /// The checkpoint is not one, or not this log's.
    #[error("{0}")]
    Checkpoint(#[from] CheckpointError),
    /// There is no leaf at all.
    #[error("the folder holds no leaf")]
    NoLeaves,
    /// A file that the checkpoint needs is not there.
    #[error("{file} is missing")]
    MissingFile {
        /// Its name in the export folder.
        file: String,
    },
    /// A file is not one of its kind.
    #[error("{file} is not good: {why}")]
    BadFile {
        /// Its name in the export folder.
        file: String,
        /// Why.
        why: FileError,
    },
    /// A hash tile is not the tile of the leaves, which are the signed ones.
    #[error("{file} was altered: its hash {index} is not the tree's")]
    OtherTile {
        /// Its name in the export folder.
        file: String,
        /// The first hash that differs, by its index in its level.
        index: u64,
    },
    /// An entry does not hash to what its tile holds, and the root is not the signed one either.
    #[error("its entry was altered: it does not hash to what {tile} holds")]
    OtherEntry {
        /// The tile's name in the export folder.
        tile: String,
    },
    /// An entry is not the one that an earlier verification saw.
    #[error("its entry in {file} is not the one that was verified before")]
    EntryChanged {
        /// The bundle's name in the export folder.
        file: String,
    },
    /// The log is not a continuation of what the state file says was verified.
    #[error("the log does not continue the {size} leaves that were verified before: its history was forked")]
    StateForked {
        /// Leaves verified before.
        size: u64,
    },
    /// The log has fewer leaves than were verified before.
    #[error("the log has {found} leaves, {size} were verified before: its history was rolled back")]
    StateAhead {
        /// Leaves verified before.
        size: u64,
        /// Leaves in the checkpoint.
        found: u64,
    },
    /// A leaf stands in another's place.
    #[error("leaf {found} stands where leaf {expected} must stand")]
    OutOfOrder {
        /// The index it must have.
        expected: u64,
        /// The index it has.
        found: u64,
    },
    /// The entry is not one, or the payload is another's.
    #[error("{0}")]
    Leaf(#[from] LeafError),
    /// There is a payload without the salt that its digest needs.
    #[error("a payload without its salt: nothing shows that it is this leaf's")]
    NoSalt,
    /// The leaf is older than the one before.
    #[error("its time is before the time of the leaf before")]
    TimeWentBack,
    /// The checkpoint commits to more leaves than there are.
    #[error("the log is cut short: the checkpoint has {checkpoint} leaves, of which {found} can be read")]
    CutShort {
        /// Leaves in the checkpoint.
        checkpoint: u64,
        /// Leaves found.
        found: u64,
    },
    /// The leaves do not hash to the checkpoint's root.
    #[error(
        "the leaves do not hash to the checkpoint's root: an entry was altered, or the history is another"
    )]
    RootDiffers,
    /// An older checkpoint is not one, or not this log's.
    #[error("the older checkpoint {file}: {why}")]
    Previous {
        /// Its file.
        file: String,
        /// Why.
        why: CheckpointError,
    },
    /// An older checkpoint commits to more leaves than the log has.
    #[error("the older checkpoint {file} has {size} leaves, more than the log: history was rolled back")]
    PreviousAhead {
        /// Its file.
        file: String,
        /// Its number of leaves.
        size: u64,
    },
    /// An older checkpoint has another root than this log had at its size.
    #[error("the older checkpoint {file} at {size} leaves has another root: the history was forked")]
    PreviousForked {
        /// Its file.
        file: String,
        /// Its number of leaves.
        size: u64,
    },
    /// The payload is not of the leaf's kind.
    #[error("its payload does not decode: {0}")]
    Payload(#[from] DecodeError),
    /// A founding in the middle of a log.
    #[error("a second founding")]
    SecondFounding,
    /// The policies in force are not the founding's.
    #[error("the policies in force are not those of the log")]
    OtherPolicy,
    /// A name that the founding does not enrol as what it must be here.
    #[error("{name} is not enrolled as {kind}")]
    NotEnrolled {
        /// The name.
        name: Name,
        /// What it must be.
        kind: PrincipalKind,
    },
    /// A name that the founding does not know.
    #[error("{0} is not enrolled")]
    Stranger(Name),
    /// A statement is not the enrolled caller's.
    #[error("the statement for {operation} by {name}: {why}")]
    Statement {
        /// What it should ask for.
        operation: Operation,
        /// Whose it should be.
        name: Name,
        /// Why it is not.
        why: CoseError,
    },
    /// The signed bytes are not a request.
    #[error("the statement for {operation} by {name} does not decode: {why}")]
    StatementForm {
        /// What it should ask for.
        operation: Operation,
        /// Whose it is.
        name: Name,
        /// Why not.
        why: DecodeError,
    },
    /// What a key leaf says wrong.
    #[error("{0}")]
    Key(#[from] KeyProblem),
    /// What a station's leaf says wrong.
    #[error("{0}")]
    Station(#[from] StationProblem),
    /// What a value leaf says wrong.
    #[error("{0}")]
    Value(#[from] ValueProblem),
    /// What a leaf about what takes people says wrong, or a leaf that was stopped.
    #[error("{0}")]
    People(#[from] PeopleProblem),
    /// What a leaf about a job or about cards says wrong.
    #[error("{0}")]
    Job(#[from] JobProblem),
    /// A trust bundle that vouches for another log, or for keys that are none.
    #[error("{0}")]
    Bundle(#[from] BundleError),
    /// A trust bundle with other limits than the card profile had.
    #[error("the trust bundle does not say of programme {0} what its card profile said then")]
    BundleRules(Name),
    /// Time or range of a leaf ends before it begins.
    #[error("a range that ends before it begins")]
    Range,
    /// Evidence of a rollback: the log's clients hold a checkpoint that this log does not contain.
    #[error("ROLLBACK: {shown_by} showed a signed checkpoint of {size} leaves that this log did not contain")]
    RollbackShown {
        /// Who showed it.
        shown_by: Name,
        /// Its number of leaves.
        size: u64,
    },
    /// A leaf claims a rollback with a checkpoint that this log never signed.
    #[error("a rollback is claimed with a checkpoint that is not this log's: {0}")]
    RollbackUnproven(CheckpointError),
}

/// What is wrong with a leaf about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyProblem {
    /// There is no open intent at the leaf named.
    #[error("leaf {intent} is not an open intent to make a key")]
    NoIntent {
        /// The leaf named.
        intent: u64,
    },
    /// The key is another than was intended.
    #[error("the key made is not the one intended at leaf {intent}")]
    NotAsIntended {
        /// The intent's leaf.
        intent: u64,
    },
    /// A key of this `CKA_ID` is there already.
    #[error("a key with the id {0} is there already")]
    IdTwice(ObjectIdentifier),
}

/// What is wrong with a leaf about a station's exchange or card keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StationProblem {
    /// The exchange's identifier was used before.
    #[error("the exchange was opened before")]
    OpenedTwice,
    /// One statement under two leaves.
    #[error("the station's statement stands under an earlier leaf already")]
    StatementTwice,
    /// A profile that was not in use in this version.
    #[error("no card profile {profile} of version {version} was in use")]
    NoProfile {
        /// Its name.
        profile: Name,
        /// Its version.
        version: u32,
    },
    /// A slot whose master key is not known.
    #[error("the master key {key} is not in the log")]
    NoMaster {
        /// Its name.
        key: Name,
    },
    /// Another number of keys than its cards have slots.
    #[error("the leaf counts {count} keys, its cards have {asked} slots")]
    Count {
        /// What the leaf says.
        count: u32,
        /// Cards times slots of the profile.
        asked: u64,
    },
}

/// A problem and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The leaf, where it is one leaf's.
    pub(crate) leaf: Option<u64>,
    /// What is wrong.
    pub(crate) problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leaf {
            Some(index) => write!(f, "leaf {index}: {}", self.problem),
            None => self.problem.fmt(f),
        }
    }
}

/// The findings so far: the first [`FINDINGS_MAX`] in words, all of them in number.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    kept: Vec<Finding>,
    total: u64,
}

impl Findings {
    /// Adds what is wrong with one leaf.
    pub(crate) fn leaf(&mut self, index: u64, problem: impl Into<Problem>) {
        self.add(Finding { leaf: Some(index), problem: problem.into() });
    }

    /// Adds what is wrong with the log as a whole.
    pub(crate) fn log(&mut self, problem: impl Into<Problem>) {
        self.add(Finding { leaf: None, problem: problem.into() });
    }

    fn add(&mut self, finding: Finding) {
        self.total = self.total.saturating_add(1);
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(finding);
        }
    }

    /// The first reason.
    pub(crate) fn first(&self) -> Option<&Finding> {
        self.kept.first()
    }

    /// The first [`FINDINGS_MAX`].
    pub(crate) fn kept(&self) -> &[Finding] {
        &self.kept
    }

    /// How many there are.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_past_the_fiftieth_are_counted_and_not_kept() {
        let mut findings = Findings::default();
        for index in 0..60 {
            findings.leaf(index, Problem::TimeWentBack);
        }
        assert_eq!((findings.kept().len(), findings.total()), (50, 60));
        assert_eq!(
            findings.first().map(ToString::to_string).as_deref(),
            Some("leaf 0: its time is before the time of the leaf before")
        );
    }
}
