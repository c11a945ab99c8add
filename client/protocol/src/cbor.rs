//! The wire's CBOR: packed maps with integer keys, one byte string per value (RFC 8949 section 4.2.1).
//!
//! The only file that names the codec. Decoding is strict: size cap, typed decode, re-encode, and the bytes must
//! be equal; so duplicate keys, unknown fields, non-minimal integers, indefinite lengths, tags, arrays in place of
//! maps and trailing bytes are all refused without a list of them. What the smallest terminals read has a decoder of its
//! own, the [`Reader`], which refuses the same.

mod reader;

pub use reader::Reader;

use alloc::vec::Vec;
use serde::{Serialize, de::DeserializeOwned};

/// Largest request body, in bytes: 1,000 card identifiers of 10 bytes take 11 KiB, so 64 KiB leaves room.
pub const REQUEST_LEN_MAX: usize = 64 * 1024;
/// Largest reply and largest frame between front and keeper, in bytes: 1,000 cards in 8 slots take 440 KiB.
pub const REPLY_LEN_MAX: usize = 1024 * 1024;

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are longer than this kind of message may be.
    #[error("longer than {max} bytes")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// The bytes are not the typed message: wrong type, unknown or missing field, value out of range.
    #[error("not a message of this kind")]
    Malformed,
    /// The bytes decode, but are not the one encoding of what they say.
    #[error("not in core deterministic encoding")]
    NotCanonical,
}

/// Encodes `value` as packed core-deterministic CBOR.
///
/// # Panics
/// Never for the types of this crate: writing to memory cannot fail, and none of them refuses to serialize.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let mut serializer = serde_cbor::Serializer::new(&mut bytes).packed_format();
    // Writing to a vector has no failure; an empty result would be refused by every decoder.
    if value.serialize(&mut serializer).is_err() {
        bytes.clear();
    }
    bytes
}

/// Decodes `bytes` strictly as a `T` of at most `max` bytes.
///
/// # Errors
/// [`DecodeError`] when the bytes are too long, not a `T`, or not its one encoding.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLong { max });
    }
    let mut deserializer = serde_cbor::Deserializer::from_slice(bytes);
    let value = T::deserialize(&mut deserializer).map_err(|_| DecodeError::Malformed)?;
    deserializer.end().map_err(|_| DecodeError::Malformed)?;
    if encode(&value) == bytes { Ok(value) } else { Err(DecodeError::NotCanonical) }
}

/// Appends the head of a CBOR item: major type (0 to 7) and argument, in its shortest form (RFC 8949 section 3).
/// For the few structures written by hand because signatures cover their bytes ([`crate::cose`]), and for programs that
/// show messages to people.
pub fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    let bytes = argument.to_be_bytes();
    match argument {
        0..=23 => out.push(major | bytes[7]),
        24..=0xff => out.extend_from_slice(&[major | 0x18, bytes[7]]),
        0x100..=0xffff => {
            out.push(major | 0x19);
            out.extend_from_slice(&argument.to_be_bytes()[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 0x1a);
            out.extend_from_slice(&argument.to_be_bytes()[4..]);
        }
        _ => {
            out.push(major | 0x1b);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Reads the head of a CBOR item in its shortest form; gives major type, argument and what follows.
#[must_use]
pub fn read_head(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let width = match first & 0x1f {
        small @ 0..=23 => return Some((first >> 5, u64::from(small), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (argument, rest) = rest.split_at_checked(width)?;
    let argument = argument.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let shortest = match width {
        1 => argument > 23,
        2 => argument > 0xff,
        4 => argument > 0xffff,
        _ => argument > 0xffff_ffff,
    };
    shortest.then_some((first >> 5, argument, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bytes::Idem, schema::Schema};
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Numbered {
        schema: Schema,
        idem: Idem,
    }
    use alloc::vec;

    fn open() -> Numbered {
        Numbered { schema: Schema, idem: Idem::new([7; 16]) }
    }

    #[test]
    fn a_message_survives_encoding_and_decoding() {
        let bytes = encode(&open());
        assert_eq!(decode::<Numbered>(&bytes, 100), Ok(open()));
    }

    #[test]
    fn field_names_are_small_integers_in_ascending_order() {
        let mut golden = vec![0xa2, 0x00, 0x01, 0x01, 0x50];
        golden.extend_from_slice(&[7; 16]);
        assert_eq!(encode(&open()), golden);
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encode(&open());
        bytes.push(0);
        assert_eq!(decode::<Numbered>(&bytes, 100), Err(DecodeError::Malformed));
    }

    #[test]
    fn a_non_minimal_integer_is_refused() {
        let mut bytes = vec![0xa2, 0x00, 0x18, 0x01, 0x01, 0x50];
        bytes.extend_from_slice(&[7; 16]);
        assert_eq!(decode::<Numbered>(&bytes, 100), Err(DecodeError::NotCanonical));
    }

    #[test]
    fn an_indefinite_map_is_refused() {
        let mut bytes = vec![0xbf, 0x00, 0x01, 0x01, 0x50];
        bytes.extend_from_slice(&[7; 16]);
        bytes.push(0xff);
        assert_eq!(decode::<Numbered>(&bytes, 100), Err(DecodeError::NotCanonical));
    }

    #[test]
    fn a_duplicate_key_is_refused() {
        let mut bytes = vec![0xa3, 0x00, 0x01, 0x00, 0x01, 0x01, 0x50];
        bytes.extend_from_slice(&[7; 16]);
        assert_eq!(decode::<Numbered>(&bytes, 100), Err(DecodeError::Malformed));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let mut bytes = vec![0xa3, 0x00, 0x01, 0x01, 0x50];
        bytes.extend_from_slice(&[7; 16]);
        bytes.extend_from_slice(&[0x02, 0x00]);
        assert_eq!(decode::<Numbered>(&bytes, 100), Err(DecodeError::Malformed));
    }

    #[test]
    fn another_schema_number_is_refused() {
        let mut bytes = vec![0xa2, 0x00, 0x02, 0x01, 0x50];
        bytes.extend_from_slice(&[7; 16]);
        assert_eq!(decode::<Numbered>(&bytes, 100), Err(DecodeError::Malformed));
    }

    #[test]
    fn fields_out_of_order_or_as_text_or_as_an_array_are_refused() {
        let mut swapped = vec![0xa2, 0x01, 0x50];
        swapped.extend_from_slice(&[7; 16]);
        swapped.extend_from_slice(&[0x00, 0x01]);
        assert_eq!(decode::<Numbered>(&swapped, 100), Err(DecodeError::NotCanonical));
        let mut array = vec![0x82, 0x01, 0x50];
        array.extend_from_slice(&[7; 16]);
        assert_eq!(decode::<Numbered>(&array, 100), Err(DecodeError::NotCanonical));
    }

    #[test]
    fn a_message_over_its_size_cap_is_refused_before_it_is_read() {
        assert_eq!(decode::<Numbered>(&encode(&open()), 20), Err(DecodeError::TooLong { max: 20 }));
    }

    #[test]
    fn heads_are_read_back_and_only_in_their_shortest_form() {
        for argument in [0, 23, 24, 255, 256, 65_535, 65_536, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            head(&mut bytes, 2, argument);
            assert_eq!(read_head(&bytes), Some((2, argument, &[][..])));
        }
        assert_eq!(read_head(&[0x58, 0x17]), None);
        assert_eq!(read_head(&[0x5f]), None);
    }
}
