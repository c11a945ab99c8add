//! How long a call may take: one moment for all its retries, failovers, proofs and implied requests.
//!
//! Apart because a handle carries the time each call gets, and a call carries the moment it must be over. Work that
//! waits for a token or a disk is not broken off: it is done or it fails.

use crate::error::ClientError;
use std::time::Duration;
use tokio::time::{Instant, error::Elapsed, timeout_at};

/// The moment at which a call must be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    whole: Duration,
}

impl Deadline {
    fn after(whole: Duration) -> Result<Self, ClientError> {
        let at = Instant::now().checked_add(whole);
        let at = at.ok_or_else(|| ClientError::Request { what: "the deadline is too far away".into() })?;
        Ok(Self { at, whole })
    }

    /// The moment.
    pub(crate) const fn at(&self) -> Instant {
        self.at
    }

    /// The time that is left.
    pub(crate) fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// The time the whole call had, milliseconds.
    pub(crate) fn whole_ms(&self) -> u64 {
        u64::try_from(self.whole.as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for something no longer than this.
    pub(crate) async fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, Elapsed> {
        timeout_at(self.at, future).await
    }
}

/// The time of a handle's calls.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// Each call has so much.
    Each(Duration),
    /// One call is under way; whatever it asks is over by then.
    Until(Deadline),
}

impl Limit {
    /// The deadline of a call that begins now, or of the one under way.
    pub(crate) fn begin(self) -> Result<Deadline, ClientError> {
        match self {
            Self::Each(whole) => Deadline::after(whole),
            Self::Until(deadline) => Ok(deadline),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_call_asks_shares_its_deadline() {
        let call = Limit::Each(Duration::from_millis(200)).begin().unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let within = Limit::Until(call).begin().unwrap();
        assert_eq!((within.at(), within.whole_ms()), (call.at(), 200));
        assert!(within.left() <= Duration::from_millis(150));
        assert!(within.wait(std::future::pending::<()>()).await.is_err());
        assert_eq!(within.left(), Duration::ZERO);
    }

    #[test]
    fn a_deadline_past_all_clocks_is_refused() {
        assert!(matches!(Limit::Each(Duration::MAX).begin(), Err(ClientError::Request { .. })));
    }
}
