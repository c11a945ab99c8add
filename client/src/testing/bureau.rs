//! A far end with a keeper's side over a real token: opens sessions, derives, takes results; each test adds what goes
//! wrong.

use super::{
    Key, Log, founding_leaf_of, founding_with, keys,
    people::ANN,
    service::{payload, serve, statement},
};
use crate::{
    agreement::{self, SignedAgreement},
    blocking,
    config::{ClientConfig, TokenSettings},
    connect::stand_in::Step,
    token_signer,
};
use keysvc_protocol::{
    bytes::{Blob, Digest, Exchange, Idem, ShortCheck, WrappedCardKey},
    card::CardUid,
    cbor,
    cose::Kind,
    delivery::{DeliveredKey, Delivery, ExchangeOpening},
    hash::sha256,
    job::{CardResult, ItemData, JobAct, JobItem, JobState},
    leaf::LeafKind,
    public_key::PublicKey,
    receipt::Receipt,
    refusal::{Conflict, Refusal},
    reply::{CardDeriveReply, JobChangedReply, JobCountReply, JobOpenReply},
    request::{CountJob, DeriveCardKeys, Envelope, GiveResults, OpenJob, Operation, ResumeJob},
    schema::Schema,
};
use keysvc_token::{
    CheckValue, DiversificationInput, KeyKind, MasterKey, ObjectId, Pin, Token, TransportKey,
    initialise_token, scratch::Scratch,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
};

const MASTER: ObjectId = ObjectId([1; 16]);
const SLOTS: [u8; 2] = [0, 3];

pub(crate) fn uid(last: u8) -> CardUid {
    CardUid::try_from([4, 0x78, 0x2e, 0x21, 0x80, 0x1d, last].as_slice()).unwrap()
}

/// What goes wrong.
#[derive(Default)]
pub(crate) struct Script {
    /// Before these derivations, counted from 1, the keeper restarts and forgets the transport key.
    pub(crate) restarts: Vec<usize>,
    /// The keeper opens another session where the same request comes again.
    pub(crate) other_session: bool,
    /// Every check value is turned by this.
    pub(crate) turn: u8,
    /// Cards that the job has room for.
    pub(crate) room: Option<usize>,
    /// What is refused: the number of the derivation, from 1, and its cards.
    pub(crate) refuse: Option<Refuses>,
    /// What is refused of results, by the number of the call.
    pub(crate) refuse_results: Option<fn(usize) -> Option<Refusal>>,
}

/// What is refused by what is asked.
pub(crate) struct Refuses(pub(crate) fn(usize, &[CardUid]) -> Option<Refusal>);

/// What the far end was asked, in order.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) opened: Vec<OpenJob>,
    pub(crate) derived: Vec<DeriveCardKeys>,
    pub(crate) results: Vec<Vec<CardResult>>,
    pub(crate) counted: Vec<CountJob>,
}

/// The keeper's side.
struct Keeper {
    script: Script,
    token: Token,
    master: MasterKey,
    statement_key: PublicKey,
    wrapping: Vec<u8>,
    genesis: Digest,
    sessions: BTreeMap<Idem, Exchange>,
    open: Option<(Exchange, TransportKey)>,
    /// The cards in hand or made.
    made: Vec<CardUid>,
    asked: Arc<Mutex<Asked>>,
}

impl Keeper {
    fn open(&mut self, envelope: &Envelope, operation: Operation) -> Vec<u8> {
        let request: OpenJob = if operation == Operation::JobOpen {
            payload(operation, envelope, &self.genesis, &self.statement_key)
        } else {
            let ResumeJob { schema, idem, job, agreements } =
                payload(operation, envelope, &self.genesis, &self.statement_key);
            OpenJob { schema, idem, job, agreements }
        };
        if self.script.other_session {
            self.sessions.remove(&request.idem);
        }
        let mut asked = self.asked.lock().unwrap();
        let number = u8::try_from(asked.opened.len() + 1).unwrap();
        let exchange = *self.sessions.entry(request.idem).or_insert(Exchange::new([number; 16]));
        let transport = TransportKey::generate(&self.token).unwrap();
        let CheckValue::Kw(check) = transport.check_value().unwrap() else { panic!("not by key wrap") };
        let opening = ExchangeOpening {
            schema: Schema,
            station: "station-1".parse().unwrap(),
            exchange,
            job: request.job.clone(),
            wrapping_key: sha256(&[&self.wrapping]),
            wrapped: Blob::try_from(transport.wrap_to(&self.wrapping).unwrap()).unwrap(),
            check: ShortCheck::new(check),
            expires_at_ms: crate::clock::now_ms() + 60_000,
        };
        asked.opened.push(request);
        self.open = Some((exchange, transport));
        statement(Kind::ExchangeOpening, &self.genesis, &opening)
    }

