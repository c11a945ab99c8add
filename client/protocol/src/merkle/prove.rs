//! Proofs and roots made from the stored nodes of a tree (RFC 6962 sections 2.1.1 and 2.1.2).
//!
//! Only perfect subtrees are stored; those cut off by the right edge are joined from them here. Each node is asked
//! for at most once, and nothing is read but what the proof needs.

use super::{Proof, ProofError, frontier::join};
use crate::bytes::Digest;
use alloc::vec::Vec;

/// Where the perfect subtrees of a tree are stored.
pub trait Nodes {
    /// Why a node cannot be given; also carries the answer to a question outside the tree.
    type Error: From<ProofError>;

    /// The root of the perfect subtree over the leaves `index << level` to `((index + 1) << level) - 1`; at level 0
    /// the leaf's hash.
    ///
    /// # Errors
    /// Whatever keeps the store from giving it.
    fn node(&self, level: u8, index: u64) -> Result<Digest, Self::Error>;
}

/// The row and position at which a store finds a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Index of the leaf that completed the subtree, and in whose row its hash lies.
    pub leaf: u64,
    /// Position among that row's hashes, counted in hashes of 32 bytes from 0.
    pub position: usize,
}

impl Place {
    /// The hash at this place in a row as [`Completed::to_bytes`](super::Completed::to_bytes) wrote it; nothing
    /// when the row is too short.
    #[must_use]
    pub fn in_row(self, row: &[u8]) -> Option<Digest> {
        row.chunks_exact(Digest::LEN).nth(self.position).and_then(|hash| Digest::try_from(hash).ok())
    }
}

/// Says where node (`level`, `index`) lies: in the row of the last leaf under it, leaf `((index + 1) << level) - 1`,
/// at position `level`.
///
/// A node that would end beyond leaf 2^64 - 1 is placed at that leaf, which no store has.
#[must_use]
pub fn place_of(level: u8, index: u64) -> Place {
    let width = u32::from(level);
    let below = !u64::MAX.unbounded_shl(width);
    let leaf = if index.leading_zeros() < width { u64::MAX } else { index.unbounded_shl(width) | below };
    Place { leaf, position: usize::from(level) }
}

/// Proves that leaf `index` lies in the tree of the first `size` leaves (RFC 6962 section 2.1.1).
///
/// # Errors
/// [`ProofError::OutOfTree`] when it does not, else what `nodes` answers.
pub fn inclusion_proof<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Proof, N::Error> {
    if index >= size {
        return Err(ProofError::OutOfTree.into());
    }
    let mut range = Range { start: 0, end: size };
    let mut hashes = Vec::new();
    while let Some((left, right)) = range.halves() {
        let (into, beside) = if index < right.start { (left, right) } else { (right, left) };
        hashes.push(beside.root(nodes)?);
        range = into;
    }
    deepest_first(hashes)
}

