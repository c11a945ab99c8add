//! The frames between the halves: how a request travels from the front to the keeper, and the answer back.
//!
//! The link is a Unix stream socket in a private folder. The keeper listens ([`serve`]) and checks the peer's user;
//! the front connects and connects again ([`KeeperLink`]). Both halves use this file and neither names the other.
//! Many calls are in flight on one connection, in any order of answers. All integers are little-endian:
//!
//! ```text
//! frame    length u32 (of what follows the number), number u64 (chosen by the front), call or answer
//! call     request id 16, operation u8 (its place in Operation::ALL), key digest 32,
//!          length of the URI u16, length of the serial u8, URI, serial (both UTF-8), body to the end
//! answer   HTTP status u16, body to the end
//! ```
//!
//! A body has at most 1 MiB. A frame that is longer than a head and such a body, or is not a call or an answer,
//! closes the connection: the halves are of one build, so it can only mean a fault or an attack.
//!
//! This file decides nothing about a request and knows neither HTTP's parsing nor the store; that the front's word
//! about its peer is only its word is said in docs/ARCHITECTURE.md.

mod calling;
mod frame;
mod inbox;
mod outbox;
mod serving;
mod status;

pub use calling::{KeeperLink, LinkDown};
pub use serving::serve;
pub use status::status_of;

use bytes::Bytes;
use keysvc_protocol::{
    bytes::Digest,
    cbor::{self, REPLY_LEN_MAX},
    refusal::{Refusal, RefusalReply, RequestId},
    request::Operation,
};
use std::{fmt, sync::Arc};

/// Longest URI name of a peer, in bytes: a trust domain of 255, a kind and a name of 64 stay under 400.
pub const URI_LEN_MAX: usize = 512;
/// Longest serial number, in hexadecimal digits: 20 bytes (RFC 5280 section 4.1.2.2), and as much again to spare.
pub const SERIAL_LEN_MAX: usize = 80;
/// Most calls in flight in the keeper; beyond it a call is answered `busy` at once. The front has at most
/// 1,024 + 32 connections with one request each, so only a fault of the front comes near.
pub const CALLS_MAX: usize = 4_096;

/// Who is on the other end of a TLS connection, from the certificate that the front verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// SHA-256 of the certificate's `SubjectPublicKeyInfo` (DER), 32 bytes.
    pub key_digest: Digest,
    /// The certificate's one URI name, `spiffe://<trust domain>/<kind>/<name>`, at most [`URI_LEN_MAX`] bytes.
    pub uri: String,
    /// The certificate's serial number, lower-case hexadecimal, at most [`SERIAL_LEN_MAX`] digits. For the log.
    pub serial: String,
}

/// One request on its way to the keeper.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The request's number.
    pub request_id: RequestId,
    /// Who asks.
    pub peer: Arc<Peer>,
    /// What is asked.
    pub operation: Operation,
    /// The request's body as received, at most 1 MiB.
    pub body: Bytes,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The body stays out: what callers send is not the log's affair.
        f.debug_struct("Call")
            .field("request_id", &self.request_id)
            .field("operation", &self.operation)
            .field("uri", &self.peer.uri)
            .field("body_len", &self.body.len())
            .finish()
    }
}

/// The answer to a call.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status (RFC 9110 section 15).
    pub status: u16,
    /// The reply or the refusal, as it goes to the caller, at most 1 MiB.
    pub body: Bytes,
}

impl Answer {
    /// The answer that carries out a request: status 200 and the encoded reply, at most 1 MiB.
    #[must_use]
    pub fn reply(body: impl Into<Bytes>) -> Self {
        Self { status: 200, body: body.into() }
    }

    /// The answer that refuses request `request_id`.
    #[must_use]
    pub fn refusal(refusal: Refusal, request_id: RequestId) -> Self {
        let status = status_of(&refusal);
        Self { status, body: cbor::encode(&RefusalReply::new(refusal, request_id)).into() }
    }

    /// This answer where it fits a frame, else the refusal that stands for a fault of ours.
    fn fitting(self, request_id: RequestId) -> Self {
        if self.body.len() <= REPLY_LEN_MAX {
            return self;
        }
        tracing::error!(%request_id, body_len = self.body.len(), "an answer is too long for the link");
        Self::refusal(Refusal::Internal, request_id)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).field("body_len", &self.body.len()).finish()
    }
}

/// Why a call or an answer cannot travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("longer than a frame may be")]
pub(crate) struct TooLong;
