//! The value as bytes, core deterministic (RFC 8949 section 4.2.1): shortest heads, definite lengths, keys ascending.

use super::{DEPTH_MAX, Value};
use keysvc_client::protocol::cbor::{head, read_head};

/// Encodes a value; a map's pairs in the order of their encoded keys.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, value);
    out
}

fn put(out: &mut Vec<u8>, value: &Value) {
    let len = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    match value {
        Value::Unsigned(number) => head(out, 0, *number),
        Value::Negative(number) => head(out, 1, *number),
        Value::Bytes(bytes) => {
            head(out, 2, len(bytes.len()));
            out.extend_from_slice(bytes);
        }
        Value::Text(text) => {
            head(out, 3, len(text.len()));
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(items) => {
            head(out, 4, len(items.len()));
            for item in items {
                put(out, item);
            }
        }
        Value::Map(pairs) => {
            head(out, 5, len(pairs.len()));
            let mut pairs: Vec<_> = pairs.iter().map(|(key, value)| (encode(key), value)).collect();
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
            for (key, value) in pairs {
                out.extend_from_slice(&key);
                put(out, value);
            }
        }
        Value::Tag(tag, value) => {
            head(out, 6, *tag);
            put(out, value);
        }
        Value::Bool(value) => head(out, 7, if *value { 21 } else { 20 }),
        Value::Null => head(out, 7, 22),
    }
}

/// Decodes one value that fills all the bytes; nothing where they are not the one encoding of a value of the subset.
pub(crate) fn decode(bytes: &[u8]) -> Option<Value> {
    let (value, rest) = take(bytes, DEPTH_MAX)?;
    rest.is_empty().then_some(value)
}

fn take(bytes: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let (major, argument, rest) = read_head(bytes)?;
    let string = || rest.split_at_checked(usize::try_from(argument).ok()?);
    match major {
        0 => Some((Value::Unsigned(argument), rest)),
        1 => Some((Value::Negative(argument), rest)),
        2 => string().map(|(bytes, rest)| (Value::Bytes(bytes.to_vec()), rest)),
        3 => {
            let (text, rest) = string()?;
            Some((Value::Text(str::from_utf8(text).ok()?.to_owned()), rest))
        }
        4 => array(rest, argument, depth.checked_sub(1)?),
        5 => map(rest, argument, depth.checked_sub(1)?),
        6 => {
            let (value, rest) = take(rest, depth.checked_sub(1)?)?;
            Some((Value::Tag(argument, Box::new(value)), rest))
        }
        _ => match argument {
            20 => Some((Value::Bool(false), rest)),
            21 => Some((Value::Bool(true), rest)),
            22 => Some((Value::Null, rest)),
            _ => None,
        },
    }
}

// Nothing is reserved for a count that is only claimed: each item takes a byte, so the bytes bound the work.
fn array(mut rest: &[u8], count: u64, depth: usize) -> Option<(Value, &[u8])> {
    let mut items = Vec::new();
    for _ in 0..count {
        let (item, after) = take(rest, depth)?;
        items.push(item);
        rest = after;
    }
    Some((Value::Array(items), rest))
}

fn map(mut rest: &[u8], count: u64, depth: usize) -> Option<(Value, &[u8])> {
    let (mut pairs, mut last): (_, &[u8]) = (Vec::new(), &[]);
    for _ in 0..count {
        let (key, after) = take(rest, depth)?;
        let encoded = rest.get(..rest.len().checked_sub(after.len())?)?;
        // Strictly ascending, so that none comes twice; no encoding is empty.
        if encoded <= last {
            return None;
        }
        last = encoded;
        let (value, after) = take(after, depth)?;
        pairs.push((key, value));
        rest = after;
    }
    Some((Value::Map(pairs), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_are_encoded_as_there() {
        // RFC 8949 appendix A.
        let examples: [(Value, &[u8]); 8] = [
            (Value::Unsigned(1_000_000), &[0x1a, 0, 0x0f, 0x42, 0x40]),
            (Value::Negative(u64::MAX), &[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            (Value::Bytes(vec![1, 2, 3, 4]), &[0x44, 1, 2, 3, 4]),
            (Value::Text("\u{fc}".into()), &[0x62, 0xc3, 0xbc]),
            (Value::Bool(false), &[0xf4]),
            (Value::Bool(true), &[0xf5]),
            (Value::Null, &[0xf6]),
            (Value::Tag(1, Box::new(Value::Unsigned(1_363_896_240))), &[0xc1, 0x1a, 0x51, 0x4b, 0x67, 0xb0]),
        ];
        for (value, bytes) in examples {
            assert_eq!(encode(&value), bytes);
            assert_eq!(decode(bytes), Some(value));
        }
    }

    #[test]
    fn keys_typed_in_another_order_are_encoded_in_ascending_order() {
        let pair = |key| (Value::Unsigned(key), Value::Null);
        let map = Value::Map(vec![pair(10), pair(2), pair(100)]);
        assert_eq!(encode(&map), [0xa3, 2, 0xf6, 10, 0xf6, 0x18, 100, 0xf6]);
    }

    #[test]
    fn other_encodings_of_the_same_value_are_refused() {
        let bad: [&[u8]; 9] = [
            &[],
            &[0x18, 1],
            &[0x9f, 0xff],
            &[0xa2, 1, 0xf6, 0, 0xf6],
            &[0xa2, 1, 0xf6, 1, 0xf6],
            &[0xf9, 0, 0],
            &[0xf7],
            &[0x00, 0x00],
            &[0x61, 0xff],
        ];
        for bytes in bad {
            assert_eq!(decode(bytes), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn deep_nesting_and_claimed_lengths_cost_nothing() {
        assert_eq!(decode(&vec![0x81; 100_000]), None);
        assert_eq!(decode(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(decode(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
