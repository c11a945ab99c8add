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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;
    use alloc::{vec, vec::Vec};

    /// The leaves, roots and proofs that the reference implementations of RFC 6962 publish.
    const LEAVES: [&[u8]; 8] = [
        b"",
        &[0],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        b"`abcdefghijklmno",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn digest(hex: &str) -> Digest {
        hex.parse().unwrap()
    }

    fn head(size: usize) -> TreeHead {
        TreeHead { size: size as u64, root: digest(ROOTS[size]) }
    }

    fn proof(hashes: &[&str]) -> Proof {
        Proof::try_from(hashes.iter().map(|hex| digest(hex)).collect::<Vec<_>>()).unwrap()
    }

    fn first_of_eight() -> (Inclusion, Proof) {
        let leaf = Inclusion { index: 0, size: 8, leaf_hash: leaf_hash(b"") };
        let path = proof(&[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]);
        (leaf, path)
    }

    fn six_to_eight() -> Proof {
        proof(&[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ])
    }

    #[test]
    fn the_published_roots_come_out() {
        let mut frontier = Frontier::new();
        assert_eq!(frontier.head(), head(0));
        for (index, leaf) in LEAVES.iter().enumerate() {
            frontier.append(leaf_hash(leaf));
            assert_eq!(frontier.head(), head(index + 1));
        }
    }

    #[test]
    fn the_published_inclusion_proof_verifies() {
        let (leaf, path) = first_of_eight();
        assert_eq!(verify_inclusion(&leaf, &path, &head(8).root), Ok(()));
    }

    #[test]
    fn the_published_consistency_proof_verifies() {
        assert_eq!(verify_consistency(head(6), head(8), &six_to_eight()), Ok(()));
    }

    #[test]
    fn a_leaf_outside_the_tree_is_refused() {
        let (leaf, path) = first_of_eight();
        for (index, size) in [(8, 8), (0, 0), (u64::MAX, u64::MAX)] {
            let outside = Inclusion { index, size, ..leaf };
            assert_eq!(verify_inclusion(&outside, &path, &head(8).root), Err(ProofError::OutOfTree));
        }
    }

    #[test]
    fn a_proof_with_a_missing_or_added_hash_is_refused() {
        let (leaf, path) = first_of_eight();
        let root = head(8).root;
        let short = Proof::try_from(path.hashes()[..2].to_vec()).unwrap();
        let long = Proof::try_from([path.hashes(), &[root]].concat()).unwrap();
        for wrong in [Proof::default(), short, long] {
            assert_eq!(verify_inclusion(&leaf, &wrong, &root), Err(ProofError::WrongLength));
        }
        let path = six_to_eight();
        let short = Proof::try_from(path.hashes()[..2].to_vec()).unwrap();
        let long = Proof::try_from([path.hashes(), &[root]].concat()).unwrap();
        for wrong in [Proof::default(), short, long] {
            assert_eq!(verify_consistency(head(6), head(8), &wrong), Err(ProofError::WrongLength));
        }
    }

    #[test]
    fn another_leaf_or_another_old_root_is_refused() {
        let (leaf, path) = first_of_eight();
        let other = Inclusion { leaf_hash: leaf_hash(b"other"), ..leaf };
        assert_eq!(verify_inclusion(&other, &path, &head(8).root), Err(ProofError::WrongRoot));
        let old = TreeHead { root: head(5).root, ..head(6) };
        assert_eq!(verify_consistency(old, head(8), &six_to_eight()), Err(ProofError::WrongRoot));
        let new = TreeHead { root: head(7).root, ..head(8) };
        assert_eq!(verify_consistency(head(6), new, &six_to_eight()), Err(ProofError::WrongRoot));
    }

    #[test]
    fn a_tree_is_consistent_with_itself_by_an_empty_proof_only() {
        for size in 0..=8 {
            assert_eq!(verify_consistency(head(size), head(size), &Proof::default()), Ok(()));
            let padded = proof(&ROOTS[..1]);
            assert_eq!(verify_consistency(head(size), head(size), &padded), Err(ProofError::WrongLength));
        }
    }

    #[test]
    fn two_roots_for_one_size_are_a_fork() {
        let other = TreeHead { root: head(7).root, ..head(8) };
        assert_eq!(verify_consistency(head(8), other, &Proof::default()), Err(ProofError::Forked));
    }

    #[test]
    fn a_smaller_newer_tree_is_refused() {
        assert_eq!(verify_consistency(head(8), head(6), &six_to_eight()), Err(ProofError::Shrunk));
    }

    #[test]
    fn every_tree_follows_from_the_empty_one_if_that_has_the_empty_root() {
        assert_eq!(verify_consistency(head(0), head(8), &Proof::default()), Ok(()));
        assert_eq!(verify_consistency(head(0), head(8), &six_to_eight()), Err(ProofError::WrongLength));
        let invented = TreeHead { size: 0, root: head(8).root };
        assert_eq!(verify_consistency(invented, head(8), &Proof::default()), Err(ProofError::WrongRoot));
        assert_eq!(verify_consistency(invented, invented, &Proof::default()), Err(ProofError::WrongRoot));
    }

    #[test]
    fn trees_of_the_largest_sizes_are_judged_without_overflow() {
        let leaf = Inclusion { index: 0, size: u64::MAX, leaf_hash: head(1).root };
        let long = Proof::try_from(vec![head(1).root; 64]).unwrap();
        assert_eq!(verify_inclusion(&leaf, &long, &head(8).root), Err(ProofError::WrongRoot));
        let last = Inclusion { index: u64::MAX - 1, ..leaf };
        assert_eq!(verify_inclusion(&last, &long, &head(8).root), Err(ProofError::WrongLength));
        let largest = TreeHead { size: u64::MAX, root: head(8).root };
        for size in [1, 2, 3, u64::from(u32::MAX), 1 << 63, u64::MAX - 1] {
            let old = TreeHead { size, root: head(7).root };
            assert!(verify_consistency(old, largest, &long).is_err());
        }
    }

    #[test]
    fn heads_and_proofs_travel_in_their_golden_form() {
        let mut golden = vec![0xa2, 0x00, 0x08, 0x01, 0x58, 0x20];
        golden.extend_from_slice(head(8).root.as_bytes());
        assert_eq!(cbor::encode(&head(8)), golden);
        assert_eq!(cbor::decode(&golden, 100), Ok(head(8)));
        let mut golden = vec![0x81, 0x58, 0x20];
        golden.extend_from_slice(head(0).root.as_bytes());
        assert_eq!(cbor::encode(&proof(&ROOTS[..1])), golden);
        assert_eq!(cbor::decode(&golden, 100), Ok(proof(&ROOTS[..1])));
        let long = cbor::encode(&vec![head(1).root; 65]);
        assert!(cbor::decode::<Proof>(&long, 10_000).is_err());
    }
}
