//! The export folder: a log as files that an auditor verifies offline, laid out as C2SP tlog-tiles asks.
//!
//! ```text
//! checkpoint                   the signed note; written last, so that all below it is there
//! tile/<L>/<N>[.p/<W>]         hash tiles: 32 bytes for each hash of tree level 8 L, 256 in a full one
//! tile/entries/<N>[.p/<W>]     entry bundles: for each leaf a length (2 bytes, big-endian) and its entry
//! payload/<N>[.p/<W>]          ours: for each leaf of the bundle N its salt and payload, or neither
//! ```
//!
//! N is written in groups of three digits, all but the last behind an `x` (`x001/x234/067`). A file with fewer than
//! 256 items is partial and has their number W behind it, so it never takes the place of another: a folder stays
//! whole under its old checkpoint until the new one is written. Files that a checkpoint does not need are no part
//! of its log: an export that was broken off leaves some. A payload file is packed CBOR as everything on the wire
//! ([`crate::cbor`]): `{0: 1, 1: [{0: salt, 1: payload}, ..]}`, an empty map where both are withheld.
//!
//! Apart because the client writes and the auditor's program reads it. It opens no files.

mod bundle;
mod span;
mod tiling;

pub use bundle::{
    ENTRY_BUNDLE_LEN_MAX, FileError, LeafPayload, PAYLOAD_FILE_LEN_MAX, PayloadFile, decode_entries,
    decode_hashes, encode_entries,
};
pub use span::{SPAN_LEN, Span};
pub use tiling::{HashTile, TILE_HEIGHT, TILE_LEVELS, Tiling, WrongRows, subtree};

/// Name of the signed note in the export folder.
pub const CHECKPOINT_FILE: &str = "checkpoint";
/// Name of the folder of leaves that exports had before they were tiles: told apart, no longer read.
pub const OLD_LEAVES_FOLDER: &str = "leaves";
