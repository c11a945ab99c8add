//! How long somebody waits while something is done to the service.

use std::{fmt, time::Duration};

/// Waits, to be told by their parts.
#[derive(Debug, Clone, Default)]
pub struct Waits(Vec<Duration>);

impl Waits {
    /// Notes one.
    pub fn note(&mut self, wait: Duration) {
        self.0.push(wait);
    }

    /// Notes all of these.
    pub fn add(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The wait that so many in a hundred do not pass; none at all without waits.
    #[must_use]
    pub fn at(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or_default()
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |percent| self.at(percent).as_secs_f64() * 1e3;
        write!(f, "p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms of {}", ms(50), ms(99), ms(100), self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_in_a_hundred_is_the_ninety_ninth() {
        let mut waits = Waits::default();
        (1..=100).rev().for_each(|ms| waits.note(Duration::from_millis(ms)));
        assert_eq!((waits.at(50), waits.at(99)), (Duration::from_millis(50), Duration::from_millis(99)));
        assert_eq!(waits.at(100), Duration::from_millis(100));
        assert_eq!(Waits::default().at(99), Duration::ZERO);
    }
}
