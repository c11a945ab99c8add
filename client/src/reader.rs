//! The reads that every persona may make, and the way every request goes: sent with the highest checkpoint seen,
//! its reply judged before anyone uses it.

use crate::{
    config::ClientConfig,
    connect::Connection,
    error::ClientError,
    reply::Reply,
    seen::{Beside, Judged, Received, Seen},
    trust_store::Founded,
};
use keysvc_protocol::{
    bytes::Blob,
    cbor::{self, REPLY_LEN_MAX},
    checkpoint::SignedCheckpoint,
    key::KeyRecord,
    name::Name,
    reply::{CheckpointReply, KeyListReply, KeyReply, ProofReply, StatusReply},
    request::{Envelope, ListKeys, Operation, ReadCheckpoint, ReadKey, ReadProof, ReadStatus},
    schema::Schema,
    trust::Trust,
};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::Mutex;

/// One connection with what it may believe.
#[derive(Debug)]
pub struct Reader {
    connection: Mutex<Connection>,
    founded: Arc<Founded>,
    seen: Arc<Seen>,
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
}

impl Outgoing {
    fn read(operation: Operation, request: &impl Serialize) -> Self {
        Self { operation, request: cbor::encode(request), about: operation.to_string() }
    }
}

impl Reader {
    /// Reads keys, certificates and the state folder; asks the service for its founding where none is kept.
    ///
    /// # Errors
    /// [`ClientError`] naming the file, fault or contradiction.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let trust = config.read_trust()?;
        let mut connection = Connection::new(config)?;
        let (founded, first) = if let Some(founded) = Founded::load(&config.state, &trust)? {
            (founded, None)
        } else {
            let (founded, reply) = found(&mut connection, config, &trust).await?;
            (founded, Some(reply))
        };
        let seen = Seen::open(&config.state, &trust, *founded.checkpoint_key())?;
        let reader =
            Self { connection: Mutex::new(connection), founded: Arc::new(founded), seen: Arc::new(seen) };
        if let Some(reply) = first {
            let judged = reader.judge(&reply, None, "log.checkpoint").await?;
            if let Judged::Beside(beside) = judged {
                reader.bridge(*beside, "log.checkpoint").await?;
            }
        }
        Ok(reader)
    }

    /// What follows from the trust file.
    #[must_use]
    pub fn founded(&self) -> &Founded {
        &self.founded
    }

    /// The highest checkpoint seen; nothing before the first reply.
    #[must_use]
    pub fn seen(&self) -> Option<SignedCheckpoint> {
        self.seen.highest()
    }

    /// The service's state.
    ///
    /// # Errors
    /// [`ClientError`] of the call, or [`ClientError::Untrusted`] for another service's state.
    pub async fn status(&self) -> Result<StatusReply, ClientError> {
        let request = Outgoing::read(Operation::Status, &ReadStatus { schema: Schema });
        let status: StatusReply = self.ask(request).await?;
        let trust = self.founded.trust();
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

    /// Sends a request with the highest checkpoint seen, and gives the reply once its checkpoint is judged.
    pub(crate) async fn ask<R: Reply>(&self, outgoing: Outgoing) -> Result<R, ClientError> {
        let Outgoing { operation, request, about } = outgoing;
        let (reply, judged) = {
            let mut connection = self.connection.lock().await;
            // Read and judged under the connection's lock: no reply of this connection comes between.
            let sent = self.seen.highest();
            let reply: R = exchange(&mut connection, operation, request, sent.clone()).await?;
            let judged = self.judge(&reply, sent, &about).await?;
            (reply, judged)
        };
        if let Judged::Beside(beside) = judged {
            self.bridge(*beside, &about).await?;
        }
        reply.check_receipt()?;
        Ok(reply)
    }

    async fn judge<R: Reply>(
        &self,
        reply: &R,
        sent: Option<SignedCheckpoint>,
        about: &str,
    ) -> Result<Judged, ClientError> {
        let Some((checkpoint, consistency)) = reply.checkpoint() else { return Ok(Judged::Follows) };
        let (checkpoint, consistency) = (checkpoint.clone(), consistency.clone());
        let (seen, text) = (self.seen.clone(), about.to_owned());
        blocking(move || {
            let received = Received { checkpoint: &checkpoint, consistency: &consistency, about: &text };
            seen.judge(sent.as_ref(), received)
        })
        .await
    }

    /// Has the service prove that the larger of two checkpoints contains the smaller.
    async fn bridge(&self, beside: Beside, about: &str) -> Result<(), ClientError> {
        let size = |checkpoint: &SignedCheckpoint| checkpoint.checkpoint().head.size;
        let request = ReadProof {
            schema: Schema,
            size: size(&beside.newer),
            leaf: None,
            earlier: Some(size(&beside.older)),
        };
        let reply: ProofReply = {
            let mut connection = self.connection.lock().await;
            exchange(&mut connection, Operation::LogProof, cbor::encode(&request), self.seen.highest())
                .await?
        };
        let proof = reply.consistency.ok_or_else(|| ClientError::malformed("no consistency proof"))?;
        let (seen, about) = (self.seen.clone(), about.to_owned());
        blocking(move || seen.bridge(&beside, &proof, &about)).await
    }
}

/// Asks for leaf 0, checks it against the trust file and keeps it.
async fn found(
    connection: &mut Connection,
    config: &ClientConfig,
    trust: &Trust,
) -> Result<(Founded, CheckpointReply), ClientError> {
    let request = cbor::encode(&ReadCheckpoint { schema: Schema, genesis: true });
    let reply: CheckpointReply = exchange(connection, Operation::LogCheckpoint, request, None).await?;
    let leaf = reply.genesis.as_ref().ok_or_else(|| ClientError::malformed("leaf 0 is missing"))?;
    let founded = Founded::check(trust, leaf)?;
    Founded::keep(&config.state, leaf)?;
    Ok((founded, reply))
}

async fn exchange<R: Reply>(
    connection: &mut Connection,
    operation: Operation,
    request: Vec<u8>,
    seen: Option<SignedCheckpoint>,
) -> Result<R, ClientError> {
    let request = Blob::try_from(request).map_err(|error| ClientError::Request {
        what: format!("{} bytes are more than a request may have", error.found),
    })?;
    let envelope = Envelope { schema: Schema, request, seen };
    let reply = connection.call(operation, cbor::encode(&envelope).into()).await?;
    cbor::decode(&reply, REPLY_LEN_MAX)
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
