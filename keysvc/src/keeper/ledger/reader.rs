//! What the log says: proofs, leaves and projections, for any thread.
//!
//! Sees only what is durable. Proofs of recent sizes come from memory; the rest is read over connections of its own
//! that cannot write. Who may read what is the gate's affair.

use super::{
    backend::Applied,
    change::Recording,
    fault::LedgerFault,
    purse::Purse,
    seal::{Seals, SharedTags, Tags},
    sqlite::{Opened, Rows, open_reader, open_to_read},
    tree::Tree,
};
use keysvc_protocol::{
    bytes::Digest,
    card::CardUid,
    cbor,
    key::KeyRecord,
    leaf::{FoundingLeaf, KeyIntentLeaf},
    merkle::{self, Nodes, Proof, ProofError, TreeHead},
    name::Name,
    receipt::{LEAF_PAYLOAD_LEN_MAX, LeafEvidence},
};
use rusqlite::Connection;
use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Connections kept open for reading; more are made when needed and closed again.
const CONNECTIONS_KEPT: usize = 4;
/// What a leaf takes in a reply beside entry, salt and payload, in bytes.
const LEAF_FRAME_LEN: usize = 32;
/// No leaf has this index.
const NOT_HALTED: u64 = u64::MAX;

/// Reads the log; clones share memory and connections.
#[derive(Debug, Clone)]
pub struct Reader(Arc<Shared>);

/// What readers share with the sequencer.
pub(super) struct Shared {
    tree: Tree,
    halted: AtomicU64,
    database: PathBuf,
    idle: Mutex<Vec<Connection>>,
    seals: Seals,
    tags: SharedTags,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("head", &self.tree.head()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(opened: Opened, seals: Seals) -> Self {
        Self {
            tree: Tree::new(opened.head),
            halted: AtomicU64::new(opened.halted.unwrap_or(NOT_HALTED)),
            database: opened.database,
            idle: Mutex::default(),
            seals,
            tags: opened.tags,
        }
    }

    /// Takes in a durable batch.
    pub(super) fn publish(&self, applied: &Applied) {
        self.halted.store(applied.halted.unwrap_or(NOT_HALTED), Ordering::Release);
        self.tree.publish(applied.head, &applied.completed);
    }

    fn tags(&self, rows: Rows<'_>) -> Result<Option<Arc<Tags>>, LedgerFault> {
        if let Some(tags) = self.tags.known() {
            return Ok(Some(tags));
        }
        let Some((id, sealed)) = rows.tags_key()? else { return Ok(None) };
        Ok(Some(self.tags.keep(Tags::unsealed(&self.seals, id, &sealed)?)))
    }

    fn read<T>(&self, read: impl FnOnce(Rows<'_>) -> Result<T, LedgerFault>) -> Result<T, LedgerFault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reader(&self.database)?,
        };
        let answer = read(Rows(&connection))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < CONNECTIONS_KEPT {
            idle.push(connection);
        }
        Ok(answer)
    }
}

impl Nodes for Shared {
    type Error = LedgerFault;
    fn node(&self, level: u8, index: u64) -> Result<Digest, LedgerFault> {
        self.tree.node(level, index, || self.read(|rows| rows.node(level, index)))
    }
}

impl Reader {
    pub(super) fn over(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Reads the store in `folder` as it is now, whether a keeper uses it or not. Sealed payloads stay closed: no data
    /// key is given.
    ///
    /// # Errors
    /// [`LedgerFault`] when there is no store, or it contradicts itself.
    pub fn open(folder: &Path) -> Result<Self, LedgerFault> {
        Ok(Self(Arc::new(Shared::new(open_to_read(folder)?, Seals::default()))))
    }

    /// Size and root of the durable log.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.0.tree.head()
    }

    /// Proves that leaf `index` lies in the tree of the first `size` leaves.
    ///
    /// # Errors
    /// [`LedgerFault::Proof`] when the log has no such leaf or size; else the store's.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Proof, LedgerFault> {
        self.within(size)?;
        merkle::inclusion_proof(self.0.as_ref(), index, size)
    }

    /// Proves that the tree of the first `size` leaves begins with that of the first `old_size`.
    ///
    /// # Errors
    /// [`LedgerFault::Proof`] when the log has no such sizes; else the store's.
    pub fn consistency(&self, old_size: u64, size: u64) -> Result<Proof, LedgerFault> {
        self.within(size)?;
        merkle::consistency_proof(self.0.as_ref(), old_size, size)
    }

