//! A job as the log has made it, and the book that jobs and cards are kept in.

use super::{Balance, Counts, Incident, JobHead, JobItem, JobState, PurgeReceipt, Suspended, Tally};
use crate::{
    bytes::{Digest, Exchange, Idem},
    card::{CardRecord, CardUid},
    list::List,
    name::Name,
    schema::Schema,
};
use serde::{Deserialize, Serialize};

/// Most sessions of one job that are kept with it, eleven days of two hours each; those before stand in the log.
pub const SESSIONS_MAX: usize = 128;
/// Most stops of one job that are kept with it; those before stand in the log.
pub const SUSPENSIONS_MAX: usize = 64;
/// Most counts of one job that are kept with it; those before stand in the log.
pub const COUNTS_MAX: usize = 64;
/// Most incidents of one job that are kept with it; those before stand in the log.
pub const INCIDENTS_MAX: usize = 64;
/// Most agreements remembered at a time: those of the last quarter of an hour.
pub(super) const USED_MAX: usize = 256;

/// Who did something, when, in which leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// Who.
    pub by: Name,
    /// The leaf's time, milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// The leaf.
    pub leaf: u64,
}

/// A session: two operators at the job's station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The exchange whose transport key wraps the card keys.
    pub exchange: Exchange,
    /// The operators, two of them.
    pub operators: List<Name, 2>,
    /// When it began, milliseconds since 1970-01-01 UTC.
    pub opened_ms: u64,
    /// When it ends, same clock.
    pub expires_ms: u64,
    /// Its leaf.
    pub leaf: u64,
}

/// A stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// Who stopped it, and when.
    pub done: Done,
    /// What was said.
    pub said: Suspended,
}

/// A count that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountGiven {
    /// What was counted.
    pub counts: Counts,
    /// The operator.
    pub operator: Name,
    /// The reviewer.
    pub reviewer: Name,
    /// By how much it missed.
    pub balance: Balance,
    /// The leaf's time, milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// The leaf.
    pub leaf: u64,
}

/// An incident that was reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentGiven {
    /// What happened.
    pub incident: Incident,
    /// The operator.
    pub operator: Name,
    /// The reviewer.
    pub reviewer: Name,
    /// The leaf's time, milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// The leaf.
    pub leaf: u64,
}

/// How a job ended at its station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// Who asked, and when.
    pub done: Done,
    /// The station's purge receipt; left out where the job was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<PurgeReceipt>,
    /// Who witnessed the purge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Name>,
}

/// An agreement that was used, until it is stale anyway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// Its number.
    pub nonce: Idem,
    /// When it is stale, milliseconds since 1970-01-01 UTC.
    pub stale_ms: u64,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Field 0.
    pub schema: Schema,
    /// Its name.
    pub name: Name,
    /// What it is about.
    pub head: JobHead,
    /// Where it stands.
    pub state: JobState,
    /// Who made it.
    pub created: Done,
    /// Cards listed.
    pub items: u32,
    /// The edge of the manifest's tree while it is a draft, largest subtree first; empty once it is sealed.
    pub edge: List<Digest, 32>,
    /// Its sessions, oldest first.
    pub sessions: List<Session, SESSIONS_MAX>,
    /// Its stops, oldest first.
    pub suspensions: List<Suspension, SUSPENSIONS_MAX>,
    /// What was counted, oldest first.
    pub counts: List<CountGiven, COUNTS_MAX>,
    /// What went wrong, oldest first.
    pub incidents: List<IncidentGiven, INCIDENTS_MAX>,
    /// Agreements used lately.
    pub used: List<Used, USED_MAX>,
    /// The manifest's root (RFC 6962), once it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Digest>,
    /// Who sealed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Done>,
    /// How it ended at its station.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closing>,
    /// When its data were gone: the leaf's time, milliseconds since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purged_ms: Option<u64>,
}

impl Job {
    /// The session that was begun last.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.sessions.last()
    }

    /// Whether it should have been purged by now.
    #[must_use]
    pub const fn is_overdue(&self, now_ms: u64) -> bool {
        !matches!(self.state, JobState::Purged) && now_ms > self.head.due_ms
    }
}

/// Whether a card is one of a job's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// It is listed.
    Listed,
    /// It is not.
    NotListed,
    /// The list is erased.
    Erased,
}

/// What jobs and cards are kept in. What is put must be found by whoever asks after it.
pub trait Book {
    /// Why it cannot answer: the keeper's own, never the caller's affair.
    type Fault;

    /// A job and its tally.
    ///
    /// # Errors
    /// The book's own.
    fn job(&mut self, name: &Name) -> Result<Option<(Job, Tally)>, Self::Fault>;

    /// Puts a job and its tally.
    ///
    /// # Errors
    /// The book's own.
    fn put_job(&mut self, job: &Job, tally: &Tally) -> Result<(), Self::Fault>;

    /// The job whose data a station holds.
    ///
    /// # Errors
    /// The book's own.
    fn job_at(&mut self, station: &Name) -> Result<Option<Name>, Self::Fault>;

    /// Puts the job whose data a station holds, or none.
    ///
    /// # Errors
    /// The book's own.
    fn put_job_at(&mut self, station: &Name, job: Option<&Name>) -> Result<(), Self::Fault>;

    /// A card that the registry has met.
    ///
    /// # Errors
    /// The book's own.
    fn card(&mut self, card: &CardUid) -> Result<Option<CardRecord>, Self::Fault>;

    /// Puts a card.
    ///
    /// # Errors
    /// The book's own.
    fn put_card(&mut self, card: &CardUid, record: &CardRecord) -> Result<(), Self::Fault>;

    /// Whether a card is among a job's items.
    ///
    /// # Errors
    /// The book's own.
    fn listed(&mut self, job: &Name, card: &CardUid) -> Result<Membership, Self::Fault>;

    /// Puts an item of a job.
    ///
    /// # Errors
    /// The book's own.
    fn put_item(&mut self, job: &Name, item: &JobItem) -> Result<(), Self::Fault>;

    /// Forgets the items of a job whose data are gone.
    ///
    /// # Errors
    /// The book's own.
    fn forget_items(&mut self, job: &Name) -> Result<(), Self::Fault>;

    /// Whether leaves with items were seen whose payloads are erased: then no manifest can be made again from them.
    fn items_were_erased(&self) -> bool;
}