    fn derive(&mut self, asked: &DeriveCardKeys) -> Result<Vec<u8>, Refusal> {
        let number = self.asked.lock().unwrap().derived.len();
        if self.script.restarts.contains(&number) {
            self.open = None;
        }
        if let Some(refusal) = self.script.refuse.as_ref().and_then(|refuse| refuse.0(number, &asked.cards)) {
            return Err(refusal);
        }
        let open = self.open.as_ref().filter(|(open, _)| *open == asked.exchange);
        let (exchange, transport) = open.ok_or(Refusal::ExchangeUnknown)?;
        let mut cards: Vec<CardUid> = Vec::new();
        for card in asked.cards.iter() {
            if !self.made.contains(card) {
                if self.made.len() >= self.script.room.unwrap_or(usize::MAX) {
                    break;
                }
                self.made.push(*card);
            }
            cards.push(*card);
        }
        if cards.is_empty() {
            return Err(Refusal::StateConflict { reason: Conflict::JobComplete });
        }
        let keys: Vec<_> = cards.iter().flat_map(|card| self.keys(transport, card)).collect();
        let item = |card: &CardUid| JobItem {
            card: *card,
            data: ItemData(Blob::try_from(card.as_bytes().to_vec()).unwrap()),
        };
        let delivery = Delivery {
            schema: Schema,
            station: "station-1".parse().unwrap(),
            exchange: *exchange,
            idem: asked.idem,
            job: asked.job.clone(),
            generation: asked.generation,
            profile: "fob".parse().unwrap(),
            profile_version: 1,
            keys: keys.try_into().unwrap(),
            items: cards.iter().map(item).collect::<Vec<_>>().try_into().unwrap(),
        };
        Ok(statement(Kind::Delivery, &self.genesis, &delivery))
    }

    fn keys(&self, transport: &TransportKey, card: &CardUid) -> Vec<DeliveredKey> {
        let key = |slot: u8| {
            let input = [card.as_bytes(), &[slot; 9]].concat();
            let key = self.master.derive(&DiversificationInput::try_from(input.as_slice()).unwrap()).unwrap();
            let mut check = key.check_value().unwrap();
            check[0] ^= self.script.turn;
            let (wrapped, check) =
                (WrappedCardKey::new(transport.wrap(&key).unwrap()), ShortCheck::new(check));
            DeliveredKey { card: *card, slot, key_version: 1, wrapped, check }
        };
        SLOTS.map(key).to_vec()
    }

    fn answer(&mut self, operation: Operation, envelope: &Envelope, receipt: Receipt) -> Option<Step> {
        let receipt = Receipt { leaf: None, inclusion: None, ..receipt };
        Some(match operation {
            Operation::JobOpen | Operation::JobResume => {
                let opening = Blob::try_from(self.open(envelope, operation)).unwrap();
                Step::Reply(cbor::encode(&JobOpenReply { schema: Schema, opening, receipt }))
            }
            Operation::CardDerive => {
                let asked: DeriveCardKeys = payload(operation, envelope, &self.genesis, &self.statement_key);
                self.asked.lock().unwrap().derived.push(asked.clone());
                match self.derive(&asked) {
                    Ok(delivery) => {
                        let delivery = Blob::try_from(delivery).unwrap();
                        Step::Reply(cbor::encode(&CardDeriveReply { schema: Schema, delivery, receipt }))
                    }
                    Err(refusal) => Step::Refuse(refusal),
                }
            }
            Operation::CardResult => {
                let asked: GiveResults = payload(operation, envelope, &self.genesis, &self.statement_key);
                let mut all = self.asked.lock().unwrap();
                all.results.push(asked.results.into_vec());
                let number = all.results.len();
                match self.script.refuse_results.and_then(|refuse| refuse(number)) {
                    Some(refusal) => {
                        all.results.pop();
                        Step::Refuse(refusal)
                    }
                    None => changed(JobState::Open, receipt),
                }
            }
            Operation::JobCount => {
                let asked: CountJob = payload(operation, envelope, &self.genesis, &self.statement_key);
                let balanced = asked.counts.good == 2;
                self.asked.lock().unwrap().counted.push(asked);
                Step::Reply(cbor::encode(&JobCountReply { schema: Schema, balanced, receipt }))
            }
            Operation::JobIncident => changed(JobState::Open, receipt),
            Operation::JobClose => changed(JobState::Closed, receipt),
            _ => return None,
        })
    }
}

