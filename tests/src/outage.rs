//! How long something killed was away, seen by whoever goes on asking; and the figures of many such times.
//!
//! Apart from [`crate::watched`] because that waits with its own patience and panics; who counts outages goes on.

use crate::{
    ground::Ground,
    raw::{Line, envelope, http},
};
use keysvc_protocol::{
    cbor,
    refusal::Refusal,
    reply::{ServiceState, StatusReply},
    request::{Operation, ReadStatus},
    schema::Schema,
};
use softhsm_setup::Site;
use std::{
    fmt, thread,
    time::{Duration, Instant},
};

/// Longer than any restart takes, the supervisor's longest wait included.
const LONG: Duration = Duration::from_mins(1);
/// How long is paused between two questions, so that whoever measures does not take the machine from what is measured.
const PAUSE: Duration = Duration::from_millis(5);

/// A serving site that closes no connection for its age or its silence, so that one which ends was broken.
///
/// # Panics
/// When it does not serve.
#[must_use]
pub fn long_lived() -> Ground {
    let mut ground = Ground::founded();
    ground.set("front.limits", "connection-life-ms = 86400000\nidle-ms = 3600000");
    ground.start().unwrap();
    ground
}

/// Asks for the state on one connection, which is opened once and never again.
#[derive(Debug)]
pub struct Witness {
    line: Line,
    /// How often it was told that the keeper is away.
    pub unavailable: usize,
}

impl Witness {
    /// A connection with the persona's own certificate.
    ///
    /// # Panics
    /// When there is none to be had.
    #[must_use]
    pub fn new(site: &Site, persona: &str) -> Self {
        Self { line: Line::open(site, persona), unavailable: 0 }
    }

    /// A connection, where somebody accepts one.
    ///
    /// # Panics
    /// When the persona's files cannot be read.
    #[must_use]
    pub fn once(site: &Site, persona: &str) -> Option<Self> {
        let line = Line::with(site, Some(&site.home(persona))).ok()?;
        Some(Self { line, unavailable: 0 })
    }

    /// When the keeper that answers was started, milliseconds since 1970-01-01 UTC; nothing while the front says that
    /// there is none.
    ///
    /// # Errors
    /// What became of the connection, or what else was answered.
    pub fn started(&mut self) -> Result<Option<u64>, String> {
        let request = envelope(cbor::encode(&ReadStatus { schema: Schema }));
        let asked = self.line.send(&http(Operation::Status.name(), &request));
        let answer =
            asked.and_then(|()| self.line.answer()).map_err(|error| format!("the connection: {error}"))?;
        match answer.read::<StatusReply>() {
            Ok(status) if status.state == ServiceState::Serving => Ok(Some(status.started_at_ms)),
            Ok(status) => Err(format!("the service is {:?}", status.state)),
            Err(Refusal::TokenUnavailable) => {
                self.unavailable += 1;
                Ok(None)
            }
            Err(refusal) => Err(format!("refused: {refusal}")),
        }
    }

    /// Asks without end until another keeper answers than the one started at `before`; the time since `killed`.
    ///
    /// # Errors
    /// What became of the connection, or that it takes a minute.
    pub fn restarted(&mut self, before: u64, killed: Instant) -> Result<Duration, String> {
        loop {
            if self.started()?.is_some_and(|now| now > before) {
                return Ok(killed.elapsed());
            }
            patience(killed, "the keeper")?;
        }
    }
}

/// Connects without end until somebody answers, the keeper or the front for it; the connection and the time since
/// `killed`.
///
/// # Errors
/// That it takes a minute.
///
/// # Panics
/// When the persona's files cannot be read.
pub fn answered(site: &Site, persona: &str, killed: Instant) -> Result<(Witness, Duration), String> {
    loop {
        if let Some(mut witness) = Witness::once(site, persona) {
            // One that was accepted before the kill took hold ends without an answer.
            if witness.started().is_ok() {
                return Ok((witness, killed.elapsed()));
            }
        }
        patience(killed, "the front")?;
    }
}

fn patience(killed: Instant, who: &str) -> Result<(), String> {
    if killed.elapsed() > LONG {
        return Err(format!("{who} is not started again"));
    }
    thread::park_timeout(PAUSE);
    Ok(())
}

/// The times of many outages.
#[derive(Debug, Default)]
pub struct Outages(Vec<Duration>);

impl Outages {
    /// Adds one.
    pub fn note(&mut self, outage: Duration) {
        self.0.push(outage);
    }

    /// The longest.
    #[must_use]
    pub fn slowest(&self) -> Option<Duration> {
        self.0.iter().max().copied()
    }

    /// The one in the middle.
    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied()
    }
}

impl fmt::Display for Outages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.median(), self.slowest()) {
            (Some(median), Some(slowest)) => {
                write!(
                    f,
                    "median {} ms, slowest {} ms, of {}",
                    median.as_millis(),
                    slowest.as_millis(),
                    self.0.len()
                )
            }
            _ => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_told_by_their_middle_and_their_longest() {
        let mut outages = Outages::default();
        assert_eq!(outages.to_string(), "none");
        for ms in [900, 3, 40] {
            outages.note(Duration::from_millis(ms));
        }
        assert_eq!(outages.to_string(), "median 40 ms, slowest 900 ms, of 3");
    }
}
