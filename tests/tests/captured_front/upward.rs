//! Lies to the keeper: whose a request is, what it says, when and how often it comes. All are well-formed calls.

use crate::{
    frames::{call, frame, peer, place},
    front::{Asked, Hands},
    table::{
        By::{Keeper, Nobody},
        Lie, Stage, Watch, each_once, lie,
    },
};
use keysvc::link::Peer;
use keysvc_client::signer::{FileSigner, StatementSigner as _};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor::{self, REQUEST_LEN_MAX},
    checkpoint::{Checkpoint, SignedCheckpoint},
    cose::Kind,
    job::{AGREEMENT_LIFE_MS, JobAct, JobAgreement},
    leaf::{LeafKind, RefusedLeaf},
    merkle::TreeHead,
    name::Name,
    refusal::Refusal,
    reply::{CheckpointReply, EntriesReply, StatusReply, ValueUpdateReply},
    request::{
        Envelope, OpenJob, Operation, ReadCheckpoint, ReadEntries, ReadStatus,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
};
use keysvc_tests::{
    agreed::idem,
    cards,
    ground::Ground,
    jobs::{Floor, head, now_ms},
    raw::{self, Answer, Caller, envelope, sign},
};
use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, thread, time::Duration};

/// What the front has: the link, requests that passed it and requests that it keeps back.
pub struct Upward {
    pub hands: Hands,
    pub watch: Watch,
    pub owner: Caller,
    /// A load that passed and was done: terminal-1's, sequence number 1.
    pub done: Vec<u8>,
    pub done_leaf: u64,
    /// Debits with the numbers 2 and 3 that wait here.
    pub kept: [Vec<u8>; 2],
    pub own: FileSigner,
    pub log: std::path::PathBuf,
    pub station: Caller,
    pub floor: Floor,
}

impl Stage for Upward {
    fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }
}

pub const LIES: &[Lie<Upward>] = &[
    lie("names another terminal as the caller of a terminal's request", Keeper, SIGNATURE, |s| {
        s.kept_as("terminal-2")
    }),
    lie("names an officer as the caller of a terminal's request", Keeper, SIGNATURE, |s| {
        s.kept_as("officer-1")
    }),
    lie("names a station as the caller of a terminal's request", Keeper, SIGNATURE, |s| {
        s.kept_as("station-1")
    }),
    lie("names an auditor as the caller of a terminal's request", Keeper, FORBIDDEN, |s| {
        s.kept_as("auditor-1")
    }),
    lie("names a key that nobody enrolled", Keeper, STRANGER, |s| {
        s.kept_by(&peer(Digest::new([7; 32]), "terminal", "terminal-1"))
    }),
    lie("gives a terminal's key another terminal's name", Keeper, STRANGER, |s| {
        s.named("terminal", "terminal-2")
    }),
    lie("gives a terminal's key an officer's name", Keeper, STRANGER, |s| s.named("officer", "officer-1")),
    lie("gives a terminal's key a name of another kind", Keeper, STRANGER, |s| {
        s.named("platform", "terminal-1")
    }),
    lie("gives a terminal's key a name of another site", Keeper, STRANGER, |s| {
        s.as_uri("spiffe://other.test/terminal/terminal-1")
    }),
    lie("gives a terminal's key no name", Keeper, STRANGER, |s| s.as_uri("")),
    lie("writes lines of the log into a caller's name", Keeper, STRANGER, Upward::forged_log),
    lie("alters the amount in a terminal's request", Keeper, SIGNATURE, Upward::other_amount),
    lie("alters each byte of a terminal's request, one after the other", Keeper, ALTERED, Upward::each_byte),
    lie("cuts a terminal's request off at each length", Keeper, ENCODING, Upward::each_length),
    lie("adds a byte to a terminal's request", Keeper, ENCODING, |s| s.body_of_kept(|body| body.push(0))),
    lie("takes the signature away", Keeper, NOT_SIGNED, Upward::unsigned),
    lie("signs a request with a key of its own", Keeper, SIGNATURE, Upward::own_signature),
    lie("puts one request's signature under another", Keeper, SIGNATURE, Upward::swapped_signature),
    lie("brings a terminal's request to every other operation", Keeper, ELSEWHERE, Upward::elsewhere),
    lie(
        "asks for what only auditors read in a terminal's name",
        Keeper,
        FORBIDDEN,
        Upward::reads_as_terminal,
    ),
    lie("puts something beside a request that brings nothing", Keeper, ENCODING, Upward::beside),
    lie("makes a request longer than one may be", Keeper, TOO_LONG, Upward::too_long),
    lie(
        "shows a larger log of its own making as what a client has seen",
        Keeper,
        SEEN,
        Upward::own_checkpoint,
    ),
    lie(
        "shows another root under the service's signature as what a client has seen",
        Keeper,
        SEEN,
        Upward::other_root,
    ),
    lie(
        "brings a later request before the earlier one",
        Keeper,
        "the next sequence number is 2",
        Upward::reordered,
    ),
    lie("plays a request again that was done", Keeper, "the first one's leaf, and no other", Upward::again),
    lie(
        "plays a request again a hundred times in one write",
        Keeper,
        "the first one's leaf, and no other",
        Upward::hundred,
    ),
    lie("brings a station's request as the other station's", Keeper, SIGNATURE, Upward::other_station),
    lie("holds a request back until its agreements have run out", Keeper, OVER, Upward::held_back),
    lie(
        "asks in an auditor's name for payloads of the log",
        Nobody,
        "read, and recorded as the auditor's",
        Upward::reads_as_auditor,
    ),
    lie("has a refusal recorded in anybody's name", Nobody, "recorded as terminal-2's", Upward::blames),
];

