//! Long lists in several requests: as many items in each as it may hold, by number and by bytes.

use keysvc_protocol::cbor;
use serde::Serialize;

/// Most bytes of items in one request: its 64 KiB less 4 for its other fields and the COSE frame.
pub(crate) const PORTION_LEN_MAX: usize = 60 * 1024;

/// The items in portions of at most `count_max`, and of at most [`PORTION_LEN_MAX`] bytes as they are encoded; in order,
/// none left out. An item that is longer alone is a portion alone, and for the service to refuse.
pub(crate) fn portions<T: Serialize>(items: &[T], count_max: usize) -> Vec<&[T]> {
    let (mut all, mut begin, mut len) = (Vec::new(), 0_usize, 0_usize);
    for (place, item) in items.iter().enumerate() {
        let more = cbor::encode(item).len();
        let count = place.saturating_sub(begin);
        if count > 0 && (count >= count_max || len.saturating_add(more) > PORTION_LEN_MAX) {
            all.extend(items.get(begin..place));
            (begin, len) = (place, 0);
        }
        len = len.saturating_add(more);
    }
    all.extend(items.get(begin..).filter(|rest| !rest.is_empty()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{
        bytes::Blob,
        job::{ItemData, JobItem},
    };

    fn item(number: usize, len: usize) -> JobItem {
        let card = [&[4, 0, 0, 0][..], &u32::try_from(number).unwrap().to_be_bytes()[1..]].concat();
        let data = ItemData(Blob::try_from(vec![7; len]).unwrap());
        JobItem { card: card.as_slice().try_into().unwrap(), data }
    }

    #[test]
    fn every_item_is_in_one_portion_in_order_and_no_portion_is_too_much() {
        for len in [0, 40, 256] {
            let items: Vec<JobItem> = (0..2_500).map(|number| item(number, len)).collect();
            let portions = portions(&items, 1_000);
            assert_eq!(portions.concat(), items);
            for portion in &portions {
                let bytes: usize = portion.iter().map(|item| cbor::encode(item).len()).sum();
                assert!(!portion.is_empty() && portion.len() <= 1_000 && bytes <= PORTION_LEN_MAX);
            }
        }
    }

    #[test]
    fn short_items_fill_a_portion_by_number_and_long_ones_by_bytes() {
        let (short, long): (Vec<_>, Vec<_>) = (0..1_001).map(|one| (item(one, 1), item(one, 256))).unzip();
        let lens = |items: &[JobItem]| portions(items, 1_000).iter().map(|one| one.len()).collect::<Vec<_>>();
        assert_eq!(lens(&short), [1_000, 1]);
        let long = lens(&long);
        assert!(long[0] > 200 && long[0] < 240, "{long:?}");
        assert!(portions::<JobItem>(&[], 10).is_empty());
    }
}
