//! The log's tree: RFC 6962 section 2 (RFC 9162 section 2) over SHA-256, and the verification of its proofs.
//!
//! Pure: verifiers need this file alone. Building the tree leaf by leaf is [`Frontier`]'s, making proofs from stored
//! nodes is [`inclusion_proof`]'s and [`consistency_proof`]'s. What a leaf says is not known here.

mod frontier;
mod prove;

pub use frontier::{Completed, Frontier};
pub use prove::{Nodes, Place, consistency_proof, inclusion_proof, place_of, root_at};

use crate::{
    bytes::Digest,
    hash::sha256,
    list::{List, WrongCount},
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Hashes a leaf's bytes: SHA-256 over 0x00 and the entry (RFC 6962 section 2.1).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Digest {
    sha256(&[&[0], entry])
}

/// Hashes two neighbouring subtrees into their parent: SHA-256 over 0x01, left and right (RFC 6962 section 2.1).
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The root of the tree without leaves: SHA-256 of nothing (RFC 6962 section 2.1).
#[must_use]
pub fn empty_root() -> Digest {
    sha256(&[])
}

/// A tree's size and root: what a checkpoint commits to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TreeHead {
    /// Number of leaves.
    pub size: u64,
    /// Root over all of them, 32 bytes.
    pub root: Digest,
}

/// The claim that a leaf lies in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inclusion {
    /// Leaf index, from 0.
    pub index: u64,
    /// Tree size, in leaves.
    pub size: u64,
    /// The leaf's hash as [`leaf_hash`] makes it, 32 bytes.
    pub leaf_hash: Digest,
}

/// The hashes of an inclusion or consistency proof, deepest first: at most 64 of 32 bytes.
///
/// 64 are enough for every tree of at most 2^63 leaves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proof(List<Digest, 64>);

impl Proof {
    /// The hashes, deepest first.
    #[must_use]
    pub fn hashes(&self) -> &[Digest] {
        &self.0
    }
}

impl TryFrom<Vec<Digest>> for Proof {
    type Error = WrongCount;
    fn try_from(hashes: Vec<Digest>) -> Result<Self, WrongCount> {
        List::try_from(hashes).map(Self)
    }
}

/// Why a proof proves nothing, or why there can be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf index is not below the tree size, or the tree is larger than proofs reach.
    #[error("the leaf is not in a tree of that size")]
    OutOfTree,
    /// The newer tree has fewer leaves than the older.
    #[error("the newer tree is smaller than the older")]
    Shrunk,
    /// Two trees of one size have different roots.
    #[error("two trees of the same size have different roots")]
    Forked,
    /// The proof has more or fewer hashes than these sizes need.
    #[error("the proof has a wrong number of hashes")]
    WrongLength,
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the root")]
    WrongRoot,
}

