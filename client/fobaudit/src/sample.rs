//! A small real log for tests: founded, signed and hashed as the service does it, with keys of the tests' own.
//!
//! Every part can be altered before it is written to a folder, so that each test has one thing wrong.

mod ceremony;
mod founding;
mod governed;
mod job;
mod people;

pub(crate) use ceremony::Ceremony;
pub(crate) use founding::{
    ALICE, BOB, DORA, SPARE_KEY, TERMINAL_KEY, TestKey, VALUE_KEY, founding_leaf, later_key,
};
pub(crate) use governed::{COMPONENTS, IMPORTED};
pub(crate) use job::{FIRST, good as good_cards, uid};
pub(crate) use people::{enrolment, two};

use crate::{
    checks,
    fault::Fault,
    log_folder::LogFolder,
    registry::Registry,
    value::{self, Accepted, Refused},
    verify::{self, Alone, Task, Verification},
};
use founding::CHECKPOINT_KEY;
use keysvc_protocol::{
    bytes::{Blob, Digest, Idem, PreviousUpdate, Salt},
    cbor,
    checkpoint::{Checkpoint, Origin},
    control::{At, Control},
    cose::Kind,
    export::{CHECKPOINT_FILE, HashTile, LeafPayload, PayloadFile, SPAN_LEN, Span, Tiling, encode_entries},
    job::{self as jobs, Judge, Trust as Signed},
    leaf::{
        ActByQuorumLeaf, CardKeysDerivedLeaf, FoundingLeaf, LeafEntry, LeafKind, StartLeaf, Statement,
        ValueUpdatedLeaf,
    },
    merkle::{Frontier, leaf_hash},
    receipt::LeafEvidence,
    request::{Operation, UpdateValue, ValueOperation},
    schema::Schema,
    trust::Trust,
    value::{FLAG_NO_CARD_SESSION, ValueUpdate},
};
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// When the sample log begins, milliseconds since 1970-01-01 UTC.
pub(crate) const BEGIN_MS: u64 = 1_795_000_000_000;
/// A card with a 7-byte UID.
pub(crate) const CARD: &str = "04782e21801d80";

/// A log that is being made.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Its leaves.
    pub(crate) leaves: Vec<LeafEvidence>,
    /// The last update's payload, for the link of the next.
    pub(crate) last_update: Vec<u8>,
    /// What the leaves make of all that takes people, where the founding is one; those that do not hold change nothing.
    pub(crate) control: Option<Control>,
    /// The jobs and cards that the leaves make; those that do not hold change nothing.
    pub(crate) registry: Registry,
    /// How much later than a second after each other the leaves are from now on.
    pub(crate) later_ms: u64,
}

impl Sample {
    /// A log of founding and start.
    pub(crate) fn founded() -> Self {
        let mut sample = Self::founded_by(&founding_leaf());
        sample.push(LeafKind::Start, &start(91));
        sample
    }

    /// A log of this founding alone.
    pub(crate) fn founded_by(leaf: &FoundingLeaf) -> Self {
        let mut sample = Self {
            leaves: Vec::new(),
            last_update: Vec::new(),
            control: None,
            registry: Registry::default(),
            later_ms: 0,
        };
        sample.push(LeafKind::Founding, leaf);
        let text = str::from_utf8(leaf.founding.as_bytes()).unwrap_or_default();
        let founding = toml::from_str(text).ok();
        let genesis = sample.genesis();
        sample.control = founding.and_then(|founding| Control::found(founding, leaf, genesis).ok());
        sample
    }

    /// A log with a sealed job, and two updates of one purse.
    pub(crate) fn good() -> Self {
        let mut sample = Self::founded();
        sample.create_job(FIRST, Sample::head(1));
        sample.seal_job("data-2", FIRST);
        sample.update(|_| {});
        sample.update(|_| {});
        sample
    }

    /// The same with its job open in the session of exchange 1 from leaf 6 on, and card keys of two cards in leaf 7.
    pub(crate) fn working() -> Self {
        let mut sample = Self::good();
        sample.open_job(FIRST, 1);
        let derived = sample.derived(1, 1);
        sample.push(LeafKind::CardKeysDerived, &derived);
        sample
    }

    /// The digest that the trust file names.
    pub(crate) fn genesis(&self) -> Digest {
        leaf_hash(self.leaves[0].entry.as_bytes())
    }

    /// The trust file.
    pub(crate) fn trust(&self) -> Trust {
        Trust { domain: "demo.keysvc.test".parse().unwrap(), genesis: self.genesis() }
    }

    /// The time that the next leaf gets.
    pub(crate) fn next_time(&self) -> u64 {
        BEGIN_MS + self.next_index() * 1000 + self.later_ms
    }

    fn next_index(&self) -> u64 {
        u64::try_from(self.leaves.len()).unwrap()
    }

