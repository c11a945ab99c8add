//! What is to be measured, and what was: one line of JSON each, between the driver and its processes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Cards in one call of `card.derive`.
pub const CARDS: usize = 100;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// `C_Sign`, ECDSA over P-256, by a token key whose handle is known. An operation is a signature.
    #[serde(rename = "raw.sign")]
    RawSign,
    /// Derive, check value, wrap and destroy of one card key. An operation is a key.
    #[serde(rename = "raw.derive")]
    RawDerive,
    /// `value.update`. An operation is a signed, recorded update.
    #[serde(rename = "value.update")]
    Update,
    /// `card.derive` of [`CARDS`] cards in one slot, cards in hand whose keys are released once more. An operation is a
    /// key.
    #[serde(rename = "card.derive")]
    Derive,
    /// A job's run by an inline machine: `card.derive` of [`CARDS`] new cards, then `card.result` of all of them. An
    /// operation is a card made.
    #[serde(rename = "job.run")]
    Run,
    /// A job's run by an encoder: `card.derive` of one new card, then its `card.result`. An operation is a card made; the
    /// times are the derivation's alone.
    #[serde(rename = "job.card")]
    Card,
}

impl Work {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RawSign => "raw.sign",
            Self::RawDerive => "raw.derive",
            Self::Update => "value.update",
            Self::Derive => "card.derive",
            Self::Run => "job.run",
            Self::Card => "job.card",
        }
    }
}

/// One measurement to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Of what.
    pub work: Work,
    /// Threads of a raw work, connections of the others.
    pub parallel: usize,
    /// How long, in milliseconds.
    pub millis: u64,
    /// The processes of the service; none for a raw work.
    pub service: Option<Service>,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.work.name(), self.parallel)
    }
}

/// The processes of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The front's.
    pub front: u32,
    /// The keeper's.
    pub keeper: u32,
}

/// What was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Operations completed.
    pub operations: u64,
    /// The time they took, in nanoseconds.
    pub elapsed_ns: u64,
    /// Half of the calls took at most this, in nanoseconds.
    pub p50_ns: u64,
    /// Ninety-nine in a hundred calls took at most this, in nanoseconds.
    pub p99_ns: u64,
    /// CPU of the load's own process, in nanoseconds.
    pub own_cpu_ns: u64,
    /// CPU of the front, in nanoseconds.
    pub front_cpu_ns: u64,
    /// CPU of the keeper, in nanoseconds.
    pub keeper_cpu_ns: u64,
    /// CPU of everything else on the machine meanwhile, in nanoseconds.
    pub other_cpu_ns: u64,
    /// Different checkpoints in the replies: one for each commit. 0 where there is no log.
    pub commits: u64,
    /// Calls that were answered; each one of these is a leaf where there is a log.
    pub calls: u64,
    /// Replies verified with all signatures and proofs; every reply is decoded.
    pub verified: u64,
    /// Requests that had to be signed while measuring, because those signed before had run out.
    pub late_signed: u64,
}
