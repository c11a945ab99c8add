//! The sequence rule: what the next value update of a purse is, or why there is none.
//!
//! Pure, so that it can be read and tested without a store. What it allows is recorded by the backend, in the same
//! transaction that read the purse.

use super::change::PurseRules;
use keysvc_protocol::{
    bytes::PreviousUpdate,
    name::Name,
    refusal::{Invalid, Refusal},
    request::{UpdateValue, ValueOperation},
    schema::Schema,
    value::ValueUpdate,
};

/// Where a purse stands after its last recorded update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purse {
    /// The last sequence number, from 1.
    pub seq: u64,
    /// The balance, in minor units.
    pub balance: u64,
    /// The link to the last update's payload ([`ValueUpdate::link`]).
    pub link: PreviousUpdate,
    /// Index of the last update's leaf.
    pub leaf: u64,
}

/// What an update takes from the service rather than from the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// The terminal, from its enrolment.
    pub(super) terminal: &'a Name,
    /// The leaf's time, milliseconds since 1970-01-01 UTC.
    pub(super) time_ms: u64,
}

/// The next update of a purse; a purse without updates stands at sequence number 0 and balance 0.
///
/// The checks have one order, so that a terminal learns first what it must mend first: amount, sequence number,
/// balance, then the limits.
///
/// # Errors
/// The [`Refusal`] of the first check that fails, with what would have been enough.
pub(super) fn next_update(
    purse: Option<&Purse>,
    request: &UpdateValue,
    rules: &PurseRules,
    facts: Facts<'_>,
) -> Result<ValueUpdate, Refusal> {
    if request.amount == 0 {
        return Err(Refusal::Invalid { reason: Invalid::ZeroAmount });
    }
    let (last, balance, previous) =
        purse.map_or((0, 0, PreviousUpdate::new([0; 16])), |purse| (purse.seq, purse.balance, purse.link));
    let seq = last.checked_add(1).ok_or(Refusal::LimitExceeded { limit: last })?;
    if request.expected_seq != seq {
        return Err(Refusal::CounterConflict { expected_seq: seq });
    }
    if request.balance_before != balance {
        return Err(Refusal::BalanceMismatch { balance });
    }
    let balance_after = balance_after(balance, request, rules)?;
    Ok(ValueUpdate {
        schema: Schema,
        programme: request.programme.clone(),
        card: request.card,
        purse: request.purse,
        operation: request.operation,
        seq,
        amount: request.amount,
        currency: request.currency,
        balance_before: balance,
        balance_after,
        previous,
        txn: request.txn,
        terminal: facts.terminal.clone(),
        issued_at_ms: facts.time_ms,
        // Saturates only for a validity of millions of years.
        expires_at_ms: facts.time_ms.saturating_add(rules.valid_ms),
        flags: rules.flags,
    })
}

fn balance_after(balance: u64, request: &UpdateValue, rules: &PurseRules) -> Result<u64, Refusal> {
    let past = |limit| Refusal::LimitExceeded { limit };
    match request.operation {
        ValueOperation::Load if request.amount > rules.load_max => Err(past(rules.load_max)),
        ValueOperation::Load => {
            let after = balance.checked_add(request.amount).ok_or(past(rules.ceiling))?;
            if after > rules.ceiling { Err(past(rules.ceiling)) } else { Ok(after) }
        }
        ValueOperation::Debit if request.amount > rules.debit_max => Err(past(rules.debit_max)),
        ValueOperation::Debit => balance.checked_sub(request.amount).ok_or(past(balance)),
    }
}