    /// The root of the tree of the first `size` leaves.
    ///
    /// # Errors
    /// [`LedgerFault::Proof`] when the log has fewer; else the store's.
    pub fn root_at(&self, size: u64) -> Result<Digest, LedgerFault> {
        let head = self.head();
        if size == head.size {
            return Ok(head.root);
        }
        self.within(size)?;
        merkle::root_at(self.0.as_ref(), size)
    }

    /// A leaf with its payload in clear.
    ///
    /// # Errors
    /// [`LedgerFault::Proof`] when the log has no such leaf, [`LedgerFault::SealMissing`] when its data key was not
    /// given; else the store's.
    pub fn leaf(&self, index: u64) -> Result<Recording, LedgerFault> {
        self.within(index.saturating_add(1))?;
        self.0.read(|rows| rows.recording(index, &self.0.seals))
    }

    /// The leaves of a range as evidence, with payloads in clear; fewer when the log ends before or they would take more than `bytes_max` in a reply. The first is given whatever it takes.
    ///
    /// # Errors
    /// As [`Reader::leaf`].
    pub fn leaves(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<LeafEvidence>, LedgerFault> {
        let to = range.end.min(self.head().size);
        self.0.read(|rows| {
            let (mut leaves, mut bytes) = (Vec::new(), 0_usize);
            for index in range.start..to {
                let leaf = rows.recording(index, &self.0.seals)?;
                let len = leaf.entry.len().saturating_add(leaf.payload.len()).saturating_add(LEAF_FRAME_LEN);
                bytes = bytes.saturating_add(len);
                if bytes > bytes_max && !leaves.is_empty() {
                    break;
                }
                leaves.push(evidence(&leaf)?);
            }
            Ok(leaves)
        })
    }

    /// The founding and its leaf; nothing while the log is empty.
    ///
    /// # Errors
    /// As [`Reader::leaf`].
    pub fn founding(&self) -> Result<Option<(FoundingLeaf, LeafEvidence)>, LedgerFault> {
        if self.head().size == 0 {
            return Ok(None);
        }
        let leaf = self.leaf(0)?;
        let founding = cbor::decode(&leaf.payload, LEAF_PAYLOAD_LEN_MAX);
        let founding = founding.map_err(|_| LedgerFault::Broken { leaf: 0 })?;
        Ok(Some((founding, evidence(&leaf)?)))
    }

    /// The keys on record, by name and version.
    ///
    /// # Errors
    /// The store's.
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone does not take every lifetime")]
    pub fn keys(&self) -> Result<Vec<KeyRecord>, LedgerFault> {
        self.0.read(|rows| rows.keys())
    }

    /// The key intents without an outcome, with the indices of their leaves.
    ///
    /// # Errors
    /// The store's.
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone does not take every lifetime")]
    pub fn open_intents(&self) -> Result<Vec<(u64, KeyIntentLeaf)>, LedgerFault> {
        self.0.read(|rows| rows.open_intents())
    }

    /// Where a purse stands; nothing before its first update.
    ///
    /// # Errors
    /// The store's.
    pub fn purse(&self, programme: &Name, card: &CardUid, purse: u8) -> Result<Option<Purse>, LedgerFault> {
        self.0.read(|rows| match self.0.tags(rows)? {
            Some(tags) => rows.purse(&tags.of_purse(programme, card, purse)),
            // No update was ever recorded.
            None => Ok(None),
        })
    }

    /// The leaf of the rollback that halted the ledger, if one did; from memory.
    ///
    /// # Errors
    /// None so far.
    pub fn halted(&self) -> Result<Option<u64>, LedgerFault> {
        Ok(Some(self.0.halted.load(Ordering::Acquire)).filter(|leaf| *leaf != NOT_HALTED))
    }

    fn within(&self, size: u64) -> Result<(), LedgerFault> {
        if size > self.head().size { Err(ProofError::OutOfTree.into()) } else { Ok(()) }
    }
}

fn evidence(leaf: &Recording) -> Result<LeafEvidence, LedgerFault> {
    leaf.evidence().map_err(|_| LedgerFault::Broken { leaf: leaf.index })
}
