//! Progress of long work: a bar on stderr, on a terminal alone.

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use std::time::Duration;

/// How often the bar shows that the work goes on, in milliseconds: a slice of work takes a second or more.
const TICK_MS: u64 = 200;

/// A bar over this many things, cleared when it is dropped; none where one request does it all.
pub(crate) fn bar(things: usize, per_request: usize, unit: &str) -> ProgressBar {
    if things <= per_request {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(things).unwrap_or_default());
    let template = format!("{{bar:40}} {{pos}}/{{len}} {unit}, {{eta}} left");
    let bar = match ProgressStyle::with_template(&template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    // Also where the work breaks off: what is said then stands on a line of its own.
    let bar = bar.with_finish(ProgressFinish::AndClear);
    bar.enable_steady_tick(Duration::from_millis(TICK_MS));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_request_does_has_no_bar() {
        assert!(bar(64, 64, "updates").is_hidden());
        assert_eq!(bar(65, 64, "updates").length(), Some(65));
    }
}
