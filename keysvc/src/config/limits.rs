//! Every limit of the service, with its arithmetic. All may be set in `keysvc.toml`.

use super::ConfigError;
use serde::Deserialize;
use std::path::Path;

/// `[keeper.limits]`: queues, lives and slices inside the keeper.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct KeeperLimits {
    /// Changes waiting for the ledger; one more is answered `busy`. As many as the link lets in flight
    /// ([`crate::link::CALLS_MAX`]): 4,096 of 64 KiB at worst are 256 MiB, of the usual 0.5 KiB they are 2 MiB.
    pub ledger_queue_len: usize,
    /// Changes in one commit: 256 at 12 us each are 3 ms.
    pub commit_batch_max: usize,
    /// How long a commit waits for company when there was company before, in microseconds; a lone request never
    /// waits.
    pub commit_gather_us: u64,
    /// Life of an exchange with a station, in milliseconds: one shift of 8 hours.
    pub exchange_life_ms: u64,
    /// Open exchanges of one station; the oldest ends when one more is opened.
    pub exchanges_per_station_max: usize,
    /// Until when a terminal may write an update to the card, in milliseconds from its issue: 24 hours.
    pub value_valid_ms: u64,
    /// Life of a trust bundle, in milliseconds: 7 days, so that a till that is offline over a long weekend still
    /// verifies. It is renewed when half of its life is over.
    pub bundle_life_ms: u64,
    /// Longest time a batch holds a worker, in milliseconds.
    pub slice_ms: u64,
    /// Threads that do the work; each has its own session with the token.
    pub workers: usize,
}

impl Default for KeeperLimits {
    fn default() -> Self {
        Self {
            ledger_queue_len: 4_096,
            commit_batch_max: 256,
            commit_gather_us: 200,
            exchange_life_ms: 8 * 3_600_000,
            exchanges_per_station_max: 4,
            value_valid_ms: 24 * 3_600_000,
            bundle_life_ms: 7 * 24 * 3_600_000,
            slice_ms: 2,
            workers: 2,
        }
    }
}

impl KeeperLimits {
    pub(super) fn check(&self, file: &Path) -> Result<(), ConfigError> {
        let sizes = [
            ("ledger-queue-len", self.ledger_queue_len, 65_536),
            ("commit-batch-max", self.commit_batch_max, 4_096),
            ("exchanges-per-station-max", self.exchanges_per_station_max, 64),
            ("workers", self.workers, 64),
        ];
        for (name, value, max) in sizes {
            if value == 0 || value > max {
                return Err(ConfigError::key(
                    file,
                    format!("keeper.limits.{name}"),
                    format!("give 1 to {max}"),
                ));
            }
        }
        Ok(())
    }
}
