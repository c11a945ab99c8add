//! What a store of the log must do: one function, one transaction.
//!
//! Apart from any store, so that the sequencer and its tests know none. How a fault is answered to callers is not
//! decided here.

use super::{
    change::{Change, Outcome},
    fault::LedgerFault,
};
use keysvc_protocol::{
    control::Moment,
    merkle::{Completed, TreeHead},
};

/// A durable log.
pub trait Backend: Send {
    /// Applies all changes of a batch in one transaction that is durable when this returns.
    ///
    /// `now` is the moment by the wall's clock and the boot's; leaf times never go back when the wall's does.
    ///
    /// # Errors
    /// A [`LedgerFault`] when nothing is known of the batch: the backend must not be used again.
    fn apply(&mut self, batch: &[Change], now: Moment) -> Result<Applied, LedgerFault>;
}

/// A batch that is durable.
#[derive(Debug)]
pub struct Applied {
    /// What became of each change, in the batch's order; a fault here is one change's alone.
    pub outcomes: Vec<Result<Outcome, LedgerFault>>,
    /// The log after the batch.
    pub head: TreeHead,
    /// What each new leaf completed, in the order of the leaves. Empty when nothing was written.
    pub completed: Vec<Completed>,
    /// The leaf that halted the ledger, if one ever did.
    pub halted: Option<u64>,
}
