//! The service's side of a line: takes orders from the encoder's thread, one after the other, and asks again while the
//! service is away.

use super::line::Line;
use crate::{error::ClientError, station::Delivered};
use keysvc_protocol::{card::CardUid, job::CardResult};
use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

/// The pause before the service is asked again: it restarts in about as long.
const PAUSE: Duration = Duration::from_secs(1);

/// What the encoder's thread wants.
pub(super) enum Order {
    /// The keys of these cards.
    Keys(Vec<CardUid>),
    /// These results to be given.
    Results(Vec<CardResult>),
}

/// What it gets. Each order has one answer, after any number of waits.
pub(super) enum Answer {
    /// The service is away; the order is tried again.
    Waiting(ClientError),
    /// The keys, or why there are none, with the cards they are for.
    Keys(Vec<CardUid>, Result<Delivered, ClientError>),
    /// The results are given, or why not.
    Given(Vec<CardResult>, Result<(), ClientError>),
}

/// Works until nobody orders any more, or `over` is set.
pub(super) fn work(line: &Line<'_>, orders: &Receiver<Order>, answers: &Sender<Answer>, over: &AtomicBool) {
    for order in orders {
        let answer = match order {
            Order::Keys(cards) => {
                let delivered = patiently(line, answers, over, || line.station.derive(line.shift, &cards, 1));
                Answer::Keys(cards, delivered)
            }
            Order::Results(results) => {
                let give = || line.station.give_results(line.shift.job(), &results);
                let given = patiently(line, answers, over, give);
                Answer::Given(results, given.map(drop))
            }
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

/// Makes a call again until it gives something that does not pass, or patience ends. Either may be repeated as it is.
fn patiently<T>(
    line: &Line<'_>,
    answers: &Sender<Answer>,
    over: &AtomicBool,
    call: impl Fn() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let began = Instant::now();
    loop {
        match call() {
            Err(error) if passes(&error) && began.elapsed() < line.patience => {
                if over.load(Ordering::Relaxed) || answers.send(Answer::Waiting(error)).is_err() {
                    return Err(ClientError::Request { what: "the line has ended".into() });
                }
                thread::sleep(PAUSE.min(line.patience));
            }
            result => return result,
        }
    }
}

/// Whether it may be another time what it is not now.
fn passes(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } => true,
        ClientError::Refused(reply) => reply.refusal.retryable(),
        _ => false,
    }
}
