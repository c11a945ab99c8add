//! One message of each kind, always the same: fixed keys, deterministic signatures (RFC 6979), fixed times.

use super::{agreed, governed, jobs};
use keysvc_protocol::{
    bundle::{BundleFile, BundleKey, BundleProgramme, TrustBundle},
    bytes::{Blob, Digest, Idem, ObjectIdentifier, PreviousUpdate, Salt, ShortCheck},
    card::CardUid,
    cbor,
    checkpoint::{Checkpoint, Origin, SignedCheckpoint},
    cose::{Kind, Unsigned},
    export::{LeafPayload, PayloadFile},
    founding::FoundingAgreement,
    freeze::Scope,
    hash::sha256,
    key::{AttributeText, CheckValue, KeyKind, KeyRecord, KeyState},
    leaf::{
        BundleMadeLeaf, EntriesReadLeaf, FoundingLeaf, FoundingSignature, KeyIntentLeaf, KeyOutcomeLeaf,
        LeafEntry, LeafKind, RefusalsCountedLeaf, RefusedLeaf, RollbackLeaf, StartLeaf, Statement,
        ValueUpdatedLeaf,
    },
    list::List,
    merkle::{Proof, TreeHead},
    name::Name,
    public_key::PublicKey,
    receipt::{LeafEvidence, Receipt},
    refusal::{Refusal, RefusalReply, RequestId},
    reply::{
        BundleReply, CheckpointReply, EntriesReply, KeyListReply, KeyReply, ProofReply, ServiceState,
        StatusReply, UpdateOutcome, ValueBatchReply, ValueUpdateReply,
    },
    request::{
        Envelope, ListKeys, Operation, ReadBundle, ReadCheckpoint, ReadEntries, ReadKey, ReadProof,
        ReadStatus, UpdateValue, UpdateValues, ValueOperation,
    },
    schema::Schema,
    trust::TrustDomain,
    value::{FLAG_NO_CARD_SESSION, ValueUpdate},
};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde::Serialize;

/// The trust domain of every golden message.
pub(super) const DOMAIN: &str = "golden.keysvc.test";
pub(super) const TIME_MS: u64 = 1_795_300_000_000;

