//! A full disk is refused at once, reading goes on, and room again is enough to go on.

use crate::trial::{Outcome, Trial};
use keysvc_tests::ground::Failed;

/// Carries the row out.
pub fn run(_trial: &Trial) -> Outcome {
    Err(Failed("not written".to_owned()))
}
