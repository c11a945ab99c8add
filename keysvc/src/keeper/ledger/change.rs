//! What may happen to the log, and what became of it.
//!
//! Apart from the backends so that all of them answer the same questions. Who may ask was the gate's affair; what
//! can still change between gate and commit (sequence, balance, idempotency, the halt, freezes, who is enabled, keys'
//! states, who has agreed) is decided in the backend's transaction.

mod recording;
mod touches;

pub use recording::{Outcome, Recording};
pub use touches::Touches;

use keysvc_protocol::{
    bytes::{Blob, Digest, Exchange, Idem},
    card::CardUid,
    leaf::{
        BundleMadeLeaf, CardsChangedLeaf, ChangedLeaf, EntriesReadLeaf, EvidenceReadLeaf, FoundingLeaf,
        IncidentReportedLeaf, JobChangedLeaf, JobItemsLeaf, JobPurgedLeaf, JobRecordMadeLeaf,
        KeyDestroyedLeaf, KeyIntentLeaf, KeyOutcomeLeaf, ProposalClosedLeaf, RefusedLeaf, RollbackLeaf,
        StartLeaf, Statement,
    },
    name::Name,
    proposal::{APPROVAL_LEN_MAX, Evidence, ProposalId, Proposed},
    quorum::{Need, Verdict},
    request::{DeriveCardKeys, Operation, UpdateValue},
};

/// By what a repeated request is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Who asks.
    pub principal: Name,
    /// The idempotency key, unique for the principal.
    pub idem: Idem,
    /// SHA-256 over the payload of the signed request.
    pub payload_digest: Digest,
}

/// What a value update gets whatever its purse: the purse's own rules are read in the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a terminal may write an update to the card, in milliseconds from the leaf's time.
    pub valid_ms: u64,
    /// The update's flags ([`keysvc_protocol::value::FLAG_NO_CARD_SESSION`]).
    pub flags: u32,
}

