//! What a row is told and what it says: how many trials, from which chances, and what came of them.

use keysvc_tests::ground::Failed;
use std::{
    fmt::Display,
    sync::atomic::{AtomicU64, Ordering},
};

/// One row's order.
#[derive(Debug)]
pub struct Trial {
    times: u64,
    seed: u64,
    done: AtomicU64,
    of: AtomicU64,
}

impl Trial {
    /// So many times the trials of a run of ten minutes, with chances from `seed`.
    pub fn new(times: u64, seed: u64) -> Self {
        Self { times, seed, done: AtomicU64::new(0), of: AtomicU64::new(0) }
    }

    /// How many trials to make, where a run of ten minutes has room for `count`.
    pub fn scaled(&self, count: u64) -> u64 {
        count.saturating_mul(self.times)
    }

    /// The row's chances: the same for the same seed.
    pub fn chances(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed)
    }

    /// Says how far the row is, for whoever watches.
    pub fn tell(&self, done: u64, of: u64) {
        self.of.store(of, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
    }

    /// How far the row is: done, of.
    pub fn told(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.of.load(Ordering::Relaxed))
    }
}

/// What a row found.
#[derive(Debug)]
pub struct Found {
    /// Trials made.
    pub trials: u64,
    /// What a trial is, in the plural: `kills`.
    pub unit: &'static str,
    /// What did not hold, one line each. Empty where everything held.
    pub broken: Vec<String>,
    /// Other figures of the row, each with its name: `slowest restart`, `412 ms`.
    pub figures: Vec<(&'static str, String)>,
}

impl Found {
    /// Nothing yet, in trials of this unit.
    pub fn new(unit: &'static str) -> Self {
        Self { trials: 0, unit, broken: Vec::new(), figures: Vec::new() }
    }

    /// Counts a trial, and what did not hold in it.
    pub fn count(&mut self, outcome: Result<(), String>) {
        self.trials = self.trials.saturating_add(1);
        self.broken.extend(outcome.err());
    }

    /// Notes what must hold for all trials together.
    pub fn check(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(otherwise());
        }
    }

    /// Adds a figure.
    pub fn figure(&mut self, name: &'static str, value: impl Display) {
        self.figures.push((name, value.to_string()));
    }

    /// Above which rate of failures so many trials without one speak against it, at 95 %: three in so many.
    pub fn bound(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 trials")]
        let trials = self.trials as f64;
        (self.broken.is_empty() && self.trials > 0).then(|| 3.0 / trials)
    }
}

/// How a row ended.
#[derive(Debug)]
pub enum Ended {
    /// It ran; whether everything held is in what it found.
    Ran(Found),
    /// The machine lacks something that the row needs: what, and how to get it.
    Lacking(String),
}

/// What a row's function gives. [`Failed`] says that the row could not be carried out; that is never taken as held.
pub type Outcome = Result<Ended, Failed>;
