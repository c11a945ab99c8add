//! What waits in the ledger's queue: changes, each with who is to be told; and what they are told.
//!
//! Apart because both ends of the queue need it. What a change means is the backend's affair.

use super::{
    commit::{Commit, Committed},
    sync::oneshot,
};
use crate::keeper::ledger::{
    change::{Change, Outcome},
    fault::LedgerFault,
};

/// What became of a submitted change, and the commit after which it is so.
#[derive(Debug)]
pub struct Settled {
    /// What became of it.
    pub outcome: Outcome,
    /// The newest commit; its tree holds the change's leaf, if it has one.
    pub commit: Commit,
    /// The right to have the commit's head signed: given to one submitter of each batch that wrote leaves.
    pub lead: Option<Committed>,
}

impl Settled {
    /// The index of the change's leaf, if it has one.
    #[must_use]
    pub const fn index(&self) -> Option<u64> {
        match &self.outcome {
            Outcome::Recorded(leaf) => Some(leaf.index),
            Outcome::Refused(_) | Outcome::Counted => None,
        }
    }
}

/// Where a change's end is told.
pub(super) type Reply = oneshot::Sender<Result<Settled, LedgerFault>>;

/// What is queued as one: its changes come next to each other in one commit. The longest, 64 signed updates, holds 64
/// KiB like the longest lone one.
#[expect(clippy::large_enum_variant, reason = "most are one change, and a box would cost each an allocation")]
pub(super) enum Job {
    One(Change, Reply),
    Many(Vec<(Change, Reply)>),
}

impl Job {
    pub(super) fn add_to(self, batch: &mut Vec<(Change, Reply)>) {
        match self {
            Self::One(change, reply) => batch.push((change, reply)),
            Self::Many(changes) => batch.extend(changes),
        }
    }
}
