//! [`crate::Station`], waiting.

use super::{Reader, runtime::Blocking};
use crate::{
    ClientConfig,
    agreement::SignedAgreement,
    error::ClientError,
    pending::Outcome,
    station::{Changed, Counted, Delivered, NewKeys, Shift, Voted},
};
use keysvc_protocol::{
    bytes::ProposalId,
    card::CardUid,
    job::{CardResult, Counts, Incident, JobState, PurgeReceipt},
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

    /// As [`crate::Station::open_job`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn open_job(&self, job: &Name, agreements: [SignedAgreement; 2]) -> Result<Shift, ClientError> {
        let job = job.clone();
        self.0.call(move |station| async move { station.open_job(&job, agreements).await })
    }

    /// As [`crate::Station::resume_job`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn resume_job(&self, job: &Name, agreements: [SignedAgreement; 2]) -> Result<Shift, ClientError> {
        let job = job.clone();
        self.0.call(move |station| async move { station.resume_job(&job, agreements).await })
    }

    /// As [`crate::Station::begin`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn begin(&self, agreements: [SignedAgreement; 2]) -> Result<Shift, ClientError> {
        self.0.call(move |station| async move { station.begin(agreements).await })
    }

    /// As [`crate::Station::derive`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn derive(
        &self,
        shift: &Shift,
        cards: &[CardUid],
        generation: u32,
    ) -> Result<Delivered, ClientError> {
        let (shift, cards) = (shift.clone(), cards.to_vec());
        self.0.call(move |station| async move { station.derive(&shift, &cards, generation).await })
    }

    /// As [`crate::Station::give_results`].
    ///
    /// # Errors
    /// Those of the async calls.
    pub fn give_results(&self, job: &Name, results: &[CardResult]) -> Result<JobState, ClientError> {
        let (job, results) = (job.clone(), results.to_vec());
        self.0.call(move |station| async move { station.give_results(&job, &results).await })
    }

    /// As [`crate::Station::count`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn count(
        &self,
        job: &Name,
        counts: Counts,
        agreements: [SignedAgreement; 2],
    ) -> Result<Counted, ClientError> {
        let job = job.clone();
        self.0.call(move |station| async move { station.count(&job, counts, agreements).await })
    }

    /// As [`crate::Station::report_incident`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn report_incident(
        &self,
        job: &Name,
        incident: Incident,
        agreements: [SignedAgreement; 2],
    ) -> Result<JobState, ClientError> {
        let job = job.clone();
        self.0.call(move |station| async move { station.report_incident(&job, incident, agreements).await })
    }

    /// As [`crate::Station::close_job`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn close_job(
        &self,
        job: &Name,
        receipt: PurgeReceipt,
        witness: SignedAgreement,
    ) -> Result<JobState, ClientError> {
        let job = job.clone();
        self.0.call(move |station| async move { station.close_job(&job, receipt, witness).await })
    }

    /// As [`crate::Station::pipeline`].
    ///
    /// # Errors
    /// Those of the async calls.
    pub fn pipeline(&self, job: &Name) -> Result<u16, ClientError> {
        let job = job.clone();
        self.0.call(move |station| async move { station.pipeline(&job).await })
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
