//! The newest nodes of the tree in memory, for proofs at the price of a lookup.
//!
//! What is not here is in the store, one row a node. The tree grows in the backend; this file sees only what is
//! durable.

use super::fault::LedgerFault;
use keysvc_protocol::{
    bytes::Digest,
    merkle::{Completed, TreeHead},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Leaves whose hashes are kept: with the nodes over them 32,768 hashes of 32 bytes, 1 MiB.
const LEAVES_KEPT: usize = 16_384;
/// Nodes kept of each level however high: 64 levels of 64 hashes of 32 bytes, 128 KiB.
const NODES_KEPT_MIN: usize = 64;
/// Older nodes remembered once they were read: 4,096 of about 64 bytes, 256 KiB.
const OLDER_KEPT: usize = 4_096;

/// The durable tree's head and newest nodes.
#[derive(Debug)]
pub(super) struct Tree {
    recent: RwLock<Recent>,
    older: RwLock<HashMap<(u8, u64), Digest>>,
    reads: AtomicU64,
}

#[derive(Debug)]
struct Recent {
    head: TreeHead,
    levels: Vec<Level>,
}

/// Neighbouring nodes of one level; `first` is the index of the first kept.
#[derive(Debug, Default)]
struct Level {
    first: u64,
    nodes: VecDeque<Digest>,
}

impl Level {
    fn push(&mut self, index: u64, node: Digest, kept: usize) {
        if self.nodes.is_empty() {
            self.first = index;
        }
        self.nodes.push_back(node);
        if self.nodes.len() > kept {
            self.nodes.pop_front();
            self.first = self.first.saturating_add(1);
        }
    }

    fn node(&self, index: u64) -> Option<Digest> {
        let position = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.nodes.get(position).copied()
    }
}

impl Tree {
    pub(super) fn new(head: TreeHead) -> Self {
        let recent = RwLock::new(Recent { head, levels: Vec::new() });
        Self { recent, older: RwLock::default(), reads: AtomicU64::new(0) }
    }

    /// How many nodes were read from the store so far: what a proof needed from there is held to the root.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Acquire)
    }

    /// Forgets what was read from the store, since it does not lead to the root; gives the fault on.
    pub(super) fn distrust(&self, fault: LedgerFault) -> LedgerFault {
        self.older.write().unwrap_or_else(PoisonError::into_inner).clear();
        fault
    }

    /// The newest durable head.
    pub(super) fn head(&self) -> TreeHead {
        self.recent.read().unwrap_or_else(PoisonError::into_inner).head
    }

    /// Takes in what is durable now: the new head and what each of its new leaves completed.
    pub(super) fn publish(&self, head: TreeHead, completed: &[Completed]) {
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        let Recent { head: old, levels } = &mut *recent;
        for (leaf, completed) in (old.size..).zip(completed) {
            for (height, node) in completed.hashes().iter().enumerate() {
                if levels.len() <= height {
                    levels.push(Level::default());
                }
                let width = u32::try_from(height).unwrap_or(u32::MAX);
                let kept = LEAVES_KEPT.unbounded_shr(width).max(NODES_KEPT_MIN);
                if let Some(level) = levels.get_mut(height) {
                    level.push(leaf.unbounded_shr(width), *node, kept);
                }
            }
        }
        *old = head;
    }

    /// The node (`level`, `index`), from memory or by `read`.
    pub(super) fn node(
        &self,
        level: u8,
        index: u64,
        read: impl FnOnce() -> Result<Digest, LedgerFault>,
    ) -> Result<Digest, LedgerFault> {
        if let Some(node) = self.recent(level, index) {
            return Ok(node);
        }
        let key = (level, index);
        if let Some(node) = self.older.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(*node);
        }
        let node = read()?;
        self.reads.fetch_add(1, Ordering::AcqRel);
        let mut older = self.older.write().unwrap_or_else(PoisonError::into_inner);
        if older.len() >= OLDER_KEPT {
            older.clear();
        }
        older.insert(key, node);
        Ok(node)
    }

    fn recent(&self, level: u8, index: u64) -> Option<Digest> {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        recent.levels.get(usize::from(level)).and_then(|level| level.node(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::merkle::{Frontier, leaf_hash};
    use std::cell::Cell;

    fn grown(leaves: u64) -> (Tree, Frontier) {
        let mut frontier = Frontier::new();
        let tree = Tree::new(frontier.head());
        for index in 0..leaves {
            let completed = frontier.append(leaf_hash(&index.to_be_bytes()));
            tree.publish(frontier.head(), &[completed]);
        }
        (tree, frontier)
    }

    fn memory(tree: &Tree, level: u8, index: u64) -> Option<Digest> {
        tree.node(level, index, || Err(LedgerFault::Broken { leaf: index })).ok()
    }

    #[test]
    fn the_newest_leaves_and_the_nodes_over_them_are_in_memory() {
        let leaves = 40_000;
        let (tree, frontier) = grown(leaves);
        assert_eq!(tree.head(), frontier.head());
        let newest = leaf_hash(&(leaves - 1).to_be_bytes());
        assert_eq!(memory(&tree, 0, leaves - 1), Some(newest));
        assert!(memory(&tree, 0, leaves - LEAVES_KEPT as u64).is_some());
        assert_eq!(memory(&tree, 0, leaves - LEAVES_KEPT as u64 - 1), None);
        // The left edge's large subtrees are never dropped at this size.
        assert!(memory(&tree, 15, 0).is_some());
        let kept: usize = tree.recent.read().unwrap().levels.iter().map(|level| level.nodes.len()).sum();
        assert!(kept < 2 * LEAVES_KEPT + 64 * NODES_KEPT_MIN, "{kept}");
    }

    #[test]
    fn an_older_node_is_read_once() {
        let (tree, _) = grown(3);
        let reads = Cell::new(0);
        let read = || {
            reads.set(reads.get() + 1);
            Ok(leaf_hash(b"old"))
        };
        for _ in 0..3 {
            assert_eq!(tree.node(9, 9, read).unwrap(), leaf_hash(b"old"));
        }
        assert_eq!(reads.get(), 1);
    }

    #[test]
    fn older_nodes_do_not_fill_the_memory() {
        let (tree, _) = grown(1);
        for index in 0..10_000 {
            tree.node(1, index, || Ok(leaf_hash(b"old"))).unwrap();
        }
        assert!(tree.older.read().unwrap().len() <= OLDER_KEPT);
    }
}
