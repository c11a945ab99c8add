//! Figures of personalization jobs and of the card registry: how many jobs stand where, how many should have been purged by
//! now, how many cards were ever met. Never how many cards a job has.

use keysvc_protocol::job::JobState;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::atomic::AtomicU64;

type Count = Gauge<u64, AtomicU64>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// What was found at one look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobFigures {
    /// Jobs by state, in the order of [`JobState::ALL`].
    by_state: [u64; JobState::ALL.len()],
    /// Cards that the registry has met.
    pub cards: u64,
}

impl JobFigures {
    /// Jobs that were counted.
    #[must_use]
    pub fn jobs(&self) -> u64 {
        self.by_state.iter().sum()
    }

    /// Counts one job.
    pub fn count(&mut self, state: JobState) {
        let place = JobState::ALL.iter().zip(&mut self.by_state).find(|(one, _)| **one == state);
        if let Some((_, count)) = place {
            *count = count.saturating_add(1);
        }
    }
}

/// The figures as they were at the last look.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    by_state: Family<State, Count>,
    overdue: Count,
    cards: Count,
}

impl Jobs {
    /// Figures that are in `registry`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let jobs = Self::default();
        registry.register(
            "jobs",
            "Personalization jobs that are not purged, by state",
            jobs.by_state.clone(),
        );
        registry.register(
            "jobs_overdue",
            "Personalization jobs that should have been purged by now",
            jobs.overdue.clone(),
        );
        registry.register("cards", "Cards that the registry has met", jobs.cards.clone());
        jobs
    }

    pub(super) fn set(&self, figures: &JobFigures) {
        let states = JobState::ALL.iter().zip(figures.by_state);
        for (state, count) in states.filter(|(state, _)| **state != JobState::Purged) {
            self.by_state.get_or_create(&State { state: state.name() }).set(count);
        }
        self.cards.set(figures.cards);
    }

    pub(super) fn set_overdue(&self, jobs: u64) {
        self.overdue.set(jobs);
    }

    pub(super) fn overdue(&self) -> u64 {
        self.overdue.get()
    }
}
