//! Signed requests: what changes something goes out as a `COSE_Sign1` by our statement key.

use crate::{
    error::ClientError,
    own_proposal::Mine,
    pending::Outcome,
    reader::{Outgoing, Reader, blocking},
    reply::Reply,
    signer::StatementSigner,
    trust_store::Founded,
};
use keysvc_protocol::{
    bytes::Idem,
    cbor,
    cose::{Kind, Unsigned},
    request::Operation,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use std::sync::Arc;

/// The payload of a request that changes something.
pub(crate) struct Statement<'a, T> {
    /// What is asked.
    pub(crate) operation: Operation,
    /// The idempotency key in the payload.
    pub(crate) idem: Idem,
    /// The request.
    pub(crate) request: &'a T,
}

impl<T: Serialize> Statement<'_, T> {
    /// The `COSE_Sign1`, bound to the genesis digest.
    pub(crate) async fn sign(
        &self,
        founded: &Founded,
        signer: &Arc<dyn StatementSigner>,
    ) -> Result<Vec<u8>, ClientError> {
        let (kind, scope) = (Kind::Request(self.operation), founded.genesis().as_bytes());
        let unsigned =
            Unsigned::new(kind, scope, signer.public_key().identifier(), cbor::encode(self.request));
        let signer = signer.clone();
        blocking(move || {
            let signature = signer.sign(&unsigned.to_be_signed())?;
            Ok(unsigned.with_signature(&signature))
        })
        .await
    }

    /// Signs, sends and gives the outcome once its checkpoint is judged; a proposal once it is checked to be of this
    /// request.
    pub(crate) async fn send<R: Reply>(
        &self,
        reader: &Reader,
        signer: &Arc<dyn StatementSigner>,
    ) -> Result<Outcome<R>, ClientError> {
        let outgoing = self.outgoing(reader.founded(), signer).await?;
        let payload = cbor::encode(self.request);
        let mine = Mine { operation: self.operation, payload: &payload, key: signer.public_key() };
        reader.ask_people(outgoing, &mine).await
    }

    /// Signs, sends with `beside`, and gives the reply to what one person does alone.
    #[cfg(feature = "officer")]
    pub(crate) async fn send_with<R: Reply>(
        &self,
        beside: Vec<u8>,
        reader: &Reader,
        signer: &Arc<dyn StatementSigner>,
    ) -> Result<R, ClientError> {
        let outgoing = self.outgoing(reader.founded(), signer).await?;
        reader.ask(Outgoing { beside: Some(beside), ..outgoing }).await
    }

    async fn outgoing(
        &self,
        founded: &Founded,
        signer: &Arc<dyn StatementSigner>,
    ) -> Result<Outgoing, ClientError> {
        let request = self.sign(founded, signer).await?;
        Ok(Outgoing::new(self.operation, request, format!("{} {}", self.operation, self.idem)))
    }
}

/// A fresh idempotency key: 16 random bytes.
pub(crate) fn fresh_idem() -> Result<Idem, ClientError> {
    let mut bytes = [0; Idem::LEN];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| ClientError::Request { what: "the system gives no random bytes".into() })?;
    Ok(Idem::new(bytes))
}
