//! Alterations of what the service signed: each by its name, with the words in which the second verifier refuses it.

use keysvc_protocol::checkpoint::SignedCheckpoint;

/// Something altered.
pub struct Altered {
    /// What was done to it.
    pub name: &'static str,
    /// What came of it.
    pub bytes: Vec<u8>,
    /// How the second verifier's refusal begins.
    pub refused: &'static str,
}

impl Altered {
    pub fn new(name: &'static str, bytes: Vec<u8>, refused: &'static str) -> Self {
        Self { name, bytes, refused }
    }
}

/// The order of P-256, big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The other s that verifies: the order less this one.
fn other_s(s: [u8; 32]) -> [u8; 32] {
    let mut borrow = 0;
    let mut other = [0; 32];
    for position in (0..32).rev() {
        let difference = i16::from(ORDER[position]) - i16::from(s[position]) - borrow;
        borrow = i16::from(difference < 0);
        other[position] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    other
}

/// Where the parts of a `COSE_Sign1` in the profile's form are: tag and array, 25 bytes of protected header with a kind
/// of 10 letters, an empty map, the payload with its length, the signature.
const ALGORITHM: usize = 6;
const IDENTIFIER: usize = 9;
const KIND_END: usize = 28;
const UNPROTECTED: usize = 29;
const PAYLOAD: usize = 30;

/// A signed message altered in every part. `stranger` is how one by another key is refused.
pub fn message(good: &[u8], stranger: &'static str) -> Vec<Altered> {
    const FORM: &str = "not a COSE_Sign1 in the profile's form";
    const ENCODING: &str = "not in core deterministic encoding";
    const SIGNATURE: &str = "the signature does not verify";
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.to_vec();
        edit(&mut bytes);
        bytes
    };
    assert_eq!((good[UNPROTECTED], good[PAYLOAD] & 0xfe), (0xa0, 0x58), "another form than expected");
    let s_begins = good.len() - 32;
    let twin = |bytes: &mut Vec<u8>| {
        let s = other_s(bytes[s_begins..].try_into().unwrap());
        bytes[s_begins..].copy_from_slice(&s);
    };
    let longer = |bytes: &mut Vec<u8>| {
        let wide: &[u8] = if bytes[PAYLOAD] == 0x58 { &[0x59, 0] } else { &[0x5a, 0, 0] };
        bytes.splice(PAYLOAD..=PAYLOAD, wide.iter().copied());
    };
    let indefinite = |bytes: &mut Vec<u8>| {
        bytes[1] = 0x9f;
        bytes.push(0xff);
    };
    vec![
        Altered::new("another payload", edited(&|bytes| bytes[PAYLOAD + 9] ^= 1), SIGNATURE),
        Altered::new("another signature", edited(&|bytes| bytes[s_begins - 9] ^= 1), SIGNATURE),
        Altered::new("the other s", edited(&twin), "the signature is not in low-S form"),
        Altered::new("another key", edited(&|bytes| bytes[IDENTIFIER] ^= 1), stranger),
        Altered::new("another kind", edited(&|bytes| bytes[KIND_END] = b'9'), "a message of kind"),
        Altered::new("another algorithm", edited(&|bytes| bytes[ALGORITHM] = 0x27), FORM),
        Altered::new(
            "a header that is not signed",
            edited(&|bytes| drop(bytes.splice(29..30, [0xa1, 1, 0x26]))),
            FORM,
        ),
        Altered::new("without its tag", edited(&|bytes| _ = bytes.remove(0)), "not a COSE_Sign1"),
        Altered::new("a byte more", edited(&|bytes| bytes.push(0)), ENCODING),
        Altered::new("a byte less", edited(&|bytes| _ = bytes.pop()), "not CBOR"),
        Altered::new("a longer length than it needs", edited(&longer), ENCODING),
        Altered::new("an array without its length", edited(&indefinite), ENCODING),
    ]
}

/// A checkpoint altered in every part.
pub fn checkpoint(good: &SignedCheckpoint, spki: &[u8; 91]) -> Vec<Altered> {
    const FORM: &str = "the checkpoint is not one";
    const SIGNATURE: &str = "the checkpoint's signature does not verify";
    let text = std::str::from_utf8(good.as_bytes()).unwrap();
    let size = good.checkpoint().head.size;
    let root = text.lines().nth(2).unwrap();
    let line = text.lines().nth(4).unwrap();
    let blob = line.rsplit(' ').next().unwrap();
    let with = |from: &str, to: &str| text.replacen(from, to, 1).into_bytes();
    let other = |base64: &str, position: usize| {
        let mut letters = base64.as_bytes().to_vec();
        letters[position] = if letters[position] == b'A' { b'B' } else { b'A' };
        String::from_utf8(letters).unwrap()
    };
    let der = from_base64(blob);
    let (r, rest) = integer(&der[6..]);
    let (s, _) = integer(rest);
    let high: [u8; 64] = [r, other_s(s)].concat().try_into().unwrap();
    let twin = SignedCheckpoint::assemble(good.checkpoint(), &high, spki).as_bytes().to_vec();
    let spelt = respelt(root);
    vec![
        Altered::new("another size", with(&format!("\n{size}\n"), &format!("\n{}\n", size + 1)), SIGNATURE),
        Altered::new("another root", with(root, &other(root, 5)), SIGNATURE),
        Altered::new("another signature", with(blob, &other(blob, 24)), SIGNATURE),
        Altered::new("the other s", twin, "the checkpoint's signature is not in low-S form"),
        Altered::new("another log", [b"x", good.as_bytes()].concat(), "the checkpoint is of another log"),
        Altered::new(
            "another key",
            with(blob, &other(blob, 0)),
            "the checkpoint is not signed with this key",
        ),
        Altered::new(
            "a bad line beside the good one",
            format!("{text}{}\n", &line[..line.len() - 4]).into(),
            "the checkpoint",
        ),
        Altered::new("no signature", format!("{}\n\n", text.split("\n\n").next().unwrap()).into(), FORM),
        Altered::new("a line more in its text", with(root, &format!("{root}\nmore")), FORM),
        Altered::new("without its blank line", with("\n\n", "\n"), FORM),
        Altered::new(
            "lines that end in two characters",
            text.replace('\n', "\r\n").into(),
            "the checkpoint is not text",
        ),
        Altered::new(
            "a zero before its size",
            with(&format!("\n{size}\n"), &format!("\n0{size}\n")),
            "the checkpoint's size",
        ),
        Altered::new("a root in another spelling", with(root, &spelt), "base64 in another spelling"),
    ]
}

/// The same 32 bytes in base64, with one of the bits set that no byte takes.
fn respelt(root: &str) -> String {
    let last = root.len() - 2;
    let letter = char::from(root.as_bytes()[last] + 1);
    format!("{}{letter}=", &root[..last])
}

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn from_base64(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = LETTERS.iter().position(|one| *one == letter).unwrap();
        bits = (bits << 6) | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff).try_into().unwrap());
        }
    }
    bytes
}

/// A DER integer at the head of some bytes, as 32 bytes, and what follows it.
fn integer(der: &[u8]) -> ([u8; 32], &[u8]) {
    assert_eq!(der[0], 2, "no integer: {der:02x?}");
    let (digits, rest) = der[2..].split_at(usize::from(der[1]));
    let digits = if digits.len() > 32 { &digits[1..] } else { digits };
    let mut number = [0; 32];
    number[32 - digits.len()..].copy_from_slice(digits);
    (number, rest)
}
