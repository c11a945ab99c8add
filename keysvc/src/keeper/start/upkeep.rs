//! What a serving keeper does by itself, each second and each minute.
//!
//! Apart from the start, because it goes on as long as the keeper does. It answers nobody; what it finds broken ends the
//! process.

use crate::{
    config::Config,
    error::Fault,
    keeper::{
        endpoint,
        founding::storage,
        ledger::Anchor,
        serve::{Keeper, now_ms},
        storage::name_of_month,
    },
    service_manager,
};
use keysvc_token::Token;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// What the change of months needs.
#[derive(Debug)]
pub(super) struct Month {
    pub(super) config: Config,
    pub(super) token: Token,
}

/// Once a second: anchor to disk and a real operation with a known answer. Once a minute: counted refusals to the
/// log, and the new month's storage key.
pub(super) async fn run(keeper: Arc<Keeper>, anchor: Arc<Anchor>, month: Month) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seconds = 0_u64;
    loop {
        second.tick().await;
        seconds = seconds.wrapping_add(1);
        if keeper.closing.load(Ordering::Acquire) {
            return;
        }
        if let Err(fault) = each_second(&keeper, &anchor).await {
            unless_passing(&fault, &keeper);
        }
        if seconds.is_multiple_of(60)
            && let Err(fault) = each_minute(&keeper, &month).await
        {
            unless_passing(&fault, &keeper);
        }
    }
}

/// Ends the keeper, unless the fault passes by itself: a full queue is tried again at the next turn.
fn unless_passing(fault: &Fault, keeper: &Keeper) {
    if fault.is_fatal() {
        endpoint::end(fault, &keeper.keyring, &keeper.socket);
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

async fn each_minute(keeper: &Keeper, month: &Month) -> Result<(), Fault> {
    let sequencer = keeper.ledger.sequencer();
    if let Some(settled) = sequencer.flush_counts().await? {
        keeper.notarise(settled.lead)?;
    }
    keeper.renew_bundle().await?;
    let name = name_of_month(now_ms())?;
    if keeper.ledger.reader().keys()?.iter().any(|record| record.name == name) {
        return Ok(());
    }
    let storage = storage(&month.config, &month.token);
    let (record, settled) = storage.make_month(sequencer, name, now_ms()).await?;
    for one in settled {
        keeper.notarise(one.lead)?;
    }
    sequencer.install_seal(storage.seal_of(&record.id)?);
    Ok(())
}
