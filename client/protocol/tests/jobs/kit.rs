//! A floor with keys of p256, and jobs brought so far.

use crate::{
    asks::key,
    people::{
        Floor, Site,
        floor::{counts, head, result},
    },
};
use keysvc_protocol::{
    job::Outcome,
    refusal::{Conflict, Refusal, Uncounted},
};
use std::sync::{Arc, OnceLock};

pub(crate) const STATION: &str = "station-1";
pub(crate) const JOB: &str = "nfc-1";
/// Who opens.
pub(crate) const TWO: [&str; 2] = ["operator-1", "operator-2"];
/// Who counts.
pub(crate) const COUNTERS: [&str; 2] = ["operator-1", "reviewer-1"];

pub(crate) fn floor() -> Floor {
    static SITE: OnceLock<Arc<Site>> = OnceLock::new();
    Floor::new(SITE.get_or_init(|| Arc::new(Site::bureau(key))))
}

/// A job of this name that is sealed and takes so many cards as they are encountered, in one slot each.
pub(crate) fn sealed(floor: &mut Floor, job: &str, issued: u32) {
    floor.create("data-1", job, &head("stored", issued)).unwrap();
    floor.seal("data-2", job).unwrap();
}

/// A floor with an open job of so many cards.
pub(crate) fn opened(issued: u32) -> Floor {
    let mut floor = floor();
    sealed(&mut floor, JOB, issued);
    floor.open(STATION, JOB, &TWO).unwrap();
    floor
}

/// Makes good cards.
pub(crate) fn make(floor: &mut Floor, cards: &[u8]) {
    floor.derive(STATION, JOB, cards).unwrap();
    let good = cards.iter().map(|number| result(*number, Outcome::Good, 1)).collect();
    floor.give(STATION, JOB, good).unwrap();
}

/// Makes good cards of a job that has so many, and brings it to its end.
pub(crate) fn made(floor: &mut Floor, cards: &[u8], issued: u32) {
    make(floor, cards);
    let good = u32::try_from(cards.len()).unwrap();
    floor.count(STATION, JOB, &COUNTERS, counts([good, 0, 0, issued - good, 0])).unwrap();
    floor.close(STATION, JOB, &["monitor-1"]).unwrap();
}

pub(crate) const fn conflict(reason: Conflict) -> Refusal {
    Refusal::StateConflict { reason }
}

pub(crate) const fn uncounted(reason: Uncounted) -> Refusal {
    Refusal::ApprovalInvalid { reason }
}
