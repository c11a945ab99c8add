//! Pauses between retries: full jitter, so that clients cut off together do not come back together.

use ring::rand::{SecureRandom as _, SystemRandom};
use std::time::Duration;

/// The longest first pause, milliseconds.
const FIRST_MS: u64 = 50;
/// The longest pause of all, milliseconds.
const LONGEST_MS: u64 = 1_000;

/// The pauses of one call's retries.
#[derive(Debug)]
pub(crate) struct Backoff {
    longest_ms: u64,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { longest_ms: FIRST_MS }
    }

    /// The next pause: anything up to a bound that begins at 50 ms and doubles to 1 s.
    pub(crate) fn next_pause(&mut self) -> Duration {
        let bound = self.longest_ms;
        self.longest_ms = bound.saturating_mul(2).min(LONGEST_MS);
        let mut random = [0; 8];
        // Without randomness the pause is the longest.
        let drawn = SystemRandom::new().fill(&mut random).is_ok();
        let pause =
            if drawn { u64::from_le_bytes(random).checked_rem(bound.saturating_add(1)) } else { None };
        Duration::from_millis(pause.unwrap_or(bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_under_a_bound_that_doubles_to_a_second() {
        let mut backoff = Backoff::new();
        for bound in [50, 100, 200, 400, 800, 1_000, 1_000] {
            assert!(backoff.next_pause() <= Duration::from_millis(bound));
        }
        assert_eq!(backoff.longest_ms, LONGEST_MS);
    }

    #[test]
    fn pauses_are_spread() {
        let pauses: Vec<_> = (0..64).map(|_| Backoff { longest_ms: LONGEST_MS }.next_pause()).collect();
        let different = pauses.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert!(different > 32, "{different} of 64");
    }
}
