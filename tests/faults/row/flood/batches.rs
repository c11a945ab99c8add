//! A station that derives the keys of a thousand cards with each request, and an officer who asks beside it.

use crate::row::waiting::Asking;
use keysvc_tests::{
    cards::{Card, holding, statement_key},
    ground::{Failed, Ground},
    hostile::measured::Waits,
    jobs::{Floor, delivered, derive, head},
    raw::Caller,
};
use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Cards of one request: as many as it takes.
const CARDS: u32 = 1_000;
const STATION: &str = "station-1";

/// The officer's waits and the batches', for so long.
pub(super) fn beside(ground: &Ground, part: Duration) -> Result<(Waits, Waits), Failed> {
    let program = env::current_exe().map_err(|error| Failed(format!("this program: {error}")))?;
    let site = ground.site();
    let mut floor = Floor::without_monitor(site);
    let mut station = holding(Card::insert_as((&program, &["card"]), site, STATION), site, STATION);
    let statement_key = statement_key(&mut Caller::new(site, "platform-1"));
    let shift = floor.shift(&mut station, "flood-1", &head("inline", 1, CARDS));
    let over = AtomicBool::new(false);
    let (officer, batches) = thread::scope(|scope| {
        let officer = scope.spawn(|| Asking::of(ground, "officer-1").until(|_| over.load(Ordering::Relaxed)));
        let begun = Instant::now();
        let mut batches = Waits::default();
        let cards: Vec<String> = (0..CARDS).map(|card| format!("04{card:012x}")).collect();
        let cards: Vec<&str> = cards.iter().map(String::as_str).collect();
        let mut refused = None;
        while begun.elapsed() < part && refused.is_none() {
            let asked = Instant::now();
            // The same cards, as they stay in hand until they have their results: their keys are released once more.
            refused = delivered(&mut station, &statement_key, &derive(&shift, &cards)).err();
            batches.note(asked.elapsed());
        }
        over.store(true, Ordering::Relaxed);
        let refused = refused.map(|refusal| Failed(format!("a batch was refused: {refusal:?}")));
        (officer.join(), refused.map_or(Ok(batches), Err))
    });
    let officer = officer.map_err(|_| Failed("the officer was not answered".to_owned()))?;
    Ok((officer.connected, batches?))
}
