//! What a station and its operators say of a job's cards: requests for keys, deliveries, results, stops and receipts.
//!
//! Apart from the floor because the people on it sign none of these with the station.

use super::{Shift, now_ms};
use crate::{
    agreed::{idem, name, reason},
    raw::Caller,
};
use keysvc_protocol::{
    card::CardUid,
    delivery::Delivery,
    job::{CardResult, Counts, Outcome, PurgeReceipt, Suspended},
    name::Name,
    public_key::PublicKey,
    refusal::Refusal,
    reply::{CardDeriveReply, JobChangedReply},
    request::{DeriveCardKeys, GiveResults, Operation, SuspendJob},
    schema::Schema,
};

/// A purge receipt of a station.
#[must_use]
pub fn receipt(station: &str) -> PurgeReceipt {
    PurgeReceipt { station: name(station), erased_ms: now_ms(), files: 1, method: reason() }
}

/// A stop.
#[must_use]
pub fn suspend(job: &str, counts: Counts) -> SuspendJob {
    let suspended = Suspended { counts, place: "cabinet 2".parse().unwrap(), cause: reason() };
    SuspendJob { schema: Schema, idem: idem(), job: name(job), suspended }
}

/// A request for keys of cards in their first generation.
///
/// # Panics
/// For more cards than one request takes, or what is none.
#[must_use]
pub fn derive(shift: &Shift, cards: &[&str]) -> DeriveCardKeys {
    let cards: Vec<CardUid> = cards.iter().map(|card| card.parse().unwrap()).collect();
    DeriveCardKeys {
        schema: Schema,
        idem: idem(),
        exchange: shift.exchange,
        job: shift.job.clone(),
        generation: 1,
        cards: cards.try_into().unwrap(),
    }
}

/// Asks for keys, and verifies the delivery.
///
/// # Errors
/// The [`Refusal`].
///
/// # Panics
/// When the delivery is not signed by the service's `statement_key`, or answers something else.
pub fn delivered(
    station: &mut Caller,
    statement_key: &PublicKey,
    request: &DeriveCardKeys,
) -> Result<Delivery, Refusal> {
    let reply: CardDeriveReply = station.ask(Operation::CardDerive, request)?;
    let delivery = Delivery::verify(reply.delivery.as_bytes(), &station.genesis, statement_key).unwrap();
    assert_eq!((delivery.idem, &delivery.job), (request.idem, &request.job));
    assert!(reply.receipt.leaf.is_none() && reply.receipt.inclusion.is_none(), "a place in the log");
    Ok(delivery)
}

/// What became of the cards of a delivery: all of them this, with what they were given read back.
#[must_use]
pub fn results(delivery: &Delivery, outcome: &Outcome) -> Vec<CardResult> {
    let mut results: Vec<CardResult> = Vec::new();
    for key in delivery.keys.iter() {
        match results.last_mut().filter(|result| result.card == key.card) {
            Some(result) => {
                let read = [result.readback.to_vec(), vec![key.check]].concat();
                result.readback = read.try_into().unwrap();
            }
            None => results.push(CardResult {
                card: key.card,
                outcome: outcome.clone(),
                readback: vec![key.check].try_into().unwrap(),
            }),
        }
    }
    results
}

/// Says what became of cards.
///
/// # Errors
/// The [`Refusal`].
///
/// # Panics
/// For more results than one request takes.
pub fn give(station: &mut Caller, job: &Name, results: Vec<CardResult>) -> Result<JobChangedReply, Refusal> {
    let results = results.try_into().unwrap();
    let request = GiveResults { schema: Schema, idem: idem(), job: job.clone(), results };
    station.ask(Operation::CardResult, &request)
}
