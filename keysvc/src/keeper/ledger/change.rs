//! What may happen to the log, and what became of it.
//!
//! Apart from the backends so that all of them answer the same questions. Who may ask was the gate's affair; what
//! can still change between gate and commit (sequence, balance, idempotency, the halt) is decided in the backend's
//! transaction.

use keysvc_protocol::{
    bytes::{Blob, Digest, Exchange, Idem, Salt, WrongLength},
    leaf::{
        BundleMadeLeaf, CardKeysDerivedLeaf, EntriesReadLeaf, FoundingLeaf, KeyIntentLeaf, KeyOutcomeLeaf,
        RefusedLeaf, RollbackLeaf, StartLeaf, Statement,
    },
    name::Name,
    receipt::LeafEvidence,
    refusal::Refusal,
    request::UpdateValue,
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

/// The limits of one purse, from the programme's card profile. Amounts in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurseRules {
    /// Highest balance.
    pub ceiling: u64,
    /// Highest single load.
    pub load_max: u64,
    /// Highest single debit.
    pub debit_max: u64,
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
    /// An exchange with a station is opened; it ends `life_ms` after the leaf's time.
    OpenStation {
        /// By what a retry is known.
        retry: Retry,
        /// The station.
        station: Name,
        /// The exchange.
        exchange: Exchange,
        /// Its life, in milliseconds.
        life_ms: u64,
        /// The signed request.
        statement: Statement,
    },
    /// Card keys are to be derived.
    DeriveCardKeys {
        /// By what a retry is known.
        retry: Retry,
        /// The leaf.
        leaf: CardKeysDerivedLeaf,
    },
    /// A purse is to be updated; the sequence rule decides in the transaction.
    UpdateValue {
        /// By what a retry is known.
        retry: Retry,
        /// The request.
        request: UpdateValue,
        /// The purse's limits.
        rules: PurseRules,
        /// The terminal, from its enrolment.
        terminal: Name,
        /// The signed request.
        statement: Statement,
    },
    /// Payloads were read.
    ReadEntries(EntriesReadLeaf),
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

/// What became of a [`Change`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has a leaf, written now or, for a retry, before.
    Recorded(Recording),
    /// The transaction decided against it. The refusal itself is recorded or counted.
    Refused(Refusal),
    /// It was counted; it has no leaf of its own.
    Counted,
}

/// A leaf with all that belongs to it, in clear.
#[derive(Clone, PartialEq, Eq)]
pub struct Recording {
    /// Index in the log, from 0.
    pub index: u64,
    /// The leaf's time, milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// The entry as hashed into the tree: an encoded [`keysvc_protocol::leaf::LeafEntry`].
    pub entry: Vec<u8>,
    /// Salt of the payload digest.
    pub salt: Salt,
    /// The payload: the encoded leaf type of the entry's kind.
    pub payload: Vec<u8>,
    /// Whether the leaf was there before: the request is a repetition.
    pub retried: bool,
}

impl Recording {
    /// The leaf as evidence, with salt and payload.
    ///
    /// # Errors
    /// [`WrongLength`] when it is longer than evidence may be, which no recorded leaf is.
    pub fn evidence(&self) -> Result<LeafEvidence, WrongLength> {
        let (entry, payload) = (Blob::try_from(self.entry.clone())?, Blob::try_from(self.payload.clone())?);
        Ok(LeafEvidence { entry, salt: Some(self.salt), payload: Some(payload) })
    }
}

// By hand: payloads name cards and amounts.
impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording")
            .field("index", &self.index)
            .field("time_ms", &self.time_ms)
            .field("retried", &self.retried)
            .finish_non_exhaustive()
    }
}
