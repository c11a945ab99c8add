//! The ledger: the log and its projections, made durable in one commit before anything is performed.
//!
//! It alone makes a [`Recorded`]: the state change and its leaf are on disk. It alone makes a [`Committed`]: the
//! right to have one tree head signed. The files below it hold the store ([`sqlite`]), the one thread that writes
//! ([`sequencer`]), the rules decided inside the transaction ([`purse`], [`refusals`], `effects`, which asks
//! [`keysvc_protocol::control`], and the book of jobs and cards, for which [`keysvc_protocol::job`] decides), what a start
//! makes again (`restore`) and what is read back ([`reader`]).

pub mod anchor;
pub mod backend;
pub mod change;
pub mod clock;
mod effects;
pub mod fault;
mod issued;
pub mod purse;
pub mod reader;
pub mod rebuild;
pub mod refusals;
mod restore;
pub mod schema;
pub mod seal;
pub mod sequencer;
pub mod sqlite;
pub mod tree;

pub use anchor::{Anchor, AnchorFault};
pub use change::{Change, Outcome, Recording, Retry, Terms, Touches};
pub use clock::Clock;
pub use fault::LedgerFault;
pub use reader::{ProposalOnRecord, Reader};
pub use seal::{Seal, SealClass, Seals};
pub use sequencer::{Commit, Committed, Options, Sequencer, Settled};
pub use sqlite::{DataKey, DataKeys};

use super::{action::Action, gate::Permit, limits::KeeperLimits, site::Site};
use arc_swap::ArcSwapOption;
use keysvc_protocol::{
    control::Control,
    leaf::{BundleMadeLeaf, JobRecordMadeLeaf, RefusedLeaf},
    refusal::Refusal,
    request::ReadJobRecord,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Everything that takes people, as the last commit left it; nothing before it was restored from the log.
pub type SharedControl = Arc<ArcSwapOption<Control>>;

/// The files of the store in `folder`, whether they are there or not.
#[must_use]
pub fn store_files(folder: &Path) -> Vec<PathBuf> {
    sqlite::files(folder)
}

/// Removes a store whose log holds at most a founding; for an interrupted one, whose keys are gone.
///
/// # Errors
/// [`LedgerFault`]: in use, or founded and started, and then nothing is removed.
pub fn discard_unfounded(folder: &Path) -> Result<(), LedgerFault> {
    // Held until all is gone.
    let _lock = sqlite::lock(folder)?;
    if Reader::open(folder).is_ok_and(|reader| reader.head().size > 1) {
        return Err(LedgerFault::AlreadyFounded);
    }
    for file in sqlite::files(folder) {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LedgerFault::Open { path: file, source: Arc::new(error) });
            }
            _ => {}
        }
    }
    Ok(())
}

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
    /// Everything that takes people, as the last commit left it; what may change until the commit is decided there.
    pub control: &'a Control,
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

/// Proof that the leaf of a trust bundle is durable: the service's own act, recorded before it is signed.
///
/// Only the ledger makes one. Not from a recording:
/// ```compile_fail,E0451
/// # use keysvc::keeper::ledger::{Recording, RecordedBundle};
/// fn skip(recording: Recording) -> RecordedBundle {
///     RecordedBundle { recording }
/// }
/// ```
/// while handing one on is anybody's right:
/// ```
/// # use keysvc::keeper::ledger::{Recording, RecordedBundle};
/// fn pass(recorded: RecordedBundle) -> RecordedBundle {
///     recorded
/// }
/// ```
#[derive(Debug, Clone)]
pub struct RecordedBundle {
    recording: Recording,
}

impl RecordedBundle {
    /// The leaf: index, time, payload.
    #[must_use]
    pub const fn recording(&self) -> &Recording {
        &self.recording
    }
}

