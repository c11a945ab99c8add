//! The hash tiles of a growing tree: what the writer writes, and what the verifier compares files with.
//!
//! Keeps the hashes of the tiles that are not full yet, at most 255 for each of eight levels (64 KiB). They are all
//! that is needed to go on later, and the root follows from them.

use super::span::{SPAN_LEN, Span};
use crate::{
    bytes::Digest,
    merkle::{TreeHead, empty_root, node_hash},
};
use alloc::{string::String, vec::Vec};

/// Levels of tiles: each spans 8 levels of the tree, and a tree has at most 64.
pub const TILE_LEVELS: u8 = 8;
/// Tree levels that a tile spans: 256 is 2 to the 8th.
pub const TILE_HEIGHT: u8 = 8;
const _: () = assert!(1 << TILE_HEIGHT == SPAN_LEN, "a tile is as wide as it is high");

/// A hash tile: hashes of tree level `8 * level`, of perfect subtrees alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashTile {
    /// Its level: L in C2SP's paths.
    pub level: u8,
    /// Which hashes of its level.
    pub span: Span,
    /// The hashes.
    pub hashes: Vec<Digest>,
}

impl HashTile {
    /// Its path in the export folder.
    #[must_use]
    pub fn path(&self) -> String {
        self.span.tile_path(self.level)
    }

    /// Its bytes: the hashes one after another.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
    }

    /// The tiles that are not full in a tree of `size` leaves: level and span.
    pub fn partial_in(size: u64) -> impl Iterator<Item = (u8, Span)> {
        (0..TILE_LEVELS).filter_map(move |level| {
            let len = Self::hashes_in(size, level);
            let span = Span::holding(len.checked_sub(1)?, len)?;
            (!span.is_full()).then_some((level, span))
        })
    }

    /// How many hashes tiles of this level have in a tree of `size` leaves.
    #[must_use]
    pub fn hashes_in(size: u64, level: u8) -> u64 {
        size.unbounded_shr(u32::from(TILE_HEIGHT).saturating_mul(u32::from(level)))
    }
}

/// The hashes given are not those of partial tiles in a tree of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("other hashes than a tree of {size} leaves has in its partial tiles")]
pub struct WrongRows {
    /// The size, in leaves.
    pub size: u64,
}

/// A tree that grows, by its tiles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tiling {
    size: u64,
    // INVARIANT: row L has the last hashes of level L that fill no tile: (size >> 8 L) mod 256 of them.
    rows: [Vec<Digest>; TILE_LEVELS as usize],
}

impl Tiling {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of `size` leaves whose partial tiles have these hashes, level 0 first; levels without may be left
    /// out at the end. Whether they are the hashes of a tree that anyone signed is for the caller to compare.
    ///
    /// # Errors
    /// [`WrongRows`] when a level has more or fewer than a tree of that size.
    pub fn resume(size: u64, rows: Vec<Vec<Digest>>) -> Result<Self, WrongRows> {
        if rows.len() > usize::from(TILE_LEVELS) {
            return Err(WrongRows { size });
        }
        let mut tiling = Self { size, ..Self::default() };
        tiling.rows.iter_mut().zip(rows).for_each(|(row, hashes)| *row = hashes);
        let fits = (0..TILE_LEVELS).zip(&tiling.rows).all(|(level, row)| {
            let width = HashTile::hashes_in(size, level) & SPAN_LEN.saturating_sub(1);
            u64::try_from(row.len()) == Ok(width)
        });
        if fits { Ok(tiling) } else { Err(WrongRows { size }) }
    }

