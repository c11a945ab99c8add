//! The tests' floor: a station with its people, and every act of a job signed by who does it.

use super::{NOW_MS, Store, founding, key_record, moment, people::person, seals, storage_key};
use crate::keeper::ledger::{
    change::{Change, Outcome, Recording, Retry, Touches},
    seal::{DataKeys, Seal, SealClass, Seals},
};
use keysvc_protocol::{
    bytes::{Blob, Exchange, Idem, ObjectIdentifier, ShortCheck},
    card::{CardState, CardUid, HolderRef},
    cbor,
    cose::Kind,
    hash::sha256,
    job::{
        AGREEMENT_LEN_MAX, CardResult, Counts, Incident, ItemData, Job, JobAct, JobAgreement, JobHead,
        JobItem, Outcome as Became, PurgeReceipt, Suspended, Tally,
    },
    key::{KeyKind, KeyRecord},
    leaf::{
        CardsChangedLeaf, IncidentReportedLeaf, JobChangedLeaf, JobItemsLeaf, JobPurgedLeaf,
        KeyDestroyedLeaf, Statement,
    },
    name::{Name, Reason},
    refusal::Refusal,
    request::{
        AddJobItems, Agreements, CloseJob, CountJob, CreateJob, DeriveCardKeys, GiveResults, MoveCards,
        OpenJob, Operation, ReportIncident, ResumeJob, SealJob, SuspendJob, WithdrawJob,
    },
    schema::Schema,
};
use serde::Serialize;
use std::path::PathBuf;
use tempfile::TempDir;

pub(crate) const STATION: &str = "station-1";
pub(crate) const OPERATORS: [&str; 2] = ["operator-1", "operator-2"];
pub(crate) const SESSION_MS: u64 = 3_600_000;

pub(crate) fn card(number: u32) -> CardUid {
    let mut uid = [4; 7];
    uid[3..].copy_from_slice(&number.to_be_bytes());
    CardUid::try_from(uid.as_slice()).unwrap()
}

pub(crate) fn cards(numbers: std::ops::Range<u32>) -> Vec<CardUid> {
    numbers.map(card).collect()
}

pub(crate) fn words(text: &str) -> Reason {
    text.parse().unwrap()
}

/// A job of so many cards for the station.
pub(crate) fn head(issued: u32, listed: bool) -> JobHead {
    JobHead {
        schema: Schema,
        order: words("4711"),
        customer: words("coffee"),
        profile: "tag".parse().unwrap(),
        profile_version: 1,
        lot: words("lot 1"),
        station: STATION.parse().unwrap(),
        equipment: words("encoder 1"),
        ordered: 1,
        issued,
        carried_over: 0,
        listed,
        due_ms: NOW_MS + 30 * 86_400_000,
    }
}

/// What was signed, with all that a change wants of it.
struct Signed {
    retry: Retry,
    principal: Name,
    statement: Statement,
}

/// A founded store with a station and its people.
pub(crate) struct Floor {
    pub(crate) store: Store,
    pub(crate) seals: Seals,
    pub(crate) now_ms: u64,
    pub(crate) exchange: Exchange,
    folder: PathBuf,
    asked: u64,
}

impl Floor {
    pub(crate) fn founded(folder: &TempDir) -> Self {
        let seals = seals();
        seals.install(&Seal::new(2, SealClass::Incident, &[2; 32]));
        let mut store = Store::open(folder, seals.clone());
        let storage = |name, id| {
            let id = ObjectIdentifier::new([id; 16]);
            KeyRecord { kind: KeyKind::Storage, id, ..key_record(name, 1) }
        };
        let made = [storage("storage", 0x10), storage("storage.incident", 0x20)];
        let mut leaf = founding();
        leaf.keys = leaf.keys.iter().chain(&made).cloned().collect::<Vec<_>>().try_into().unwrap();
        store.recorded(&Change::Founding { leaf });
        let keys = DataKeys::open(folder.path()).unwrap();
        for (id, key) in (1_u32..).zip(&made) {
            assert_eq!(keys.add(key.id, &[0; 40]).unwrap().id, id);
        }
        let exchange = Exchange::new([0; 16]);
        Self { store, seals, now_ms: NOW_MS, exchange, folder: folder.path().to_path_buf(), asked: 0 }
    }

    /// A floor over a store that is there; its requests are numbered from `asked` on.
    pub(crate) fn over(folder: &TempDir, seals: Seals, asked: u64) -> Self {
        let store = Store::open(folder, seals.clone());
        store.restored.clone().unwrap();
        let exchange = Exchange::new([0; 16]);
        Self { store, seals, now_ms: NOW_MS, exchange, folder: folder.path().to_path_buf(), asked }
    }

