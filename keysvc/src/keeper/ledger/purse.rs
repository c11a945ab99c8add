//! The sequence rule: what the next value update of a purse is, or why there is none.
//!
//! Pure, so that it can be read and tested without a store. What it allows is recorded by the backend, in the same
//! transaction that read the purse.

use super::change::Terms;
use crate::keeper::action::value_rules;
use keysvc_protocol::{
    bytes::{Digest, PreviousUpdate},
    control::Control,
    name::Name,
    refusal::{Forbids, Invalid, Refusal},
    request::{UpdateValue, ValueOperation},
    schema::Schema,
    value::ValueUpdate,
};

/// The rules of one purse, from the newest version of its programme's card profile. Amounts in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PurseRules {
    /// Whether it is loaded more than once.
    pub(super) reloadable: bool,
    /// Highest balance.
    pub(super) ceiling: u64,
    /// Highest single load.
    pub(super) load_max: u64,
    /// Highest single debit.
    pub(super) debit_max: u64,
    /// What every update gets.
    pub(super) terms: Terms,
}

impl PurseRules {
    /// The rules as they stand at this place of the log.
    ///
    /// # Errors
    /// As [`value_rules`].
    pub(super) fn of(control: &Control, request: &UpdateValue, terms: &Terms) -> Result<Self, Refusal> {
        let rules = value_rules(control, request)?;
        Ok(Self {
            reloadable: rules.reloadable && !rules.one_time,
            ceiling: rules.ceiling,
            load_max: rules.load_max,
            debit_max: rules.debit_max,
            terms: *terms,
        })
    }
}

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
    /// The digest of the evidence, where it took a quorum.
    pub(super) evidence: Option<Digest>,
}