const SIGNATURE: &str =
    "the request is not valid: the statement does not verify with the enrolled statement key";
const NOT_SIGNED: &str = "the request is not valid: not a COSE_Sign1 in the profile's form";
const ENCODING: &str = "the request is not valid: not the typed message in core deterministic encoding";
const TOO_LONG: &str = "the request is not valid: too long";
const SEEN: &str = "the request is not valid: the checkpoint shown is not one this service signed";
const FORBIDDEN: &str = "the policies do not allow this";
const STRANGER: &str = "the caller is not enrolled";
const ALTERED: &str = "the request is not valid: not a COSE_Sign1 in the profile's form; \
    the request is not valid: the statement does not verify with the enrolled statement key";
const ELSEWHERE: &str = "the request is not valid: not the typed message in core deterministic encoding; \
    the request is not valid: the statement does not verify with the enrolled statement key";
const OVER: &str = "the approval does not count: it was signed too long ago, or in the future";

impl Upward {
    pub fn of(ground: &Ground) -> Self {
        let site = ground.site();
        let mut owner = Caller::new(site, "terminal-1");
        let message = |update| owner.message(Operation::ValueUpdate, cbor::encode(&update));
        let done = message(raw::update(Load, 1, 2_000, 0));
        let kept = [message(raw::update(Debit, 2, 350, 2_000)), message(raw::update(Debit, 3, 150, 1_650))];
        let reply: ValueUpdateReply = owner.line.put(Operation::ValueUpdate, done.clone()).unwrap();
        let mut floor = Floor::without_monitor(site);
        floor.prepare("job-1", &head("known", 1, 8));
        Self {
            hands: Hands::of(site, "terminal-1"),
            watch: Watch::of(site),
            owner,
            done,
            done_leaf: reply.receipt.leaf_index,
            kept,
            own: own_key(site.folder()),
            log: ground.log(),
            station: cards::holder(env!("CARGO_BIN_EXE_card"), site, "station-1"),
            floor,
        }
    }

    /// The service goes on as if nothing had been: what was kept back is done now, as it was asked for.
    pub fn close(&mut self) {
        for (seq, message) in (2..).zip(self.kept.clone()) {
            let reply: ValueUpdateReply = self.owner.line.put(Operation::ValueUpdate, message).unwrap();
            let leaf = reply.receipt.leaf.unwrap();
            assert!(leaf.check().is_ok(), "{seq}");
        }
    }

    fn put(&mut self, peer: &Peer, operation: Operation, body: &[u8]) -> String {
        said(&self.hands.link.ask(peer, operation, body))
    }

    fn kept_by(&mut self, peer: &Peer) -> String {
        let body = envelope(self.kept[0].clone());
        self.put(peer, Operation::ValueUpdate, &body)
    }

    fn kept_as(&mut self, persona: &str) -> String {
        let peer = self.hands.peer(persona);
        self.kept_by(&peer)
    }

    fn named(&mut self, kind: &str, name: &str) -> String {
        let pin = self.hands.peer("terminal-1").key_digest;
        self.kept_by(&peer(pin, kind, name))
    }

    fn as_uri(&mut self, uri: &str) -> String {
        let peer = Peer { uri: uri.to_owned(), ..self.hands.peer("terminal-1") };
        self.kept_by(&peer)
    }

    fn forged_log(&mut self) -> String {
        let line = "2026-11-22T00:00:00Z ERROR forged: the keeper ends";
        let told = self.as_uri(&format!("spiffe://x\n{line}\n\u{1b}[2K"));
        let log = fs::read_to_string(&self.log).unwrap();
        assert!(!log.lines().any(|one| one.contains("forged") && one.starts_with("2026-11-22T00:00:00Z")));
        assert!(!log.contains("\u{1b}[2K"), "nothing that a screen obeys");
        told
    }

