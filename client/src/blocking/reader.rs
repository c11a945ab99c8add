//! [`crate::Reader`], waiting.

use super::runtime::Blocking;
use crate::{ClientConfig, error::ClientError, reader::RecordedJob, trust_store::Founded};
use keysvc_protocol::{
    card::CardUid,
    checkpoint::SignedCheckpoint,
    key::KeyRecord,
    name::Name,
    reply::{CardReply, JobView, PolicyReply, ProfileReply, ProfileView, ProofReply, StatusReply},
};
use std::time::Duration;

/// The reads every persona may make.
#[derive(Debug, Clone)]
pub struct Reader(pub(super) Blocking<crate::Reader>);

impl Reader {
    /// As [`crate::Reader::connect`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let config = config.clone();
        Blocking::connect(async move { crate::Reader::connect(&config).await }).map(Self)
    }

    /// The same, with another time for each call.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self(self.0.with(self.0.persona().with_deadline(deadline)))
    }

    /// As [`crate::Reader::founded`].
    #[must_use]
    pub fn founded(&self) -> &Founded {
        self.0.persona().founded()
    }

    /// As [`crate::Reader::seen`].
    #[must_use]
    pub fn seen(&self) -> Option<SignedCheckpoint> {
        self.0.persona().seen()
    }

    /// As [`crate::Reader::status`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn status(&self) -> Result<StatusReply, ClientError> {
        self.0.call(|reader| async move { reader.status().await })
    }

    /// As [`crate::Reader::keys`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn keys(&self) -> Result<Vec<KeyRecord>, ClientError> {
        self.0.call(|reader| async move { reader.keys().await })
    }

    /// As [`crate::Reader::key`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn key(&self, name: &Name, version: Option<u32>) -> Result<KeyRecord, ClientError> {
        let name = name.clone();
        self.0.call(move |reader| async move { reader.key(&name, version).await })
    }

    /// As [`crate::Reader::profile`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn profile(&self, name: &Name, version: Option<u32>) -> Result<ProfileReply, ClientError> {
        let name = name.clone();
        self.0.call(move |reader| async move { reader.profile(&name, version).await })
    }

    /// As [`crate::Reader::profiles`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn profiles(&self) -> Result<Vec<ProfileView>, ClientError> {
        self.0.call(|reader| async move { reader.profiles().await })
    }

    /// As [`crate::Reader::policy`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn policy(&self) -> Result<PolicyReply, ClientError> {
        self.0.call(|reader| async move { reader.policy().await })
    }

    /// As [`crate::Reader::job`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn job(&self, job: &Name) -> Result<JobView, ClientError> {
        let job = job.clone();
        self.0.call(move |reader| async move { reader.job(&job).await })
    }

    /// As [`crate::Reader::jobs`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn jobs(&self, purged: bool, after: Option<Name>) -> Result<Vec<JobView>, ClientError> {
        self.0.call(move |reader| async move { reader.jobs(purged, after).await })
    }

    /// As [`crate::Reader::card`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn card(&self, card: &CardUid) -> Result<CardReply, ClientError> {
        let card = *card;
        self.0.call(move |reader| async move { reader.card(&card).await })
    }

    /// As [`crate::Reader::job_record`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn job_record(&self, job: &Name) -> Result<RecordedJob, ClientError> {
        let job = job.clone();
        self.0.call(move |reader| async move { reader.job_record(&job).await })
    }

    /// As [`crate::Reader::checkpoint`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, ClientError> {
        self.0.call(|reader| async move { reader.checkpoint().await })
    }

    /// As [`crate::Reader::proof`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn proof(
        &self,
        size: u64,
        leaf: Option<u64>,
        earlier: Option<u64>,
    ) -> Result<ProofReply, ClientError> {
        self.0.call(move |reader| async move { reader.proof(size, leaf, earlier).await })
    }
}
