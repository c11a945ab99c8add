//! The reads that every persona may make, and the way every request goes: sent with the highest checkpoint seen,
//! its reply judged before anyone uses it.
//!
//! Several calls may be under way at once. Each reply is judged against what was sent with it; heads that arrive in
//! another order are proved with one more read ([`crate::seen`]).

mod governed;
mod jobs;
#[cfg(any(feature = "station", feature = "terminal", feature = "hub", feature = "officer"))]
mod people;

pub use jobs::RecordedJob;

use crate::{
    config::{ClientConfig, ConfigError},
    connect::{Answered, Connections},
    deadline::Limit,
    error::ClientError,
    own_name::{self, OwnName},
    reply::Reply,
    seen::{Beside, Judged, Received, Seen},
    trust_store::Founded,
};
use bytes::Bytes;
use keysvc_protocol::{
    bytes::{Blob, WrongLength},
    cbor::{self, REPLY_LEN_MAX},
    checkpoint::SignedCheckpoint,
    key::KeyRecord,
    name::Name,
    public_key::PublicKey,
    reply::{CheckpointReply, KeyListReply, KeyReply, ProofReply, StatusReply},
    request::{Envelope, ListKeys, Operation, ReadCheckpoint, ReadKey, ReadProof, ReadStatus},
    schema::Schema,
    trust::Trust,
};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// The connections of one persona with what they may believe. Cheap to clone; clones share connections and memory,
/// and several calls may be under way at once.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Arc<Shared>,
    limit: Limit,
}

#[derive(Debug)]
struct Shared {
    connections: Connections,
    founded: Founded,
    own_name: Option<OwnName>,
    seen: Seen,
    #[cfg(any(feature = "terminal", feature = "hub"))]
    value_keys: crate::value_keys::ValueKeys,
}

/// A reply's bytes as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawReply {
    /// Whether it is a proposal: the request takes people first (status 202).
    pub pending: bool,
    /// The bytes.
    pub reply: Vec<u8>,
}

/// A request ready to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// What is asked.
    pub(crate) operation: Operation,
    /// The request: a `COSE_Sign1` or its plain encoding.
    pub(crate) request: Vec<u8>,
    /// Operation and idempotency key, in words for the evidence.
    pub(crate) about: String,
    /// What travels with it and is not part of it: a sealed component.
    pub(crate) beside: Option<Vec<u8>>,
}

impl Outgoing {
    pub(crate) fn read(operation: Operation, request: &impl Serialize) -> Self {
        Self::new(operation, cbor::encode(request), operation.to_string())
    }

    pub(crate) const fn new(operation: Operation, request: Vec<u8>, about: String) -> Self {
        Self { operation, request, about, beside: None }
    }
}

