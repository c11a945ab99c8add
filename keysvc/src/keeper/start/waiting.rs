//! What waits, looked at each second: acts for their delay, proposals for people until they expire; and the heartbeats
//! that witness how long the service has run.
//!
//! What may take effect is the log's state to say ([`Control::is_due`]); the ledger asks it again in its transaction. The
//! two clocks are compared here, so that a wall clock that was moved stands in the log within a second.

use super::unfinished;
use crate::{
    config::fixed::{EXPIRED_AT_ONCE_MAX, HEARTBEAT_MAX_MS, HEARTBEAT_MIN_MS, HEARTBEATS_A_DELAY},
    error::Fault,
    keeper::{
        ledger::{Change, Clock, Outcome, Sequencer, Settled},
        serve::Keeper,
    },
};
use keysvc_protocol::{
    control::{Clock as Standing, Control, DRIFT_MAX_MS, Moment, Open, Waiting},
    founding::Delays,
    leaf::ProposalClosedLeaf,
    proposal::{ProposalEnd, ProposalId},
    refusal::{Conflict, Refusal},
    schema::Schema,
};
use std::sync::atomic::Ordering;

/// Why a heartbeat is written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beat {
    /// The two clocks went apart.
    Dispute,
    /// Something waits, and so much boot time is not witnessed yet.
    Witness,
}

/// Looks at everything that waits and does what is due.
pub(super) async fn each_second(keeper: &Keeper, clock: &Clock) -> Result<(), Fault> {
    // After a history that was rolled back nothing more is decided.
    if keeper.halted.load(Ordering::Acquire) {
        return Ok(());
    }
    let moment = clock.moment();
    witness(keeper, &moment).await?;
    let control = keeper.site.control()?;
    let due: Vec<_> = due(&control, &moment);
    let expired: Vec<_> = expired(&control, &moment);
    let executes = executes(&control);
    // Not held while others change it: the ledger would copy it.
    drop(control);
    take_effect(keeper, due).await?;
    close_expired(keeper, expired).await?;
    if executes {
        keeper.execute_ready().await?;
    }
    Ok(())
}

/// Writes a heartbeat where one is due.
async fn witness(keeper: &Keeper, moment: &Moment) -> Result<(), Fault> {
    let control = keeper.site.control()?;
    let waits = control.waiting().next().is_some();
    let every_ms = waits.then(|| every_ms(&control.founding().delays));
    let Some(beat) = wanted(control.clock(), every_ms, moment) else { return Ok(()) };
    drop(control);
    let settled = self::beat(keeper.ledger.sequencer()).await?;
    keeper.notarise(settled.lead)?;
    if beat == Beat::Dispute {
        tell_dispute(&*keeper.site.control()?);
    }
    Ok(())
}

/// Records that the service runs, and what stands.
pub(super) async fn beat(sequencer: &Sequencer) -> Result<Settled, Fault> {
    let settled = sequencer.submit(Change::Heartbeat).await?;
    if matches!(settled.outcome, Outcome::Recorded(_)) {
        Ok(settled)
    } else {
        Err(Fault::Invariant("the ledger refused a heartbeat"))
    }
}

/// Says loudly that nothing that waits will take effect.
pub(super) fn tell_dispute(control: &Control) {
    if control.clock().is_disputed() {
        tracing::error!(
            waiting = control.waiting().count(),
            "the clock is disputed: wall clock and boot clock have gone more than {} s apart, or the wall clock went back; \
             nothing that waits takes effect until two officers confirm the time (fobctl clock confirm)",
            DRIFT_MAX_MS / 1000
        );
    }
}

/// The heartbeat that is due now, if one is.
fn wanted(standing: &Standing, every_ms: Option<u64>, moment: &Moment) -> Option<Beat> {
    if !standing.is_disputed() && standing.after(moment).is_disputed() {
        return Some(Beat::Dispute);
    }
    let every_ms = every_ms?;
    // By uptime alone: the start has witnessed this boot.
    let since_ms = standing.last().and_then(|last| moment.up_ms.checked_sub(last.up_ms));
    since_ms.is_none_or(|since_ms| since_ms >= every_ms).then_some(Beat::Witness)
}

/// How often a heartbeat is written while something waits: by the shorter of the delays.
fn every_ms(delays: &Delays) -> u64 {
    let delay_ms = delays.roster_s.min(delays.destroy_s).saturating_mul(1000);
    (delay_ms / HEARTBEATS_A_DELAY).clamp(HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS)
}

/// The acts whose delay is over.
fn due(control: &Control, moment: &Moment) -> Vec<(u64, Waiting)> {
    let due = control.waiting().filter(|(act, _)| control.is_due(*act, moment.wall_ms, moment));
    due.map(|(act, waiting)| (act, waiting.clone())).collect()
}

/// The proposals that nobody executed in time. None while the clock is disputed, for that is what it is read from.
fn expired(control: &Control, moment: &Moment) -> Vec<ProposalId> {
    if control.clock().after(moment).is_disputed() {
        return Vec::new();
    }
    let open = control.proposals().open().filter(|open| moment.wall_ms > open.proposal.expires_ms);
    open.map(|open| open.proposal.id).take(EXPIRED_AT_ONCE_MAX).collect()
}

/// Whether a proposal may have its quorum, by the number of its approvals alone: to count them is to verify each. None
/// under a disputed clock, where each would be refused on record each second; officers who confirm the time execute
/// their proposal themselves.
fn executes(control: &Control) -> bool {
    let may = |open: &Open| open.approvals.len() >= usize::from(open.proposal.need.persons);
    !control.clock().is_disputed() && control.proposals().open().any(may)
}