/// The next update of a purse; a purse without updates stands at sequence number 0 and balance 0.
///
/// The checks have one order, so that a terminal learns first what it must mend first: amount, sequence number,
/// balance, whether it may be loaded again, then the limits.
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
    // Nothing can be taken out of a purse that is empty, so its first update was its first load.
    if request.operation == ValueOperation::Load && last > 0 && !rules.reloadable {
        return Err(Refusal::ProfileForbids { reason: Forbids::NotReloadable });
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
        expires_at_ms: facts.time_ms.saturating_add(rules.terms.valid_ms),
        flags: rules.terms.flags,
        evidence: facts.evidence,
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

#[cfg(test)]
mod tests {
    use super::{
        super::sqlite::ground::{Ask, CARD, NOW_MS, RULES, TERMS, request},
        *,
    };
    use ValueOperation::{Debit, Load};
    use keysvc_protocol::cbor;
    use proptest::prelude::*;

    fn purse(seq: u64, balance: u64) -> Purse {
        Purse { seq, balance, link: PreviousUpdate::new([8; 16]), leaf: 3 }
    }

    fn next(purse: Option<&Purse>, ask: &Ask, rules: &PurseRules) -> Result<ValueUpdate, Refusal> {
        let terminal = "terminal-1".parse().unwrap();
        let facts = Facts { terminal: &terminal, time_ms: NOW_MS, evidence: None };
        next_update(purse, &request(ask, CARD.parse().unwrap()), rules, facts)
    }

    #[test]
    fn a_purse_begins_with_sequence_number_one_and_no_past() {
        let first = next(None, &Ask(Load, 2_000, 1, 0), &RULES).unwrap();
        assert_eq!((first.seq, first.balance_before, first.balance_after), (1, 0, 2_000));
        assert_eq!(first.previous, PreviousUpdate::new([0; 16]));
        assert_eq!(first.issued_at_ms, NOW_MS);
        assert_eq!(first.expires_at_ms, NOW_MS + RULES.terms.valid_ms);
        assert_eq!(ValueUpdate::from_payload(&cbor::encode(&first)), Ok(first));
    }

    #[test]
    fn a_later_update_links_to_the_one_before() {
        let later = next(Some(&purse(7, 500)), &Ask(Debit, 200, 8, 500), &RULES).unwrap();
        assert_eq!((later.seq, later.balance_after), (8, 300));
        assert_eq!(later.previous, PreviousUpdate::new([8; 16]));
    }

    #[test]
    fn the_checks_have_one_order_and_each_says_what_would_have_been_enough() {
        let at = Some(purse(7, 9_000));
        let asked = |ask: Ask| next(at.as_ref(), &ask, &RULES).unwrap_err();
        assert_eq!(asked(Ask(Debit, 0, 1, 1)), Refusal::Invalid { reason: Invalid::ZeroAmount });
        assert_eq!(asked(Ask(Debit, 9_999, 7, 1)), Refusal::CounterConflict { expected_seq: 8 });
        assert_eq!(asked(Ask(Debit, 9_999, 9, 1)), Refusal::CounterConflict { expected_seq: 8 });
        assert_eq!(asked(Ask(Debit, 9_999, 8, 1)), Refusal::BalanceMismatch { balance: 9_000 });
        assert_eq!(asked(Ask(Debit, 2_001, 8, 9_000)), Refusal::LimitExceeded { limit: 2_000 });
        assert_eq!(asked(Ask(Load, 5_001, 8, 9_000)), Refusal::LimitExceeded { limit: 5_000 });
        assert_eq!(asked(Ask(Load, 1_001, 8, 9_000)), Refusal::LimitExceeded { limit: 10_000 });
        let low = next(Some(&purse(7, 10)), &Ask(Debit, 11, 8, 10), &RULES);
        assert_eq!(low, Err(Refusal::LimitExceeded { limit: 10 }));
        assert_eq!(next(None, &Ask(Debit, 1, 1, 0), &RULES), Err(Refusal::LimitExceeded { limit: 0 }));
    }

    #[test]
    fn a_purse_that_is_not_reloadable_is_loaded_once_and_debited_until_it_is_empty() {
        let rules = PurseRules { reloadable: false, ..RULES };
        assert!(next(None, &Ask(Load, 2_000, 1, 0), &rules).is_ok());
        let refused = Err(Refusal::ProfileForbids { reason: Forbids::NotReloadable });
        assert_eq!(next(Some(&purse(1, 2_000)), &Ask(Load, 1, 2, 2_000), &rules), refused);
        assert_eq!(next(Some(&purse(2, 0)), &Ask(Load, 9_999_999, 3, 0), &rules), refused);
        assert_eq!(
            next(Some(&purse(1, 2_000)), &Ask(Debit, 2_000, 2, 2_000), &rules).unwrap().balance_after,
            0
        );
    }

    #[test]
    fn the_largest_numbers_are_refused_without_overflow() {
        let rules = PurseRules { ceiling: u64::MAX, load_max: u64::MAX, debit_max: u64::MAX, ..RULES };
        let full = next(Some(&purse(1, u64::MAX)), &Ask(Load, 1, 2, u64::MAX), &rules);
        assert_eq!(full, Err(Refusal::LimitExceeded { limit: u64::MAX }));
        let last = next(Some(&purse(u64::MAX, 0)), &Ask(Load, 1, u64::MAX, 0), &rules);
        assert_eq!(last, Err(Refusal::LimitExceeded { limit: u64::MAX }));
        let endless = PurseRules { terms: Terms { valid_ms: u64::MAX, ..TERMS }, ..rules };
        assert_eq!(
            next(None, &Ask(Load, 1, 1, 0), &endless).map(|update| update.expires_at_ms),
            Ok(u64::MAX)
        );
    }

    proptest! {
        #[test]
        fn whatever_is_asked_balances_stay_within_limits_and_the_chain_holds(
            asked in prop::collection::vec((any::<bool>(), 0_u64..6_000, 0_u64..3, 0_u64..3), 1..60),
        ) {
            let mut at: Option<Purse> = None;
            let (mut model_seq, mut model_balance) = (0_u64, 0_u64);
            let mut last_payload: Option<Vec<u8>> = None;
            for (load, amount, seq_off, balance_off) in asked {
                // Mostly the right numbers, sometimes others.
                let (seq, balance) = (model_seq + 1 + seq_off / 2, model_balance + balance_off / 2);
                let operation = if load { Load } else { Debit };
                let allowed = amount > 0 && seq == model_seq + 1 && balance == model_balance && if load {
                    amount <= RULES.load_max && model_balance + amount <= RULES.ceiling
                } else {
                    amount <= RULES.debit_max && amount <= model_balance
                };
                let answer = next(at.as_ref(), &Ask(operation, amount, seq, balance), &RULES);
                prop_assert_eq!(answer.is_ok(), allowed);
                let Ok(update) = answer else { continue };
                model_seq += 1;
                model_balance = if load { model_balance + amount } else { model_balance - amount };
                prop_assert_eq!((update.seq, update.balance_after), (model_seq, model_balance));
                let link = last_payload.as_deref().map_or(PreviousUpdate::new([0; 16]), ValueUpdate::link);
                prop_assert_eq!(update.previous, link);
                let payload = cbor::encode(&update);
                prop_assert_eq!(ValueUpdate::from_payload(&payload), Ok(update.clone()));
                let link = ValueUpdate::link(&payload);
                at = Some(Purse { seq: update.seq, balance: update.balance_after, link, leaf: 0 });
                last_payload = Some(payload);
            }
        }
    }
}
