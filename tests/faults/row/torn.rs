//! A key whose making was killed is reported and never used, an acknowledged one is whole.
//!
//! Keys are made on every way there is: a founding, the storage key of a job, pairs and masters that two officers ordered.
//! Kills come at any moment, and by strace at the very call by which `SoftHSM` empties or writes an object's file, so that a
//! run meets torn objects whatever chance says. One that met none has not held.

mod founding;
mod held;
mod shop;

pub use held::compare;

use crate::trial::{Ended, Found, Outcome, Trial};
use keysvc_tests::{killed_at::Strace, pieces::Piece};
use shop::{How, Making, Shop};
use std::time::Duration;

/// Kills while keys are made, at any moment and at a call: of a job's storage key, of a pair, of a master.
const MAKINGS: [(Making, u64, u64); 3] = [(Making::Job, 22, 6), (Making::Pair, 8, 5), (Making::Master, 6, 5)];
/// Kills of a founding at a call.
const FOUNDINGS: u64 = 8;
/// The calls by which `SoftHSM` changes an object's file: it is emptied, then written.
const CALLS: [&str; 2] = ["ftruncate", "write"];
/// So often each of them comes in the making of one object.
const CALLS_OF_OBJECT: u64 = 38;

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let strace = match Strace::find() {
        Ok(strace) => strace,
        Err(why) => return Ok(Ended::Lacking(why)),
    };
    let mut chances = trial.chances();
    let (mut found, mut met) = (Found::new("kills in a making"), Met::default());
    let serving: u64 = MAKINGS.iter().map(|(_, chance, calls)| trial.scaled(chance + calls)).sum();
    let foundings = trial.scaled(FOUNDINGS);
    let mut shop = Shop::new();
    for (making, chance, calls) in MAKINGS {
        let takes = shop.made_whole(making).map_err(keysvc_tests::ground::Failed)?;
        for number in 0..trial.scaled(chance + calls) {
            let how = if number < trial.scaled(chance) {
                // Half as long again, for a machine that is slower this time.
                How::After(Duration::from_micros(chances.u64(..takes * 3 / 2)))
            } else {
                let call = CALLS[usize::from(chances.bool())];
                How::At(&strace, call, chances.u64(1..=making.halves() * CALLS_OF_OBJECT))
            };
            found.count(shop.killed(making, &how).map(|left| met.note(left)));
            trial.tell(found.trials, serving + foundings);
        }
    }
    found.broken.extend(shop.settled());
    let mut site = founding::Site::new();
    for number in 0..foundings {
        let part = (number, foundings);
        found.count(site.killed(&strace, part, &mut chances).map(|left| met.note(left)));
        trial.tell(found.trials, serving + foundings);
    }
    found.check(met.torn > 0, || "no kill met a torn object, so nothing was shown of torn ones".to_owned());
    found.figure("objects torn", format!("{} kills met one", met.torn));
    found.figure("objects whole, but of no key", format!("{} kills", met.orphaned));
    found.figure("between intent and object, or before", format!("{} kills", met.nothing));
    found.figure("after the outcome", format!("{} kills", met.made));
    found.figure(
        "keys acknowledged",
        format!("{}, each with its check value in the token", shop.acknowledged()),
    );
    Ok(Ended::Ran(found))
}

/// What a kill left.
enum Left {
    /// The key was on record: the kill came too late.
    Made,
    /// These, and no key.
    Pieces(Vec<Piece>),
}

/// What the kills of a run met.
#[derive(Default)]
struct Met {
    torn: u64,
    orphaned: u64,
    nothing: u64,
    made: u64,
}

impl Met {
    fn note(&mut self, left: Left) {
        match left {
            Left::Made => self.made += 1,
            Left::Pieces(pieces) if pieces.iter().any(|piece| piece.is_torn()) => self.torn += 1,
            Left::Pieces(pieces) if pieces.is_empty() => self.nothing += 1,
            Left::Pieces(_) => self.orphaned += 1,
        }
    }
}
