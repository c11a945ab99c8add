//! The walk along all leaves: bundles in order, entries, indices, times, payload digests, and the tree over them.
//!
//! Holds one bundle of 256 leaves at a time and reads each file once, so that the length of a log does not matter.
//! Every hash tile is computed from the entries and compared with the folder's. What payloads say is left to the
//! visitor. A walk may go on from where an earlier one stood.

mod opened;
mod tiles;

pub(crate) use opened::Opened;
pub(crate) use tiles::{Tiles, TilesError};

use crate::{
    checks,
    fault::Fault,
    finding::{FINDINGS_MAX, Findings, Problem},
    log_folder::LogFolder,
};
use keysvc_protocol::{
    bytes::Digest,
    export::{HashTile, LeafPayload, Span, Tiling},
    leaf::{ActByQuorumLeaf, LeafEntry, LeafKind},
    merkle::{TreeHead, leaf_hash},
};
use std::collections::{BTreeMap, BTreeSet};

/// A leaf whose entry is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf<'a> {
    /// Its entry.
    pub(crate) entry: &'a LeafEntry,
    /// Its payload; left out where it is withheld or not proved to be the entry's.
    pub(crate) payload: Option<&'a [u8]>,
    /// The act in it, where it is one that took a quorum.
    pub(crate) act: Option<&'a ActByQuorumLeaf>,
}

impl<'a> Leaf<'a> {
    /// The kind and payload of what was done: an act's own where it took a quorum, else the leaf's.
    pub(crate) fn done(&self) -> (LeafKind, Option<&'a [u8]>) {
        self.act.map_or((self.entry.kind, self.payload), |act| (act.kind, Some(act.act.as_bytes())))
    }

    /// Whether it may hide a value update, or anything else that takes a quorum only sometimes.
    pub(crate) fn is_hidden_act(&self) -> bool {
        self.entry.kind == LeafKind::SealedActByQuorum && self.payload.is_none()
    }
}

/// What visits each leaf whose entry is one.
pub(crate) trait Visitor {
    /// Takes a leaf.
    fn visit(&mut self, leaf: &Leaf<'_>, findings: &mut Findings);
}

/// Where a walk stands: all that going on later needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// The tree over the leaves so far.
    pub(crate) tiling: Tiling,
    /// Time of the last of them, milliseconds since 1970-01-01 UTC.
    pub(crate) time_ms: u64,
}

/// A hash tile of the folder that is not the tile of its leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OtherTile {
    level: u8,
    file: String,
    // The first hash that differs, by its index in its level; of level 0, its leaf.
    index: u64,
}

/// What the walk found.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Size and root over all leaves found.
    pub(crate) head: TreeHead,
    /// Where it stood at its end.
    pub(crate) standing: Standing,
    roots: BTreeMap<u64, Digest>,
    other_tiles: Vec<OtherTile>,
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
    standing: Standing,
    // Index that the next leaf must have. Differs from the tree's size once a leaf stands in another's place, so
    // that each gap is one finding.
    next: u64,
    other_tiles: Vec<OtherTile>,
}

impl Walk {
    /// A walk from leaf 0 that keeps the roots at these sizes; the largest of them is where it ends.
    pub(crate) fn new(wanted: BTreeSet<u64>) -> Self {
        Self::from(Standing::default(), wanted)
    }

    /// A walk from where an earlier one stood.
    pub(crate) fn from(standing: Standing, wanted: BTreeSet<u64>) -> Self {
        let next = standing.tiling.size();
        Self { wanted, roots: BTreeMap::new(), standing, next, other_tiles: Vec::new() }
    }

