//! The way to the service: HTTP/1.1 over mutual TLS 1.3, with a deadline, retries, jitter and several endpoints.
//!
//! The only place, with its folder, that names hyper and rustls. A handle keeps a few connections, so that several
//! calls are under way at once; each is made when it is needed and made again when it breaks. Endpoints are tried in
//! the configuration's order. Retrying is safe for every request: the same bytes go out again, and changes carry an
//! idempotency key. It reads no message but refusals.

mod attempt;
mod own_certificate;
mod pool;
#[cfg(test)]
pub(crate) mod stand_in;
mod tls;
mod trail;

pub use own_certificate::OwnCertificate;

use crate::{backoff::Backoff, config::ClientConfig, deadline::Deadline, error::ClientError};
use attempt::{Answer, Failure};
use bytes::Bytes;
use keysvc_protocol::request::Operation;
use pool::Pool;
use rustls::pki_types::ServerName;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};
use trail::Trail;

/// The endpoints of one service, and the connections to it. Shared by all handles of one persona.
pub(crate) struct Connections {
    endpoints: Vec<String>,
    host: String,
    server_name: ServerName<'static>,
    tls: Arc<rustls::ClientConfig>,
    /// One for each connection that may be in use.
    places: Semaphore,
    pool: Pool,
    /// What the service's clock said with its last answer, milliseconds since 1970-01-01 UTC; 0 before the first.
    clock_ms: AtomicU64,
}

/// What the service answered to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The operation's reply.
    Reply(Bytes),
    /// Status 202: it takes people first.
    Pending(Bytes),
}

/// One call under way.
struct Call<'a> {
    connections: &'a Connections,
    operation: Operation,
    body: Bytes,
    deadline: Deadline,
    trail: Trail<'a>,
    /// Whether a connection that had served before broke already: the next one like it is nothing to retry at once.
    renewed: bool,
}

impl Connections {
    /// Reads keys and certificates; connects to nothing yet.
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        Ok(Self {
            endpoints: config.endpoints.clone(),
            host: config.server_name.clone(),
            server_name: tls::server_name(config)?,
            tls: Arc::new(tls::client_config(config)?),
            places: Semaphore::new(config.connections),
            pool: Pool::new(config.endpoints.len()),
            clock_ms: AtomicU64::new(0),
        })
    }

    /// What the service's clock said with its last answer, to the second.
    pub(crate) fn clock_ms(&self) -> Option<u64> {
        Some(self.clock_ms.load(Ordering::Relaxed)).filter(|ms| *ms > 0)
    }

    /// Puts `body` to `operation` and gives the answer's bytes. Retries what is retryable until the deadline, and fails
    /// over from one endpoint to the next.
    pub(crate) async fn call(
        &self,
        operation: Operation,
        body: Bytes,
        deadline: Deadline,
    ) -> Result<Answered, ClientError> {
        let trail = Trail::new(&self.endpoints);
        let Ok(Ok(_place)) = deadline.wait(self.places.acquire()).await else {
            return Err(trail.unreachable("every connection was busy until the deadline"));
        };
        Call { connections: self, operation, body, deadline, trail, renewed: false }.run().await
    }
}

impl Call<'_> {
    async fn run(mut self) -> Result<Answered, ClientError> {
        let mut backoff = Backoff::new();
        let mut at = self.connections.pool.preferred(Instant::now());
        let mut untried = self.connections.endpoints.len();
        loop {
            let failure = match self.attempt_within_share(at).await {
                Ok(Answer::Given(answered)) => return Ok(answered),
                Ok(Answer::Refusal(reply)) if !reply.refusal.retryable() => {
                    return Err(ClientError::Refused(reply));
                }
                Ok(Answer::Refusal(reply)) => {
                    self.trail.note(at, reply.refusal.to_string());
                    ClientError::Refused(reply)
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Late) => return Err(self.trail.late(at, &self.deadline)),
                // It had served before and was closed meanwhile: no fault of the endpoint's.
                Err(Failure::Worn(reason)) if !self.renewed => {
                    self.trail.note(at, reason);
                    self.renewed = true;
                    continue;
                }
                Err(Failure::Worn(reason) | Failure::Broken(reason)) => {
                    tracing::debug!(operation = %self.operation, endpoint = self.trail.endpoint(at), reason, "the connection broke");
                    self.trail.note(at, reason);
                    self.trail.unreachable("")
                }
            };
            at = self.connections.pool.fail_over(at, Instant::now());
            untried = untried.saturating_sub(1);
            if untried > 0 && !self.deadline.left().is_zero() {
                continue;
            }
            untried = self.connections.endpoints.len();
            let pause = backoff.next_pause();
            if self.deadline.left() <= pause {
                return Err(failure);
            }
            sleep(pause).await;
        }
    }

    /// One attempt at endpoint `at`. Where there are others, it has half of the time that is left, so that one that
    /// took the request and fell silent does not use it up.
    async fn attempt_within_share(&mut self, at: usize) -> Result<Answer, Failure> {
        let whole = self.deadline.at();
        let until = if self.connections.endpoints.len() > 1 {
            let half = self.deadline.left().checked_div(2).unwrap_or_default();
            Instant::now().checked_add(half).unwrap_or(whole)
        } else {
            whole
        };
        match timeout_at(until, self.attempt(at)).await {
            Ok(result) => result,
            Err(_) if self.deadline.left() < SHARE_MIN || until == whole => Err(Failure::Late),
            Err(_) => Err(Failure::Broken("it did not answer in its share of the time".into())),
        }
    }
}

/// The least time worth another endpoint: a handshake and a call take some milliseconds.
const SHARE_MIN: Duration = Duration::from_millis(20);

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
