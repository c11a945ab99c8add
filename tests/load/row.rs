//! One line of the table: the medians of one measurement.

use crate::{
    order::{Measured, Work},
    series::{SPREAD_MAX, Series, float, rate},
};
use serde::Serialize;

/// One measurement. Rates are a second; times and CPU are in microseconds; all are medians over the rounds.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Of what.
    pub work: Work,
    /// Threads or connections.
    pub parallel: usize,
    /// Operations a second.
    pub operations_per_second: f64,
    /// Greatest less smallest rate, of the median.
    pub spread: f64,
    /// Rounds that were set aside for others measured in their place.
    pub again: u32,
    /// Half of the calls took at most this.
    pub p50_us: f64,
    /// Ninety-nine in a hundred calls took at most this.
    pub p99_us: f64,
    /// CPU of the front for one operation, or of a server that has one process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub front_cpu_us: Option<f64>,
    /// CPU of the keeper for one operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keeper_cpu_us: Option<f64>,
    /// CPU of all that serve, for one operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_cpu_us: Option<f64>,
    /// CPU of the load's own process; of a work without a server this is what it costs.
    pub own_cpu_us: f64,
    /// Leaves that share one commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves_per_commit: Option<f64>,
    /// Memory of all that serve, in KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_kib: Option<f64>,
    /// Bytes of a request's body; nothing where they were not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_len: Option<f64>,
    /// Bytes of a reply's body; nothing where they were not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_len: Option<f64>,
    /// Replies verified with all their signatures and proofs, in all rounds.
    pub verified: u64,
    /// Requests that were signed while measuring, in all rounds.
    pub late_signed: u64,
    /// CPU that others used meanwhile, as a share of the whole machine.
    pub others: f64,
}

impl Row {
    /// Of a series, on a machine with so many processors.
    pub fn new(series: &Series, cpus: f64) -> Self {
        let service = series.order.service;
        let served = |figure: fn(&Measured) -> f64| service.map(|_| series.median(figure));
        let kept = |figure: fn(&Measured) -> f64| {
            service.and_then(|service| service.keeper).map(|_| series.median(figure))
        };
        let work = series.order.work;
        let logged = series.measured.iter().any(|measured| measured.commits > 0);
        let weighed = |figure: fn(&Measured) -> u64| {
            let len = series.median(|one| float(figure(one)) / float(one.calls.max(1)));
            (len > 0.0).then_some(len)
        };
        Self {
            work,
            parallel: series.order.parallel,
            operations_per_second: series.median(rate),
            spread: series.spread(),
            again: series.again,
            p50_us: series.median(|one| float(one.p50_ns) / 1e3),
            p99_us: series.median(|one| float(one.p99_ns) / 1e3),
            front_cpu_us: served(|one| each(one, one.front_cpu_ns)),
            keeper_cpu_us: kept(|one| each(one, one.keeper_cpu_ns)),
            served_cpu_us: served(|one| each(one, one.front_cpu_ns.saturating_add(one.keeper_cpu_ns))),
            own_cpu_us: series.median(|one| each(one, one.own_cpu_ns)),
            leaves_per_commit: logged.then(|| series.median(|one| leaves_per_commit(work, one))),
            resident_kib: served(|one| float(one.front_kib.saturating_add(one.keeper_kib))),
            asked_len: weighed(|one| one.asked_len),
            told_len: weighed(|one| one.told_len),
            verified: series.measured.iter().map(|one| one.verified).sum(),
            late_signed: series.measured.iter().map(|one| one.late_signed).sum(),
            others: series
                .median(|one| float(one.other_cpu_ns) / float(one.elapsed_ns.max(1)) / cpus.max(1.0)),
        }
    }

    /// What is measured.
    pub fn name(&self) -> String {
        format!("{}@{}", self.work.name(), self.parallel)
    }

    /// CPU of those that serve, or of a work that needs nobody.
    pub fn cpu_us(&self) -> f64 {
        self.served_cpu_us.unwrap_or(self.own_cpu_us)
    }

    /// Whether its rounds lie too far apart, however often it was measured.
    pub fn spreads(&self) -> bool {
        self.spread > SPREAD_MAX
    }
}

/// Nanoseconds of a whole measurement, as microseconds of one operation.
fn each(measured: &Measured, total_ns: u64) -> f64 {
    float(total_ns) / 1e3 / float(measured.operations.max(1))
}

/// A call of several updates leaves as many leaves; any other call one.
fn leaves_per_commit(work: Work, measured: &Measured) -> f64 {
    let leaves = if work == Work::Batch { measured.operations } else { measured.calls };
    float(leaves) / float(measured.commits.max(1))
}

/// The row of this work.
pub fn find(rows: &[Row], work: Work, parallel: usize) -> Option<&Row> {
    rows.iter().find(|row| row.work == work && row.parallel == parallel)
}
