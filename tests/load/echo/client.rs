//! Who asks the echo, and who shakes hands with it and with the front: the same client as the service's load has.

use crate::{
    crew::Worker,
    line::{Address, Line},
    order::{Measured, Order, Work},
    tally::{Tally, Watch},
    while_doing,
};
use bytes::Bytes;
use hyper::StatusCode;
use keysvc_client::ClientConfig;
use keysvc_tests::ground::Failed;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// What is sent and what is to come back, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Of a request's body.
    pub asked_len: usize,
    /// Of a reply's body.
    pub told_len: usize,
}

/// A client of the echo.
pub struct Echoed {
    runtime: Runtime,
    front: Address,
    echo: Address,
    sizes: Sizes,
}

impl Echoed {
    /// Comes as the persona of this configuration; the echo listens at `port`.
    ///
    /// # Errors
    /// [`Failed`] naming what cannot be used.
    pub fn new(config: &Path, port: u16, [asked_len, told_len]: [usize; 2]) -> Result<Self, Failed> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().map_err(while_doing("the runtime"))?;
        let config = ClientConfig::read(config).map_err(while_doing("the client's configuration"))?;
        let front = Address::of(&config)?;
        let echo = front.beside(port);
        Ok(Self { runtime, front, echo, sizes: Sizes { asked_len, told_len } })
    }
}

impl Worker for Echoed {
    type Order = Order;
    type Answer = Measured;

    fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        let address = if order.work == Work::FrontHandshake { &self.front } else { &self.echo };
        self.runtime.block_on(run(order, address, self.sizes))
    }
}

async fn run(order: Order, address: &Address, sizes: Sizes) -> Result<Measured, Failed> {
    let mut lines = Vec::new();
    for _ in 0..order.parallel {
        // Those who shake hands come anew each time.
        lines.push(if order.work == Work::Echo { Some(Line::to(address).await?) } else { None });
    }
    let watch = Watch::start(order.service)?;
    let end = Instant::now().checked_add(Duration::from_millis(order.millis));
    let tasks: Vec<_> = lines
        .into_iter()
        .map(|line| match line {
            Some(line) => tokio::spawn(ask(line, sizes, end)),
            None => tokio::spawn(shake_hands(address.clone(), end)),
        })
        .collect();
    let (mut tallies, mut lines) = (Vec::new(), Vec::new());
    for task in tasks {
        let (line, tally) = task.await.map_err(while_doing("a connection's task"))??;
        lines.push(line);
        tallies.push(tally);
    }
    watch.stop(|| tallies)
}

async fn ask(mut line: Line, sizes: Sizes, end: Option<Instant>) -> Result<(Option<Line>, Tally), Failed> {
    let mut tally = Tally::default();
    let (path, body) = (format!("/{}", sizes.told_len), Bytes::from(vec![0; sizes.asked_len]));
    while end.is_some_and(|end| Instant::now() < end) {
        let began = Instant::now();
        let (status, told) = line.post(&path, body.clone()).await?;
        tally.count(1, began);
        tally.weigh(body.len(), told.len());
        if status != StatusCode::OK || told.len() != sizes.told_len {
            return Err(Failed(format!("the echo answered {status} with {} bytes", told.len())));
        }
    }
    Ok((Some(line), tally))
}

async fn shake_hands(address: Address, end: Option<Instant>) -> Result<(Option<Line>, Tally), Failed> {
    let mut tally = Tally::default();
    while end.is_some_and(|end| Instant::now() < end) {
        let began = Instant::now();
        address.shake_hands().await?;
        tally.count(1, began);
    }
    Ok((None, tally))
}
