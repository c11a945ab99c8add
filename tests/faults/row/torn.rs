//! A key whose making was killed is reported and never used, an acknowledged one is whole.

use crate::trial::{Outcome, Trial};
use keysvc_tests::ground::Failed;

/// Carries the row out.
pub fn run(_trial: &Trial) -> Outcome {
    Err(Failed("not written".to_owned()))
}
