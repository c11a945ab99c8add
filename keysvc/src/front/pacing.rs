//! What handshakes may take of the processors: half, however many come. Whoever is in already is served from the rest.
//!
//! Apart from [`super::admission`], which gives places: a place says who may begin, this says when. It measures what a step of
//! a handshake costs the thread that makes it, so it needs no guess of how long a signature takes on this machine.

use super::admission::HandshakePlace;
use crate::config::fixed::{HANDSHAKE_STEP, HANDSHAKES_AHEAD, HANDSHAKES_PART};
use rustix::time::{ClockId, clock_gettime};
use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// The processors' time for handshakes.
#[derive(Debug)]
pub(super) struct Pace {
    cores: u32,
    /// Until when what was spent is used up.
    spent_until: Mutex<Instant>,
}

impl Pace {
    /// For so many processors.
    pub(super) fn new(cores: usize) -> Self {
        let cores = u32::try_from(cores).unwrap_or(u32::MAX).max(1);
        Self { cores, spent_until: Mutex::new(Instant::now()) }
    }

    /// When the next step may be made, where that is not now; what a step usually costs is then spent already.
    fn turn(&self, now: Instant) -> Option<Instant> {
        let mut until = self.spent_until.lock().unwrap_or_else(PoisonError::into_inner);
        let at = until.checked_sub(HANDSHAKES_AHEAD).filter(|at| *at > now)?;
        *until = until.checked_add(self.share(HANDSHAKE_STEP)).unwrap_or(*until);
        Some(at)
    }

    fn spend(&self, cost: Duration, now: Instant) {
        let mut until = self.spent_until.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = (*until).max(now);
        *until = begin.checked_add(self.share(cost)).unwrap_or(begin);
    }

    /// Gives back what [`Self::turn`] has spent for a step, because it was made and its real cost known, or never made.
    fn give_back(&self) {
        let mut until = self.spent_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = until.checked_sub(self.share(HANDSHAKE_STEP)).unwrap_or(*until);
    }

    /// For how long one processor's time of `cost` fills the part that handshakes have of all processors.
    fn share(&self, cost: Duration) -> Duration {
        cost.saturating_mul(HANDSHAKES_PART).checked_div(self.cores).unwrap_or(cost)
    }
}

/// A handshake whose steps are made in their turn.
pub(super) struct Paced<'a, W> {
    work: W,
    pace: &'a Pace,
    place: &'a HandshakePlace,
    turn: Option<Pin<Box<Sleep>>>,
}

impl<'a, W> Paced<'a, W> {
    pub(super) const fn new(work: W, pace: &'a Pace, of: &'a HandshakePlace) -> Self {
        Self { work, pace, place: of, turn: None }
    }
}

impl<W: Future + Unpin> Future for Paced<'_, W> {
    type Output = W::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<W::Output> {
        let this = self.get_mut();
        if this.turn.is_none()
            && let Some(at) = this.pace.turn(Instant::now())
        {
            // Whoever waits for us is not ousted for keeping us waiting.
            this.place.waits_for_us(true);
            this.turn = Some(Box::pin(sleep_until(at)));
        }
        if let Some(turn) = &mut this.turn {
            ready!(turn.as_mut().poll(cx));
            this.turn = None;
            this.pace.give_back();
            this.place.waits_for_us(false);
        }
        let before = thread_time();
        let polled = Pin::new(&mut this.work).poll(cx);
        this.pace.spend(thread_time().saturating_sub(before), Instant::now());
        polled
    }
}

impl<W> Drop for Paced<'_, W> {
    fn drop(&mut self) {
        if self.turn.is_some() {
            self.pace.give_back();
        }
    }
}

/// What this thread has had of a processor so far.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_is_spent_of_two_processors_at_once_is_half_of_their_time() {
        let pace = Pace::new(2);
        let now = Instant::now();
        assert_eq!(pace.turn(now), None);
        // A second of one processor is half of both for a second.
        (0..1_000).for_each(|_| pace.spend(MS, now));
        let turn = pace.turn(now).unwrap();
        let wait = turn.duration_since(now) + HANDSHAKES_AHEAD;
        assert!(wait >= 1_000 * MS && wait < 1_010 * MS, "{wait:?}");
        // The next in the queue comes after it.
        assert!(pace.turn(now).unwrap() > turn);
        // And what is not spent is not saved up for later.
        let later = now + 10_000 * MS;
        assert_eq!(pace.turn(later), None);
        pace.spend(200 * MS, later);
        assert!(pace.turn(later).is_some());
    }

    #[test]
    fn a_turn_that_is_not_used_is_given_back() {
        let pace = Pace::new(1);
        let now = Instant::now();
        pace.spend(100 * MS, now);
        let first = pace.turn(now);
        pace.give_back();
        assert_eq!(pace.turn(now), first);
    }
}
