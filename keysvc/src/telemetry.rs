//! Logs: structured, to standard error, without card identifiers, amounts, keys or PINs.
//!
//! `[log]` says how much and in which form; `KEYSVC_LOG` and `KEYSVC_LOG_FORMAT` stand above it.

use crate::config::{LogConfig, LogFormat, LogLevel};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, fmt, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _,
};

/// The variable with a filter as `tracing` reads it.
const FILTER: &str = "KEYSVC_LOG";
/// The variable with the form: `json`, else text.
const FORMAT: &str = "KEYSVC_LOG_FORMAT";

/// The way to set the level of a running process.
#[derive(Debug, Clone)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
    level: LogLevel,
}

/// Starts the process's log.
#[must_use]
pub fn start(config: LogConfig) -> LogControl {
    let (filter, handle) = reload::Layer::new(filter(config.level));
    let json = std::env::var(FORMAT).map_or(config.format == LogFormat::Json, |format| format == "json");
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = if json { lines.json().boxed() } else { lines.with_ansi(false).boxed() };
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    LogControl { filter: handle, level: config.level }
}

/// The variable's filter, or the file's level.
fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(level.name()))
}

impl LogControl {
    /// Takes over the level of a file that was read again; gives what changed, in words.
    pub fn apply(&mut self, config: LogConfig) -> Option<String> {
        if config.level == self.level {
            return None;
        }
        let before = std::mem::replace(&mut self.level, config.level);
        if std::env::var_os(FILTER).is_some() {
            return Some(format!("log.level, which {FILTER} stands above"));
        }
        // The log is gone only when the process is.
        let _ = self.filter.reload(filter(config.level));
        Some(format!("log.level from {} to {}", before.name(), config.level.name()))
    }
}
