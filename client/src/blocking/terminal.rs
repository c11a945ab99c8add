//! [`crate::Terminal`], waiting.

use super::{Reader, runtime::Blocking};
use crate::{
    ClientConfig,
    error::ClientError,
    pending::Outcome,
    terminal::{CardsMove, Changed, NewKeys, Offline, SignedRequest, SignedUpdate, Voted},
};
use keysvc_protocol::{
    bytes::{Idem, ProposalId},
    name::{Name, Reason},
    public_key::PublicKey,
    request::UpdateValue,
    value::ValueUpdate,
};
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

    /// The statement key that signs its requests.
    #[must_use]
    pub fn statement_key(&self) -> PublicKey {
        self.0.persona().statement_key()
    }

    /// As [`crate::Terminal::update`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn update(&self, request: &UpdateValue) -> Result<SignedUpdate, ClientError> {
        let request = request.clone();
        self.0.call(move |terminal| async move { terminal.update(&request).await })
    }

    /// As [`crate::Terminal::result`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn result(&self, id: ProposalId) -> Result<Outcome<SignedUpdate>, ClientError> {
        self.0.call(move |terminal| async move { terminal.result(id).await })
    }

    /// As [`crate::Terminal::cancel`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn cancel(&self, id: ProposalId, reason: &Reason) -> Result<Voted, ClientError> {
        let reason = reason.clone();
        self.0.call(move |terminal| async move { terminal.cancel(id, &reason).await })
    }

    /// As [`crate::Terminal::move_cards`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn move_cards(&self, cards: CardsMove) -> Result<Outcome<()>, ClientError> {
        self.0.call(move |terminal| async move { terminal.move_cards(cards).await })
    }

    /// As [`crate::Terminal::rotate`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn rotate(&self, keys: NewKeys) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |terminal| async move { terminal.rotate(keys).await })
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

    /// As [`crate::Terminal::rotation`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn rotation(&self, id: ProposalId) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |terminal| async move { terminal.rotation(id).await })
    }
}
