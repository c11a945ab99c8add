//! [`crate::Operator`], waiting.

use super::{Reader, runtime::Blocking};
use crate::{
    ClientConfig,
    agreement::SignedAgreement,
    error::ClientError,
    operator::{Changed, NewKeys, RecordedJob, ToSeal, Voted},
    pending::Outcome,
    signer::StatementSigner,
};
use keysvc_protocol::{
    bytes::ProposalId,
    card::CardUid,
    job::{JobAct, JobHead, JobItem, JobState, Suspended},
    name::{Name, Reason},
    reply::{CardReply, JobView},
};
use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// An operator's connections with the statement key.
#[derive(Debug, Clone)]
pub struct Operator(Blocking<crate::Operator>);

impl Operator {
    /// As [`crate::Operator::connect`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let config = config.clone();
        Blocking::connect(async move { crate::Operator::connect(&config).await }).map(Self)
    }

    /// As [`crate::Operator::with_signer`].
    ///
    /// # Errors
    /// [`ClientError::Config`] when nothing says whose key it is.
    pub fn with_signer(reader: &Reader, signer: Arc<dyn StatementSigner>) -> Result<Self, ClientError> {
        let operator = crate::Operator::with_signer(reader.0.persona(), signer)?;
        Ok(Self(reader.0.with(operator)))
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

    /// The operator's name, from the enrolment.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.0.persona().name()
    }

    /// As [`crate::Operator::create_job`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn create_job(&self, job: &Name, head: JobHead) -> Result<JobState, ClientError> {
        let job = job.clone();
        self.0.call(move |operator| async move { operator.create_job(&job, head).await })
    }

    /// As [`crate::Operator::add_items`]; `progress` is called on this thread.
    ///
    /// # Errors
    /// Those of the async calls.
    pub fn add_items(
        &self,
        job: &Name,
        items: &[JobItem],
        mut progress: impl FnMut(usize),
    ) -> Result<JobState, ClientError> {
        let (job, items) = (job.clone(), items.to_vec());
        let (told, hears) = mpsc::channel();
        thread::scope(|scope| {
            let adding = scope.spawn(move || {
                self.0.call(move |operator| async move {
                    // Whoever hears it may be gone, and the items are added all the same.
                    let tell = |added| told.send(added).unwrap_or_default();
                    operator.add_items(&job, &items, tell).await
                })
            });
            hears.into_iter().for_each(&mut progress);
            adding.join().unwrap_or_else(|_| Err(ClientError::Request { what: "it was broken off".into() }))
        })
    }

    /// As [`crate::Operator::to_seal`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn to_seal(&self, job: &Name, manifest: Option<&[JobItem]>) -> Result<ToSeal, ClientError> {
        let (job, manifest) = (job.clone(), manifest.map(<[_]>::to_vec));
        self.0.call(move |operator| async move { operator.to_seal(&job, manifest.as_deref()).await })
    }

    /// As [`crate::Operator::seal`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn seal(&self, sealing: &ToSeal) -> Result<JobState, ClientError> {
        let sealing = sealing.clone();
        self.0.call(move |operator| async move { operator.seal(&sealing).await })
    }

    /// As [`crate::Operator::seal_job`].
    ///
    /// # Errors
    /// Those of the async calls.
    pub fn seal_job(&self, job: &Name, manifest: Option<&[JobItem]>) -> Result<JobState, ClientError> {
        self.seal(&self.to_seal(job, manifest)?)
    }

    /// As [`crate::Operator::withdraw_job`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn withdraw_job(&self, job: &Name, reason: Reason) -> Result<JobState, ClientError> {
        let job = job.clone();
        self.0.call(move |operator| async move { operator.withdraw_job(&job, reason).await })
    }

    /// As [`crate::Operator::suspend_job`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn suspend_job(&self, job: &Name, suspended: Suspended) -> Result<JobState, ClientError> {
        let job = job.clone();
        self.0.call(move |operator| async move { operator.suspend_job(&job, suspended).await })
    }

    /// As [`crate::Operator::agree`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn agree(&self, job: &Name, act: JobAct) -> Result<SignedAgreement, ClientError> {
        let job = job.clone();
        self.0.call(move |operator| async move { operator.agree(&job, act).await })
    }

    /// As [`crate::Reader::job`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn job(&self, job: &Name) -> Result<JobView, ClientError> {
        self.reader().job(job)
    }

    /// As [`crate::Reader::jobs`].
    ///
    /// # Errors
    /// Those of the async calls.
    pub fn jobs(&self, purged: bool, after: Option<Name>) -> Result<Vec<JobView>, ClientError> {
        self.reader().jobs(purged, after)
    }

    /// As [`crate::Reader::job_record`].
    ///
    /// # Errors
    /// Those of the async calls.
    pub fn record(&self, job: &Name) -> Result<RecordedJob, ClientError> {
        self.reader().job_record(job)
    }

    /// As [`crate::Reader::card`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn card(&self, card: &CardUid) -> Result<CardReply, ClientError> {
        self.reader().card(card)
    }

    /// As [`crate::Operator::rotate`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn rotate(&self, keys: NewKeys) -> Result<Outcome<Changed>, ClientError> {
        self.0.call(move |operator| async move { operator.rotate(keys).await })
    }

    /// As [`crate::Operator::cancel`].
    ///
    /// # Errors
    /// Those of the async call.
    pub fn cancel(&self, id: ProposalId, reason: &Reason) -> Result<Voted, ClientError> {
        let reason = reason.clone();
        self.0.call(move |operator| async move { operator.cancel(id, &reason).await })
    }
}
