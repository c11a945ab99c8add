//! What the queue synchronises with when its orders are explored: shuttle's primitives, and what shuttle lacks made of
//! them to what the real ones promise.
//!
//! Everything has the names and the promises of `sequencer/sync.rs`. Time passes only when somebody waits for it.

use shuttle::{
    Config, MaxSteps, Runner,
    rand::{Rng as _, thread_rng},
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
};
pub(super) use shuttle::{
    future::block_on,
    sync::{Mutex, atomic},
};
use std::{
    cell::Cell,
    ops::Deref,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Schedules of the unit tests that both compilations share.
const FEW: usize = 400;
/// Changes of turn that PCT spreads over a schedule, and one.
const DEPTH: usize = 3;
/// One schedule in so many is PCT's, the others are drawn at random.
const PCT_SHARE: usize = 5;
/// Stacks of the scheduler's threads: SQLite's needs and a debug build's.
const STACK_LEN: usize = 512 * 1024;
/// Longer waits are taken to be for a wake-up: nothing but it ends them, so that a lost one is a deadlock.
const FOR_A_WAKE_UP: Duration = Duration::from_secs(30);

/// Carries a test out in a few hundred orders.
pub(super) fn explore(body: impl Fn() + Send + Sync + 'static) {
    explored(FEW, body);
}

/// Carries a test out in so many orders. A panic names the order that led to it.
pub(super) fn explored(times: usize, body: impl Fn() + Send + Sync + 'static) {
    let body = Arc::new(body);
    let few = times / PCT_SHARE;
    run(RandomScheduler::new(times - few), Arc::clone(&body));
    run(PctScheduler::new(DEPTH, few), body);
}

fn run(scheduler: impl Scheduler + 'static, body: Arc<impl Fn() + Send + Sync + 'static>) {
    let mut config = Config::new();
    config.stack_size = STACK_LEN;
    config.max_steps = MaxSteps::FailAfter(200_000);
    // Of weaker orderings than sequential consistency: the head of `explored` says so.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || {
        // PCT does not take a test in which nothing can happen at one time.
        let company = shuttle::thread::spawn(point);
        body();
        company.join().unwrap();
    });
}

/// A place where anybody else may come first.
pub(super) fn point() {
    let _ = atomic::AtomicBool::new(false).load(Ordering::SeqCst);
}

/// One of so many, drawn by the schedule.
pub(super) fn chance(of: usize) -> usize {
    thread_rng().gen_range(0..of)
}

/// A value that is exchanged as a whole.
pub(super) struct ArcSwap<T>(Mutex<Arc<T>>);

impl<T> ArcSwap<T> {
    pub(super) fn from_pointee(value: T) -> Self {
        Self(Mutex::new(Arc::new(value)))
    }

    pub(super) fn load(&self) -> Arc<T> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn store(&self, value: Arc<T>) {
        let _before = std::mem::replace(&mut *self.0.lock().unwrap(), value);
    }
}

/// A value that may be taken away.
pub(super) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

/// What was there when it was looked at; it lives as long as it is looked at.
pub(super) struct Guard<T>(Option<Arc<T>>);

impl<T> Deref for Guard<T> {
    type Target = Option<Arc<T>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> ArcSwapOption<T> {
    pub(super) fn from_pointee(value: T) -> Self {
        Self(Mutex::new(Some(Arc::new(value))))
    }

    pub(super) fn load(&self) -> Guard<T> {
        let there = self.0.lock().unwrap().clone();
        point();
        Guard(there)
    }

    pub(super) fn store(&self, value: Option<Arc<T>>) {
        let before = std::mem::replace(&mut *self.0.lock().unwrap(), value);
        drop(before);
    }
}

/// A value that is set once.
#[derive(Debug)]
pub(super) struct OnceLock<T>(std::sync::OnceLock<T>);

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> OnceLock<T> {
    pub(super) fn new() -> Self {
        Self(std::sync::OnceLock::new())
    }

    pub(super) fn get(&self) -> Option<&T> {
        point();
        self.0.get()
    }

    pub(super) fn set(&self, value: T) -> Result<(), T> {
        point();
        self.0.set(value)
    }

    pub(super) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        point();
        self.0.get_or_init(make)
    }
}

