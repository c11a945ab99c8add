//! Value updates: one fob for each connection, loaded and debited in turn.
//!
//! Requests are signed beforehand and only a sample of the replies is verified in full, because the load runs on the
//! service's cores; every reply is decoded, for the next request shows its checkpoint.

use crate::{
    crew::Worker,
    line::Line,
    order::{Measured, Order},
    persona::{Persona, envelope},
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
    request::{Operation, UpdateValue, ValueOperation},
    schema::Schema,
    value::ValueUpdate,
};
use keysvc_tests::ground::Failed;
use std::{
    collections::VecDeque,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// The programme of the development site, its purse and its currency (the euro).
const PROGRAMME: &str = "coffee";
const PURSE: u8 = 1;
const CURRENCY: u16 = 978;
/// What is loaded and debited, in cents.
const AMOUNT: u64 = 500;
/// One reply of so many is verified with all its signatures and proofs.
const VERIFIED: u64 = 64;
/// Updates a second that requests are signed for: on one connection, and on all of them together.
const RATE_OF_ONE: u64 = 4_000;
const RATE_OF_ALL: u64 = 24_000;

/// A terminal with its fobs.
pub struct Fobs {
    runtime: Runtime,
    persona: Arc<Persona>,
    programme: Name,
    each: Vec<Fob>,
}

/// A fob with the updates signed for it.
struct Fob {
    card: CardUid,
    /// The sequence number of the next update to be signed.
    seq: u64,
    ready: VecDeque<(u64, Vec<u8>)>,
    seen: Option<SignedCheckpoint>,
}

impl Fobs {
    /// Connects as the terminal of this configuration.
    ///
    /// # Errors
    /// [`Failed`] when it cannot.
    pub fn new(config: &Path) -> Result<Self, Failed> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(while_doing("the runtime"))?;
        let persona = Arc::new(runtime.block_on(Persona::new(config))?);
        let programme = PROGRAMME.parse().map_err(while_doing("the programme"))?;
        Ok(Self { runtime, persona, programme, each: Vec::new() })
    }

    /// Has at least so many fobs, each with enough signed requests.
    fn prepare(&mut self, order: Order) -> Result<(), Failed> {
        while self.each.len() < order.parallel {
            let mut uid = [0x04, b'L', b'O', 0, 0, 0, 0];
            let number = u32::try_from(self.each.len()).unwrap_or(u32::MAX);
            uid.iter_mut().skip(3).zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
            let card = CardUid::try_from(uid.as_slice()).map_err(while_doing("a card"))?;
            self.each.push(Fob { card, seq: 1, ready: VecDeque::new(), seen: None });
        }
        let parallel = u64::try_from(order.parallel).unwrap_or(u64::MAX).max(1);
        let rate = RATE_OF_ONE.min(RATE_OF_ALL.checked_div(parallel).unwrap_or(RATE_OF_ONE));
        let wanted = rate.saturating_mul(order.millis).div_ceil(1_000);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        for fob in self.each.iter_mut().take(order.parallel) {
            while fob.ready.len() < wanted {
                fob.sign_next(&self.persona, &self.programme)?;
            }
        }
        Ok(())
    }
}

impl Worker for Fobs {
    type Order = Order;
    type Answer = Measured;

    fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        self.prepare(order)?;
        let rest = self.each.split_off(order.parallel.min(self.each.len()));
        let fobs = std::mem::replace(&mut self.each, rest);
        let (persona, programme) = (self.persona.clone(), self.programme.clone());
        let (measured, fobs) = self.runtime.block_on(run(order, fobs, (persona, programme)))?;
        let rest = std::mem::replace(&mut self.each, fobs);
        self.each.extend(rest);
        Ok(measured)
    }
}

async fn run(
    order: Order,
    fobs: Vec<Fob>,
    (persona, programme): (Arc<Persona>, Name),
) -> Result<(Measured, Vec<Fob>), Failed> {
    let mut lines = Vec::new();
    for _ in &fobs {
        lines.push(Line::open(&persona).await?);
    }
    let watch = Watch::start(order.service)?;
    let end = Instant::now().checked_add(Duration::from_millis(order.millis));
    let tasks: Vec<_> = fobs
        .into_iter()
        .zip(lines)
        .map(|(fob, line)| tokio::spawn(fob.work(line, (persona.clone(), programme.clone()), end)))
        .collect();
    let mut ended = Vec::new();
    for task in tasks {
        ended.push(task.await.map_err(while_doing("a fob's task"))??);
    }
    let (fobs, tallies): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
    Ok((watch.stop(|| tallies)?, fobs))
}

impl Fob {
    /// Signs the request after the last one that was signed.
    fn sign_next(&mut self, persona: &Persona, programme: &Name) -> Result<(), Failed> {
        let loads = !self.seq.is_multiple_of(2);
        let (operation, balance_before) =
            if loads { (ValueOperation::Load, 0) } else { (ValueOperation::Debit, AMOUNT) };
        let request = UpdateValue {
            schema: Schema,
            programme: programme.clone(),
            card: self.card,
            purse: PURSE,
            operation,
            expected_seq: self.seq,
            amount: AMOUNT,
            currency: CURRENCY,
            balance_before,
            txn: persona.idem()?,
        };
        self.ready.push_back((self.seq, persona.statement(Operation::ValueUpdate, &request)?));
        self.seq = self.seq.saturating_add(1);
        Ok(())
    }

    async fn work(
        mut self,
        mut line: Line,
        (persona, programme): (Arc<Persona>, Name),
        end: Option<Instant>,
    ) -> Result<(Self, Tally), Failed> {
        let mut tally = Tally::default();
        while end.is_some_and(|end| Instant::now() < end) {
            if self.ready.is_empty() {
                self.sign_next(&persona, &programme)?;
                tally.late_signed = tally.late_signed.saturating_add(1);
            }
            let Some((seq, statement)) = self.ready.pop_front() else { continue };
            let began = Instant::now();
            let reply = line.call(Operation::ValueUpdate, envelope(statement, self.seen.take())?).await?;
            tally.count(1, began);
            let reply: ValueUpdateReply =
                cbor::decode(&reply, REPLY_LEN_MAX).map_err(while_doing("a reply to value.update"))?;
            tally.sizes.insert(reply.receipt.checkpoint.checkpoint().head.size);
            if tally.operations % VERIFIED == 1 {
                self.verify(seq, &reply, (&persona, &programme))?;
                tally.verified = tally.verified.saturating_add(1);
            }
            self.seen = Some(reply.receipt.checkpoint);
        }
        Ok((self, tally))
    }

    fn verify(
        &self,
        seq: u64,
        reply: &ValueUpdateReply,
        (persona, programme): (&Persona, &Name),
    ) -> Result<(), Failed> {
        let founded = persona.founded();
        let record = reply.record.as_bytes();
        let kid = Signed::parse(record).map_err(while_doing("a record"))?.key_identifier();
        let key = founded.value_key(programme, kid);
        let key = key.ok_or_else(|| Failed("a record by another key than the programme's".to_owned()))?;
        let update = ValueUpdate::verify(record, founded.genesis(), &key).map_err(while_doing("a record"))?;
        persona.verify(&reply.receipt.checkpoint)?;
        reply.receipt.check_inclusion().map_err(while_doing("a receipt"))?;
        if update.card == self.card && update.seq == seq {
            Ok(())
        } else {
            Err(Failed("a record of another update than was asked for".to_owned()))
        }
    }
}
