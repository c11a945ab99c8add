//! What the front is told of the keeper itself, from memory: neither token nor store is asked, so it is told at once
//! whatever they do.

use super::super::serve::{Keeper, now_ms};
use crate::link::{Answer, KeeperState, Look};
use keysvc_protocol::schema::Schema;
use std::sync::atomic::Ordering;

/// Answers a look.
#[must_use]
pub fn look(keeper: &Keeper, look: Look) -> Answer {
    let state = state(keeper);
    match look {
        Look::State => Answer::reply(state.encode()),
        Look::Metrics => Answer::reply(keeper.metrics.text(&state)),
    }
}

fn state(keeper: &Keeper) -> KeeperState {
    let now = now_ms();
    let checkpoints = keeper.notary.checkpoints();
    let newest = checkpoints.newest();
    KeeperState {
        schema: Schema,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: now.saturating_sub(keeper.started_at_ms),
        // The state is there since the start.
        policy: keeper.site.control().map_or(keeper.site.founding().policy, |control| *control.policy()),
        development: keeper.site.development(),
        halted: keeper.halted.load(Ordering::Acquire),
        closing: keeper.closing.load(Ordering::Acquire),
        leaves: keeper.ledger.reader().head().size,
        checkpoint_size: newest.map_or(0, |newest| newest.checkpoint().head.size),
        checkpoint_age_ms: now.saturating_sub(checkpoints.newest_at_ms()),
        token_silent_ms: keeper.metrics.token_silent_ms(),
        queue_len: keeper.ledger.sequencer().commits().waiting(),
        jobs_overdue: keeper.metrics.jobs_overdue(),
    }
}
