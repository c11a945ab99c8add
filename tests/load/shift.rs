//! Card keys: one station on several connections, each call for many cards in one slot.
//!
//! Statements are signed in the station's token as they are needed: one signature for a hundred keys. Keys are not
//! unwrapped, because that would burn more of the service's cores than the service.

use crate::{
    crew::Worker,
    line::Line,
    order::{CARDS, Measured, Order},
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
    name::Name,
    reply::{CardDeriveReply, StationOpenReply},
    request::{DeriveCardKeys, OpenStation, Operation},
    schema::Schema,
};
use keysvc_tests::ground::Failed;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// The development site's profile with a key that was made in the token.
const PROFILE: &str = "generated";
const PROFILE_VERSION: u32 = 1;
const SLOT: u8 = 0;
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
    profile: Name,
    next_card: AtomicU32,
}

impl Shift {
    /// Connects as the station of this configuration and opens an exchange.
    ///
    /// # Errors
    /// [`Failed`] when it cannot.
    pub fn new(config: &Path) -> Result<Self, Failed> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(while_doing("the runtime"))?;
        let desk = runtime.block_on(async {
            let persona = Persona::new(config).await?;
            let exchange = open(&persona).await?;
            let profile = PROFILE.parse().map_err(while_doing("the profile"))?;
            Ok(Arc::new(Desk { persona, exchange, profile, next_card: AtomicU32::new(0) }))
        })?;
        Ok(Self { runtime, desk })
    }
}

async fn open(persona: &Persona) -> Result<Exchange, Failed> {
    let request = OpenStation { schema: Schema, idem: persona.idem()? };
    let statement = persona.statement(Operation::StationOpen, &request)?;
    let mut line = Line::open(persona).await?;
    let reply = line.call(Operation::StationOpen, envelope(statement, None)?).await?;
    let reply: StationOpenReply =
        cbor::decode(&reply, REPLY_LEN_MAX).map_err(while_doing("a reply to station.open"))?;
    let founded = persona.founded();
    let opening =
        ExchangeOpening::verify(reply.opening.as_bytes(), founded.genesis(), founded.statement_key());
    Ok(opening.map_err(while_doing("an opening"))?.exchange)
}

impl Worker for Shift {
    type Order = Order;
    type Answer = Measured;

    fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
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
    async fn work(self: Arc<Self>, mut line: Line, end: Option<Instant>) -> Result<Tally, Failed> {
        let mut tally = Tally::default();
        let mut seen: Option<SignedCheckpoint> = None;
        while end.is_some_and(|end| Instant::now() < end) {
            let request = self.request()?;
            let statement = self.persona.statement(Operation::CardDerive, &request)?;
            let began = Instant::now();
            let reply = line.call(Operation::CardDerive, envelope(statement, seen.take())?).await?;
            tally.count(u64::try_from(CARDS).unwrap_or(u64::MAX), began);
            let reply: CardDeriveReply =
                cbor::decode(&reply, REPLY_LEN_MAX).map_err(while_doing("a reply to card.derive"))?;
            tally.sizes.insert(reply.receipt.checkpoint.checkpoint().head.size);
            if tally.verified.saturating_mul(VERIFIED) < u64::try_from(tally.latencies_ns.len()).unwrap_or(0)
            {
                self.verify(&request, &reply)?;
                tally.verified = tally.verified.saturating_add(1);
            }
            seen = Some(reply.receipt.checkpoint);
        }
        Ok(tally)
    }

    fn request(&self) -> Result<DeriveCardKeys, Failed> {
        let cards: Result<Vec<_>, Failed> = (0..CARDS).map(|_| self.card()).collect();
        Ok(DeriveCardKeys {
            schema: Schema,
            idem: self.persona.idem()?,
            exchange: self.exchange,
            profile: self.profile.clone(),
            profile_version: PROFILE_VERSION,
            slots: vec![SLOT].try_into().map_err(while_doing("the slots"))?,
            cards: cards?.try_into().map_err(while_doing("the cards"))?,
        })
    }

    fn card(&self) -> Result<CardUid, Failed> {
        let mut uid = [0x04, b'S', b'H', 0, 0, 0, 0];
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
