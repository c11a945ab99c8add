//! [`crate::Custodian`], waiting.

use super::{Reader, runtime::Blocking};
use crate::{
    ClientConfig,
    component::Component,
    custodian::{Given, Offered, SealedComponent},
    error::ClientError,
    signer::StatementSigner,
};
use keysvc_protocol::{bytes::ProposalId, component::ComponentKeyOffer, name::Name};
use std::{sync::Arc, time::Duration};

/// A custodian's connections with the statement key.
#[derive(Debug, Clone)]
pub struct Custodian(Blocking<crate::Custodian>);

impl Custodian {
    /// As [`crate::Custodian::connect`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let config = config.clone();
        Blocking::connect(async move { crate::Custodian::connect(&config).await }).map(Self)
    }

    /// As [`crate::Custodian::with_signer`].
    ///
    /// # Errors
    /// [`ClientError::Config`] when nothing says whose key it is.
    pub fn with_signer(reader: &Reader, signer: Arc<dyn StatementSigner>) -> Result<Self, ClientError> {
        let custodian = crate::Custodian::with_signer(reader.0.persona(), signer)?;
        Ok(Self(reader.0.with(custodian)))
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

    /// As [`crate::Custodian::name`].
    #[must_use]
    pub fn name(&self) -> &Name {
        self.0.persona().name()
    }

    /// As [`crate::Custodian::component_key`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn component_key(&self, proposal: ProposalId) -> Result<Offered, ClientError> {
        self.0.call(move |custodian| async move { custodian.component_key(proposal).await })
    }

    /// As [`crate::Custodian::seal`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn seal(
        &self,
        offer: &ComponentKeyOffer,
        component: &Component,
    ) -> Result<SealedComponent, ClientError> {
        self.0.persona().seal(offer, component)
    }

    /// As [`crate::Custodian::give`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn give(&self, component: &SealedComponent) -> Result<Given, ClientError> {
        let component = component.clone();
        self.0.call(move |custodian| async move { custodian.give(&component).await })
    }
}