fn changed(state: JobState, receipt: Receipt) -> Step {
    Step::Reply(cbor::encode(&JobChangedReply { schema: Schema, state, receipt }))
}

/// A station with its far end.
pub(crate) struct Bureau {
    pub(crate) station: blocking::Station,
    pub(crate) asked: Arc<Mutex<Asked>>,
    pub(crate) config: ClientConfig,
    genesis: Digest,
}

impl Bureau {
    /// Agreements to this act on `job-1`, of two people.
    pub(crate) fn agreed(&self, act: &JobAct) -> [SignedAgreement; 2] {
        ["operator-1", "operator-2"].map(|person| {
            let said =
                agreement::said("job-1".parse().unwrap(), act.clone(), person.parse().unwrap()).unwrap();
            agreement::sign(&Key::new(ANN), &self.genesis, &said).unwrap()
        })
    }

    /// Agreements to open `job-1` here.
    pub(crate) fn opening(&self) -> [SignedAgreement; 2] {
        self.agreed(&JobAct::Open { station: "station-1".parse().unwrap() })
    }

    /// The same station, as a program that was started again has it.
    pub(crate) fn restarted(&self) -> blocking::Station {
        blocking::Station::connect(&self.config).unwrap()
    }
}

/// Makes both tokens, and runs `work` beside the far end.
pub(crate) fn with_bureau(scratch: &Scratch, script: Script, work: impl FnOnce(&Bureau) + Send) {
    let pin = || Pin::new("483920".into());
    initialise_token(scratch.module(), "station-1", &Pin::new("1029384756".into()), &pin()).unwrap();
    let settings =
        TokenSettings { module: scratch.module().to_owned(), label: "station-1".into(), pin_file: None };
    let token = token_signer::open(&settings, Some(pin())).unwrap();
    let made = |kind, byte| token.generate(kind, ObjectId([byte; 16]), "own").unwrap().public.unwrap();
    let (statement_spki, wrapping) = (made(KeyKind::Statement, 2), made(KeyKind::Wrapping, 3));
    let keeper_token = scratch.open();
    keeper_token.generate(KeyKind::CardMaster, MASTER, "master").unwrap();
    let mut log = Log(vec![founding_leaf_of(founding_with(&statement_spki, &wrapping), keys())]);
    log.append(LeafKind::Start, vec![0]);
    let (genesis, asked) = (log.trust().genesis, Arc::new(Mutex::new(Asked::default())));
    let mut keeper = Keeper {
        script,
        master: keeper_token.master_key(KeyKind::CardMaster, MASTER).unwrap(),
        token: keeper_token,
        statement_key: PublicKey::from_spki(&statement_spki).unwrap(),
        wrapping,
        genesis,
        sessions: BTreeMap::new(),
        open: None,
        made: Vec::new(),
        asked: asked.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ground = runtime.block_on(async {
        let (ground, _) = serve(log, move |service, operation, envelope| {
            service.log.append(LeafKind::Start, vec![1]);
            keeper.answer(operation, envelope, service.receipt(envelope))
        })
        .await;
        ground
    });
    ground.put("pin", "483920\n");
    let settings = TokenSettings { pin_file: Some(ground.folder().join("pin")), ..settings };
    let config = ClientConfig { token: Some(settings), statement: None, ..ground.config() };
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(ended));
        let station = blocking::Station::connect(&config).unwrap();
        work(&Bureau { station, asked, config, genesis });
        drop(end);
    });
}
