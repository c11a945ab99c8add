//! The export folder: a log's leaves as files that an auditor verifies offline.
//!
//! The folder holds the signed note [`CHECKPOINT_FILE`] and, under [`LEAVES_FOLDER`], one [`LeafFile`] for every
//! [`FILE_LEN`] leaves, named by [`file_name`]. All of them up to the checkpoint's size are there, only the last one
//! may hold fewer. The checkpoint is written last: a folder without one is an export that was broken off.
//! Apart because the client writes and the auditor's program reads it. It opens no files.

use crate::{
    list::{List, WrongCount},
    receipt::{LEAF_PAYLOAD_LEN_MAX, LeafEvidence},
    schema::Schema,
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Most leaves in one file; every file but the last has as many.
pub const FILE_LEN: usize = 256;
/// Largest file, in bytes: [`FILE_LEN`] of the largest payload, an entry of 256 bytes and 64 bytes around them.
pub const FILE_BYTES_MAX: usize = FILE_LEN * (LEAF_PAYLOAD_LEN_MAX + 256 + 64) + 64;
/// Name of the signed note in the export folder.
pub const CHECKPOINT_FILE: &str = "checkpoint";
/// Name of the folder of leaf files in the export folder.
pub const LEAVES_FOLDER: &str = "leaves";

/// One file of leaves: packed CBOR, as everything on the wire ([`crate::cbor`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafFile {
    /// Field 0.
    pub schema: Schema,
    /// Index of the first leaf: a multiple of [`FILE_LEN`].
    pub first: u64,
    /// The leaves in order.
    pub leaves: List<LeafEvidence, FILE_LEN>,
}

impl LeafFile {
    /// The file of these leaves.
    ///
    /// # Errors
    /// [`WrongCount`] for more than [`FILE_LEN`] of them.
    pub fn new(first: u64, leaves: Vec<LeafEvidence>) -> Result<Self, WrongCount> {
        Ok(Self { schema: Schema, first, leaves: leaves.try_into()? })
    }
}

/// The name of the file that begins with leaf `first`: twelve digits or more, and `.cbor`, so that names sort as
/// the leaves do.
#[must_use]
pub fn file_name(first: u64) -> String {
    format!("{first:012}.cbor")
}

/// Index of the first leaf of the file that holds leaf `index`.
#[must_use]
pub const fn first_of(index: u64) -> u64 {
    match index.checked_rem(FILE_LEN as u64) {
        Some(past) => index.saturating_sub(past),
        None => index,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bytes::Blob, cbor};
    use alloc::vec;

    fn leaf(byte: u8) -> LeafEvidence {
        LeafEvidence { entry: Blob::try_from(vec![byte]).unwrap(), salt: None, payload: None }
    }

    #[test]
    fn file_names_sort_as_the_leaves_do() {
        assert_eq!(file_name(0), "000000000000.cbor");
        assert_eq!(file_name(256), "000000000256.cbor");
        assert!(file_name(256) < file_name(1024));
    }

    #[test]
    fn a_leaf_lies_in_the_file_of_its_first_neighbour() {
        assert_eq!([first_of(0), first_of(255), first_of(256), first_of(700)], [0, 0, 256, 512]);
    }

    #[test]
    fn a_file_of_leaves_has_its_golden_bytes_and_is_read_back() {
        let file = LeafFile::new(256, vec![leaf(7)]).unwrap();
        let bytes = cbor::encode(&file);
        assert_eq!(bytes, [0xa3, 0x00, 0x01, 0x01, 0x19, 0x01, 0x00, 0x02, 0x81, 0xa1, 0x00, 0x41, 0x07]);
        assert_eq!(cbor::decode::<LeafFile>(&bytes, FILE_BYTES_MAX), Ok(file));
    }

    #[test]
    fn more_leaves_than_a_file_has_are_refused() {
        let leaves = vec![leaf(1); FILE_LEN + 1];
        assert_eq!(LeafFile::new(0, leaves).unwrap_err(), WrongCount { found: 257, max: 256 });
    }
}