impl Reader {
    /// Reads keys, certificates and the state folder; asks the service for its founding where none is kept.
    ///
    /// # Errors
    /// [`ClientError`] naming the file, fault or contradiction.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let limit = Limit::Each(config.deadline());
        let trust = config.read_trust()?;
        let connections = Connections::new(config)?;
        let (founded, first) = if let Some(founded) = Founded::load(&config.state, &trust)? {
            (founded, None)
        } else {
            let (founded, reply) = found(&connections, config, &trust).await?;
            (founded, Some(reply))
        };
        let seen = Seen::open(&config.state, &trust, *founded.checkpoint_key())?;
        let own_name = own_name::read(&config.certificate, &trust.domain)?;
        let shared = Shared {
            connections,
            founded,
            own_name,
            seen,
            #[cfg(any(feature = "terminal", feature = "hub"))]
            value_keys: crate::value_keys::ValueKeys::default(),
        };
        let reader = Self { shared: Arc::new(shared), limit };
        if let Some(reply) = first {
            reader.begun()?.settle(&reply, None, "log.checkpoint").await?;
        }
        Ok(reader)
    }

    /// The same, with another time for each call, all its retries, failovers and proofs included. The
    /// configuration's is the default.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { shared: self.shared.clone(), limit: Limit::Each(deadline) }
    }

    /// The same for one call that begins now: what it asks is over by one deadline.
    pub(crate) fn begun(&self) -> Result<Self, ClientError> {
        Ok(Self { shared: self.shared.clone(), limit: Limit::Until(self.limit.begin()?) })
    }

    /// The deadline of the call under way, or of one that begins now.
    #[cfg(feature = "station")]
    pub(crate) fn deadline(&self) -> Result<crate::deadline::Deadline, ClientError> {
        self.limit.begin()
    }

    /// What follows from the trust file.
    #[must_use]
    pub fn founded(&self) -> &Founded {
        &self.shared.founded
    }

    #[cfg(any(feature = "terminal", feature = "hub"))]
    pub(crate) fn value_keys(&self) -> &crate::value_keys::ValueKeys {
        &self.shared.value_keys
    }

    /// What our certificate calls us; nothing where it has no name for this trust domain.
    #[must_use]
    pub fn own_name(&self) -> Option<&OwnName> {
        self.shared.own_name.as_ref()
    }

    /// The name enrolled with this statement key: the founding's, or for who came or got other keys later the own
    /// certificate's. The service compares it with the enrolment.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] when neither knows one.
    pub fn name_of(&self, statement_key: &PublicKey) -> Result<Name, ConfigError> {
        self.founded()
            .name_of(statement_key)
            .or_else(|error| self.own_name().map(|own| own.name.clone()).ok_or(error))
    }

    /// The highest checkpoint seen; nothing before the first reply.
    #[must_use]
    pub fn seen(&self) -> Option<SignedCheckpoint> {
        self.shared.seen.highest()
    }

    /// What the service's clock said with its last answer, to the second: milliseconds since 1970-01-01 UTC. Its front's
    /// word, for people who compare clocks; nothing is decided by it.
    #[must_use]
    pub fn service_clock_ms(&self) -> Option<u64> {
        self.shared.connections.clock_ms()
    }

    /// The service's state.
    ///
    /// # Errors
    /// [`ClientError`] of the call, or [`ClientError::Untrusted`] for another service's state.
    pub async fn status(&self) -> Result<StatusReply, ClientError> {
        let request = Outgoing::read(Operation::Status, &ReadStatus { schema: Schema });
        let status: StatusReply = self.ask(request).await?;
        let trust = self.founded().trust();
        if status.genesis != trust.genesis || status.trust_domain != trust.domain {
            return Err(ClientError::untrusted("its status names another trust domain or genesis"));
        }
        Ok(status)
    }

    /// All keys, by name and version.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, ClientError> {
        let request = Outgoing::read(Operation::KeyList, &ListKeys { schema: Schema });
        let reply: KeyListReply = self.ask(request).await?;
        Ok(reply.keys.into_vec())
    }

    /// One key; its newest version where none is given.
    ///
    /// # Errors
    /// [`ClientError`] of the call, or [`ClientError::Malformed`] for another key than asked for.
    pub async fn key(&self, name: &Name, version: Option<u32>) -> Result<KeyRecord, ClientError> {
        let request = ReadKey { schema: Schema, name: name.clone(), version };
        let KeyReply { key, .. } = self.ask(Outgoing::read(Operation::KeyGet, &request)).await?;
        if key.name == *name && version.is_none_or(|version| version == key.version) {
            Ok(key)
        } else {
            Err(ClientError::malformed("another key than asked for"))
        }
    }

    /// The newest checkpoint, proved to contain every one seen before.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn checkpoint(&self) -> Result<SignedCheckpoint, ClientError> {
        let request = ReadCheckpoint { schema: Schema, genesis: false };
        let reply: CheckpointReply = self.ask(Outgoing::read(Operation::LogCheckpoint, &request)).await?;
        Ok(reply.checkpoint)
    }

    /// Proofs in the tree of `size` leaves: inclusion of `leaf`, consistency from `earlier`. They are for the caller
    /// to verify, who knows the leaf and the earlier head.
    ///
    /// # Errors
    /// [`ClientError`] of the call, or [`ClientError::Malformed`] when a proof asked for is missing.
    pub async fn proof(
        &self,
        size: u64,
        leaf: Option<u64>,
        earlier: Option<u64>,
    ) -> Result<ProofReply, ClientError> {
        let request = ReadProof { schema: Schema, size, leaf, earlier };
        let reply: ProofReply = self.ask(Outgoing::read(Operation::LogProof, &request)).await?;
        if reply.inclusion.is_some() == leaf.is_some() && reply.consistency.is_some() == earlier.is_some() {
            Ok(reply)
        } else {
            Err(ClientError::malformed("other proofs than asked for"))
        }
    }

    /// Sends a request's bytes as they are, with the highest checkpoint seen, and gives the reply's bytes as they are.
    /// For debugging: nothing in the reply is decoded, judged, verified or kept.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn raw(&self, operation: Operation, request: Vec<u8>) -> Result<RawReply, ClientError> {
        let body = body(request, None, self.seen())?;
        let answered = self.shared.connections.call(operation, body, self.limit.begin()?).await?;
        Ok(match answered {
            Answered::Reply(reply) => RawReply { pending: false, reply: reply.to_vec() },
            Answered::Pending(reply) => RawReply { pending: true, reply: reply.to_vec() },
        })
    }

    /// Sends a request with the highest checkpoint seen, and gives the reply once its checkpoint is judged.
    pub(crate) async fn ask<R: Reply>(&self, outgoing: Outgoing) -> Result<R, ClientError> {
        let reader = self.begun()?;
        // Other calls may raise it while this one is under way: the reply is judged against what went with it.
        let sent = self.seen();
        let (operation, about) = (outgoing.operation, outgoing.about.clone());
        let reply: R =
            read(operation, &reply_of(operation, reader.answered(outgoing, sent.clone()).await?)?)?;
        reader.settle(&reply, sent, &about).await?;
        reply.check_receipt()?;
        Ok(reply)
    }

    /// Judges a reply's checkpoint, and has proved what is to be proved beside it.
    async fn settle<R: Reply>(
        &self,
        reply: &R,
        sent: Option<SignedCheckpoint>,
        about: &str,
    ) -> Result<(), ClientError> {
        let Some((checkpoint, consistency)) = reply.checkpoint() else { return Ok(()) };
        let (checkpoint, consistency) = (checkpoint.clone(), consistency.clone());
        let (shared, text) = (self.shared.clone(), about.to_owned());
        let mut judged = blocking(move || {
            let received = Received { checkpoint: &checkpoint, consistency: &consistency, about: &text };
            shared.seen.judge(sent.as_ref(), received)
        })
        .await?;
        while let Judged::Beside(beside) = judged {
            judged = self.bridge(*beside, about).await?;
        }
        Ok(())
    }

    /// Has the service prove that the larger of two checkpoints contains the smaller.
    async fn bridge(&self, beside: Beside, about: &str) -> Result<Judged, ClientError> {
        let size = |checkpoint: &SignedCheckpoint| checkpoint.checkpoint().head.size;
        let request = ReadProof {
            schema: Schema,
            size: size(beside.newer()),
            leaf: None,
            earlier: Some(size(beside.older())),
        };
        let reply: ProofReply =
            self.exchange(Operation::LogProof, cbor::encode(&request), self.seen()).await?;
        let proof = reply.consistency.ok_or_else(|| ClientError::malformed("no consistency proof"))?;
        let (shared, about) = (self.shared.clone(), about.to_owned());
        blocking(move || shared.seen.bridge(&beside, &proof, &about)).await
    }

    async fn exchange<R: Reply>(
        &self,
        operation: Operation,
        request: Vec<u8>,
        seen: Option<SignedCheckpoint>,
    ) -> Result<R, ClientError> {
        let outgoing = Outgoing::new(operation, request, String::new());
        read(operation, &reply_of(operation, self.answered(outgoing, seen).await?)?)
    }

    async fn answered(
        &self,
        outgoing: Outgoing,
        seen: Option<SignedCheckpoint>,
    ) -> Result<Answered, ClientError> {
        let body = body(outgoing.request, outgoing.beside, seen)?;
        self.shared.connections.call(outgoing.operation, body, self.limit.begin()?).await
    }
}

