//! What people say on a floor, ready made: heads, items, results, counts.

use super::{BEGIN_MS, HOUR_MS, name};
use keysvc_protocol::{
    bytes::{Blob, ShortCheck},
    card::CardUid,
    job::{CardResult, Counts, Incident, ItemData, JobHead, JobItem, Outcome, PurgeReceipt, Suspended},
    list::List,
    name::Reason,
    schema::Schema,
};

/// A card of this number.
pub fn card(number: u8) -> CardUid {
    CardUid::try_from([4, number, 0, 0, 0, 0, 1].as_slice()).unwrap()
}

/// Words for the log.
pub fn words(text: &str) -> Reason {
    text.parse().unwrap()
}

/// A head of a job at `station-1` that takes so many cards as they are encountered, under a profile of this name.
pub fn head(profile: &str, issued: u32) -> JobHead {
    JobHead {
        schema: Schema,
        order: words("PO-1"),
        customer: words("ACME"),
        profile: name(profile),
        profile_version: 1,
        lot: words("LOT-1"),
        station: name("station-1"),
        equipment: words("encoder 1"),
        ordered: 1,
        issued,
        carried_over: 0,
        listed: false,
        due_ms: BEGIN_MS + 24 * HOUR_MS,
    }
}

/// An item of a listed job.
pub fn item(number: u8) -> JobItem {
    JobItem { card: card(number), data: ItemData(Blob::try_from(vec![number; 3]).unwrap()) }
}

/// A result of a card, with check values of so many slots.
pub fn result(number: u8, outcome: Outcome, slots: usize) -> CardResult {
    let readback = List::try_from(vec![ShortCheck::new([number; 5]); slots]).unwrap();
    CardResult { card: card(number), outcome, readback }
}

/// A reject.
pub fn reject() -> Outcome {
    Outcome::Reject { cause: words("would not take its keys") }
}

/// Counts: good, rejected, sample, returned, handed over.
pub fn counts([good, rejected, sample, returned, handed_over]: [u32; 5]) -> Counts {
    Counts { good, rejected, sample, returned, handed_over }
}

/// A stop.
pub fn suspended() -> Suspended {
    Suspended { counts: Counts::default(), place: words("safe 1"), cause: words("lunch") }
}

/// Something that went wrong.
pub fn incident() -> Incident {
    Incident {
        equipment: words("encoder 1"),
        time_ms: BEGIN_MS,
        cause: words("the feeder jammed"),
        place: words("safe 1"),
        in_hand: 1,
    }
}

/// A station's word that it has erased its data.
pub fn receipt(station: &str) -> PurgeReceipt {
    PurgeReceipt { station: name(station), erased_ms: BEGIN_MS, files: 2, method: words("overwritten") }
}
