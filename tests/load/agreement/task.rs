//! What one person is told to do in the measurement of dual control, and what was measured: one line of JSON each.

use crate::order::Service;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// A terminal loads what it may load alone.
    Load,
    /// A terminal loads more than that, which becomes a proposal.
    ProposeLoad,
    /// An officer reads a proposal.
    Look,
    /// An officer approves a proposal.
    Approve,
    /// A terminal fetches the record that its proposal became.
    Result,
    /// An officer stops a terminal.
    Freeze,
    /// An officer asks to let go on what was stopped.
    ProposeLift,
    /// An officer suspends a key.
    Suspend,
    /// An officer asks to put the key into use again.
    ProposeActivate,
}

/// So many calls of one kind, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The kind.
    pub step: Step,
    /// The processes of the service.
    pub service: Service,
    /// The fobs that are loaded, by number: as many calls. Of other steps only how many they are counts.
    pub fobs: std::ops::Range<u64>,
    /// The bytes of the proposals that are read, approved or fetched, one for each call.
    pub proposals: Vec<Vec<u8>>,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.step)
    }
}

/// What the calls took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// CPU of the front, in nanoseconds.
    pub front_cpu_ns: u64,
    /// CPU of the keeper, in nanoseconds.
    pub keeper_cpu_ns: u64,
    /// CPU of everything else on the machine meanwhile, in nanoseconds.
    pub other_cpu_ns: u64,
    /// How long all of it took, in nanoseconds.
    pub elapsed_ns: u64,
    /// How long each call took, in nanoseconds.
    pub latencies_ns: Vec<u64>,
    /// The bytes of the proposals that were made.
    pub proposals: Vec<Vec<u8>>,
}

impl Done {
    /// This and what the same acts took besides, act by act.
    pub fn and(mut self, other: &Self) -> Self {
        self.front_cpu_ns = self.front_cpu_ns.saturating_add(other.front_cpu_ns);
        self.keeper_cpu_ns = self.keeper_cpu_ns.saturating_add(other.keeper_cpu_ns);
        self.other_cpu_ns = self.other_cpu_ns.saturating_add(other.other_cpu_ns);
        self.elapsed_ns = self.elapsed_ns.saturating_add(other.elapsed_ns);
        for (sum, more) in self.latencies_ns.iter_mut().zip(&other.latencies_ns) {
            *sum = sum.saturating_add(*more);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Done;

    #[test]
    fn the_steps_of_an_act_add_up_act_by_act() {
        let first = Done { front_cpu_ns: 1, latencies_ns: vec![10, 20], ..Done::default() };
        let second = Done { front_cpu_ns: 2, latencies_ns: vec![5, 1], ..Done::default() };
        let whole = first.and(&second);
        assert_eq!((whole.front_cpu_ns, whole.latencies_ns), (3, vec![15, 21]));
    }
}
