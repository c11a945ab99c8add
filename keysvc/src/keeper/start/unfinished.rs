//! What an earlier keeper left between an intent and its outcome: keys that people ordered and that are not made, keys
//! that people had destroyed and whose destruction is not on record.
//!
//! Finished at the start and looked for again each minute, for a full queue may have come between. A key's intent without
//! an outcome is not finished: its order gets a new one. A key that comes in as components is the custodians' to finish:
//! it is never made without them.

use crate::{
    error::Fault,
    keeper::{
        ledger::{Sequencer, Settled},
        serve::{Keeper, now_ms},
        site::Site,
        storage::Storage,
    },
};
use keysvc_protocol::{
    control::{KeyStanding, Order},
    name::Name,
};
use std::{sync::atomic::Ordering, time::Duration};

/// How often it is looked whether a thread still uses a key that is to be destroyed.
const LOOK: Duration = Duration::from_millis(2);
/// How often at most: together 200 ms, as long as the end of the keeper waits for calls of the token.
const LOOKS_MAX: u32 = 100;

/// Finishes all of it before anything is served; gives the commits whose heads are to be signed.
pub(super) async fn finish(
    storage: &Storage<'_>,
    sequencer: &Sequencer,
    site: &Site,
) -> Result<Vec<Settled>, Fault> {
    let mut duties = Vec::new();
    for order in orders(site)? {
        duties.extend(storage.create_key(sequencer, &order, now_ms()).await?.1);
    }
    destroy_given_up(storage, site);
    for (name, version, key) in destroying(site)? {
        duties.push(storage.destroy_key(sequencer, (&name, version), &key).await?);
    }
    Ok(duties)
}

/// Finishes all of it while requests are served; nothing after a history that was rolled back.
pub(super) async fn finish_serving(keeper: &Keeper) -> Result<(), Fault> {
    if keeper.halted.load(Ordering::Acquire) {
        return Ok(());
    }
    keeper.imports.forget_ended(&*keeper.site.control()?, now_ms())?;
    destroy_given_up(&keeper.place.storage(), &keeper.site);
    let ordered = orders(&keeper.site)?;
    if !ordered.is_empty() {
        // Whoever executes the order now makes the key.
        let _one_at_a_time = keeper.executing.lock().await;
        for order in ordered {
            let (_, settled) =
                keeper.place.storage().create_key(keeper.ledger.sequencer(), &order, now_ms()).await?;
            settled.into_iter().try_for_each(|one| keeper.notarise(one.lead))?;
        }
        keeper.follow().await?;
    }
    finish_destroying(keeper).await
}

/// Destroys the keys whose time has come, once no thread holds one any more.
pub(super) async fn finish_destroying(keeper: &Keeper) -> Result<(), Fault> {
    let all = destroying(&keeper.site)?;
    if all.is_empty() {
        return Ok(());
    }
    keeper.follow().await?;
    let mut looks = 0_u32;
    while !keeper.keyring.is_settled()? {
        looks = looks.saturating_add(1);
        if looks > LOOKS_MAX {
            tracing::warn!("a key that is to be destroyed is still in use; it is tried again");
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    for (name, version, key) in all {
        let storage = keeper.place.storage();
        let settled = storage.destroy_key(keeper.ledger.sequencer(), (&name, version), &key).await?;
        keeper.notarise(settled.lead)?;
    }
    keeper.follow().await
}

/// Destroys what imports that have ended unmade left in the token. What cannot be destroyed now is tried again: nothing
/// uses it meanwhile.
fn destroy_given_up(storage: &Storage<'_>, site: &Site) {
    let Ok(control) = site.control() else { return };
    let ended = control.keys().orders().filter(|(_, order)| {
        let import = order.import.as_ref();
        !order.made && import.is_some_and(|import| now_ms() > import.expires_ms)
    });
    for (_, order) in ended {
        if let Err(fault) = storage.destroy_unfinished((&order.name, order.version)) {
            tracing::warn!(key = %order.name, version = order.version, fault = fault.chain(), "what an import left is not destroyed yet");
        }
    }
}

fn orders(site: &Site) -> Result<Vec<Order>, Fault> {
    let control = site.control()?;
    let orders = control.keys().orders().map(|(_, order)| order);
    Ok(orders.filter(|order| !order.made && order.import.is_none()).cloned().collect())
}

fn destroying(site: &Site) -> Result<Vec<(Name, u32, KeyStanding)>, Fault> {
    let control = site.control()?;
    let all = control.keys().destroying();
    Ok(all.map(|(name, version, key)| (name.clone(), version, key.clone())).collect())
}
