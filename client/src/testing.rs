//! A log and its keys for this crate's tests: a real founding, real signatures, real proofs; no service.

#[cfg(all(feature = "station", feature = "officer"))]
pub(crate) mod bureau;
#[cfg(feature = "officer")]
pub(crate) mod people;
pub(crate) mod service;

use base64ct::{Base64, Encoding as _};
use keysvc_protocol::{
    bytes::{Blob, Digest, ObjectIdentifier, Salt, ShortCheck},
    cbor,
    checkpoint::{Checkpoint, Origin, SignedCheckpoint},
    cose::{Kind, Unsigned},
    key::{CheckValue, KeyKind, KeyRecord, KeyState},
    leaf::{FoundingLeaf, LeafEntry, LeafKind},
    list::List,
    merkle::{Frontier, Nodes, Proof, ProofError, TreeHead, consistency_proof, inclusion_proof, leaf_hash},
    public_key::PublicKey,
    receipt::{LeafEvidence, Receipt},
    schema::Schema,
    trust::Trust,
};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};

/// A P-256 key fixed by one byte.
pub(crate) struct Key(SigningKey);

impl Key {
    pub(crate) fn new(byte: u8) -> Self {
        Self(SigningKey::from_slice(&[byte; 32]).unwrap())
    }

    pub(crate) fn public(&self) -> PublicKey {
        let head = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        let point = self.0.verifying_key().to_encoded_point(false);
        PublicKey::from_spki(&[head.as_slice(), point.as_bytes()].concat()).unwrap()
    }

    /// The key in PKCS#8 (RFC 5958, with RFC 5915 inside), PEM.
    pub(crate) fn pem(&self) -> String {
        let head = [
            0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
            0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02,
            0x01, 0x01, 0x04, 0x20,
        ];
        let point = self.0.verifying_key().to_encoded_point(false);
        let between = [0xa1, 0x44, 0x03, 0x42, 0x00];
        let der = [head.as_slice(), &self.0.to_bytes(), &between, point.as_bytes()].concat();
        let base64 = Base64::encode_string(&der);
        format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.0.sign(message);
        signature.normalize_s().unwrap_or(signature).to_bytes().into()
    }

    pub(crate) fn cose(&self, kind: Kind, scope: &[u8], payload: Vec<u8>) -> Vec<u8> {
        let unsigned = Unsigned::new(kind, scope, self.public().identifier(), payload);
        unsigned.with_signature(&self.sign(&unsigned.to_be_signed()))
    }
}

/// The checkpoint key of every test log.
pub(crate) const CHECKPOINT: u8 = 1;
/// The service statement key.
pub(crate) const STATEMENT: u8 = 2;
/// The value signing key of programme `coffee`.
pub(crate) const VALUE: u8 = 3;
/// The statement key of `terminal-1`.
pub(crate) const TERMINAL: u8 = 4;
/// The statement key of `station-1`.
pub(crate) const STATION: u8 = 5;

/// The founding file, with the site's keys in it.
pub(crate) fn founding() -> String {
    founding_with(Key::new(STATION).public().spki(), &[0; 3])
}

/// The founding file with these keys of `station-1` (DER): its statement key and its wrapping key.
pub(crate) fn founding_with(station: &[u8], wrapping: &[u8]) -> String {
    let digest = |byte: u8| Digest::new([byte; 32]).to_string();
    let key = |byte: u8| Base64::encode_string(Key::new(byte).public().spki());
    format!(
        r#"
trust-domain = "demo.keysvc.test"
ca = "{}"
policy = "{}"
officers = [
    {{ name = "ann", department = "treasury", tls-key = "{}", approval-key = "{}" }},
    {{ name = "bob", department = "security", tls-key = "{}", approval-key = "{}" }},
]
principals = [
    {{ id = "terminal-1", kind = "terminal", organisation = "demo", tls-key = "{}", statement-key = "{}" }},
    {{ id = "station-1", kind = "station", organisation = "demo", tls-key = "{}", statement-key = "{}", wrapping-key = "{}" }},
]
keys = [{{ name = "master", kind = "card-master" }}, {{ name = "coffee-value", kind = "value-signing" }}]
[[profiles]]
name = "fob"
version = 1
family = "desfire-ev2"
functions = ["stored-value"]
scheme = "an10922-aes128"
input = ["uid", "application", "system-identifier"]
system-identifier = "4e585020416275"
slots = [{{ slot = 0, key = "master", key-version = 1, key-number = 0, application = "3042f5" }}]
value = {{ purses = [1], currency = 978, reloadable = true, ceiling = 10000, load-max = 5000, debit-max = 5000, card-session = "passive-tag" }}
[[programmes]]
name = "coffee"
organisation = "demo"
currency = 978
profile = "fob"
value-key = "coffee-value"
"#,
        digest(1),
        digest(2),
        digest(11),
        key(11),
        digest(12),
        key(12),
        digest(14),
        key(TERMINAL),
        digest(15),
        Base64::encode_string(station),
        Base64::encode_string(wrapping),
    )
}

