//! Many clients at many purses: each sends what may conflict with the others' requests, and notes what it saw.
//!
//! At most [`TOGETHER_MAX`] requests are under way at one purse, and no purse gets more than [`OPERATIONS_MAX`], so that
//! the tester ends. It judges nothing but that one purse's number has one payload.

use super::{
    Moments, Seen,
    purse::{Ask, Done, Told},
};
use crate::{
    ground::Ground,
    outage::answered,
    raw::{Answer, Caller, Line, envelope, http},
    watched,
};
use keysvc_client::Terminal;
use keysvc_protocol::{
    bytes::Idem,
    cbor,
    cose::Signed,
    refusal::Refusal,
    reply::ValueUpdateReply,
    request::{
        Operation, UpdateValue,
        ValueOperation::{self, Debit, Load},
    },
    schema::Schema,
    value::ValueUpdate,
};
use rustix::process::Signal;
use softhsm_setup::Site;
use std::{
    collections::BTreeMap,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Requests under way at one purse at one time.
pub const TOGETHER_MAX: usize = 4;
/// Requests at one purse in one history, without the two that read it at the end.
pub const OPERATIONS_MAX: usize = 40;
/// Requests at one purse whose answer the client does not wait for.
const CUT_MAX: usize = 2;
/// Purses that most requests go to at one moment.
const BUSY: usize = 12;
/// More than any balance.
const NO_BALANCE: u64 = u64::MAX >> 1;
const TERMINAL: &str = "terminal-1";

/// What one run is.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Clients.
    pub clients: usize,
    /// Purses.
    pub purses: usize,
    /// How long clients begin something new.
    pub length: Duration,
    /// When the keeper is killed, if it is.
    pub kill: Option<Duration>,
    /// A number of the run's own, which makes its cards.
    pub run: u16,
    /// What the clients' chances are drawn from.
    pub seed: u64,
}

/// What came of one run.
#[derive(Debug)]
pub struct Crowd {
    /// The history of each purse.
    pub histories: Vec<Vec<Seen<Ask, Told>>>,
    /// What contradicts itself without any order: two payloads at one place.
    pub contradictions: Vec<String>,
    /// Every payload that was received.
    pub payloads: Vec<Vec<u8>>,
}

/// One purse, as the clients share what they know of it.
#[derive(Debug, Default)]
struct Shared {
    flying: AtomicUsize,
    begun: AtomicUsize,
    cut: AtomicUsize,
    known: Mutex<Known>,
    seen: Mutex<Vec<Seen<Ask, Told>>>,
}

/// What clients believe of a purse, which may be behind.
#[derive(Debug, Default)]
struct Known {
    seq: u64,
    balance: u64,
    sent: Vec<UpdateValue>,
}

struct Scene<'a> {
    site: &'a Site,
    plan: Plan,
    began: Instant,
    moments: Moments,
    purses: Vec<Shared>,
    payloads: Mutex<BTreeMap<(usize, u64), Vec<u8>>>,
    contradictions: Mutex<Vec<String>>,
    // All that were begun have ended.
    quiet: Barrier,
}

/// Lets a crowd at a service that serves, and waits until all have ended and each purse was read once more.
///
/// # Panics
/// When a client cannot connect, or is answered what no client here can be.
#[must_use]
pub fn crowd(ground: &Ground, plan: Plan) -> Crowd {
    let scene = Scene {
        site: ground.site(),
        plan,
        began: Instant::now(),
        moments: Moments::default(),
        purses: (0..plan.purses).map(|_| Shared::default()).collect(),
        payloads: Mutex::default(),
        contradictions: Mutex::default(),
        quiet: Barrier::new(plan.clients),
    };
    thread::scope(|scope| {
        for number in 0..plan.clients {
            let scene = &scene;
            scope.spawn(move || Client::new(scene, number).work());
        }
        if let Some(after) = plan.kill {
            thread::park_timeout(after.saturating_sub(scene.began.elapsed()));
            if let Some(keeper) = ground.half("keeper") {
                watched::send(keeper, Signal::KILL);
            }
        }
    });
    let histories = scene.purses.into_iter().map(|purse| purse.seen.into_inner().unwrap()).collect();
    let payloads = scene.payloads.into_inner().unwrap().into_values().collect();
    Crowd { histories, contradictions: scene.contradictions.into_inner().unwrap(), payloads }
}

