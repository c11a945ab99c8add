//! A proposal that takes two, one step after the other: it is open until its one end.
//!
//! Execution is a step that nobody asks for: it follows the approval that completes the quorum, some time later. A history
//! holds it as an operation without an answer.

use keysvc_protocol::proposal::ProposalState;
use stateright::semantics::SequentialSpec;
use std::collections::BTreeSet;

/// Officers whom the act takes.
const NEED: usize = 2;

/// What is asked of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An officer approves.
    Approve(&'static str),
    /// An officer rejects.
    Reject(&'static str),
    /// The requester withdraws it.
    Cancel,
    /// The service executes it, once enough approved.
    Execute,
    /// Somebody reads where it stands.
    Look,
}

/// How a proposal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Executed.
    Executed,
    /// Rejected.
    Rejected,
    /// Withdrawn.
    Cancelled,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It counts.
    Counted,
    /// The proposal has ended.
    HasEnded,
    /// Where it stands: open, or its end.
    Stands(Option<End>),
}

impl Said {
    /// What a reply says of where a proposal stands.
    ///
    /// # Errors
    /// A standing that no history here leads to.
    pub fn stands(state: &ProposalState) -> Result<Self, String> {
        Ok(Self::Stands(match state {
            ProposalState::Open => None,
            ProposalState::Executed { .. } => Some(End::Executed),
            ProposalState::Rejected { .. } => Some(End::Rejected),
            ProposalState::Cancelled { .. } => Some(End::Cancelled),
            other => return Err(format!("a proposal stands as {other:?}")),
        }))
    }
}

/// One proposal between two steps.
#[derive(Debug, Clone, Default)]
pub struct Proposal {
    approved: BTreeSet<&'static str>,
    end: Option<End>,
}

impl SequentialSpec for Proposal {
    type Op = Step;
    type Ret = Said;

    fn invoke(&mut self, step: &Step) -> Said {
        match (step, self.end) {
            (Step::Look, end) => return Said::Stands(end),
            (Step::Execute, None) if self.approved.len() >= NEED => self.end = Some(End::Executed),
            (Step::Execute, _) => {}
            (_, Some(_)) => return Said::HasEnded,
            (Step::Approve(officer), None) => {
                self.approved.insert(officer);
            }
            (Step::Reject(_), None) => self.end = Some(End::Rejected),
            (Step::Cancel, None) => self.end = Some(End::Cancelled),
        }
        Said::Counted
    }
}
