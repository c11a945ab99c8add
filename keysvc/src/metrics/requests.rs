//! Requests by operation and outcome, and refusals by kind. Each half has its own: the front's time holds the link and
//! the HTTP, the keeper's is its own work.

use super::{LATENCIES_S, kind_of};
use keysvc_protocol::refusal::Refusal;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::time::Duration;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// It was refused: the caller's affair.
    Refused,
    /// It met a fault of ours, or found a half or a queue unavailable.
    Fault,
}

impl Outcome {
    /// The outcome that a refusal stands for.
    #[must_use]
    pub const fn of(refusal: &Refusal) -> Self {
        if refusal.retryable() { Self::Fault } else { Self::Refused }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Fault => "fault",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// Records requests.
#[derive(Debug, Clone)]
pub struct Requests {
    durations: Family<Answered, Histogram, fn() -> Histogram>,
    refusals: Family<Kind, Counter>,
}

impl Requests {
    /// Recorders whose figures are in `registry`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let new: fn() -> Histogram = || Histogram::new(LATENCIES_S);
        let requests = Self { durations: Family::new_with_constructor(new), refusals: Family::default() };
        registry.register_with_unit(
            "request_duration",
            "Time to answer a request, by operation and outcome",
            Unit::Seconds,
            requests.durations.clone(),
        );
        registry.register("refusals", "Requests refused, by kind of refusal", requests.refusals.clone());
        requests
    }

    /// Records one answered request.
    pub fn answered(&self, operation: &'static str, outcome: Outcome, took: Duration) {
        let answered = Answered { operation, outcome: outcome.name() };
        self.durations.get_or_create(&answered).observe(took.as_secs_f64());
    }

    /// Records one refusal.
    pub fn refused(&self, refusal: &Refusal) {
        self.refusals.get_or_create(&Kind { kind: kind_of(refusal) }).inc();
    }
}
