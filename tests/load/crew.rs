//! The driver's own processes: one line of JSON in is an order, one line out what was measured.
//!
//! Apart because both ends of that line are here. What an order means is each worker's.

use crate::{
    order::{Measured, Order},
    while_doing,
};
use keysvc_tests::ground::Failed;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt::Display,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Carries out orders.
pub trait Worker {
    /// What it is told.
    type Order: DeserializeOwned;
    /// What it measured.
    type Answer: Serialize;

    /// Makes one measurement.
    ///
    /// # Errors
    /// [`Failed`] when a call fails: a measurement of failures means nothing.
    fn measure(&mut self, order: Self::Order) -> Result<Self::Answer, Failed>;
}

/// Is a worker until there are no more orders.
///
/// # Errors
/// [`Failed`] when the worker cannot be made or the driver is gone.
pub fn obey<W: Worker>(make: impl FnOnce() -> Result<W, Failed>) -> Result<(), Failed> {
    let mut worker = make()?;
    for line in std::io::stdin().lock().lines() {
        let order = serde_json::from_str(&line.map_err(while_doing("an order"))?);
        let measured = worker.measure(order.map_err(while_doing("an order"))?)?;
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &measured).map_err(while_doing("an answer"))?;
        out.write_all(b"\n").and_then(|()| out.flush()).map_err(while_doing("an answer"))?;
    }
    Ok(())
}

/// A worker in a process of its own.
#[derive(Debug)]
pub struct Hand {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Hand {
    /// Starts it.
    ///
    /// # Errors
    /// [`Failed`] when it cannot be started.
    pub fn start(mut command: Command) -> Result<Self, Failed> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(while_doing("starting a process of the load's"))?;
        let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Failed("a process of the load's has no pipes".to_owned()));
        };
        Ok(Self { process, orders: Some(orders), answers: BufReader::new(answers) })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Has one measurement made.
    ///
    /// # Errors
    /// As [`Hand::ask`].
    pub fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        self.ask(&order, &order)
    }

    /// Gives an order of its worker's and waits for the answer; `what` names it for people.
    ///
    /// # Errors
    /// [`Failed`] when the process has ended; it said why on stderr.
    pub fn ask<A: DeserializeOwned>(
        &mut self,
        what: &impl Display,
        order: &impl Serialize,
    ) -> Result<A, Failed> {
        let gone = || Failed(format!("{what}: its process has ended"));
        let orders = self.orders.as_mut().ok_or_else(gone)?;
        let line = serde_json::to_string(order).map_err(while_doing("an order"))?;
        writeln!(orders, "{line}").map_err(|_| gone())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(while_doing("an answer"))?;
        if answer.is_empty() {
            return Err(gone());
        }
        serde_json::from_str(&answer).map_err(while_doing("an answer"))
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        // Without orders it ends.
        self.orders = None;
        let _ = self.process.wait();
    }
}
