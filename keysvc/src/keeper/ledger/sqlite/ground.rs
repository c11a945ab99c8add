//! The tests' ground: a store in a scratch folder and changes to put into it.

pub(crate) mod jobs;
pub(crate) mod people;

use super::{
    super::{
        backend::{Applied, Backend},
        change::{Change, Outcome, Recording, Retry, Terms, Touches},
        fault::LedgerFault,
        purse::PurseRules,
        reader::{Reader, Shared},
        seal::{Seal, SealClass, Seals},
    },
    Rows, Sqlite,
    write::{Write, Written},
};
use keysvc_protocol::{
    bytes::{Blob, Boot, Digest, Idem, ObjectIdentifier, ShortCheck},
    card::CardUid,
    checkpoint::{Checkpoint, Origin, SignedCheckpoint},
    control::{Control, Moment},
    hash::sha256,
    key::{CheckValue, KeyKind, KeyRecord, KeyState},
    leaf::{
        FoundingLeaf, KeyIntentLeaf, KeyOutcomeLeaf, LeafKind, RefusedLeaf, RollbackLeaf, StartLeaf,
        Statement, ValueUpdatedLeaf,
    },
    list::List,
    merkle::TreeHead,
    name::Name,
    refusal::Refusal,
    request::{Operation, UpdateValue, ValueOperation},
    schema::Schema,
    value::{FLAG_NO_CARD_SESSION, ValueUpdate},
};
use std::sync::{Arc, mpsc};

/// When the tests begin.
pub(crate) const NOW_MS: u64 = 1_795_000_000_000;
pub(crate) const MINUTE_MS: u64 = 60_000;
pub(crate) const CARD: &str = "04782e21801d80";

pub(crate) const TERMS: Terms = Terms { valid_ms: 86_400_000, flags: FLAG_NO_CARD_SESSION };
/// The rules of the ground's founding.
pub(in super::super) const RULES: PurseRules =
    PurseRules { reloadable: true, ceiling: 10_000, load_max: 5_000, debit_max: 2_000, terms: TERMS };

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn seals() -> Seals {
    let seals = Seals::default();
    seals.install(&Seal::new(1, SealClass::Operational, &[1; 32]));
    seals
}

/// A store with its reader, applied to directly.
pub(crate) struct Store {
    pub(crate) sqlite: Sqlite,
    pub(crate) reader: Reader,
    /// Whether the state of what takes people was restored.
    pub(crate) restored: Result<(), LedgerFault>,
    shared: Arc<Shared>,
}

/// A moment whose boot began in 1970.
pub(crate) fn moment(now_ms: u64) -> Moment {
    Moment { wall_ms: now_ms, boot: Boot::new([0; 16]), up_ms: now_ms }
}

impl Store {
    pub(crate) fn open(folder: &tempfile::TempDir, seals: Seals) -> Self {
        let (sqlite, opened) = Sqlite::open(folder.path(), seals.clone(), NOW_MS).unwrap();
        let shared = Arc::new(Shared::new(opened, seals));
        let restored = shared.restore_control();
        Self { sqlite, reader: Reader::over(Arc::clone(&shared)), restored, shared }
    }

    /// A new store with its founding.
    pub(crate) fn founded(folder: &tempfile::TempDir) -> Self {
        let mut store = Self::open(folder, seals());
        store.recorded(&Change::Founding { leaf: founding() });
        store
    }

    pub(crate) fn apply(&mut self, batch: &[Change], now_ms: u64) -> Applied {
        self.apply_at(batch, moment(now_ms))
    }

    pub(crate) fn apply_at(&mut self, batch: &[Change], now: Moment) -> Applied {
        let applied = self.sqlite.apply(batch, now).unwrap();
        self.shared.publish(&applied);
        applied
    }

    /// Appends a leaf of a job, or fails before anything is written.
    pub(crate) fn put_of_job(
        &mut self,
        kind: LeafKind,
        payload: &[u8],
        job: &Name,
    ) -> Result<Recording, LedgerFault> {
        let rows = Rows(&self.sqlite.connection);
        rows.begin().unwrap();
        let mut write = Write::new(rows, &mut self.sqlite.state, moment(NOW_MS));
        let leaf = write.prepare_job(kind, payload.to_vec(), job).and_then(|prepared| write.put(prepared));
        let Written { completed, .. } = write.finish().unwrap();
        rows.commit().unwrap();
        let (head, halted) = (self.sqlite.state.frontier.head(), self.sqlite.state.halted);
        self.shared.publish(&Applied { outcomes: Vec::new(), head, completed, halted });
        leaf
    }

