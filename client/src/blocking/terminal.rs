//! [`crate::Terminal`], waiting.

use super::{Reader, runtime::Blocking};
use crate::{
    ClientConfig,
    error::ClientError,
    terminal::{Offline, SignedRequest, SignedUpdate},
};
use keysvc_protocol::{bytes::Idem, name::Name, request::UpdateValue, value::ValueUpdate};
use std::time::Duration;

/// A terminal's connections with its statement key.
#[derive(Debug, Clone)]
pub struct Terminal(Blocking<crate::Terminal>);

impl Terminal {
    /// As [`crate::Terminal::connect`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let config = config.clone();
        Blocking::connect(async move { crate::Terminal::connect(&config).await }).map(Self)
    }

    /// The same, with another time for each call.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self(self.0.with(self.0.persona().with_deadline(deadline)))
    }

    /// As [`crate::Terminal::new_txn`].
    ///
    /// # Errors
    /// [`ClientError::Request`] when the system gives no random bytes.
    pub fn new_txn() -> Result<Idem, ClientError> {
        crate::Terminal::new_txn()
    }

    /// The reads every persona may make.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.0.with(self.0.persona().reader().clone()))
    }

    /// The terminal's name, from its enrolment.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.0.persona().name()
    }

    /// As [`crate::Terminal::update`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn update(&self, request: &UpdateValue) -> Result<SignedUpdate, ClientError> {
        let request = request.clone();
        self.0.call(move |terminal| async move { terminal.update(&request).await })
    }

    /// As [`crate::Terminal::sign_update`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn sign_update(&self, request: &UpdateValue) -> Result<SignedRequest, ClientError> {
        let request = request.clone();
        self.0.call(move |terminal| async move { terminal.sign_update(&request).await })
    }

    /// As [`crate::Terminal::bundle`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn bundle(&self) -> Result<Offline, ClientError> {
        self.0.call(|terminal| async move { terminal.bundle().await })
    }

    /// As [`crate::Terminal::verify_offline`].
    ///
    /// # Errors
    /// Those of the async type's method.
    pub fn verify_offline(&self, record: &[u8], now_ms: u64) -> Result<ValueUpdate, ClientError> {
        self.0.persona().verify_offline(record, now_ms)
    }
}
