//! What the writer knows without asking the database, as it was before a batch, so that a batch that met a disk without
//! room can be undone.
//!
//! Apart from the writing, because it is the one place that must name every field that a batch may change. What people
//! move is not among them: a batch changes a copy of it, which is stored after the commit alone. Nor is the key of the
//! tags: one that was made in a batch that is undone is stored with the next leaf, because nothing says then that it is.

use super::{Sqlite, State, read_fault};
use crate::keeper::ledger::fault::LedgerFault;
use keysvc_protocol::merkle::Frontier;

/// What a batch may change in memory before its commit.
#[derive(Debug)]
pub(super) struct Standing {
    frontier: Frontier,
    last_ms: u64,
    halted: Option<u64>,
    oldest_idem_ms: Option<u64>,
    unissued: bool,
    beat: u64,
    tags_sealed: Option<u32>,
}

impl State {
    /// As it stands before a batch; counts of refusals that become leaves are kept from now on.
    pub(super) fn standing(&mut self) -> Standing {
        self.refusals.begin();
        Standing {
            frontier: self.frontier.clone(),
            last_ms: self.last_ms,
            halted: self.halted,
            oldest_idem_ms: self.oldest_idem_ms,
            unissued: self.unissued,
            beat: self.beat,
            tags_sealed: self.tags_sealed,
        }
    }
}

impl Sqlite {
    /// Makes database and memory what they were before the batch.
    ///
    /// # Errors
    /// [`LedgerFault`] when the transaction cannot be given up: nothing is known then.
    pub(super) fn undo(&mut self, before: Standing) -> Result<(), LedgerFault> {
        // A failed commit has given it up by itself, a failed statement may have.
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK").map_err(read_fault)?;
        }
        let Standing { frontier, last_ms, halted, oldest_idem_ms, unissued, beat, tags_sealed } = before;
        let state = &mut self.state;
        (state.frontier, state.last_ms, state.halted) = (frontier, last_ms, halted);
        (state.oldest_idem_ms, state.unissued) = (oldest_idem_ms, unissued);
        (state.beat, state.tags_sealed) = (beat, tags_sealed);
        state.refusals.undo();
        Ok(())
    }
}
