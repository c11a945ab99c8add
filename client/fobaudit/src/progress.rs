//! Progress of a long verification: a bar on stderr, on a terminal alone.

use indicatif::{ProgressBar, ProgressStyle};

/// Leaves from which on a verification takes long enough to be watched: a second or so.
const LONG: u64 = 16_384;

/// A bar that shows how far a verification has come.
#[derive(Debug)]
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// A bar that is shown once the work is known to be long.
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Shows that `done` leaves of `of` are done.
    pub(crate) fn show(&mut self, done: u64, of: u64) {
        if self.0.is_none() && of.saturating_sub(done) >= LONG {
            let bar = ProgressBar::new(of);
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} leaves, {eta} left");
            // The first that is shown is not this run's pace: leaves may have been verified before.
            let bar = style.map(|style| bar.clone().with_style(style)).unwrap_or(bar).with_position(done);
            bar.reset_eta();
            self.0 = Some(bar);
        }
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_work_has_a_bar() {
        let mut progress = Progress::new();
        progress.show(0, LONG - 1);
        assert!(progress.0.is_none());
        progress.show(100, LONG + 100);
        let bar = progress.0.clone().unwrap();
        assert_eq!((bar.position(), bar.length()), (100, Some(LONG + 100)));
        progress.show(LONG, LONG + 100);
        assert_eq!(bar.position(), LONG);
        progress.end();
        assert!(bar.is_finished());
    }
}
