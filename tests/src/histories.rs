//! What clients saw, and whether one order of steps explains all of it: linearizability, by stateright's tester.
//!
//! Each operation is noted when it was about to be sent and when its answer was there, in one order of all clients. One
//! whose answer never came may have happened at any time after, or never. The tester tries orders until one fits; it takes
//! exponential time in how many operations overlap, so that whoever makes a history bounds that number ([`crowd`]).

pub mod crowd;
pub mod proposal;
pub mod purse;
pub mod vote;

use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester, SequentialSpec};
use std::{
    fmt::Debug,
    sync::atomic::{AtomicU64, Ordering},
};

/// The one order of all that clients do and see.
#[derive(Debug, Default)]
pub struct Moments(AtomicU64);

impl Moments {
    /// The next moment.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// One operation as its client saw it.
#[derive(Debug, Clone)]
pub struct Seen<Op, Ret> {
    /// The moment before it was sent.
    pub asked: u64,
    /// What was asked.
    pub op: Op,
    /// What was answered, and the moment after; nothing when no answer came.
    pub told: Option<(u64, Ret)>,
}

/// Whether a history is one order of steps of `start`, none of which takes effect before it was asked or after it was
/// answered.
///
/// # Errors
/// The history, one line for each operation, where no order explains it.
pub fn explained<S>(start: S, history: &[Seen<S::Op, S::Ret>]) -> Result<(), String>
where
    S: SequentialSpec + Clone,
    S::Op: Clone + Debug,
    S::Ret: Clone + Debug,
{
    let mut tester = LinearizabilityTester::new(start);
    let mut free = Vec::new();
    let mut places = vec![0; history.len()];
    let mut threads = 0_usize;
    for event in events(history) {
        match event {
            // One thread for each operation under way; one that was never answered keeps its thread.
            Event::Asked(at) => {
                let thread = free.pop().unwrap_or_else(|| {
                    threads += 1;
                    threads
                });
                places[at] = thread;
                tester.on_invoke(thread, history[at].op.clone()).map(drop)?;
            }
            Event::Told(at, ret) => {
                tester.on_return(places[at], ret).map(drop)?;
                free.push(places[at]);
            }
        }
    }
    if tester.is_consistent() { Ok(()) } else { Err(format!("no one order explains\n{}", lines(history))) }
}

enum Event<Ret> {
    Asked(usize),
    Told(usize, Ret),
}

/// Beginnings and ends in their order.
fn events<Op, Ret: Clone>(history: &[Seen<Op, Ret>]) -> Vec<Event<Ret>> {
    let mut events: Vec<(u64, Event<Ret>)> = Vec::new();
    for (at, seen) in history.iter().enumerate() {
        events.push((seen.asked, Event::Asked(at)));
        if let Some((told, ret)) = &seen.told {
            events.push((*told, Event::Told(at, ret.clone())));
        }
    }
    events.sort_by_key(|(moment, _)| *moment);
    events.into_iter().map(|(_, event)| event).collect()
}

fn lines<Op: Debug, Ret: Debug>(history: &[Seen<Op, Ret>]) -> String {
    let mut sorted: Vec<_> = history.iter().collect();
    sorted.sort_by_key(|seen| seen.asked);
    let line = |seen: &&Seen<Op, Ret>| match &seen.told {
        Some((told, ret)) => format!("{}..{told} {:?} -> {ret:?}", seen.asked, seen.op),
        None => format!("{}..     {:?} -> no answer", seen.asked, seen.op),
    };
    sorted.iter().map(line).collect::<Vec<_>>().join("\n")
}
