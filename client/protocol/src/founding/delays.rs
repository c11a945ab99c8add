//! How long what takes people waits before it takes effect, so that any one officer can still cancel it.
//!
//! Apart because its floors are the product's, not the site's: shorter delays are for development alone. It counts
//! no time; the state machine of dual control does.

use super::{FoundingError, fault};
use alloc::format;
use serde::{Deserialize, Serialize};

/// The shortest delay of changes of officers and thresholds outside development, in seconds: 24 hours.
pub const ROSTER_DELAY_S_MIN: u64 = 24 * 60 * 60;
/// The shortest delay of a key's destruction outside development, in seconds: 7 days.
pub const DESTROY_DELAY_S_MIN: u64 = 7 * 24 * 60 * 60;
/// The longest delay, in seconds: 366 days. What waits longer would outlive the people who decided it.
pub const DELAY_S_MAX: u64 = 366 * 24 * 60 * 60;

/// The delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Delays {
    /// Of a change of officers or thresholds, in seconds.
    pub roster_s: u64,
    /// Of a key's destruction, in seconds.
    pub destroy_s: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self { roster_s: ROSTER_DELAY_S_MIN, destroy_s: DESTROY_DELAY_S_MIN }
    }
}

impl Delays {
    /// Whether one of them is for development only.
    #[must_use]
    pub const fn are_short(&self) -> bool {
        self.roster_s < ROSTER_DELAY_S_MIN || self.destroy_s < DESTROY_DELAY_S_MIN
    }

    pub(super) fn check(&self, development: bool) -> Result<(), FoundingError> {
        for (name, delay_s, shortest_s, words) in [
            ("roster-s", self.roster_s, ROSTER_DELAY_S_MIN, "24 hours"),
            ("destroy-s", self.destroy_s, DESTROY_DELAY_S_MIN, "7 days"),
        ] {
            let place = format!("delays.{name}");
            if delay_s > DELAY_S_MAX {
                return Err(fault(place, format!("give at most {DELAY_S_MAX} seconds (366 days)")));
            }
            if delay_s < shortest_s && !development {
                return Err(fault(
                    place,
                    format!(
                        "give at least {shortest_s} seconds ({words}); a shorter delay needs development = true"
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    const DAY_S: u64 = 86_400;

    #[test]
    fn left_out_they_are_a_day_and_a_week() {
        let delays = |json: &str| serde_json::from_str::<Delays>(json);
        assert_eq!(delays("{}").unwrap(), Delays { roster_s: 86_400, destroy_s: 604_800 });
        assert_eq!(delays("{}").unwrap(), Delays::default());
        assert_eq!(delays(r#"{"destroy-s": 9}"#).unwrap(), Delays { destroy_s: 9, ..Delays::default() });
        for wrong in [r#"{"destroy_s": 9}"#, r#"{"roster-h": 9}"#, r#"{"roster-s": -1}"#] {
            assert!(delays(wrong).is_err(), "{wrong}");
        }
        let text = serde_json::to_string(&Delays { roster_s: 3, destroy_s: 4 }).unwrap();
        assert_eq!(text, r#"{"roster-s":3,"destroy-s":4}"#);
    }

    #[test]
    fn a_short_delay_needs_development_and_is_named_with_the_mend() {
        let short = Delays { roster_s: DAY_S - 1, ..Delays::default() };
        let error = short.check(false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "delays.roster-s: give at least 86400 seconds (24 hours); a shorter delay needs development = true"
        );
        assert_eq!(short.check(true), Ok(()));
        let short = Delays { destroy_s: 7 * DAY_S - 1, ..Delays::default() };
        let error = short.check(false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "delays.destroy-s: give at least 604800 seconds (7 days); a shorter delay needs development = true"
        );
        assert_eq!(short.check(true), Ok(()));
    }

    #[test]
    fn a_delay_of_more_than_366_days_is_refused_in_development_too() {
        for development in [false, true] {
            let longest = Delays { roster_s: 366 * DAY_S, destroy_s: 366 * DAY_S };
            assert_eq!(longest.check(development), Ok(()));
            let error = Delays { roster_s: 366 * DAY_S + 1, ..longest }.check(development).unwrap_err();
            assert_eq!(error.to_string(), "delays.roster-s: give at most 31622400 seconds (366 days)");
            let error = Delays { destroy_s: u64::MAX, ..longest }.check(development).unwrap_err();
            assert_eq!(error.place, "delays.destroy-s");
        }
    }

    proptest! {
        #[test]
        fn what_holds_outside_development_is_never_short(
            roster_s in prop_oneof![0..3 * DAY_S, any::<u64>()],
            destroy_s in prop_oneof![0..10 * DAY_S, any::<u64>()],
        ) {
            let delays = Delays { roster_s, destroy_s };
            let long = roster_s >= DAY_S && destroy_s >= 7 * DAY_S;
            let bounded = roster_s <= 366 * DAY_S && destroy_s <= 366 * DAY_S;
            prop_assert_eq!(delays.are_short(), !long);
            prop_assert_eq!(delays.check(false).is_ok(), long && bounded);
            prop_assert_eq!(delays.check(true).is_ok(), bounded);
            // What the officers sign is what is read back.
            let text = serde_json::to_string(&delays).unwrap();
            prop_assert_eq!(serde_json::from_str::<Delays>(&text).unwrap(), delays);
        }
    }
}
