//! How far the verification is, for whoever waits: a bar on a terminal, else a line every ten seconds.

use crate::{keeper::ledger::rebuild::Stage, output::Output};
use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

/// Width of the bar, in characters.
const BAR_LEN: u64 = 30;

/// The words on standard error.
pub(super) struct Progress<'a> {
    output: &'a Output,
    began: Instant,
    told: Option<Instant>,
    every: Duration,
}

impl<'a> Progress<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        // Ten times a second an eye sees it move; a log file wants to stay short.
        let every = Duration::from_millis(if std::io::stderr().is_terminal() { 100 } else { 10_000 });
        let began = Instant::now();
        Self { output, began, told: None, every }
    }

    /// Tells of a stage, unless it told of one just now. Nothing is said of what takes no time.
    pub(super) fn tell(&mut self, stage: Stage) {
        if self.told.unwrap_or(self.began).elapsed() < self.every {
            return;
        }
        self.told = Some(Instant::now());
        self.output.progress(&text(stage, self.began.elapsed()));
    }

    /// Clears the bar.
    pub(super) fn end(&self) {
        if self.told.is_some() {
            self.output.progress("");
        }
    }
}

fn text(stage: Stage, elapsed: Duration) -> String {
    match stage {
        Stage::Database => "looking through the database's pages".to_owned(),
        Stage::Purses => "comparing the purses".to_owned(),
        Stage::Leaves { read, of } => {
            let part = |of_whole: u64| read.saturating_mul(of_whole).checked_div(of).unwrap_or(of_whole);
            let done = usize::try_from(part(BAR_LEN)).unwrap_or(0);
            let left = usize::try_from(BAR_LEN).unwrap_or(0).saturating_sub(done);
            let rate = u128::from(read).saturating_mul(1000).checked_div(elapsed.as_millis()).unwrap_or(0);
            format!(
                "[{}{}] {:>3} %  {read} of {of} leaves, {rate} a second",
                "#".repeat(done),
                ".".repeat(left),
                part(100)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_says_how_much_is_done_and_how_fast() {
        let half = text(Stage::Leaves { read: 500, of: 1_000 }, Duration::from_secs(2));
        assert_eq!(half, "[###############...............]  50 %  500 of 1000 leaves, 250 a second");
        assert!(text(Stage::Leaves { read: 0, of: 0 }, Duration::ZERO).contains("100 %"));
    }
}
