//! `[log]`: how much the service writes to its log, and in which form.

use serde::Deserialize;

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LogConfig {
    /// The least grave line that is written.
    pub level: LogLevel,
    /// The form of a line; read at the start alone.
    pub format: LogFormat,
}

/// How grave a line must be to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Faults of ours and alarms.
    Error,
    /// Also what an operator should look at.
    Warn,
    /// Also what the service does as a whole.
    #[default]
    Info,
    /// Also a line for each request.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The names, as the file writes them.
    pub(super) const NAMES: [&'static str; 5] = ["error", "warn", "info", "debug", "trace"];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The form of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The names, as the file writes them.
    pub(super) const NAMES: [&'static str; 2] = ["text", "json"];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}
