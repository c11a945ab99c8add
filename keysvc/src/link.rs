//! The frames between the halves: how a request travels from the front to the keeper, and the answer back.
//!
//! The link is a Unix stream socket in a private folder. The keeper listens ([`serve`]) and checks the peer's user;
//! the front connects and connects again ([`KeeperLink`]). Both halves use this file and neither names the other.
//! Many calls are in flight on one connection, in any order of answers. All integers are little-endian:
//!
//! ```text
//! frame    length u32 (of what follows the number), number u64 (chosen by the front), call, look or answer
//! call     request id 16, operation u8 (its place in Operation::ALL), key digest 32,
//!          length of the URI u16, length of the serial u8, URI, serial (both UTF-8), body to the end
//! look     16 zero bytes, u8: 255 state, 254 figures
//! answer   HTTP status u16, body to the end
//! ```
//!
//! A look is the front's own question and is answered from memory, beside the calls and whatever their number; its
//! answer's body is a [`KeeperState`] or OpenMetrics text. A body has at most 1 MiB. A frame that is longer than a head and such a body, or is not a call or an answer,
//! closes the connection: the halves are of one build, so it can only mean a fault or an attack.
//!
//! This file decides nothing about a request and knows neither HTTP's parsing nor the store; that the front's word
//! about its peer is only its word is said in docs/ARCHITECTURE.md.

mod calling;
mod frame;
mod inbox;
mod last_end;
mod look;
mod outbox;
pub mod outside;
mod serving;
mod status;

pub use calling::{KeeperLink, LinkDown};
pub use last_end::LastEnd;
pub use look::{KeeperState, Look};
pub use serving::{Listening, listen};
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

/// What the front sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A caller's request.
    Call(Call),
    /// The front's own question.
    Look(Look),
}

