//! Somebody who asks for the state all the time, on a connection and on new ones, and how long each answer takes.
//!
//! For the rows that measure waiting. It judges no answer but that it is one.

use keysvc_protocol::{
    cbor,
    request::{Operation, ReadStatus},
    schema::Schema,
};
use keysvc_tests::{
    ground::{Failed, Ground},
    hostile::measured::Waits,
    raw::{Line, envelope, http},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{
    io, thread,
    time::{Duration, Instant},
};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(5);
/// Every so many questions one is asked on a new connection.
const NEW_EVERY: u32 = 5;
/// Whoever is not let in for so long gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who asks.
pub(super) struct Asking<'a> {
    ground: &'a Ground,
    persona: &'static str,
    question: Vec<u8>,
}

/// How long the answers took.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// On a connection that was there.
    pub(super) connected: Waits,
    /// From the first try of a new connection to the answer on it; whoever is turned away tries again at once.
    pub(super) coming: Waits,
}

impl<'a> Asking<'a> {
    pub(super) fn of(ground: &'a Ground, persona: &'static str) -> Self {
        let question = envelope(cbor::encode(&ReadStatus { schema: Schema }));
        Self { ground, persona, question: http(Operation::Status.name(), &question) }
    }

    /// Asks for so long.
    ///
    /// # Panics
    /// When no answer comes, or another than the state.
    pub(super) fn for_so_long(&self, time: Duration) -> Asked {
        self.until(|begun| begun.elapsed() >= time)
    }

    /// Asks until it is over.
    ///
    /// # Panics
    /// As [`Self::for_so_long`].
    pub(super) fn until(&self, over: impl Fn(Instant) -> bool) -> Asked {
        let (begun, mut asked) = (Instant::now(), Asked::default());
        let mut line = self.come().unwrap();
        for number in 1_u32.. {
            if over(begun) {
                break;
            }
            let asking = Instant::now();
            if number % NEW_EVERY == 0 {
                drop(self.come().unwrap());
                asked.coming.note(asking.elapsed());
            } else {
                self.ask(&mut line).unwrap();
                asked.connected.note(asking.elapsed());
            }
            thread::park_timeout(PAUSE);
        }
        asked
    }

    fn ask(&self, line: &mut Line) -> io::Result<()> {
        line.send(&self.question)?;
        match line.answer()?.status {
            200 => Ok(()),
            other => Err(io::Error::other(format!("status {other}"))),
        }
    }

    /// A new connection with its first answer.
    fn come(&self) -> io::Result<Line> {
        let (begun, home) = (Instant::now(), self.ground.site().home(self.persona));
        loop {
            let come = Line::with(self.ground.site(), Some(&home));
            match come.and_then(|mut line| self.ask(&mut line).map(|()| line)) {
                Err(_) if begun.elapsed() < PATIENCE => {}
                ended => return ended,
            }
        }
    }
}

/// Lets this process have as many files as it may.
///
/// # Errors
/// [`Failed`] when the system does not.
pub(super) fn raise_file_limit() -> Result<(), Failed> {
    let now = getrlimit(Resource::Nofile);
    let most = Rlimit { current: now.maximum, maximum: now.maximum };
    setrlimit(Resource::Nofile, most).map_err(|error| Failed(format!("the limit of open files: {error}")))
}
