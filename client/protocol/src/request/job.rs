//! Requests about personalization jobs and the cards they make.
//!
//! Apart from the others because together they are one subject. What they do is [`crate::job`]'s.

use crate::{
    bytes::{Blob, Digest, Exchange, Idem},
    card::{CardState, CardUid, HolderRef},
    job::{
        AGREEMENT_LEN_MAX, CardResult, Counts, ITEMS_MAX, Incident, JobHead, JobItem, PurgeReceipt,
        RESULTS_MAX, Suspended,
    },
    list::List,
    name::{Name, Reason},
    request::CARDS_MAX,
    schema::Schema,
};
use serde::{Deserialize, Serialize};

/// Signed agreements of two people (COSE_Sign1 of a [`crate::job::JobAgreement`]), in the order the request says.
pub type Agreements = List<Blob<AGREEMENT_LEN_MAX>, 2>;

request!(
    /// `job.create`: a draft. Its name is never used again.
    CreateJob {
        /// The idempotency key.
        idem: Idem,
        /// The job's name, at most 48 bytes.
        job: Name,
        /// What it is about.
        head: JobHead,
    }
);
request!(
    /// `job.items`: cards and their data for a draft that lists its cards, in the order of the manifest.
    AddJobItems {
        /// The idempotency key.
        idem: Idem,
        /// The job.
        job: Name,
        /// The cards, none twice in a job.
        items: List<JobItem, ITEMS_MAX>,
    }
);
request!(
    /// `job.seal`: fixes head and manifest for good.
    SealJob {
        /// The idempotency key.
        idem: Idem,
        /// The job.
        job: Name,
        /// SHA-256 of the encoded head, as the sealing person has read it.
        head: Digest,
        /// How many cards are listed; 0 where they are taken as encountered.
        items: u32,
        /// The manifest's root (RFC 6962 over the encoded items, in their order).
        root: Digest,
    }
);
request!(
    /// `job.withdraw`: gives up a draft, or a sealed job that was never opened.
    WithdrawJob {
        /// The idempotency key.
        idem: Idem,
        /// The job.
        job: Name,
        /// Why, for the log.
        reason: Reason,
    }
);
request!(
    /// `job.open`: a session of two operators at the job's station; also the next one, when two hours are over.
    OpenJob {
        /// The idempotency key; the same one after a restart of the service gives the same session a new transport key.
        idem: Idem,
        /// The job.
        job: Name,
        /// The two operators' agreements.
        agreements: Agreements,
    }
);
request!(
    /// `job.resume`: a session of two operators that lets a suspended job go on.
    ResumeJob {
        /// The idempotency key; as in `job.open`.
        idem: Idem,
        /// The job.
        job: Name,
        /// The two operators' agreements.
        agreements: Agreements,
    }
);
request!(
    /// `card.derive`: the keys of cards of an open job, in every slot of its profile.
    DeriveCardKeys {
        /// The idempotency key.
        idem: Idem,
        /// The session's exchange, whose transport key wraps the card keys.
        exchange: Exchange,
        /// The job.
        job: Name,
        /// The generation of the cards' keys: 1 for cards that have none. Another takes two people.
        generation: u32,
        /// The cards, without repetition.
        cards: List<CardUid, CARDS_MAX>,
    }
);
request!(
    /// `card.result`: what became of cards.
    GiveResults {
        /// The idempotency key.
        idem: Idem,
        /// The job.
        job: Name,
        /// The results, no card twice.
        results: List<CardResult, RESULTS_MAX>,
    }
);
request!(
    /// `job.suspend`: stops a job, by either operator of its session.
    SuspendJob {
        /// The idempotency key.
        idem: Idem,
        /// The job.
        job: Name,
        /// What is where, and why.
        suspended: Suspended,
    }
);
request!(
    /// `job.count`: what was counted.
    CountJob {
        /// The idempotency key.
        idem: Idem,
        /// The job.
        job: Name,
        /// The counts.
        counts: Counts,
        /// The operator's agreement, then the reviewer's.
        agreements: Agreements,
    }
);
request!(
    /// `job.incident`: something that went wrong.
    ReportIncident {
        /// The idempotency key.
        idem: Idem,
        /// The job.
        job: Name,
        /// What.
        incident: Incident,
        /// The operator's agreement, then the reviewer's.
        agreements: Agreements,
    }
);
request!(
    /// `job.close`: the station has erased the job's data.
    CloseJob {
        /// The idempotency key.
        idem: Idem,
        /// The job.
        job: Name,
        /// The station's receipt: its signature is the request's.
        receipt: PurgeReceipt,
        /// The witness's agreement alone.
        agreements: Agreements,
    }
);
request!(
    /// `job.get`.
    ReadJob {
        /// The job.
        job: Name,
    }
);
request!(
    /// `job.list`: by name, at most 64 a reply.
    ListJobs {
        /// Whether purged ones are wanted too.
        purged: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Only those after this name: to page on.
        after: Option<Name>,
    }
);
request!(
    /// `job.record`: the audit record of a job.
    ReadJobRecord {
        /// The job.
        job: Name,
    }
);
request!(
    /// `card.check`.
    CheckCard {
        /// The card.
        card: CardUid,
    }
);
request!(
    /// `card.transition`: puts cards into another state, all of them or none.
    MoveCards {
        /// The idempotency key.
        idem: Idem,
        /// The cards, without repetition.
        cards: List<CardUid, CARDS_MAX>,
        /// The state: active, retired, or awaiting destruction.
        to: CardState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// Where they are from now on; the caller's organisation when left out.
        location: Option<Name>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        /// The holder of a card that is given out; of one card alone.
        holder: Option<HolderRef>,
    }
);