    /// The hashes in partial tiles, level 0 first.
    #[must_use]
    pub const fn rows(&self) -> &[Vec<Digest>; TILE_LEVELS as usize] {
        &self.rows
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash; gives the tiles that it fills, level 0 first.
    pub fn append(&mut self, leaf: Digest) -> Vec<HashTile> {
        // Never saturates: at a million leaves a second 2^64 of them take 580,000 years.
        self.size = self.size.saturating_add(1);
        let mut full = Vec::new();
        let mut hash = leaf;
        for (level, row) in (0..TILE_LEVELS).zip(&mut self.rows) {
            row.push(hash);
            let len = HashTile::hashes_in(self.size, level);
            let span = len.checked_sub(1).and_then(|last| Span::holding(last, len));
            let Some(span) = span.filter(|span| span.is_full()) else { break };
            let hashes = core::mem::take(row);
            let Some(root) = subtree(&hashes) else { break };
            full.push(HashTile { level, span, hashes });
            hash = root;
        }
        full
    }

    /// The tiles that are not full.
    pub fn partial(&self) -> impl Iterator<Item = HashTile> {
        HashTile::partial_in(self.size)
            .zip(self.rows.iter().filter(|row| !row.is_empty()))
            .map(|((level, span), hashes)| HashTile { level, span, hashes: hashes.clone() })
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Digest {
        // The perfect subtrees of the tree, largest and leftmost first.
        let mut roots = Vec::new();
        for row in self.rows.iter().rev() {
            let mut rest = row.as_slice();
            for width in (0..TILE_HEIGHT).rev().map(|level| 1_usize.unbounded_shl(u32::from(level))) {
                if rest.len() & width != 0 {
                    let (left, right) = rest.split_at_checked(width).unwrap_or((rest, &[]));
                    roots.extend(subtree(left));
                    rest = right;
                }
            }
        }
        roots.into_iter().rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }

    /// Size and root.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: self.root() }
    }
}

/// The root of the perfect subtree over these neighbouring nodes; nothing when they are not a power of two.
#[must_use]
pub fn subtree(nodes: &[Digest]) -> Option<Digest> {
    if !nodes.len().is_power_of_two() {
        return None;
    }
    let mut level = nodes.to_vec();
    while level.len() > 1 {
        level = level.as_chunks().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    level.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Frontier, leaf_hash};
    use alloc::{collections::BTreeMap, format, vec};

    fn entry(index: u64) -> Vec<u8> {
        format!("entry {index}").into_bytes()
    }

    /// Every tile file of a tree, by path, as a writer leaves them.
    fn files(size: u64) -> BTreeMap<String, Vec<u8>> {
        let mut tiling = Tiling::new();
        let mut files = BTreeMap::new();
        for index in 0..size {
            let full = tiling.append(leaf_hash(&entry(index)));
            files.extend(full.iter().map(|tile| (tile.path(), tile.to_bytes())));
        }
        files.extend(tiling.partial().map(|tile| (tile.path(), tile.to_bytes())));
        files
    }

    #[test]
    fn files_are_those_of_an_independent_implementation() {
        struct Stored(Vec<tlog_tiles::Hash>);
        impl tlog_tiles::HashReader for Stored {
            fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
                Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
            }
        }
        let mut stored = Stored(Vec::new());
        for index in 0..66_000 {
            let completed = tlog_tiles::stored_hashes(index, &entry(index), &stored).unwrap();
            stored.0.extend(completed);
        }
        for size in [1, 255, 256, 257, 600, 65_535, 65_536, 66_000] {
            let expected = tlog_tiles::Tile::new_tiles(8, 0, size).into_iter().map(|tile| {
                let path = tile.path().replacen("tile/8/", "tile/", 1);
                (path, tile.read_data(&stored).unwrap())
            });
            assert_eq!(files(size), expected.collect(), "{size}");
        }
    }

    #[test]
    fn the_root_is_the_frontiers_at_every_size() {
        let (mut tiling, mut frontier) = (Tiling::new(), Frontier::new());
        assert_eq!(tiling.head(), frontier.head());
        for index in 0..1100 {
            drop(tiling.append(leaf_hash(&entry(index))));
            drop(frontier.append(leaf_hash(&entry(index))));
            assert_eq!(tiling.head(), frontier.head(), "{index}");
        }
    }

    #[test]
    fn a_tree_resumed_from_its_partial_tiles_goes_on_as_if_it_had_never_stopped() {
        let mut whole = Tiling::new();
        for index in 0..66_000 {
            drop(whole.append(leaf_hash(&entry(index))));
            if [1, 255, 256, 300, 65_535, 65_536].contains(&whole.size()) {
                let resumed = Tiling::resume(whole.size(), whole.rows().to_vec()).unwrap();
                assert_eq!(resumed, whole);
            }
        }
    }

    #[test]
    fn rows_of_another_size_are_refused() {
        let hash = Digest::new([1; 32]);
        for (size, rows) in
            [(1, vec![]), (2, vec![vec![hash]]), (256, vec![vec![hash]]), (0, vec![vec![]; 9])]
        {
            assert_eq!(Tiling::resume(size, rows), Err(WrongRows { size }));
        }
        assert_eq!(Tiling::resume(0, vec![]), Ok(Tiling::new()));
        assert!(Tiling::resume(256, vec![vec![], vec![hash]]).is_ok());
    }

    #[test]
    fn partial_tiles_are_named_by_size_alone() {
        let named =
            |size| HashTile::partial_in(size).map(|(level, span)| span.tile_path(level)).collect::<Vec<_>>();
        assert_eq!(named(0), Vec::<String>::new());
        assert_eq!(named(256), ["tile/1/000.p/1"]);
        assert_eq!(named(70_000), ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    }
}
