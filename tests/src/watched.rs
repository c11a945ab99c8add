//! A running service looked at from outside: its log, how its halves ended, and what it answers at this moment.

use crate::{ground::Ground, raw::Line};
use keysvc_protocol::{
    cbor,
    refusal::Refusal,
    reply::StatusReply,
    request::{Operation, ReadStatus},
    schema::Schema,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// Longer than anything that is waited for, the supervisor's waits included.
const LONG: Duration = Duration::from_mins(1);

impl Ground {
    /// What the daemon and its halves have said so far.
    ///
    /// # Panics
    /// When there is no log.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    /// How often the supervisor noted that the half ended with this code.
    #[must_use]
    pub fn ends(&self, half: &str, code: u8) -> usize {
        let (half, status) = (format!("half=\"{half}\""), format!("status=exit status: {code} "));
        self.said().lines().filter(|line| line.contains(&half) && line.contains(&status)).count()
    }

    /// Waits until `done`.
    ///
    /// # Panics
    /// With `what` and the daemon's log when it takes a minute.
    pub fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < LONG, "{what}\n{}", self.said());
            thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// The daemon's log says of no half that a signal ended it or that it had to be killed.
    ///
    /// # Panics
    /// When it does.
    pub fn assert_no_signal(&self) {
        let log = self.said();
        let bad = |line: &&str| {
            line.contains("signal: ") || line.contains("is killed") || line.contains("panicked")
        };
        assert_eq!(log.lines().find(bad), None, "{log}");
    }
}

/// The service's state on an open line: nothing while it serves, or what it refuses with.
#[must_use]
pub fn refused(line: &mut Line) -> Option<Refusal> {
    line.put::<StatusReply>(Operation::Status, cbor::encode(&ReadStatus { schema: Schema })).err()
}

/// Sends a process a signal.
///
/// # Panics
/// When there is no such process.
pub fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}