    /// Walks along all bundles up to the largest size wanted. It ends at the first one whose entries cannot be had:
    /// what comes later depends on them.
    ///
    /// # Errors
    /// [`Fault`] when a file is there and cannot be read.
    pub(crate) fn along(
        mut self,
        folder: LogFolder<'_>,
        visitor: &mut dyn Visitor,
        findings: &mut Findings,
    ) -> Result<Walked, Fault> {
        let size = self.wanted.last().copied().unwrap_or_default();
        self.keep_root();
        while let Some(span) = Span::holding(self.standing.tiling.size(), size) {
            let entries = match folder.entries(span)? {
                Ok(entries) => entries,
                Err(problem) => {
                    findings.log(problem);
                    break;
                }
            };
            let payloads = folder.payloads(span)?.unwrap_or_else(|problem| {
                findings.log(problem);
                vec![LeafPayload::default(); entries.len()]
            });
            let known = self.check_known(span, &entries, findings);
            for (entry, payload) in entries.iter().zip(&payloads).skip(known) {
                let full = self.standing.tiling.append(leaf_hash(entry));
                for tile in full {
                    self.compare(&tile, folder, findings)?;
                }
                self.keep_root();
                self.step(entry, payload, visitor, findings);
            }
        }
        if self.standing.tiling.size() == size {
            for tile in self.standing.tiling.partial().collect::<Vec<_>>() {
                self.compare(&tile, folder, findings)?;
            }
        }
        let Self { roots, standing, other_tiles, .. } = self;
        Ok(Walked { head: standing.tiling.head(), standing, roots, other_tiles })
    }

    /// Checks that the entries before where this walk began are the ones that the earlier walk saw; gives their
    /// number.
    fn check_known(&self, span: Span, entries: &[Vec<u8>], findings: &mut Findings) -> usize {
        let known = self.standing.tiling.size().saturating_sub(span.first());
        let row = self.standing.tiling.rows().first().map_or(&[][..], Vec::as_slice);
        for ((index, entry), hash) in (span.first()..).zip(entries).zip(row) {
            if leaf_hash(entry) != *hash {
                findings.leaf(index, Problem::EntryChanged { file: span.entries_path() });
            }
        }
        usize::try_from(known).unwrap_or(usize::MAX)
    }

    /// Compares a tile with the folder's. Which of the two is wrong, the root tells in the end.
    fn compare(
        &mut self,
        tile: &HashTile,
        folder: LogFolder<'_>,
        findings: &mut Findings,
    ) -> Result<(), Fault> {
        match folder.tile(tile.level, tile.span)? {
            Err(problem) => findings.log(problem),
            Ok(found) => {
                let indices = tile.span.first()..;
                let other =
                    indices.zip(tile.hashes.iter().zip(&found)).find(|(_, (ours, found))| ours != found);
                if let Some((index, _)) = other.filter(|_| self.other_tiles.len() < FINDINGS_MAX) {
                    self.other_tiles.push(OtherTile { level: tile.level, file: tile.path(), index });
                }
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        entry: &[u8],
        beside: &LeafPayload,
        visitor: &mut dyn Visitor,
        findings: &mut Findings,
    ) {
        let expected = self.next;
        self.next = expected.saturating_add(1);
        let entry = match LeafEntry::decode(entry) {
            Ok(entry) => entry,
            Err(error) => return findings.leaf(expected, error),
        };
        if entry.index != expected {
            findings.leaf(expected, Problem::OutOfOrder { expected, found: entry.index });
            self.next = entry.index.saturating_add(1);
        }
        if entry.time_ms < self.standing.time_ms {
            findings.leaf(entry.index, Problem::TimeWentBack);
        }
        self.standing.time_ms = entry.time_ms;
        let payload = proven_payload(&entry, beside).unwrap_or_else(|problem| {
            findings.leaf(entry.index, problem);
            None
        });
        let by_quorum = matches!(entry.kind, LeafKind::ActByQuorum | LeafKind::SealedActByQuorum);
        // One that does not decode is a finding of the checks.
        let act = payload.filter(|_| by_quorum).and_then(|payload| checks::decode(payload).ok());
        visitor.visit(&Leaf { entry: &entry, payload, act: act.as_ref() }, findings);
    }

    fn keep_root(&mut self) {
        let size = self.standing.tiling.size();
        if self.wanted.contains(&size) {
            self.roots.insert(size, self.standing.tiling.root());
        }
    }
}

/// The payload where it is there and the entry's.
fn proven_payload<'a>(entry: &LeafEntry, beside: &'a LeafPayload) -> Result<Option<&'a [u8]>, Problem> {
    match (&beside.salt, &beside.payload) {
        (_, None) => Ok(None),
        (None, Some(_)) => Err(Problem::NoSalt),
        (Some(salt), Some(payload)) => {
            entry.check_payload(salt, payload.as_bytes())?;
            Ok(Some(payload.as_bytes()))
        }
    }
}
