//! A wall clock that is turned while the service runs, of one half at a time: nobody gains a right by it.
//!
//! The driver of faults repeats this over more jumps and at starts.

use keysvc_tests::turned::{Half, library, scene::Scene};
use std::path::Path;

#[test]
fn a_clock_that_is_turned_executes_nothing_lets_nobody_in_and_takes_no_time_back() {
    let mut scene = Scene::new(library().unwrap(), (Path::new(env!("CARGO_BIN_EXE_card")), &[]));
    for (half, by) in [(Half::Keeper, "+60d"), (Half::Keeper, "-1h"), (Half::Front, "-60d")] {
        let held = scene.hold(half, by, false);
        assert_eq!(held, Ok(()), "{half:?} turned by {by}");
    }
    assert!(scene.alarms() >= 2);
}
