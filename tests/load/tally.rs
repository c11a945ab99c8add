//! Counts of one measurement, and how they become what was measured.

use crate::{
    cpu::{Cpu, keeper_kib, resident_kib},
    order::{Measured, Service},
};
use keysvc_tests::ground::Failed;
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

/// What one thread or connection counts.
#[derive(Debug, Default)]
pub struct Tally {
    /// Operations completed.
    pub operations: u64,
    /// How long each call took, in nanoseconds.
    pub latencies_ns: Vec<u64>,
    /// Bytes of the requests' bodies.
    pub asked_len: usize,
    /// Bytes of the replies' bodies.
    pub told_len: usize,
    /// Sizes of the logs in the replies' checkpoints.
    pub sizes: HashSet<u64>,
    /// Replies verified.
    pub verified: u64,
    /// Requests signed while measuring.
    pub late_signed: u64,
}

impl Tally {
    /// Counts a call of so many operations that began at `began`.
    pub fn count(&mut self, operations: u64, began: Instant) {
        self.operations = self.operations.saturating_add(operations);
        self.latencies_ns.push(nanos(began.elapsed()));
    }

    /// Counts the bytes of a request and its reply.
    pub const fn weigh(&mut self, asked_len: usize, told_len: usize) {
        self.asked_len = self.asked_len.saturating_add(asked_len);
        self.told_len = self.told_len.saturating_add(told_len);
    }

    fn add(&mut self, other: Self) {
        self.operations = self.operations.saturating_add(other.operations);
        self.weigh(other.asked_len, other.told_len);
        self.latencies_ns.extend(other.latencies_ns);
        self.sizes.extend(other.sizes);
        self.verified = self.verified.saturating_add(other.verified);
        self.late_signed = self.late_signed.saturating_add(other.late_signed);
    }
}

/// A measurement under way.
#[derive(Debug)]
pub struct Watch {
    service: Option<Service>,
    began: Instant,
    cpu: Cpu,
}

impl Watch {
    /// Begins.
    pub fn start(service: Option<Service>) -> Result<Self, Failed> {
        let cpu = Cpu::now(service)?;
        Ok(Self { service, began: Instant::now(), cpu })
    }

    /// Ends; `tallies` are counted afterwards, so that nothing of that is measured.
    pub fn stop(self, tallies: impl FnOnce() -> Vec<Tally>) -> Result<Measured, Failed> {
        let elapsed = self.began.elapsed();
        let cpu = Cpu::now(self.service)?.since(self.cpu);
        // While the connections are still there.
        let front_kib = self.service.map_or(Ok(0), |service| resident_kib(service.front))?;
        let keeper_kib = self.service.map_or(Ok(0), keeper_kib)?;
        let mut all = Tally::default();
        for tally in tallies() {
            all.add(tally);
        }
        all.latencies_ns.sort_unstable();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(Measured {
            operations: all.operations,
            elapsed_ns: nanos(elapsed),
            p50_ns: share(&all.latencies_ns, 50),
            p99_ns: share(&all.latencies_ns, 99),
            own_cpu_ns: cpu.own,
            front_cpu_ns: cpu.front,
            keeper_cpu_ns: cpu.keeper,
            other_cpu_ns: cpu.others(),
            commits: count(all.sizes.len()),
            calls: count(all.latencies_ns.len()),
            asked_len: count(all.asked_len),
            told_len: count(all.told_len),
            front_kib,
            keeper_kib,
            verified: all.verified,
            late_signed: all.late_signed,
        })
    }
}

/// The value that so many in a hundred do not exceed; 0 of none.
fn share(sorted: &[u64], percent: usize) -> u64 {
    let place = sorted.len().saturating_mul(percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(0)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let sorted: Vec<u64> = (1..=200).collect();
        assert_eq!((share(&sorted, 50), share(&sorted, 99), share(&sorted, 100)), (100, 198, 200));
        assert_eq!((share(&[7], 50), share(&[7], 99), share(&[], 99)), (7, 7, 0));
    }
}