async fn take_effect(keeper: &Keeper, due: Vec<(u64, Waiting)>) -> Result<(), Fault> {
    if due.is_empty() {
        return Ok(());
    }
    for (act, waiting) in due {
        let settled = keeper.ledger.sequencer().submit(Change::TookEffect { act }).await?;
        keeper.notarise(settled.lead)?;
        let proposal = waiting.proposal;
        match settled.outcome {
            Outcome::Recorded(leaf) => {
                tracing::info!(act, leaf = leaf.index, %proposal, "what waited for its delay is in force");
            }
            Outcome::Refused(refusal) if passes(&refusal) => {}
            // Cancelled a moment ago.
            Outcome::Refused(_) if keeper.site.control()?.waiting_for(&proposal).is_none() => {}
            Outcome::Refused(refusal) => {
                tracing::warn!(act, %proposal, %refusal, "what waited for its delay was refused and has ended");
                close(keeper, vec![(proposal, ProposalEnd::Failed { refusal })]).await?;
            }
            Outcome::Counted => return Err(Fault::Invariant("what took effect has no leaf")),
        }
    }
    unfinished::finish_destroying(keeper).await?;
    keeper.follow().await
}

/// Whether what was refused may take effect later: it was too early.
fn passes(refusal: &Refusal) -> bool {
    let early =
        matches!(refusal, Refusal::StateConflict { reason: Conflict::Waiting | Conflict::ClockDisputed });
    // A halted ledger puts nothing in force, and ends nothing either.
    early || refusal.retryable() || *refusal == Refusal::HistoryRolledBack
}

async fn close_expired(keeper: &Keeper, expired: Vec<ProposalId>) -> Result<(), Fault> {
    for id in &expired {
        tracing::info!(proposal = %id, "a proposal has expired");
    }
    close(keeper, expired.into_iter().map(|id| (id, ProposalEnd::Expired)).collect()).await
}

/// Ends proposals in one commit. One that has ended meanwhile, or was executed, is refused and stays so.
async fn close(keeper: &Keeper, ends: Vec<(ProposalId, ProposalEnd)>) -> Result<(), Fault> {
    if ends.is_empty() {
        return Ok(());
    }
    let closed =
        |(proposal, end)| Change::CloseProposal(ProposalClosedLeaf { schema: Schema, proposal, end });
    let settled = keeper.ledger.sequencer().submit_all(ends.into_iter().map(closed).collect()).await?;
    for one in settled {
        keeper.notarise(one?.lead)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::bytes::Boot;

    const HOUR_MS: u64 = 60 * 60 * 1000;

    fn moment(boot: u8, wall_ms: u64, up_ms: u64) -> Moment {
        Moment { wall_ms, boot: Boot::new([boot; 16]), up_ms }
    }

    /// The standing after these moments.
    fn standing(moments: &[Moment]) -> Standing {
        moments.iter().fold(Standing::default(), Standing::after)
    }

    #[test]
    fn a_heartbeat_is_written_a_24th_of_the_shorter_delay_apart_between_a_second_and_a_quarter_hour() {
        let delays = |roster_s, destroy_s| Delays { roster_s, destroy_s };
        assert_eq!(every_ms(&Delays::default()), HEARTBEAT_MAX_MS);
        assert_eq!(every_ms(&delays(3, 4)), 1_000);
        assert_eq!(every_ms(&delays(2 * 60 * 60, 60 * 60)), 150_000);
        assert_eq!(every_ms(&delays(u64::MAX, u64::MAX)), HEARTBEAT_MAX_MS);
    }

    #[test]
    fn while_something_waits_boot_time_is_witnessed_in_good_time_and_otherwise_not_at_all() {
        let standing = standing(&[moment(1, HOUR_MS, 0)]);
        let later = |ms| moment(1, HOUR_MS + ms, ms);
        assert_eq!(wanted(&standing, Some(5_000), &later(4_999)), None);
        assert_eq!(wanted(&standing, Some(5_000), &later(5_000)), Some(Beat::Witness));
        assert_eq!(wanted(&standing, None, &later(HOUR_MS)), None);
    }

    #[test]
    fn a_boot_that_nothing_has_witnessed_is_witnessed_at_once_while_something_waits() {
        let standing = standing(&[moment(1, HOUR_MS, 9_000)]);
        assert_eq!(wanted(&standing, Some(5_000), &moment(2, HOUR_MS, 8_999)), Some(Beat::Witness));
        assert_eq!(wanted(&Standing::default(), Some(5_000), &moment(2, HOUR_MS, 1)), Some(Beat::Witness));
    }

    #[test]
    fn clocks_that_go_apart_are_in_the_log_at_once_and_only_once() {
        let began = moment(1, HOUR_MS, 0);
        let jumped = moment(1, HOUR_MS + 1_000 + DRIFT_MAX_MS + 1, 1_000);
        assert_eq!(wanted(&standing(&[began]), None, &jumped), Some(Beat::Dispute));
        assert_eq!(wanted(&standing(&[began, jumped]), None, &jumped), None);
        let slow = moment(1, HOUR_MS + 1_000 + DRIFT_MAX_MS, 1_000);
        assert_eq!(wanted(&standing(&[began]), None, &slow), None);
    }

    #[test]
    fn only_what_came_too_early_is_tried_again() {
        let conflict = |reason| Refusal::StateConflict { reason };
        assert!(passes(&conflict(Conflict::Waiting)));
        assert!(passes(&conflict(Conflict::ClockDisputed)));
        assert!(!passes(&conflict(Conflict::TooFewOfficers)));
        assert!(!passes(&Refusal::Forbidden));
    }
}
