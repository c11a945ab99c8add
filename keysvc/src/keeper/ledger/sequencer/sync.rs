//! What the ledger's queue synchronises with: the system's own primitives.
//!
//! Apart so that the tests can compile the files beside this one a second time with other primitives in its place
//! (`explored/sync.rs`), under which a scheduler tries many orders of everything. Those files name no primitive but these.

pub(super) use arc_swap::{ArcSwap, ArcSwapOption};
pub(super) use std::{
    sync::{Mutex, OnceLock, atomic, mpsc},
    thread,
    time::Instant,
};
pub(super) use tokio::sync::{Notify, oneshot};

/// Carries a test out once, in whatever order the system takes.
#[cfg(test)]
pub(super) fn explore(body: impl Fn() + Send + Sync + 'static) {
    body();
}

/// Waits for a future on this thread.
#[cfg(test)]
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
