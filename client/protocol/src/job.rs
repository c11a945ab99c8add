//! Personalization jobs: sealed by two, worked by two, counted blind, and purged before the next one.
//!
//! One pure state machine over a [`Book`]: the keeper's transaction, the verification of a store, the auditor and the
//! models of the tests all call [`apply`] with the log's leaves, in their order. Each signature that a leaf carries is
//! verified here, but where the caller says that it did so already ([`Trust`]). Whether the policies allow an act, and
//! what the token derives, is not its affair.

mod agreement;
mod apply;
mod audit;
mod book;
mod changes;
mod derive;
mod head;
mod people;
mod results;
mod state;
mod tally;

pub use agreement::{
    AGREEMENT_EARLY_MAX_MS, AGREEMENT_LEN_MAX, AGREEMENT_LIFE_MS, JobAct, JobAgreement, Role, signers,
};
pub use apply::{Judge, Trust, apply, concerns};
pub use audit::{JOB_RECORD_LEN_MAX, JobRecord, NotARecord};
pub use book::{
    Book, COUNTS_MAX, Closing, CountGiven, Done, INCIDENTS_MAX, IncidentGiven, Job, Membership, SESSIONS_MAX,
    SUSPENSIONS_MAX, Session, Suspension, Used,
};
pub use derive::{Derivation, derivation, still_open};
pub use head::{
    CardResult, Counts, ITEM_DATA_LEN_MAX, ITEMS_MAX, Incident, ItemData, JOB_CARDS_MAX, JOB_NAME_LEN_MAX,
    JobHead, JobItem, Outcome, PurgeReceipt, RESULTS_MAX, SESSION_LIFE_MS, Suspended,
};
pub use people::History;
pub use state::{ForbiddenJobStep, JobEvent, JobState};
pub use tally::{Balance, Tally};
