//! One measurement over the rounds, and what is made of it: medians, and how far apart its rounds lie.

use crate::order::{Measured, Order};

/// A series whose rounds lie further apart than this, as a share of their median, is measured again.
pub const SPREAD_MAX: f64 = 0.15;

/// One measurement, over the rounds.
#[derive(Debug)]
pub struct Series {
    /// What was ordered.
    pub order: Order,
    /// What was measured, round by round.
    pub measured: Vec<Measured>,
    /// How many rounds were set aside for others measured in their place.
    pub again: u32,
}

#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of a run fit a double exactly")]
/// A count as a figure.
pub const fn float(number: u64) -> f64 {
    number as f64
}

/// Operations a second.
pub fn rate(measured: &Measured) -> f64 {
    float(measured.operations) * 1e9 / float(measured.elapsed_ns.max(1))
}

impl Series {
    /// Of this order, with nothing measured.
    pub const fn new(order: Order) -> Self {
        Self { order, measured: Vec::new(), again: 0 }
    }

    /// The median over the rounds; of two in the middle the greater.
    pub fn median(&self, figure: impl Fn(&Measured) -> f64) -> f64 {
        let mut all: Vec<f64> = self.measured.iter().map(figure).collect();
        all.sort_unstable_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    }

    /// Greatest less smallest rate, as a share of the median; 0 of nothing.
    pub fn spread(&self) -> f64 {
        let rates = || self.measured.iter().map(rate);
        let (most, least) = (rates().fold(0.0, f64::max), rates().fold(f64::INFINITY, f64::min));
        let middle = self.median(rate);
        if middle > 0.0 { (most - least) / middle } else { 0.0 }
    }

    /// Takes one more round, and sets that one aside whose rate is then furthest from the median: there are as many as
    /// before, and one bad second does not decide.
    pub fn replace(&mut self, measured: Measured) {
        self.measured.push(measured);
        let middle = self.median(rate);
        let away = |one: &Measured| (rate(one) - middle).abs();
        let furthest = self
            .measured
            .iter()
            .enumerate()
            .max_by(|(_, one), (_, other)| away(one).total_cmp(&away(other)))
            .map(|(place, _)| place);
        if let Some(place) = furthest {
            self.measured.remove(place);
        }
        self.again = self.again.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Work;

    fn series(rates: &[u64]) -> Series {
        let order = Order { work: Work::RawSign, parallel: 1, millis: 1_000, service: None };
        let measured = rates.iter().map(|rate| one(*rate)).collect();
        Series { measured, ..Series::new(order) }
    }

    fn one(rate: u64) -> Measured {
        Measured { operations: rate, elapsed_ns: 1_000_000_000, ..Measured::default() }
    }

    #[test]
    fn a_spread_is_a_share_of_the_median() {
        let spread = series(&[90, 100, 110]).spread();
        assert!((spread - 0.2).abs() < 1e-9, "{spread}");
        assert!(series(&[]).spread().abs() < 1e-9);
    }

    #[test]
    fn the_round_furthest_from_the_median_is_set_aside() {
        let mut series = series(&[100, 50, 101]);
        series.replace(one(99));
        let rates: Vec<u64> = series.measured.iter().map(|one| one.operations).collect();
        assert_eq!((rates, series.again), (vec![100, 101, 99], 1));
    }
}
