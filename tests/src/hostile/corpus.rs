//! Encodings that are not the one encoding (RFC 8949 section 4.2.1) of what they say, made of a good message; and those that
//! broke others' decoders.
//!
//! Every way is tried at every item of a message. Apart from the protocol's own tests of the decoder because these know no
//! type: what they make must be refused whatever the message is.

/// A CBOR item, as the messages of this service have them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Number { major: u8, argument: u64 },
    Text { major: u8, bytes: Vec<u8> },
    List(Vec<Item>),
    Map(Vec<(Item, Item)>),
    Simple(u8),
}

/// A way of writing an item otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    LongerHead,
    LongestHead,
    Tagged,
    SelfDescribed,
    Endless,
    EndlessInParts,
    AsNumbers,
    AsList,
    Backwards,
    KeyTwice,
    UnknownKey,
    TextKeys,
    ClaimsTooMuch,
    ClaimsFourBillion,
    ClaimsOneLess,
    Nested,
    Null,
    Undefined,
    AsFloat,
}

const WAYS: [(Way, &str); 19] = [
    (Way::LongerHead, "a head of one byte more"),
    (Way::LongestHead, "a head of nine bytes"),
    (Way::Tagged, "a tag before it"),
    (Way::SelfDescribed, "the tag that says it is CBOR"),
    (Way::Endless, "an indefinite length"),
    (Way::EndlessInParts, "a string in parts"),
    (Way::AsNumbers, "a list of numbers for a byte string"),
    (Way::AsList, "a list by position for a map"),
    (Way::Backwards, "keys in the other order"),
    (Way::KeyTwice, "a key twice"),
    (Way::UnknownKey, "an unknown key"),
    (Way::TextKeys, "keys as text"),
    (Way::ClaimsTooMuch, "a length of 2^63"),
    (Way::ClaimsFourBillion, "a length of 2^32 - 1"),
    (Way::ClaimsOneLess, "a length of one less"),
    (Way::Nested, "a list around it"),
    (Way::Null, "null for it"),
    (Way::Undefined, "undefined for it"),
    (Way::AsFloat, "a floating-point number for it"),
];

/// A message that must be refused, and what is wrong with it.
#[derive(Debug, Clone)]
pub struct Wrong {
    /// In words.
    pub name: String,
    /// The message.
    pub bytes: Vec<u8>,
}

/// Every way at every item of a good message, and what can be done to it as a whole.
///
/// # Panics
/// When it is none of this service's messages.
#[must_use]
pub fn wrong(good: &[u8]) -> Vec<Wrong> {
    let (item, rest) = read(good);
    assert!(rest.is_empty(), "a message with something behind it");
    let mut all = Vec::new();
    for at in 0..count(&item) {
        for (way, name) in WAYS {
            let mut bytes = Vec::new();
            let mut place = at;
            if write(&item, &mut bytes, Some((&mut place, way))) && bytes != good {
                all.push(Wrong { name: format!("{name}, item {at}"), bytes });
            }
        }
    }
    for behind in [&[0][..], &[0xf6], &[0xff], good] {
        all.push(Wrong { name: format!("{} bytes behind it", behind.len()), bytes: [good, behind].concat() });
    }
    for cut in 0..good.len() {
        all.push(Wrong { name: format!("the first {cut} bytes alone"), bytes: good[..cut].to_vec() });
    }
    all
}

