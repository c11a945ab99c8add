//! The cards of a log that was written before they were listed: once, with the first batch after the start.
//!
//! Apart from the migration because the leaves' payloads are sealed, and no data key is there that early.

use super::{Write, once::read};
use crate::keeper::ledger::{fault::LedgerFault, issued::Issued};
use keysvc_protocol::leaf::CardKeysDerivedLeaf;

impl Write<'_> {
    /// Lists the cards of an older log, once the state is restored that its requests are read by.
    pub(in super::super) fn issue_older(&mut self) -> Result<(), LedgerFault> {
        if !self.state.unissued || self.control.is_none() {
            return Ok(());
        }
        let tags = self.tags()?;
        for index in self.rows.unissued()? {
            let leaf = match self.rows.recording(index, &self.state.seals) {
                Ok(leaf) => leaf,
                // Its payload was erased with its month, and with it whose card it was.
                Err(LedgerFault::SealMissing { .. }) => continue,
                Err(fault) => return Err(fault),
            };
            let broken = LedgerFault::Broken { leaf: index };
            let derived: CardKeysDerivedLeaf = read(&leaf.payload).ok_or_else(|| broken.clone())?;
            let Issued { cards, masters } = Issued::by(self.control()?, &derived).ok_or(broken)?;
            self.rows.issue(&tags, &cards, &masters)?;
        }
        self.rows.forget_unissued()?;
        self.state.unissued = false;
        Ok(())
    }
}