/// Proves that the tree of the first `new_size` leaves begins with that of the first `old_size` (RFC 6962 section
/// 2.1.2). Empty when both are the same or the older has no leaves.
///
/// # Errors
/// [`ProofError::Shrunk`] when the newer is smaller, else what `nodes` answers.
pub fn consistency_proof<N: Nodes>(nodes: &N, old_size: u64, new_size: u64) -> Result<Proof, N::Error> {
    if new_size < old_size {
        return Err(ProofError::Shrunk.into());
    }
    if old_size == 0 {
        return Ok(Proof::default());
    }
    let mut range = Range { start: 0, end: new_size };
    let mut hashes = Vec::new();
    while range.end != old_size {
        let Some((left, right)) = range.halves() else { break };
        let (into, beside) = if old_size <= right.start { (left, right) } else { (right, left) };
        hashes.push(beside.root(nodes)?);
        range = into;
    }
    // A range from leaf 0 is the whole old tree: the verifier has its root.
    if range.start != 0 {
        hashes.push(range.root(nodes)?);
    }
    deepest_first(hashes)
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// What `nodes` answers.
pub fn root_at<N: Nodes>(nodes: &N, size: u64) -> Result<Digest, N::Error> {
    Range { start: 0, end: size }.root(nodes)
}

/// The roots of the perfect subtrees that make up the leaves from `start` to before `end`, largest first. `start`
/// is a multiple of the largest one's width, as it is for every subtree of RFC 6962.
pub(super) fn perfect_roots<N: Nodes>(nodes: &N, start: u64, end: u64) -> Result<Vec<Digest>, N::Error> {
    let len = end.saturating_sub(start);
    let widths = (0..64_u8).rev().filter(|level| len.unbounded_shr(u32::from(*level)) & 1 == 1);
    // With the smaller subtrees cut off its end, the range ends with the one of this level.
    widths.map(|level| nodes.node(level, end.unbounded_shr(u32::from(level)).saturating_sub(1))).collect()
}

fn deepest_first<E: From<ProofError>>(mut hashes: Vec<Digest>) -> Result<Proof, E> {
    hashes.reverse();
    Proof::try_from(hashes).map_err(|_| ProofError::OutOfTree.into())
}

/// The leaves under a node of RFC 6962's tree: from `start` to before `end`.
#[derive(Clone, Copy)]
struct Range {
    start: u64,
    end: u64,
}

impl Range {
    /// Splits at the largest power of two below the number of leaves; nothing when there is but one leaf. At most
    /// 64 halvings lead to one.
    fn halves(self) -> Option<(Self, Self)> {
        let last = self.end.checked_sub(self.start)?.checked_sub(1)?;
        let middle = self.start.checked_add(1_u64.checked_shl(last.checked_ilog2()?)?)?;
        Some((Self { end: middle, ..self }, Self { start: middle, ..self }))
    }

    fn root<N: Nodes>(self, nodes: &N) -> Result<Digest, N::Error> {
        perfect_roots(nodes, self.start, self.end).map(|roots| join(&roots))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{
        Frontier, Inclusion, TreeHead, empty_root, leaf_hash, verify_consistency, verify_inclusion,
    };
    use core::cell::RefCell;

    /// Rows as a store keeps them, and the nodes that were asked for.
    #[derive(Default)]
    struct Rows {
        leaves: Vec<Vec<u8>>,
        heads: Vec<TreeHead>,
        asked: RefCell<Vec<(u8, u64)>>,
    }

    impl Rows {
        fn grown_to(size: u64) -> Self {
            let (mut store, mut frontier) = (Self::default(), Frontier::new());
            store.heads.push(frontier.head());
            for index in 0..size {
                store.leaves.push(frontier.append(leaf(index)).to_bytes());
                store.heads.push(frontier.head());
            }
            store
        }

        fn asked_each_once(&self) -> bool {
            let mut asked = self.asked.take();
            let all = asked.len();
            asked.sort_unstable();
            asked.dedup();
            asked.len() == all
        }
    }

    impl Nodes for Rows {
        type Error = ProofError;
        fn node(&self, level: u8, index: u64) -> Result<Digest, ProofError> {
            self.asked.borrow_mut().push((level, index));
            let place = place_of(level, index);
            let row = usize::try_from(place.leaf).ok().and_then(|leaf| self.leaves.get(leaf));
            row.and_then(|row| place.in_row(row)).ok_or(ProofError::OutOfTree)
        }
    }

    fn leaf(index: u64) -> Digest {
        leaf_hash(&index.to_be_bytes())
    }

    #[test]
    fn every_node_is_found_where_its_last_leaf_completed_it() {
        assert_eq!(place_of(0, 5), Place { leaf: 5, position: 0 });
        assert_eq!(place_of(1, 0), Place { leaf: 1, position: 1 });
        assert_eq!(place_of(3, 2), Place { leaf: 23, position: 3 });
        assert_eq!(place_of(63, 1), Place { leaf: u64::MAX, position: 63 });
        assert_eq!(place_of(200, 7), Place { leaf: u64::MAX, position: 200 });
        assert_eq!(place_of(2, u64::MAX), Place { leaf: u64::MAX, position: 2 });
    }

    #[test]
    fn a_row_too_short_holds_no_such_node() {
        assert_eq!(Place { leaf: 0, position: 1 }.in_row(leaf(0).as_bytes()), None);
        assert_eq!(Place { leaf: 0, position: 0 }.in_row(&leaf(0).as_bytes()[..31]), None);
    }

    #[test]
    fn the_edge_read_back_from_the_store_is_the_edge_that_grew() {
        let store = Rows::grown_to(130);
        for head in &store.heads {
            let mut frontier = Frontier::from_nodes(head.size, &store).unwrap();
            assert_eq!(frontier.head(), *head);
            assert_eq!(root_at(&store, head.size), Ok(head.root));
            if let Some(next) = store.leaves.get(usize::try_from(head.size).unwrap()) {
                assert_eq!(&frontier.append(leaf(head.size)).to_bytes(), next);
            }
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved_asking_each_node_once() {
        let store = Rows::grown_to(66);
        for head in &store.heads {
            for index in 0..head.size {
                store.asked.take();
                let proof = inclusion_proof(&store, index, head.size).unwrap();
                assert!(store.asked_each_once());
                let leaf = Inclusion { index, size: head.size, leaf_hash: leaf(index) };
                assert_eq!(verify_inclusion(&leaf, &proof, &head.root), Ok(()), "{leaf:?}");
            }
        }
    }

    #[test]
    fn every_pair_of_small_trees_is_proved_asking_each_node_once() {
        let store = Rows::grown_to(66);
        for (count, new) in store.heads.iter().enumerate() {
            for old in &store.heads[..=count] {
                store.asked.take();
                let proof = consistency_proof(&store, old.size, new.size).unwrap();
                assert!(store.asked_each_once());
                assert_eq!(verify_consistency(*old, *new, &proof), Ok(()), "{} {}", old.size, new.size);
            }
        }
    }

    #[test]
    fn what_lies_outside_the_tree_is_not_proved() {
        let store = Rows::grown_to(4);
        assert_eq!(inclusion_proof(&store, 4, 4), Err(ProofError::OutOfTree));
        assert_eq!(inclusion_proof(&store, 0, 0), Err(ProofError::OutOfTree));
        assert_eq!(inclusion_proof(&store, 1, 5), Err(ProofError::OutOfTree));
        assert_eq!(consistency_proof(&store, 3, 2), Err(ProofError::Shrunk));
        assert_eq!(consistency_proof(&store, 3, 5), Err(ProofError::OutOfTree));
    }

    /// A tree too large to exist: every node is there, with a made-up hash.
    struct Endless;

    impl Nodes for Endless {
        type Error = ProofError;
        fn node(&self, level: u8, index: u64) -> Result<Digest, ProofError> {
            Ok(leaf_hash(&[&[level], index.to_be_bytes().as_slice()].concat()))
        }
    }

    #[test]
    fn proofs_over_the_largest_sizes_end_and_fit_or_are_refused() {
        let largest = u64::MAX;
        assert_eq!(inclusion_proof(&Endless, 0, largest).map(|proof| proof.hashes().len()), Ok(64));
        assert_eq!(consistency_proof(&Endless, (1 << 62) + 1, 1 << 63).map(|p| p.hashes().len()), Ok(64));
        assert_eq!(consistency_proof(&Endless, 3, largest), Err(ProofError::OutOfTree), "65 hashes");
        assert_eq!(root_at(&Endless, 0), Ok(empty_root()));
        assert!(Frontier::from_nodes(largest, &Endless).is_ok());
    }
}