    /// Appends a leaf and gives its index.
    pub(crate) fn push<T: Serialize>(&mut self, kind: LeafKind, payload: &T) -> u64 {
        self.push_at(self.next_time(), kind, payload)
    }

    /// Appends a leaf of this time and gives its index.
    pub(crate) fn push_at<T: Serialize>(&mut self, time_ms: u64, kind: LeafKind, payload: &T) -> u64 {
        let index = self.next_index();
        let (salt, payload) = (Salt::new([9; 16]), cbor::encode(payload));
        let payload_digest = LeafEntry::digest_of(&salt, &payload);
        if let Some(control) = &mut self.control {
            let at = At { index, time_ms };
            drop(control.apply(at, kind, &payload));
            let act = matches!(kind, LeafKind::ActByQuorum | LeafKind::SealedActByQuorum);
            let act: Option<ActByQuorumLeaf> = act.then(|| checks::decode(&payload).ok()).flatten();
            let done = act.as_ref().map_or((kind, payload.as_slice()), |act| (act.kind, act.act.as_bytes()));
            let judge = Judge { control, at, trust: Signed::Caller, by_quorum: act.is_some() };
            let Ok(taken) = jobs::apply(&mut self.registry, &judge, done.0, done.1);
            drop(taken);
        }
        let entry = LeafEntry { schema: Schema, index, time_ms, kind, payload_digest };
        self.leaves.push(LeafEvidence {
            entry: Blob::try_from(cbor::encode(&entry)).unwrap(),
            salt: Some(salt),
            payload: Some(Blob::try_from(payload).unwrap()),
        });
        index
    }

    /// A statement by the key of this seed.
    pub(crate) fn statement<T: Serialize>(&self, seed: u8, operation: Operation, request: &T) -> Statement {
        let genesis = self.genesis();
        let signed =
            TestKey::new(seed).sign(Kind::Request(operation), genesis.as_bytes(), cbor::encode(request));
        Statement(Blob::try_from(signed).unwrap())
    }

    /// The leaf of two cards' keys in a session of the first job: of other cards for each number of the request.
    pub(crate) fn derived(&self, exchange: u8, idem: u8) -> CardKeysDerivedLeaf {
        let cards = [CARD.parse().unwrap(), uid(2)];
        let cards =
            if idem == 1 { cards } else { [uid(1000 + u32::from(idem)), uid(2000 + u32::from(idem))] };
        self.derived_of(FIRST, (exchange, idem), 1, &cards)
    }

    /// Appends a good update of purse 1, the next of `last_update`, with `alter` done to request and update alike.
    pub(crate) fn update(&mut self, alter: impl FnOnce(&mut ValueUpdate)) -> u64 {
        let leaf = self.update_leaf(TERMINAL_KEY, alter);
        self.last_update = leaf.update.as_bytes().to_vec();
        self.push(LeafKind::ValueUpdated, &leaf)
    }

    /// The leaf that [`Sample::update`] would append, with the statement by the key of this seed.
    pub(crate) fn update_leaf(&self, seed: u8, alter: impl FnOnce(&mut ValueUpdate)) -> ValueUpdatedLeaf {
        let last = ValueUpdate::from_payload(&self.last_update).ok();
        let balance_before = last.as_ref().map_or(0, |last| last.balance_after);
        let mut update = ValueUpdate {
            schema: Schema,
            programme: "coffee".parse().unwrap(),
            card: CARD.parse().unwrap(),
            purse: 1,
            operation: ValueOperation::Load,
            seq: last.as_ref().map_or(1, |last| last.seq + 1),
            amount: 2000,
            currency: 978,
            balance_before,
            balance_after: balance_before + 2000,
            previous: match last {
                Some(_) => ValueUpdate::link(&self.last_update),
                None => PreviousUpdate::new([0; 16]),
            },
            txn: Idem::new(u128::from(self.next_index()).to_be_bytes()),
            terminal: "terminal-1".parse().unwrap(),
            issued_at_ms: self.next_time(),
            expires_at_ms: self.next_time() + 86_400_000,
            flags: FLAG_NO_CARD_SESSION,
            evidence: None,
        };
        alter(&mut update);
        let request = UpdateValue {
            schema: Schema,
            programme: update.programme.clone(),
            card: update.card,
            purse: update.purse,
            operation: update.operation,
            expected_seq: update.seq,
            amount: update.amount,
            currency: update.currency,
            balance_before: update.balance_before,
            txn: update.txn,
        };
        ValueUpdatedLeaf {
            schema: Schema,
            update: Blob::try_from(cbor::encode(&update)).unwrap(),
            statement: self.statement(seed, Operation::ValueUpdate, &request),
        }
    }

    /// The record that the value key of this seed signs for the last update.
    pub(crate) fn signed_record(&self, seed: u8) -> Vec<u8> {
        TestKey::new(seed).sign(Kind::ValueUpdate, self.genesis().as_bytes(), self.last_update.clone())
    }