/// A message, its name, and the rule of wire.cddl that describes it.
pub(super) struct Golden {
    pub(super) name: String,
    pub(super) rule: String,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(super) fn blob<const MAX: usize>(bytes: Vec<u8>) -> Blob<MAX> {
    Blob::try_from(bytes).unwrap()
}

pub(super) fn list<T, const MAX: usize>(items: Vec<T>) -> List<T, MAX> {
    List::try_from(items).ok().unwrap()
}

pub(super) fn uid() -> CardUid {
    "04782e21801d80".parse().unwrap()
}

/// The genesis digest of every golden message.
pub(super) fn genesis() -> Digest {
    Digest::new([0xa0; 32])
}

fn signing_key() -> SigningKey {
    SigningKey::from_slice(&[9; 32]).unwrap()
}

/// The key that signed every golden message.
pub(super) fn public_key() -> PublicKey {
    // The head of a P-256 SubjectPublicKeyInfo (RFC 5480).
    let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let mut spki = keysvc_protocol::bytes::from_hex(head).unwrap();
    spki.extend_from_slice(signing_key().verifying_key().to_encoded_point(false).as_bytes());
    PublicKey::from_spki(&spki).unwrap()
}

fn sign(message: &[u8]) -> [u8; 64] {
    let signature: Signature = signing_key().sign(message);
    signature.normalize_s().unwrap_or(signature).to_bytes().into()
}

pub(super) fn signed(kind: Kind, scope: &[u8], payload: Vec<u8>) -> Vec<u8> {
    let unsigned = Unsigned::new(kind, scope, public_key().identifier(), payload);
    let signature = sign(&unsigned.to_be_signed());
    unsigned.with_signature(&signature)
}

/// A signed checkpoint of four leaves.
pub(super) fn checkpoint() -> SignedCheckpoint {
    let origin = Origin::of(&DOMAIN.parse().unwrap(), 1);
    let checkpoint = Checkpoint { origin, head: TreeHead { size: 4, root: Digest::new([0xb0; 32]) } };
    SignedCheckpoint::assemble(&checkpoint, &sign(checkpoint.text().as_bytes()), public_key().spki())
}

pub(super) fn proof() -> Proof {
    Proof::try_from(vec![Digest::new([0xb1; 32]), Digest::new([0xb2; 32])]).unwrap()
}

pub(super) fn update_request() -> UpdateValue {
    UpdateValue {
        schema: Schema,
        programme: name("coffee"),
        card: uid(),
        purse: 1,
        operation: ValueOperation::Load,
        expected_seq: 1,
        amount: 2_000,
        currency: 978,
        balance_before: 0,
        txn: Idem::new([5; 16]),
    }
}

pub(super) fn update() -> ValueUpdate {
    ValueUpdate {
        schema: Schema,
        programme: name("coffee"),
        card: uid(),
        purse: 1,
        operation: ValueOperation::Load,
        seq: 1,
        amount: 2_000,
        currency: 978,
        balance_before: 0,
        balance_after: 2_000,
        previous: PreviousUpdate::new([0; 16]),
        txn: Idem::new([5; 16]),
        terminal: name("terminal-1"),
        issued_at_ms: TIME_MS,
        expires_at_ms: TIME_MS + 86_400_000,
        flags: FLAG_NO_CARD_SESSION,
        evidence: None,
    }
}

fn bundle() -> TrustBundle {
    let public = Blob::<128>::try_from(public_key().spki().to_vec()).unwrap();
    let key = BundleKey {
        name: name("value-1"),
        version: 1,
        kid: public_key().identifier(),
        public: public.clone(),
        state: KeyState::Deactivated,
        not_before_ms: TIME_MS,
        not_after_ms: Some(TIME_MS + 1_000),
    };
    let programme = BundleProgramme {
        name: name("coffee"),
        organisation: name("acme"),
        currency: 978,
        value_key: name("value-1"),
        profile: name("stored"),
        purses: list(vec![1]),
        ceiling: 50_000,
        load_max: 20_000,
        debit_max: 10_000,
    };
    TrustBundle {
        schema: Schema,
        trust_domain: DOMAIN.parse().unwrap(),
        genesis: genesis(),
        development: true,
        made_at_ms: TIME_MS,
        not_after_ms: TIME_MS + 604_800_000,
        log_key: public,
        checkpoint: checkpoint(),
        value_keys: list(vec![key]),
        programmes: list(vec![programme]),
        denied: list(vec![Scope::Terminal { name: name("terminal-1") }, Scope::All]),
    }
}

fn bundle_file() -> BundleFile {
    let signed = signed(Kind::TrustBundle, genesis().as_bytes(), cbor::encode(&bundle()));
    BundleFile { schema: Schema, founding: evidence(), bundle: blob(signed) }
}

fn agreement() -> FoundingAgreement {
    FoundingAgreement { schema: Schema, file: sha256(&[b"founding"]), officer: name("officer-1") }
}

pub(super) fn request<T: Serialize>(operation: Operation, payload: &T) -> Vec<u8> {
    signed(Kind::Request(operation), genesis().as_bytes(), cbor::encode(payload))
}

pub(super) fn statement<T: Serialize>(operation: Operation, payload: &T) -> Statement {
    Statement(blob(request(operation, payload)))
}

pub(super) fn pair_record() -> KeyRecord {
    KeyRecord {
        schema: Schema,
        name: name("value-1"),
        version: 1,
        kind: KeyKind::ValueSigning,
        state: KeyState::Active,
        id: ObjectIdentifier::new([0xe0; 16]),
        check: CheckValue::Spki { value: public_key().digest() },
        test_key: false,
        made_at_ms: TIME_MS,
        attributes: list(vec![AttributeText { name: "CKA_SIGN".into(), value: "true".into() }]),
        public: Some(blob(public_key().spki().to_vec())),
    }
}

fn master_record() -> KeyRecord {
    KeyRecord {
        name: name("demo-known"),
        kind: KeyKind::CardMaster,
        id: ObjectIdentifier::new([0xe1; 16]),
        check: CheckValue::Cmac { value: ShortCheck::new([1, 2, 3, 4, 5]) },
        test_key: true,
        attributes: list(Vec::new()),
        public: None,
        ..pair_record()
    }
}

fn storage_record() -> KeyRecord {
    KeyRecord {
        name: name("storage.operational.2026-11"),
        kind: KeyKind::Storage,
        id: ObjectIdentifier::new([0xe2; 16]),
        check: CheckValue::Kw { value: ShortCheck::new([1, 2, 3, 4, 5]) },
        test_key: false,
        ..master_record()
    }
}

fn updated() -> ValueUpdatedLeaf {
    updated_by(&update())
}

/// The leaf of an update.
pub(super) fn updated_by(update: &ValueUpdate) -> ValueUpdatedLeaf {
    ValueUpdatedLeaf {
        schema: Schema,
        update: blob(cbor::encode(update)),
        statement: statement(Operation::ValueUpdate, &update_request()),
    }
}

pub(super) fn evidence() -> LeafEvidence {
    let (salt, payload) = (Salt::new([0xf0; 16]), cbor::encode(&updated()));
    let entry = LeafEntry { payload_digest: LeafEntry::digest_of(&salt, &payload), ..entry() };
    LeafEvidence { entry: blob(cbor::encode(&entry)), salt: Some(salt), payload: Some(blob(payload)) }
}

fn payload_file() -> PayloadFile {
    let LeafEvidence { salt, payload, .. } = evidence();
    PayloadFile::new(vec![LeafPayload::default(), LeafPayload { salt, payload }]).unwrap()
}

fn withheld() -> LeafEvidence {
    LeafEvidence { entry: blob(cbor::encode(&entry())), salt: None, payload: None }
}

fn entry() -> LeafEntry {
    let payload_digest = Digest::new([0xf1; 32]);
    LeafEntry { schema: Schema, index: 3, time_ms: TIME_MS, kind: LeafKind::ValueUpdated, payload_digest }
}

pub(super) fn receipt(leaf: Option<LeafEvidence>) -> Receipt {
    let inclusion = leaf.as_ref().map(|_| proof());
    Receipt { schema: Schema, leaf_index: 3, checkpoint: checkpoint(), consistency: proof(), leaf, inclusion }
}

pub(super) fn golden<T: Serialize>(name: impl Into<String>, rule: &str, value: &T) -> Golden {
    Golden { name: name.into(), rule: rule.to_owned(), bytes: cbor::encode(value) }
}

pub(super) fn of<T: Serialize>(part: &str, operation: Operation, value: &T) -> Golden {
    let name = format!("{part}-{operation}");
    golden(name.clone(), &name, value)
}

fn requests() -> Vec<Golden> {
    let schema = Schema;
    let seen = Some(checkpoint());
    let update = request(Operation::ValueUpdate, &update_request());
    vec![
        of("request", Operation::Status, &ReadStatus { schema }),
        of("request", Operation::KeyList, &ListKeys { schema }),
        of("request", Operation::KeyGet, &ReadKey { schema, name: name("value-1"), version: Some(1) }),
        of("request", Operation::ValueUpdate, &update_request()),
        of("request", Operation::LogCheckpoint, &ReadCheckpoint { schema, genesis: true }),
        of("request", Operation::LogEntries, &ReadEntries { schema, from: 0, to: 4 }),
        of("request", Operation::LogProof, &ReadProof { schema, size: 4, leaf: Some(3), earlier: Some(1) }),
        of("request", Operation::BundleGet, &ReadBundle { schema, have: Some(Digest::new([0xb6; 32])) }),
        golden("request-bundle.get-first", "request-bundle.get", &ReadBundle { schema, have: None }),
        of(
            "request",
            Operation::ValueBatch,
            &UpdateValues { schema, updates: list(vec![blob(update.clone())]) },
        ),
        golden(
            "request-log.proof-without-leaf",
            "request-log.proof",
            &ReadProof { schema, size: 4, leaf: None, earlier: Some(1) },
        ),
        golden(
            "envelope-status",
            "envelope",
            &Envelope {
                schema,
                request: blob(cbor::encode(&ReadStatus { schema })),
                seen: None,
                beside: None,
            },
        ),
        golden(
            "envelope-value.update",
            "envelope",
            &Envelope { schema, request: blob(update), seen, beside: None },
        ),
    ]
}

fn statements() -> Vec<Golden> {
    let genesis = genesis();
    let of_service = |kind, payload| signed(kind, genesis.as_bytes(), payload);
    let raw = |name: &str, bytes| Golden { name: name.to_owned(), rule: name.to_owned(), bytes };
    vec![
        golden("value-update", "value-update", &update()),
        golden("trust-bundle", "trust-bundle", &bundle()),
        golden("bundle-file", "bundle-file", &bundle_file()),
        golden("founding-agreement", "founding-agreement", &agreement()),
        raw("signed-value.update", request(Operation::ValueUpdate, &update_request())),
        raw("signed-value-update", of_service(Kind::ValueUpdate, cbor::encode(&update()))),
        raw("signed-trust-bundle", of_service(Kind::TrustBundle, cbor::encode(&bundle()))),
        raw(
            "signed-founding-agreement",
            signed(Kind::Founding, DOMAIN.as_bytes(), cbor::encode(&agreement())),
        ),
    ]
}

fn replies() -> Vec<Golden> {
    let (schema, checkpoint, consistency) = (Schema, checkpoint(), proof());
    let of_service = |kind, payload| signed(kind, genesis().as_bytes(), payload);
    let status = StatusReply {
        schema,
        version: "0.1.0".into(),
        state: ServiceState::Serving,
        development: true,
        trust_domain: DOMAIN.parse::<TrustDomain>().unwrap(),
        genesis: genesis(),
        started_at_ms: TIME_MS,
        policy: Digest::new([0xa1; 32]),
        checkpoint: checkpoint.clone(),
        consistency: consistency.clone(),
    };
    let record = blob(of_service(Kind::ValueUpdate, cbor::encode(&update())));
    let keys = list(vec![master_record(), storage_record(), pair_record()]);
    let refusal = Refusal::CounterConflict { expected_seq: 7 };
    vec![
        of("reply", Operation::Status, &status),
        of("reply", Operation::KeyList, &KeyListReply { schema, keys }),
        of("reply", Operation::KeyGet, &KeyReply { schema, key: pair_record() }),
        of(
            "reply",
            Operation::ValueUpdate,
            &ValueUpdateReply { schema, record, receipt: receipt(Some(evidence())) },
        ),
        of(
            "reply",
            Operation::LogCheckpoint,
            &CheckpointReply { schema, checkpoint, consistency: consistency.clone(), genesis: None },
        ),
        of(
            "reply",
            Operation::LogEntries,
            &EntriesReply { schema, entries: list(vec![withheld(), evidence()]), receipt: receipt(None) },
        ),
        of(
            "reply",
            Operation::LogProof,
            &ProofReply {
                schema,
                inclusion: Some(consistency.clone()),
                consistency: Some(consistency.clone()),
            },
        ),
        golden(
            "reply-log.proof-without-leaf",
            "reply-log.proof",
            &ProofReply { schema, inclusion: None, consistency: Some(consistency) },
        ),
        golden("refusal-reply", "refusal-reply", &RefusalReply::new(refusal, RequestId(Idem::new([3; 16])))),
    ]
}

/// Replies to what serves tills that are offline, and their hubs.
fn replies_for_stores() -> Vec<Golden> {
    let (schema, receipt) = (Schema, receipt(Some(evidence())));
    let of_service = |kind, payload| signed(kind, genesis().as_bytes(), payload);
    let bundle = Some(blob(of_service(Kind::TrustBundle, cbor::encode(&bundle()))));
    let record = blob(of_service(Kind::ValueUpdate, cbor::encode(&update())));
    let outcomes = list(vec![
        UpdateOutcome::Signed { record, leaf: evidence(), inclusion: proof() },
        UpdateOutcome::Refused { refusal: Refusal::CounterConflict { expected_seq: 7 } },
    ]);
    let (checkpoint, consistency) = (checkpoint(), proof());
    vec![
        of("reply", Operation::BundleGet, &BundleReply { schema, receipt, bundle }),
        of("reply", Operation::ValueBatch, &ValueBatchReply { schema, checkpoint, consistency, outcomes }),
    ]
}

/// Leaves about the service itself.
fn leaves_of_the_service() -> Vec<Golden> {
    let (schema, policy) = (Schema, Digest::new([0xa1; 32]));
    let agreed = signed(Kind::Founding, DOMAIN.as_bytes(), cbor::encode(&agreement()));
    let signature = FoundingSignature { schema, officer: name("officer-1"), signed: blob(agreed) };
    let founding = FoundingLeaf {
        schema,
        founding: blob(b"founding".to_vec()),
        signatures: list(vec![signature]),
        keys: list(vec![master_record()]),
        policy,
    };
    let start = StartLeaf {
        schema,
        program: Digest::new([0xa2; 32]),
        configuration: Digest::new([0xa3; 32]),
        policy,
        version: "0.1.0".into(),
    };
    let intent = KeyIntentLeaf {
        schema,
        id: ObjectIdentifier::new([0xe2; 16]),
        kind: KeyKind::Storage,
        name: name("storage.operational.2026-11"),
        version: 1,
    };
    let outcome = KeyOutcomeLeaf { schema, intent: 2, key: storage_record() };
    vec![
        golden("leaf-entry", "leaf-entry", &entry()),
        golden("leaf-founding", "leaf-founding", &founding),
        golden("leaf-start", "leaf-start", &start),
        golden("leaf-key-intent", "leaf-key-intent", &intent),
        golden("leaf-key-outcome", "leaf-key-outcome", &outcome),
        golden(
            "leaf-bundle-made",
            "leaf-bundle-made",
            &BundleMadeLeaf { schema, bundle: blob(cbor::encode(&bundle())) },
        ),
    ]
}

/// Leaves about what callers did.
fn leaves_of_callers() -> Vec<Golden> {
    let schema = Schema;
    let refused = RefusedLeaf {
        schema,
        principal: name("terminal-1"),
        operation: Operation::ValueUpdate,
        refusal: Refusal::CounterConflict { expected_seq: 7 },
        request: Digest::new([0xb5; 32]),
    };
    let counted =
        RefusalsCountedLeaf { schema, count: 12, from_ms: TIME_MS, principal: Some(name("terminal-1")) };
    let read = EntriesReadLeaf { schema, reader: name("auditor-1"), from: 0, to: 4 };
    let rollback = RollbackLeaf { schema, principal: name("terminal-1"), shown: checkpoint() };
    vec![
        golden("leaf-value-updated", "leaf-value-updated", &updated()),
        golden("leaf-entries-read", "leaf-entries-read", &read),
        golden("leaf-refused", "leaf-refused", &refused),
        golden("leaf-refusals-counted", "leaf-refusals-counted", &counted),
        golden("leaf-rollback-shown", "leaf-rollback-shown", &rollback),
        golden("payload-file", "payload-file", &payload_file()),
    ]
}

/// All of them, in the order of docs/wire.md.
pub(super) fn all() -> Vec<Golden> {
    let mut all = requests();
    all.extend(agreed::reads());
    all.extend(agreed::changes());
    all.extend(governed::requests());
    all.extend(jobs::requests());
    all.extend(statements());
    all.extend(agreed::statements());
    all.extend(governed::statements());
    all.extend(jobs::statements());
    all.extend(replies());
    all.extend(replies_for_stores());
    all.extend(agreed::replies());
    all.extend(agreed::refusals());
    all.extend(governed::replies());
    all.extend(governed::refusals());
    all.extend(jobs::replies());
    all.extend(jobs::refusals());
    all.extend(leaves_of_the_service());
    all.extend(leaves_of_callers());
    all.extend(agreed::leaves());
    all.extend(jobs::leaves());
    all
}
