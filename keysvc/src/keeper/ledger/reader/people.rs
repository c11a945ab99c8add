//! What the log says of proposals, of who was enrolled, and of the cards under a key.
//!
//! Apart from the other reading because only what takes people asks for it.

use super::Reader;
use crate::keeper::ledger::{
    change::Recording,
    fault::LedgerFault,
    sqlite::{ProposalRow, Rows},
};
use keysvc_protocol::{
    bytes::Blob,
    cbor,
    control::Control,
    leaf::ProposalVotedLeaf,
    name::Name,
    proposal::{APPROVAL_LEN_MAX, ProposalId, ProposalState},
    quorum::Verdict,
    receipt::LEAF_PAYLOAD_LEN_MAX,
};
use std::sync::Arc;

/// A proposal with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalOnRecord {
    /// The leaf in which it was made.
    pub made: Recording,
    /// Where it stands.
    pub state: ProposalState,
    /// The approvals, in the order they came.
    pub approvals: Vec<Blob<APPROVAL_LEN_MAX>>,
    /// Its act's leaf, once it was executed.
    pub act: Option<Recording>,
}

impl Reader {
    /// Everything that takes people, as the last commit left it; nothing before it was restored from the log.
    #[must_use]
    pub fn control(&self) -> Option<Arc<Control>> {
        self.0.control.load_full()
    }

    /// A proposal, if there ever was one of this identifier.
    ///
    /// # Errors
    /// As [`Reader::leaf`].
    pub fn proposal(&self, id: &ProposalId) -> Result<Option<ProposalOnRecord>, LedgerFault> {
        self.0.read(|rows| rows.proposal(id)?.map(|row| self.on_record(rows, row)).transpose())
    }

    /// The newest proposals made before a leaf, newest first and at most `max`: those that are open or whose act waits,
    /// and with `ended` all.
    ///
    /// # Errors
    /// As [`Reader::leaf`].
    pub fn proposals(
        &self,
        before: Option<u64>,
        ended: bool,
        max: usize,
    ) -> Result<Vec<ProposalOnRecord>, LedgerFault> {
        self.0.read(|rows| {
            let found = rows.proposals(before, ended, max)?.into_iter();
            found.map(|row| self.on_record(rows, row)).collect()
        })
    }

    fn on_record(&self, rows: Rows<'_>, row: ProposalRow) -> Result<ProposalOnRecord, LedgerFault> {
        let recording = |leaf| rows.recording(leaf, &self.0.seals);
        let mut approvals = Vec::new();
        for (leaf, _) in rows.votes(&row.id)? {
            let vote: ProposalVotedLeaf = cbor::decode(&recording(leaf)?.payload, LEAF_PAYLOAD_LEN_MAX)
                .map_err(|_| LedgerFault::Broken { leaf })?;
            if vote.verdict == Verdict::Approve {
                approvals.push(vote.approval);
            }
        }
        let act = row.act.map(recording).transpose()?;
        Ok(ProposalOnRecord { made: recording(row.made)?, state: row.state, approvals, act })
    }

    /// The leaves that changed who is enrolled, a threshold or the policies, and are in force; in their order. Of what waited for its
    /// delay both are there, the act's and the one by which it took effect.
    ///
    /// # Errors
    /// The store's.
    pub fn roster_leaves(&self) -> Result<Vec<u64>, LedgerFault> {
        self.0.read(|rows| rows.listed_control(true))
    }

    /// How many cards have keys under a version of a master key.
    ///
    /// # Errors
    /// The store's.
    pub fn cards_under(&self, name: &Name, version: u32) -> Result<u64, LedgerFault> {
        self.0.read(|rows| rows.cards_under(name, version))
    }
}
