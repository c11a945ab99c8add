//! What a serving keeper does by itself, each second and each minute.
//!
//! Apart from the start, because it goes on as long as the keeper does. It answers nobody; what it finds broken ends the
//! process.

use super::{unfinished, waiting};
use crate::{
    error::Fault,
    keeper::{
        endpoint,
        ledger::{Anchor, Clock},
        serve::{Keeper, now_ms},
        storage::name_of_month,
    },
    service_manager,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// Once a second: anchor to disk, a real operation with a known answer, and what waits. Once a minute: counted refusals
/// to the log, the new month's storage key, and what was left unfinished.
pub(super) async fn run(keeper: Arc<Keeper>, anchor: Arc<Anchor>) {
    let clock = Clock::system();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seconds = 0_u64;
    loop {
        second.tick().await;
        seconds = seconds.wrapping_add(1);
        if keeper.closing.load(Ordering::Acquire) {
            return;
        }
        unless_passing(each_second(&keeper, &anchor).await, &keeper);
        unless_passing(waiting::each_second(&keeper, &clock).await, &keeper);
        if seconds.is_multiple_of(60) {
            unless_passing(each_minute(&keeper).await, &keeper);
            unless_passing(unfinished::finish_serving(&keeper).await, &keeper);
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
    let name = name_of_month(now_ms())?;
    if keeper.ledger.reader().keys()?.iter().any(|record| record.name == name) {
        return Ok(());
    }
    let storage = keeper.place.storage();
    let (record, settled) = storage.make_month(sequencer, name, now_ms()).await?;
    for one in settled {
        keeper.notarise(one.lead)?;
    }
    sequencer.install_seal(storage.seal_of(&record.id)?);
    Ok(())
}
