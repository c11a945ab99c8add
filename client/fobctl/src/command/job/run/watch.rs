//! How a run goes, for the operators: cards made in this run, how fast, what was rejected, and the time left in their
//! session by the service's clock. No total: none is known here.

use crate::{
    moment::{self, in_words},
    output::{Report, tell},
    shown::{rows, utc},
};
use indicatif::{ProgressBar, ProgressFinish, ProgressState, ProgressStyle};
use keysvc_client::{
    personalization::{Ended, Event, Go},
    protocol::{job::Outcome, name::Name},
};
use serde::Serialize;
use std::{
    fmt,
    time::{Duration, Instant},
};

/// How often the line moves on a terminal, in milliseconds.
const TICK_MS: u64 = 200;
/// How often a line is said where there is no terminal.
const SAID: Duration = Duration::from_secs(10);

/// What is seen of a run.
pub(super) struct Watch {
    bar: ProgressBar,
    began: Instant,
    said: Instant,
    expires_ms: u64,
    service_ahead_ms: i64,
    most: Option<u32>,
    seen: Seen,
    last: String,
    waiting: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    good: u32,
    rejected: u32,
    sample: u32,
    blank: u32,
    skipped: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct RunReport {
    job: String,
    station: String,
    /// Why it ended; nothing where it broke off.
    ended: Option<&'static str>,
    /// In this run.
    made: u32,
    good: u32,
    rejected: u32,
    sample: u32,
    /// Cards that got no keys.
    blank: u32,
    /// Cards that were presented again though they were finished.
    skipped: u32,
    elapsed_ms: u64,
    /// In thousandths.
    cards_per_1000_s: u64,
    session_expires: String,
    #[serde(skip)]
    left: String,
}

/// Why a run ended, in words.
pub(super) const fn words(ended: Ended) -> &'static str {
    match ended {
        Ended::NoMoreCards => "no more cards in the feeder",
        Ended::JobComplete => "the job takes no more cards",
        Ended::SessionOver => "the session of the two operators is over",
        Ended::JobStopped { .. } => "the job was stopped",
        Ended::Stopped => "as many cards as were wanted in this run",
    }
}

impl Watch {
    pub(super) fn new(expires_ms: u64, service_ahead_ms: i64, most: Option<u32>) -> Self {
        let bar = ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear);
        // Told anew at each tick: an operator may feed the next card minutes later.
        let time_left = move |_: &ProgressState, out: &mut dyn fmt::Write| {
            // What cannot be drawn is drawn at the next tick.
            let _: fmt::Result = out.write_str(&left_now(expires_ms, service_ahead_ms));
        };
        let bar = match ProgressStyle::with_template("{spinner} {msg}; session {left}") {
            Ok(style) => bar.with_style(style.with_key("left", time_left)),
            Err(_) => bar,
        };
        bar.enable_steady_tick(Duration::from_millis(TICK_MS));
        let now = Instant::now();
        Self {
            bar,
            began: now,
            said: now,
            expires_ms,
            service_ahead_ms,
            most,
            seen: Seen::default(),
            last: String::new(),
            waiting: false,
        }
    }

    /// Takes what happened; says whether the line goes on.
    pub(super) fn hear(&mut self, event: &Event<'_>) -> Go {
        let one = |count: &mut u32| *count = count.saturating_add(1);
        match event {
            Event::Asked { .. } => {}
            Event::Given { .. } => self.waiting = false,
            Event::Card { card, outcome } => {
                self.waiting = false;
                let word = match outcome {
                    Outcome::Good => {
                        one(&mut self.seen.good);
                        "good"
                    }
                    Outcome::Sample => {
                        one(&mut self.seen.sample);
                        "sample"
                    }
                    Outcome::Reject { cause } => {
                        one(&mut self.seen.rejected);
                        self.say(&format!("rejected {card}: {}", cause.as_str()));
                        "rejected"
                    }
                };
                self.last = format!(", last {card} {word}");
            }
            Event::LeftOut { card, because } => {
                one(&mut self.seen.blank);
                let because = because.map(|error| format!(": {error}")).unwrap_or_default();
                self.say(&format!("put aside as a blank {card}{because}"));
            }
            Event::Skipped { card } => {
                one(&mut self.seen.skipped);
                self.say(&format!("finished before {card}"));
            }
            Event::Waiting { error } => {
                if !self.waiting {
                    self.say(&format!("waiting for the service: {error}"));
                }
                self.waiting = true;
            }
        }
        self.show();
        if self.most.is_some_and(|most| self.seen.made() >= most) { Go::Stop } else { Go::On }
    }

    fn show(&mut self) {
        let line = self.line();
        if self.bar.is_hidden() && self.said.elapsed() >= SAID {
            self.said = Instant::now();
            tell(&format_args!("{line}; session {}", self.left()));
        }
        self.bar.set_message(line);
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| tell(&crate::shown::plain(text)));
    }

    fn line(&self) -> String {
        let Seen { good, rejected, sample, .. } = self.seen;
        format!(
            "{} made in this run, {}; good {good}, rejected {rejected}, samples {sample}{}",
            self.seen.made(),
            speed(self.per_1000_s()),
            self.last
        )
    }

    fn left(&self) -> String {
        left_now(self.expires_ms, self.service_ahead_ms)
    }

    fn per_1000_s(&self) -> u64 {
        let elapsed_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let made = u64::from(self.seen.made()).saturating_mul(1_000_000);
        made.checked_div(elapsed_ms).unwrap_or_default()
    }

    /// What was done, at the end.
    pub(super) fn report(&self, job: &Name, station: &Name, ended: Option<&Ended>) -> RunReport {
        self.bar.finish_and_clear();
        let Seen { good, rejected, sample, blank, skipped } = self.seen;
        RunReport {
            job: job.to_string(),
            station: station.to_string(),
            ended: ended.map(|ended| words(*ended)),
            made: self.seen.made(),
            good,
            rejected,
            sample,
            blank,
            skipped,
            elapsed_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            cards_per_1000_s: self.per_1000_s(),
            session_expires: utc(self.expires_ms),
            left: self.left(),
        }
    }
}

