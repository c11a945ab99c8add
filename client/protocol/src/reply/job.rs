//! Replies about personalization jobs and the cards they make.
//!
//! What goes to a station or an operator holds no total, no leaf and no inclusion: from none of it does the size of a job
//! follow.

use crate::{
    bytes::{Blob, Digest},
    card::{CardState, HolderRef, ShownCard},
    cbor::REPLY_LEN_MAX,
    job::{Balance, Done, JOB_RECORD_LEN_MAX, JobState, Tally},
    list::List,
    name::{Name, Reason},
    receipt::Receipt,
    schema::Schema,
};
use serde::{Deserialize, Serialize};

/// Most jobs in one reply of `job.list`.
pub const JOBS_MAX: usize = 64;

reply!(
    /// Reply to `job.open` and `job.resume`.
    JobOpenReply {
        /// COSE_Sign1 of an [`crate::delivery::ExchangeOpening`].
        opening: Blob<2048>,
        /// The receipt, without the leaf.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `card.derive`.
    CardDeriveReply {
        /// COSE_Sign1 of a [`crate::delivery::Delivery`].
        delivery: Blob<REPLY_LEN_MAX>,
        /// The receipt, without the leaf.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `job.create`, `job.items`, `job.seal`, `job.withdraw`, `job.suspend`, `job.incident`, `job.close` and
    /// `card.result`.
    JobChangedReply {
        /// The job's state after it.
        state: JobState,
        /// The receipt, without the leaf.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `job.count`.
    JobCountReply {
        /// Whether what was counted balances. By how much it does not, the reviewer alone reads (`job.get`).
        balanced: bool,
        /// The receipt, without the leaf.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `card.transition`.
    CardsMovedReply {
        /// The receipt, without the leaf.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `job.get`.
    JobReply {
        /// The job.
        job: JobView,
    }
);
reply!(
    /// Reply to `job.list`.
    JobListReply {
        /// The jobs, by name.
        jobs: List<JobView, JOBS_MAX>,
    }
);
reply!(
    /// Reply to `job.record`.
    JobRecordReply {
        /// COSE_Sign1 of a [`crate::job::JobRecord`].
        record: Blob<JOB_RECORD_MESSAGE_LEN_MAX>,
        /// The receipt of the leaf that says it was made, with leaf and inclusion proof.
        receipt: Receipt,
    }
);
reply!(
    /// Reply to `card.check`.
    CardReply {
        /// The card, masked for operators.
        card: ShownCard,
        /// Its state; frozen while a freeze of it stands.
        state: CardState,
        /// How often its keys were released; 0 for a blank.
        generation: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Its profile.
        profile: Option<Name>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Where it is.
        location: Option<Name>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// The job that made it; not for terminals and offices.
        job: Option<Name>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Its holder's reference; for offices and auditors.
        holder: Option<HolderRef>,
    }
);

/// Longest signed audit record, in bytes.
pub const JOB_RECORD_MESSAGE_LEN_MAX: usize = JOB_RECORD_LEN_MAX + 128;

/// A job as its reader may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobView {
    /// Its name.
    pub name: Name,
    /// Where it stands.
    pub state: JobState,
    /// The order's number.
    pub order: Reason,
    /// The card profile.
    pub profile: Name,
    /// Its version.
    pub profile_version: u32,
    /// The station.
    pub station: Name,
    /// The equipment.
    pub equipment: Reason,
    /// Whether its cards are listed.
    pub listed: bool,
    /// When it must be purged at the latest, milliseconds since 1970-01-01 UTC.
    pub due_ms: u64,
    /// Cards without their result: what is in hand at the station.
    pub pending: u32,
    /// Whether it should have been purged by now.
    pub overdue: bool,
    /// The operators of its session, where there is one.
    pub operators: List<Name, 2>,
    /// When that session ends, milliseconds since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_expires_ms: Option<u64>,
    /// What only those see who may know how many cards there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<JobNumbers>,
}

/// The numbers of a job: not for stations, station operators, or whoever operated it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobNumbers {
    /// The customer's code.
    pub customer: Reason,
    /// The lot of blank cards.
    pub lot: Reason,
    /// Good cards wanted.
    pub ordered: u32,
    /// Blank cards issued.
    pub issued: u32,
    /// Cards carried over.
    pub carried_over: u32,
    /// Cards listed.
    pub items: u32,
    /// SHA-256 of the encoded head, and the manifest's root as it stands: what a seal states.
    pub head: Digest,
    /// The manifest's root as it stands.
    pub root: Digest,
    /// What the log says of its cards.
    pub tally: Tally,
    /// Who made it.
    pub created: Done,
    /// Sessions so far.
    pub sessions: u32,
    /// Stops so far.
    pub suspensions: u32,
    /// Incidents so far.
    pub incidents: u32,
    /// Counts so far.
    pub counts: u32,
    /// By how much the last one missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Balance>,
    /// Who sealed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Done>,
}
