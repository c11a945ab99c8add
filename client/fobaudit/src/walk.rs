//! The walk along all leaves: files in order, entries, indices, times, payload digests, and the tree over them.
//!
//! Holds one file of leaves at a time, so that the length of a log does not matter. What payloads say is left to
//! the visitor.

use crate::{
    fault::Fault,
    finding::{Findings, Problem},
    founding_check::{Founded, FoundingProblem},
    log_folder::{LeafFileName, LogFolder},
};
use keysvc_protocol::{
    bytes::Digest,
    cbor,
    checkpoint::{Origin, SignedCheckpoint},
    export::{FILE_BYTES_MAX, LeafFile},
    leaf::LeafEntry,
    merkle::{Frontier, TreeHead, leaf_hash},
    receipt::LeafEvidence,
    trust::Trust,
};
use std::collections::{BTreeMap, BTreeSet};

/// The epoch of a log that was never restored after a disaster.
const FIRST_EPOCH: u32 = 1;

/// What the trust file proves of a folder before its leaves are walked.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The founding.
    pub(crate) founded: Founded,
    /// The log's origin.
    pub(crate) origin: Origin,
    /// What the folder's checkpoint commits to; a finding stands beside it when its signature does not hold.
    pub(crate) head: TreeHead,
}

impl Opened {
    /// Reads and proves leaf 0, and verifies the checkpoint's signature with the key that leaf 0 names. Nothing
    /// when no more can be checked; the findings say why.
    ///
    /// # Errors
    /// [`Fault`] when the folder cannot be read.
    pub(crate) fn open(
        folder: LogFolder<'_>,
        trust: &Trust,
        findings: &mut Findings,
    ) -> Result<Option<Self>, Fault> {
        let note = folder.checkpoint()?;
        let Some(leaf) = first_leaf(folder, findings)? else { return Ok(None) };
        let founded = match Founded::prove(trust, &leaf) {
            Ok(founded) => founded,
            Err(problem) => {
                findings.leaf(0, problem);
                return Ok(None);
            }
        };
        let origin = Origin::of(&trust.domain, FIRST_EPOCH);
        let checkpoint = match SignedCheckpoint::parse(&note) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                findings.log(error);
                return Ok(None);
            }
        };
        if let Err(error) = checkpoint.verify(&origin, &founded.checkpoint_key) {
            findings.log(error);
        }
        Ok(Some(Self { founded, origin, head: checkpoint.checkpoint().head }))
    }

    /// Compares what the walk found with the checkpoint.
    pub(crate) fn compare(&self, walked: &Walked, findings: &mut Findings) {
        let (checkpoint, found) = (self.head.size, walked.head.size);
        if found < checkpoint {
            return findings.log(Problem::CutShort { checkpoint, found });
        }
        if found > checkpoint {
            findings.log(Problem::Uncommitted { checkpoint, found });
        }
        if walked.root_at(checkpoint) != Some(self.head.root) {
            findings.log(Problem::RootDiffers);
        }
    }
}

fn first_leaf(folder: LogFolder<'_>, findings: &mut Findings) -> Result<Option<LeafEvidence>, Fault> {
    let files = folder.leaf_files()?;
    let Some(file) = files.first() else {
        findings.log(Problem::NoLeaves);
        return Ok(None);
    };
    if let Some(last) = file.first.checked_sub(1) {
        findings.log(Problem::MissingLeaves { from: 0, last });
        return Ok(None);
    }
    let leaves = decode(file, &folder.leaf_file(file)?, findings);
    let leaf = leaves.and_then(|file| file.leaves.into_vec().into_iter().next());
    if leaf.is_none() && findings.total() == 0 {
        findings.log(FoundingProblem::NotGenesis);
    }
    Ok(leaf)
}

fn decode(file: &LeafFileName, bytes: &[u8], findings: &mut Findings) -> Option<LeafFile> {
    match cbor::decode::<LeafFile>(bytes, FILE_BYTES_MAX) {
        Ok(leaves) => {
            if leaves.first != file.first {
                findings.log(Problem::LeafFileName { file: file.name.clone(), first: leaves.first });
            }
            Some(leaves)
        }
        Err(why) => {
            findings.log(Problem::LeafFile { file: file.name.clone(), why });
            None
        }
    }
}

