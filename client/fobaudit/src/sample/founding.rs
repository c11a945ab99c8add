//! The sample's founding: its keys, its file, and the leaf that two officers sign.

use super::BEGIN_MS;
use keysvc_protocol::{
    bytes::{Blob, Digest, ObjectIdentifier, ShortCheck},
    checkpoint::{Checkpoint, SignedCheckpoint},
    cose::{Kind, Unsigned},
    founding::{Founding, P256Text},
    key::{AttributeText, CheckValue, KeyKind, KeyRecord, KeyState},
    leaf::{FoundingLeaf, FoundingSignature},
    list::List,
    public_key::PublicKey,
    schema::Schema,
};
use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};
use serde::Serialize;

/// The approval key of officer alice of finance.
pub(crate) const ALICE: u8 = 1;
/// The approval key of officer bob of operations.
pub(crate) const BOB: u8 = 2;
/// The statement key of station-1.
pub(crate) const STATION_KEY: u8 = 3;
/// The key that signs the sample's checkpoints.
pub(crate) const CHECKPOINT_KEY: u8 = 4;
/// The value key of the sample's programme.
pub(crate) const VALUE_KEY: u8 = 5;
/// The service statement key.
pub(crate) const SERVICE_KEY: u8 = 6;
/// The statement key of operator dora of the bureau, who holds a component.
pub(crate) const DORA: u8 = 9;
/// The statement key of auditor wilma, who looks on.
pub(crate) const WILMA: u8 = 10;
/// The statement key of terminal-1.
pub(crate) const TERMINAL_KEY: u8 = 7;
/// A value signing key of the founding that no programme uses; also terminal-2's statement key.
pub(crate) const SPARE_KEY: u8 = 8;

/// A P-256 key of the tests' own.
#[derive(Debug, Clone)]
pub(crate) struct TestKey(SigningKey);

