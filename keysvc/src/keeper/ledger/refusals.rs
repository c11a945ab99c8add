//! Which refusals get a leaf of their own and which are counted: the first ten a minute of each known caller do.
//!
//! Kept in memory alone, so a restart begins every minute anew. Pure: leaves are written by the backend.

pub(super) use crate::config::fixed::{
    REFUSAL_LEAVES_A_MINUTE as LEAVES_A_MINUTE, REFUSED_CALLERS_MAX as CALLERS_MAX,
};
use keysvc_protocol::{leaf::RefusalsCountedLeaf, name::Name, schema::Schema};
use std::collections::HashMap;

const MINUTE_MS: u64 = 60_000;

/// The running counts.
#[derive(Debug)]
pub(super) struct Refusals {
    callers: HashMap<Name, Minute>,
    // Callers that are not enrolled, and those beyond CALLERS_MAX.
    nameless: u64,
    nameless_from_ms: u64,
    // What became leaves of the batch that is being written.
    taken: Vec<RefusalsCountedLeaf>,
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
        Self { callers: HashMap::new(), nameless: 0, nameless_from_ms: now_ms, taken: Vec::new() }
    }

    /// Begins a batch: what becomes a leaf from now on can be taken back by [`Refusals::undo`].
    pub(super) fn begin(&mut self) {
        self.taken.clear();
    }

    /// Counts again what became leaves of a batch that was not committed. What the batch counted anew stays counted: the
    /// log may overstate.
    pub(super) fn undo(&mut self) {
        for leaf in std::mem::take(&mut self.taken) {
            let Some(caller) = leaf.principal else {
                self.add_nameless(leaf.count);
                self.nameless_from_ms = self.nameless_from_ms.min(leaf.from_ms);
                continue;
            };
            let unused = Minute { from_ms: leaf.from_ms, leaves: 0, counted: 0 };
            let minute = self.callers.entry(caller).or_insert(unused);
            minute.from_ms = minute.from_ms.min(leaf.from_ms);
            minute.counted = minute.counted.saturating_add(leaf.count);
        }
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
        let minute =
            self.callers.get_mut(caller).filter(|minute| minute.counted > 0 && minute.over(now_ms))?;
        let leaf = counted(minute.counted, minute.from_ms, Some(caller.clone()));
        *minute = Minute { from_ms: now_ms, leaves: 0, counted: 0 };
        self.taken.push(leaf.clone());
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
        let mut leaves: Vec<_> = over
            .into_iter()
            .map(|(name, minute)| counted(minute.counted, minute.from_ms, Some(name)))
            .collect();
        if all || now_ms.saturating_sub(self.nameless_from_ms) >= MINUTE_MS {
            if self.nameless > 0 {
                leaves.push(counted(self.nameless, self.nameless_from_ms, None));
            }
            self.nameless = 0;
            self.nameless_from_ms = now_ms;
        }
        self.taken.extend(leaves.iter().cloned());
        leaves
    }
}

fn counted(count: u64, from_ms: u64, principal: Option<Name>) -> RefusalsCountedLeaf {
    RefusalsCountedLeaf { schema: Schema, count, from_ms, principal }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_795_000_000_000;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn spent(refusals: &mut Refusals, caller: &Name, count: u64) {
        for _ in 0..count {
            refusals.admit(caller, NOW_MS);
        }
    }

    #[test]
    fn the_first_ten_of_a_minute_get_a_leaf_and_the_rest_one_together() {
        let mut refusals = Refusals::new(NOW_MS);
        let caller = name("terminal-1");
        let admitted = (0..25).filter(|_| refusals.admit(&caller, NOW_MS)).count();
        assert_eq!(admitted, 10);
        assert_eq!(refusals.due_of(&caller, NOW_MS + MINUTE_MS - 1), None);
        assert_eq!(refusals.due(NOW_MS + MINUTE_MS - 1, false), []);
        let leaf = refusals.due_of(&caller, NOW_MS + MINUTE_MS);
        assert_eq!(leaf, Some(counted(15, NOW_MS, Some(caller.clone()))));
        assert_eq!(refusals.due_of(&caller, NOW_MS + MINUTE_MS), None);
        assert!(refusals.admit(&caller, NOW_MS + MINUTE_MS));
    }

    #[test]
    fn callers_do_not_use_up_each_others_ten() {
        let mut refusals = Refusals::new(NOW_MS);
        spent(&mut refusals, &name("a"), 20);
        assert!(refusals.admit(&name("b"), NOW_MS));
    }

    #[test]
    fn a_minute_that_is_over_is_written_once_by_name_and_then_the_nameless() {
        let mut refusals = Refusals::new(NOW_MS);
        spent(&mut refusals, &name("b"), 12);
        spent(&mut refusals, &name("a"), 11);
        spent(&mut refusals, &name("c"), 10);
        refusals.add_nameless(3);
        let over = NOW_MS + MINUTE_MS;
        let expected = [
            counted(1, NOW_MS, Some(name("a"))),
            counted(2, NOW_MS, Some(name("b"))),
            counted(3, NOW_MS, None),
        ];
        assert_eq!(refusals.due(over, false), expected);
        assert_eq!(refusals.due(over + MINUTE_MS, false), []);
    }

    #[test]
    fn all_counts_can_be_had_before_their_minute_is_over() {
        let mut refusals = Refusals::new(NOW_MS);
        spent(&mut refusals, &name("a"), 11);
        refusals.add_nameless(1);
        assert_eq!(refusals.due(NOW_MS, true).len(), 2);
    }

    #[test]
    fn counts_that_became_leaves_of_a_batch_that_was_undone_are_counted_again() {
        let mut refusals = Refusals::new(NOW_MS);
        let caller = name("a");
        spent(&mut refusals, &caller, 13);
        refusals.add_nameless(2);
        let over = NOW_MS + MINUTE_MS;
        let expected = [counted(3, NOW_MS, Some(caller.clone())), counted(2, NOW_MS, None)];
        for _ in 0..2 {
            refusals.begin();
            assert_eq!(refusals.due(over, false), expected);
            refusals.undo();
        }
        refusals.begin();
        assert_eq!(refusals.due_of(&caller, over), Some(counted(3, NOW_MS, Some(caller.clone()))));
        refusals.undo();
        assert_eq!(refusals.due(over, false), expected);
        // What was committed stays told.
        refusals.begin();
        refusals.undo();
        assert_eq!(refusals.due(over + MINUTE_MS, false), []);
    }

    #[test]
    fn callers_beyond_the_map_are_counted_without_name_until_a_minute_is_over() {
        let mut refusals = Refusals::new(NOW_MS);
        for number in 0..CALLERS_MAX {
            assert!(refusals.admit(&name(&format!("caller-{number}")), NOW_MS));
        }
        assert!(!refusals.admit(&name("one-more"), NOW_MS));
        assert_eq!(refusals.callers.len(), CALLERS_MAX);
        assert!(refusals.admit(&name("one-more"), NOW_MS + MINUTE_MS));
        assert_eq!(refusals.callers.len(), 1);
        assert_eq!(refusals.due(NOW_MS + MINUTE_MS, false), [counted(1, NOW_MS, None)]);
    }
}