impl Seen {
    fn made(&self) -> u32 {
        self.good.saturating_add(self.rejected).saturating_add(self.sample)
    }
}

/// `3.4 cards/s`.
fn speed(per_1000_s: u64) -> String {
    format!("{}.{} cards/s", per_1000_s / 1000, per_1000_s % 1000 / 100)
}

/// `0.4 s`; a minute and more in its two largest units.
fn took(elapsed_ms: u64) -> String {
    match elapsed_ms / 1000 {
        seconds @ 0..60 => format!("{seconds}.{} s", elapsed_ms % 1000 / 100),
        seconds => in_words(seconds),
    }
}

/// The time left in the session, by the service's clock.
fn left_now(expires_ms: u64, service_ahead_ms: i64) -> String {
    let now_ms = i64::try_from(moment::now_ms()).unwrap_or(i64::MAX).saturating_add(service_ahead_ms);
    left(expires_ms, u64::try_from(now_ms).unwrap_or_default())
}

fn left(expires_ms: u64, now_ms: u64) -> String {
    match expires_ms.saturating_sub(now_ms) / 1000 {
        0 => "is over".to_owned(),
        seconds => format!("ends in {}", in_words(seconds)),
    }
}

impl Report for RunReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-job-run/1"
    }

    fn text(&self) -> String {
        let Self { made, good, rejected, sample, .. } = self;
        let took = took(self.elapsed_ms);
        let mut lines = vec![
            ("job", format!("{} at {}", self.job, self.station)),
            ("ended", self.ended.unwrap_or("BROKEN OFF: see below").to_owned()),
            ("made", format!("{made} in this run: good {good}, rejected {rejected}, samples {sample}")),
            ("speed", format!("{}, {took}", speed(self.cards_per_1000_s))),
        ];
        if self.blank > 0 {
            lines.push(("blanks", format!("{} put aside without keys", self.blank)));
        }
        if self.skipped > 0 {
            lines.push(("presented again", format!("{} that were finished before", self.skipped)));
        }
        lines.push(("session", format!("{} ({})", self.left, self.session_expires)));
        rows(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_client::protocol::card::ShownCard;

    #[test]
    fn a_run_is_counted_as_it_goes_and_stops_after_as_many_as_are_wanted() {
        let mut watch = Watch::new(u64::MAX, 0, Some(2));
        let card = ShownCard::masked(&"04782e21801d80".parse().unwrap());
        let reject = Outcome::Reject { cause: "bent".parse().unwrap() };
        let first = watch.hear(&Event::Card { card: card.clone(), outcome: &Outcome::Good });
        assert_eq!(first, Go::On);
        assert_eq!(watch.hear(&Event::LeftOut { card: card.clone(), because: None }), Go::On);
        assert_eq!(watch.hear(&Event::Card { card, outcome: &reject }), Go::Stop);
        let line = watch.line();
        assert!(line.starts_with("2 made in this run, "), "{line}");
        assert!(line.contains("good 1, rejected 1, samples 0, last 0478..1d80 rejected"), "{line}");
        let report = watch.report(&"nfc-1".parse().unwrap(), &"station-1".parse().unwrap(), None);
        let text = report.text();
        assert!(text.contains("BROKEN OFF") && text.contains("1 put aside without keys"), "{text}");
    }

    #[test]
    fn speed_and_time_left_are_told_in_short() {
        assert_eq!(speed(3_456), "3.4 cards/s");
        assert_eq!(speed(0), "0.0 cards/s");
        assert_eq!((took(449), took(61_000)), ("0.4 s".to_owned(), "1 min".to_owned()));
        assert_eq!(left(7_200_000, 0), "ends in 2 h 0 min");
        assert_eq!(left(5, 10), "is over");
    }
}
