//! What waits in the ledger's queue: changes, each with who is to be told.
//!
//! Apart because both ends of the queue need it. What a change means is the backend's affair.

use super::{
    super::{change::Change, fault::LedgerFault},
    Settled,
};
use tokio::sync::oneshot;

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
