//! A truncated, forked or rolled-back log is found at the start or by who saw more.
//!
//! Stores are rolled back under an anchor that is newer, by an old copy, by a write-ahead log that is dropped and by
//! another branch, and the keeper must refuse to start; then with anchor and token rolled back as well, where nothing on
//! the machine can tell, and the client that saw more must. An exported log is cut off at every leaf and spoilt in every
//! leaf, and the offline verifier must tell, by what it contradicts or by a checkpoint that somebody holds.

mod exported;
mod rolled;

use crate::trial::{Ended, Found, Outcome, Trial};
use keysvc_tests::ground::Failed;

/// Sizes at which a store is rolled back.
const SIZES: u64 = 3;

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let (mut chances, mut found) = (trial.chances(), Found::new("histories"));
    let sizes = trial.scaled(SIZES);
    let mut stage = rolled::Stage::new()?;
    for done in 0..sizes {
        // The last part is the export's.
        trial.tell(done, sizes + 1);
        stage.roll(&mut chances, &mut found)?;
    }
    found.figure("rolled back under a newer anchor, found at the start", stage.at_the_start);
    found.figure("rolled back with the anchor, found by who saw more", stage.by_a_client);
    let export = stage.export(&mut chances)?;
    trial.tell(sizes, sizes + 1);
    export.spoil(trial, &mut chances, &mut found)?;
    Ok(Ended::Ran(found))
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}