/// What broke others, whatever was expected.
#[must_use]
pub fn bombs() -> Vec<Wrong> {
    let wrong = |name: &str, bytes: Vec<u8>| Wrong { name: name.to_owned(), bytes };
    let deep = |open: &[u8], len: usize| open.iter().copied().cycle().take(len).collect::<Vec<u8>>();
    let mut many = vec![0x9a, 0x00, 0x00, 0xff, 0xf0];
    many.extend([0; 0xfff0]);
    vec![
        wrong("no bytes", vec![]),
        wrong("60,000 lists within each other", deep(&[0x81], 60_000)),
        wrong("60,000 endless lists within each other", deep(&[0x9f], 60_000)),
        wrong("30,000 maps within each other", deep(&[0xa1, 0x00], 60_000)),
        wrong("30,000 maps as keys of each other", deep(&[0xa1], 30_000)),
        wrong("60,000 tags within each other", deep(&[0xc1], 60_000)),
        wrong("endless byte strings within each other", deep(&[0x5f], 60_000)),
        wrong("65,520 zeros in a list", many),
        wrong("a list of 4 billion in 5 bytes", vec![0x9a, 0xff, 0xff, 0xff, 0xff]),
        wrong("a map of 2^63 in 9 bytes", vec![0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        wrong("a byte string of 2^63", vec![0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        wrong("a text of 2^64 - 1", vec![0x7b, 255, 255, 255, 255, 255, 255, 255, 255]),
        wrong("reserved heads", vec![0x1c, 0x1d, 0x1e, 0x3c, 0x5c, 0x7e, 0x9d, 0xbc, 0xfc]),
        wrong("a break alone", vec![0xff]),
        wrong("a text that is no UTF-8", vec![0xa1, 0x00, 0x62, 0xc3, 0x28]),
    ]
}

/// RFC 8949, appendix A: each example on its own is a value, and none is a message.
#[must_use]
pub fn appendix_a() -> Vec<Vec<u8>> {
    include_str!("appendix_a.txt").lines().map(from_hex).collect()
}

/// Bytes in hexadecimal.
///
/// # Panics
/// When they are not.
#[must_use]
pub fn from_hex(text: &str) -> Vec<u8> {
    keysvc_protocol::bytes::from_hex(text.trim()).unwrap()
}

fn read(bytes: &[u8]) -> (Item, &[u8]) {
    use keysvc_protocol::cbor::read_head;
    if let [simple @ 0xe0..=0xf7, rest @ ..] = bytes {
        return (Item::Simple(*simple), rest);
    }
    let (major, argument, mut rest) = read_head(bytes).unwrap();
    let len = usize::try_from(argument).unwrap_or(usize::MAX);
    let item = match major {
        2 | 3 => {
            let (text, after) = rest.split_at(len);
            rest = after;
            Item::Text { major, bytes: text.to_vec() }
        }
        4 => Item::List((0..len).map(|_| next(&mut rest)).collect()),
        5 => Item::Map((0..len).map(|_| (next(&mut rest), next(&mut rest))).collect()),
        _ => Item::Number { major, argument },
    };
    (item, rest)
}

fn next(rest: &mut &[u8]) -> Item {
    let (item, after) = read(rest);
    *rest = after;
    item
}

fn count(item: &Item) -> usize {
    1 + match item {
        Item::List(items) => items.iter().map(count).sum::<usize>(),
        Item::Map(pairs) => pairs.iter().map(|(key, value)| count(key) + count(value)).sum(),
        _ => 0,
    }
}

/// Where an item is to be written otherwise: after so many others.
type Place<'a> = Option<(&'a mut usize, Way)>;

/// Whether it is this one's turn.
fn turn(place: &mut Place<'_>) -> Option<Way> {
    let (left, way) = place.as_mut()?;
    if **left == 0 {
        let way = *way;
        *place = None;
        return Some(way);
    }
    **left -= 1;
    None
}

/// Writes an item; says whether nothing was to be done, or could be.
fn write(item: &Item, out: &mut Vec<u8>, mut place: Place<'_>) -> bool {
    write_at(item, out, &mut place)
}

fn write_at(item: &Item, out: &mut Vec<u8>, place: &mut Place<'_>) -> bool {
    use keysvc_protocol::cbor::head;
    if let Some(way) = turn(place) {
        return otherwise(item, way, out);
    }
    match item {
        Item::Number { major, argument } => head(out, *major, *argument),
        Item::Simple(simple) => out.push(*simple),
        Item::Text { major, bytes } => {
            head(out, *major, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        Item::List(items) => {
            head(out, 4, items.len() as u64);
            return items.iter().all(|item| write_at(item, out, place));
        }
        Item::Map(pairs) => {
            head(out, 5, pairs.len() as u64);
            return pairs.iter().all(|(key, value)| write_at(key, out, place) && write_at(value, out, place));
        }
    }
    true
}

/// The item's major type, the argument of its head, and what follows the head.
fn in_parts(item: &Item) -> Option<(u8, u64, Vec<u8>)> {
    let mut rest = Vec::new();
    Some(match item {
        Item::Number { major, argument } => (*major, *argument, rest),
        Item::Text { major, bytes } => (*major, bytes.len() as u64, bytes.clone()),
        Item::List(items) => {
            items.iter().for_each(|item| _ = write(item, &mut rest, None));
            (4, items.len() as u64, rest)
        }
        Item::Map(pairs) => {
            pairs
                .iter()
                .for_each(|pair| _ = write(&pair.0, &mut rest, None) && write(&pair.1, &mut rest, None));
            (5, pairs.len() as u64, rest)
        }
        Item::Simple(_) => return None,
    })
}

/// A head with so many bytes of argument, shortest or not.
fn wide_head(major: u8, argument: u64, width: usize) -> Vec<u8> {
    let sign = match width {
        1 => 24,
        2 => 25,
        4 => 26,
        _ => 27,
    };
    [&[(major << 5) | sign], &argument.to_be_bytes()[8 - width..]].concat()
}

fn plain(item: &Item) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(item, &mut bytes, None);
    bytes
}

/// Writes an item in this way; says whether it can be.
fn otherwise(item: &Item, way: Way, out: &mut Vec<u8>) -> bool {
    use keysvc_protocol::cbor::head;
    let pairs = match item {
        Item::Map(pairs) => pairs.as_slice(),
        _ => &[],
    };
    match (way, in_parts(item)) {
        (Way::LongerHead, Some((major, argument, rest))) => {
            let width = match argument {
                0..=23 => 1,
                24..=0xff => 2,
                0x100..=0xffff => 4,
                _ => 8,
            };
            out.extend([wide_head(major, argument, width), rest].concat());
            argument <= 0xffff_ffff
        }
        (Way::LongestHead, Some((major, argument, rest))) => {
            out.extend([wide_head(major, argument, 8), rest].concat());
            argument <= 0xffff_ffff
        }
        (Way::Tagged, _) => put(out, &[&[0xc1], plain(item).as_slice()]),
        (Way::SelfDescribed, _) => put(out, &[&[0xd9, 0xd9, 0xf7], plain(item).as_slice()]),
        (Way::Endless, Some((major @ 4..=5, _, rest))) => put(out, &[&[(major << 5) | 31], &rest, &[0xff]]),
        (Way::EndlessInParts, Some((major @ 2..=3, _, _))) => {
            put(out, &[&[(major << 5) | 31], plain(item).as_slice(), &[0xff]])
        }
        (Way::AsNumbers, Some((2, len, bytes))) => {
            head(out, 4, len);
            bytes.iter().for_each(|byte| head(out, 0, u64::from(*byte)));
            true
        }
        (Way::AsList, Some((5, len, _))) => {
            head(out, 4, len);
            pairs.iter().all(|(_, value)| write(value, out, None))
        }
        (Way::Backwards, Some((5, len @ 2.., _))) => {
            head(out, 5, len);
            pairs.iter().rev().all(|(key, value)| write(key, out, None) && write(value, out, None))
        }
        (Way::KeyTwice, Some((5, len @ 1.., rest))) => {
            head(out, 5, len + 1);
            let first = pairs.first().map(|(key, value)| [plain(key), plain(value)].concat());
            put(out, &[&first.unwrap_or_default(), &rest])
        }
        (Way::UnknownKey, Some((5, len, rest))) => {
            head(out, 5, len + 1);
            put(out, &[&rest, &[0x18, 200, 0x00]])
        }
        (Way::TextKeys, Some((5, len @ 1.., _))) => {
            head(out, 5, len);
            pairs.iter().zip(b'0'..).all(|((_, value), digit)| {
                out.extend([0x61, digit]);
                write(value, out, None)
            })
        }
        (Way::ClaimsTooMuch, Some((major @ 2..=5, _, rest))) => {
            put(out, &[&wide_head(major, 1 << 63, 8), &rest])
        }
        (Way::ClaimsFourBillion, Some((major @ 2..=5, _, rest))) => {
            put(out, &[&wide_head(major, 0xffff_ffff, 4), &rest])
        }
        (Way::ClaimsOneLess, Some((major @ 2..=5, len @ 1.., rest))) => {
            head(out, major, len - 1);
            put(out, &[&rest])
        }
        (Way::Nested, _) => put(out, &[&[0x81], plain(item).as_slice()]),
        (Way::Null, _) => put(out, &[&[0xf6]]),
        (Way::Undefined, _) => put(out, &[&[0xf7]]),
        (Way::AsFloat, _) => put(out, &[&[0xf9, 0x3c, 0x00]]),
        _ => false,
    }
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) -> bool {
    out.extend(parts.concat());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_written_as_it_was_read_where_nothing_is_to_be_otherwise() {
        let good = from_hex("a300010166636f666665650283f5f620");
        let (item, rest) = read(&good);
        assert!(rest.is_empty());
        assert_eq!(plain(&item), good);
        assert_eq!(count(&item), 10);
    }

    #[test]
    fn every_way_is_found_somewhere_in_a_message_of_all_kinds() {
        let good = from_hex("a300010142070702820162c3bc");
        let all = wrong(&good);
        for (_, name) in WAYS {
            assert!(all.iter().any(|wrong| wrong.name.starts_with(name)), "{name}");
        }
        assert!(all.iter().all(|wrong| wrong.bytes != good));
    }
}