/// The operation's reply; a proposal where none can come is malformed.
fn reply_of(operation: Operation, answered: Answered) -> Result<Bytes, ClientError> {
    match answered {
        Answered::Reply(reply) => Ok(reply),
        Answered::Pending(_) => {
            Err(ClientError::malformed(format!("{operation}: a proposal, and it takes nobody")))
        }
    }
}

/// Asks for leaf 0, checks it against the trust file and keeps it.
async fn found(
    connections: &Connections,
    config: &ClientConfig,
    trust: &Trust,
) -> Result<(Founded, CheckpointReply), ClientError> {
    let request = cbor::encode(&ReadCheckpoint { schema: Schema, genesis: true });
    let deadline = Limit::Each(config.deadline()).begin()?;
    let answered = connections.call(Operation::LogCheckpoint, body(request, None, None)?, deadline).await?;
    let reply = reply_of(Operation::LogCheckpoint, answered)?;
    let reply: CheckpointReply = read(Operation::LogCheckpoint, &reply)?;
    let leaf = reply.genesis.as_ref().ok_or_else(|| ClientError::malformed("leaf 0 is missing"))?;
    let founded = Founded::check(trust, leaf)?;
    Founded::keep(&config.state, leaf)?;
    Ok((founded, reply))
}

fn body(
    request: Vec<u8>,
    beside: Option<Vec<u8>>,
    seen: Option<SignedCheckpoint>,
) -> Result<Bytes, ClientError> {
    let long = |what: &str, error: WrongLength| ClientError::Request {
        what: format!("{} bytes are more than {what} may have", error.found),
    };
    let request = Blob::try_from(request).map_err(|error| long("a request", error))?;
    let beside = beside.map(Blob::try_from).transpose();
    let beside = beside.map_err(|error| long("what travels beside a request", error))?;
    Ok(cbor::encode(&Envelope { schema: Schema, request, seen, beside }).into())
}