    /// The signed checkpoint over all leaves.
    pub(crate) fn note(&self) -> Vec<u8> {
        self.note_by(CHECKPOINT_KEY)
    }

    /// The checkpoint over all leaves, signed with the key of this seed.
    pub(crate) fn note_by(&self, seed: u8) -> Vec<u8> {
        let mut tree = Frontier::new();
        self.leaves.iter().for_each(|leaf| drop(tree.append(leaf_hash(leaf.entry.as_bytes()))));
        let origin = Origin::of(&"demo.keysvc.test".parse().unwrap(), 1);
        TestKey::new(seed).note(&Checkpoint { origin, head: tree.head() })
    }

    /// Writes the log as an export folder, under its own checkpoint.
    pub(crate) fn export(&self) -> Export {
        self.export_under(&self.note())
    }

    /// Writes the log as an export folder, under this checkpoint.
    pub(crate) fn export_under(&self, note: &[u8]) -> Export {
        let export = Export { folder: tempfile::tempdir().unwrap(), trust: self.trust() };
        fs::write(export.path(CHECKPOINT_FILE), note).unwrap();
        let mut tiling = Tiling::new();
        let hashes = self.leaves.iter().map(|leaf| leaf_hash(leaf.entry.as_bytes()));
        let mut tiles: Vec<HashTile> = hashes.flat_map(|hash| tiling.append(hash)).collect();
        tiles.extend(tiling.partial());
        for tile in tiles {
            export.put(&tile.path(), &tile.to_bytes());
        }
        for (number, part) in (0..).zip(self.leaves.chunks(usize::try_from(SPAN_LEN).unwrap())) {
            let span = Span::of(number, self.next_index()).unwrap();
            let entries = encode_entries(part.iter().map(|leaf| leaf.entry.as_bytes())).unwrap();
            let payloads = part.iter().cloned();
            let payloads =
                payloads.map(|leaf| LeafPayload { salt: leaf.salt, payload: leaf.payload }).collect();
            export.put(&span.entries_path(), &entries);
            export.put(&span.payload_path(), &cbor::encode(&PayloadFile::new(payloads).unwrap()));
        }
        export
    }

    /// Verifies the log under its own checkpoint.
    pub(crate) fn verify(&self) -> Verification {
        self.export().verify()
    }
}

/// A start under the policies of this number.
pub(crate) fn start(policy: u8) -> StartLeaf {
    StartLeaf {
        schema: Schema,
        program: Digest::new([1; 32]),
        configuration: Digest::new([2; 32]),
        policy: Digest::new([policy; 32]),
        version: "0.1.0".to_owned(),
    }
}

/// A written export folder, and the trust that it is verified with.
#[derive(Debug)]
pub(crate) struct Export {
    folder: TempDir,
    /// What is trusted.
    pub(crate) trust: Trust,
}

impl Export {
    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Changes a file of the log.
    pub(crate) fn alter(&self, name: &str, alter: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(name)).unwrap();
        alter(&mut bytes);
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Writes a file beside the log and gives its path.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Verifies the log.
    pub(crate) fn verify(&self) -> Verification {
        self.verify_after(&[])
    }

    /// Verifies that the log continues older checkpoints.
    pub(crate) fn verify_after(&self, previous: &[PathBuf]) -> Verification {
        verify::run(LogFolder::new(self.folder.path()), &self.trust, previous).unwrap()
    }

    /// Verifies the log with the state in this file, and keeps the new one there.
    pub(crate) fn verify_from(&self, state: &Path) -> Result<Verification, Fault> {
        self.verify_from_after(state, &[])
    }

    /// The same, where the log must continue older checkpoints too.
    pub(crate) fn verify_from_after(
        &self,
        state: &Path,
        previous: &[PathBuf],
    ) -> Result<Verification, Fault> {
        let folder = LogFolder::new(self.folder.path());
        let task = Task { previous, state: Some(state), ..Task::of(folder, &self.trust) };
        let verification = verify::run_beside(&task, &mut Alone, &mut |_, _| {})?;
        verification.state.iter().try_for_each(|next| next.save(state))?;
        Ok(verification)
    }

    /// Verifies the log, and puts its acts into words.
    pub(crate) fn controls(&self) -> Verification {
        let folder = LogFolder::new(self.folder.path());
        let task = Task { acts: true, ..Task::of(folder, &self.trust) };
        verify::run_beside(&task, &mut Alone, &mut |_, _| {}).unwrap()
    }

    /// Verifies a record against the log.
    pub(crate) fn value(&self, record: &[u8], last_seq: Option<u64>) -> Result<Accepted, Refused> {
        value::run(record, LogFolder::new(self.folder.path()), &self.trust, last_seq).unwrap()
    }
}