impl Scene<'_> {
    fn card(&self, purse: usize) -> String {
        let [high, low] = self.plan.run.to_be_bytes();
        let purse = u16::try_from(purse).unwrap();
        format!("04c0{high:02x}{low:02x}{purse:04x}5a")
    }

    fn ask(
        &self,
        purse: usize,
        operation: ValueOperation,
        amount: u64,
        (seq, before): (u64, u64),
    ) -> UpdateValue {
        UpdateValue {
            schema: Schema,
            programme: "coffee".parse().unwrap(),
            card: self.card(purse).parse().unwrap(),
            purse: 1,
            operation,
            expected_seq: seq,
            amount,
            currency: 978,
            balance_before: before,
            txn: Terminal::new_txn().unwrap(),
        }
    }

    /// Notes what was signed: at one place there is one payload.
    fn signed(&self, purse: usize, payload: &[u8]) -> Done {
        let update = ValueUpdate::from_payload(payload).unwrap();
        let mut payloads = self.payloads.lock().unwrap();
        let first = payloads.entry((purse, update.seq)).or_insert_with(|| payload.to_vec());
        if first.as_slice() != payload {
            let line = format!("two payloads of {} at number {}", update.card, update.seq);
            self.contradictions.lock().unwrap().push(line);
        }
        let mut known = self.purses[purse].known.lock().unwrap();
        if update.seq > known.seq {
            (known.seq, known.balance) = (update.seq, update.balance_after);
        }
        Done::from(&update)
    }
}

struct Client<'a> {
    scene: &'a Scene<'a>,
    number: usize,
    caller: Caller,
    chances: fastrand::Rng,
}

