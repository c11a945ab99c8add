//! A repeatable change, as its refusal names it and as its repetition is judged.
//!
//! Holds no rule: what stops a change is `once`'s.

use crate::keeper::ledger::change::{Change, Retry, Touches};
use keysvc_protocol::{
    card::CardUid,
    leaf::Statement,
    name::Name,
    request::{DeriveCardKeys, Operation},
};
use std::{borrow::Cow, slice};

/// A repeatable change.
pub(super) struct Asked<'a> {
    pub(super) retry: &'a Retry,
    pub(super) operation: Operation,
    pub(super) statement: &'a Statement,
    /// What it uses, where it is about value or cards.
    pub(super) uses: Option<Uses<'a>>,
    /// What its repetition is judged by beside, where it lies in a session.
    pub(super) again: Option<Again<'a>>,
}

/// What a change about value or cards uses.
pub(super) struct Uses<'a> {
    pub(super) touches: Cow<'a, Touches>,
    pub(super) cards: &'a [CardUid],
    pub(super) keys: Keys<'a>,
    /// The job whose profile and master keys it touches as well, and whether those derive.
    pub(super) job: Option<(&'a Name, bool)>,
}

/// The keys that would act, by what they would do.
pub(super) enum Keys<'a> {
    /// None of those whose states people move.
    None,
    /// This one signs.
    Signs(&'a Name),
    /// These derive.
    Derive(Vec<(Name, u32)>),
}

/// A request of a session that may be over when it is repeated.
pub(super) enum Again<'a> {
    /// The session's own.
    Open { job: &'a Name },
    /// One of card keys.
    Derive { station: &'a Name, request: &'a DeriveCardKeys },
}

impl<'a> Uses<'a> {
    fn new(touches: &'a Touches, cards: &'a [CardUid], keys: Keys<'a>) -> Self {
        Self { touches: Cow::Borrowed(touches), cards, keys, job: None }
    }

    fn of_job(self, job: &'a Name, derives: bool) -> Self {
        Self { job: Some((job, derives)), ..self }
    }
}

impl<'a> Asked<'a> {
    pub(super) const fn new(retry: &'a Retry, operation: Operation, statement: &'a Statement) -> Self {
        Self { retry, operation, statement, uses: None, again: None }
    }

    fn using(self, uses: Uses<'a>) -> Self {
        Self { uses: Some(uses), ..self }
    }

    fn again(self, again: Again<'a>) -> Self {
        Self { again: Some(again), ..self }
    }

    /// What an act asks; nothing of other changes.
    pub(super) fn of(change: &'a Change) -> Option<Self> {
        Some(match change {
            Change::Alter { retry, leaf } => Self::new(retry, leaf.operation, &leaf.statement),
            Change::OpenJob { retry, operation, job, statement, touches, .. } => {
                let uses = Uses::new(touches, &[], Keys::None).of_job(job, false);
                Self::new(retry, *operation, statement).using(uses).again(Again::Open { job })
            }
            Change::DeriveCardKeys { retry, station, request, statement, touches } => {
                let uses = Uses::new(touches, &request.cards, Keys::None).of_job(&request.job, true);
                let again = Again::Derive { station, request };
                Self::new(retry, Operation::CardDerive, statement).using(uses).again(again)
            }
            Change::UpdateValue { retry, request, statement, touches, value_key, .. } => {
                let cards = slice::from_ref(&request.card);
                let uses = Uses::new(touches, cards, Keys::Signs(value_key));
                Self::new(retry, Operation::ValueUpdate, statement).using(uses)
            }
            Change::MoveCards { retry, leaf, cards, touches } => {
                let uses = Uses::new(touches, cards, Keys::None);
                Self::new(retry, leaf.operation, &leaf.statement).using(uses)
            }
            // What people must be able to do whatever is frozen: stop, count, clear up.
            Change::GiveResults { retry, leaf, .. } => Self::new(retry, leaf.operation, &leaf.statement),
            Change::AlterJob { retry, leaf, .. } => Self::new(retry, leaf.operation, &leaf.statement),
            Change::AddItems { retry, leaf, .. } => Self::new(retry, Operation::JobItems, &leaf.statement),
            Change::ReportIncident { retry, leaf, .. } => {
                Self::new(retry, Operation::JobIncident, &leaf.statement)
            }
            _ => return None,
        })
    }
}
