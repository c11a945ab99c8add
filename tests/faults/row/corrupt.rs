//! Damage to store, log or anchor is found before any signature that depends on it.

use crate::trial::{Outcome, Trial};
use keysvc_tests::ground::Failed;

/// Carries the row out.
pub fn run(_trial: &Trial) -> Outcome {
    Err(Failed("not written".to_owned()))
}
