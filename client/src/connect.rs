//! One keep-alive connection to the service: HTTP/1.1 over mutual TLS 1.3, with a deadline, retries and jitter.
//!
//! The only place, with its folder, that names hyper and rustls. Retrying is safe for every request: the same bytes
//! go out again, and changes carry an idempotency key. It reads no message but refusals.

mod attempt;
#[cfg(test)]
pub(crate) mod stand_in;
mod tls;

use crate::{backoff::Backoff, config::ClientConfig, error::ClientError};
use attempt::{Answer, Failure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use keysvc_protocol::request::Operation;
use rustls::pki_types::ServerName;
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};

/// A connection that is made at the first call and made again when it breaks.
pub(crate) struct Connection {
    endpoint: String,
    host: String,
    server_name: ServerName<'static>,
    tls: Arc<rustls::ClientConfig>,
    deadline: Duration,
    /// Nothing while a call is under way: a call that is dropped half way leaves no half-read connection.
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Whether the last connection ended before it ever brought a reply: it may have been refused.
    suspicious: bool,
    /// Whether the call under way was sent at least once, so that it may have been carried out.
    asked: bool,
}

impl Connection {
    /// Reads keys and certificates; connects to nothing yet.
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        Ok(Self {
            endpoint: config.endpoint.clone(),
            host: config.server_name.clone(),
            server_name: tls::server_name(config)?,
            tls: Arc::new(tls::client_config(config)?),
            deadline: config.deadline(),
            sender: None,
            suspicious: false,
            asked: false,
        })
    }

    /// Puts `body` to `operation` and gives the reply's bytes. Retries what is retryable until the deadline.
    pub(crate) async fn call(&mut self, operation: Operation, body: Bytes) -> Result<Bytes, ClientError> {
        let deadline = Instant::now().checked_add(self.deadline);
        let deadline =
            deadline.ok_or_else(|| ClientError::Request { what: "the deadline is too far away".into() })?;
        let mut backoff = Backoff::new();
        self.asked = false;
        loop {
            let failure = match timeout_at(deadline, self.attempt(operation, body.clone())).await {
                Err(_) if self.asked => return Err(ClientError::Timeout { after_ms: millis(self.deadline) }),
                Err(_) => return Err(self.unreachable("no connection within the deadline")),
                Ok(Ok(Answer::Reply(bytes))) => return Ok(bytes),
                Ok(Ok(Answer::Refusal(reply))) if !reply.refusal.retryable() => {
                    return Err(ClientError::Refused(reply));
                }
                Ok(Ok(Answer::Refusal(reply))) => ClientError::Refused(reply),
                Ok(Err(Failure::Final(error))) => return Err(error),
                Ok(Err(Failure::Broken(reason))) => {
                    tracing::debug!(%operation, reason, "the connection broke");
                    self.unreachable(&reason)
                }
            };
            let pause = backoff.next_pause();
            if deadline.saturating_duration_since(Instant::now()) <= pause {
                return Err(failure);
            }
            sleep(pause).await;
        }
    }

    fn unreachable(&self, reason: &str) -> ClientError {
        let mut reason = reason.to_owned();
        if self.asked {
            reason.push_str("; a change may have been carried out, so repeat it with the same number");
        }
        ClientError::Unreachable { endpoint: self.endpoint.clone(), reason }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