impl<'a> Client<'a> {
    fn new(scene: &'a Scene<'a>, number: usize) -> Self {
        let chances =
            fastrand::Rng::with_seed(scene.plan.seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { scene, number, caller: Caller::new(scene.site, TERMINAL), chances }
    }

    fn work(&mut self) {
        while self.scene.began.elapsed() < self.scene.plan.length {
            let purse = self.choose();
            let shared = &self.scene.purses[purse];
            let is_free = shared.flying.fetch_add(1, Ordering::SeqCst) < TOGETHER_MAX
                && shared.begun.load(Ordering::SeqCst) < OPERATIONS_MAX;
            if is_free {
                shared.begun.fetch_add(1, Ordering::SeqCst);
                let request = self.draw(purse);
                let cut = self.chances.u8(..50) == 0 && shared.cut.fetch_add(1, Ordering::SeqCst) < CUT_MAX;
                self.send(purse, request, cut);
            }
            shared.flying.fetch_sub(1, Ordering::SeqCst);
            if !is_free {
                // All of a history's requests may be spent.
                thread::park_timeout(Duration::from_millis(1));
            }
        }
        self.scene.quiet.wait();
        for purse in (self.number..self.scene.plan.purses).step_by(self.scene.plan.clients) {
            self.read(purse);
        }
    }

    /// One of a few purses that change as time goes on, or any.
    fn choose(&mut self) -> usize {
        let (purses, plan) = (self.scene.plan.purses, &self.scene.plan);
        if self.chances.u8(..5) == 0 {
            return self.chances.usize(..purses);
        }
        let gone = self.scene.began.elapsed().as_millis() * purses as u128 / plan.length.as_millis().max(1);
        (usize::try_from(gone).unwrap() + self.chances.usize(..BUSY)) % purses
    }

    /// A good update by what is known, or one that is behind, wrong, repeated, or another under a number that was used.
    fn draw(&mut self, purse: usize) -> UpdateValue {
        let mut known = self.scene.purses[purse].known.lock().unwrap();
        let (seq, balance) = (known.seq, known.balance);
        let sent = (!known.sent.is_empty()).then(|| self.chances.usize(..known.sent.len()));
        let sent = sent.map(|place| known.sent[place].clone());
        let next = (seq + 1, balance);
        let request = match (self.chances.u8(..20), sent) {
            (0..=2, Some(again)) => again,
            (3, Some(other)) => UpdateValue { amount: other.amount + 1, ..other },
            (4, _) => self.scene.ask(purse, Load, 100, (seq.max(1), balance)),
            (5, _) => self.scene.ask(purse, Load, 100, (seq + 1, balance + 1)),
            (6, _) => self.scene.ask(purse, Debit, balance + 1, next),
            (7..=12, _) if balance > 0 => {
                self.scene.ask(purse, Debit, self.chances.u64(1..=balance.min(20_000)), next)
            }
            _ => self.scene.ask(purse, Load, self.chances.u64(1..=50_000), next),
        };
        known.sent.push(request.clone());
        request
    }

    /// Sends a request and notes what came of it. A connection that is cut, and a service that is away, leave it open
    /// whether it was done.
    fn send(&mut self, purse: usize, request: UpdateValue, cut: bool) {
        let message = self.caller.message(Operation::ValueUpdate, cbor::encode(&request));
        let bytes = http(Operation::ValueUpdate.name(), &envelope(message));
        let asked = self.scene.moments.next();
        let sent = self.caller.line.send(&bytes);
        let answer = if cut { None } else { sent.and_then(|()| self.caller.line.answer()).ok() };
        let told = self.scene.moments.next();
        let told = answer.as_ref().and_then(|answer| self.hear(purse, answer)).map(|ret| (told, ret));
        let is_open = told.is_none();
        self.scene.purses[purse].seen.lock().unwrap().push(Seen { asked, op: Ask(request), told });
        if is_open {
            self.reconnect();
        }
    }

    fn hear(&self, purse: usize, answer: &Answer) -> Option<Told> {
        match answer.read::<ValueUpdateReply>() {
            Ok(reply) => {
                let signed = Signed::parse(reply.record.as_bytes()).unwrap();
                Some(Told::Done(self.scene.signed(purse, signed.recorded_payload())))
            }
            Err(refusal) if refusal.retryable() => None,
            Err(refusal) => {
                let mut known = self.scene.purses[purse].known.lock().unwrap();
                match refusal {
                    Refusal::CounterConflict { expected_seq } if expected_seq > known.seq + 1 => {
                        known.seq = expected_seq - 1;
                    }
                    Refusal::BalanceMismatch { balance } => known.balance = balance,
                    _ => {}
                }
                Some(Told::Refused(refusal))
            }
        }
    }

    /// A new connection, as soon as there is a keeper behind it.
    fn reconnect(&mut self) {
        let since = Instant::now();
        loop {
            let (mut witness, _) = answered(self.scene.site, TERMINAL, since).unwrap();
            if witness.started().is_ok_and(|started| started.is_some()) {
                break;
            }
            thread::park_timeout(Duration::from_millis(20));
        }
        self.caller.line = Line::open(self.scene.site, TERMINAL);
    }

    /// Reads the number and then the balance, by requests that are refused with them.
    fn read(&mut self, purse: usize) {
        let request = self.scene.ask(purse, Load, 1, (u64::MAX >> 1, NO_BALANCE));
        self.send(purse, request, false);
        let seq = {
            let seen = self.scene.purses[purse].seen.lock().unwrap();
            match &seen[seen.len() - 1].told {
                Some((_, Told::Refused(Refusal::CounterConflict { expected_seq }))) => *expected_seq,
                // The tester finds it.
                _ => return,
            }
        };
        let request = self.scene.ask(purse, Load, 1, (seq, NO_BALANCE));
        self.send(purse, request, false);
    }
}

/// A number for a request made by hand.
#[must_use]
pub fn txn(number: u8) -> Idem {
    Idem::new([number; 16])
}
