//! The keeper's limits, as `config` reads them.

pub use crate::config::KeeperLimits;
