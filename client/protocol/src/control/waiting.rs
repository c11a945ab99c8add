//! What people have agreed to and waits for its delay.

use super::{Change, Control};
use crate::{
    bytes::ProposalId,
    control::At,
    leaf::TookEffectLeaf,
    name::Name,
    refusal::{Conflict, Refusal},
};
use serde::Serialize;

/// A change that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The proposal it was.
    pub proposal: ProposalId,
    /// Who asked.
    pub requester: Name,
    /// What will happen.
    pub change: Change,
    /// Not before this wall time, milliseconds since 1970-01-01 UTC.
    pub due_ms: u64,
    /// Not before so much boot time was witnessed, in milliseconds. Not in the digest: who skipped leaves that only
    /// witness the clock has counted less of it, before the act and after it alike.
    #[serde(skip)]
    pub due_run_ms: u64,
}

impl Control {
    /// The change that waits under this proposal, with its act's leaf.
    #[must_use]
    pub fn waiting_for(&self, proposal: &ProposalId) -> Option<(u64, &Waiting)> {
        self.waiting().find(|(_, waiting)| waiting.proposal == *proposal)
    }

    /// Whether a change that waits may take effect at this time of the log, with the moment just witnessed.
    #[must_use]
    pub fn is_due(&self, act: u64, time_ms: u64, moment: &super::Moment) -> bool {
        let clock = self.clock.after(moment);
        let due = |waiting: &Waiting| {
            !clock.is_disputed() && time_ms >= waiting.due_ms && clock.run_ms() >= waiting.due_run_ms
        };
        self.waiting.get(&act).is_some_and(due)
    }

    pub(super) fn take_effect(&mut self, at: At, leaf: &TookEffectLeaf) -> Result<(), Refusal> {
        let clock = self.clock.after(&leaf.moment);
        let conflict = |reason| Refusal::StateConflict { reason };
        let Some(waiting) = self.waiting.get(&leaf.act).cloned() else {
            return Err(conflict(Conflict::Precondition));
        };
        if clock.is_disputed() && !self.evidence_alone {
            return Err(conflict(Conflict::ClockDisputed));
        }
        if !self.evidence_alone && !self.is_due(leaf.act, at.time_ms, &leaf.moment) {
            return Err(conflict(Conflict::Waiting));
        }
        self.in_force(at, waiting.change, &waiting.requester)?;
        self.waiting.remove(&leaf.act);
        self.clock = clock;
        Ok(())
    }
}