    fn message(&mut self, message: Vec<u8>) -> String {
        let peer = self.hands.peer("terminal-1");
        self.put(&peer, Operation::ValueUpdate, &envelope(message))
    }

    fn body_of_kept(&mut self, change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut body = envelope(self.kept[0].clone());
        change(&mut body);
        let peer = self.hands.peer("terminal-1");
        self.put(&peer, Operation::ValueUpdate, &body)
    }

    fn other_amount(&mut self) -> String {
        // 350 in CBOR, and 3,934 in as many bytes.
        let (from, to) = ([0x19, 0x01, 0x5e], [0x19, 0x0f, 0x5e]);
        let mut message = self.kept[0].clone();
        let place = message.windows(3).position(|three| three == from).unwrap();
        message[place..place + 3].copy_from_slice(&to);
        self.message(message)
    }

    fn each_byte(&mut self) -> String {
        let whole = self.kept[0].clone();
        let told: Vec<_> = (0..whole.len())
            .map(|place| {
                let mut message = whole.clone();
                message[place] ^= 1 << (place % 8);
                self.message(message)
            })
            .collect();
        each_once(told)
    }

    fn each_length(&mut self) -> String {
        let whole = envelope(self.kept[0].clone());
        let peer = self.hands.peer("terminal-1");
        each_once((0..whole.len()).map(|len| self.put(&peer, Operation::ValueUpdate, &whole[..len])))
    }

    fn unsigned(&mut self) -> String {
        self.message(cbor::encode(&raw::update(Debit, 2, 350, 2_000)))
    }

    fn own_signature(&mut self) -> String {
        let payload = cbor::encode(&raw::update(Debit, 2, 2_000, 2_000));
        let genesis = self.owner.genesis;
        let message = sign(&self.own, Kind::Request(Operation::ValueUpdate), genesis.as_bytes(), payload);
        self.message(message)
    }

    fn swapped_signature(&mut self) -> String {
        let [two, three] = self.kept.clone();
        self.message([&two[..two.len() - 64], &three[three.len() - 64..]].concat())
    }

    fn elsewhere(&mut self) -> String {
        let body = envelope(self.kept[0].clone());
        let others = Operation::ALL.into_iter().filter(|one| *one != Operation::ValueUpdate);
        let told: Vec<_> =
            others.map(|operation| said(&self.hands.ask_as("terminal-1", operation, &body))).collect();
        each_once(told)
    }

    fn reads_as_terminal(&mut self) -> String {
        let read = envelope(cbor::encode(&ReadEntries { schema: Schema, from: 0, to: 4 }));
        said(&self.hands.ask_as("terminal-1", Operation::LogEntries, &read))
    }

    fn beside(&mut self) -> String {
        let request = Blob::try_from(self.kept[0].clone()).unwrap();
        let beside = Some(Blob::try_from(vec![1; 80]).unwrap());
        let body = cbor::encode(&Envelope { schema: Schema, request, seen: None, beside });
        said(&self.hands.ask_as("terminal-1", Operation::ValueUpdate, &body))
    }

    fn too_long(&mut self) -> String {
        said(&self.hands.ask_as("terminal-1", Operation::ValueUpdate, &vec![0; REQUEST_LEN_MAX + 1]))
    }

    /// The newest checkpoint, as anybody reads it.
    fn checkpoint(&mut self) -> SignedCheckpoint {
        let read = ReadCheckpoint { schema: Schema, genesis: false };
        let reply: CheckpointReply = self.owner.ask(Operation::LogCheckpoint, &read).unwrap();
        reply.checkpoint
    }

    fn shown(&mut self, seen: SignedCheckpoint) -> String {
        let request = Blob::try_from(self.kept[0].clone()).unwrap();
        let body = cbor::encode(&Envelope { schema: Schema, request, seen: Some(seen), beside: None });
        let told = said(&self.hands.ask_as("terminal-1", Operation::ValueUpdate, &body));
        // It is no evidence of a rollback, and stops nobody.
        let status: StatusReply = self.owner.ask(Operation::Status, &ReadStatus { schema: Schema }).unwrap();
        assert!(status.checkpoint.checkpoint().head.size > 1);
        told
    }

    fn own_checkpoint(&mut self) -> String {
        let genuine = self.checkpoint().checkpoint().clone();
        let head = TreeHead { size: genuine.head.size + 1_000, root: Digest::new([9; 32]) };
        let larger = Checkpoint { head, ..genuine };
        let signature = self.own.sign(larger.text().as_bytes()).unwrap();
        self.shown(SignedCheckpoint::assemble(&larger, &signature, self.own.public_key().spki()))
    }

