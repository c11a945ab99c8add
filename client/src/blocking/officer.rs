//! [`crate::Officer`], waiting. Signing a founding needs no service and waits anyway: [`crate::officer::sign_founding`].

use super::{Reader, runtime::Blocking};
use crate::{ClientConfig, error::ClientError};
use std::time::Duration;

/// An officer's connections.
#[derive(Debug, Clone)]
pub struct Officer(Blocking<crate::Officer>);

impl Officer {
    /// As [`crate::Officer::connect`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let config = config.clone();
        Blocking::connect(async move { crate::Officer::connect(&config).await }).map(Self)
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
}
