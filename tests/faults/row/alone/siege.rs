//! Requests under fire: each is sent, the service may be killed while it is under way, and it is sent again, byte for byte,
//! until a serving keeper answers.
//!
//! It judges no answer.

use keysvc_protocol::request::Operation;
use keysvc_tests::{
    ground::Ground,
    outage::answered,
    raw::{Answer, Caller, Line, envelope, http},
    watched,
};
use rustix::process::Signal;
use std::{
    thread,
    time::{Duration, Instant},
};

/// One request in so many meets a kill.
const KILL_EVERY: u64 = 11;
/// A kill comes so long after its request was sent: an answer takes some milliseconds.
const UNDER_WAY_US: std::ops::Range<u64> = 0..12_000;
/// Longer than any restart takes, and several of them.
const LONG: Duration = Duration::from_mins(2);

/// A service under fire.
#[derive(Debug)]
pub struct Siege<'a> {
    ground: &'a Ground,
    chances: fastrand::Rng,
    keepers: u64,
    fronts: u64,
    /// Requests that were not answered by a serving keeper.
    pub met: u64,
}

impl<'a> Siege<'a> {
    /// No kill yet.
    pub fn new(ground: &'a Ground, chances: fastrand::Rng) -> Self {
        Self { ground, chances, keepers: 0, fronts: 0, met: 0 }
    }

    /// The kills so far.
    pub fn kills(&self) -> String {
        format!("{} of the keeper, {} of the front", self.keepers, self.fronts)
    }

    /// Sends a request until a serving keeper answers; gives that answer.
    ///
    /// # Errors
    /// That none does for two minutes.
    pub fn answered(
        &mut self,
        caller: &mut Caller,
        persona: &str,
        operation: Operation,
        message: &[u8],
    ) -> Result<Answer, String> {
        let (began, bytes) = (Instant::now(), http(operation.name(), &envelope(message.to_vec())));
        while began.elapsed() < LONG {
            let sent = caller.line.send(&bytes);
            self.strike();
            match sent.and_then(|()| caller.line.answer()) {
                Ok(answer) if !passes(&answer) => return Ok(answer),
                _ => self.met += 1,
            }
            self.reconnect(caller, persona)?;
        }
        Err(format!("{operation} by {persona} is not answered"))
    }

    /// Kills a half, or both, or none.
    fn strike(&mut self) {
        if self.chances.u64(..KILL_EVERY) > 0 {
            return;
        }
        thread::park_timeout(Duration::from_micros(self.chances.u64(UNDER_WAY_US)));
        let both = self.chances.u8(..6);
        if both != 1 {
            self.keepers += u64::from(self.kill("keeper"));
        }
        if both < 2 {
            self.fronts += u64::from(self.kill("front"));
        }
    }

    fn kill(&self, half: &str) -> bool {
        let pid = self.ground.half(half);
        if let Some(pid) = pid {
            watched::send(pid, Signal::KILL);
        }
        pid.is_some()
    }

    /// A new connection, once there is a keeper behind the front.
    fn reconnect(&self, caller: &mut Caller, persona: &str) -> Result<(), String> {
        let (site, since) = (self.ground.site(), Instant::now());
        loop {
            let (mut witness, _) = answered(site, persona, since)?;
            let serves = witness.started().is_ok_and(|started| started.is_some());
            // One that was accepted by a front that is gone by now is not taken.
            if serves && let Ok(line) = Line::with(site, Some(&site.home(persona))) {
                caller.line = line;
                return Ok(());
            }
            if since.elapsed() > LONG {
                return Err("no keeper is started again".to_owned());
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

/// Whether an answer says no more than that nobody is there to answer.
fn passes(answer: &Answer) -> bool {
    answer.status >= 400 && answer.refusal().retryable()
}