    /// The same after a restart.
    pub(crate) fn reopened(self, folder: &TempDir) -> Self {
        let Self { store, seals, now_ms, exchange, folder: path, asked } = self;
        drop(store);
        let store = Store::open(folder, seals.clone());
        store.restored.clone().unwrap();
        Self { store, seals, now_ms, exchange, folder: path, asked }
    }

    pub(crate) fn made(&mut self, change: &Change) -> Recording {
        self.store.made(change, moment(self.now_ms))
    }

    /// Has a change refused, and finds the refusal's leaf.
    pub(crate) fn refused(&mut self, change: &Change) -> Refusal {
        let before = self.store.reader.head().size;
        let Outcome::Refused(refusal) = self.store.at(change, moment(self.now_ms)) else {
            panic!("not refused: {change:?}")
        };
        let leaf = self.store.reader.leaf(before).unwrap();
        let said: keysvc_protocol::leaf::RefusedLeaf = cbor::decode(&leaf.payload, 1 << 17).unwrap();
        assert_eq!((said.refusal, self.store.reader.head().size), (refusal.clone(), before + 1));
        // So that none is only counted.
        self.now_ms += super::MINUTE_MS / 10;
        refusal
    }

    pub(crate) fn job(&self, name: &str) -> (Job, Tally) {
        self.store.reader.job(&name.parse().unwrap()).unwrap().unwrap()
    }

