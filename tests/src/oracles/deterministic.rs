//! CBOR in core deterministic encoding (RFC 8949 section 4.2.1), read once more by nothing of the product: where items
//! begin, whether their encoding is the one there is, and how else the same could be spelled.
//!
//! Apart from the product's codec so that it can disagree with it.

/// Deepest nesting that is looked into: no message has half of it.
const DEPTH_MAX: usize = 32;

/// One item of CBOR: its head and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Where its head begins.
    pub start: usize,
    /// Its major type, 0 to 7.
    pub major: u8,
    /// Its argument.
    pub argument: u64,
    /// The length of its head, in bytes.
    pub head_len: usize,
    /// Where it ends, with all that is in it.
    pub end: usize,
}

/// Every item of one message in the order of their heads; nothing where it is not in the one encoding that there is.
#[must_use]
pub fn items(bytes: &[u8]) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let end = item(bytes, 0, 0, &mut items)?;
    (end == bytes.len()).then_some(items)
}

fn item(bytes: &[u8], start: usize, depth: usize, items: &mut Vec<Item>) -> Option<usize> {
    let first = *bytes.get(start)?;
    let (major, low) = (first >> 5, first & 31);
    let width = match low {
        0..=23 => 0,
        24..=27 => 1_usize << (low - 24),
        // Reserved, and without a length.
        _ => return None,
    };
    let rest = bytes.get(start + 1..start + 1 + width)?;
    let argument = match width {
        0 => u64::from(low),
        _ => rest.iter().fold(0, |sum, byte| sum * 256 + u64::from(*byte)),
    };
    let least = match width {
        0 => 0,
        1 => 24,
        2 => 1 << 8,
        4 => 1 << 16,
        _ => 1 << 32,
    };
    if argument < least || depth > DEPTH_MAX {
        return None;
    }
    let at = items.len();
    items.push(Item { start, major, argument, head_len: 1 + width, end: start });
    let mut end = start + 1 + width;
    match major {
        0 | 1 => {}
        2 | 3 => {
            let string = bytes.get(end..end.checked_add(usize::try_from(argument).ok()?)?)?;
            if major == 3 {
                std::str::from_utf8(string).ok()?;
            }
            end += string.len();
        }
        4 => {
            for _ in 0..argument {
                end = item(bytes, end, depth + 1, items)?;
            }
        }
        5 => {
            let mut before: Option<&[u8]> = None;
            for _ in 0..argument {
                let key_end = item(bytes, end, depth + 1, items)?;
                let key = &bytes[end..key_end];
                if before.is_some_and(|before| before >= key) {
                    return None;
                }
                before = Some(key);
                end = item(bytes, key_end, depth + 1, items)?;
            }
        }
        // No message has a tag; false, true and null are the only values without content.
        _ => (major == 7 && width == 0 && (20..=22).contains(&low)).then_some(())?,
    }
    items[at].end = end;
    Some(end)
}

/// The same message in other words at this item, each with what is done: none of them is the one encoding.
#[must_use]
pub fn respelled(bytes: &[u8], item: Item) -> Vec<(&'static str, Vec<u8>)> {
    let Item { start, major, argument, head_len, end } = item;
    let (before, content, after) = (&bytes[..start], &bytes[start + head_len..end], &bytes[end..]);
    let with = |middle: &[&[u8]]| [before, &middle.concat(), after].concat();
    let mut all = vec![
        ("a tag in front of it", with(&[&[0xd8, 0x63], &bytes[start..end]])),
        ("the item twice", with(&[&bytes[start..end], &bytes[start..end]])),
        ("the item left out", with(&[])),
    ];
    let wide = major << 5 | 27;
    if major < 6 {
        all.push(("a head longer than it need be", with(&[&[wide], &argument.to_be_bytes(), content])));
    }
    if (2..6).contains(&major) {
        let longest = (1_u64 << 63).to_be_bytes();
        all.push(("a length of 2^63", with(&[&[wide], &longest, content])));
        let open = major << 5 | 31;
        let inner = if major < 4 { &bytes[start..end] } else { content };
        all.push(("an indefinite length", with(&[&[open], inner, &[0xff]])));
    }
    if major == 2 {
        let mut numbers = Vec::new();
        for byte in content {
            numbers.extend_from_slice(if *byte < 24 { &[] } else { &[0x18] });
            numbers.push(*byte);
        }
        let len = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
        let head = if content.len() < 24 { vec![0x80 | len[1]] } else { vec![0x99, len[0], len[1]] };
        all.push(("bytes as an array of numbers", with(&[&head, &numbers])));
    }
    if major == 5 {
        let more = argument + 1;
        let head =
            if more < 24 { vec![0xa0 | more.to_be_bytes()[7]] } else { vec![0xb8, more.to_be_bytes()[7]] };
        all.push(("a field that nobody knows", with(&[&head, content, &[0x18, 0xc8, 0xf6]])));
        if let Some(pair) = first_pair(content) {
            all.push(("its first field twice", with(&[&head, pair, content])));
            all.push((
                "its first field last",
                with(&[&bytes[start..start + head_len], &content[pair.len()..], pair]),
            ));
        }
        let values = values(content, argument);
        let head = if argument < 24 { vec![0x80 | argument.to_be_bytes()[7]] } else { vec![0x98, 24] };
        all.push(("a map as an array of its values", with(&[&head, &values])));
    }
    // Only a map of one field is the same in another order.
    all.retain(|(_, other)| other != bytes);
    all
}

fn first_pair(content: &[u8]) -> Option<&[u8]> {
    let key = item(content, 0, 0, &mut Vec::new())?;
    let end = item(content, key, 0, &mut Vec::new())?;
    content.get(..end)
}

fn values(content: &[u8], pairs: u64) -> Vec<u8> {
    let (mut place, mut values) = (0, Vec::new());
    for _ in 0..pairs {
        let Some(key) = item(content, place, 0, &mut Vec::new()) else { break };
        let Some(end) = item(content, key, 0, &mut Vec::new()) else { break };
        values.extend_from_slice(&content[key..end]);
        place = end;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_encoding_is_told_from_every_other() {
        let good = [0xa2, 0x00, 0x01, 0x01, 0x43, 1, 2, 3];
        let found = items(&good).unwrap();
        assert_eq!(found.len(), 5);
        assert_eq!(found[0], Item { start: 0, major: 5, argument: 2, head_len: 1, end: 8 });
        for item in &found {
            for (how, other) in respelled(&good, *item) {
                let whole = ["the item twice", "the item left out", "a field that nobody knows"];
                let arrays = ["bytes as an array of numbers", "a map as an array of its values"];
                // These are good CBOR, and another message.
                assert!(items(&other).is_none() || whole.contains(&how) || arrays.contains(&how), "{how}");
            }
        }
        for bad in
            [&[0x18, 0x17][..], &[0xa2, 1, 0, 0, 0], &[0xc0, 0], &[0xf9, 0, 0], &[0x5f, 0xff], &[0, 0], &[]]
        {
            assert_eq!(items(bad), None, "{bad:02x?}");
        }
        assert_eq!(items(&[0x81; 100]), None);
    }
}
