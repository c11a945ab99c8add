//! What the log itself knows of a job's cards, and whether what people counted agrees with it.

use super::{Counts, JobHead, Outcome};
use serde::{Deserialize, Serialize};

/// Cards by what the log says of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Cards of the job whose keys were released, each once, in however many generations.
    pub made: u32,
    /// Good ones.
    pub good: u32,
    /// Rejects.
    pub rejected: u32,
    /// Samples.
    pub sample: u32,
}

impl Tally {
    /// Cards without their result.
    #[must_use]
    pub const fn pending(&self) -> u32 {
        self.made.saturating_sub(self.good).saturating_sub(self.rejected).saturating_sub(self.sample)
    }

    pub(super) const fn with(mut self, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Good => self.good = self.good.saturating_add(1),
            Outcome::Reject { .. } => self.rejected = self.rejected.saturating_add(1),
            Outcome::Sample => self.sample = self.sample.saturating_add(1),
        }
        self
    }

    /// Without what became of a card that is begun again.
    pub(super) const fn without(mut self, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Good => self.good = self.good.saturating_sub(1),
            Outcome::Reject { .. } => self.rejected = self.rejected.saturating_sub(1),
            Outcome::Sample => self.sample = self.sample.saturating_sub(1),
        }
        self
    }
}

/// By how much counts miss, counted less what it should be. All zero: balanced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// Everything counted, less the cards issued and carried over.
    pub total: i64,
    /// Good cards, less those on record.
    pub good: i64,
    /// Rejects, less those on record.
    pub rejected: i64,
    /// Samples, less those on record.
    pub sample: i64,
    /// Cards whose keys were released and whose result is missing.
    pub pending: u32,
}

impl Balance {
    /// Compares what was counted with the head and the log.
    #[must_use]
    pub fn of(head: &JobHead, tally: &Tally, counts: &Counts) -> Self {
        let Counts { good, rejected, sample, returned, handed_over } = *counts;
        let counted: i64 = [good, rejected, sample, returned, handed_over].into_iter().map(i64::from).sum();
        let given = i64::from(head.issued).saturating_add(i64::from(head.carried_over));
        let less = |counted: u32, known: u32| i64::from(counted).saturating_sub(i64::from(known));
        Self {
            total: counted.saturating_sub(given),
            good: less(good, tally.good),
            rejected: less(rejected, tally.rejected),
            sample: less(sample, tally.sample),
            pending: tally.pending(),
        }
    }

    /// Whether nothing is missing and nothing is left over.
    #[must_use]
    pub const fn is_even(&self) -> bool {
        self.total == 0 && self.good == 0 && self.rejected == 0 && self.sample == 0 && self.pending == 0
    }
}
