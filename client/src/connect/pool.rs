//! Connections that wait for the next call, and which endpoint that call goes to.
//!
//! A connection in use is in no list: a call that is dropped half way leaves no half-read connection behind.

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A connection's sending half.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// The oldest idle connection that is used again: the service closes one after 60 s without a request, and a request
/// that crosses the closing is lost.
const IDLE_MAX: Duration = Duration::from_secs(45);
/// How long the first endpoint is left alone after it failed: a keeper is back in seconds, a host in minutes.
const RETURN_AFTER: Duration = Duration::from_secs(30);

/// What all calls of one persona share.
pub(super) struct Pool {
    state: Mutex<State>,
}

struct State {
    idle: Vec<Idle>,
    /// The endpoint that calls begin with.
    current: usize,
    /// When an endpoint before it last failed.
    left_at: Option<Instant>,
    /// For each endpoint, whether its last new connection ended before it ever brought a reply: it may have been
    /// refused.
    suspicious: Vec<bool>,
}

struct Idle {
    endpoint: usize,
    sender: Sender,
    since: Instant,
}

impl Pool {
    pub(super) fn new(endpoints: usize) -> Self {
        let suspicious = vec![false; endpoints];
        Self { state: Mutex::new(State { idle: Vec::new(), current: 0, left_at: None, suspicious }) }
    }

    /// The endpoint a call begins with: the first one, or the one that was failed over to a moment ago.
    pub(super) fn preferred(&self, now: Instant) -> usize {
        let mut state = self.lock();
        if state.left_at.is_some_and(|left| now.saturating_duration_since(left) >= RETURN_AFTER) {
            (state.current, state.left_at) = (0, None);
        }
        state.current
    }

    /// The endpoint after one that failed; later calls begin there.
    pub(super) fn fail_over(&self, failed: usize, now: Instant) -> usize {
        let mut state = self.lock();
        let next = failed.saturating_add(1);
        let next = if next < state.suspicious.len() { next } else { 0 };
        // Unless another call was first.
        if state.current == failed {
            state.current = next;
            state.left_at = Some(now);
        }
        next
    }

    /// An idle connection to this endpoint that is not known to be closed, and how long it was idle. Those to other
    /// endpoints have been left and are closed.
    pub(super) fn take(&self, endpoint: usize) -> Option<(Sender, Duration)> {
        let mut state = self.lock();
        state.idle.retain(|idle| {
            idle.endpoint == endpoint && !idle.sender.is_closed() && idle.since.elapsed() < IDLE_MAX
        });
        // The one used last is the least likely to be closed.
        state.idle.pop().map(|idle| (idle.sender, idle.since.elapsed()))
    }

    /// Keeps a connection that has brought a whole reply.
    pub(super) fn put(&self, endpoint: usize, sender: Sender) {
        self.lock().idle.push(Idle { endpoint, sender, since: Instant::now() });
    }

    pub(super) fn is_suspicious(&self, endpoint: usize) -> bool {
        self.lock().suspicious.get(endpoint).copied().unwrap_or_default()
    }

    pub(super) fn suspect(&self, endpoint: usize, suspicious: bool) {
        if let Some(known) = self.lock().suspicious.get_mut(endpoint) {
            *known = suspicious;
        }
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.lock().idle.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is whole at every moment, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_stay_with_the_endpoint_failed_over_to_and_come_back_after_a_pause() {
        let (pool, now) = (Pool::new(3), Instant::now());
        assert_eq!(pool.preferred(now), 0);
        assert_eq!(pool.fail_over(0, now), 1);
        // A second call that failed at the same time does not move on past it.
        assert_eq!(pool.fail_over(0, now), 1);
        assert_eq!(pool.preferred(now + Duration::from_secs(29)), 1);
        assert_eq!(pool.preferred(now + Duration::from_secs(30)), 0);
    }

    #[test]
    fn after_the_last_endpoint_comes_the_first() {
        let (pool, now) = (Pool::new(2), Instant::now());
        assert_eq!((pool.fail_over(0, now), pool.fail_over(1, now)), (1, 0));
        assert_eq!(pool.preferred(now), 0);
        assert_eq!(Pool::new(1).fail_over(0, now), 0);
    }
}
