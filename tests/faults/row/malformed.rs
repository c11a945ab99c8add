//! Bad input is refused in time and ends nothing.

use crate::trial::{Outcome, Trial};
use keysvc_tests::ground::Failed;

/// Carries the row out.
pub fn run(_trial: &Trial) -> Outcome {
    Err(Failed("not written".to_owned()))
}
