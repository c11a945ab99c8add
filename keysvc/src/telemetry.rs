//! Logs: structured, to standard error, without card identifiers, amounts, keys or PINs.

use tracing_subscriber::{EnvFilter, fmt};

/// Starts the process's log. `KEYSVC_LOG` sets the filter (`info` by default), `KEYSVC_LOG_FORMAT=json` the form.
pub fn start() {
    let filter = EnvFilter::try_from_env("KEYSVC_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second start in one process (tests) keeps the first.
    let _ = if std::env::var("KEYSVC_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().try_init()
    } else {
        builder.with_ansi(false).try_init()
    };
}