/// One thing that happens to the log. Each becomes at most one leaf of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The founding: leaf 0, and only leaf 0.
    Founding {
        /// The leaf.
        leaf: FoundingLeaf,
    },
    /// The keeper started.
    Start(StartLeaf),
    /// A key is about to be made in the token; stays open until its outcome.
    KeyIntent(KeyIntentLeaf),
    /// A key was made; closes its intent.
    KeyOutcome(KeyOutcomeLeaf),
    /// A signed checkpoint that this log does not contain was shown; halts the ledger for callers.
    RollbackShown(RollbackLeaf),
    /// A trust bundle is to be signed.
    BundleMade(BundleMadeLeaf),
    /// A session of a job at a station begins; it ends `life_ms` after the leaf's time.
    OpenJob {
        /// By what a retry is known.
        retry: Retry,
        /// The station.
        station: Name,
        /// `job.open` or `job.resume`.
        operation: Operation,
        /// The job.
        job: Name,
        /// The session's exchange.
        exchange: Exchange,
        /// Its life, in milliseconds.
        life_ms: u64,
        /// The signed request.
        statement: Statement,
        /// What could be frozen about it; the job's profile and master keys are added in the transaction.
        touches: Touches,
    },
    /// Card keys of a job are to be derived; which of the cards get them is decided in the transaction.
    DeriveCardKeys {
        /// By what a retry is known.
        retry: Retry,
        /// The station.
        station: Name,
        /// The request.
        request: DeriveCardKeys,
        /// The signed request.
        statement: Statement,
        /// What could be frozen about it, apart from the cards; the job's profile and master keys are added in the
        /// transaction.
        touches: Touches,
    },
    /// A station says what became of cards.
    GiveResults {
        /// By what a retry is known.
        retry: Retry,
        /// The job.
        job: Name,
        /// The leaf.
        leaf: CardsChangedLeaf,
    },
    /// Cards are put into another state.
    MoveCards {
        /// By what a retry is known.
        retry: Retry,
        /// The leaf.
        leaf: CardsChangedLeaf,
        /// The cards.
        cards: Vec<CardUid>,
        /// What could be frozen about it, apart from the cards.
        touches: Touches,
    },
    /// A job is made, sealed, withdrawn, suspended, counted or closed.
    AlterJob {
        /// By what a retry is known.
        retry: Retry,
        /// The job.
        job: Name,
        /// The leaf.
        leaf: JobChangedLeaf,
    },
    /// Cards and their data are added to a job, whose data key must be there.
    AddItems {
        /// By what a retry is known.
        retry: Retry,
        /// The job.
        job: Name,
        /// The leaf.
        leaf: JobItemsLeaf,
    },
    /// An incident is reported.
    ReportIncident {
        /// By what a retry is known.
        retry: Retry,
        /// The job.
        job: Name,
        /// The leaf.
        leaf: IncidentReportedLeaf,
    },
    /// The data key of a job that is closed is gone: some of its items go, and no leaf says so. In portions before
    /// [`Change::JobPurged`], so that other changes come in between.
    ForgetItems {
        /// The job.
        job: Name,
        /// Items deleted at most.
        max: u32,
    },
    /// A job's data key is gone: what is left of its items goes, and it is purged.
    JobPurged(JobPurgedLeaf),
    /// A job's audit record is to be signed.
    JobRecordMade(JobRecordMadeLeaf),
    /// A purse is to be updated; the sequence rule decides in the transaction.
    UpdateValue {
        /// By what a retry is known.
        retry: Retry,
        /// The request.
        request: UpdateValue,
        /// What it gets beside.
        terms: Terms,
        /// The terminal, from its enrolment.
        terminal: Name,
        /// The signed request.
        statement: Statement,
        /// What could be frozen about it, apart from the card.
        touches: Touches,
        /// The key that signs it, in its newest active version.
        value_key: Name,
    },
    /// A request waits for people; the proposal is drafted in the transaction.
    Propose {
        /// By what a retry is known.
        retry: Retry,
        /// The signed request.
        request: Proposed,
        /// What the policies ask; nothing where only the operation's type does.
        need: Option<Need>,
        /// The proposal's identifier.
        id: ProposalId,
        /// How long it lives, in milliseconds.
        life_ms: u64,
    },
    /// An officer approves or rejects a proposal.
    Vote {
        /// Who sent it: the signer of the approval, or it does not count.
        caller: Name,
        /// The proposal.
        proposal: ProposalId,
        /// The verdict.
        verdict: Verdict,
        /// The signed approval.
        approval: Blob<APPROVAL_LEN_MAX>,
        /// SHA-256 of the request, for a refusal's leaf.
        request: Digest,
    },
    /// A proposal is withdrawn, or its act while that waits, by [`Retry::principal`].
    Cancel {
        /// By what a retry is known.
        retry: Retry,
        /// The proposal.
        proposal: ProposalId,
        /// The signed request.
        statement: Statement,
    },
    /// A proposal has expired, or its act failed: the service's own word.
    CloseProposal(ProposalClosedLeaf),
    /// Principals, keys, thresholds or freezes change.
    Alter {
        /// By what a retry is known.
        retry: Retry,
        /// The leaf.
        leaf: ChangedLeaf,
    },
    /// A change that took a quorum: one of [`Change::Alter`], [`Change::UpdateValue`], [`Change::DeriveCardKeys`],
    /// [`Change::OpenJob`], [`Change::MoveCards`].
    ByQuorum {
        /// The proposal and its approvals.
        evidence: Evidence,
        /// The change.
        change: Box<Change>,
    },
    /// The service runs: the leaf is made in the transaction.
    Heartbeat,
    /// What waited for its delay takes effect.
    TookEffect {
        /// The act's leaf.
        act: u64,
    },
    /// A key was destroyed in the token.
    KeyDestroyed(KeyDestroyedLeaf),
    /// Payloads were read.
    ReadEntries(EntriesReadLeaf),
    /// The evidence of an act was read.
    ReadEvidence(EvidenceReadLeaf),
    /// A known caller's request was refused: a leaf for the first ten a minute, then counted.
    Refused(RefusedLeaf),
    /// A caller that is not enrolled was refused: counted, one leaf a minute for all of them.
    RefusedUnknown,
    /// A minute passed: counts become leaves.
    CountRefusals {
        /// Refusals of callers that are not enrolled, counted elsewhere, to be added.
        unknown: u64,
        /// Also the counts whose minute is not over: before the ledger closes.
        all: bool,
    },
}
