//! The tiles that an auditor exports from a running service, and the proofs that the service gives, against
//! `tlog_tiles`, which computes and verifies all of them by itself.

use keysvc_protocol::{
    bytes::Digest,
    cbor,
    checkpoint::SignedCheckpoint,
    merkle::Proof,
    reply::{ProofReply, UpdateOutcome, ValueBatchReply},
    request::{BATCH_MAX, Operation, ReadProof, UpdateValue, UpdateValues, ValueOperation::Load},
    schema::Schema,
};
use keysvc_tests::{
    ground::{Ground, text},
    raw::{self, Caller},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use tlog_tiles::{
    Checkpoint, Error, Hash, HashReader, Tile, TileHashReader, TileReader, check_record, check_tree,
    prove_record, prove_tree, record_hash, stored_hashes, tree_hash,
};

/// Enough for a whole tile and a partial one behind it, so that there is a level above.
const BATCHES: usize = 5;
/// Hashes of a whole tile, as a power of two: what C2SP fixes.
const HEIGHT: u8 = 8;

fn hash(digest: &Digest) -> Hash {
    Hash(*digest.as_bytes())
}

fn hashes(proof: &Proof) -> Vec<Hash> {
    proof.hashes().iter().map(hash).collect()
}

/// A store's batch of first loads, each of a card of its own.
fn batch(ground: &Ground, number: usize) -> ValueBatchReply {
    let terminal = Caller::new(ground.site(), "terminal-1");
    let item = |card: usize| {
        let card = format!("04{:012x}", number * BATCH_MAX + card).parse().unwrap();
        let update = UpdateValue { card, ..raw::update(Load, 1, 100, 0) };
        terminal.message(Operation::ValueUpdate, cbor::encode(&update)).try_into().unwrap()
    };
    let updates = (0..BATCH_MAX).map(item).collect::<Vec<_>>().try_into().unwrap();
    Caller::new(ground.site(), "office-1")
        .ask(Operation::ValueBatch, &UpdateValues { schema: Schema, updates })
        .unwrap()
}

/// The path that C2SP gives a tile: without the height, which it fixes.
fn path(tile: &Tile) -> String {
    tile.path().replacen("tile/8/data/", "tile/entries/", 1).replacen("tile/8/", "tile/", 1)
}

/// An exported folder, read by `tlog_tiles`.
struct Exported(PathBuf);

impl TileReader for Exported {
    fn height(&self) -> u8 {
        HEIGHT
    }
    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        Ok(tiles.iter().map(|tile| fs::read(self.0.join(path(tile))).unwrap()).collect())
    }
    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

impl Exported {
    /// The checkpoint, of the form that `tlog_tiles` reads and writes.
    fn checkpoint(&self) -> Checkpoint {
        checkpoint(&fs::read(self.0.join("checkpoint")).unwrap())
    }

    /// The entries of the log, from their bundles.
    fn entries(&self, size: u64) -> Vec<Vec<u8>> {
        let mut entries = Vec::new();
        for tile in Tile::new_tiles(HEIGHT, 0, size).iter().filter(|tile| tile.level() == 0) {
            let bundle = Tile::new(HEIGHT, 0, tile.level_index(), tile.width(), true);
            let bytes = fs::read(self.0.join(path(&bundle))).unwrap();
            let mut rest = bytes.as_slice();
            while let Some((len, after)) = rest.split_first_chunk() {
                let (entry, after) = after.split_at(u16::from_be_bytes(*len).into());
                entries.push(entry.to_vec());
                rest = after;
            }
        }
        assert_eq!(entries.len() as u64, size);
        entries
    }

    /// The hash tiles in the folder.
    fn tiles(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        files(&self.0, &self.0.join("tile"), &mut found);
        found.retain(|file| !file.starts_with("tile/entries/"));
        found
    }
}

fn files(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(root, &path, found);
        } else {
            found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// The text of a signed note, as `tlog_tiles` reads it, which must write it back as it was.
fn checkpoint(note: &[u8]) -> Checkpoint {
    let end = note.windows(2).position(|two| two == b"\n\n").unwrap();
    let text = &note[..=end];
    let read = Checkpoint::from_bytes(text).unwrap();
    assert_eq!(read.to_bytes(), text);
    assert_eq!(read.extension(), "");
    read
}

/// The nodes of a tree, computed by `tlog_tiles` from its entries alone.
struct Computed(Vec<Hash>);

impl HashReader for Computed {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

impl Computed {
    fn of(entries: &[Vec<u8>]) -> Self {
        let mut all = Self(Vec::new());
        for (index, entry) in entries.iter().enumerate() {
            let completed = stored_hashes(index as u64, entry, &all).unwrap();
            all.0.extend(completed);
        }
        all
    }
}

/// What a service of several batches said of its log while it ran, and what an auditor exported from it.
struct Log {
    batches: Vec<ValueBatchReply>,
    /// Of a size: inclusion of a leaf, and consistency from an earlier size.
    proofs: BTreeMap<(u64, u64, u64), ProofReply>,
    exported: Exported,
    _folder: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        let mut ground = Ground::new();
        let batches: Vec<_> = (0..BATCHES).map(|number| batch(&ground, number)).collect();
        let sizes: Vec<_> = batches.iter().map(|batch| batch.checkpoint.checkpoint().head.size).collect();
        let mut reader = Caller::new(ground.site(), "terminal-2");
        let mut proofs = BTreeMap::new();
        for pair in sizes.windows(2) {
            let ([earlier, size], leaf) = (<[u64; 2]>::try_from(pair).unwrap(), pair[0] + 7);
            for (leaf, earlier) in [(leaf, earlier), (0, 1), (size - 1, size)] {
                let request = ReadProof { schema: Schema, size, leaf: Some(leaf), earlier: Some(earlier) };
                proofs.insert((size, leaf, earlier), reader.ask(Operation::LogProof, &request).unwrap());
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let export = folder.path().join("log");
        let output = ground.fobctl("auditor-1", &["audit", "export"]).arg(&export).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        ground.stop();
        Self { batches, proofs, exported: Exported(export), _folder: folder }
    }
}

#[test]
fn the_exported_tiles_are_those_that_tlog_tiles_computes_from_the_entries_and_no_others() {
    let log = Log::new();
    let (exported, head) = (&log.exported, log.exported.checkpoint());
    assert!(head.size() > 256, "one level alone: {}", head.size());
    let computed = Computed::of(&exported.entries(head.size()));
    assert_eq!(tree_hash(head.size(), &computed).unwrap(), *head.hash());
    let expected = Tile::new_tiles(HEIGHT, 0, head.size());
    assert!(expected.iter().any(|tile| tile.level() == 1), "{expected:?}");
    for tile in &expected {
        assert_eq!(
            fs::read(exported.0.join(path(tile))).unwrap(),
            tile.read_data(&computed).unwrap(),
            "{tile:?}"
        );
    }
    assert_eq!(exported.tiles(), expected.iter().map(path).collect());
    assert_proved_from_tiles(&log, &head);
    assert_altered_tiles_are_refused(exported, &head);
}

/// Each leaf, and each earlier checkpoint, from the tiles on disk.
fn assert_proved_from_tiles(log: &Log, head: &Checkpoint) {
    let (size, root) = (head.size(), *head.hash());
    let reader = TileHashReader::new(size, root, &log.exported);
    for (index, entry) in log.exported.entries(size).iter().enumerate() {
        let proof = prove_record(size, index as u64, &reader).unwrap();
        check_record(&proof, size, root, index as u64, record_hash(entry)).unwrap();
    }
    for batch in &log.batches {
        let earlier = checkpoint(batch.checkpoint.as_bytes());
        let proof = prove_tree(size, earlier.size(), &reader).unwrap();
        check_tree(&proof, size, root, earlier.size(), *earlier.hash()).unwrap();
    }
}

/// A tile with one byte changed is refused where it is read, or what is proved from it leads to another root: the reader
/// does not hash every whole tile again.
fn assert_altered_tiles_are_refused(exported: &Exported, head: &Checkpoint) {
    let (size, root) = (head.size(), *head.hash());
    let entries = exported.entries(size);
    for tile in exported.tiles() {
        let file = exported.0.join(&tile);
        let whole = fs::read(&file).unwrap();
        let mut altered = whole.clone();
        altered[31] ^= 1;
        fs::write(&file, &altered).unwrap();
        let reader = TileHashReader::new(size, root, exported);
        let proved = |index: u64| {
            let leaf = record_hash(&entries[usize::try_from(index).unwrap()]);
            prove_record(size, index, &reader)
                .is_ok_and(|proof| check_record(&proof, size, root, index, leaf).is_ok())
        };
        // The changed hash is the first of its tile: leaf 1 needs it, or one above does.
        assert!(![1, size - 1].into_iter().all(proved), "{tile}");
        fs::write(&file, &whole).unwrap();
    }
}

#[test]
fn tlog_tiles_verifies_every_proof_that_the_service_gives_and_no_altered_one() {
    let log = Log::new();
    let heads: BTreeMap<u64, Hash> = log
        .batches
        .iter()
        .map(|batch| (batch.checkpoint.checkpoint().head.size, root(&batch.checkpoint)))
        .collect();
    let entries = log.exported.entries(log.exported.checkpoint().size());
    let entry_hash = |index: u64| record_hash(&entries[usize::try_from(index).unwrap()]);
    for batch in &log.batches {
        let (size, root) = (batch.checkpoint.checkpoint().head.size, root(&batch.checkpoint));
        for outcome in batch.outcomes.iter() {
            let UpdateOutcome::Signed { leaf, inclusion, .. } = outcome else { panic!("{outcome:?}") };
            let index = leaf.check().unwrap().index;
            assert_eq!(record_hash(leaf.entry.as_bytes()), entry_hash(index));
            assert_record(&hashes(inclusion), (size, root), index, entry_hash(index));
        }
    }
    assert!(log.proofs.len() >= 3 * (BATCHES - 1));
    for ((size, leaf, earlier), proofs) in &log.proofs {
        let head = (*size, heads[size]);
        assert_record(&hashes(proofs.inclusion.as_ref().unwrap()), head, *leaf, entry_hash(*leaf));
        // The tree of one leaf has that leaf's hash as its root.
        let earlier_root = if *earlier == 1 { entry_hash(0) } else { heads[earlier] };
        assert_tree(&hashes(proofs.consistency.as_ref().unwrap()), head, (*earlier, earlier_root));
    }
}

fn root(checkpoint: &SignedCheckpoint) -> Hash {
    hash(&checkpoint.checkpoint().head.root)
}

/// A proof with one hash changed, each in turn, and one without its last.
fn altered(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all: Vec<_> = (0..proof.len())
        .map(|position| {
            let mut altered = proof.to_vec();
            altered[position].0[0] ^= 1;
            altered
        })
        .collect();
    all.extend(proof.split_last().map(|(_, rest)| rest.to_vec()));
    all
}

fn assert_record(proof: &[Hash], (size, root): (u64, Hash), index: u64, leaf: Hash) {
    check_record(&proof.to_vec(), size, root, index, leaf).unwrap();
    for altered in altered(proof) {
        assert!(check_record(&altered, size, root, index, leaf).is_err(), "leaf {index} of {size}");
    }
    assert!(check_record(&proof.to_vec(), size, root, index, Hash([1; 32])).is_err());
}

fn assert_tree(proof: &[Hash], (size, root): (u64, Hash), (earlier, earlier_root): (u64, Hash)) {
    check_tree(&proof.to_vec(), size, root, earlier, earlier_root).unwrap();
    for altered in altered(proof) {
        assert!(check_tree(&altered, size, root, earlier, earlier_root).is_err(), "{earlier} of {size}");
    }
    assert!(check_tree(&proof.to_vec(), size, root, earlier, Hash([1; 32])).is_err());
}
