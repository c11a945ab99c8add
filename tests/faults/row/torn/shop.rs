//! A serving service that is killed while it makes keys: what lay in the token's folder at that moment, what its next start
//! said of it, and whether whoever asked had the key at last.

use super::{Left, held::held};
use keysvc_protocol::{
    bytes::ObjectIdentifier,
    card::CardUid,
    cbor,
    job::{ItemData, JobItem},
    key::{KeyKind, KeyRecord, KeyState},
    leaf::{KeyIntentLeaf, KeyOutcomeLeaf, LeafKind},
    name::Name,
    quorum::Verdict,
    reply::KeyReply,
    request::{AddJobItems, ApproveProposal, Operation, ReadKey},
    schema::Schema,
};
use keysvc_tests::{
    agreed::{create, idem, name, propose},
    audited::{audited, store_verified},
    cards::{Card, holding},
    ended::ended,
    ground::{Ground, text},
    jobs::{Floor, head},
    killed_at::Strace,
    outage::{Witness, long_lived},
    pieces::Pieces,
    raw::{self, Caller, Line, envelope, http},
    watched::send,
};
use rustix::process::Signal;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// Longer than a key takes to be made after everything was killed.
const LONG: Duration = Duration::from_secs(40);

/// What a key is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    /// The storage key of a job, at its first card.
    Job,
    /// A value signing key that two officers ordered.
    Pair,
    /// A card master key that two officers ordered.
    Master,
}

impl Making {
    /// Objects of such a key.
    pub(super) const fn halves(self) -> u64 {
        match self {
            Self::Pair => 2,
            Self::Job | Self::Master => 1,
        }
    }

    const fn born(self) -> KeyState {
        match self {
            Self::Job => KeyState::Active,
            Self::Pair | Self::Master => KeyState::PreActivation,
        }
    }
}

/// When the keeper is killed.
#[derive(Debug)]
pub(super) enum How<'a> {
    /// So long after the request left.
    After(Duration),
    /// As it enters this call for the so-manyth time after that.
    At(&'a Strace, &'static str, u64),
}

/// The request that has a key made.
struct Begun {
    persona: &'static str,
    operation: Operation,
    message: Vec<u8>,
    key: Name,
    making: Making,
}

/// The service and its people.
pub(super) struct Shop {
    ground: Ground,
    floor: Floor,
    officers: [Caller; 2],
    reader: Caller,
    witness: Witness,
    tokens: PathBuf,
    whole_before: u64,
    orphans: u64,
    acked: Vec<KeyRecord>,
    halves: u64,
    number: u32,
}

impl Shop {
    pub(super) fn new() -> Self {
        let ground = long_lived();
        let site = ground.site();
        let program = std::env::current_exe().unwrap();
        let officers = ["officer-1", "officer-2"]
            .map(|persona| holding(Card::insert_as((&program, &["card"]), site, persona), site, persona));
        let tokens = site.service().token_folder();
        Self {
            floor: Floor::without_monitor(site),
            officers,
            reader: Caller::new(site, "platform-1"),
            witness: Witness::new(site, "auditor-1"),
            whole_before: Pieces::of(&tokens).whole() as u64,
            tokens,
            orphans: 0,
            acked: Vec::new(),
            halves: 0,
            number: 0,
            ground,
        }
    }

