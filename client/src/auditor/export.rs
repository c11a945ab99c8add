//! An export under way: leaves into tiles, bundles and payload files, from wherever the folder stands.
//!
//! The service's word is not taken for what was there before: the folder's checkpoint must be signed with the key
//! that leaf 0 names, and its partial tiles must be that checkpoint's.

use super::{check_leaf, tile_folder::TileFolder};
use crate::{error::ClientError, folder::damaged};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor,
    checkpoint::{NOTE_LEN_MAX, Origin, SignedCheckpoint},
    export::{
        CHECKPOINT_FILE, ENTRY_BUNDLE_LEN_MAX, FileError, HashTile, LeafPayload, PAYLOAD_FILE_LEN_MAX,
        PayloadFile, SPAN_LEN, Span, TILE_LEVELS, Tiling, decode_entries, decode_hashes, encode_entries,
    },
    merkle::{TreeHead, leaf_hash},
    public_key::PublicKey,
    receipt::LeafEvidence,
};
use std::path::Path;

/// Longest hash tile, in bytes: 256 hashes of 32.
const TILE_LEN_MAX: usize = 256 * Digest::LEN;

/// An export under way.
#[derive(Debug)]
pub(super) struct Export {
    folder: TileFolder,
    // What the folder's own checkpoint commits to; the empty tree without one.
    base: TreeHead,
    tiling: Tiling,
    // Leaves of the bundle that is not full yet.
    pending: Vec<LeafEvidence>,
}

impl Export {
    /// Takes up what is in the folder: all that its checkpoint commits to, and full bundles that an export left
    /// behind them when it was broken off.
    pub(super) fn begin(path: &Path, origin: &Origin, key: &PublicKey) -> Result<Self, ClientError> {
        let folder = TileFolder::open(path)?;
        let mut export =
            Self { folder, base: Tiling::new().head(), tiling: Tiling::new(), pending: Vec::new() };
        if let Some(note) = export.folder.read(CHECKPOINT_FILE, NOTE_LEN_MAX)? {
            let place = export.folder.path(CHECKPOINT_FILE);
            let checkpoint = SignedCheckpoint::parse(&note)
                .and_then(|checkpoint| checkpoint.verify(origin, key).map(|()| checkpoint))
                .map_err(|error| damaged(&place, &error.to_string()))?;
            export.take_up(checkpoint.checkpoint().head)?;
        }
        export.take_up_rest()?;
        Ok(export)
    }

    /// What the folder's checkpoint commits to.
    pub(super) const fn base(&self) -> TreeHead {
        self.base
    }

    /// Number of leaves so far.
    pub(super) const fn size(&self) -> u64 {
        self.tiling.size()
    }

    /// Takes up the tree of the folder's checkpoint.
    fn take_up(&mut self, base: TreeHead) -> Result<(), ClientError> {
        let mut rows = vec![Vec::new(); usize::from(TILE_LEVELS)];
        for (level, span) in HashTile::partial_in(base.size) {
            let name = span.tile_path(level);
            let hashes = self.must_read(&name, TILE_LEN_MAX, |bytes| decode_hashes(bytes, span))?;
            rows.get_mut(usize::from(level)).into_iter().for_each(|row| row.clone_from(&hashes));
        }
        let other = || damaged(&self.folder.path("tile"), "its tiles are not those of its checkpoint");
        let tiling = Tiling::resume(base.size, rows).map_err(|_| other())?;
        if tiling.head() != base {
            return Err(other());
        }
        let last = base.size.checked_sub(1).and_then(|last| Span::holding(last, base.size));
        if let Some(span) = last.filter(|span| !span.is_full()) {
            let leaves =
                self.bundle(span)?.ok_or_else(|| missing(&self.folder.path(&span.entries_path())))?;
            let hashes = leaves.iter().map(|leaf| leaf_hash(leaf.entry.as_bytes()));
            if !tiling.rows().first().is_some_and(|row| hashes.eq(row.iter().copied())) {
                let place = self.folder.path(&span.entries_path());
                return Err(damaged(&place, "its entries are not those of the checkpoint"));
            }
            self.pending = leaves;
        }
        (self.base, self.tiling) = (base, tiling);
        Ok(())
    }

    /// Takes up the full bundles behind the checkpoint that are good; what is not is read from the service again.
    fn take_up_rest(&mut self) -> Result<(), ClientError> {
        while let Some(span) = Span::of(self.size() / SPAN_LEN, u64::MAX) {
            // Whether they are of this log, the root tells in the end.
            let Ok(Some(leaves)) = self.bundle(span) else { break };
            let (there, new) = leaves.split_at_checked(self.pending.len()).unwrap_or_default();
            if there != self.pending {
                break;
            }
            self.append(new.to_vec())?;
        }
        Ok(())
    }

