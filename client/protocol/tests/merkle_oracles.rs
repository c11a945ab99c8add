//! Our tree against two independent ones, in both directions: each verifies what the other proves.

use ct_merkle::{
    ConsistencyProof, InclusionProof, RootHash,
    digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update, consts::U32},
    mem_backed_tree::MemoryBackedTree,
};
use keysvc_protocol::{
    bytes::Digest,
    checkpoint::{Checkpoint, Origin},
    merkle::{
        Frontier, Inclusion, Nodes, Proof, ProofError, TreeHead, consistency_proof, inclusion_proof,
        leaf_hash, place_of, root_at, verify_consistency, verify_inclusion,
    },
};
use proptest::prelude::*;
use sha2::Digest as _;

const SIZE_MAX: u64 = 600;

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

/// Our tree, stored as the service stores it: the hashes a leaf completes, in the leaf's row.
struct Rows {
    rows: Vec<Vec<u8>>,
    frontier: Frontier,
}

impl Rows {
    fn grown_to(size: u64) -> Self {
        let mut frontier = Frontier::new();
        let rows = (0..size).map(|index| frontier.append(leaf_hash(&entry(index))).to_bytes()).collect();
        Self { rows, frontier }
    }

    fn head(&self, size: u64) -> TreeHead {
        TreeHead { size, root: root_at(self, size).unwrap() }
    }
}

impl Nodes for Rows {
    type Error = ProofError;
    fn node(&self, level: u8, index: u64) -> Result<Digest, ProofError> {
        let place = place_of(level, index);
        let row = usize::try_from(place.leaf).ok().and_then(|leaf| self.rows.get(leaf));
        row.and_then(|row| place.in_row(row)).ok_or(ProofError::OutOfTree)
    }
}

/// `tlog_tiles` keeps its nodes in one row, in the order of its own.
struct Stored(Vec<tlog_tiles::Hash>);

impl Stored {
    fn grown_to(size: u64) -> Self {
        let mut stored = Self(Vec::new());
        for index in 0..size {
            let completed = tlog_tiles::stored_hashes(index, &entry(index), &stored).unwrap();
            stored.0.extend(completed);
        }
        stored
    }
}

impl tlog_tiles::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

/// SHA-256 in the trait's version that ct-merkle wants.
#[derive(Clone, Default)]
struct Sha256(sha2::Sha256);

impl HashMarker for Sha256 {}

impl OutputSizeUser for Sha256 {
    type OutputSize = U32;
}

impl Update for Sha256 {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

impl FixedOutput for Sha256 {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.copy_from_slice(&self.0.finalize());
    }
}

fn memory_tree(size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    (0..size).for_each(|index| tree.push(entry(index)));
    tree
}

fn theirs(digest: &Digest) -> tlog_tiles::Hash {
    tlog_tiles::Hash(*digest.as_bytes())
}

fn ours(hashes: &[tlog_tiles::Hash]) -> Proof {
    Proof::try_from(hashes.iter().map(|hash| Digest::new(hash.0)).collect::<Vec<_>>()).unwrap()
}

fn from_bytes(hashes: &[u8]) -> Proof {
    let hashes = hashes.chunks(32).map(|hash| Digest::try_from(hash).unwrap());
    Proof::try_from(hashes.collect::<Vec<_>>()).unwrap()
}

fn tiles_proof(proof: &Proof) -> Vec<tlog_tiles::Hash> {
    proof.hashes().iter().map(theirs).collect()
}

fn bytes_of(proof: &Proof) -> Vec<u8> {
    proof.hashes().iter().flat_map(|hash| *hash.as_bytes()).collect()
}

fn their_root(head: TreeHead) -> RootHash<Sha256> {
    RootHash::new((*head.root.as_bytes()).into(), head.size)
}

/// A tree size, and a leaf in it.
fn leaf_in_tree() -> impl Strategy<Value = (u64, u64)> {
    (1..=SIZE_MAX).prop_flat_map(|size| (0..size, Just(size)))
}

/// Two tree sizes, the older first and not empty.
fn two_sizes() -> impl Strategy<Value = (u64, u64)> {
    (1..=SIZE_MAX).prop_flat_map(|new| (1..=new, Just(new)))
}

/// One way to spoil a proof: a flipped bit, a lost hash, an added hash or two hashes in the other order.
#[derive(Debug, Clone)]
enum Damage {
    Flip { hash: prop::sample::Index, byte: usize, bit: u8 },
    Lose(prop::sample::Index),
    Add { at: prop::sample::Index, hash: [u8; 32] },
    Swap(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 0_usize..32, 0_u8..8).prop_map(|(hash, byte, bit)| Damage::Flip { hash, byte, bit }),
        index().prop_map(Damage::Lose),
        (index(), any::<[u8; 32]>()).prop_map(|(at, hash)| Damage::Add { at, hash }),
        index().prop_map(Damage::Swap),
    ]
}

