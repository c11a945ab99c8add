//! A change that takes people first: what the service answers with status 202, and the third outcome of such a call.
//!
//! The answer is believed as little as any other: it is judged before one of these is made. Who counts as a person is
//! [`keysvc_protocol::quorum`]'s.

use crate::{clock::utc, error::ClientError};
use keysvc_protocol::{
    bytes::ProposalId, name::Name, proposal::ProposalState, quorum::Need, request::Operation,
};
use std::fmt;

/// What became of a request that may take people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It is done.
    Done(T),
    /// It waits for people, or has ended without them.
    Pending(Pending),
}

impl<T> Outcome<T> {
    /// What was done; a pending one as an error.
    ///
    /// # Errors
    /// [`ClientError::Pending`] when it is not done.
    pub fn done(self) -> Result<T, ClientError> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Pending(pending) => Err(ClientError::Pending(Box::new(pending))),
        }
    }

    /// The same with what was done checked or changed.
    ///
    /// # Errors
    /// The error of `check`.
    pub fn and_then<U>(
        self,
        check: impl FnOnce(T) -> Result<U, ClientError>,
    ) -> Result<Outcome<U>, ClientError> {
        match self {
            Self::Done(done) => check(done).map(Outcome::Done),
            Self::Pending(pending) => Ok(Outcome::Pending(pending)),
        }
    }
}

/// A request of ours that became a proposal. Once enough officers have agreed, the same request (with the same
/// idempotency key) gives the operation's own reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its identifier.
    pub id: ProposalId,
    /// What was asked.
    pub operation: Operation,
    /// What would be enough.
    pub need: Need,
    /// The proposal: exactly the bytes that officers sign.
    pub proposal: Vec<u8>,
    /// Where it stands.
    pub state: ProposalState,
    /// Until when it may be approved and executed: milliseconds since 1970-01-01 UTC.
    pub expires_ms: u64,
}

impl Pending {
    /// Whether something may still come of it.
    #[must_use]
    pub const fn waits(&self) -> bool {
        matches!(
            self.state,
            ProposalState::Open | ProposalState::Waiting { .. } | ProposalState::Executed { .. }
        )
    }
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |f: &mut fmt::Formatter<'_>, what: &str, name: &Name| {
            write!(f, "{name} has {what} it (proposal {})", self.id)
        };
        match &self.state {
            ProposalState::Open => write!(
                f,
                "it takes {} people first: proposal {}, open until {}",
                self.need.persons,
                self.id,
                utc(self.expires_ms)
            ),
            ProposalState::Waiting { due_ms, .. } => {
                write!(f, "it is agreed and takes effect at {} (proposal {})", utc(*due_ms), self.id)
            }
            ProposalState::Executed { leaf } => {
                write!(f, "it was executed at leaf {leaf} (proposal {})", self.id)
            }
            ProposalState::Rejected { by: officer } => by(f, "rejected", officer),
            ProposalState::Cancelled { by: name } => by(f, "withdrawn", name),
            ProposalState::Expired => write!(f, "nobody agreed to it in time (proposal {})", self.id),
            ProposalState::Failed { refusal } => {
                write!(f, "it was agreed to, and then refused: {refusal} (proposal {})", self.id)
            }
        }
    }
}
