//! The ledger: the log and its projections, made durable in one commit before anything is performed.
//!
//! It alone makes a [`Recorded`]: the state change and its leaf are on disk. It alone makes a [`Committed`]: the
//! right to have one tree head signed. The files below it hold the store ([`sqlite`]), the one thread that writes
//! ([`sequencer`]), the rules decided inside the transaction ([`purse`], [`refusals`]) and what is read back
//! ([`reader`]).

pub mod anchor;
pub mod backend;
pub mod change;
pub mod fault;
pub mod purse;
pub mod reader;
pub mod refusals;
pub mod schema;
pub mod seal;
pub mod sequencer;
pub mod sqlite;
pub mod tree;

pub use anchor::{Anchor, AnchorFault};
pub use change::{Change, Outcome, PurseRules, Recording, Retry};
pub use fault::LedgerFault;
pub use reader::Reader;
pub use seal::{Seal, Seals};
pub use sequencer::{Commit, Committed, Options, Sequencer, Settled};
pub use sqlite::DataKeys;

use super::{action::Action, gate::Permit, limits::KeeperLimits, site::Site};
use keysvc_protocol::refusal::Refusal;
use std::sync::Arc;

/// A request that the ledger records before it is performed.
pub trait Record: Action {
    /// The change that carries it out.
    ///
    /// # Errors
    /// A [`Refusal`] when what it names is gone, or a [`LedgerFault`] when it was let through unsigned.
    fn change(permit: &Permit<Self>, facts: &Facts<'_>) -> Result<Change, NotRecorded>
    where
        Self: Sized;
}

/// What a change may depend on beside the request.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The site.
    pub site: &'a Site,
    /// The limits.
    pub limits: &'a KeeperLimits,
    /// 16 fresh random bytes.
    pub random: [u8; 16],
}

/// Proof that a request's change and its leaf are durable. What is signed or derived is taken from it.
///
/// Its fields are private and only [`Ledger::record`] makes one. Not from a permit:
/// ```compile_fail,E0451
/// # use keysvc::keeper::{gate::Permit, ledger::{Commit, Recorded, Recording}};
/// # use keysvc_protocol::request::UpdateValue;
/// fn skip(permit: Permit<UpdateValue>, recording: Recording, commit: Commit) -> Recorded<UpdateValue> {
///     Recorded { permit, recording, commit }
/// }
/// ```
/// while handing one on is anybody's right:
/// ```
/// # use keysvc::keeper::{gate::Permit, ledger::{Commit, Recorded, Recording}};
/// # use keysvc_protocol::request::UpdateValue;
/// fn pass(recorded: Recorded<UpdateValue>) -> Recorded<UpdateValue> {
///     recorded
/// }
/// ```
#[derive(Debug)]
pub struct Recorded<A> {
    permit: Permit<A>,
    recording: Recording,
    commit: Commit,
}

impl<A> Recorded<A> {
    /// The permit it was recorded with.
    #[must_use]
    pub fn permit(&self) -> &Permit<A> {
        &self.permit
    }

    /// The leaf: index, time, payload.
    #[must_use]
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// The commit that contains the leaf.
    #[must_use]
    pub fn commit(&self) -> &Commit {
        &self.commit
    }
}

/// Why a request was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum NotRecorded {
    /// Refused before the transaction; its leaf is still to be written.
    #[error("{0}")]
    Refused(Refusal),
    /// Refused inside the transaction, which wrote the refusal's leaf as well.
    #[error("{0}")]
    RefusedOnRecord(Refusal, Option<Committed>),
    /// A fault of the store.
    #[error("{0}")]
    Fault(#[from] LedgerFault),
}

/// The ledger as requests use it.
#[derive(Debug, Clone)]
pub struct Ledger {
    sequencer: Sequencer,
    reader: Reader,
    site: Arc<Site>,
    limits: KeeperLimits,
}

impl Ledger {
    /// A ledger over a store that was opened and compared with its anchor.
    #[must_use]
    pub fn new(sequencer: Sequencer, reader: Reader, site: Arc<Site>, limits: KeeperLimits) -> Self {
        Self { sequencer, reader, site, limits }
    }

    /// What is recorded.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The way for changes that no caller asked for: refusals, starts, keys.
    #[must_use]
    pub fn sequencer(&self) -> &Sequencer {
        &self.sequencer
    }

    /// Records a permitted request. The second value, where there is one, is the duty to have the commit's head
    /// signed: exactly one request of each commit gets it.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub async fn record<A: Record>(
        &self,
        permit: Permit<A>,
        random: [u8; 16],
    ) -> Result<(Recorded<A>, Option<Committed>), NotRecorded> {
        let facts = Facts { site: &self.site, limits: &self.limits, random };
        let change = A::change(&permit, &facts)?;
        let settled = self.sequencer.submit(change).await?;
        match settled.outcome {
            Outcome::Recorded(recording) => {
                Ok((Recorded { permit, recording, commit: settled.commit }, settled.lead))
            }
            Outcome::Refused(refusal) => Err(NotRecorded::RefusedOnRecord(refusal, settled.lead)),
            Outcome::Counted => Err(NotRecorded::Fault(LedgerFault::Stopped)),
        }
    }
}