    /// A setting of the writer's connection.
    pub(crate) fn pragma(&self, name: &str) -> i64 {
        self.sqlite.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
    }

    /// Has the writer believe another state than the log's.
    pub(crate) fn believe(&mut self, control: Arc<Control>) {
        self.sqlite.state.control.store(Some(control));
    }

    pub(crate) fn at(&mut self, change: &Change, now: Moment) -> Outcome {
        self.apply_at(std::slice::from_ref(change), now).outcomes.remove(0).unwrap()
    }

    pub(crate) fn one(&mut self, change: &Change, now_ms: u64) -> Result<Outcome, LedgerFault> {
        let mut outcomes = self.apply(std::slice::from_ref(change), now_ms).outcomes;
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    pub(crate) fn recorded(&mut self, change: &Change) -> Recording {
        match self.one(change, NOW_MS).unwrap() {
            Outcome::Recorded(leaf) => leaf,
            other => panic!("not recorded: {other:?}"),
        }
    }

    pub(crate) fn refused(&mut self, change: &Change) -> Refusal {
        match self.one(change, NOW_MS).unwrap() {
            Outcome::Refused(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }
}

/// What a backend is told to do with the next batch.
pub(crate) enum Order {
    Obey,
    Fail,
}

/// A backend that says when it is called and then waits for an order: the third backend, which fails when told to.
pub(crate) struct OnOrder {
    pub(crate) sqlite: Sqlite,
    pub(crate) called: mpsc::Sender<usize>,
    pub(crate) orders: mpsc::Receiver<Order>,
}

impl Backend for OnOrder {
    fn apply(&mut self, batch: &[Change], now: Moment) -> Result<Applied, LedgerFault> {
        self.called.send(batch.len()).unwrap();
        match self.orders.recv() {
            Ok(Order::Obey) | Err(_) => self.sqlite.apply(batch, now),
            Ok(Order::Fail) => {
                let error = std::io::Error::other("told to fail");
                Err(LedgerFault::Commit(super::StoreError::new(error)))
            }
        }
    }
}

pub(crate) fn statement() -> Statement {
    Statement(Blob::try_from(vec![7; 200]).unwrap())
}

pub(crate) fn key_record(name: &str, version: u32) -> KeyRecord {
    KeyRecord {
        schema: Schema,
        name: name.parse().unwrap(),
        version,
        kind: KeyKind::CardMaster,
        state: KeyState::Active,
        id: ObjectIdentifier::new([9; 16]),
        check: CheckValue::Cmac { value: ShortCheck::new([1, 2, 3, 4, 5]) },
        test_key: true,
        made_at_ms: NOW_MS,
        attributes: List::default(),
        public: None,
    }
}

pub(crate) fn founding() -> FoundingLeaf {
    FoundingLeaf {
        schema: Schema,
        founding: Blob::try_from(people::founding_file().into_bytes()).unwrap(),
        signatures: List::default(),
        keys: List::try_from(vec![
            key_record("b", 1),
            key_record("a", 2),
            KeyRecord { kind: KeyKind::ValueSigning, ..key_record("value", 1) },
        ])
        .unwrap(),
        policy: sha256(&[b"policy"]),
    }
}

pub(crate) fn start() -> Change {
    let digest = sha256(&[b"program"]);
    Change::Start(StartLeaf {
        schema: Schema,
        program: digest,
        configuration: digest,
        policy: digest,
        version: "0.1.0".to_owned(),
    })
}

pub(crate) fn intent() -> KeyIntentLeaf {
    KeyIntentLeaf {
        schema: Schema,
        id: ObjectIdentifier::new([9; 16]),
        kind: KeyKind::Storage,
        name: "storage-c".parse().unwrap(),
        version: 1,
    }
}

pub(crate) fn outcome(intent: u64) -> Change {
    Change::KeyOutcome(KeyOutcomeLeaf {
        schema: Schema,
        intent,
        key: KeyRecord { kind: KeyKind::Storage, ..key_record("storage-c", 1) },
    })
}

pub(crate) fn rollback() -> Change {
    Change::RollbackShown(RollbackLeaf {
        schema: Schema,
        principal: "terminal-1".parse().unwrap(),
        shown: note(TreeHead { size: 9, root: Digest::new([9; 32]) }),
    })
}

/// The intent to make a storage key, and its outcome under that leaf.
pub(crate) fn storage_key(name: &str, id: u8) -> (Change, impl Fn(u64) -> Change) {
    let (id, kind) = (ObjectIdentifier::new([id; 16]), KeyKind::Storage);
    let key = KeyRecord { id, kind, ..key_record(name, 1) };
    let intent = KeyIntentLeaf { schema: Schema, id, kind, name: key.name.clone(), version: 1 };
    let outcome =
        move |intent| Change::KeyOutcome(KeyOutcomeLeaf { schema: Schema, intent, key: key.clone() });
    (Change::KeyIntent(intent), outcome)
}

/// A note over a head, signed by nobody.
pub(crate) fn note(head: TreeHead) -> SignedCheckpoint {
    let origin: Origin = "demo.keysvc.test/keysvc/1".parse().unwrap();
    SignedCheckpoint::assemble(&Checkpoint { origin, head }, &[1; 64], b"spki")
}

pub(crate) fn retry(idem: u64, asked: &[u8]) -> Retry {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&idem.to_be_bytes());
    Retry {
        principal: "terminal-1".parse().unwrap(),
        idem: Idem::new(bytes),
        payload_digest: sha256(&[asked]),
    }
}

/// Another request of the terminal's, of its own bytes: what is asked of the store of requests and no more.
pub(crate) fn other(idem: u64, asked: &[u8]) -> Change {
    let mut change = first_load(u32::try_from(idem).unwrap() + 1_000);
    if let Change::UpdateValue { retry: known, .. } = &mut change {
        *known = retry(idem, asked);
    }
    change
}

/// What an update asks: operation, amount, expected sequence number, balance before.
pub(crate) struct Ask(pub(crate) ValueOperation, pub(crate) u64, pub(crate) u64, pub(crate) u64);

pub(crate) fn request(ask: &Ask, card: CardUid) -> UpdateValue {
    UpdateValue {
        schema: Schema,
        programme: "coffee".parse().unwrap(),
        card,
        purse: 1,
        operation: ask.0,
        expected_seq: ask.2,
        amount: ask.1,
        currency: 978,
        balance_before: ask.3,
        txn: Idem::new([5; 16]),
    }
}

/// An update of the purse on [`CARD`], under its own idempotency key.
pub(crate) fn update(idem: u64, ask: &Ask) -> Change {
    Change::UpdateValue {
        retry: retry(idem, &idem.to_be_bytes()),
        request: request(ask, CARD.parse().unwrap()),
        terms: TERMS,
        terminal: "terminal-1".parse().unwrap(),
        statement: statement(),
        touches: touches(),
        value_key: "value".parse().unwrap(),
    }
}

/// What an update of the ground's purses touches.
pub(crate) fn touches() -> Touches {
    Touches {
        programme: Some("coffee".parse().unwrap()),
        terminal: Some("terminal-1".parse().unwrap()),
        keys: vec!["value".parse().unwrap()],
        ..Touches::default()
    }
}

/// The first load of card number `card`.
pub(crate) fn first_load(card: u32) -> Change {
    let mut uid = [4; 7];
    uid[3..].copy_from_slice(&card.to_be_bytes());
    let uid = CardUid::try_from(uid.as_slice()).unwrap();
    let mut change = update(0, &Ask(ValueOperation::Load, 1, 1, 0));
    if let Change::UpdateValue { retry: asked, request: load, .. } = &mut change {
        *asked = retry(card.into(), uid.as_bytes());
        *load = request(&Ask(ValueOperation::Load, 100, 1, 0), uid);
    }
    change
}

/// The update that a leaf says is signed.
pub(crate) fn update_in(leaf: &Recording) -> ValueUpdate {
    let leaf: ValueUpdatedLeaf = keysvc_protocol::cbor::decode(&leaf.payload, 1 << 17).unwrap();
    ValueUpdate::from_payload(leaf.update.as_bytes()).unwrap()
}

pub(crate) fn refused_leaf(principal: &str) -> RefusedLeaf {
    RefusedLeaf {
        schema: Schema,
        principal: principal.parse().unwrap(),
        operation: Operation::KeyGet,
        refusal: Refusal::Forbidden,
        request: sha256(&[b"request"]),
    }
}
