//! Who is on the way to the ledger: the calls that were read from the link and have not been looked at yet.
//!
//! Apart from the queue because it holds no change: it only lets the ledger's thread know whether waiting a moment
//! brings company. A call counts from its reading to the end of its first poll. By then it has queued its change, has
//! been answered, or waits for something that may take long, for which no commit is held up.

use super::sync::{
    Instant, OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
    thread::{self, Thread},
};
use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};

/// The calls on their way; clones count the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Approach(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    expected: AtomicUsize,
    waiting: AtomicBool,
    ledger: OnceLock<Thread>,
}

impl Approach {
    /// Counts one more until the guard is dropped.
    fn expect(&self) -> Expected {
        self.0.expected.fetch_add(1, Ordering::SeqCst);
        Expected(Arc::clone(&self.0))
    }

    /// The same call, counted from now, even before it is first polled, to the end of its first poll.
    pub(super) fn of<F: Future>(&self, call: F) -> impl Future<Output = F::Output> + use<F> {
        let mut expected = Some(self.expect());
        async move {
            let mut call = pin!(call);
            poll_fn(|context| {
                let polled = call.as_mut().poll(context);
                drop(expected.take());
                polled
            })
            .await
        }
    }

    /// Waits until nobody is on the way any more, for so long at most. For the ledger's thread alone, which sleeps
    /// meanwhile and is woken once.
    pub(super) fn wait(&self, longest: Duration) {
        let inner = &*self.0;
        inner.ledger.get_or_init(thread::current);
        let begun = Instant::now();
        // In this order here and the other one in `Expected::drop`, so that either side sees the other.
        inner.waiting.store(true, Ordering::SeqCst);
        while inner.expected.load(Ordering::SeqCst) > 0
            && let Some(left) = longest.checked_sub(begun.elapsed())
        {
            thread::park_timeout(left);
        }
        inner.waiting.store(false, Ordering::SeqCst);
    }
}

/// One call on its way.
struct Expected(Arc<Inner>);

impl Drop for Expected {
    fn drop(&mut self) {
        let was_last = self.0.expected.fetch_sub(1, Ordering::SeqCst) == 1;
        if was_last
            && self.0.waiting.load(Ordering::SeqCst)
            && let Some(ledger) = self.0.ledger.get()
        {
            ledger.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::sync::{block_on, explore},
        *,
    };
    use std::task::Poll;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn nobody_on_the_way_is_not_waited_for() {
        explore(|| {
            let begun = Instant::now();
            Approach::default().wait(LONG);
            assert!(begun.elapsed() < LONG / 2);
        });
    }

    #[test]
    fn the_last_one_on_the_way_ends_the_waiting() {
        explore(|| {
            let (approach, begun) = (Approach::default(), Instant::now());
            let all = [approach.expect(), approach.expect()];
            let waiting = {
                let approach = approach.clone();
                thread::spawn(move || approach.wait(LONG))
            };
            drop(all);
            waiting.join().unwrap();
            assert!(begun.elapsed() < LONG / 2);
        });
    }

    #[test]
    fn who_does_not_come_is_waited_for_no_longer_than_said() {
        explore(|| {
            let approach = Approach::default();
            let _never = approach.expect();
            let begun = Instant::now();
            approach.wait(Duration::from_millis(5));
            assert!(begun.elapsed() >= Duration::from_millis(5));
        });
    }

    /// Waits for nothing, once.
    async fn pause() {
        let mut paused = false;
        poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    #[test]
    fn a_call_counts_from_before_its_first_poll_to_the_end_of_it() {
        explore(|| {
            let approach = Approach::default();
            let counted = || approach.0.expected.load(Ordering::SeqCst);
            let call = approach.of(async {
                assert_eq!(counted(), 1);
                pause().await;
                assert_eq!(counted(), 0, "one that waits holds nobody up");
            });
            assert_eq!(counted(), 1);
            block_on(call);
            // One that is dropped unpolled is gone too.
            drop(approach.of(async {}));
            assert_eq!(counted(), 0);
        });
    }
}
