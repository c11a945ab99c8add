//! [`crate::Station`], waiting.

use super::{Reader, runtime::Blocking};
use crate::{
    ClientConfig,
    error::ClientError,
    pending::Outcome,
    station::{CardKey, Changed, NewKeys, Voted},
};
use keysvc_protocol::{
    bytes::ProposalId,
    card::CardUid,
    name::{Name, Reason},
};
use std::time::Duration;

/// A station's connections with its statement key and its wrapping key.
#[derive(Debug, Clone)]
pub struct Station(Blocking<crate::Station>);

impl Station {
    /// As [`crate::Station::connect`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let config = config.clone();
        Blocking::connect(async move { crate::Station::connect(&config).await }).map(Self)
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

    /// The station's name, from its enrolment.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.0.persona().name()
    }

    /// As [`crate::Station::open`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn open(&self) -> Result<(), ClientError> {
        self.0.call(|station| async move { station.open().await })
    }

    /// As [`crate::Station::derive`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn derive(
        &self,
        profile: &Name,
        version: u32,
        slots: &[u8],
        cards: &[CardUid],
    ) -> Result<Vec<CardKey>, ClientError> {
        let (profile, slots, cards) = (profile.clone(), slots.to_vec(), cards.to_vec());
        self.0.call(move |station| async move { station.derive(&profile, version, &slots, &cards).await })
    }

    /// As [`crate::Station::rotate`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn rotate(&self, keys: NewKeys) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |station| async move { station.rotate(keys).await })
    }

    /// As [`crate::Station::cancel`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn cancel(&self, id: ProposalId, reason: &Reason) -> Result<Voted, ClientError> {
        let reason = reason.clone();
        self.0.call(move |station| async move { station.cancel(id, &reason).await })
    }

    /// As [`crate::Station::result`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn result(&self, id: ProposalId) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |station| async move { station.result(id).await })
    }
}