impl Damage {
    /// The spoiled proof and the one right refusal; nothing where the proof has nothing to spoil in this way.
    fn done_to(&self, proof: &Proof) -> Option<(Proof, ProofError)> {
        let mut hashes = proof.hashes().to_vec();
        let refusal = match self {
            Self::Flip { .. } | Self::Swap(_) => ProofError::WrongRoot,
            Self::Lose(_) | Self::Add { .. } => ProofError::WrongLength,
        };
        match self {
            Self::Add { at, hash } => hashes.insert(at.index(hashes.len() + 1), Digest::new(*hash)),
            _ if hashes.is_empty() => return None,
            Self::Flip { hash, byte, bit } => {
                let at = hash.index(hashes.len());
                let mut bytes = *hashes[at].as_bytes();
                bytes[*byte] ^= 1 << bit;
                hashes[at] = Digest::new(bytes);
            }
            Self::Lose(at) => {
                hashes.remove(at.index(hashes.len()));
            }
            Self::Swap(at) => {
                let at = at.index(hashes.len());
                let next = (at + 1) % hashes.len();
                hashes.swap(at, next);
            }
        }
        let spoiled = Proof::try_from(hashes).unwrap();
        (spoiled != *proof).then_some((spoiled, refusal))
    }
}

#[test]
fn the_roots_of_all_three_agree_at_every_size() {
    let (mut frontier, stored, mut tree) = (Frontier::new(), Stored::grown_to(SIZE_MAX), memory_tree(0));
    let rows = Rows::grown_to(SIZE_MAX);
    for size in 0..=SIZE_MAX {
        let root = frontier.root();
        assert_eq!(theirs(&root), tlog_tiles::tree_hash(size, &stored).unwrap(), "{size}");
        assert_eq!(root.as_bytes().as_slice(), tree.root().as_bytes().as_slice(), "{size}");
        assert_eq!(root_at(&rows, size), Ok(root), "{size}");
        frontier.append(leaf_hash(&entry(size)));
        tree.push(entry(size));
    }
}

