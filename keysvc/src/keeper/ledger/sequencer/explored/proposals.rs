//! Proposals in many orders: votes, a rejection, a withdrawal, the end of their time and their execution come to one queue
//! at one time, over the real store and the real state of what takes people.
//!
//! What the keeper does between them, it does here in the same order: after each approval it looks whether enough agreed,
//! and then has the act recorded, and a refused act end its proposal. The keeper lets one execution at a time through; here
//! nothing does, for the transaction alone must decide.

use super::{
    explore,
    queue::{Options, Queue, Store as Written},
    sync::{block_on, chance, point, thread},
};
use crate::keeper::ledger::{
    backend::{Applied, Backend},
    change::{Change, Outcome},
    clock::Clock,
    fault::LedgerFault,
    reader::Reader,
    sqlite::ground::{
        NOW_MS, Store,
        people::{Request, by_quorum, person},
        seals,
    },
};
use keysvc_protocol::{
    bytes::{Blob, Digest, Idem, ProposalId},
    cbor,
    control::Moment,
    cose::{Kind, Signed},
    freeze::Scope,
    hash::sha256,
    leaf::{LeafKind, ProposalClosedLeaf, ProposalMadeLeaf, ProposalVotedLeaf},
    proposal::{ProposalEnd, ProposalState},
    quorum::{Approval, Verdict},
    refusal::Refusal,
    request::{CancelProposal, LiftFreeze, Operation, SetFreeze},
    schema::Schema,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

const LIFE_MS: u64 = 3_600_000;

/// One store for all schedules, each of which has a proposal of its own in it.
struct Ground {
    store: Arc<Mutex<Store>>,
    reader: Reader,
    genesis: Digest,
    now_ms: Arc<AtomicU64>,
    numbers: AtomicU64,
}

/// The real store, lent to one queue after the other.
struct Lent(Arc<Mutex<Store>>);

impl Backend for Lent {
    fn apply(&mut self, batch: &[Change], now: Moment) -> Result<Applied, LedgerFault> {
        point();
        Ok(self.0.lock().unwrap().apply_at(batch, now))
    }
}

impl Ground {
    fn new(folder: &TempDir) -> Self {
        let store = Store::founded(folder);
        let (reader, genesis) = (store.reader.clone(), store.genesis());
        let (store, numbers) = (Arc::new(Mutex::new(store)), AtomicU64::new(1));
        Self { store, reader, genesis, now_ms: Arc::new(AtomicU64::new(NOW_MS)), numbers }
    }

    fn idem(&self) -> Idem {
        let mut idem = [0xa5; 16];
        idem[..8].copy_from_slice(&self.numbers.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Idem::new(idem)
    }

    fn queue(&self) -> Arc<Queue> {
        let now_ms = Arc::clone(&self.now_ms);
        let written = Written {
            backend: Box::new(Lent(Arc::clone(&self.store))),
            show: Box::new(|_| {}),
            head: self.reader.head(),
            clock: Clock::new(move || now_ms.load(Ordering::Relaxed)),
        };
        let options = Options { queue_len: 16, batch_max: 1 + chance(3), gather: Duration::from_millis(1) };
        Arc::new(Queue::start(written, options).unwrap())
    }

    /// A request by Anna under an idempotency key of its own.
    fn asked(&self, operation: Operation, idem: Idem, request: &impl serde::Serialize) -> Request {
        let mut asked = self.store.lock().unwrap().asked("anna", operation, 0, request);
        asked.retry.idem = idem;
        asked
    }

    fn state(&self, id: &ProposalId) -> ProposalState {
        self.reader.proposal(id).unwrap().unwrap().state
    }

    fn is_frozen(&self) -> bool {
        self.reader.control().unwrap().freezes().get(&scope()).is_some()
    }
}

fn scope() -> Scope {
    Scope::Terminal { name: "terminal-2".parse().unwrap() }
}

fn because() -> keysvc_protocol::name::Reason {
    "because".parse().unwrap()
}

/// One proposal, to lift a freeze, which takes two.
struct Asked {
    ground: Arc<Ground>,
    queue: Arc<Queue>,
    id: ProposalId,
    lift: Request,
    proposal: Vec<u8>,
    /// The log before it.
    from: u64,
}

impl Asked {
    fn new(ground: &Arc<Ground>) -> Arc<Self> {
        let queue = ground.queue();
        let (schema, reason) = (Schema, because());
        if !ground.is_frozen() {
            let idem = ground.idem();
            let freeze = SetFreeze { schema, idem, scope: scope(), reason: reason.clone() };
            let freeze = ground.asked(Operation::FreezeSet, idem, &freeze);
            recorded(&queue, freeze.alter()).unwrap();
        }
        let from = ground.reader.head().size;
        let idem = ground.idem();
        let lift = LiftFreeze { schema, idem, scope: scope(), reason };
        let lift = ground.asked(Operation::FreezeLift, idem, &lift);
        let id = ProposalId::new(*idem.as_bytes());
        let propose = Change::Propose {
            retry: lift.retry.clone(),
            request: lift.proposed.clone(),
            need: None,
            id,
            life_ms: LIFE_MS,
        };
        recorded(&queue, propose).unwrap();
        let made = ground.reader.proposal(&id).unwrap().unwrap().made;
        let made: ProposalMadeLeaf = cbor::decode(&made.payload, 1 << 17).unwrap();
        let (ground, proposal) = (Arc::clone(ground), made.proposal.into_bytes());
        Arc::new(Self { ground, queue, id, lift, proposal, from })
    }

    fn vote(&self, officer: &str, verdict: Verdict) -> Change {
        let approval = Approval {
            schema: Schema,
            proposal: sha256(&[&self.proposal]),
            verdict,
            signed_at_ms: NOW_MS,
            nonce: self.ground.idem(),
        };
        let message = person(officer).sign(Kind::Approval, &self.ground.genesis, cbor::encode(&approval));
        Change::Vote {
            caller: officer.parse().unwrap(),
            proposal: self.id,
            verdict,
            approval: Blob::try_from(message).unwrap(),
            request: sha256(&[b"request"]),
        }
    }

    /// What the keeper does with an approval.
    fn approve(&self, officer: &str) {
        let _told = recorded(&self.queue, self.vote(officer, Verdict::Approve));
        self.execute_if_ready();
    }

    /// What the keeper does after each approval, and when somebody asks what became of it.
    fn execute_if_ready(&self) {
        let control = self.ground.reader.control().unwrap();
        point();
        let Some(open) = control.proposals().get(&self.id) else { return };
        let late = self.ground.now_ms.load(Ordering::Relaxed) > open.proposal.expires_ms;
        if late || !control.counted(&self.id).is_ok_and(|(_, met)| met) {
            return;
        }
        let act = by_quorum(self.lift.alter(), &open.evidence());
        if let Err(refusal) = recorded(&self.queue, act) {
            if self.ground.reader.control().unwrap().proposals().get(&self.id).is_some() {
                self.close(ProposalEnd::Failed { refusal });
            }
        } else {
            assert!(matches!(self.ground.state(&self.id), ProposalState::Executed { .. }));
        }
    }

    fn close(&self, end: ProposalEnd) {
        let leaf = ProposalClosedLeaf { schema: Schema, proposal: self.id, end };
        let _told = recorded(&self.queue, Change::CloseProposal(leaf));
    }

    fn cancel(&self) {
        let (idem, reason) = (self.ground.idem(), because());
        let request = CancelProposal { schema: Schema, idem, id: self.id, reason };
        let asked = self.ground.asked(Operation::ProposalCancel, idem, &request);
        let (retry, statement) = (asked.retry, asked.proposed.statement);
        let _told = recorded(&self.queue, Change::Cancel { retry, proposal: self.id, statement });
    }

    /// Its time ends, and the service closes it.
    fn expire(&self) {
        self.ground.now_ms.fetch_add(LIFE_MS + 1, Ordering::Relaxed);
        self.close(ProposalEnd::Expired);
    }

    /// It ended once, by one of its ends, with enough people where it was executed, and nothing came after.
    fn judge(&self) {
        let size = self.ground.reader.head().size;
        let (mut approved, mut ends, mut acts) = (0, 0, 0);
        for index in self.from..size {
            let leaf = self.ground.reader.leaf(index).unwrap();
            match leaf.kind {
                LeafKind::ActByQuorum | LeafKind::SealedActByQuorum => {
                    assert!(approved >= 2, "executed after {approved} approvals");
                    (acts, ends) = (acts + 1, ends + 1);
                }
                LeafKind::ProposalClosed => ends += 1,
                LeafKind::ProposalVoted => {
                    assert_eq!(ends, 0, "a vote counts after the end");
                    match verdict(&leaf.payload) {
                        Verdict::Approve => approved += 1,
                        Verdict::Reject => ends += 1,
                    }
                }
                LeafKind::FreezeChanged => panic!("lifted by nobody's quorum"),
                _ => {}
            }
        }
        let state = self.ground.state(&self.id);
        if state == ProposalState::Open {
            assert_eq!((ends, acts), (0, 0));
        } else {
            assert_eq!(ends, 1, "it ended {ends} times: {state:?}");
        }
        assert_eq!(matches!(state, ProposalState::Executed { .. }), acts == 1, "{state:?}");
        assert_eq!(self.ground.is_frozen(), acts == 0, "what was done is what the log says: {state:?}");
        assert_eq!(self.ground.reader.control().unwrap().proposals().get(&self.id).is_some(), ends == 0);
    }
}

/// What an officer said in a vote's leaf.
fn verdict(payload: &[u8]) -> Verdict {
    let leaf: ProposalVotedLeaf = cbor::decode(payload, 1 << 17).unwrap();
    let signed = Signed::parse(leaf.approval.as_bytes()).unwrap();
    cbor::decode::<Approval>(signed.recorded_payload(), 1 << 17).unwrap().verdict
}

/// Has a change recorded; its leaf, or why it has none.
fn recorded(queue: &Queue, change: Change) -> Result<u64, Refusal> {
    match block_on(queue.submit(change)).unwrap().outcome {
        Outcome::Recorded(leaf) => Ok(leaf.index),
        Outcome::Refused(refusal) => Err(refusal),
        Outcome::Counted => panic!("a change of people's is counted"),
    }
}

/// Two approvals or three, and whatever else may come to it.
fn history(ground: &Arc<Ground>) {
    let asked = Asked::new(ground);
    let spawn = |act: fn(&Asked)| {
        let asked = Arc::clone(&asked);
        thread::spawn(move || act(&asked))
    };
    let mut all = vec![spawn(|asked| asked.approve("boris")), spawn(|asked| asked.approve("clara"))];
    match chance(6) {
        0 => all.push(spawn(|asked| asked.approve("anna"))),
        1 => all.push(spawn(|asked| {
            let _told = recorded(&asked.queue, asked.vote("anna", Verdict::Reject));
        })),
        2 => all.push(spawn(Asked::cancel)),
        3 => all.push(spawn(Asked::expire)),
        4 => all.extend([spawn(Asked::cancel), spawn(Asked::execute_if_ready)]),
        _ => all.push(spawn(|asked| asked.approve("boris"))),
    }
    for one in all {
        one.join().unwrap();
    }
    asked.judge();
    // None is left open, for the next schedule's sake; one that has ended stays as it is.
    asked.cancel();
    asked.queue.close();
    asked.judge();
}

/// In memory where the system has such a folder: a commit's sync is not what is tried here.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[test]
fn a_proposal_ends_once_and_is_executed_only_after_enough_approved() {
    let folder = folder();
    let ground = Arc::new(Ground::new(&folder));
    let own = Arc::clone(&ground);
    explore(10, move || history(&own));
    // A start believes the leaves alone, and comes to the same.
    let before = ground.reader.control().unwrap().digest();
    drop(ground);
    let again = Store::open(&folder, seals());
    again.restored.clone().unwrap();
    assert_eq!(again.reader.control().unwrap().digest(), before);
}