    /// How many keys were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.acked.len()
    }

    /// Makes one without a kill; how long it takes, in microseconds.
    pub(super) fn made_whole(&mut self, making: Making) -> Result<u64, String> {
        let begun = self.begin(making);
        let began = Instant::now();
        self.asked_again(&begun)?;
        u64::try_from(began.elapsed().as_micros()).map_err(|error| error.to_string())
    }

    fn begin(&mut self, making: Making) -> Begun {
        self.number += 1;
        let number = self.number;
        let own = format!("torn-{number}");
        if making == Making::Job {
            let mut about = head("known", 1, 1);
            about.listed = true;
            self.floor.create(&own, &about).unwrap();
            let request = AddJobItems {
                schema: Schema,
                idem: idem(),
                job: name(&own),
                items: vec![item(number)].try_into().unwrap(),
            };
            let operation = Operation::JobItems;
            let message = self.floor.data[0].message(operation, cbor::encode(&request));
            let key = name(&format!("storage.job.{own}"));
            return Begun { persona: "data-1", operation, message, key, making };
        }
        let kind = if making == Making::Pair { KeyKind::ValueSigning } else { KeyKind::CardMaster };
        let [ann, ben] = &mut self.officers;
        let pending = propose(ann, Operation::KeyCreate, &create(&own, kind)).unwrap();
        pending.approve(ann).unwrap();
        let approval = pending.verdict(ben, Verdict::Approve);
        let request = ApproveProposal { schema: Schema, id: pending.id(), approval };
        let operation = Operation::ProposalApprove;
        let message = ben.message(operation, cbor::encode(&request));
        Begun { persona: "officer-2", operation, message, key: name(&own), making }
    }

    /// Has a key made and the keeper killed meanwhile; then whoever asked asks again.
    pub(super) fn killed(&mut self, making: Making, how: &How<'_>) -> Result<Left, String> {
        let begun = self.begin(making);
        let before = Pieces::of(&self.tokens);
        let started = self.witness.started()?.ok_or("no keeper answers before the kill")?;
        let said = self.ground.said().len();
        let killed = self.kill_in(&begun, how)?;
        // Before the next keeper begins to make anything: it is still starting.
        let pieces = Pieces::of(&self.tokens).since(&before);
        self.witness.restarted(started, killed)?;
        let log = self.ground.said();
        let listed = log.get(said..).unwrap_or_default().lines().any(|line| {
            line.contains("an intent without outcome: its object is not used")
                && line.contains(&format!("key={} ", begun.key))
        });
        let torn = pieces.iter().any(|piece| piece.is_torn());
        let recorded = self.record(&begun.key);
        if !listed && (torn || (!pieces.is_empty() && recorded.is_none())) {
            return Err(format!("{}: the start lists nothing of {pieces:?}", begun.key));
        }
        self.asked_again(&begun)?;
        if !listed && recorded.is_some() && recorded != self.record(&begun.key) {
            return Err(format!("{}: its record changed", begun.key));
        }
        if listed {
            self.orphans += pieces.iter().filter(|piece| !piece.is_torn()).count() as u64;
            return Ok(Left::Pieces(pieces));
        }
        Ok(if recorded.is_none() { Left::Pieces(pieces) } else { Left::Made })
    }

    fn kill_in(&self, begun: &Begun, how: &How<'_>) -> Result<Instant, String> {
        let keeper = self.ground.half("keeper").ok_or("there is no keeper")?;
        let mut line = Line::open(self.ground.site(), begun.persona);
        let bytes = http(begun.operation.name(), &envelope(begun.message.clone()));
        let sent = |line: &mut Line| line.send(&bytes).map_err(|error| error.to_string());
        match how {
            How::After(delay) => {
                sent(&mut line)?;
                thread::park_timeout(*delay);
            }
            How::At(strace, call, number) => {
                let attached = strace.attach(keeper, call, *number)?;
                sent(&mut line)?;
                // The front's, when the keeper is dead; the keeper's own, when it never came so far.
                line.answer().map_err(|error| error.to_string())?;
                drop(attached);
            }
        }
        let killed = Instant::now();
        if self.ground.half("keeper") == Some(keeper) {
            send(keeper, Signal::KILL);
        }
        Ok(killed)
    }

    /// Repeats the request until the key is there, once and whole.
    fn asked_again(&mut self, begun: &Begun) -> Result<(), String> {
        let (mut line, began) = (Line::open(self.ground.site(), begun.persona), Instant::now());
        let record = loop {
            let status = line.post(begun.operation.name(), &envelope(begun.message.clone())).status;
            match self.record(&begun.key) {
                // Of an approval that had counted already the repetition is refused; a job's is the same reply again.
                Some(record) if status == 200 || begun.making != Making::Job => break record,
                _ if began.elapsed() > LONG => return Err(format!("{}: not made", begun.key)),
                _ => thread::park_timeout(Duration::from_millis(5)),
            }
        };
        if (record.state, record.version) != (begun.making.born(), 1) {
            return Err(format!("{}: version {}, {:?}", begun.key, record.version, record.state));
        }
        self.halves += begun.making.halves();
        self.acked.push(record);
        Ok(())
    }

    /// The key as it is on record; of a name that is used once.
    fn record(&mut self, key: &Name) -> Option<KeyRecord> {
        let request = ReadKey { schema: Schema, name: key.clone(), version: None };
        self.reader.ask::<KeyReply>(Operation::KeyGet, &request).ok().map(|reply| reply.key)
    }

    /// What does not hold at the end: of log, token, doctor and store.
    pub(super) fn settled(&mut self) -> Vec<String> {
        let mut broken = Vec::new();
        let leaves = raw::leaves(&self.ground);
        let intents: Vec<KeyIntentLeaf> = raw::of_kind(&leaves, LeafKind::KeyIntent);
        let outcomes: Vec<KeyOutcomeLeaf> = raw::of_kind(&leaves, LeafKind::KeyOutcome);
        let made: BTreeSet<_> = outcomes.iter().map(|leaf| leaf.key.id).collect();
        let names: BTreeSet<_> = outcomes.iter().map(|leaf| (&leaf.key.name, leaf.key.version)).collect();
        if names.len() != outcomes.len() {
            broken.push("a key was made twice".to_owned());
        }
        let open: Vec<&KeyIntentLeaf> = intents.iter().filter(|intent| !made.contains(&intent.id)).collect();
        let on_record: BTreeSet<ObjectIdentifier> = self.acked.iter().map(|record| record.id).collect();
        if let Some(used) = open.iter().find(|intent| on_record.contains(&intent.id)) {
            broken.push(format!("{}: acknowledged, and its making has no outcome", used.name));
        }
        let whole = Pieces::of(&self.tokens).whole() as u64;
        let expected = self.whole_before + self.halves + self.orphans;
        if whole != expected {
            broken.push(format!("{whole} whole objects in the token, not {expected}"));
        }
        broken.extend(audited(&self.ground, &self.ground.site().folder().join("export")).err());
        broken.extend(store_verified(&mut self.ground).err());
        let doctor = ended(self.ground.keysvc(&["doctor"]));
        let said = text(&doctor);
        if !doctor.status.success() {
            broken.push(said.clone());
        }
        let unsaid = open.iter().filter(|intent| !said.contains(&intent.id.to_string())).count();
        if unsaid > 0 {
            broken.push(format!("doctor says nothing of {unsaid} keys whose making was broken off"));
        }
        broken.extend(held(&self.ground, &self.acked).err());
        broken
    }
}

fn item(number: u32) -> JobItem {
    let card: CardUid = format!("0411223344{number:04x}aabb00").parse().unwrap();
    JobItem { card, data: ItemData(format!("holder of card {number}").into_bytes().try_into().unwrap()) }
}
