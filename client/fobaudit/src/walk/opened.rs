//! What the trust file proves of a folder before its leaves are walked, and the judgement over its tree afterwards.
//!
//! Apart from the walk because it is the same for every use of a log: leaf 0 first, then the checkpoint's signature
//! with the key that leaf 0 names.

use super::{OtherTile, Walked};
use crate::{
    fault::Fault,
    finding::{Findings, Problem},
    founding_check::Founded,
    log_folder::LogFolder,
};
use keysvc_protocol::{
    bytes::Blob,
    checkpoint::{Origin, SignedCheckpoint},
    export::Span,
    merkle::TreeHead,
    receipt::LeafEvidence,
    trust::Trust,
};

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
        let checkpoint = match SignedCheckpoint::parse(&folder.checkpoint()?) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                findings.log(error);
                return Ok(None);
            }
        };
        let head = checkpoint.checkpoint().head;
        let leaf = match first_leaf(folder, head.size)? {
            Ok(leaf) => leaf,
            Err(problem) => {
                findings.log(problem);
                return Ok(None);
            }
        };
        let founded = match Founded::prove(trust, &leaf) {
            Ok(founded) => founded,
            Err(problem) => {
                findings.leaf(0, problem);
                return Ok(None);
            }
        };
        let origin = Origin::of(&trust.domain, FIRST_EPOCH);
        if let Err(error) = checkpoint.verify(&origin, &founded.checkpoint_key) {
            findings.log(error);
        }
        Ok(Some(Self { founded, origin, head }))
    }

    /// Compares what the walk found with the checkpoint.
    pub(crate) fn compare(&self, walked: &Walked, findings: &mut Findings) {
        let (checkpoint, found) = (self.head.size, walked.head.size);
        if found < checkpoint {
            return findings.log(Problem::CutShort { checkpoint, found });
        }
        let entries_hold = walked.root_at(checkpoint) == Some(self.head.root);
        for OtherTile { level, file, index } in &walked.other_tiles {
            match level {
                // The leaves are the signed ones, so the tile is not.
                _ if entries_hold => {
                    findings.log(Problem::OtherTile { file: file.clone(), index: *index });
                }
                0 => findings.leaf(*index, Problem::OtherEntry { tile: file.clone() }),
                // Follows from what is wrong below it.
                _ => {}
            }
        }
        if !entries_hold {
            findings.log(Problem::RootDiffers);
        }
    }
}

fn first_leaf(folder: LogFolder<'_>, size: u64) -> Result<Result<LeafEvidence, Problem>, Fault> {
    let Some(span) = Span::of(0, size) else { return Ok(Err(Problem::NoLeaves)) };
    let entries = match folder.entries(span)? {
        Ok(entries) => entries,
        Err(problem) => return Ok(Err(problem)),
    };
    let payloads = match folder.payloads(span)? {
        Ok(payloads) => payloads,
        Err(problem) => return Ok(Err(problem)),
    };
    // Of 1 to 256 leaves there is a first one, of at most 256 bytes.
    let entry = entries.into_iter().next().and_then(|entry| Blob::try_from(entry).ok());
    let leaf = payloads.into_iter().next().zip(entry).map(|(payload, entry)| payload.beside(entry));
    Ok(leaf.ok_or(Problem::NoLeaves))
}
