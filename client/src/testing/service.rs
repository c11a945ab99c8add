//! Answers over a test log, as the protocol foresees them; each test adds what goes wrong.

use super::{Key, Log, TERMINAL, VALUE};
use crate::connect::stand_in::{StandIn, Step};
use bytes::Bytes;
use keysvc_protocol::{
    bundle::TrustBundle,
    bytes::{Blob, Digest, PreviousUpdate},
    cbor::{self, REQUEST_LEN_MAX},
    cose::{Kind, Signed},
    hash::sha256,
    leaf::{BundleMadeLeaf, EntriesReadLeaf, LeafKind, Statement, ValueUpdatedLeaf},
    merkle::inclusion_proof,
    public_key::PublicKey,
    receipt::Receipt,
    refusal::{Invalid, Refusal},
    reply::{
        BundleReply, CheckpointReply, EntriesReply, ProofReply, ServiceState, StatusReply, UpdateOutcome,
        ValueBatchReply, ValueUpdateReply,
    },
    request::{
        Envelope, Operation, ReadBundle, ReadCheckpoint, ReadEntries, ReadProof, UpdateValue, UpdateValues,
    },
    schema::Schema,
    value::{VALUE_UPDATE_LEN_MAX, ValueUpdate},
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
    /// The trust bundle in force.
    pub(crate) bundle: Option<TrustBundle>,
}

/// A service that a test can look into while it runs.
pub(crate) type Shared = Arc<Mutex<Service>>;

/// Starts a far end over `log`; `answer` may answer in the service's place.
pub(crate) async fn serve(
    log: Log,
    mut answer: impl FnMut(&mut Service, Operation, &Envelope) -> Option<Step> + Send + 'static,
) -> (StandIn, Shared) {
    let trust = log.trust().to_text();
    let service = Arc::new(Mutex::new(Service { log, bodies: Vec::new(), seen: Vec::new(), bundle: None }));
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
            Operation::ValueBatch => self.batch(envelope),
            Operation::BundleGet => self.bundle(envelope),
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
        let record = self.apply(envelope);
        let receipt = self.receipt(envelope);
        reply(&ValueUpdateReply { schema: Schema, record, receipt })
    }

    /// Refuses what is of purse 9, and carries the rest out.
    fn batch(&mut self, envelope: &Envelope) -> Step {
        let UpdateValues { updates, .. } = read(envelope);
        let mut outcomes = Vec::new();
        for update in updates.into_vec() {
            let request = Blob::try_from(update.into_bytes()).unwrap();
            let item = Envelope { schema: Schema, request, seen: None, beside: None };
            let genesis = self.log.trust().genesis;
            let asked: UpdateValue =
                payload(Operation::ValueUpdate, &item, &genesis, &Key::new(TERMINAL).public());
            outcomes.push(if asked.purse == 9 {
                Err(Refusal::CounterConflict { expected_seq: 5 })
            } else {
                Ok((self.apply(&item), self.log.0.len() - 1))
            });
        }
        let size = self.log.0.len() as u64;
        let outcomes: Vec<_> = outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Ok((record, index)) => UpdateOutcome::Signed {
                    record,
                    leaf: self.log.0[index].clone(),
                    inclusion: inclusion_proof(&self.log, index as u64, size).unwrap(),
                },
                Err(refusal) => UpdateOutcome::Refused { refusal },
            })
            .collect();
        reply(&ValueBatchReply {
            schema: Schema,
            checkpoint: self.log.checkpoint(size),
            consistency: self.log.consistency(Self::from(envelope).max(1), size),
            outcomes: outcomes.try_into().unwrap(),
        })
    }

    /// A bundle that is made anew at each call, with a leaf of its own; left out where the caller has it.
    fn bundle(&mut self, envelope: &Envelope) -> Step {
        let ReadBundle { have, .. } = read(envelope);
        let bundle = self.bundle.clone().unwrap();
        let payload = cbor::encode(&bundle);
        if have != Some(sha256(&[&payload])) {
            let leaf = BundleMadeLeaf { schema: Schema, bundle: Blob::try_from(payload.clone()).unwrap() };
            self.log.append(LeafKind::BundleMade, cbor::encode(&leaf));
        }
        let genesis = self.log.trust().genesis;
        let message = Key::new(super::STATEMENT).cose(Kind::TrustBundle, genesis.as_bytes(), payload.clone());
        let sent = (have != Some(sha256(&[&payload]))).then(|| Blob::try_from(message).unwrap());
        reply(&BundleReply { schema: Schema, receipt: self.receipt(envelope), bundle: sent })
    }

    /// Carries one update out and gives its record; its leaf is the last.
    fn apply(&mut self, envelope: &Envelope) -> Blob<VALUE_UPDATE_LEN_MAX> {
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
            evidence: None,
        });
        let statement = Statement(envelope.request.clone());
        let leaf =
            ValueUpdatedLeaf { schema: Schema, update: Blob::try_from(update.clone()).unwrap(), statement };
        self.log.append(LeafKind::ValueUpdated, cbor::encode(&leaf));
        Blob::try_from(Key::new(VALUE).cose(Kind::ValueUpdate, genesis.as_bytes(), update)).unwrap()
    }
}

/// A statement of the service to a station.
#[cfg(feature = "station")]
pub(crate) fn statement<T: Serialize>(kind: Kind, genesis: &Digest, payload: &T) -> Vec<u8> {
    Key::new(super::STATEMENT).cose(kind, genesis.as_bytes(), cbor::encode(payload))
}