/// The answer to a call or a look.
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

    /// The answer to a request that takes people first: status 202 (RFC 9110 section 15.3.3) and the encoded
    /// [`keysvc_protocol::reply::PendingReply`].
    #[must_use]
    pub fn pending(body: impl Into<Bytes>) -> Self {
        Self { status: 202, body: body.into() }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixed::CALLS_MAX;
    use keysvc_protocol::bytes::Idem;
    use std::{path::PathBuf, time::Duration};
    use tempfile::TempDir;
    use tokio::{
        io::AsyncWriteExt as _,
        net::UnixStream,
        sync::Notify,
        task::{JoinHandle, JoinSet, yield_now},
        time::timeout,
    };

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(20);

    fn call(operation: Operation, body: Vec<u8>) -> Call {
        Call {
            request_id: RequestId(Idem::new([7; 16])),
            peer: Arc::new(Peer {
                key_digest: Digest::new([9; 32]),
                uri: "spiffe://demo/terminal/t1".to_owned(),
                serial: "01".to_owned(),
            }),
            operation,
            body: body.into(),
        }
    }

    /// A keeper's side that echoes, but keeps `log.proof` until it is let go.
    struct Keeper {
        folder: TempDir,
        release: Arc<Notify>,
        serving: JoinHandle<()>,
    }

    impl Keeper {
        fn start() -> Self {
            let (folder, release) = (TempDir::new().unwrap(), Arc::new(Notify::new()));
            let (path, kept) = (folder.path().join("link/keeper.sock"), Arc::clone(&release));
            let serving = tokio::spawn(async move {
                let look = |look: Look| Answer::reply(vec![look.byte()]);
                let uid = rustix::process::getuid().as_raw();
                let handler = move |call: Call| {
                    let kept = Arc::clone(&kept);
                    async move {
                        if call.operation == Operation::LogProof {
                            kept.notified().await;
                        }
                        Answer::reply(call.body)
                    }
                };
                listen(&path, uid).unwrap().serve(handler, look).await;
            });
            Self { folder, release, serving }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("link/keeper.sock")
        }

        async fn link(&self) -> Arc<KeeperLink> {
            let link = Arc::new(KeeperLink::connect(&self.path()));
            let connected = async {
                while !link.is_connected() {
                    yield_now().await;
                }
            };
            timeout(LONG, connected).await.expect("a connection in time");
            link
        }
    }

    impl Drop for Keeper {
        fn drop(&mut self) {
            self.serving.abort();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_calls_at_once_each_get_their_own_answer() {
        let keeper = Keeper::start();
        let link = keeper.link().await;
        let mut calls = JoinSet::new();
        for number in 0..500_usize {
            let link = Arc::clone(&link);
            calls.spawn(async move {
                let body = vec![u8::try_from(number % 251).unwrap(); number * 13 % 9_000];
                let answer = link.call(call(Operation::Status, body.clone())).await;
                assert_eq!(answer, Ok(Answer::reply(body)));
            });
        }
        let all = async { while calls.join_next().await.transpose().unwrap().is_some() {} };
        timeout(LONG, all).await.expect("all answers in time");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_call_beyond_those_the_keeper_takes_is_answered_busy_at_once() {
        let keeper = Keeper::start();
        let link = keeper.link().await;
        let mut calls = JoinSet::new();
        for _ in 0..=CALLS_MAX {
            let link = Arc::clone(&link);
            calls.spawn(async move { link.call(call(Operation::LogProof, Vec::new())).await });
        }
        // One of them has no place; the others wait.
        let busy = timeout(LONG, calls.join_next()).await.expect("an answer in time").unwrap().unwrap();
        let request_id = call(Operation::LogProof, Vec::new()).request_id;
        assert_eq!(busy, Ok(Answer::refusal(Refusal::Busy, request_id)));
        while let Some(answer) = {
            keeper.release.notify_waiters();
            keeper.release.notify_one();
            timeout(LONG, calls.join_next()).await.expect("the others' answers in time")
        } {
            assert_eq!(answer.unwrap(), Ok(Answer::reply(Vec::new())));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_look_is_answered_beside_calls_that_wait_and_when_there_are_too_many() {
        let keeper = Keeper::start();
        let link = keeper.link().await;
        let mut calls = JoinSet::new();
        for _ in 0..CALLS_MAX {
            let link = Arc::clone(&link);
            calls.spawn(async move { link.call(call(Operation::LogProof, Vec::new())).await });
        }
        for look in [Look::State, Look::Metrics] {
            let answer = timeout(LONG, link.look(look)).await.expect("an answer in time");
            assert_eq!(answer, Ok(Answer::reply(vec![look.byte()])));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_front_that_does_not_read_is_not_read_for_long() {
        let keeper = Keeper::start();
        drop(keeper.link().await);
        let mut frame = Vec::new();
        frame::write(1, &call(Operation::Status, vec![0; REPLY_LEN_MAX]), &mut frame).unwrap();
        let mut socket = UnixStream::connect(keeper.path()).await.unwrap();
        let mut taken = 0;
        while timeout(Duration::from_millis(300), socket.write_all(&frame)).await.is_ok() {
            taken += 1;
            assert!(taken < 32, "eight answers are unwritten, some are on their way");
        }
    }

    #[tokio::test]
    async fn without_a_keeper_a_call_fails_at_once() {
        let folder = TempDir::new().unwrap();
        let link = KeeperLink::connect(&folder.path().join("none"));
        assert_eq!(link.call(call(Operation::Status, Vec::new())).await, Err(LinkDown));
        assert_eq!(link.look(Look::State).await, Err(LinkDown));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_call_too_long_for_the_link_is_refused_and_the_link_stays() {
        let keeper = Keeper::start();
        let link = keeper.link().await;
        let long = call(Operation::Status, vec![0; REPLY_LEN_MAX + 1]);
        let refusal = Refusal::Invalid { reason: keysvc_protocol::refusal::Invalid::TooLong };
        assert_eq!(link.call(long.clone()).await, Ok(Answer::refusal(refusal, long.request_id)));
        assert_eq!(link.call(call(Operation::Status, vec![1])).await, Ok(Answer::reply(vec![1])));
    }
}
