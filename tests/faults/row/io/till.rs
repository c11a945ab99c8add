//! A till that loads and debits one card while calls fail.
//!
//! It asks the same request again until it is answered, as programs in the field do. It judges no answer but by what a
//! client checks; the row holds the acknowledgements against the log.

use keysvc_client::{ClientError, Terminal, terminal::SignedUpdate};
use keysvc_protocol::{cbor, request::UpdateValue};
use keysvc_tests::{
    ground::{Failed, Ground},
    tills::next_update,
};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};

/// Longer than any way back takes.
const LONG: Duration = Duration::from_secs(40);
const CARD: &str = "04782e21801d80";

/// A till.
pub(super) struct Till {
    runtime: Runtime,
    terminal: Terminal,
    last: Option<SignedUpdate>,
    /// What was asked for and not acknowledged yet.
    asked: Option<UpdateValue>,
    /// What was acknowledged since it was last taken.
    pub(super) acks: Vec<Vec<u8>>,
    /// What was refused meanwhile, by name.
    pub(super) refused: BTreeSet<String>,
}

impl Till {
    pub(super) fn new(ground: &Ground) -> Result<Self, Failed> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failed(format!("a runtime: {error}")))?;
        let mut config = ground.config("terminal-1");
        // Refusals are to be seen here, and not tried again in there.
        config.deadline_ms = 1_000;
        let terminal = runtime.block_on(Terminal::connect(&config));
        let terminal = terminal.map_err(|error| Failed(format!("the till: {error}")))?;
        Ok(Self { runtime, terminal, last: None, asked: None, acks: Vec::new(), refused: BTreeSet::new() })
    }

    /// One update, asked for until it is acknowledged.
    pub(super) fn next(&mut self) -> Result<(), String> {
        self.next_within(LONG)
    }

    /// The same for so long; the same request is asked for by the next call.
    pub(super) fn next_within(&mut self, limit: Duration) -> Result<(), String> {
        let request = self.asked.take().unwrap_or_else(|| next_update(CARD, self.last.as_ref()));
        let began = Instant::now();
        loop {
            match self.runtime.block_on(self.terminal.update(&request)) {
                Ok(update) => {
                    self.acks.push(cbor::encode(&update.update));
                    self.last = Some(update);
                    return Ok(());
                }
                Err(ClientError::Refused(reply)) if reply.retryable => {
                    self.refused.insert(reply.refusal.to_string());
                }
                Err(ClientError::Timeout { .. } | ClientError::Unreachable { .. }) => {}
                Err(error) => return Err(format!("an update: {error}")),
            }
            if began.elapsed() > limit {
                self.asked = Some(request);
                return Err(format!("no update went through in {} s", limit.as_secs()));
            }
        }
    }
}
