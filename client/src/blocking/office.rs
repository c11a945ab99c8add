//! [`crate::Office`], waiting.

use super::{Reader, runtime::Blocking};
use crate::{
    ClientConfig,
    error::ClientError,
    office::{ActEvidence, CardsMove, Changed, NewKeys, Voted},
    pending::Outcome,
};
use keysvc_protocol::{
    bytes::ProposalId,
    freeze::Scope,
    name::{Name, Reason},
    reply::FreezeView,
};
use std::time::Duration;

/// An office's connections with its statement key.
#[derive(Debug, Clone)]
pub struct Office(Blocking<crate::Office>);

impl Office {
    /// As [`crate::Office::connect`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let config = config.clone();
        Blocking::connect(async move { crate::Office::connect(&config).await }).map(Self)
    }

    /// The same, with another time for each call.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self(self.0.with(self.0.persona().with_deadline(deadline)))
    }

    /// The reads every persona may make.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.0.with(self.0.persona().reader().clone()))
    }

    /// The office's name, from its enrolment.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.0.persona().name()
    }

    /// As [`crate::Office::freeze`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn freeze(&self, scope: Scope, reason: Reason) -> Result<Changed, ClientError> {
        self.0.call(move |office| async move { office.freeze(scope, reason).await })
    }

    /// As [`crate::Office::freezes`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn freezes(&self) -> Result<Vec<FreezeView>, ClientError> {
        self.0.call(|office| async move { office.freezes().await })
    }

    /// As [`crate::Office::move_cards`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn move_cards(&self, cards: CardsMove) -> Result<Outcome<()>, ClientError> {
        self.0.call(move |office| async move { office.move_cards(cards).await })
    }

    /// As [`crate::Office::rotate`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn rotate(&self, keys: NewKeys) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |office| async move { office.rotate(keys).await })
    }

    /// As [`crate::Office::result`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn result(&self, id: ProposalId) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |office| async move { office.result(id).await })
    }

    /// As [`crate::Office::evidence`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn evidence(&self, id: ProposalId) -> Result<ActEvidence, ClientError> {
        self.0.call(move |office| async move { office.evidence(id).await })
    }

    /// As [`crate::Office::cancel`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn cancel(&self, id: ProposalId, reason: &Reason) -> Result<Voted, ClientError> {
        let reason = reason.clone();
        self.0.call(move |office| async move { office.cancel(id, &reason).await })
    }
}