/// What visits each leaf whose entry is one.
pub(crate) trait Visitor {
    /// Takes a leaf. The payload is left out where it is withheld or not proved to be the entry's.
    fn visit(&mut self, entry: &LeafEntry, payload: Option<&[u8]>, findings: &mut Findings);
}

/// What the walk found.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Size and root over all leaves found.
    pub(crate) head: TreeHead,
    roots: BTreeMap<u64, Digest>,
}

impl Walked {
    /// The root at one of the sizes asked for.
    pub(crate) fn root_at(&self, size: u64) -> Option<Digest> {
        self.roots.get(&size).copied()
    }
}

/// A walk under way.
#[derive(Debug)]
pub(crate) struct Walk {
    wanted: BTreeSet<u64>,
    roots: BTreeMap<u64, Digest>,
    frontier: Frontier,
    // Index that the next leaf must have. Differs from the frontier's size once leaves are missing, so that each
    // gap is one finding.
    next: u64,
    time_ms: u64,
}

impl Walk {
    /// A walk that keeps the roots at these sizes.
    pub(crate) fn new(wanted: BTreeSet<u64>) -> Self {
        Self { wanted, roots: BTreeMap::new(), frontier: Frontier::new(), next: 0, time_ms: 0 }
    }

    /// Walks along all files of leaves.
    ///
    /// # Errors
    /// [`Fault`] when one cannot be read.
    pub(crate) fn along(
        mut self,
        folder: LogFolder<'_>,
        visitor: &mut dyn Visitor,
        findings: &mut Findings,
    ) -> Result<Walked, Fault> {
        self.keep_root();
        for file in folder.leaf_files()? {
            let Some(leaves) = decode(&file, &folder.leaf_file(&file)?, findings) else { continue };
            if file.first > self.next {
                let last = file.first.saturating_sub(1);
                findings.log(Problem::MissingLeaves { from: self.next, last });
                self.next = file.first;
            }
            for leaf in leaves.leaves.iter() {
                self.step(leaf, visitor, findings);
            }
        }
        Ok(Walked { head: self.frontier.head(), roots: self.roots })
    }

    fn step(&mut self, leaf: &LeafEvidence, visitor: &mut dyn Visitor, findings: &mut Findings) {
        let expected = self.next;
        self.next = expected.saturating_add(1);
        self.frontier.append(leaf_hash(leaf.entry.as_bytes()));
        self.keep_root();
        let entry = match LeafEntry::decode(leaf.entry.as_bytes()) {
            Ok(entry) => entry,
            Err(error) => return findings.leaf(expected, error),
        };
        if entry.index != expected {
            findings.leaf(expected, Problem::OutOfOrder { expected, found: entry.index });
            self.next = entry.index.saturating_add(1);
        }
        if entry.time_ms < self.time_ms {
            findings.leaf(entry.index, Problem::TimeWentBack);
        }
        self.time_ms = entry.time_ms;
        match proven_payload(&entry, leaf) {
            Ok(payload) => visitor.visit(&entry, payload, findings),
            Err(problem) => {
                findings.leaf(entry.index, problem);
                visitor.visit(&entry, None, findings);
            }
        }
    }

    fn keep_root(&mut self) {
        let size = self.frontier.size();
        if self.wanted.contains(&size) {
            self.roots.insert(size, self.frontier.root());
        }
    }
}

/// The payload where it is there and the entry's.
fn proven_payload<'a>(entry: &LeafEntry, leaf: &'a LeafEvidence) -> Result<Option<&'a [u8]>, Problem> {
    match (&leaf.salt, &leaf.payload) {
        (_, None) => Ok(None),
        (None, Some(_)) => Err(Problem::NoSalt),
        (Some(salt), Some(payload)) => {
            entry.check_payload(salt, payload.as_bytes())?;
            Ok(Some(payload.as_bytes()))
        }
    }
}
