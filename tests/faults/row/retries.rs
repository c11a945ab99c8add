//! A request repeated a thousand times at once is one leaf and one answer.
//!
//! And so is one whose connection was cut at any byte of the request or of its answer, and one that came several times and
//! in another order than it was sent.

mod copies;
mod cuts;
mod shuffled;

use crate::trial::{Ended, Found, Outcome, Trial};
use keysvc_protocol::value::ValueUpdate;
use keysvc_tests::{
    acks::Recorded,
    audited::{audited, store_verified},
    ground::Ground,
    outage::long_lived,
    raw::leaves,
    received::{Said, trust_bundle},
};

/// Requests that are sent a thousand times at once; of the second one half has another content.
const COPIES: u64 = 1_000;
/// Bytes of request and answer at which a connection is cut.
const CUTS: u64 = 400;
/// Requests that come several times and in any order.
const SHUFFLED: u64 = 240;

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let mut ground = long_lived();
    let (mut found, mut chances) = (Found::new("requests"), trial.chances());
    let (times, cuts, shuffled) = (trial.scaled(1), trial.scaled(CUTS), trial.scaled(SHUFFLED));
    let all = 2 * times * COPIES + cuts + shuffled;
    let mut records = Vec::new();
    for number in 0..times {
        records.extend(copies::same(&ground, number, COPIES, &mut found));
        trial.tell(found.trials, all);
        records.extend(copies::two_contents(&ground, number, COPIES, &mut found));
        trial.tell(found.trials, all);
    }
    let tell = |found: &Found| trial.tell(found.trials, all);
    records.extend(cuts::run(&ground, cuts, &mut found, tell));
    records.extend(shuffled::run(&ground, shuffled, &mut chances, &mut found));
    tell(&found);
    settle(&mut ground, &records, &mut found);
    Ok(Ended::Ran(found))
}

/// Holds all that was received against itself, the log and the store.
fn settle(ground: &mut Ground, records: &[Vec<u8>], found: &mut Found) {
    let said = Said::by(records, &trust_bundle(ground));
    found.check(said.unsound.is_empty(), || format!("signatures that do not verify: {:?}", said.unsound));
    found.check(said.double().is_empty(), || format!("signed twice: {:?}", said.double()));
    let payloads = said.payloads();
    let recorded = Recorded::of(&leaves(ground));
    found.check(recorded.lost(&payloads).is_empty(), || "an answer is not in the log".to_owned());
    found.check(recorded.double().is_empty(), || format!("twice in the log: {:?}", recorded.double()));
    found.check(recorded.len() == payloads.len(), || {
        format!("{} leaves for {} different answers", recorded.len(), payloads.len())
    });
    let folder = ground.site().folder().join("export");
    let verified = audited(ground, &folder).and_then(|()| store_verified(ground));
    found.broken.extend(verified.err());
    found.figure("leaves", format!("{} for {} signed answers", recorded.len(), records.len()));
}

/// Which answers of one request say another thing than the first.
fn different(updates: &[ValueUpdate]) -> usize {
    updates.iter().filter(|update| Some(*update) != updates.first()).count()
}