/// Verifies that a leaf lies in the tree with this root (RFC 9162 section 2.1.3.2).
///
/// # Errors
/// [`ProofError`] when the index is outside the tree, a hash is missing or too many, or the root is another.
pub fn verify_inclusion(leaf: &Inclusion, proof: &Proof, root: &Digest) -> Result<(), ProofError> {
    let last = leaf.size.checked_sub(1).filter(|last| leaf.index <= *last).ok_or(ProofError::OutOfTree)?;
    let path = Path::between(leaf.index, last);
    let (inside, border) = path.split(proof.hashes())?;
    let subtree = path.climb(leaf.leaf_hash, inside);
    if climb_border(subtree, border) == *root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// Verifies that the tree `new` begins with all leaves of the tree `old` (RFC 9162 section 2.1.4.2).
///
/// Trees of one size are consistent when their roots are equal and the proof is empty. Every tree begins with the
/// tree without leaves, so from size 0 the proof is empty too.
///
/// # Errors
/// [`ProofError`] when the newer tree is smaller or forked, a hash is missing or too many, or a root is another.
pub fn verify_consistency(old: TreeHead, new: TreeHead, proof: &Proof) -> Result<(), ProofError> {
    if new.size < old.size {
        return Err(ProofError::Shrunk);
    }
    if [old, new].iter().any(|head| head.size == 0 && head.root != empty_root()) {
        return Err(ProofError::WrongRoot);
    }
    if old.size == new.size && old.root != new.root {
        return Err(ProofError::Forked);
    }
    let (Some(old_last), Some(new_last)) = (old.size.checked_sub(1), new.size.checked_sub(1)) else {
        return no_hashes(proof);
    };
    if old.size == new.size {
        return no_hashes(proof);
    }
    // The perfect subtree that ends the old tree is the deepest node both trees share. When it is the whole old
    // tree its hash is the old root, and the proof does not repeat it.
    let path = Path::between(old_last, new_last).above(old.size.trailing_zeros());
    let (seed, hashes) = if old.size.is_power_of_two() {
        (old.root, proof.hashes())
    } else {
        let (seed, hashes) = proof.hashes().split_first().ok_or(ProofError::WrongLength)?;
        (*seed, hashes)
    };
    let (inside, border) = path.split(hashes)?;
    let old_root = climb_border(path.climb_left_only(seed, inside), border);
    let new_root = climb_border(path.climb(seed, inside), border);
    if old_root == old.root && new_root == new.root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

fn no_hashes(proof: &Proof) -> Result<(), ProofError> {
    if proof.hashes().is_empty() { Ok(()) } else { Err(ProofError::WrongLength) }
}

/// The way from a node up to the root: `inside` levels where the node's subtree and the right edge are still apart
/// (the sibling stands left or right, as the bits of `turns` say), then `border` levels up the right edge, where
/// only left siblings exist.
#[derive(Clone, Copy)]
struct Path {
    turns: u64,
    inside: u32,
    border: u32,
}

impl Path {
    /// From leaf `index` in the tree whose last leaf is `last`; `index <= last`.
    fn between(index: u64, last: u64) -> Self {
        let inside = u64::BITS.saturating_sub((index ^ last).leading_zeros());
        Self { turns: index, inside, border: index.unbounded_shr(inside).count_ones() }
    }

    /// The same way, begun `levels` higher.
    fn above(self, levels: u32) -> Self {
        Self { turns: self.turns.unbounded_shr(levels), inside: self.inside.saturating_sub(levels), ..self }
    }

    /// Splits the hashes of a proof at the border; exactly as many as the way has levels.
    fn split(self, hashes: &[Digest]) -> Result<(&[Digest], &[Digest]), ProofError> {
        let count = |levels: u32| usize::try_from(levels).map_err(|_| ProofError::WrongLength);
        let (inside, border) = hashes.split_at_checked(count(self.inside)?).ok_or(ProofError::WrongLength)?;
        if border.len() == count(self.border)? { Ok((inside, border)) } else { Err(ProofError::WrongLength) }
    }

    fn climb(self, seed: Digest, inside: &[Digest]) -> Digest {
        self.levels(inside).fold(seed, |node, (is_right, sibling)| {
            if is_right { node_hash(sibling, &node) } else { node_hash(&node, sibling) }
        })
    }

    /// As [`Path::climb`], in the older tree, where right siblings do not exist yet.
    fn climb_left_only(self, seed: Digest, inside: &[Digest]) -> Digest {
        self.levels(inside)
            .filter(|(is_right, _)| *is_right)
            .fold(seed, |node, (_, left)| node_hash(left, &node))
    }

    /// Each level's sibling, and whether our own node is the right one of the two.
    fn levels(self, inside: &[Digest]) -> impl Iterator<Item = (bool, &Digest)> {
        (0..self.inside).map(move |level| self.turns.unbounded_shr(level) & 1 == 1).zip(inside)
    }
}

fn climb_border(seed: Digest, border: &[Digest]) -> Digest {
    border.iter().fold(seed, |node, left| node_hash(left, &node))
}
