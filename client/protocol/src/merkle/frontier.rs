//! The right edge of a growing tree: all that appending a leaf needs.

use super::{Nodes, TreeHead, empty_root, node_hash};
use crate::bytes::Digest;
use alloc::vec::Vec;

/// The roots of the perfect subtrees a tree consists of, largest and leftmost first: at most 64 of 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    // INVARIANT: one root for each bit set in size.
    roots: Vec<Digest>,
}

impl Frontier {
    /// The edge of the tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a stored tree of `size` leaves; asks for one node for each bit set in `size`.
    ///
    /// # Errors
    /// What `nodes` answers for a node that it cannot give.
    pub fn from_nodes<N: Nodes>(size: u64, nodes: &N) -> Result<Self, N::Error> {
        let roots = super::prove::perfect_roots(nodes, 0, size)?;
        Ok(Self { size, roots })
    }

    /// The edge whose subtrees' roots were kept; nothing when they are not as many as the size has bits set.
    #[must_use]
    pub fn from_roots(size: u64, roots: Vec<Digest>) -> Option<Self> {
        let expected = usize::try_from(size.count_ones()).ok()?;
        (roots.len() == expected).then_some(Self { size, roots })
    }

    /// The roots of the perfect subtrees, largest first: one for each bit set in the size.
    #[must_use]
    pub fn roots(&self) -> &[Digest] {
        &self.roots
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash; gives the hashes to store with it.
    pub fn append(&mut self, leaf: Digest) -> Completed {
        let mut completed = Vec::with_capacity(2);
        let mut node = leaf;
        completed.push(node);
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.roots.pop() else { break };
            node = node_hash(&left, &node);
            completed.push(node);
        }
        self.roots.push(node);
        // Never saturates: at a million leaves a second 2^64 of them take 580,000 years.
        self.size = self.size.saturating_add(1);
        Completed(completed)
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        join(&self.roots)
    }

    /// Size and root.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }
}

/// Joins neighbouring subtrees, each larger than the next, from the right.
pub(super) fn join(roots: &[Digest]) -> Digest {
    let joined = roots.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
    joined.unwrap_or_else(empty_root)
}

/// The hashes of the perfect subtrees that a leaf completes, from level 0 (the leaf's own hash) upward.
///
/// For leaf `i` they are as many as `i` has trailing one bits, and one more. A store keeps them in the leaf's row;
/// [`place_of`](super::place_of) says where a node is found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed(Vec<Digest>);

impl Completed {
    /// The hashes, level 0 first.
    #[must_use]
    pub fn hashes(&self) -> &[Digest] {
        &self.0
    }

    /// The hashes one after another, 32 bytes each, as [`Place::in_row`](super::Place::in_row) reads them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|hash| *hash.as_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;

    fn leaf(index: u64) -> Digest {
        leaf_hash(&index.to_be_bytes())
    }

    #[test]
    fn a_leaf_completes_one_subtree_for_each_trailing_one_bit_and_itself() {
        let mut frontier = Frontier::new();
        for index in 0..200 {
            let completed = frontier.append(leaf(index));
            let count = usize::try_from(index.trailing_ones() + 1);
            assert_eq!(Ok(completed.hashes().len()), count, "{index}");
            assert_eq!(completed.hashes()[0], leaf(index));
            assert_eq!(completed.to_bytes().len(), completed.hashes().len() * 32);
            assert_eq!(frontier.size(), index + 1);
        }
    }

    #[test]
    fn the_last_hash_completed_is_the_root_of_a_perfect_tree() {
        let mut frontier = Frontier::new();
        for index in 0_u64..64 {
            let completed = frontier.append(leaf(index));
            let perfect = (index + 1).is_power_of_two();
            assert_eq!(completed.hashes().last() == Some(&frontier.root()), perfect, "{index}");
        }
    }
}
