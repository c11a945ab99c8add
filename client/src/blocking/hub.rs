//! [`crate::Hub`], waiting.

use super::{Reader, runtime::Blocking};
use crate::{
    ClientConfig,
    error::ClientError,
    hub::NotReleased,
    update::{SignedRequest, SignedUpdate},
};
use keysvc_protocol::{name::Name, public_key::PublicKey};
use std::time::Duration;

/// A hub's connections.
#[derive(Debug, Clone)]
pub struct Hub(Blocking<crate::Hub>);

impl Hub {
    /// As [`crate::Hub::connect`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let config = config.clone();
        Blocking::connect(async move { crate::Hub::connect(&config).await }).map(Self)
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

    /// As [`crate::Hub::accept`].
    ///
    /// # Errors
    /// [`ClientError::Request`] when it is no such request.
    pub fn accept(&self, message: Vec<u8>) -> Result<SignedRequest, ClientError> {
        self.0.persona().accept(message)
    }

    /// As [`crate::Hub::accept_of`].
    ///
    /// # Errors
    /// [`ClientError::Request`] when the bytes are no request that this key signed.
    pub fn accept_of(
        &self,
        message: Vec<u8>,
        terminal: Name,
        statement_key: PublicKey,
    ) -> Result<SignedRequest, ClientError> {
        self.0.persona().accept_of(message, terminal, statement_key)
    }

    /// As [`crate::Hub::send`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn send(
        &self,
        updates: &[SignedRequest],
    ) -> Result<Vec<Result<SignedUpdate, NotReleased>>, ClientError> {
        let updates = updates.to_vec();
        self.0.call(move |hub| async move { hub.send(&updates).await })
    }
}
