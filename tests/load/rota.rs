//! Value updates, each on another purse: as it is where many fobs are at a till and none comes back soon.
//!
//! Apart from [`crate::fobs`], whose fobs are one for each connection: what is read and written there stays in caches,
//! however long the store is. Signed beforehand and verified in samples like there, and for the same reason.

use crate::{
    crew::Worker,
    line::Line,
    order::{Measured, Order},
    persona::{Persona, envelope},
    purse::{self, PROGRAMME, Purses},
    tally::{Tally, Watch},
    while_doing,
};
use keysvc_protocol::{
    card::CardUid,
    cbor::{self, REPLY_LEN_MAX},
    checkpoint::SignedCheckpoint,
    cose::Signed,
    name::Name,
    reply::ValueUpdateReply,
    request::Operation,
    value::ValueUpdate,
};
use keysvc_tests::ground::Failed;
use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// One reply of so many is verified with all its signatures and proofs.
const VERIFIED: u64 = 64;
/// Updates a second that requests are signed for: more than two cores make.
const RATE: u64 = 24_000;

/// A terminal that has every purse in turn.
pub struct Rota {
    runtime: Runtime,
    desk: Arc<Desk>,
}

/// What the connections share.
struct Desk {
    persona: Persona,
    programme: Name,
    purses: Purses,
    queue: Mutex<Queue>,
}

/// Requests in their order: of two for one purse the earlier goes first.
#[derive(Default)]
struct Queue {
    visits: u64,
    ready: VecDeque<Visit>,
}

/// One update, signed.
struct Visit {
    card: CardUid,
    seq: u64,
    statement: Vec<u8>,
}

impl Rota {
    /// Connects as the terminal of this configuration.
    ///
    /// # Errors
    /// [`Failed`] when it cannot.
    pub fn new(config: &Path, purses: Purses) -> Result<Self, Failed> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(while_doing("the runtime"))?;
        let persona = runtime.block_on(Persona::new(config))?;
        let programme = PROGRAMME.parse().map_err(while_doing("the programme"))?;
        let desk = Arc::new(Desk { persona, programme, purses, queue: Mutex::default() });
        Ok(Self { runtime, desk })
    }
}

impl Worker for Rota {
    type Order = Order;
    type Answer = Measured;

    fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        let wanted = RATE.saturating_mul(order.millis).div_ceil(1_000);
        self.desk.prepare(usize::try_from(wanted).unwrap_or(usize::MAX))?;
        let desk = &self.desk;
        self.runtime.block_on(async {
            let mut lines = Vec::new();
            for _ in 0..order.parallel {
                lines.push(Line::open(&desk.persona).await?);
            }
            let watch = Watch::start(order.service)?;
            let end = Instant::now().checked_add(Duration::from_millis(order.millis));
            let tasks: Vec<_> =
                lines.into_iter().map(|line| tokio::spawn(Arc::clone(desk).work(line, end))).collect();
            let mut tallies = Vec::new();
            for task in tasks {
                tallies.push(task.await.map_err(while_doing("a connection's task"))??);
            }
            watch.stop(|| tallies)
        })
    }
}

impl Desk {
    /// Has at least so many requests signed.
    fn prepare(&self, wanted: usize) -> Result<(), Failed> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while queue.ready.len() < wanted {
            let visit = self.sign(&mut queue.visits)?;
            queue.ready.push_back(visit);
        }
        Ok(())
    }

    fn sign(&self, visits: &mut u64) -> Result<Visit, Failed> {
        let (number, seq) = self.purses.visited(*visits);
        let card = purse::card(number)?;
        let request = purse::update(&self.programme, card, seq, self.persona.idem()?);
        let statement = self.persona.statement(Operation::ValueUpdate, &request)?;
        *visits = visits.saturating_add(1);
        Ok(Visit { card, seq, statement })
    }

    /// The next request; signed now where those signed before have run out.
    fn next(&self, tally: &mut Tally) -> Result<Visit, Failed> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = queue.ready.pop_front() {
            return Ok(ready);
        }
        tally.late_signed = tally.late_signed.saturating_add(1);
        self.sign(&mut queue.visits)
    }

    async fn work(self: Arc<Self>, mut line: Line, end: Option<Instant>) -> Result<Tally, Failed> {
        let mut tally = Tally::default();
        let mut seen: Option<SignedCheckpoint> = None;
        while end.is_some_and(|end| Instant::now() < end) {
            let Visit { card, seq, statement } = self.next(&mut tally)?;
            let began = Instant::now();
            let reply = line.call(Operation::ValueUpdate, envelope(statement, seen.take())?).await?;
            tally.count(1, began);
            let reply: ValueUpdateReply =
                cbor::decode(&reply, REPLY_LEN_MAX).map_err(while_doing("a reply to value.update"))?;
            tally.sizes.insert(reply.receipt.checkpoint.checkpoint().head.size);
            if tally.operations % VERIFIED == 1 {
                self.verify((card, seq), &reply)?;
                tally.verified = tally.verified.saturating_add(1);
            }
            seen = Some(reply.receipt.checkpoint);
        }
        Ok(tally)
    }

    fn verify(&self, (card, seq): (CardUid, u64), reply: &ValueUpdateReply) -> Result<(), Failed> {
        let founded = self.persona.founded();
        let record = reply.record.as_bytes();
        let kid = Signed::parse(record).map_err(while_doing("a record"))?.key_identifier();
        let key = founded.value_key(&self.programme, kid);
        let key = key.ok_or_else(|| Failed("a record by another key than the programme's".to_owned()))?;
        let update = ValueUpdate::verify(record, founded.genesis(), &key).map_err(while_doing("a record"))?;
        self.persona.verify(&reply.receipt.checkpoint)?;
        reply.receipt.check_inclusion().map_err(while_doing("a receipt"))?;
        if update.card == card && update.seq == seq {
            Ok(())
        } else {
            Err(Failed("a record of another update than was asked for".to_owned()))
        }
    }
}
