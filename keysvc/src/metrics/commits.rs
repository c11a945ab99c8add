//! What the ledger's thread does: how many changes wait, how many a commit takes, and how long it lasts.

use prometheus_client::{
    metrics::{gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::time::Duration;

/// Upper bounds of a commit's size, in changes: powers of two up to the largest batch.
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// Upper bounds of a commit's time, in seconds: from a fast disk's sync to a slow one's.
const TIMES_S: [f64; 11] = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0];

/// Records commits; clones share the figures.
#[derive(Debug, Clone)]
pub struct Commits {
    waiting: Gauge,
    sizes: Histogram,
    times: Histogram,
}

impl Default for Commits {
    fn default() -> Self {
        Self { waiting: Gauge::default(), sizes: Histogram::new(SIZES), times: Histogram::new(TIMES_S) }
    }
}

impl Commits {
    /// A change has taken a place in the queue.
    pub fn queued(&self) {
        self.waiting.inc();
    }

    /// So many changes were taken out of the queue.
    pub fn taken(&self, changes: usize) {
        self.waiting.dec_by(i64::try_from(changes).unwrap_or(i64::MAX));
    }

    /// A commit of so many changes is durable.
    pub fn committed(&self, changes: usize, took: Duration) {
        self.sizes.observe(f64::from(u32::try_from(changes).unwrap_or(u32::MAX)));
        self.times.observe(took.as_secs_f64());
    }

    /// Changes waiting now.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        u64::try_from(self.waiting.get()).unwrap_or(0)
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("ledger_queue_length", "Changes waiting for the ledger", self.waiting.clone());
        registry.register("commit_changes", "Changes in one commit", self.sizes.clone());
        registry.register_with_unit(
            "commit_duration",
            "Time of one commit, the disk's sync included",
            Unit::Seconds,
            self.times.clone(),
        );
    }
}
