//! [`crate::Auditor`], waiting.

use super::{Reader, runtime::Blocking};
use crate::{ClientConfig, auditor::Exported, error::ClientError};
use keysvc_protocol::receipt::LeafEvidence;
use std::{path::Path, sync::mpsc, thread, time::Duration};

/// An auditor's connections.
#[derive(Debug, Clone)]
pub struct Auditor(Blocking<crate::Auditor>);

impl Auditor {
    /// As [`crate::Auditor::connect`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let config = config.clone();
        Blocking::connect(async move { crate::Auditor::connect(&config).await }).map(Self)
    }

    /// The same, with another time for each call; an export makes one call for each reply of leaves.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self(self.0.with(self.0.persona().with_deadline(deadline)))
    }

    /// The reads every persona may make.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.0.with(self.0.persona().reader().clone()))
    }

    /// As [`crate::Auditor::entries`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn entries(&self, from: u64, to: u64) -> Result<Vec<LeafEvidence>, ClientError> {
        self.0.call(move |auditor| async move { auditor.entries(from, to).await })
    }

    /// As [`crate::Auditor::export`]. `progress` is told on the calling thread.
    ///
    /// # Errors
    /// Those of the async call.
    pub fn export(&self, folder: &Path, mut progress: impl FnMut(u64, u64)) -> Result<Exported, ClientError> {
        let (steps, told) = mpsc::channel();
        let folder = folder.to_owned();
        let export = |auditor: crate::Auditor| async move {
            let tell = |done, of| {
                // The caller listens as long as this runs.
                let _ = steps.send((done, of));
            };
            auditor.export(&folder, tell).await
        };
        thread::scope(|scope| {
            let exporting = scope.spawn(|| self.0.call(export));
            for (done, of) in told {
                progress(done, of);
            }
            exporting
                .join()
                .unwrap_or_else(|_| Err(ClientError::Request { what: "it was broken off".into() }))
        })
    }
}