/// Wakes who waits; tokio's own, which does nothing in between.
pub(super) struct Notify(tokio::sync::Notify);

impl Notify {
    pub(super) fn new() -> Self {
        Self(tokio::sync::Notify::new())
    }

    pub(super) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        point();
        self.0.notified()
    }

    pub(super) fn notify_waiters(&self) {
        point();
        self.0.notify_waiters();
    }
}

/// One answer; tokio's own, which does nothing in between.
pub(super) mod oneshot {
    use super::point;
    pub(in super::super) use tokio::sync::oneshot::Receiver;

    pub(in super::super) struct Sender<T>(tokio::sync::oneshot::Sender<T>);

    pub(in super::super) fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        (Sender(sender), receiver)
    }

    impl<T> Sender<T> {
        pub(in super::super) fn send(self, value: T) -> Result<(), T> {
            point();
            self.0.send(value)
        }
    }
}

thread_local! {
    // A schedule runs on one thread of the system's.
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A moment of the schedule's own time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instant(Duration);

impl Instant {
    pub(super) fn now() -> Self {
        Self(NOW.get())
    }

    pub(super) fn elapsed(&self) -> Duration {
        NOW.get().saturating_sub(self.0)
    }
}

/// Threads of the schedule.
pub(super) mod thread {
    use super::{FOR_A_WAKE_UP, NOW, point};
    pub(in super::super) use shuttle::thread::{Builder, JoinHandle, Thread, current, spawn};
    use std::time::Duration;

    /// A short wait may end at any moment; a long one by a wake-up alone.
    pub(in super::super) fn park_timeout(longest: Duration) {
        if longest > FOR_A_WAKE_UP {
            shuttle::thread::park();
        } else {
            point();
            NOW.set(NOW.get() + longest + Duration::from_nanos(1));
        }
    }
}

/// A bounded channel, as the standard library's: who sends never waits here, and what is left in it goes with its receiver.
pub(super) mod mpsc {
    use shuttle::sync::{Condvar, Mutex};
    use std::{
        collections::VecDeque,
        sync::{
            Arc,
            mpsc::{RecvError, TryRecvError, TrySendError},
        },
    };

    struct Channel<T> {
        state: Mutex<State<T>>,
        changed: Condvar,
        bound: usize,
    }

    struct State<T> {
        waiting: VecDeque<T>,
        sender: bool,
        receiver: bool,
    }

    pub(in super::super) struct SyncSender<T>(Arc<Channel<T>>);
    pub(in super::super) struct Receiver<T>(Arc<Channel<T>>);

    pub(in super::super) fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
        let state = Mutex::new(State { waiting: VecDeque::new(), sender: true, receiver: true });
        let channel = Arc::new(Channel { state, changed: Condvar::new(), bound });
        (SyncSender(Arc::clone(&channel)), Receiver(channel))
    }

    impl<T> SyncSender<T> {
        pub(in super::super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
            let mut state = self.0.state.lock().unwrap();
            if !state.receiver {
                return Err(TrySendError::Disconnected(value));
            }
            if state.waiting.len() >= self.0.bound {
                return Err(TrySendError::Full(value));
            }
            state.waiting.push_back(value);
            self.0.changed.notify_one();
            Ok(())
        }
    }

    impl<T> Drop for SyncSender<T> {
        fn drop(&mut self) {
            if let Ok(mut state) = self.0.state.lock() {
                state.sender = false;
                self.0.changed.notify_one();
            }
        }
    }

    impl<T> Receiver<T> {
        pub(in super::super) fn recv(&self) -> Result<T, RecvError> {
            let mut state = self.0.state.lock().unwrap();
            loop {
                if let Some(value) = state.waiting.pop_front() {
                    return Ok(value);
                }
                if !state.sender {
                    return Err(RecvError);
                }
                state = self.0.changed.wait(state).unwrap();
            }
        }

        pub(in super::super) fn try_recv(&self) -> Result<T, TryRecvError> {
            self.0.state.lock().unwrap().waiting.pop_front().ok_or(TryRecvError::Empty)
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            if let Ok(mut state) = self.0.state.lock() {
                state.receiver = false;
                let left = std::mem::take(&mut state.waiting);
                drop(state);
                drop(left);
            }
        }
    }
}
