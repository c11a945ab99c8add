//! How long to wait before a half is started again: at once the first time, then longer and longer.

use std::time::Duration;

/// The wait after the second end in a row.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A half that ran this long was healthy: its end counts as a first one again.
const HEALTHY: Duration = Duration::from_secs(30);

/// The ends in a row of one half.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    next: Duration,
}

impl Restarts {
    /// The wait after a half that lived this long has ended.
    pub(super) fn wait_after(&mut self, lived: Duration) -> Duration {
        let wait = if lived >= HEALTHY { Duration::ZERO } else { self.next };
        self.next = wait.saturating_mul(2).clamp(WAIT_MIN, WAIT_MAX);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_at_once_and_later_ones_wait_up_to_five_seconds() {
        let mut restarts = Restarts::default();
        let waits: Vec<_> = (0..9).map(|_| restarts.wait_after(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    }

    #[test]
    fn a_half_that_was_healthy_is_started_again_at_once() {
        let mut restarts = Restarts::default();
        restarts.wait_after(Duration::ZERO);
        restarts.wait_after(Duration::ZERO);
        assert_eq!(restarts.wait_after(Duration::from_secs(30)), Duration::ZERO);
        assert_eq!(restarts.wait_after(Duration::from_secs(29)), WAIT_MIN);
    }
}
