//! A clock that jumps gives nobody a right and takes no time back in the log.
//!
//! Front and keeper are each put under `libfaketime`, and the wall clock of one of them is turned by an hour, by two months
//! and to before the last leaf, forwards and backwards, while it runs and before it starts.

use crate::trial::{Ended, Found, Outcome, Trial};
use keysvc_tests::{
    ground::Failed,
    turned::{Half, library, scene::Scene},
};

/// By how much a clock is turned: the first to before the last leaf.
const JUMPS: [&str; 5] = ["-10m", "-1h", "+1h", "-60d", "+60d"];
/// With a start under a turned clock.
const AT_A_START: [&str; 2] = ["-60d", "+60d"];

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let library = match library() {
        Ok(library) => library,
        Err(why) => return Ok(Ended::Lacking(why)),
    };
    let program = std::env::current_exe().map_err(|error| Failed(error.to_string()))?;
    let mut scene = Scene::new(library, (&program, &["card"]));
    let mut found = Found::new("jumps");
    let live = JUMPS.iter().flat_map(|by| [Half::Keeper, Half::Front].map(|half| (half, *by, false)));
    let at_a_start = AT_A_START.iter().map(|by| (Half::Keeper, *by, true));
    let all: Vec<_> = live.chain(at_a_start).collect();
    let times = trial.scaled(1);
    let of = u64::try_from(all.len()).unwrap_or(u64::MAX).saturating_mul(times);
    for _ in 0..times {
        for (half, by, at_a_start) in &all {
            trial.tell(found.trials, of);
            let held = scene.hold(*half, by, *at_a_start);
            let when = if *at_a_start { "started" } else { "turned" };
            found.count(held.map_err(|why| format!("{half:?} {when} by {by}: {why}")));
        }
    }
    found.figure("alarms in the keeper's log", scene.alarms());
    Ok(Ended::Ran(found))
}
