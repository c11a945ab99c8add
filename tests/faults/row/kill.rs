//! A killed keeper or front loses no acknowledged update and issues none twice.

use crate::trial::{Outcome, Trial};
use keysvc_tests::ground::Failed;

/// Carries the row out.
pub fn run(_trial: &Trial) -> Outcome {
    Err(Failed("not written".to_owned()))
}
