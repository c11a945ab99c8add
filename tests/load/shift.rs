//! Cards: one station on several connections, in a job that two operators opened.
//!
//! Statements are signed in the station's token as they are needed: one signature for a hundred keys. Keys are not
//! unwrapped, because that would burn more of the service's cores than the service.

use crate::{
    crew::Worker,
    line::Line,
    order::{CARDS, CARDS_MOST, Measured, Order, Work},
    persona::{Persona, envelope},
    tally::{Tally, Watch},
    while_doing,
};
use keysvc_protocol::{
    bytes::Exchange,
    card::CardUid,
    cbor::{self, REPLY_LEN_MAX},
    checkpoint::SignedCheckpoint,
    delivery::{Delivery, ExchangeOpening},
    job::{JOB_CARDS_MAX, JobHead, Outcome},
    name::Name,
    reply::{CardDeriveReply, JobOpenReply},
    request::{DeriveCardKeys, GiveResults, Operation},
    schema::Schema,
};
use keysvc_tests::{
    ground::Failed,
    jobs::{self, Floor, now_ms},
};
use softhsm_setup::Site;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// The development site's profile for inline machines: one slot under a key that was made in the token.
const PROFILE: &str = "inline";
const PROFILE_VERSION: u32 = 1;
/// One reply of so many is verified with all its signatures.
const VERIFIED: u64 = 16;

/// A station at work.
pub struct Shift {
    runtime: Runtime,
    desk: Arc<Desk>,
}

/// What the connections share.
struct Desk {
    persona: Persona,
    exchange: Exchange,
    job: Name,
    /// The station's own mark in its cards' numbers.
    mark: u8,
    next_card: AtomicU32,
    /// Cards in hand, whose keys are released again and again.
    in_hand: Vec<CardUid>,
}

impl Shift {
    /// Connects as the station of this configuration, and has the people of `site` open a job for a million cards.
    ///
    /// # Errors
    /// [`Failed`] when it cannot.
    pub fn new(config: &Path, site: &Path) -> Result<Self, Failed> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(while_doing("the runtime"))?;
        let site = Site::open(site).map_err(while_doing("the site"))?;
        let desk = runtime.block_on(async {
            let persona = Persona::new(config).await?;
            let mut desk = Desk::open(persona, &site).await?;
            desk.take_in_hand(CARDS).await?;
            Ok::<_, Failed>(Arc::new(desk))
        })?;
        Ok(Self { runtime, desk })
    }
}

impl Worker for Shift {
    type Order = Order;
    type Answer = Measured;

    fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        let Self { runtime, desk } = self;
        runtime.block_on(async {
            if order.work == Work::DeriveMost && desk.in_hand.len() < CARDS_MOST {
                let desk =
                    Arc::get_mut(desk).ok_or_else(|| Failed("a connection is still at work".to_owned()))?;
                desk.take_in_hand(CARDS_MOST).await?;
            }
            let desk = &*desk;
            let mut lines = Vec::new();
            for _ in 0..order.parallel {
                lines.push(Line::open(&desk.persona).await?);
            }
            let watch = Watch::start(order.service)?;
            let end = Instant::now().checked_add(Duration::from_millis(order.millis));
            let tasks: Vec<_> = lines
                .into_iter()
                .map(|line| tokio::spawn(Arc::clone(desk).work(line, (order.work, end))))
                .collect();
            let mut tallies = Vec::new();
            for task in tasks {
                tallies.push(task.await.map_err(while_doing("a connection's task"))??);
            }
            watch.stop(|| tallies)
        })
    }
}

impl Desk {
    async fn open(persona: Persona, site: &Site) -> Result<Self, Failed> {
        // The people of the site ask over connections of their own, which block; the service is another process.
        let mut floor = Floor::without_monitor(site);
        let station = persona.name()?;
        let job = format!("load-{station}-{}", now_ms());
        let mark = station.as_str().as_bytes().last().copied().unwrap_or_default();
        let head = JobHead { station, ..jobs::head(PROFILE, PROFILE_VERSION, JOB_CARDS_MAX) };
        floor.prepare(&job, &head);
        let request = floor.open_request(&job, head.station.as_str());
        let statement = persona.statement(Operation::JobOpen, &request)?;
        let mut line = Line::open(&persona).await?;
        let reply = line.call(Operation::JobOpen, envelope(statement, None)?).await?;
        let reply: JobOpenReply =
            cbor::decode(&reply, REPLY_LEN_MAX).map_err(while_doing("a reply to job.open"))?;
        let founded = persona.founded();
        let opening =
            ExchangeOpening::verify(reply.opening.as_bytes(), founded.genesis(), founded.statement_key());
        let exchange = opening.map_err(while_doing("an opening"))?.exchange;
        let (job, next_card) = (request.job, AtomicU32::new(0));
        Ok(Self { persona, exchange, job, mark, next_card, in_hand: Vec::new() })
    }

