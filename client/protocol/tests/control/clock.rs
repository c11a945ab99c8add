//! Delays and the two clocks.

use crate::{
    asks::{confirm, destroy, freeze, lift, log, retire},
    people::{BEGIN_MS, DAY_MS, HOUR_MS, Log},
};
use keysvc_protocol::{
    bytes::Boot,
    control::{Clock, DRIFT_MAX_MS, Moment},
    freeze::Scope,
    leaf::{HeartbeatLeaf, LeafKind},
    refusal::{Conflict, Invalid, Refusal},
    request::Operation,
    schema::Schema,
};
use proptest::prelude::*;

fn moment(wall_ms: u64, boot: u8, up_ms: u64) -> Moment {
    Moment { wall_ms, boot: Boot::new([boot; 16]), up_ms }
}

fn conflict<T>(reason: Conflict) -> Result<T, Refusal> {
    Err(Refusal::StateConflict { reason })
}

/// A log in which a key's destruction waits for its week.
fn waiting() -> (Log, u64) {
    let mut log = log();
    let two = ["officer-1", "officer-2"];
    log.heartbeat().unwrap();
    log.agree("officer-1", Operation::KeyRetire, &retire("value-1", 1), &two).unwrap();
    let three = ["officer-1", "officer-2", "officer-3"];
    let act = log.agree("officer-1", Operation::KeyDestroy, &destroy("value-1", 1), &three).unwrap();
    (log, act)
}

#[test]
fn time_counts_only_between_two_moments_of_one_boot() {
    let clock = [moment(0, 1, 0), moment(1_000, 1, 1_000), moment(9_000, 2, 500), moment(9_500, 2, 1_000)]
        .iter()
        .fold(Clock::default(), Clock::after);
    assert_eq!((clock.run_ms(), clock.is_disputed()), (1_500, false));
}

#[test]
fn a_wall_clock_that_jumps_either_way_is_disputed_until_people_confirm_it() {
    let begun = Clock::default().after(&moment(DAY_MS, 1, 0));
    for (wall_ms, disputed) in [
        (DAY_MS + 1_000, false),
        (DAY_MS + 1_000 + DRIFT_MAX_MS, false),
        (DAY_MS + 1_001 + DRIFT_MAX_MS, true),
        (DAY_MS + 1_000 - DRIFT_MAX_MS, false),
        (DAY_MS + 999 - DRIFT_MAX_MS, true),
    ] {
        let moved = begun.after(&moment(wall_ms, 1, 1_000));
        assert_eq!(moved.is_disputed(), disputed, "{wall_ms}");
        let again = moved.after(&moment(wall_ms, 1, 1_000));
        assert_eq!(again.is_disputed(), disputed, "a second look does not settle it");
        assert!(!again.confirmed(&moment(wall_ms, 1, 1_000)).is_disputed());
    }
    // Over a start of the machine only a clock that went back is told.
    assert!(!begun.after(&moment(9 * DAY_MS, 2, 0)).is_disputed());
    assert!(begun.after(&moment(DAY_MS - DRIFT_MAX_MS - 1, 2, 0)).is_disputed());
}

#[test]
fn boot_time_that_goes_back_within_one_boot_is_disputed_and_counts_nothing_twice() {
    let begun = [moment(0, 1, 0), moment(DAY_MS, 1, DAY_MS)].iter().fold(Clock::default(), Clock::after);
    let back = begun.after(&moment(DAY_MS, 1, HOUR_MS));
    assert!(back.is_disputed());
    let on = back.after(&moment(DAY_MS, 1, DAY_MS));
    assert_eq!(on.run_ms(), DAY_MS);
    let confirmed = back.confirmed(&moment(DAY_MS, 1, HOUR_MS)).after(&moment(DAY_MS + 1, 1, HOUR_MS + 1));
    assert_eq!((confirmed.run_ms(), confirmed.is_disputed()), (DAY_MS + 1, false));
}

proptest! {
    #[test]
    fn boot_time_never_counts_more_than_each_boot_lasted(
        steps in proptest::collection::vec((0_u64..1 << 40, 0_u8..3, 0_u64..1 << 40), 0..24),
    ) {
        let mut clock = Clock::default();
        let mut disputed = false;
        for (wall_ms, boot, up_ms) in &steps {
            clock = clock.after(&moment(*wall_ms, *boot, *up_ms));
            prop_assert!(clock.is_disputed() || !disputed, "nothing but people settles a dispute");
            disputed = clock.is_disputed();
        }
        // Each change to a boot can count at most that boot's whole time.
        let entered = steps.iter().fold((0_u64, None, 0_u64), |(sum, last, high), (_, boot, up_ms)| {
            if last == Some(*boot) { (sum, last, high.max(*up_ms)) } else { (sum + high, Some(*boot), *up_ms) }
        });
        prop_assert!(clock.run_ms() <= entered.0 + entered.2);
    }
}

