//! What a serving keeper does by itself, each second and each minute.
//!
//! Apart from the start, because it goes on as long as the keeper does. It answers nobody; what it finds broken ends the
//! process.

use super::{jobs, unfinished, waiting};
use crate::{
    error::Fault,
    keeper::{
        endpoint,
        ledger::{Anchor, Clock},
        serve::{Keeper, now_ms},
        storage::names_of_month,
    },
    service_manager,
};
use keysvc_protocol::name::Name;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Once a second: anchor to disk, a real operation with a known answer, and what waits. Once a minute: counted refusals
/// to the log, the new month's storage keys, what was left unfinished, and the jobs.
pub(super) async fn run(keeper: Arc<Keeper>, anchor: Arc<Anchor>) {
    let clock = Clock::system();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut seconds, mut minutes) = (0_u64, 0_u64);
    loop {
        second.tick().await;
        seconds = seconds.wrapping_add(1);
        if keeper.closing.load(Ordering::Acquire) {
            return;
        }
        unless_passing(each_second(&keeper, &anchor).await, &keeper);
        unless_passing(waiting::each_second(&keeper, &clock).await, &keeper);
        unless_passing(jobs::each_second(&keeper), &keeper);
        if seconds.is_multiple_of(60) {
            unless_passing(each_minute(&keeper).await, &keeper);
            unless_passing(unfinished::finish_serving(&keeper).await, &keeper);
            unless_passing(jobs::each_minute(&keeper, minutes).await, &keeper);
            minutes = minutes.wrapping_add(1);
        }
    }
}

/// Ends the keeper by a fault, unless it passes by itself: a full queue is tried again at the next turn.
fn unless_passing(done: Result<(), Fault>, keeper: &Keeper) {
    let Err(fault) = done else { return };
    if fault.is_fatal() {
        endpoint::end(&fault, &keeper.keyring, &keeper.socket);
    }
    tracing::warn!(fault = fault.chain(), "upkeep is tried again");
}

async fn each_second(keeper: &Keeper, anchor: &Anchor) -> Result<(), Fault> {
    anchor.sync()?;
    keeper.record_rollback().await?;
    if let Some(newest) = keeper.notary.checkpoints().newest() {
        keeper.keyring.self_test(&newest)?;
        keeper.metrics.token_answered();
    }
    // A keeper whose token hangs says nothing here, and the service manager starts it again.
    if service_manager::alive_every().is_some() {
        service_manager::alive();
    }
    Ok(())
}

async fn each_minute(keeper: &Keeper) -> Result<(), Fault> {
    let sequencer = keeper.ledger.sequencer();
    if let Some(settled) = sequencer.flush_counts().await? {
        keeper.notarise(settled.lead)?;
    }
    keeper.renew_bundle().await?;
    let now_ms = now_ms();
    let records = keeper.ledger.reader().keys()?;
    let made = |name: &Name| records.iter().any(|record| record.name == *name);
    if names_of_month(now_ms)?.iter().all(made) {
        return Ok(());
    }
    for one in keeper.place.storage().open_month(sequencer, &records, now_ms).await? {
        keeper.notarise(one.lead)?;
    }
    Ok(())
}