#[test]
fn the_rows_hold_the_nodes_that_tlog_tiles_stores_in_the_same_order() {
    let (rows, stored) = (Rows::grown_to(SIZE_MAX), Stored::grown_to(SIZE_MAX));
    let theirs: Vec<u8> = stored.0.iter().flat_map(|hash| hash.0).collect();
    assert_eq!(rows.rows.concat(), theirs);
    assert_eq!(rows.frontier.size(), SIZE_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_inclusion_proof_is_the_same_in_all_three_and_verifies_in_all((index, size) in leaf_in_tree()) {
        let (rows, stored, tree) = (Rows::grown_to(size), Stored::grown_to(size), memory_tree(size));
        let head = rows.head(size);
        let leaf = Inclusion { index, size, leaf_hash: leaf_hash(&entry(index)) };

        let proof = inclusion_proof(&rows, index, size).unwrap();
        let hash = theirs(&leaf.leaf_hash);
        prop_assert!(
            tlog_tiles::check_record(&tiles_proof(&proof), size, theirs(&head.root), index, hash).is_ok()
        );
        let in_bytes = InclusionProof::<Sha256>::try_from_bytes(bytes_of(&proof)).unwrap();
        prop_assert!(their_root(head).verify_inclusion(&entry(index), index, &in_bytes).is_ok());

        let from_tiles = ours(&tlog_tiles::prove_record(size, index, &stored).unwrap());
        let from_tree = from_bytes(tree.prove_inclusion(usize::try_from(index).unwrap()).as_bytes());
        for proof in [from_tiles, from_tree] {
            prop_assert_eq!(verify_inclusion(&leaf, &proof, &head.root), Ok(()));
        }
    }

    #[test]
    fn a_consistency_proof_is_the_same_in_all_three_and_verifies_in_all((old, new) in two_sizes()) {
        let (rows, stored, tree) = (Rows::grown_to(new), Stored::grown_to(new), memory_tree(new));
        let (older, newer) = (rows.head(old), rows.head(new));

        let proof = consistency_proof(&rows, old, new).unwrap();
        let (old_root, new_root) = (theirs(&older.root), theirs(&newer.root));
        prop_assert!(tlog_tiles::check_tree(&tiles_proof(&proof), new, new_root, old, old_root).is_ok());
        let in_bytes = ConsistencyProof::<Sha256>::try_from_bytes(bytes_of(&proof)).unwrap();
        prop_assert!(their_root(newer).verify_consistency(&their_root(older), &in_bytes).is_ok());

        let from_tiles = ours(&tlog_tiles::prove_tree(new, old, &stored).unwrap());
        let added = usize::try_from(new - old).unwrap();
        let from_tree = from_bytes(tree.prove_consistency(added).as_bytes());
        for proof in [from_tiles, from_tree] {
            prop_assert_eq!(verify_consistency(older, newer, &proof), Ok(()));
        }
    }

    #[test]
    fn a_spoiled_inclusion_proof_is_refused((index, size) in leaf_in_tree(), damage in damage()) {
        let rows = Rows::grown_to(size);
        let leaf = Inclusion { index, size, leaf_hash: leaf_hash(&entry(index)) };
        let proof = inclusion_proof(&rows, index, size).unwrap();
        if let Some((spoiled, refusal)) = damage.done_to(&proof) {
            prop_assert_eq!(verify_inclusion(&leaf, &spoiled, &rows.frontier.root()), Err(refusal));
        }
    }

    #[test]
    fn a_spoiled_consistency_proof_is_refused((old, new) in two_sizes(), damage in damage()) {
        let rows = Rows::grown_to(new);
        let proof = consistency_proof(&rows, old, new).unwrap();
        if let Some((spoiled, refusal)) = damage.done_to(&proof) {
            prop_assert_eq!(verify_consistency(rows.head(old), rows.head(new), &spoiled), Err(refusal));
        }
    }

    #[test]
    fn a_proof_does_not_serve_another_leaf(
        (index, size) in leaf_in_tree(), other in any::<prop::sample::Index>(),
    ) {
        let rows = Rows::grown_to(size);
        let proof = inclusion_proof(&rows, index, size).unwrap();
        let other = other.index(usize::try_from(size).unwrap()) as u64;
        let leaf = Inclusion { index: other, size, leaf_hash: leaf_hash(&entry(index)) };
        prop_assert_eq!(verify_inclusion(&leaf, &proof, &rows.frontier.root()).is_ok(), other == index);
    }

    #[test]
    fn a_rewritten_history_is_not_consistent((old, new) in two_sizes(), rewritten in any::<prop::sample::Index>()) {
        let rows = Rows::grown_to(new);
        let mut frontier = Frontier::new();
        let rewritten = rewritten.index(usize::try_from(old).unwrap()) as u64;
        for index in 0..old {
            frontier.append(leaf_hash(&entry(if index == rewritten { SIZE_MAX } else { index })));
        }
        let proof = consistency_proof(&rows, old, new).unwrap();
        let refusal = if old == new { ProofError::Forked } else { ProofError::WrongRoot };
        prop_assert_eq!(verify_consistency(frontier.head(), rows.head(new), &proof), Err(refusal));
    }

    #[test]
    fn sizes_and_proofs_of_any_kind_are_judged_without_a_panic(
        sizes in any::<(u64, u64)>(), hashes in prop::collection::vec(any::<[u8; 32]>(), 0..=64),
        roots in any::<([u8; 32], [u8; 32])>(),
    ) {
        let proof = Proof::try_from(hashes.into_iter().map(Digest::new).collect::<Vec<_>>()).unwrap();
        let (old, new) = (Digest::new(roots.0), Digest::new(roots.1));
        let leaf = Inclusion { index: sizes.0, size: sizes.1, leaf_hash: old };
        prop_assert!(verify_inclusion(&leaf, &proof, &new).is_err());
        let (older, newer) = (TreeHead { size: sizes.0, root: old }, TreeHead { size: sizes.1, root: new });
        prop_assert!(verify_consistency(older, newer, &proof).is_err());
    }

    #[test]
    fn tlog_tiles_reads_our_note_text_and_writes_it_back(
        size in any::<u64>(), root in any::<[u8; 32]>(), epoch in any::<u32>(),
    ) {
        let origin = Origin::of(&"demo.keysvc.test".parse().unwrap(), epoch);
        let text = Checkpoint { origin: origin.clone(), head: TreeHead { size, root: Digest::new(root) } }.text();
        let read = tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).unwrap();
        prop_assert_eq!(read.origin(), origin.as_str());
        prop_assert_eq!((read.size(), read.hash().0), (size, root));
        prop_assert_eq!(read.to_bytes(), text.as_bytes());
    }
}
