//! An ECDSA signature's two integers in DER (RFC 3279 section 2.2.3), as signed notes carry them.
//!
//! Apart because everything else here and in the token writes r then s, 32 bytes each.

use alloc::vec::Vec;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// DER from r then s, 64 bytes; at most 72 bytes.
pub(super) fn to_der(signature: &[u8; 64]) -> Vec<u8> {
    let (r, s) = signature.split_at(32);
    let body = [integer(r), integer(s)].concat();
    tagged(SEQUENCE, &body)
}

/// r then s, 64 bytes; nothing when the bytes are not the one DER encoding of two such integers.
pub(super) fn from_der(der: &[u8]) -> Option<[u8; 64]> {
    let (body, after) = untagged(SEQUENCE, der)?;
    let (r, rest) = untagged(INTEGER, body)?;
    let (s, rest) = untagged(INTEGER, rest)?;
    if !after.is_empty() || !rest.is_empty() {
        return None;
    }
    let mut signature = [0; 64];
    let (r_to, s_to) = signature.split_at_mut(32);
    right_align(r_to, r)?;
    right_align(s_to, s)?;
    // Strict: one signature has one encoding, so negative numbers, needless zeros and long lengths are refused.
    (to_der(&signature) == der).then_some(signature)
}

fn integer(number: &[u8]) -> Vec<u8> {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let digits = number.get(start..).unwrap_or_default();
    // A leading zero keeps the number positive, and stands alone for zero itself.
    let sign: &[u8] = if digits.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    tagged(INTEGER, &[sign, digits].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    // INVARIANT: at most 70 bytes come here, so the length takes the short form.
    let len = u8::try_from(content.len()).unwrap_or(u8::MAX);
    [&[tag, len], content].concat()
}

/// The content of the item at the head of `bytes`, and what follows it.
fn untagged(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.strip_prefix(&[tag])?.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

fn right_align(to: &mut [u8], number: &[u8]) -> Option<()> {
    let digits = if number.len() > to.len() { number.strip_prefix(&[0])? } else { number };
    let start = to.len().checked_sub(digits.len())?;
    to.get_mut(start..)?.copy_from_slice(digits);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::Signature;

    fn signature(r: &[u8], s: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out[32 - r.len()..32].copy_from_slice(r);
        out[64 - s.len()..].copy_from_slice(s);
        out
    }

    #[test]
    fn signatures_of_every_length_agree_with_another_library_and_come_back() {
        for len in 1..=32 {
            for first in [1, 0x7f, 0x80, 0xfe] {
                let mut number = [7; 32];
                number[0] = first;
                let raw = signature(&number[..len], &number[..33 - len]);
                let theirs = Signature::from_slice(&raw).unwrap().to_der();
                assert_eq!(to_der(&raw), theirs.as_bytes());
                assert_eq!(from_der(theirs.as_bytes()), Some(raw));
            }
        }
    }

    #[test]
    fn any_other_encoding_of_a_signature_is_refused() {
        assert_eq!(from_der(&[0x30, 6, 2, 1, 5, 2, 1, 6]), Some(signature(&[5], &[6])));
        let needless_zero = [0x30, 7, 2, 2, 0, 5, 2, 1, 6];
        let negative = [0x30, 6, 2, 1, 0x85, 2, 1, 6];
        let long_length = [0x30, 0x81, 6, 2, 1, 5, 2, 1, 6];
        let empty_number = [0x30, 5, 2, 0, 2, 1, 6];
        let trailing_inside = [0x30, 7, 2, 1, 5, 2, 1, 6, 0];
        let trailing_outside = [0x30, 6, 2, 1, 5, 2, 1, 6, 0];
        let cut = [0x30, 6, 2, 1, 5, 2, 1];
        let set = [0x31, 6, 2, 1, 5, 2, 1, 6];
        let wrong: [&[u8]; 9] = [
            &[],
            &needless_zero,
            &negative,
            &long_length,
            &empty_number,
            &trailing_inside,
            &trailing_outside,
            &cut,
            &set,
        ];
        for der in wrong {
            assert_eq!(from_der(der), None, "{der:02x?}");
        }
    }

    #[test]
    fn a_number_longer_than_32_bytes_is_refused() {
        let mut der = Vec::from([0x30, 38, 2, 33, 1]);
        der.extend_from_slice(&[7; 32]);
        der.extend_from_slice(&[2, 1, 6]);
        assert_eq!(from_der(&der), None);
    }
}
