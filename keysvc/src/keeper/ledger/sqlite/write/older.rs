//! What an older store lacks and gets once, with the first batch after the start: the marks of its rows, and the list of
//! cards under each key.
//!
//! Apart from the migration because payloads and the key of the tags are sealed, and no data key is there that early.

use super::{Write, once::read};
use crate::keeper::ledger::{fault::LedgerFault, issued::Issued};
use keysvc_protocol::leaf::CardKeysDerivedLeaf;

impl Write<'_> {
    /// Marks the rows of a store that was written before rows had marks. The key of the tags, sealed anew in the same
    /// transaction, says from then on that they have.
    pub(in super::super) fn mark_older(&mut self) -> Result<(), LedgerFault> {
        if self.control.is_none() || self.state.tags.known().is_some_and(|tags| tags.are_marked()) {
            return Ok(());
        }
        if self.rows.tags_key()?.is_none() {
            // Nothing that has marks was ever written.
            return Ok(());
        }
        let tags = match self.tags() {
            Ok(tags) => tags,
            // Its data key is not there: what needs the tags will say so.
            Err(fault) if fault.is_of_one_change() => return Ok(()),
            Err(fault) => return Err(fault),
        };
        if !tags.are_marked() {
            self.rows.mark_older(&tags)?;
            self.put_tags(&tags)?;
            self.marked = Some(tags);
        }
        Ok(())
    }

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
