//! The list of a job's cards: a CSV file with a line for each, and the manifest that its seal fixes.
//!
//! Pure but for reading the file. What the data mean is the encoder's affair.

use crate::{fault::Fault, file};
use keysvc_client::protocol::{
    bytes::{Digest, from_hex},
    job::{ITEM_DATA_LEN_MAX, ItemData, JobItem},
    merkle::Frontier,
};
use std::{collections::BTreeSet, path::Path};

/// Most cards of a list: 1,000,000 take half a gigabyte of memory at most. A job may take more as they are encountered.
const CARDS_MAX: usize = 1_000_000;
/// Longest list, in bytes: 1,000,000 lines of 128.
const FILE_LEN_MAX: usize = 128 * 1024 * 1024;
/// What stands before data that are bytes and not text.
const HEXADECIMAL: &str = "hex:";

/// Reads a list in its order.
///
/// # Errors
/// [`Fault`] naming the line that is wrong.
pub(crate) fn read(path: &Path) -> Result<Vec<JobItem>, Fault> {
    let bytes = file::read(path, FILE_LEN_MAX)?;
    parse(&bytes).map_err(|why| {
        let next =
            "correct the list: a line for each card, uid,data, with data as text, as hex:00ff, or nothing";
        Fault::usage(format!("{}: {why}", path.display()), next)
    })
}

/// The root (RFC 6962) over the first so many cards of a list.
pub(crate) fn root(items: &[JobItem], first: usize) -> Digest {
    let mut tree = Frontier::new();
    for item in items.iter().take(first) {
        drop(tree.append(item.hash()));
    }
    tree.root()
}

fn parse(bytes: &[u8]) -> Result<Vec<JobItem>, String> {
    let text = str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let (mut items, mut seen) = (Vec::new(), BTreeSet::new());
    for (number, line) in (1_u32..).zip(text.lines()) {
        let line = line.trim_end_matches('\r');
        let is_head = number == 1 && line.trim() == "uid,data";
        if line.trim().is_empty() || line.starts_with('#') || is_head {
            continue;
        }
        let item = item(line).map_err(|why| format!("line {number}: {why}"))?;
        if !seen.insert(item.card) {
            return Err(format!("line {number}: card {} is there twice", item.card));
        }
        if items.len() == CARDS_MAX {
            return Err(format!("line {number}: a list has at most {CARDS_MAX} cards"));
        }
        items.push(item);
    }
    if items.is_empty() { Err("no card is in it".to_owned()) } else { Ok(items) }
}

fn item(line: &str) -> Result<JobItem, String> {
    let (card, data) = line.split_once(',').unwrap_or((line, ""));
    let card = card.trim().parse().map_err(|error| format!("{error}"))?;
    let data = match data.strip_prefix(HEXADECIMAL) {
        Some(digits) => from_hex(digits.trim()).ok_or("its data are not hexadecimal")?,
        None => data.as_bytes().to_vec(),
    };
    let len = data.len();
    let data =
        data.try_into().map_err(|_| format!("{len} bytes of data where {ITEM_DATA_LEN_MAX} have room"))?;
    Ok(JobItem { card, data: ItemData(data) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_card_and_its_data_as_text_as_bytes_or_none() {
        let list = "uid,data\n# a comment\n04782e21801d80,hello, world\r\n04782e21801d81,hex:00ff\n04782e21801d82\n\n";
        let items = parse(list.as_bytes()).unwrap();
        let data: Vec<_> = items.iter().map(|item| item.data.0.as_bytes().to_vec()).collect();
        assert_eq!(data, [b"hello, world".to_vec(), vec![0, 0xff], vec![]]);
        assert_eq!(items[2].card.to_string(), "04782e21801d82");
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number() {
        let wrong = |list: &str| parse(list.as_bytes()).unwrap_err();
        assert_eq!(wrong("uid,data\n0478,x"), "line 2: a card identifier has 4, 7 or 10 bytes, not 2");
        assert_eq!(wrong("04782e21801d80,hex:0g"), "line 1: its data are not hexadecimal");
        assert_eq!(wrong("04782e21801d80\n04782e21801d80"), "line 2: card 04782e21801d80 is there twice");
        let long = format!("04782e21801d80,{}", "x".repeat(300));
        assert_eq!(wrong(&long), "line 1: 300 bytes of data where 256 have room");
        assert_eq!(wrong("# none"), "no card is in it");
    }

    #[test]
    fn the_root_is_over_the_cards_in_their_order() {
        let items = parse(b"04782e21801d80,a\n04782e21801d81,b").unwrap();
        let turned: Vec<_> = items.iter().rev().cloned().collect();
        assert_ne!(root(&items, 2), root(&turned, 2));
        assert_eq!(root(&items, 0), Frontier::new().root());
        assert_ne!(root(&items, 1), root(&items, 2));
    }
}
