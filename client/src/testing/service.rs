//! Answers over a test log, as the protocol foresees them; each test adds what goes wrong.

use super::{Key, Log, TERMINAL, VALUE};
use crate::connect::stand_in::{StandIn, Step};
use bytes::Bytes;
use keysvc_protocol::{
    bytes::{Blob, Digest, PreviousUpdate},
    cbor::{self, REQUEST_LEN_MAX},
    cose::{Kind, Signed},
    leaf::{EntriesReadLeaf, LeafKind, Statement, ValueUpdatedLeaf},
    merkle::inclusion_proof,
    public_key::PublicKey,
    receipt::Receipt,
    refusal::{Invalid, Refusal},
    reply::{CheckpointReply, EntriesReply, ProofReply, ServiceState, StatusReply, ValueUpdateReply},
    request::{Envelope, Operation, ReadCheckpoint, ReadEntries, ReadProof, UpdateValue},
    schema::Schema,
    value::ValueUpdate,
};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::{Arc, Mutex};

/// Most leaves in one reply of this service: below what is asked for.
const PAGE: u64 = 100;

/// A log that grows by what is asked of it.
pub(crate) struct Service {
    pub(crate) log: Log,
    /// The body of every request, in order.
    pub(crate) bodies: Vec<Bytes>,
    /// The size every request's `seen` had, 0 without one.
    pub(crate) seen: Vec<u64>,
}

/// A service that a test can look into while it runs.
pub(crate) type Shared = Arc<Mutex<Service>>;

/// Starts a far end over `log`; `answer` may answer in the service's place.
pub(crate) async fn serve(
    log: Log,
    mut answer: impl FnMut(&mut Service, Operation, &Envelope) -> Option<Step> + Send + 'static,
) -> (StandIn, Shared) {
    let trust = log.trust().to_text();
    let service = Arc::new(Mutex::new(Service { log, bodies: Vec::new(), seen: Vec::new() }));
    let shared = service.clone();
    let ground = StandIn::start(move |operation, body| {
        let mut service = service.lock().unwrap();
        let envelope: Envelope = cbor::decode(&body, REQUEST_LEN_MAX * 2).unwrap();
        service.bodies.push(body);
        service.seen.push(Service::from(&envelope));
        match answer(&mut service, operation, &envelope) {
            Some(step) => step,
            None => service.answer(operation, &envelope),
        }
    })
    .await;
    ground.put("trust", &trust);
    ground.put("statement", &Key::new(TERMINAL).pem());
    (ground, shared)
}

/// A request's payload, its signature verified where it must have one.
pub(crate) fn payload<T: Serialize + DeserializeOwned>(
    operation: Operation,
    envelope: &Envelope,
    genesis: &Digest,
    key: &PublicKey,
) -> T {
    let request = envelope.request.as_bytes();
    let signed = Signed::parse(request).unwrap();
    let payload = signed.open(Kind::Request(operation), genesis.as_bytes(), key).unwrap();
    cbor::decode(payload, REQUEST_LEN_MAX).unwrap()
}

fn read<T: Serialize + DeserializeOwned>(envelope: &Envelope) -> T {
    cbor::decode(envelope.request.as_bytes(), REQUEST_LEN_MAX).unwrap()
}

fn reply<T: Serialize>(reply: &T) -> Step {
    Step::Reply(cbor::encode(reply))
}

impl Service {
    fn from(envelope: &Envelope) -> u64 {
        envelope.seen.as_ref().map_or(0, |seen| seen.checkpoint().head.size)
    }

    pub(crate) fn answer(&mut self, operation: Operation, envelope: &Envelope) -> Step {
        let size = self.log.0.len() as u64;
        let from = Self::from(envelope).max(1);
        match operation {
            Operation::Status => reply(&StatusReply {
                schema: Schema,
                version: "0.1.0".into(),
                state: ServiceState::Serving,
                development: false,
                trust_domain: self.log.trust().domain,
                genesis: self.log.trust().genesis,
                started_at_ms: 1,
                policy: Digest::new([2; 32]),
                checkpoint: self.log.checkpoint(size),
                consistency: self.log.consistency(from, size),
            }),
            Operation::LogCheckpoint => reply(&CheckpointReply {
                schema: Schema,
                checkpoint: self.log.checkpoint(size),
                consistency: self.log.consistency(from, size),
                genesis: read::<ReadCheckpoint>(envelope).genesis.then(|| self.log.0[0].clone()),
            }),
            Operation::LogProof => {
                let asked: ReadProof = read(envelope);
                let inclusion = asked.leaf.map(|leaf| inclusion_proof(&self.log, leaf, asked.size).unwrap());
                let consistency = asked.earlier.map(|earlier| self.log.consistency(earlier, asked.size));
                reply(&ProofReply { schema: Schema, inclusion, consistency })
            }
            Operation::LogEntries => self.entries(envelope),
            Operation::ValueUpdate => self.update(envelope),
            _ => Step::Refuse(Refusal::Invalid { reason: Invalid::Http }),
        }
    }

    /// The receipt of the last leaf, from what the client has seen.
    pub(crate) fn receipt(&self, envelope: &Envelope) -> Receipt {
        let size = self.log.0.len() as u64;
        let consistency = self.log.consistency(Self::from(envelope).max(1), size);
        Receipt { consistency, ..self.log.receipt() }
    }

    fn entries(&mut self, envelope: &Envelope) -> Step {
        let ReadEntries { from, to, .. } = read(envelope);
        let to = to.min(from + PAGE);
        let entries = self.log.0[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()].to_vec();
        let read = EntriesReadLeaf { schema: Schema, reader: "auditor-1".parse().unwrap(), from, to };
        self.log.append(LeafKind::EntriesRead, cbor::encode(&read));
        let receipt = self.receipt(envelope);
        reply(&EntriesReply { schema: Schema, entries: entries.try_into().unwrap(), receipt })
    }

    fn update(&mut self, envelope: &Envelope) -> Step {
        let genesis = self.log.trust().genesis;
        let key = Key::new(TERMINAL).public();
        let asked: UpdateValue = payload(Operation::ValueUpdate, envelope, &genesis, &key);
        let update = cbor::encode(&ValueUpdate {
            schema: Schema,
            programme: asked.programme,
            card: asked.card,
            purse: asked.purse,
            operation: asked.operation,
            seq: asked.expected_seq,
            amount: asked.amount,
            currency: asked.currency,
            balance_before: asked.balance_before,
            balance_after: asked.balance_before + asked.amount,
            previous: PreviousUpdate::new([0; 16]),
            txn: asked.txn,
            terminal: "terminal-1".parse().unwrap(),
            issued_at_ms: 2,
            expires_at_ms: 3,
            flags: 1,
        });
        let statement = Statement(envelope.request.clone());
        let leaf =
            ValueUpdatedLeaf { schema: Schema, update: Blob::try_from(update.clone()).unwrap(), statement };
        self.log.append(LeafKind::ValueUpdated, cbor::encode(&leaf));
        let record = Key::new(VALUE).cose(Kind::ValueUpdate, genesis.as_bytes(), update);
        let receipt = self.receipt(envelope);
        reply(&ValueUpdateReply { schema: Schema, record: Blob::try_from(record).unwrap(), receipt })
    }
}

/// A statement of the service to a station.
#[cfg(feature = "station")]
pub(crate) fn statement<T: Serialize>(kind: Kind, genesis: &Digest, payload: &T) -> Vec<u8> {
    Key::new(super::STATEMENT).cose(kind, genesis.as_bytes(), cbor::encode(payload))
}