/// What became of a batch.
#[derive(Debug)]
pub struct RecordedAll<A> {
    /// Each request's record, or why it has none, in their order.
    pub each: Vec<Result<Recorded<A>, NotRecorded>>,
    /// The duty to have the commit's head signed, where there is one.
    pub lead: Option<Committed>,
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
        let control = self.reader.control().ok_or(LedgerFault::NoControl)?;
        let facts = Facts { site: &self.site, control: &control, limits: &self.limits, random };
        let change = by_quorum(A::change(&permit, &facts)?, &permit);
        let Settled { outcome, commit, lead } = self.sequencer.submit(change).await?;
        match recorded(permit, outcome, commit) {
            Ok(recorded) => Ok((recorded, lead)),
            Err(NotRecorded::RefusedOnRecord(refusal, _)) => Err(NotRecorded::RefusedOnRecord(refusal, lead)),
            Err(not) => Err(not),
        }
    }

    /// Records permitted requests in their order, in one commit with the refusals of those that were not permitted.
    /// What is refused leaves the others whole.
    ///
    /// # Errors
    /// [`LedgerFault`] when none of them was taken.
    pub async fn record_all<A: Record>(
        &self,
        permits: Vec<Permit<A>>,
        refusals: Vec<RefusedLeaf>,
        random: [u8; 16],
    ) -> Result<RecordedAll<A>, LedgerFault> {
        let control = self.reader.control().ok_or(LedgerFault::NoControl)?;
        let facts = Facts { site: &self.site, control: &control, limits: &self.limits, random };
        let (mut queued, mut not_queued) = (Vec::new(), Vec::with_capacity(permits.len()));
        for permit in &permits {
            match A::change(permit, &facts) {
                Ok(change) => {
                    queued.push(by_quorum(change, permit));
                    not_queued.push(None);
                }
                Err(not) => not_queued.push(Some(not)),
            }
        }
        queued.extend(refusals.into_iter().map(Change::Refused));
        let mut settled = self.sequencer.submit_all(queued).await?;
        let lead = settled.iter_mut().flatten().find_map(|settled| settled.lead.take());
        let mut settled = settled.into_iter();
        let each = permits.into_iter().zip(not_queued).map(|(permit, not)| {
            if let Some(not) = not {
                return Err(not);
            }
            let Settled { outcome, commit, .. } = settled.next().unwrap_or(Err(LedgerFault::Stopped))?;
            recorded(permit, outcome, commit)
        });
        Ok(RecordedAll { each: each.collect(), lead })
    }

    /// Records that a job's audit record is read, by the digest of the bytes that are to be signed. Apart from
    /// [`Ledger::record`] because the leaf is made of more than the request.
    ///
    /// # Errors
    /// [`NotRecorded`].
    pub async fn record_job_record(
        &self,
        permit: Permit<ReadJobRecord>,
        leaf: JobRecordMadeLeaf,
    ) -> Result<(Recorded<ReadJobRecord>, Option<Committed>), NotRecorded> {
        let Settled { outcome, commit, lead } = self.sequencer.submit(Change::JobRecordMade(leaf)).await?;
        match recorded(permit, outcome, commit) {
            Ok(recorded) => Ok((recorded, lead)),
            Err(NotRecorded::RefusedOnRecord(refusal, _)) => Err(NotRecorded::RefusedOnRecord(refusal, lead)),
            Err(not) => Err(not),
        }
    }

    /// Records a trust bundle, before it is signed.
    ///
    /// # Errors
    /// [`LedgerFault`] of the store.
    pub async fn record_bundle(
        &self,
        leaf: BundleMadeLeaf,
    ) -> Result<(RecordedBundle, Option<Committed>), LedgerFault> {
        let settled = self.sequencer.submit(Change::BundleMade(leaf)).await?;
        match settled.outcome {
            Outcome::Recorded(recording) => Ok((RecordedBundle { recording }, settled.lead)),
            Outcome::Refused(_) | Outcome::Counted => Err(LedgerFault::Stopped),
        }
    }

    /// The newest trust bundle on record, if one was made.
    ///
    /// # Errors
    /// [`LedgerFault`] of the store.
    pub fn bundle_on_record(&self) -> Result<Option<RecordedBundle>, LedgerFault> {
        Ok(self.reader.bundle()?.map(|recording| RecordedBundle { recording }))
    }
}

/// The change with the evidence that the permit was given for, where it took people.
fn by_quorum<A>(change: Change, permit: &Permit<A>) -> Change {
    match permit.evidence() {
        // A recorded read is nobody's to agree to.
        Some(evidence)
            if !matches!(
                change,
                Change::ReadEntries(_) | Change::ReadEvidence(_) | Change::JobRecordMade(_)
            ) =>
        {
            Change::ByQuorum { evidence: evidence.clone(), change: Box::new(change) }
        }
        _ => change,
    }
}

fn recorded<A>(permit: Permit<A>, outcome: Outcome, commit: Commit) -> Result<Recorded<A>, NotRecorded> {
    match outcome {
        Outcome::Recorded(recording) => Ok(Recorded { permit, recording, commit }),
        Outcome::Refused(refusal) => Err(NotRecorded::RefusedOnRecord(refusal, None)),
        Outcome::Counted => Err(NotRecorded::Fault(LedgerFault::Stopped)),
    }
}