    fn other_root(&mut self) -> String {
        let genuine = self.checkpoint();
        let note = String::from_utf8(genuine.as_bytes().to_vec()).unwrap();
        let root = note.lines().nth(2).unwrap();
        let other =
            if root.starts_with('A') { root.replacen('A', "B", 1) } else { format!("A{}", &root[1..]) };
        self.shown(SignedCheckpoint::parse(note.replacen(root, &other, 1).as_bytes()).unwrap())
    }

    fn reordered(&mut self) -> String {
        self.message(self.kept[1].clone())
    }

    fn again(&mut self) -> String {
        let answer = self.hands.ask_as("terminal-1", Operation::ValueUpdate, &envelope(self.done.clone()));
        self.only_the_first([answer])
    }

    fn hundred(&mut self) -> String {
        let peer = self.hands.peer("terminal-1");
        let content = call(&peer, place(Operation::ValueUpdate), &envelope(self.done.clone()));
        let all: Vec<u8> = (1_000..1_100).flat_map(|number| frame(number, &content)).collect();
        self.hands.link.send(&all);
        let answers: Vec<_> = (0..100).map(|_| self.hands.link.answer().unwrap().1).collect();
        self.only_the_first(answers)
    }

    fn only_the_first(&self, answers: impl IntoIterator<Item = Answer>) -> String {
        let leaves = answers.into_iter().map(|answer| {
            let reply: ValueUpdateReply = answer.read().unwrap();
            reply.receipt.leaf_index
        });
        if leaves.into_iter().all(|leaf| leaf == self.done_leaf) {
            "the first one's leaf, and no other".to_owned()
        } else {
            "another leaf".to_owned()
        }
    }

    fn opening(&self, signed_ms: u64) -> Vec<u8> {
        let job: Name = "job-1".parse().unwrap();
        let act = JobAct::Open { station: "station-1".parse().unwrap() };
        let agreement = |(person, signer): (&str, &dyn keysvc_client::signer::StatementSigner)| {
            let (job, act) = (job.clone(), act.clone());
            let person = person.parse().unwrap();
            let said = JobAgreement { schema: Schema, job, act, person, signed_ms, nonce: idem() };
            let message =
                sign(signer, Kind::JobAgreement, self.owner.genesis.as_bytes(), cbor::encode(&said));
            Blob::try_from(message).unwrap()
        };
        let [one, two] = &self.floor.operators;
        let agreements = [("operator-1", one.as_ref()), ("operator-2", two.as_ref())].map(agreement);
        let agreements = agreements.to_vec().try_into().unwrap();
        let request = OpenJob { schema: Schema, idem: idem(), job: job.clone(), agreements };
        self.station.message(Operation::JobOpen, cbor::encode(&request))
    }

    fn other_station(&mut self) -> String {
        let body = envelope(self.opening(now_ms()));
        said(&self.hands.ask_as("station-2", Operation::JobOpen, &body))
    }

    fn held_back(&mut self) -> String {
        // Signed so long ago that it is good for two seconds more; the front keeps it for three.
        let body = envelope(self.opening(now_ms() - AGREEMENT_LIFE_MS + 2_000));
        thread::sleep(Duration::from_secs(3));
        said(&self.hands.ask_as("station-1", Operation::JobOpen, &body))
    }

    fn reads_as_auditor(&mut self) -> String {
        let read = envelope(cbor::encode(&ReadEntries { schema: Schema, from: 0, to: 4 }));
        let asked = Asked { operation: Operation::LogEntries, body: read };
        let reply: EntriesReply =
            self.hands.ask_as("auditor-1", asked.operation, &asked.body).read().unwrap();
        assert!(reply.entries.iter().all(|leaf| leaf.payload.is_some()));
        "read, and recorded as the auditor's".to_owned()
    }

    fn blames(&mut self) -> String {
        self.watch.fresh();
        let refused = self.kept_as("terminal-2");
        assert_eq!(refused, SIGNATURE);
        let leaves = self.watch.fresh();
        let told: Vec<RefusedLeaf> = raw::of_kind(&leaves, LeafKind::Refused);
        // The first ten of a minute have leaves of their own, and terminal-2's second one is this.
        let [leaf] = told.as_slice() else { return format!("{told:?}") };
        format!("recorded as {}'s", leaf.principal)
    }
}

/// What the keeper said to a call.
fn said(answer: &Answer) -> String {
    match answer.status {
        200 => "done".to_owned(),
        202 => "waits for people".to_owned(),
        _ => words(&answer.refusal()),
    }
}

fn words(refusal: &Refusal) -> String {
    refusal.to_string()
}

/// A key that the front made itself.
pub fn own_key(folder: &std::path::Path) -> FileSigner {
    let path = folder.join(format!("front-{}.key", idem()));
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    FileSigner::read(&path).unwrap()
}
