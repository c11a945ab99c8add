//! What the log says: proofs, leaves and projections, for any thread.
//!
//! Sees only what is durable. Proofs of recent sizes come from memory; the rest is read over connections of its own
//! that cannot write. Who may read what is the gate's affair.

mod jobs;
mod people;

pub use people::ProposalOnRecord;

use super::{
    SharedControl,
    backend::Applied,
    change::Recording,
    fault::LedgerFault,
    purse::Purse,
    restore,
    seal::{Seal, Seals, SharedTags, Tags},
    sqlite::{Opened, Rows, head_of, open_reader, open_to_read},
    tree::Tree,
};
use crate::config::fixed::STORE_READERS_KEPT;
use keysvc_protocol::{
    bytes::{Blob, Digest, ObjectIdentifier},
    card::CardUid,
    cbor,
    control::Control,
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
    time::Duration,
};

/// What a leaf takes in a reply beside entry, salt and payload, in bytes.
const LEAF_FRAME_LEN: usize = 32;
/// How often, and how many times, a leaf that is on the disk is looked for in the head in memory: a second, where the
/// writer needs a thousandth of it. A leaf that is not in it then is none that the writer knows.
const PUBLISHED_LOOK: Duration = Duration::from_millis(1);
const PUBLISHED_LOOKS: u32 = 1_000;
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
    control: SharedControl,
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
            control: opened.control,
        }
    }

    /// Takes in a durable batch.
    pub(super) fn publish(&self, applied: &Applied) {
        self.halted.store(applied.halted.unwrap_or(NOT_HALTED), Ordering::Release);
        self.tree.publish(applied.head, &applied.completed);
    }

    /// The state of what takes people, shared with whoever serves.
    pub(super) fn control(&self) -> &SharedControl {
        &self.control
    }

    /// Makes that state again from the log, once. Nothing that would change it is written before.
    pub(super) fn restore_control(&self) -> Result<(), LedgerFault> {
        let head = self.tree.head();
        if head.size == 0 || self.control.load().is_some() {
            return Ok(());
        }
        let control = self.read(|rows| restore::restored(rows, &self.seals, head))?;
        self.control.store(Some(Arc::new(control)));
        Ok(())
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
        if idle.len() < STORE_READERS_KEPT {
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
        let reads = self.0.tree.reads();
        let proof = merkle::inclusion_proof(self.0.as_ref(), index, size)?;
        if self.0.tree.reads() != reads {
            // A node came from the disk: none is shown to anybody that does not lead to the root.
            let (leaf_hash, root) = (self.0.node(0, index)?, self.root_at(size)?);
            let claim = merkle::Inclusion { index, size, leaf_hash };
            merkle::verify_inclusion(&claim, &proof, &root)
                .map_err(|_| self.0.tree.distrust(LedgerFault::Broken { leaf: index }))?;
        }
        Ok(proof)
    }

    /// Proves that the tree of the first `size` leaves begins with that of the first `old_size`.
    ///
    /// # Errors
    /// [`LedgerFault::Proof`] when the log has no such sizes; else the store's.
    pub fn consistency(&self, old_size: u64, size: u64) -> Result<Proof, LedgerFault> {
        self.within(size)?;
        let reads = self.0.tree.reads();
        let proof = merkle::consistency_proof(self.0.as_ref(), old_size, size)?;
        if self.0.tree.reads() != reads && old_size > 0 {
            // As for an inclusion.
            let old = TreeHead { size: old_size, root: self.root_at(old_size)? };
            let new = TreeHead { size, root: self.root_at(size)? };
            merkle::verify_consistency(old, new, &proof)
                .map_err(|_| self.0.tree.distrust(LedgerFault::Broken { leaf: old_size }))?;
        }
        Ok(proof)
    }

    /// Everything that takes people, made again from the log as it is at this moment, whether a keeper uses the store or
    /// not. `seals` open what is sealed.
    ///
    /// # Errors
    /// [`LedgerFault`] when the log contradicts itself.
    pub fn replayed(&self, seals: &[Seal]) -> Result<Control, LedgerFault> {
        for seal in seals {
            self.0.seals.install(seal);
        }
        self.0.read(|rows| rows.at_one_moment(|rows| restore::restored(rows, &self.0.seals, head_of(rows)?)))
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
        let reads = self.0.tree.reads();
        let root = merkle::root_at(self.0.as_ref(), size)?;
        if self.0.tree.reads() != reads && size > 0 {
            // Else a damaged node would be taken for a history that was rolled back.
            let proof = merkle::consistency_proof(self.0.as_ref(), size, head.size)?;
            merkle::verify_consistency(TreeHead { size, root }, head, &proof)
                .map_err(|_| self.0.tree.distrust(LedgerFault::Broken { leaf: size }))?;
        }
        Ok(root)
    }

    /// A leaf with its payload in clear.
    ///
    /// # Errors
    /// [`LedgerFault::Proof`] when the log has no such leaf, [`LedgerFault::SealMissing`] when its data key was not
    /// given, [`LedgerFault::Erased`] when its payload was erased with its job; else the store's.
    pub fn leaf(&self, index: u64) -> Result<Recording, LedgerFault> {
        self.within(index.saturating_add(1))?;
        self.0.read(|rows| rows.recording(index, &self.0.seals))
    }

    /// The leaves of a range as evidence, with payloads in clear; fewer when the log ends before or they would take more than
    /// `bytes_max` in a reply. The first is given whatever it takes. Of a leaf that was erased with its job the entry is
    /// given, without salt and payload: it still proves its place.
    ///
    /// # Errors
    /// As [`Reader::leaf`], but for erased leaves.
    pub fn leaves(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<LeafEvidence>, LedgerFault> {
        let to = range.end.min(self.head().size);
        self.0.read(|rows| {
            let (mut leaves, mut bytes) = (Vec::new(), 0_usize);
            for index in range.start..to {
                let leaf = match rows.recording(index, &self.0.seals) {
                    Err(LedgerFault::Erased { leaf }) => withheld(rows, leaf)?,
                    leaf => evidence(&leaf?)?,
                };
                let payload = leaf.payload.as_ref().map_or(0, |payload| payload.as_bytes().len());
                let len = leaf.entry.as_bytes().len().saturating_add(payload).saturating_add(LEAF_FRAME_LEN);
                bytes = bytes.saturating_add(len);
                if bytes > bytes_max && !leaves.is_empty() {
                    break;
                }
                leaves.push(leaf);
            }
            Ok(leaves)
        })
    }

    /// The founding and its leaf; nothing while the log is empty. Who is enrolled is read out of it, so it must hash to
    /// the first tree head, which is then compared with the trust file.
    ///
    /// # Errors
    /// As [`Reader::leaf`]; [`LedgerFault::Broken`] when entry, payload and first tree head contradict each other.
    pub fn founding(&self) -> Result<Option<(FoundingLeaf, LeafEvidence)>, LedgerFault> {
        if self.head().size == 0 {
            return Ok(None);
        }
        let leaf = self.leaf(0)?;
        let broken = LedgerFault::Broken { leaf: 0 };
        let evidence = evidence(&leaf)?;
        if evidence.check().is_err() || merkle::leaf_hash(&leaf.entry) != self.root_at(1)? {
            return Err(broken);
        }
        let founding = cbor::decode(&leaf.payload, LEAF_PAYLOAD_LEN_MAX).map_err(|_| broken)?;
        Ok(Some((founding, evidence)))
    }

    /// The keys on record, by name and version.
    ///
    /// # Errors
    /// The store's.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone does not take every lifetime"
    )]
    pub fn keys(&self) -> Result<Vec<KeyRecord>, LedgerFault> {
        self.0.read(|rows| rows.keys())
    }

    /// The storage keys under which a data key lies. One of a job without any is no more than a name: its destruction began.
    ///
    /// # Errors
    /// The store's.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone does not take every lifetime"
    )]
    pub fn wrapping_keys(&self) -> Result<Vec<ObjectIdentifier>, LedgerFault> {
        self.0.read(|rows| rows.wrapping_keys())
    }

    /// The key intents without an outcome, with the indices of their leaves.
    ///
    /// # Errors
    /// The store's.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone does not take every lifetime"
    )]
    pub fn open_intents(&self) -> Result<Vec<(u64, KeyIntentLeaf)>, LedgerFault> {
        self.0.read(|rows| rows.open_intents())
    }

    /// The leaf of the newest trust bundle, if one was made.
    ///
    /// # Errors
    /// The store's.
    pub fn bundle(&self) -> Result<Option<Recording>, LedgerFault> {
        self.0.read(|rows| {
            let Some(leaf) = rows.bundle()? else { return Ok(None) };
            // It is signed again, so the tree must vouch for it.
            rows.vouched(leaf, self.head_with(leaf), &self.0.seals).map(Some)
        })
    }

    /// The newest head, of a tree that has this leaf: a commit is on the disk a moment before its head is in memory.
    fn head_with(&self, leaf: u64) -> TreeHead {
        for _ in 0..PUBLISHED_LOOKS {
            let head = self.head();
            if head.size > leaf {
                return head;
            }
            std::thread::park_timeout(PUBLISHED_LOOK);
        }
        self.head()
    }

    /// Where a purse stands; nothing before its first update.
    ///
    /// # Errors
    /// The store's.
    pub fn purse(&self, programme: &Name, card: &CardUid, purse: u8) -> Result<Option<Purse>, LedgerFault> {
        self.0.read(|rows| match self.0.tags(rows)? {
            // Its neighbours say that a purse is not there: they must be of the same moment.
            Some(tags) => {
                rows.at_one_moment(|rows| rows.purse(&tags, &tags.of_purse(programme, card, purse)))
            }
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

    #[cfg(test)]
    pub(super) fn tags_for_tests(&self) -> Arc<Tags> {
        self.0.read(|rows| self.0.tags(rows)).unwrap().unwrap()
    }

    fn within(&self, size: u64) -> Result<(), LedgerFault> {
        if size > self.head().size { Err(ProofError::OutOfTree.into()) } else { Ok(()) }
    }
}

fn evidence(leaf: &Recording) -> Result<LeafEvidence, LedgerFault> {
    leaf.evidence().map_err(|_| LedgerFault::Broken { leaf: leaf.index })
}

/// What is left of a leaf that was erased with its job.
fn withheld(rows: Rows<'_>, leaf: u64) -> Result<LeafEvidence, LedgerFault> {
    let broken = LedgerFault::Broken { leaf };
    let entry = rows.leaf(leaf)?.ok_or_else(|| broken.clone())?.entry;
    Ok(LeafEvidence { entry: Blob::try_from(entry).map_err(|_| broken)?, salt: None, payload: None })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            fault::LedgerFault as Fault,
            seal::{Seal, SealClass},
            sqlite::ground::{NOW_MS, Store, first_load, folder, founding, seals},
        },
        *,
    };
    use keysvc_protocol::{
        leaf::LeafKind,
        merkle::{Frontier, Inclusion, leaf_hash, verify_consistency, verify_inclusion},
    };

    fn filled(folder: &tempfile::TempDir, leaves: u32) -> (Store, Vec<TreeHead>) {
        let mut store = Store::founded(folder);
        let cards: Vec<_> = (1..leaves).map(first_load).collect();
        for batch in cards.chunks(250) {
            store.apply(batch, NOW_MS);
        }
        let mut frontier = Frontier::new();
        let mut heads = vec![frontier.head()];
        for index in 0..u64::from(leaves) {
            frontier.append(leaf_hash(&store.reader.leaf(index).unwrap().entry));
            heads.push(frontier.head());
        }
        (store, heads)
    }

    fn proves(reader: &Reader, heads: &[TreeHead], index: u64, size: usize) {
        let proof = reader.inclusion(index, heads[size].size).unwrap();
        let leaf_hash = leaf_hash(&reader.leaf(index).unwrap().entry);
        let claim = Inclusion { index, size: heads[size].size, leaf_hash };
        assert_eq!(verify_inclusion(&claim, &proof, &heads[size].root), Ok(()), "{index} {size}");
    }

    #[test]
    fn five_thousand_leaves_are_proved_from_memory_and_after_a_restart_from_the_store() {
        let folder = folder();
        let (store, heads) = filled(&folder, 5_000);
        assert_eq!(store.reader.head(), heads[5_000]);
        let reopened = {
            let reader = store.reader.clone();
            check(&reader, &heads);
            drop(store);
            Store::open(&folder, seals())
        };
        check(&reopened.reader, &heads);
    }

    fn check(reader: &Reader, heads: &[TreeHead]) {
        for step in [1_usize, 7, 97, 613, 2_047, 2_048, 4_095, 4_096, 4_999] {
            for size in [step, 3_000, 5_000] {
                proves(reader, heads, (step as u64 - 1).min(size as u64 - 1), size);
                let (old, new) = (step.min(size), size);
                let proof = reader.consistency(heads[old].size, heads[new].size).unwrap();
                assert_eq!(verify_consistency(heads[old], heads[new], &proof), Ok(()), "{old} {new}");
            }
            assert_eq!(reader.root_at(step as u64).unwrap(), heads[step].root);
        }
    }

    #[test]
    fn what_lies_outside_the_log_is_not_there() {
        let folder = folder();
        let store = Store::founded(&folder);
        let reader = &store.reader;
        for answer in [
            reader.inclusion(0, 2).map(|_| ()),
            reader.inclusion(1, 1).map(|_| ()),
            reader.consistency(1, 2).map(|_| ()),
            reader.root_at(2).map(|_| ()),
            reader.leaf(1).map(|_| ()),
            reader.leaf(u64::MAX).map(|_| ()),
        ] {
            assert!(matches!(answer, Err(Fault::Proof(ProofError::OutOfTree))));
        }
        assert!(matches!(reader.consistency(1, 0), Err(Fault::Proof(ProofError::Shrunk))));
        assert_eq!(reader.leaves(1..9, 1_000).unwrap(), []);
    }

    #[test]
    fn leaves_come_as_evidence_until_the_reply_is_full_but_at_least_one() {
        let folder = folder();
        let (store, _) = filled(&folder, 20);
        let all = store.reader.leaves(0..99, usize::MAX).unwrap();
        assert_eq!(all.len(), 20);
        for (index, leaf) in (0..).zip(&all) {
            assert_eq!(leaf.check().map(|entry| entry.index), Ok(index));
        }
        let two = all[5..7].iter().map(|leaf| cbor::encode(leaf).len()).sum::<usize>();
        assert_eq!(store.reader.leaves(5..20, two + 32).unwrap(), all[5..7]);
        assert_eq!(store.reader.leaves(5..20, 0).unwrap(), all[5..6]);
        assert_eq!(
            store.reader.leaves(0..1, 0).unwrap()[0].check().map(|entry| entry.kind),
            Ok(LeafKind::Founding)
        );
    }

    #[test]
    fn a_store_is_read_beside_its_keeper_but_sealed_payloads_stay_closed() {
        let folder = folder();
        let (store, heads) = filled(&folder, 20);
        let beside = Reader::open(folder.path()).unwrap();
        assert_eq!(beside.head(), heads[20]);
        assert_eq!(beside.founding().unwrap().map(|(leaf, _)| leaf), Some(founding()));
        assert!(matches!(beside.leaf(3), Err(Fault::SealMissing { id: 1 })));
        assert_eq!(beside.halted().unwrap(), None);
        drop(store);
        assert_eq!(Reader::open(folder.path()).unwrap().head(), heads[20]);
    }

    #[test]
    fn a_folder_without_a_store_is_not_read() {
        let folder = folder();
        assert!(matches!(Reader::open(folder.path()), Err(Fault::Read(_))));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
    }

    #[test]
    fn a_wrong_data_key_is_named() {
        let folder = folder();
        drop(filled(&folder, 3));
        let other = Seals::default();
        other.install(&Seal::new(1, SealClass::Operational, &[0xee; 32]));
        let store = Store::open(&folder, other);
        assert!(matches!(store.reader.leaf(1), Err(Fault::SealBroken { id: 1 })));
        assert!(store.reader.leaf(0).is_ok());
    }

    #[test]
    fn a_purse_is_found_again_after_a_restart() {
        let folder = folder();
        drop(filled(&folder, 3));
        let store = Store::open(&folder, seals());
        let card = CardUid::try_from([4, 4, 4, 0, 0, 0, 2].as_slice()).unwrap();
        let purse = store.reader.purse(&"coffee".parse().unwrap(), &card, 1).unwrap();
        assert_eq!(purse.map(|purse| (purse.seq, purse.balance, purse.leaf)), Some((1, 100, 2)));
    }
}
