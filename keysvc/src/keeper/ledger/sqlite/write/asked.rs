//! A repeatable change, as its refusal names it and as its repetition is judged.
//!
//! Holds no rule: what stops a change is `once`'s.

use crate::keeper::ledger::change::{Change, Retry, Touches};
use keysvc_protocol::{card::CardUid, leaf::Statement, name::Name, request::Operation};
use std::slice;

/// A repeatable change.
pub(super) struct Asked<'a> {
    pub(super) retry: &'a Retry,
    pub(super) operation: Operation,
    pub(super) statement: &'a Statement,
    /// What it uses, where it is about value or cards.
    pub(super) uses: Option<Uses<'a>>,
}

/// What a change about value or cards uses.
pub(super) struct Uses<'a> {
    pub(super) touches: &'a Touches,
    pub(super) cards: &'a [CardUid],
    pub(super) keys: Keys<'a>,
}

/// The keys that would act, by what they would do.
#[derive(Clone, Copy)]
pub(super) enum Keys<'a> {
    /// None of those whose states people move.
    None,
    /// This one signs.
    Signs(&'a Name),
    /// These derive.
    Derive(&'a [(Name, u32)]),
}

impl<'a> Asked<'a> {
    pub(super) const fn new(retry: &'a Retry, operation: Operation, statement: &'a Statement) -> Self {
        Self { retry, operation, statement, uses: None }
    }

    /// What an act asks; nothing of other changes.
    pub(super) fn of(change: &'a Change) -> Option<Self> {
        let (retry, operation, statement, uses) = match change {
            Change::Alter { retry, leaf } => (retry, leaf.operation, &leaf.statement, None),
            Change::OpenStation { retry, statement, touches, .. } => {
                let uses = Uses { touches, cards: &[], keys: Keys::None };
                (retry, Operation::StationOpen, statement, Some(uses))
            }
            Change::DeriveCardKeys { retry, leaf, touches, cards, masters } => {
                let uses = Uses { touches, cards, keys: Keys::Derive(masters) };
                (retry, Operation::CardDerive, &leaf.statement, Some(uses))
            }
            Change::UpdateValue { retry, request, statement, touches, value_key, .. } => {
                let cards = slice::from_ref(&request.card);
                let uses = Uses { touches, cards, keys: Keys::Signs(value_key) };
                (retry, Operation::ValueUpdate, statement, Some(uses))
            }
            _ => return None,
        };
        Some(Self { retry, operation, statement, uses })
    }
}