impl TestKey {
    /// The key of this seed.
    pub(crate) fn new(seed: u8) -> Self {
        Self(SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    /// Its public half.
    pub(crate) fn public(&self) -> PublicKey {
        let mut spki = vec![
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        spki.extend_from_slice(self.0.verifying_key().to_encoded_point(false).as_bytes());
        PublicKey::from_spki(&spki).unwrap()
    }

    fn sign_digest(&self, digest: &Digest) -> [u8; 64] {
        let signature: Signature = self.0.sign_prehash(digest.as_bytes()).unwrap();
        signature.normalize_s().unwrap_or(signature).to_bytes().into()
    }

    /// A `COSE_Sign1` over `payload`.
    pub(crate) fn sign(&self, kind: Kind, scope: &[u8], payload: Vec<u8>) -> Vec<u8> {
        let unsigned = Unsigned::new(kind, scope, self.public().identifier(), payload);
        unsigned.with_signature(&self.sign_digest(unsigned.digest()))
    }

    /// The signed note of a checkpoint.
    pub(crate) fn note(&self, checkpoint: &Checkpoint) -> Vec<u8> {
        let signature = self.sign_digest(&checkpoint.digest_to_sign());
        SignedCheckpoint::assemble(checkpoint, &signature, self.public().spki()).as_bytes().to_vec()
    }

    fn base64(&self) -> String {
        let text = toml::to_string(&Wrapper { key: P256Text::new(self.public()) });
        text.unwrap().trim().trim_start_matches("key = ").trim_matches('"').to_owned()
    }
}

#[derive(Serialize)]
struct Wrapper {
    key: P256Text,
}

/// The people on the floor: name, capability, the seed of the statement key.
pub(crate) const FLOOR: [(&str, &str, u8); 7] = [
    ("data-1", "data-operator", 21),
    ("data-2", "data-operator", 22),
    ("operator-1", "station-operator", 23),
    ("operator-2", "station-operator", 24),
    ("reviewer-1", "reviewer", 25),
    ("monitor-1", "monitor", 26),
    // Who may do everything, and must not do everything on one job.
    ("many-1", "data-operator\", \"station-operator\", \"reviewer\", \"monitor", 27),
];

fn floor() -> String {
    let lines = FLOOR.iter().map(|(name, capability, seed)| {
        format!(
            "  {{ id = \"{name}\", kind = \"operator\", organisation = \"bureau\", capabilities = [\"{capability}\"], tls-key = \"{}\", statement-key = \"{}\" }},\n",
            Digest::new([seed + 30; 32]),
            TestKey::new(*seed).base64()
        )
    });
    lines.collect()
}

/// The founding file of the sample log.
pub(crate) fn founding_text() -> String {
    let key = |seed| TestKey::new(seed).base64();
    let pin = |byte: u8| Digest::new([byte; 32]).to_string();
    format!(
        r#"
trust-domain = "demo.keysvc.test"
ca = "{ca}"
policy = "{policy}"
development = true
officers = [
  {{ name = "alice", department = "finance", tls-key = "{p1}", approval-key = "{alice}" }},
  {{ name = "bob", department = "operations", tls-key = "{p2}", approval-key = "{bob}" }},
]
principals = [
  {{ id = "station-1", kind = "station", organisation = "bureau", tls-key = "{p3}", statement-key = "{station}", wrapping-key = "AAAA" }},
  {{ id = "terminal-1", kind = "terminal", organisation = "cafe", tls-key = "{p4}", statement-key = "{terminal}" }},
  {{ id = "terminal-2", kind = "terminal", organisation = "museum", tls-key = "{p5}", statement-key = "{stranger}" }},
  {{ id = "auditor-1", kind = "auditor", organisation = "audit", tls-key = "{p6}" }},
  {{ id = "dora", kind = "operator", organisation = "bureau", tls-key = "{p7}", statement-key = "{dora}" }},
  {{ id = "wilma", kind = "auditor", organisation = "audit", tls-key = "{p8}", statement-key = "{wilma}" }},
{floor}]
programmes = [
  {{ name = "coffee", organisation = "cafe", currency = 978, profile = "fob", value-key = "coffee-value" }},
]
keys = [
  {{ name = "fob-master", kind = "card-master" }},
  {{ name = "coffee-value", kind = "value-signing" }},
  {{ name = "spare-value", kind = "value-signing" }},
]

[[profiles]]
name = "fob"
version = 1
family = "desfire-ev3"
functions = ["stored-value"]
scheme = "an10922-aes128"
input = ["uid", "application", "system-identifier"]
system-identifier = "4e585020416275"
slots = [
  {{ slot = 0, key = "fob-master", key-version = 1, key-number = 0, application = "3042f5" }},
  {{ slot = 1, key = "fob-master", key-version = 1, key-number = 1, application = "3042f6" }},
]
value = {{ purses = [1], currency = 978, reloadable = true, ceiling = 15000, load-max = 10000, debit-max = 5000, card-session = "passive-tag" }}
"#,
        ca = pin(90),
        policy = pin(91),
        p1 = pin(11),
        p2 = pin(12),
        p3 = pin(13),
        p4 = pin(14),
        p5 = pin(15),
        p6 = pin(16),
        p7 = pin(17),
        dora = key(DORA),
        p8 = pin(18),
        wilma = key(WILMA),
        floor = floor(),
        alice = key(ALICE),
        bob = key(BOB),
        station = key(STATION_KEY),
        terminal = key(TERMINAL_KEY),
        stranger = key(SPARE_KEY),
    )
}

/// The record of an active key with material of this seed.
pub(super) fn record(name: &str, kind: KeyKind, seed: u8) -> KeyRecord {
    let public = matches!(kind, KeyKind::ValueSigning | KeyKind::ServiceStatement | KeyKind::Checkpoint)
        .then(|| TestKey::new(seed).public());
    let short = ShortCheck::new([seed; 5]);
    KeyRecord {
        schema: Schema,
        name: name.parse().unwrap(),
        version: 1,
        kind,
        state: KeyState::Active,
        id: ObjectIdentifier::new([seed; 16]),
        check: match (public, kind) {
            (Some(public), _) => CheckValue::Spki { value: public.digest() },
            (None, KeyKind::Storage) => CheckValue::Kw { value: short },
            (None, _) => CheckValue::Cmac { value: short },
        },
        test_key: false,
        made_at_ms: BEGIN_MS,
        attributes: List::default(),
        public: public.map(|public| Blob::try_from(public.spki().to_vec()).unwrap()),
    }
}

/// The record of a value signing key that is not the founding's, as the token made it.
pub(crate) fn later_key(name: &str, seed: u8) -> KeyRecord {
    let local = AttributeText { name: "CKA_LOCAL".to_owned(), value: "true".to_owned() };
    let attributes = List::try_from(vec![local]).unwrap();
    KeyRecord { attributes, ..record(name, KeyKind::ValueSigning, seed) }
}

/// The founding leaf of the sample log.
pub(crate) fn founding_leaf() -> FoundingLeaf {
    let text = founding_text();
    let founding: Founding = toml::from_str(&text).unwrap();
    founding.check().unwrap();
    let signatures = founding.officers.iter().zip([ALICE, BOB]).map(|(officer, seed)| {
        let payload = Founding::agreement(text.as_bytes(), &officer.name);
        let signed = TestKey::new(seed).sign(Kind::Founding, b"demo.keysvc.test", payload);
        FoundingSignature {
            schema: Schema,
            officer: officer.name.clone(),
            signed: Blob::try_from(signed).unwrap(),
        }
    });
    let keys = vec![
        record("fob-master", KeyKind::CardMaster, 60),
        record("coffee-value", KeyKind::ValueSigning, VALUE_KEY),
        record("spare-value", KeyKind::ValueSigning, SPARE_KEY),
        record("checkpoint", KeyKind::Checkpoint, CHECKPOINT_KEY),
        record("statement", KeyKind::ServiceStatement, SERVICE_KEY),
        record("storage-2026-11", KeyKind::Storage, 61),
    ];
    FoundingLeaf {
        schema: Schema,
        signatures: signatures.collect::<Vec<_>>().try_into().unwrap(),
        founding: Blob::try_from(text.into_bytes()).unwrap(),
        keys: keys.try_into().unwrap(),
        policy: Digest::new([91; 32]),
    }
}