    fn number(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    fn idem(&mut self) -> Idem {
        let mut bytes = [0xf1; 16];
        bytes[8..].copy_from_slice(&self.number().to_be_bytes());
        Idem::new(bytes)
    }

    fn signed(&self, by: &str, operation: Operation, idem: Idem, request: &impl Serialize) -> Signed {
        let asked = self.store.asked(by, operation, 0, request);
        let retry = Retry { idem, ..asked.retry };
        Signed { principal: retry.principal.clone(), retry, statement: asked.proposed.statement }
    }

    fn altered(
        &self,
        (job, by): (&str, &str),
        operation: Operation,
        idem: Idem,
        request: &impl Serialize,
    ) -> Change {
        let Signed { retry, principal, statement } = self.signed(by, operation, idem, request);
        let leaf = JobChangedLeaf { schema: Schema, principal, operation, statement };
        Change::AlterJob { retry, job: job.parse().unwrap(), leaf }
    }

    pub(crate) fn agreement(&mut self, person_: &str, job: &str, act: &JobAct) -> Blob<AGREEMENT_LEN_MAX> {
        let agreement = JobAgreement {
            schema: Schema,
            job: job.parse().unwrap(),
            act: act.clone(),
            person: person_.parse().unwrap(),
            signed_ms: self.now_ms,
            nonce: self.idem(),
        };
        let genesis = self.store.genesis();
        let signed = person(person_).sign(Kind::JobAgreement, &genesis, cbor::encode(&agreement));
        Blob::try_from(signed).unwrap()
    }

    fn agreements(&mut self, people: &[&str], job: &str, act: &JobAct) -> Agreements {
        let all: Vec<_> = people.iter().map(|person| self.agreement(person, job, act)).collect();
        all.try_into().unwrap()
    }

    pub(crate) fn create(&mut self, by: &str, job: &str, head: JobHead) -> Change {
        let idem = self.idem();
        let request = CreateJob { schema: Schema, idem, job: job.parse().unwrap(), head };
        self.altered((job, by), Operation::JobCreate, idem, &request)
    }

    /// Makes the storage key and the data key of a job.
    pub(crate) fn make_key(&mut self, job: &str) -> ObjectIdentifier {
        let id = u8::try_from(self.number() % 100).unwrap() + 0x40;
        let name = format!("storage.job.{job}");
        let (intent, outcome) = storage_key(&name, id);
        let intent = self.made(&intent).index;
        self.made(&outcome(intent));
        let storage = ObjectIdentifier::new([id; 16]);
        let row = DataKeys::open(&self.folder).unwrap().add(storage, &[id; 40]).unwrap();
        self.seals.install(&Seal::new(row.id, SealClass::Job(job.parse().unwrap()), &[id; 32]));
        storage
    }

    /// Destroys it again; as the service does, before it says so.
    pub(crate) fn destroy_key(&mut self, job: &str, storage: ObjectIdentifier) {
        DataKeys::open(&self.folder).unwrap().erase(&storage).unwrap();
        self.seals.forget_job(&job.parse().unwrap());
        let name = format!("storage.job.{job}").parse().unwrap();
        let intent = self.store.reader.head().size - 1;
        let gone = KeyDestroyedLeaf { schema: Schema, intent, name, version: 1, id: storage };
        self.made(&Change::KeyDestroyed(gone));
    }

    pub(crate) fn items(&mut self, by: &str, job: &str, cards: &[CardUid]) -> Change {
        let data = |card: &CardUid| ItemData(Blob::try_from(format!("data of {card}").into_bytes()).unwrap());
        let items: Vec<_> = cards.iter().map(|card| JobItem { card: *card, data: data(card) }).collect();
        let (idem, job) = (self.idem(), job.parse::<Name>().unwrap());
        let request =
            AddJobItems { schema: Schema, idem, job: job.clone(), items: items.try_into().unwrap() };
        let Signed { retry, principal, statement } = self.signed(by, Operation::JobItems, idem, &request);
        Change::AddItems { retry, job, leaf: JobItemsLeaf { schema: Schema, principal, statement } }
    }

    pub(crate) fn seal(&mut self, by: &str, job: &str) -> Change {
        let (found, _) = self.job(job);
        let idem = self.idem();
        let request = SealJob {
            schema: Schema,
            idem,
            job: found.name.clone(),
            head: found.head.digest(),
            items: found.items,
            root: found.manifest_root().unwrap(),
        };
        self.altered((job, by), Operation::JobSeal, idem, &request)
    }

    pub(crate) fn withdraw(&mut self, by: &str, job: &str) -> Change {
        let (idem, reason) = (self.idem(), words("not wanted"));
        let request = WithdrawJob { schema: Schema, idem, job: job.parse().unwrap(), reason };
        self.altered((job, by), Operation::JobWithdraw, idem, &request)
    }

    /// A job that is made by one and sealed by another.
    pub(crate) fn sealed(&mut self, job: &str, issued: u32, listed: &[CardUid]) {
        let create = self.create("data-1", job, head(issued, !listed.is_empty()));
        self.made(&create);
        for part in listed.chunks(500) {
            let items = self.items("data-1", job, part);
            self.made(&items);
        }
        let seal = self.seal("data-2", job);
        self.made(&seal);
    }

    pub(crate) fn open(&mut self, job: &str, operators: &[&str]) -> Change {
        let station: Name = STATION.parse().unwrap();
        let agreements = self.agreements(operators, job, &JobAct::Open { station });
        let (idem, job) = (self.idem(), job.parse::<Name>().unwrap());
        let request = OpenJob { schema: Schema, idem, job: job.clone(), agreements };
        let signed = self.signed(STATION, Operation::JobOpen, idem, &request);
        self.session(job, Operation::JobOpen, signed)
    }

    pub(crate) fn resume(&mut self, job: &str) -> Change {
        let station: Name = STATION.parse().unwrap();
        let agreements = self.agreements(&OPERATORS, job, &JobAct::Resume { station });
        let (idem, job) = (self.idem(), job.parse::<Name>().unwrap());
        let request = ResumeJob { schema: Schema, idem, job: job.clone(), agreements };
        let signed = self.signed(STATION, Operation::JobResume, idem, &request);
        self.session(job, Operation::JobResume, signed)
    }

    fn session(&mut self, job: Name, operation: Operation, signed: Signed) -> Change {
        let Signed { retry, principal, statement } = signed;
        self.exchange = Exchange::new(*self.idem().as_bytes());
        Change::OpenJob {
            retry,
            touches: Touches {
                station: Some(principal.clone()),
                job: Some(job.clone()),
                ..Touches::default()
            },
            station: principal,
            operation,
            job,
            exchange: self.exchange,
            life_ms: SESSION_MS,
            statement,
        }
    }

    pub(crate) fn derive(&mut self, job: &str, generation: u32, cards: &[CardUid]) -> Change {
        let (idem, job) = (self.idem(), job.parse::<Name>().unwrap());
        let (exchange, cards) = (self.exchange, cards.to_vec().try_into().unwrap());
        let request = DeriveCardKeys { schema: Schema, idem, exchange, job: job.clone(), generation, cards };
        let Signed { retry, principal, statement } =
            self.signed(STATION, Operation::CardDerive, idem, &request);
        let touches = Touches { station: Some(principal.clone()), job: Some(job), ..Touches::default() };
        Change::DeriveCardKeys { retry, station: principal, request, statement, touches }
    }

    pub(crate) fn results(&mut self, job: &str, became: &[(CardUid, Became)]) -> Change {
        let readback = |outcome: &Became| match outcome {
            Became::Reject { .. } => Vec::new(),
            _ => vec![ShortCheck::new([1, 2, 3, 4, 5])],
        };
        let results = became.iter().map(|(card, outcome)| CardResult {
            card: *card,
            outcome: outcome.clone(),
            readback: readback(outcome).try_into().unwrap(),
        });
        let results: Vec<_> = results.collect();
        let (idem, job) = (self.idem(), job.parse::<Name>().unwrap());
        let request =
            GiveResults { schema: Schema, idem, job: job.clone(), results: results.try_into().unwrap() };
        let operation = Operation::CardResult;
        let Signed { retry, principal, statement } = self.signed(STATION, operation, idem, &request);
        let leaf = CardsChangedLeaf { schema: Schema, principal, operation, statement };
        Change::GiveResults { retry, job, leaf }
    }

    pub(crate) fn good(&mut self, job: &str, cards: &[CardUid]) -> Change {
        let became: Vec<_> = cards.iter().map(|card| (*card, Became::Good)).collect();
        self.results(job, &became)
    }

    pub(crate) fn suspend(&mut self, by: &str, job: &str) -> Change {
        let suspended = Suspended { counts: Counts::default(), place: words("vault"), cause: words("noon") };
        let idem = self.idem();
        let request = SuspendJob { schema: Schema, idem, job: job.parse().unwrap(), suspended };
        self.altered((job, by), Operation::JobSuspend, idem, &request)
    }

    pub(crate) fn count(&mut self, job: &str, counts: Counts) -> Change {
        let people = ["operator-1", "reviewer-1"];
        let agreements = self.agreements(&people, job, &JobAct::Count { counts });
        let idem = self.idem();
        let request = CountJob { schema: Schema, idem, job: job.parse().unwrap(), counts, agreements };
        self.altered((job, STATION), Operation::JobCount, idem, &request)
    }

    pub(crate) fn incident(&mut self, job: &str) -> Change {
        let incident = Incident {
            equipment: words("encoder 1"),
            time_ms: self.now_ms,
            cause: words("jam"),
            place: words("tray"),
            in_hand: 1,
        };
        let act = JobAct::Incident { incident: incident.clone() };
        let agreements = self.agreements(&["operator-1", "reviewer-1"], job, &act);
        let (idem, job) = (self.idem(), job.parse::<Name>().unwrap());
        let request = ReportIncident { schema: Schema, idem, job: job.clone(), incident, agreements };
        let Signed { retry, principal, statement } =
            self.signed(STATION, Operation::JobIncident, idem, &request);
        let leaf = IncidentReportedLeaf { schema: Schema, station: principal, statement };
        Change::ReportIncident { retry, job, leaf }
    }

    pub(crate) fn close(&mut self, job: &str) -> Change {
        let receipt = PurgeReceipt {
            station: STATION.parse().unwrap(),
            erased_ms: self.now_ms,
            files: 3,
            method: words("shredded"),
        };
        let act = JobAct::Close { receipt: receipt.clone() };
        let agreements = self.agreements(&["monitor-1"], job, &act);
        let idem = self.idem();
        let request = CloseJob { schema: Schema, idem, job: job.parse().unwrap(), receipt, agreements };
        self.altered((job, STATION), Operation::JobClose, idem, &request)
    }

    pub(crate) fn purged(job: &str, had_key: bool) -> Change {
        Change::JobPurged(JobPurgedLeaf { schema: Schema, job: job.parse().unwrap(), had_key })
    }

    pub(crate) fn transition(&mut self, by: &str, cards: &[CardUid], to: CardState) -> Change {
        let holder = (cards.len() == 1 && to == CardState::Active)
            .then(|| HolderRef(Blob::try_from(b"holder 7".to_vec()).unwrap()));
        let (idem, cards) = (self.idem(), cards.to_vec());
        let request = MoveCards {
            schema: Schema,
            idem,
            cards: cards.clone().try_into().unwrap(),
            to,
            location: None,
            holder,
        };
        let operation = Operation::CardTransition;
        let Signed { retry, principal, statement } = self.signed(by, operation, idem, &request);
        let leaf = CardsChangedLeaf { schema: Schema, principal, operation, statement };
        let touches = Touches { store: Some("store-1".parse().unwrap()), ..Touches::default() };
        Change::MoveCards { retry, leaf, cards, touches }
    }

    /// A request about cards as its requester signed it, for people to agree to.
    pub(crate) fn as_request(change: &Change) -> super::people::Request {
        let (retry, operation, statement) = match change {
            Change::DeriveCardKeys { retry, statement, .. } => (retry, Operation::CardDerive, statement),
            Change::MoveCards { retry, leaf, .. } => (retry, leaf.operation, &leaf.statement),
            other => panic!("nobody's to agree to: {other:?}"),
        };
        let proposed = keysvc_protocol::proposal::Proposed {
            operation,
            requester: retry.principal.clone(),
            statement: statement.clone(),
        };
        super::people::Request { retry: retry.clone(), proposed }
    }

    /// An unsigned digest, for requests whose bytes do not matter.
    pub(crate) fn digest(&mut self) -> keysvc_protocol::bytes::Digest {
        sha256(&[&self.number().to_be_bytes()])
    }
}
