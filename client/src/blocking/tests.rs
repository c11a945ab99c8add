//! Proves what a wait adds to the async calls: threads, other runtimes, idle connections, the thread's end.

use super::{Reader, Terminal};
use crate::{
    connect::stand_in::StandIn,
    testing::{Log, service::serve},
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// A far end on a thread of its own, and what keeps it there.
fn ground() -> (StandIn, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ground = runtime.block_on(async { serve(Log::new(4, 0), |_, _, _| None).await.0 });
    (ground, runtime)
}

/// Runs `test` while the far end's runtime runs beside it.
fn beside(test: impl FnOnce(&StandIn) + Send) {
    let (ground, runtime) = ground();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(ended));
        test(&ground);
        drop(end);
    });
}

#[test]
fn several_threads_call_on_one_handle() {
    beside(|ground| {
        let reader = Reader::connect(&ground.config()).unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                let clone = reader.clone();
                scope.spawn(|| reader.status().unwrap());
                scope.spawn(move || clone.status().unwrap());
            }
        });
        assert_eq!(reader.seen(), Some(Log::new(4, 0).checkpoint(5)));
        assert!(ground.accepted() <= 4, "{}", ground.accepted());
    });
}

#[test]
fn a_call_inside_a_runtime_is_answered_and_panics_nowhere() {
    beside(|ground| {
        let config = ground.config();
        let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        other.block_on(async {
            let terminal = Terminal::connect(&config).unwrap();
            assert_eq!(terminal.name().as_str(), "terminal-1");
            let moved = terminal.clone();
            let status = tokio::task::spawn_blocking(move || moved.reader().status()).await.unwrap();
            assert!(status.is_ok());
            // Dropped inside the runtime as well.
            drop(terminal);
        });
    });
}

#[test]
fn a_connection_closed_while_nobody_calls_is_replaced() {
    beside(|ground| {
        let reader = Reader::connect(&ground.config()).unwrap();
        reader.status().unwrap();
        ground.close_all();
        thread::sleep(Duration::from_millis(200));
        reader.with_deadline(Duration::from_secs(5)).status().unwrap();
        assert_eq!(ground.accepted(), 2);
    });
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
        tasks
            .filter(|task| {
                let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
                name.trim_end() == "keysvc-client"
            })
            .count()
    };
    beside(|ground| {
        let before = threads();
        let reader = Reader::connect(&ground.config()).unwrap();
        let clone = reader.clone();
        drop(reader);
        assert!(threads() > before && clone.status().is_ok());
        drop(clone);
        let began = Instant::now();
        while threads() > before {
            assert!(began.elapsed() < Duration::from_secs(20), "it goes on");
            thread::sleep(Duration::from_millis(5));
        }
    });
}
