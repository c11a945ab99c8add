//! What is stopped.

use crate::{
    freeze::{FREEZES_MAX, FREEZES_OF_OTHERS_MAX, Scope, ScopeKind, Touched},
    name::{Name, Reason},
    refusal::{Conflict, Refusal, Thing},
};
use alloc::collections::BTreeMap;
use serde::Serialize;

/// A freeze in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freeze {
    /// Who set it.
    pub by: Name,
    /// Why.
    pub reason: Reason,
    /// Since when: milliseconds since 1970-01-01 UTC.
    pub since_ms: u64,
    /// Its leaf.
    pub leaf: u64,
}

/// The freezes in force, by scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freezes(BTreeMap<Scope, Freeze>);

impl Serialize for Freezes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl Freezes {
    /// All of them, in the order of their scopes.
    pub fn iter(&self) -> impl Iterator<Item = (&Scope, &Freeze)> {
        self.0.iter()
    }

    /// The freeze of exactly this scope.
    #[must_use]
    pub fn get(&self, scope: &Scope) -> Option<&Freeze> {
        self.0.get(scope)
    }

    /// The kind of a freeze that stops what is touched.
    #[must_use]
    pub fn stops(&self, touched: &Touched<'_>) -> Option<ScopeKind> {
        if self.0.is_empty() {
            return None;
        }
        let card = |scope: Scope| self.0.contains_key(&scope);
        let stopped = touched.cards.iter().any(|uid| {
            card(Scope::Card { card: *uid, programme: None })
                || touched.programme.is_some_and(|programme| {
                    card(Scope::Card { card: *uid, programme: Some(programme.clone()) })
                })
        });
        if stopped {
            return Some(ScopeKind::Card);
        }
        let others = self.0.keys().filter(|scope| scope.kind() != ScopeKind::Card);
        others.into_iter().find(|scope| touched.is_stopped_by(scope)).map(Scope::kind)
    }

    pub(super) fn may_set(&self, scope: &Scope, by_officer: bool) -> Result<(), Refusal> {
        let most = if by_officer { FREEZES_MAX } else { FREEZES_OF_OTHERS_MAX };
        if self.0.len() >= most && !self.0.contains_key(scope) {
            return Err(Refusal::StateConflict { reason: Conflict::Full });
        }
        Ok(())
    }

    pub(super) fn set(&mut self, scope: Scope, freeze: Freeze) {
        self.0.entry(scope).or_insert(freeze);
    }

    pub(super) fn may_lift(&self, scope: &Scope) -> Result<(), Refusal> {
        if self.0.contains_key(scope) { Ok(()) } else { Err(Refusal::NotFound { what: Thing::Freeze }) }
    }

    pub(super) fn lift(&mut self, scope: &Scope) {
        self.0.remove(scope);
    }
}
