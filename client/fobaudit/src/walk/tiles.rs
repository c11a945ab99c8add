//! The folder's hash tiles as the nodes of a tree: for proofs over leaves that are not walked.
//!
//! What is proved with them needs no trust in them: a proof that verifies against two heads proves, whoever made it.

use crate::{fault::Fault, finding::Problem, log_folder::LogFolder};
use keysvc_protocol::{
    bytes::Digest,
    export::{HashTile, Span, TILE_HEIGHT, subtree},
    merkle::{Nodes, ProofError, TreeHead, consistency_proof, root_at, verify_consistency},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, btree_map::Entry},
};

/// Why a node or proof cannot be had.
#[derive(Debug)]
pub(crate) enum TilesError {
    /// A file cannot be read.
    Fault(Fault),
    /// A tile is missing or not one.
    Problem(Problem),
    /// The proof proves nothing.
    NotProved,
}

impl From<ProofError> for TilesError {
    fn from(_: ProofError) -> Self {
        Self::NotProved
    }
}

/// The hash tiles of a folder under a checkpoint.
#[derive(Debug)]
pub(crate) struct Tiles<'a> {
    folder: LogFolder<'a>,
    head: TreeHead,
    // A proof asks for two tiles of each of eight levels or so, some of them for several nodes: 16 of 8 KiB.
    read: RefCell<BTreeMap<(u8, Span), Vec<Digest>>>,
}

impl<'a> Tiles<'a> {
    /// The tiles under this head.
    pub(crate) const fn new(folder: LogFolder<'a>, head: TreeHead) -> Self {
        Self { folder, head, read: RefCell::new(BTreeMap::new()) }
    }

    /// Proves that the tree under the head begins with all leaves of an older one.
    ///
    /// # Errors
    /// [`TilesError`] when it does not, or the tiles cannot prove it.
    pub(crate) fn prove(&self, older: TreeHead) -> Result<(), TilesError> {
        if older.size > self.head.size {
            return Err(TilesError::NotProved);
        }
        let proof = consistency_proof(self, older.size, self.head.size)?;
        Ok(verify_consistency(older, self.head, &proof)?)
    }

    /// Whether the tiles are those of the head: then a proof that fails is the older head's fault.
    pub(crate) fn hold(&self) -> bool {
        root_at(self, self.head.size).is_ok_and(|root| root == self.head.root)
    }
}

impl Nodes for Tiles<'_> {
    type Error = TilesError;
    fn node(&self, level: u8, index: u64) -> Result<Digest, TilesError> {
        let (tile_level, inside) = (level / TILE_HEIGHT, u32::from(level % TILE_HEIGHT));
        let first = index.checked_shl(inside).ok_or(TilesError::NotProved)?;
        let span = Span::holding(first, HashTile::hashes_in(self.head.size, tile_level));
        let span = span.ok_or(TilesError::NotProved)?;
        let mut read = self.read.borrow_mut();
        let hashes = match read.entry((tile_level, span)) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => {
                let tile = self.folder.tile(tile_level, span).map_err(TilesError::Fault)?;
                place.insert(tile.map_err(TilesError::Problem)?)
            }
        };
        let begin = usize::try_from(first.saturating_sub(span.first())).map_err(|_| TilesError::NotProved)?;
        let end = begin.saturating_add(1_usize.unbounded_shl(inside));
        let node = hashes.get(begin..end).and_then(subtree);
        node.ok_or(TilesError::NotProved)
    }
}
