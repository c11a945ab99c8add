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
    sync::{PoisonError, RwLock},
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
        Self { recent: RwLock::new(Recent { head, levels: Vec::new() }), older: RwLock::default() }
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
