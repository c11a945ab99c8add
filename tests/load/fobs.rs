//! Value updates: one fob for each connection, or one for each place of a batch, loaded and debited in turn.
//!
//! Requests are signed beforehand and only a sample of the replies is verified in full, because the load runs on the
//! service's cores; every reply is decoded, for the next request shows its checkpoint.

mod batch;
mod fob;
mod held;

use crate::{
    crew::Worker,
    line::{Address, Line},
    order::{BATCH, Measured, Order, Work},
    persona::Persona,
    tally::Watch,
    while_doing,
};
use batch::Basket;
use fob::Fob;
use held::Held;
use keysvc_client::ClientConfig;
use keysvc_protocol::name::Name;
use keysvc_tests::ground::Failed;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// The programme of the development site.
const PROGRAMME: &str = "coffee";
/// Updates a second that requests are signed for: of one fob, and of all together.
const RATE_OF_ONE: u64 = 4_000;
const RATE_OF_ALL: u64 = 24_000;
/// How long updates are made where a record is wanted and none is there yet, in milliseconds.
const FIRST_MILLIS: u64 = 50;

/// A terminal with its fobs, and the hub that passes on what it signed.
pub struct Fobs {
    runtime: Runtime,
    till: Till,
    hub: Address,
    each: Vec<Fob>,
}

/// What all connections share.
#[derive(Clone)]
struct Till {
    persona: Arc<Persona>,
    programme: Name,
}

impl Fobs {
    /// Connects as the terminal of this configuration; batches come in by the hub of the other.
    ///
    /// # Errors
    /// [`Failed`] when it cannot.
    pub fn new(config: &Path, hub: &Path) -> Result<Self, Failed> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(while_doing("the runtime"))?;
        let persona = Arc::new(runtime.block_on(Persona::new(config))?);
        let programme = PROGRAMME.parse().map_err(while_doing("the programme"))?;
        let hub = ClientConfig::read(hub).map_err(while_doing("the hub's configuration"))?;
        Ok(Self { runtime, till: Till { persona, programme }, hub: Address::of(&hub)?, each: Vec::new() })
    }

    /// Takes so many fobs, each with enough signed requests for its share of the order.
    fn take(&mut self, order: Order, count: usize) -> Result<Vec<Fob>, Failed> {
        while self.each.len() < count {
            self.each.push(Fob::new(self.each.len())?);
        }
        let sharing = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        let rate = RATE_OF_ONE.min(RATE_OF_ALL.checked_div(sharing).unwrap_or(RATE_OF_ONE));
        let wanted = rate.saturating_mul(order.millis).div_ceil(1_000);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        for fob in self.each.iter_mut().take(count) {
            fob.sign_ahead(wanted, &self.till)?;
        }
        let rest = self.each.split_off(count.min(self.each.len()));
        Ok(std::mem::replace(&mut self.each, rest))
    }

    /// Puts them back where they were.
    fn put_back(&mut self, fobs: Vec<Fob>) {
        let rest = std::mem::replace(&mut self.each, fobs);
        self.each.extend(rest);
    }

    /// A record of the service's, asked for where none is there yet.
    fn held(&mut self, order: Order) -> Result<Held, Failed> {
        let first = Order { work: Work::Update, parallel: 1, millis: FIRST_MILLIS, ..order };
        for _ in 0..2 {
            if let Some(record) = self.each.first().and_then(Fob::newest_record) {
                return Held::new(record, &self.till);
            }
            self.measure(Order { service: None, ..first })?;
        }
        Err(Failed("no update was made in the time for one".to_owned()))
    }
}

impl Worker for Fobs {
    type Order = Order;
    type Answer = Measured;

    fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        match order.work {
            Work::VerifyBare | Work::VerifyUpdate => self.held(order)?.measure(order),
            Work::Batch => {
                let fobs = self.take(order, order.parallel.saturating_mul(BATCH))?;
                let work = by_baskets(order, fobs, (self.hub.clone(), self.till.clone()));
                let (measured, fobs) = self.runtime.block_on(work)?;
                self.put_back(fobs);
                Ok(measured)
            }
            _ => {
                let fobs = self.take(order, order.parallel)?;
                let (measured, fobs) = self.runtime.block_on(one_by_one(order, fobs, self.till.clone()))?;
                self.put_back(fobs);
                Ok(measured)
            }
        }
    }
}

/// Each fob on a connection of its own.
async fn one_by_one(order: Order, fobs: Vec<Fob>, till: Till) -> Result<(Measured, Vec<Fob>), Failed> {
    let mut lines = Vec::new();
    for _ in &fobs {
        lines.push(Line::open(&till.persona).await?);
    }
    let watch = Watch::start(order.service)?;
    let end = end_of(order);
    let each = fobs.into_iter().zip(lines);
    let tasks: Vec<_> = each.map(|(fob, line)| tokio::spawn(fob.work(line, till.clone(), end))).collect();
    let (mut fobs, mut lines, mut tallies) = (Vec::new(), Vec::new(), Vec::new());
    for task in tasks {
        let (fob, line, tally) = task.await.map_err(while_doing("a fob's task"))??;
        fobs.push(fob);
        lines.push(line);
        tallies.push(tally);
    }
    Ok((watch.stop(|| tallies)?, fobs))
}

/// As many fobs on each connection as a batch has places.
async fn by_baskets(
    order: Order,
    mut fobs: Vec<Fob>,
    (hub, till): (Address, Till),
) -> Result<(Measured, Vec<Fob>), Failed> {
    let mut baskets = Vec::new();
    while !fobs.is_empty() {
        let rest = fobs.split_off(BATCH.min(fobs.len()));
        baskets.push((Basket::new(std::mem::replace(&mut fobs, rest)), Line::to(&hub).await?));
    }
    let watch = Watch::start(order.service)?;
    let end = end_of(order);
    let tasks: Vec<_> = baskets
        .into_iter()
        .map(|(basket, line)| tokio::spawn(basket.work(line, till.clone(), end)))
        .collect();
    let (mut lines, mut tallies) = (Vec::new(), Vec::new());
    for task in tasks {
        let (basket, line, tally) = task.await.map_err(while_doing("a batch's task"))??;
        fobs.extend(basket.into_fobs());
        lines.push(line);
        tallies.push(tally);
    }
    Ok((watch.stop(|| tallies)?, fobs))
}

fn end_of(order: Order) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_millis(order.millis))
}
