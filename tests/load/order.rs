//! What is to be measured, and what was: one line of JSON each, between the driver and its processes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Cards in one call of `card.derive`.
pub const CARDS: usize = 100;
/// Cards in the largest call of `card.derive`: as many as wait in an inline machine of the development site at most.
pub const CARDS_MOST: usize = 1_000;
/// Updates in one call of `value.batch`, and inputs in one call of `openbao.batch`.
pub const BATCH: usize = 32;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// `C_Sign`, ECDSA over P-256, by a token key whose handle is known. An operation is a signature.
    #[serde(rename = "raw.sign")]
    RawSign,
    /// Derive, check value, wrap and destroy of one card key. An operation is a key.
    #[serde(rename = "raw.derive")]
    RawDerive,
    /// A request and a reply of the sizes of `value.update`, over TLS as the front speaks it, with nothing behind it. An
    /// operation is a reply.
    #[serde(rename = "echo")]
    Echo,
    /// A full TLS handshake with client certificate, with the server of [`Self::Echo`]. An operation is a handshake.
    #[serde(rename = "handshake")]
    Handshake,
    /// The same with the front.
    #[serde(rename = "tls.handshake")]
    FrontHandshake,
    /// A durable transaction of one leaf and its purse. An operation is a leaf.
    #[serde(rename = "commit.1")]
    Commit1,
    /// The same of 32.
    #[serde(rename = "commit.32")]
    Commit32,
    /// The same of 128.
    #[serde(rename = "commit.128")]
    Commit128,
    /// One ECDSA signature over P-256 verified by the library that the product verifies with.
    #[serde(rename = "verify.bare")]
    VerifyBare,
    /// A record of a value update verified as a terminal does it before it writes to a card.
    #[serde(rename = "verify.update")]
    VerifyUpdate,
    /// `value.update`. An operation is a signed, recorded update.
    #[serde(rename = "value.update")]
    Update,
    /// `value.batch` of [`BATCH`] updates. An operation is an update.
    #[serde(rename = "value.batch")]
    Batch,
    /// `card.derive` of one card in one slot, in hand and released once more. An operation is a key.
    #[serde(rename = "card.derive.1")]
    DeriveOne,
    /// `card.derive` of [`CARDS`] cards in one slot, cards in hand whose keys are released once more. An operation is a
    /// key.
    #[serde(rename = "card.derive")]
    Derive,
    /// The same of [`CARDS_MOST`] cards.
    #[serde(rename = "card.derive.1000")]
    DeriveMost,
    /// A job's run by an inline machine: `card.derive` of [`CARDS`] new cards, then `card.result` of all of them. An
    /// operation is a card made.
    #[serde(rename = "job.run")]
    Run,
    /// A job's run by an encoder: `card.derive` of one new card, then its `card.result`. An operation is a card made; the
    /// times are the derivation's alone.
    #[serde(rename = "job.card")]
    Card,
    /// A signature by `OpenBao`'s transit engine, with a software key. An operation is a signature.
    #[serde(rename = "openbao.sign")]
    OpenBaoSign,
    /// The same, [`BATCH`] inputs a call. An operation is a signature.
    #[serde(rename = "openbao.batch")]
    OpenBaoBatch,
    /// A signature by Parsec, with a key in a token of the same kind as ours. An operation is a signature.
    #[serde(rename = "parsec.sign")]
    ParsecSign,
}

impl Work {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RawSign => "raw.sign",
            Self::RawDerive => "raw.derive",
            Self::Echo => "echo",
            Self::Handshake => "handshake",
            Self::FrontHandshake => "tls.handshake",
            Self::Commit1 => "commit.1",
            Self::Commit32 => "commit.32",
            Self::Commit128 => "commit.128",
            Self::VerifyBare => "verify.bare",
            Self::VerifyUpdate => "verify.update",
            Self::Update => "value.update",
            Self::Batch => "value.batch",
            Self::DeriveOne => "card.derive.1",
            Self::Derive => "card.derive",
            Self::DeriveMost => "card.derive.1000",
            Self::Run => "job.run",
            Self::Card => "job.card",
            Self::OpenBaoSign => "openbao.sign",
            Self::OpenBaoBatch => "openbao.batch",
            Self::ParsecSign => "parsec.sign",
        }
    }
}

/// One measurement to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Of what.
    pub work: Work,
    /// Threads of a work without a server, connections of the others.
    pub parallel: usize,
    /// How long, in milliseconds.
    pub millis: u64,
    /// The processes that serve; none for a work that needs none.
    pub service: Option<Service>,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.work.name(), self.parallel)
    }
}

/// The processes of a service, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The front's; the only one of a server that has one process.
    pub front: u32,
    /// The keeper's.
    pub keeper: Option<u32>,
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
    /// Calls that were answered; each one of these is a leaf where there is a log, but for [`Work::Batch`].
    pub calls: u64,
    /// Bytes of the requests' bodies, all together; 0 where they were not counted.
    pub asked_len: u64,
    /// Bytes of the replies' bodies, all together; 0 where they were not counted.
    pub told_len: u64,
    /// Memory of the front at the end, in KiB.
    pub front_kib: u64,
    /// Memory of the keeper at the end, in KiB.
    pub keeper_kib: u64,
    /// Replies verified with all signatures and proofs; every reply is decoded.
    pub verified: u64,
    /// Requests that had to be signed while measuring, because those signed before had run out.
    pub late_signed: u64,
}