    /// The leaves of a bundle in the folder, each checked; nothing where there is no such bundle.
    fn bundle(&self, span: Span) -> Result<Option<Vec<LeafEvidence>>, ClientError> {
        let entries = self.read(&span.entries_path(), ENTRY_BUNDLE_LEN_MAX, |bytes| {
            let entries = decode_entries(bytes, span)?;
            Ok(entries
                .into_iter()
                .filter_map(|entry| Blob::try_from(entry.to_vec()).ok())
                .collect::<Vec<_>>())
        })?;
        let Some(entries) = entries else { return Ok(None) };
        let payloads = self.must_read(&span.payload_path(), PAYLOAD_FILE_LEN_MAX, |bytes| {
            PayloadFile::decode(bytes, span)
        })?;
        let leaves: Vec<_> =
            payloads.into_iter().zip(entries).map(|(payload, entry)| payload.beside(entry)).collect();
        for (index, leaf) in (span.first()..).zip(&leaves) {
            check_leaf(index, leaf)
                .map_err(|error| damaged(&self.folder.path(&span.entries_path()), &error.to_string()))?;
        }
        Ok(Some(leaves))
    }

    fn read<T>(
        &self,
        name: &str,
        len_max: usize,
        decode: impl FnOnce(&[u8]) -> Result<T, FileError>,
    ) -> Result<Option<T>, ClientError> {
        let Some(bytes) = self.folder.read(name, len_max)? else { return Ok(None) };
        decode(&bytes).map(Some).map_err(|error| damaged(&self.folder.path(name), &error.to_string()))
    }

    fn must_read<T>(
        &self,
        name: &str,
        len_max: usize,
        decode: impl FnOnce(&[u8]) -> Result<T, FileError>,
    ) -> Result<T, ClientError> {
        self.read(name, len_max, decode)?.ok_or_else(|| missing(&self.folder.path(name)))
    }

    /// Hashes the leaves into the tree and writes each file as it becomes full.
    pub(super) fn add(mut self, leaves: Vec<LeafEvidence>) -> Result<Self, ClientError> {
        self.append(leaves)?;
        Ok(self)
    }

    fn append(&mut self, leaves: Vec<LeafEvidence>) -> Result<(), ClientError> {
        for leaf in leaves {
            let full = self.tiling.append(leaf_hash(leaf.entry.as_bytes()));
            self.pending.push(leaf);
            let Some(lowest) = full.first() else { continue };
            self.write_bundle(lowest.span)?;
            for tile in &full {
                self.folder.put(&tile.path(), &tile.to_bytes())?;
            }
        }
        Ok(())
    }

    /// Writes the pending leaves: the payloads first, because a bundle of entries is taken up with its payloads.
    fn write_bundle(&mut self, span: Span) -> Result<(), ClientError> {
        let leaves = std::mem::take(&mut self.pending);
        let odd = |error: &dyn std::fmt::Display| ClientError::malformed(error.to_string());
        let entries = encode_entries(leaves.iter().map(|leaf| leaf.entry.as_bytes()));
        let entries = entries.map_err(|error| odd(&error))?;
        let payloads = leaves.into_iter().map(|leaf| LeafPayload { salt: leaf.salt, payload: leaf.payload });
        let payloads = PayloadFile::new(payloads.collect()).map_err(|error| odd(&error))?;
        self.folder.put(&span.payload_path(), &cbor::encode(&payloads))?;
        self.folder.put(&span.entries_path(), &entries)
    }

    /// Compares the leaves with the checkpoint and puts the folder under it. The checkpoint comes last, because a
    /// folder under a checkpoint is whole.
    pub(super) fn finish(
        mut self,
        head: TreeHead,
        checkpoint: SignedCheckpoint,
    ) -> Result<SignedCheckpoint, ClientError> {
        if self.tiling.head() != head {
            // Without its first new bundle, nothing that was written now is taken up again.
            if let Some(span) = Span::of(self.base.size / SPAN_LEN, u64::MAX) {
                self.folder.remove(&span.entries_path())?;
            }
            return Err(ClientError::untrusted("the leaves are not those of its checkpoint"));
        }
        let last = head.size.checked_sub(1).and_then(|last| Span::holding(last, head.size));
        if let Some(span) = last.filter(|span| !span.is_full()) {
            self.write_bundle(span)?;
        }
        for tile in self.tiling.partial() {
            self.folder.put(&tile.path(), &tile.to_bytes())?;
        }
        self.folder.commit(checkpoint.as_bytes())?;
        self.tidy()?;
        Ok(checkpoint)
    }

    /// Removes the partial files that the folder's new checkpoint does not need.
    fn tidy(&self) -> Result<(), ClientError> {
        let size = self.tiling.size();
        self.tidy_row(self.base.size, size, Span::entries_path)?;
        self.tidy_row(self.base.size, size, Span::payload_path)?;
        (0..TILE_LEVELS).try_for_each(|level| {
            let [before, now] = [self.base.size, size].map(|size| HashTile::hashes_in(size, level));
            self.tidy_row(before, now, |span| span.tile_path(level))
        })
    }

    fn tidy_row(&self, before: u64, now: u64, path: impl Fn(Span) -> String) -> Result<(), ClientError> {
        for number in before / SPAN_LEN..=now / SPAN_LEN {
            let Some(full) = Span::of(number, u64::MAX) else { break };
            let kept = Span::of(number, now).filter(|span| !span.is_full());
            self.folder.remove_partial(&path(full), kept.map(Span::width))?;
        }
        Ok(())
    }
}

fn missing(path: &Path) -> ClientError {
    damaged(path, "it is missing, and the checkpoint needs it")
}