fn read<R: Reply>(operation: Operation, reply: &[u8]) -> Result<R, ClientError> {
    cbor::decode(reply, REPLY_LEN_MAX)
        .map_err(|error| ClientError::malformed(format!("{operation}: {error}")))
}

/// Runs what waits for a disk or a token beside the runtime's own threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(ClientError::Request { what: format!("it was broken off: {error}") }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connect::stand_in::Step,
        testing::{Log, service::serve},
    };
    use keysvc_protocol::bytes::Digest;
    use std::fs;

    #[tokio::test]
    async fn a_new_client_learns_the_founding_once_and_sends_what_it_saw_from_then_on() {
        let (ground, service) = serve(Log::new(4, 0), |_, _, _| None).await;
        let reader = Reader::connect(&ground.config()).await.unwrap();
        reader.status().await.unwrap();
        service.lock().unwrap().log = Log::new(6, 0);
        reader.status().await.unwrap();
        drop(reader);
        let reader = Reader::connect(&ground.config()).await.unwrap();
        assert_eq!(reader.checkpoint().await.unwrap().checkpoint().head.size, 7);
        assert_eq!(service.lock().unwrap().seen, [0, 5, 5, 7]);
    }

    #[tokio::test]
    async fn a_service_with_another_genesis_is_not_used() {
        let (ground, _) = serve(Log::new(4, 0), |_, _, _| None).await;
        ground.put("trust", &Trust { genesis: Digest::new([1; 32]), ..Log::new(0, 0).trust() }.to_text());
        let error = Reader::connect(&ground.config()).await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { evidence: None, .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_service_that_forgot_is_refused_with_evidence_by_every_later_client_of_the_folder() {
        let (ground, service) = serve(Log::new(8, 0), |_, _, _| None).await;
        let reader = Reader::connect(&ground.config()).await.unwrap();
        reader.status().await.unwrap();
        // What it says now has as many leaves and more, but other ones.
        service.lock().unwrap().log = Log::new(12, 1);
        let error = reader.status().await.unwrap_err();
        let ClientError::Untrusted { evidence: Some(folder), .. } = error else { panic!("{error:?}") };
        assert!(folder.starts_with(ground.folder().join("state")));
        let reader = Reader::connect(&ground.config()).await.unwrap();
        assert!(matches!(reader.status().await, Err(ClientError::Untrusted { evidence: Some(_), .. })));
        assert_eq!(reader.seen(), Some(Log::new(8, 0).checkpoint(9)));
    }

    #[tokio::test]
    async fn two_clients_of_one_folder_have_the_difference_proved() {
        let (ground, service) = serve(Log::new(4, 0), |_, _, _| None).await;
        let (one, two) = (
            Reader::connect(&ground.config()).await.unwrap(),
            Reader::connect(&ground.config()).await.unwrap(),
        );
        service.lock().unwrap().log = Log::new(9, 0);
        one.status().await.unwrap();
        service.lock().unwrap().log = Log::new(11, 0);
        // It still sends 5, and finds 10 on disk: from there to 12 is proved before it is believed.
        two.status().await.unwrap();
        assert_eq!(two.seen().unwrap().checkpoint().head.size, 12);
        assert_eq!(service.lock().unwrap().seen, [0, 5, 5, 10]);
    }

    #[tokio::test]
    async fn many_calls_under_way_at_once_are_judged_each_against_what_it_sent_and_merged() {
        let full = Log::new(120, 0);
        let (whole, mut count) = (full.clone(), 0_u64);
        let (ground, service) = serve(full.clone(), move |service, operation, envelope| {
            service.log = if operation == Operation::LogProof {
                whole.clone()
            } else {
                // A tree of any size from what was sent on, so that heads come in every order.
                count += 1;
                let seen = envelope.seen.as_ref().map_or(1, |seen| seen.checkpoint().head.size);
                let size = (seen + count * 7 % 11).min(121);
                Log(whole.0[..usize::try_from(size).unwrap()].to_vec())
            };
            Some(service.answer(operation, envelope))
        })
        .await;
        let reader = Reader::connect(&ground.config()).await.unwrap();
        let calls: Vec<_> = (0..96)
            .map(|_| {
                let reader = reader.clone();
                tokio::spawn(async move { reader.status().await.map(|status| status.checkpoint) })
            })
            .collect();
        let mut highest = 0;
        for call in calls {
            let checkpoint = call.await.unwrap().unwrap();
            highest = highest.max(checkpoint.checkpoint().head.size);
        }
        assert_eq!(reader.seen(), Some(full.checkpoint(highest)));
        // Heads did come late: some had to be proved.
        let asked = service.lock().unwrap().bodies.len();
        assert!(asked > 97, "{asked}");
        assert!(ground.accepted() <= 4, "{}", ground.accepted());
    }

    #[tokio::test]
    async fn a_fork_shown_to_one_of_many_calls_is_found() {
        let (full, fork) = (Log::new(60, 0), Log::new(60, 1));
        let mut count = 0_u64;
        let (ground, _) = serve(full.clone(), move |service, operation, envelope| {
            count += u64::from(operation == Operation::Status);
            // Once, to a call that sent no more than both branches have in common.
            let common = envelope.seen.is_none();
            service.log = if operation == Operation::Status && common && count > 2 {
                fork.clone()
            } else {
                full.clone()
            };
            Some(service.answer(operation, envelope))
        })
        .await;
        // A client that knows the founding and has seen nothing: its first calls send nothing.
        drop(Reader::connect(&ground.config()).await.unwrap());
        fs::remove_file(ground.config().state.join("checkpoint")).unwrap();
        let reader = Reader::connect(&ground.config()).await.unwrap();
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let reader = reader.clone();
                async move { reader.status().await.map(drop) }
            })
            .collect();
        let mut found = 0;
        let calls: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
        for call in calls {
            match call.await.unwrap() {
                Ok(()) => {}
                Err(ClientError::Untrusted { evidence: Some(_), .. }) => found += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        assert!(found > 0);
    }

    #[tokio::test]
    async fn raw_bytes_go_out_as_they_are_and_what_comes_back_is_neither_judged_nor_kept() {
        let (ground, service) = serve(Log::new(4, 0), |_, operation, envelope| {
            let raw = operation == Operation::KeyGet && envelope.request.as_bytes() == b"no request";
            raw.then(|| Step::Reply(b"no reply".to_vec()))
        })
        .await;
        let reader = Reader::connect(&ground.config()).await.unwrap();
        assert_eq!(reader.raw(Operation::KeyGet, b"no request".to_vec()).await.unwrap().reply, b"no reply");
        // Another log's status would be refused and its evidence kept.
        let seen = reader.seen();
        service.lock().unwrap().log = Log::new(12, 1);
        let status = cbor::encode(&ReadStatus { schema: Schema });
        assert!(reader.raw(Operation::Status, status).await.is_ok());
        assert_eq!(reader.seen(), seen);
        let long = reader.raw(Operation::Status, vec![0; cbor::REQUEST_LEN_MAX + 1]).await;
        assert!(matches!(long, Err(ClientError::Request { .. })), "{long:?}");
    }

    #[tokio::test]
    async fn a_status_of_another_genesis_is_refused() {
        let (ground, _) = serve(Log::new(4, 0), |service, operation, envelope| {
            if operation != Operation::Status {
                return None;
            }
            let Step::Reply(bytes) = service.answer(operation, envelope) else { return None };
            let status: StatusReply = cbor::decode(&bytes, REPLY_LEN_MAX).unwrap();
            Some(Step::Reply(cbor::encode(&StatusReply { genesis: Digest::new([1; 32]), ..status })))
        })
        .await;
        let reader = Reader::connect(&ground.config()).await.unwrap();
        assert!(matches!(reader.status().await, Err(ClientError::Untrusted { .. })));
    }

    #[tokio::test]
    async fn proofs_that_were_not_asked_for_are_malformed() {
        let (ground, _) = serve(Log::new(4, 0), |_, operation, _| {
            let nothing = ProofReply { schema: Schema, inclusion: None, consistency: None };
            (operation == Operation::LogProof).then(|| Step::Reply(cbor::encode(&nothing)))
        })
        .await;
        let reader = Reader::connect(&ground.config()).await.unwrap();
        assert!(matches!(reader.proof(5, Some(1), None).await, Err(ClientError::Malformed { .. })));
    }
}
