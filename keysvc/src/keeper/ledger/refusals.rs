//! Which refusals get a leaf of their own and which are counted: the first ten a minute of each known caller do.
//!
//! Kept in memory alone, so a restart begins every minute anew. Pure: leaves are written by the backend.

use keysvc_protocol::{leaf::RefusalsCountedLeaf, name::Name, schema::Schema};
use std::collections::HashMap;

/// Refusals of one caller that get a leaf in one minute.
pub(super) const LEAVES_A_MINUTE: u32 = 10;
/// Callers whose refusals are counted by name: 4,096 names of at most 64 bytes take about 0.5 MiB.
pub(super) const CALLERS_MAX: usize = 4_096;
const MINUTE_MS: u64 = 60_000;

/// The running counts.
#[derive(Debug)]
pub(super) struct Refusals {
    callers: HashMap<Name, Minute>,
    // Callers that are not enrolled, and those beyond CALLERS_MAX.
    nameless: u64,
    nameless_from_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Minute {
    from_ms: u64,
    leaves: u32,
    counted: u64,
}

impl Minute {
    const fn over(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.from_ms) >= MINUTE_MS
    }
}

impl Refusals {
    pub(super) fn new(now_ms: u64) -> Self {
        Self { callers: HashMap::new(), nameless: 0, nameless_from_ms: now_ms }
    }

    /// Counts a refusal of a known caller; says whether it gets a leaf.
    pub(super) fn admit(&mut self, caller: &Name, now_ms: u64) -> bool {
        if let Some(minute) = self.callers.get_mut(caller) {
            if minute.over(now_ms) {
                // INVARIANT: what was counted in it is a leaf by now; due_of comes before.
                *minute = Minute { from_ms: now_ms, leaves: 0, counted: 0 };
            }
            if minute.leaves < LEAVES_A_MINUTE {
                minute.leaves = minute.leaves.saturating_add(1);
                return true;
            }
            minute.counted = minute.counted.saturating_add(1);
            return false;
        }
        if self.callers.len() >= CALLERS_MAX {
            self.callers.retain(|_, minute| minute.counted > 0 || !minute.over(now_ms));
        }
        if self.callers.len() >= CALLERS_MAX {
            self.add_nameless(1);
            return false;
        }
        self.callers.insert(caller.clone(), Minute { from_ms: now_ms, leaves: 1, counted: 0 });
        true
    }

    /// Counts refusals under no name.
    pub(super) fn add_nameless(&mut self, count: u64) {
        self.nameless = self.nameless.saturating_add(count);
    }

    /// What was counted of this caller in a minute that is over; to be written before its next leaf.
    pub(super) fn due_of(&mut self, caller: &Name, now_ms: u64) -> Option<RefusalsCountedLeaf> {
        let minute = self.callers.get_mut(caller).filter(|minute| minute.counted > 0 && minute.over(now_ms))?;
        let leaf = counted(minute.counted, minute.from_ms, Some(caller.clone()));
        *minute = Minute { from_ms: now_ms, leaves: 0, counted: 0 };
        Some(leaf)
    }

    /// What was counted in minutes that are over, or with `all` in any; callers in the order of their names, then
    /// the nameless.
    pub(super) fn due(&mut self, now_ms: u64, all: bool) -> Vec<RefusalsCountedLeaf> {
        let (over, open) = std::mem::take(&mut self.callers)
            .into_iter()
            .partition::<HashMap<_, _>, _>(|(_, minute)| all || minute.over(now_ms));
        self.callers = open;
        let mut over: Vec<_> = over.into_iter().filter(|(_, minute)| minute.counted > 0).collect();
        over.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut leaves: Vec<_> =
            over.into_iter().map(|(name, minute)| counted(minute.counted, minute.from_ms, Some(name))).collect();
        if all || now_ms.saturating_sub(self.nameless_from_ms) >= MINUTE_MS {
            if self.nameless > 0 {
                leaves.push(counted(self.nameless, self.nameless_from_ms, None));
            }
            self.nameless = 0;
            self.nameless_from_ms = now_ms;
        }
        leaves
    }
}

fn counted(count: u64, from_ms: u64, principal: Option<Name>) -> RefusalsCountedLeaf {
    RefusalsCountedLeaf { schema: Schema, count, from_ms, principal }
}