    /// Has at least so many cards in hand.
    async fn take_in_hand(&mut self, count: usize) -> Result<(), Failed> {
        while self.in_hand.len() < count {
            self.in_hand.push(self.card()?);
        }
        let mut line = Line::open(&self.persona).await?;
        let request = self.request(self.in_hand.clone())?;
        self.derive(&mut line, &request, &mut None).await.map(drop)
    }

    async fn work(
        self: Arc<Self>,
        mut line: Line,
        (work, end): (Work, Option<Instant>),
    ) -> Result<Tally, Failed> {
        let mut tally = Tally::default();
        let mut seen: Option<SignedCheckpoint> = None;
        while end.is_some_and(|end| Instant::now() < end) {
            let request = self.request(self.cards_of(work)?)?;
            let count = u64::try_from(request.cards.len()).unwrap_or(u64::MAX);
            let began = Instant::now();
            let reply = self.derive(&mut line, &request, &mut seen).await?;
            tally.count(count, began);
            tally.sizes.insert(reply.receipt.checkpoint.checkpoint().head.size);
            let calls = u64::try_from(tally.latencies_ns.len()).unwrap_or(0);
            if tally.verified.saturating_mul(VERIFIED) < calls {
                self.verify(&request, &reply)?;
                tally.verified = tally.verified.saturating_add(1);
            }
            if matches!(work, Work::Run | Work::Card) {
                let began = Instant::now();
                self.results(&mut line, &reply).await?;
                if work == Work::Run {
                    tally.count(0, began);
                }
            }
        }
        Ok(tally)
    }

    fn cards_of(&self, work: Work) -> Result<Vec<CardUid>, Failed> {
        match work {
            Work::DeriveMost => Ok(self.in_hand.clone()),
            Work::Derive => Ok(self.in_hand.iter().take(CARDS).copied().collect()),
            Work::DeriveOne => Ok(self.in_hand.iter().take(1).copied().collect()),
            Work::Card => Ok(vec![self.card()?]),
            _ => (0..CARDS).map(|_| self.card()).collect(),
        }
    }

    async fn derive(
        &self,
        line: &mut Line,
        request: &DeriveCardKeys,
        seen: &mut Option<SignedCheckpoint>,
    ) -> Result<CardDeriveReply, Failed> {
        let statement = self.persona.statement(Operation::CardDerive, request)?;
        let reply = line.call(Operation::CardDerive, envelope(statement, seen.take())?).await?;
        let reply: CardDeriveReply =
            cbor::decode(&reply, REPLY_LEN_MAX).map_err(while_doing("a reply to card.derive"))?;
        *seen = Some(reply.receipt.checkpoint.clone());
        Ok(reply)
    }

    /// Says of every card of a delivery that it is good, with what it was given read back.
    async fn results(&self, line: &mut Line, reply: &CardDeriveReply) -> Result<(), Failed> {
        let founded = self.persona.founded();
        let delivery =
            Delivery::verify(reply.delivery.as_bytes(), founded.genesis(), founded.statement_key())
                .map_err(while_doing("a delivery"))?;
        let results = jobs::results(&delivery, &Outcome::Good);
        let request = GiveResults {
            schema: Schema,
            idem: self.persona.idem()?,
            job: self.job.clone(),
            results: results.try_into().map_err(while_doing("the results"))?,
        };
        let statement = self.persona.statement(Operation::CardResult, &request)?;
        line.call(Operation::CardResult, envelope(statement, None)?).await.map(drop)
    }

    fn request(&self, cards: Vec<CardUid>) -> Result<DeriveCardKeys, Failed> {
        Ok(DeriveCardKeys {
            schema: Schema,
            idem: self.persona.idem()?,
            exchange: self.exchange,
            job: self.job.clone(),
            generation: 1,
            cards: cards.try_into().map_err(while_doing("the cards"))?,
        })
    }

    fn card(&self) -> Result<CardUid, Failed> {
        let mut uid = [0x04, b'S', self.mark, 0, 0, 0, 0];
        let number = self.next_card.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        uid.iter_mut().skip(3).zip(number).for_each(|(to, from)| *to = from);
        CardUid::try_from(uid.as_slice()).map_err(while_doing("a card"))
    }

    fn verify(&self, request: &DeriveCardKeys, reply: &CardDeriveReply) -> Result<(), Failed> {
        let founded = self.persona.founded();
        let delivery =
            Delivery::verify(reply.delivery.as_bytes(), founded.genesis(), founded.statement_key())
                .map_err(while_doing("a delivery"))?;
        self.persona.verify(&reply.receipt.checkpoint)?;
        if delivery.idem == request.idem
            && delivery.keys.iter().map(|key| key.card).eq(request.cards.iter().copied())
        {
            Ok(())
        } else {
            Err(Failed("a delivery of other keys than were asked for".to_owned()))
        }
    }
}