#[test]
fn neither_clock_alone_brings_a_delay_to_its_end() {
    // The wall clock is set forward over a start of the machine, where nothing tells.
    let (mut log, act) = waiting();
    (log.now_ms, log.boot, log.up_ms) = (log.now_ms + 8 * DAY_MS, 2, 0);
    log.heartbeat().unwrap();
    assert!(!log.control.clock().is_disputed());
    assert!(!log.control.is_due(act, log.now_ms, &log.moment()));
    assert_eq!(log.took_effect(act), conflict(Conflict::Waiting));
    // The boot's clock runs and the wall clock stands: within the drift of each look it is not told, and does not help.
    let (mut log, act) = waiting();
    for _ in 0..8 * 24 * 15 {
        log.up_ms += DRIFT_MAX_MS - 60_000;
        let leaf = HeartbeatLeaf { schema: Schema, moment: log.moment(), control: log.control.digest() };
        log.put(LeafKind::Heartbeat, &leaf).unwrap();
    }
    assert!(log.control.clock().run_ms() > 7 * DAY_MS);
    assert_eq!(log.took_effect(act), conflict(Conflict::Waiting));
    // Both have passed.
    let (mut log, act) = waiting();
    log.pass(7 * DAY_MS - 1);
    assert_eq!(log.took_effect(act), conflict(Conflict::Waiting));
    log.pass(1);
    assert!(log.control.is_due(act, log.now_ms, &log.moment()));
    log.took_effect(act).unwrap();
}

#[test]
fn a_delay_goes_on_over_a_restart_in_between() {
    let (mut log, act) = waiting();
    for boot in 2..9 {
        log.pass(DAY_MS);
        log.heartbeat().unwrap();
        // The machine was off for an hour: the wall clock goes on alone.
        (log.now_ms, log.boot, log.up_ms) = (log.now_ms + HOUR_MS, boot, 0);
        log.heartbeat().unwrap();
        log.control = log.replayed();
    }
    log.took_effect(act).unwrap();
}

#[test]
fn while_the_clock_is_disputed_nothing_takes_effect_but_its_confirmation_by_two() {
    let (mut log, act) = waiting();
    let two = ["officer-1", "officer-2"];
    log.alone("officer-1", Operation::FreezeSet, &freeze(Scope::All)).unwrap();
    log.pass(7 * DAY_MS);
    log.now_ms += HOUR_MS;
    log.heartbeat().unwrap();
    assert!(log.control.clock().is_disputed());
    assert_eq!(log.took_effect(act), conflict(Conflict::ClockDisputed));
    assert_eq!(
        log.agree("officer-1", Operation::FreezeLift, &lift(Scope::All), &two),
        conflict(Conflict::ClockDisputed)
    );
    // Stopping things goes on.
    log.alone("officer-1", Operation::FreezeSet, &freeze(Scope::Key { name: "value-1".parse().unwrap() }))
        .unwrap();
    let far = confirm(log.now_ms + 4 * DAY_MS);
    let far = log.agree("officer-1", Operation::ClockConfirm, &far, &two);
    assert_eq!(far, Err(Refusal::Invalid { reason: Invalid::Time }));
    let now = confirm(log.now_ms);
    log.agree("officer-1", Operation::ClockConfirm, &now, &two).unwrap();
    assert!(!log.control.clock().is_disputed());
    log.took_effect(act).unwrap();
    assert_eq!(log.replayed(), log.control);
}

#[test]
fn a_heartbeat_tells_a_state_that_is_not_the_logs() {
    let mut log = log();
    let good = log.control.digest();
    log.alone("officer-1", Operation::FreezeSet, &freeze(Scope::All)).unwrap();
    assert_ne!(log.control.digest(), good);
    let leaf = HeartbeatLeaf { schema: Schema, moment: moment(BEGIN_MS, 1, 0), control: good };
    assert_eq!(log.put(LeafKind::Heartbeat, &leaf), conflict(Conflict::Precondition));
    log.heartbeat().unwrap();
}
