//! Two clocks against each other: the wall's, which can be set, and the boot's, which cannot.

use crate::bytes::Boot;
use serde::{Deserialize, Serialize};

/// How far wall time and boot time may go apart between two moments of one boot: 5 minutes.
pub const DRIFT_MAX_MS: u64 = 5 * 60 * 1000;

/// A moment by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Wall time, milliseconds since 1970-01-01 UTC, as the clock said it.
    pub wall_ms: u64,
    /// The boot.
    pub boot: Boot,
    /// Time since the boot, suspended time included, in milliseconds.
    pub up_ms: u64,
}

/// What the moments so far say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    last: Option<Moment>,
    run_ms: u64,
    disputed: bool,
}

impl Clock {
    /// Boot time that was witnessed so far, in milliseconds: between moments of one boot.
    #[must_use]
    pub const fn run_ms(&self) -> u64 {
        self.run_ms
    }

    /// Whether the two clocks went apart and nobody has confirmed the wall clock since.
    #[must_use]
    pub const fn is_disputed(&self) -> bool {
        self.disputed
    }

    /// The last moment.
    #[must_use]
    pub const fn last(&self) -> Option<&Moment> {
        self.last.as_ref()
    }

    /// The standing after one more moment.
    #[must_use]
    pub fn after(self, moment: &Moment) -> Self {
        let Some(last) = self.last else { return Self { last: Some(*moment), ..self } };
        if last.boot == moment.boot && moment.up_ms < last.up_ms {
            // Within one boot its time never goes back, but where a machine was put back to an earlier picture of itself.
            return Self { disputed: true, ..self };
        }
        let mut next = Self { last: Some(*moment), ..self };
        if last.boot == moment.boot {
            let ran_ms = moment.up_ms.saturating_sub(last.up_ms);
            next.run_ms = next.run_ms.saturating_add(ran_ms);
            let expected_ms = last.wall_ms.saturating_add(ran_ms);
            next.disputed |= moment.wall_ms.abs_diff(expected_ms) > DRIFT_MAX_MS;
        } else {
            // Over a new start of the machine only a wall clock that went back can be told.
            next.disputed |= last.wall_ms.saturating_sub(moment.wall_ms) > DRIFT_MAX_MS;
        }
        next
    }

    /// The standing once people have confirmed the wall clock at this moment.
    #[must_use]
    pub fn confirmed(self, moment: &Moment) -> Self {
        Self { disputed: false, last: Some(*moment), ..self.after(moment) }
    }
}