fn record(name: &str, kind: KeyKind, byte: u8) -> KeyRecord {
    let public = Key::new(byte).public();
    KeyRecord {
        schema: Schema,
        name: name.parse().unwrap(),
        version: 1,
        kind,
        state: KeyState::Active,
        id: ObjectIdentifier::new([byte; 16]),
        check: CheckValue::Spki { value: public.digest() },
        test_key: false,
        made_at_ms: 1,
        attributes: List::default(),
        public: Some(Blob::try_from(public.spki().to_vec()).unwrap()),
    }
}

/// The keys in leaf 0.
pub(crate) fn keys() -> Vec<KeyRecord> {
    let master = KeyRecord {
        check: CheckValue::Cmac { value: ShortCheck::new([7; 5]) },
        public: None,
        ..record("master", KeyKind::CardMaster, 9)
    };
    vec![
        record("checkpoint", KeyKind::Checkpoint, CHECKPOINT),
        record("statement", KeyKind::ServiceStatement, STATEMENT),
        master,
        record("coffee-value", KeyKind::ValueSigning, VALUE),
    ]
}

pub(crate) fn leaf(index: u64, kind: LeafKind, payload: Vec<u8>) -> LeafEvidence {
    let salt = Salt::new([7; 16]);
    let payload_digest = LeafEntry::digest_of(&salt, &payload);
    let entry = LeafEntry { schema: Schema, index, time_ms: index, kind, payload_digest };
    LeafEvidence {
        entry: Blob::try_from(cbor::encode(&entry)).unwrap(),
        salt: Some(salt),
        payload: Some(Blob::try_from(payload).unwrap()),
    }
}

/// Leaf 0 over these keys.
pub(crate) fn founding_leaf(keys: Vec<KeyRecord>) -> LeafEvidence {
    founding_leaf_of(founding(), keys)
}

/// Leaf 0 over this file and these keys.
pub(crate) fn founding_leaf_of(founding: String, keys: Vec<KeyRecord>) -> LeafEvidence {
    let payload = FoundingLeaf {
        schema: Schema,
        founding: Blob::try_from(founding.into_bytes()).unwrap(),
        signatures: List::default(),
        keys: keys.try_into().unwrap(),
        policy: Digest::new([2; 32]),
    };
    leaf(0, LeafKind::Founding, cbor::encode(&payload))
}

/// A log that begins with the founding.
#[derive(Clone)]
pub(crate) struct Log(pub(crate) Vec<LeafEvidence>);

impl Nodes for Log {
    type Error = ProofError;
    fn node(&self, level: u8, index: u64) -> Result<Digest, ProofError> {
        let width = 1_usize << level;
        let start = usize::try_from(index).unwrap() * width;
        Ok(frontier(&self.0[start..start + width]).root())
    }
}

fn frontier(leaves: &[LeafEvidence]) -> Frontier {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.append(leaf_hash(leaf.entry.as_bytes()));
    }
    frontier
}

impl Log {
    /// The founding and so many leaves more, marked by `fork` so that two logs differ.
    pub(crate) fn new(more: u64, fork: u8) -> Self {
        let mut log = Self(vec![founding_leaf(keys())]);
        (0..more).for_each(|_| log.append(LeafKind::Start, vec![fork]));
        log
    }

    pub(crate) fn append(&mut self, kind: LeafKind, payload: Vec<u8>) {
        self.0.push(leaf(self.0.len() as u64, kind, payload));
    }

    pub(crate) fn trust(&self) -> Trust {
        let genesis = leaf_hash(self.0[0].entry.as_bytes());
        Trust { domain: "demo.keysvc.test".parse().unwrap(), genesis }
    }

    pub(crate) fn head(&self, size: u64) -> TreeHead {
        frontier(&self.0[..usize::try_from(size).unwrap()]).head()
    }

    pub(crate) fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        self.checkpoint_by(size, CHECKPOINT)
    }

    pub(crate) fn checkpoint_by(&self, size: u64, key: u8) -> SignedCheckpoint {
        let origin = Origin::of(&self.trust().domain, 1);
        let checkpoint = Checkpoint { origin, head: self.head(size) };
        let key = Key::new(key);
        SignedCheckpoint::assemble(&checkpoint, &key.sign(checkpoint.text().as_bytes()), key.public().spki())
    }

    pub(crate) fn consistency(&self, from: u64, to: u64) -> Proof {
        consistency_proof(self, from, to).unwrap()
    }

    /// The receipt of the last leaf, from leaf 0.
    pub(crate) fn receipt(&self) -> Receipt {
        let size = self.0.len() as u64;
        Receipt {
            schema: Schema,
            leaf_index: size - 1,
            checkpoint: self.checkpoint(size),
            consistency: self.consistency(1, size),
            leaf: self.0.last().cloned(),
            inclusion: Some(inclusion_proof(self, size - 1, size).unwrap()),
        }
    }
}
