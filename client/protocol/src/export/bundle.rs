//! The bytes of the files: hash tiles, entry bundles and payload files.
//!
//! Each is decoded for a span, and must have exactly the span's items and no byte more.

use super::span::{SPAN_LEN, Span};
use crate::{
    bytes::{Blob, Digest, Salt},
    cbor::{self, DecodeError},
    list::{List, WrongCount},
    receipt::{LEAF_PAYLOAD_LEN_MAX, LeafEvidence},
    schema::Schema,
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Longest entry, in bytes: that of [`LeafEvidence::entry`].
const ENTRY_LEN_MAX: usize = 256;
/// Longest entry bundle, in bytes: 256 entries of 256 bytes and their lengths of 2, 64.5 KiB.
pub const ENTRY_BUNDLE_LEN_MAX: usize = FULL * (ENTRY_LEN_MAX + 2);
/// Longest payload file, in bytes: 256 of the longest payload (128 KiB), each with a salt of 16 and 16 bytes around
/// them, and a head; 32 MiB.
pub const PAYLOAD_FILE_LEN_MAX: usize = FULL * (LEAF_PAYLOAD_LEN_MAX + 32) + 16;
/// [`SPAN_LEN`] as a number of items in memory.
const FULL: usize = 256;
const _: () = assert!(FULL as u64 == SPAN_LEN, "one number in two types");

/// Why bytes are not the file of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// There are fewer bytes than the items take.
    #[error("it is cut short")]
    CutShort,
    /// There are more bytes than the items take.
    #[error("it has bytes behind its last item")]
    Trailing,
    /// An entry is longer than entries may be.
    #[error("entry {position} of it is longer than 256 bytes")]
    LongEntry {
        /// Its place in the bundle, from 0.
        position: usize,
    },
    /// A payload file does not decode.
    #[error("it does not decode: {0}")]
    Encoding(#[from] DecodeError),
    /// A payload file has another number of leaves than the span.
    #[error("it has {found} leaves where there must be {expected}")]
    WrongCount {
        /// How many it has.
        found: usize,
        /// How many the span has.
        expected: usize,
    },
}

/// Reads the hash tile of a span: 32 bytes for each hash.
///
/// # Errors
/// [`FileError`] when there are fewer or more bytes than that.
pub fn decode_hashes(bytes: &[u8], span: Span) -> Result<Vec<Digest>, FileError> {
    let len = span.width().saturating_mul(Digest::LEN);
    match bytes.len() {
        found if found < len => Err(FileError::CutShort),
        found if found > len => Err(FileError::Trailing),
        _ => Ok(bytes.as_chunks().0.iter().copied().map(Digest::new).collect()),
    }
}

/// Writes the entry bundle of these entries.
///
/// # Errors
/// [`FileError::LongEntry`] for one of more than 256 bytes.
pub fn encode_entries<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::with_capacity(FULL.saturating_mul(128));
    for (position, entry) in entries.enumerate() {
        let len = u16::try_from(entry.len()).ok().filter(|_| entry.len() <= ENTRY_LEN_MAX);
        bytes.extend_from_slice(&len.ok_or(FileError::LongEntry { position })?.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Reads the entry bundle of a span.
///
/// # Errors
/// [`FileError`] when it has fewer or more entries, or one that is too long.
pub fn decode_entries(bytes: &[u8], span: Span) -> Result<Vec<&[u8]>, FileError> {
    let mut entries = Vec::with_capacity(span.width());
    let mut rest = bytes;
    for position in 0..span.width() {
        let (len, after) = rest.split_first_chunk().ok_or(FileError::CutShort)?;
        let len = usize::from(u16::from_be_bytes(*len));
        if len > ENTRY_LEN_MAX {
            return Err(FileError::LongEntry { position });
        }
        let (entry, after) = after.split_at_checked(len).ok_or(FileError::CutShort)?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(FileError::Trailing) }
}

/// What lies beside a leaf's entry: nothing where it is withheld.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafPayload {
    /// Salt of the payload digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Salt>,
    /// The payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Blob<LEAF_PAYLOAD_LEN_MAX>>,
}

impl LeafPayload {
    /// The leaf whose entry this lies beside.
    #[must_use]
    pub fn beside(self, entry: Blob<256>) -> LeafEvidence {
        LeafEvidence { entry, salt: self.salt, payload: self.payload }
    }
}

/// The payloads of a span of leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadFile {
    /// Field 0.
    pub schema: Schema,
    /// One for each leaf, in order.
    pub payloads: List<LeafPayload, FULL>,
}

impl PayloadFile {
    /// The file of these payloads.
    ///
    /// # Errors
    /// [`WrongCount`] for more than 256 of them.
    pub fn new(payloads: Vec<LeafPayload>) -> Result<Self, WrongCount> {
        Ok(Self { schema: Schema, payloads: payloads.try_into()? })
    }

    /// Reads the payload file of a span.
    ///
    /// # Errors
    /// [`FileError`] when it is not one, or has another number of leaves.
    pub fn decode(bytes: &[u8], span: Span) -> Result<Vec<LeafPayload>, FileError> {
        let file: Self = cbor::decode(bytes, PAYLOAD_FILE_LEN_MAX)?;
        match file.payloads.len() {
            found if found == span.width() => Ok(file.payloads.into_vec()),
            found => Err(FileError::WrongCount { found, expected: span.width() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn span(width: u64) -> Span {
        Span::of(0, width).unwrap()
    }

    #[test]
    fn an_entry_bundle_has_its_golden_bytes_and_is_read_back() {
        let entries: [&[u8]; 2] = [b"abc", &[7; 256]];
        let bytes = encode_entries(entries.into_iter()).unwrap();
        assert_eq!(&bytes[..8], [0, 3, b'a', b'b', b'c', 1, 0, 7]);
        assert_eq!(decode_entries(&bytes, span(2)).unwrap(), entries);
    }

    #[test]
    fn a_bundle_with_an_entry_less_or_more_is_refused() {
        let bytes = encode_entries([&b"abc"[..], b"de"].into_iter()).unwrap();
        assert_eq!(decode_entries(&bytes, span(3)), Err(FileError::CutShort));
        assert_eq!(decode_entries(&bytes, span(1)), Err(FileError::Trailing));
        assert_eq!(decode_entries(&bytes[..8], span(2)), Err(FileError::CutShort));
        assert_eq!(decode_entries(&bytes[..6], span(2)), Err(FileError::CutShort));
    }

    #[test]
    fn an_entry_of_257_bytes_is_neither_written_nor_read() {
        let refused = FileError::LongEntry { position: 1 };
        assert_eq!(encode_entries([&b"a"[..], &[0; 257]].into_iter()), Err(refused));
        let mut bytes = vec![0, 1, 9, 1, 1];
        bytes.extend_from_slice(&[0; 257]);
        assert_eq!(decode_entries(&bytes, span(2)), Err(refused));
    }

    #[test]
    fn a_tile_is_hash_after_hash_and_nothing_else() {
        let hashes = [Digest::new([1; 32]), Digest::new([2; 32])];
        let bytes = [[1_u8; 32], [2; 32]].concat();
        assert_eq!(decode_hashes(&bytes, span(2)).unwrap(), hashes);
        assert_eq!(decode_hashes(&bytes, span(3)), Err(FileError::CutShort));
        assert_eq!(decode_hashes(&bytes, span(1)), Err(FileError::Trailing));
        assert_eq!(decode_hashes(&bytes[..63], span(2)), Err(FileError::CutShort));
    }

    #[test]
    fn a_payload_file_has_its_golden_bytes_and_is_read_back() {
        let shown = LeafPayload { salt: Some(Salt::new([9; 16])), payload: Blob::try_from(vec![7]).ok() };
        let payloads = vec![LeafPayload::default(), shown];
        let bytes = cbor::encode(&PayloadFile::new(payloads.clone()).unwrap());
        let golden =
            [&[0xa2, 0x00, 0x01, 0x01, 0x82, 0xa0, 0xa2, 0x00, 0x50][..], &[9; 16], &[0x01, 0x41, 7]];
        assert_eq!(bytes, golden.concat());
        assert_eq!(PayloadFile::decode(&bytes, span(2)), Ok(payloads));
        let expected = FileError::WrongCount { found: 2, expected: 3 };
        assert_eq!(PayloadFile::decode(&bytes, span(3)), Err(expected));
        assert!(matches!(PayloadFile::decode(&bytes[1..], span(2)), Err(FileError::Encoding(_))));
    }

    proptest! {
        #[test]
        fn what_is_read_of_any_bytes_is_written_back_the_same(bytes in prop::collection::vec(0_u8..8, 0..64), width in 1_u64..8) {
            if let Ok(entries) = decode_entries(&bytes, span(width)) {
                prop_assert_eq!(entries.len() as u64, width);
                prop_assert_eq!(encode_entries(entries.into_iter()).unwrap(), bytes);
            }
        }
    }
}
