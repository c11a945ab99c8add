//! The keeper's figures.

use super::{Commits, JobFigures, Requests, jobs::Jobs};
use crate::link::{KeeperState, LastEnd};
use keysvc_token::TokenErrorClass;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Class {
    class: &'static str,
}

/// What is set when the figures are read.
#[derive(Debug, Default)]
struct Now {
    leaves: Gauge<u64, AtomicU64>,
    checkpoint_size: Gauge<u64, AtomicU64>,
    checkpoint_age: Gauge<f64, AtomicU64>,
    token_silence: Gauge<f64, AtomicU64>,
    uptime: Gauge<f64, AtomicU64>,
    halted: Gauge,
}

/// The keeper's figures.
#[derive(Debug)]
pub struct KeeperMetrics {
    registry: Registry,
    /// What the service as a whole has, not the keeper's work: jobs and cards.
    of_service: Registry,
    jobs: Jobs,
    requests: Requests,
    token_faults: Family<Class, Counter>,
    now: Now,
    begun: Instant,
    /// When the token last gave a good answer, in milliseconds since `begun`.
    token_answered_ms: AtomicU64,
}

impl KeeperMetrics {
    /// Figures that begin now; the ledger has its own already. Faults of the token that ended keepers before this one are
    /// counted on.
    #[must_use]
    pub fn new(commits: &Commits, before: Option<&LastEnd>) -> Self {
        let mut registry = Registry::with_prefix("keysvc_keeper");
        let requests = Requests::new(&mut registry);
        commits.register(&mut registry);
        let token_faults = Family::<Class, Counter>::default();
        // From the start, so that a first fault is seen as a rise.
        for class in TokenErrorClass::ALL {
            let earlier = before.and_then(|before| before.token_faults.get(class.name())).copied();
            token_faults.get_or_create(&Class { class: class.name() }).inc_by(earlier.unwrap_or(0));
        }
        registry.register("token_faults", "Faults of the token, by class", token_faults.clone());
        let now = Now::default();
        registry.register("log_leaves", "Leaves in the log", now.leaves.clone());
        registry.register(
            "checkpoint_size",
            "Leaves under the newest signed checkpoint",
            now.checkpoint_size.clone(),
        );
        let mut seconds = |name: &str, help: &str, gauge: &Gauge<f64, AtomicU64>| {
            registry.register_with_unit(name, help, Unit::Seconds, gauge.clone());
        };
        seconds("checkpoint_age", "Age of the newest signed checkpoint", &now.checkpoint_age);
        seconds("token_silence", "Time since the token last gave a good answer", &now.token_silence);
        seconds("uptime", "Time since the keeper serves", &now.uptime);
        registry.register(
            "halted",
            "1 when history was found rolled back and nothing is served",
            now.halted.clone(),
        );
        let mut of_service = Registry::with_prefix("keysvc");
        let jobs = Jobs::new(&mut of_service);
        Self {
            registry,
            of_service,
            jobs,
            requests,
            token_faults,
            now,
            begun: Instant::now(),
            token_answered_ms: AtomicU64::new(0),
        }
    }

    /// The recorder of requests.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Records a fault of the token.
    pub fn token_fault(&self, class: TokenErrorClass) {
        self.token_faults.get_or_create(&Class { class: class.name() }).inc();
    }

    /// What was found of jobs and cards.
    pub fn set_jobs(&self, figures: &JobFigures) {
        self.jobs.set(figures);
    }

    /// How many jobs should have been purged by now.
    pub fn set_jobs_overdue(&self, jobs: u64) {
        self.jobs.set_overdue(jobs);
    }

    /// Jobs that should have been purged by now, at the last look.
    #[must_use]
    pub fn jobs_overdue(&self) -> u64 {
        self.jobs.overdue()
    }

    /// The token has given a good answer.
    pub fn token_answered(&self) {
        self.token_answered_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    /// How long ago the token last gave a good answer, in milliseconds.
    #[must_use]
    pub fn token_silent_ms(&self) -> u64 {
        self.elapsed_ms().saturating_sub(self.token_answered_ms.load(Ordering::Relaxed))
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The figures as OpenMetrics text without its end mark: the front adds its own.
    #[must_use]
    pub fn text(&self, state: &KeeperState) -> String {
        self.now.leaves.set(state.leaves);
        self.now.checkpoint_size.set(state.checkpoint_size);
        self.now.checkpoint_age.set(seconds(state.checkpoint_age_ms));
        self.now.token_silence.set(seconds(state.token_silent_ms));
        self.now.uptime.set(seconds(state.uptime_ms));
        self.now.halted.set(i64::from(state.halted));
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode_registry(&mut out, &self.registry);
        let _ = text::encode_registry(&mut out, &self.of_service);
        out
    }
}

fn seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Outcome;
    use keysvc_protocol::{bytes::Digest, job::JobState, refusal::Refusal, schema::Schema};
    use std::time::Duration;

    #[test]
    fn what_was_recorded_is_in_the_text_under_labels_from_closed_lists() {
        let commits = Commits::default();
        let before = LastEnd { token_faults: [("away".to_owned(), 2)].into(), ..LastEnd::default() };
        let metrics = KeeperMetrics::new(&commits, Some(&before));
        metrics.requests().answered("value.update", Outcome::Done, Duration::from_micros(1_500));
        metrics.requests().answered("value.update", Outcome::Refused, Duration::from_millis(4));
        metrics.requests().refused(&Refusal::Forbidden);
        metrics.token_fault(TokenErrorClass::Away);
        commits.queued();
        commits.queued();
        commits.taken(1);
        commits.committed(3, Duration::from_millis(2));
        let mut figures = JobFigures::default();
        figures.cards = 7;
        figures.count(JobState::Open);
        figures.count(JobState::Open);
        metrics.set_jobs(&figures);
        metrics.set_jobs_overdue(1);
        assert_eq!(metrics.jobs_overdue(), 1);
        let state = KeeperState {
            schema: Schema,
            version: String::new(),
            uptime_ms: 60_000,
            policy: Digest::new([0; 32]),
            development: false,
            halted: true,
            closing: false,
            leaves: 42,
            checkpoint_size: 41,
            checkpoint_age_ms: 1_500,
            token_silent_ms: 500,
            queue_len: 0,
            jobs_overdue: 1,
        };
        let text = metrics.text(&state);
        for line in [
            "keysvc_keeper_request_duration_seconds_bucket{le=\"0.001\",operation=\"value.update\",outcome=\"done\"} 0",
            "keysvc_keeper_request_duration_seconds_bucket{le=\"0.002\",operation=\"value.update\",outcome=\"done\"} 1",
            "keysvc_keeper_request_duration_seconds_count{operation=\"value.update\",outcome=\"refused\"} 1",
            "keysvc_keeper_refusals_total{kind=\"forbidden\"} 1",
            "keysvc_keeper_token_faults_total{class=\"away\"} 3",
            "keysvc_keeper_ledger_queue_length 1",
            "keysvc_keeper_commit_changes_bucket{le=\"4.0\"} 1",
            "keysvc_keeper_commit_duration_seconds_count 1",
            "keysvc_keeper_log_leaves 42",
            "keysvc_keeper_checkpoint_age_seconds 1.5",
            "keysvc_keeper_halted 1",
            "keysvc_jobs{state=\"open\"} 2",
            "keysvc_jobs{state=\"draft\"} 0",
            "keysvc_jobs_overdue 1",
            "keysvc_cards 7",
        ] {
            assert!(text.lines().any(|one| one == line), "no {line} in\n{text}");
        }
        assert!(!text.contains("# EOF"));
    }
}
