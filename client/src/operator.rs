//! The people of a bureau: data operators, who put jobs together and seal them; station operators, who stop them;
//! reviewers, who look at the numbers; monitors, who witness that a station is empty.
//!
//! What an operator asks for on a connection of their own is here. What they sign beside a station, an agreement, needs no
//! connection: [`crate::agreement`]; [`Operator::agree`] is the same with the key of this connection. Who may do what
//! follows from the capabilities of their enrolment, and from what they did to the same job before.
//!
//! # Configuration
//!
//! `[statement]` with `file`, or `[token]` for who has a card of their own; the public half must be enrolled.
//!
//! # Example
//!
//! ```no_run
//! use keysvc_client::{ClientConfig, Operator, protocol::job::{JobHead, JobItem}};
//! use std::path::Path;
//!
//! # async fn example(head: JobHead, items: Vec<JobItem>) -> Result<(), Box<dyn std::error::Error>> {
//! let job = "job-2026-11".parse()?;
//! let first = Operator::connect(&ClientConfig::read(Path::new("data-1/client.toml"))?).await?;
//! first.create_job(&job, head).await?;
//! first.add_items(&job, &items, |added| println!("{added}")).await?;
//! // Another person, on another machine, with their own copy of the list:
//! let second = Operator::connect(&ClientConfig::read(Path::new("data-2/client.toml"))?).await?;
//! let sealing = second.to_seal(&job, Some(&items)).await?;
//! show(&sealing.head, sealing.items);
//! second.seal(&sealing).await?;
//! # fn show(_: &JobHead, _: u32) {}
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! - [`ClientError::Refused`] with `forbidden`: not this person's affair, or no longer: who made a job may not seal it.
//! - [`ClientError::Untrusted`] from [`Operator::to_seal`]: what the service shows of the job is not what it has a seal
//!   stated over, or not the list this person has. Seal nothing; tell the officers.
//! - [`ClientError::Timeout`] and [`ClientError::Unreachable`] while items are added: add the same items again; those that
//!   are there are not added twice.
//!
//! # Limits
//!
//! A job has at most 1,000,000 cards, an item 256 bytes of data. Items are sent in portions of at most 1,000 and 60 KiB.

mod seal;

pub use crate::{
    act::{Changed, NewKeys, Voted},
    reader::RecordedJob,
};
pub use seal::{ToSeal, manifest_root};

use crate::{
    act::Hand,
    agreement::{self, SignedAgreement, idem_of},
    config::ClientConfig,
    error::ClientError,
    pending::Outcome,
    portions::portions,
    reader::{Reader, blocking},
    signer::{self, StatementSigner},
    statement::{Statement, fresh_idem},
};
use keysvc_protocol::{
    bytes::{Idem, ProposalId},
    card::CardUid,
    cbor,
    job::{ITEMS_MAX, JobAct, JobHead, JobItem, JobState, Suspended},
    list::WrongCount,
    name::{Name, Reason},
    reply::{CardReply, JobChangedReply, JobView},
    request::{AddJobItems, CreateJob, Operation, SuspendJob, WithdrawJob},
    schema::Schema,
};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// An operator's connections with the statement key. Cheap to clone; clones share all of it.
#[derive(Debug, Clone)]
pub struct Operator {
    hand: Hand,
}

impl Operator {
    /// Opens the statement key and learns what the service is.
    ///
    /// # Errors
    /// [`ClientError`] naming the file, fault or contradiction; [`ClientError::Config`] when nothing says whose key it
    /// is.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let opened = config.clone();
        let signer = blocking(move || signer::of_config(&opened)).await?;
        Self::with_signer(&Reader::connect(config).await?, signer)
    }

    /// The same over connections that are there, with a key that signs, such as that of an unlocked
    /// [`crate::officer::Card`].
    ///
    /// # Errors
    /// [`ClientError::Config`] when nothing says whose key it is.
    pub fn with_signer(reader: &Reader, signer: Arc<dyn StatementSigner>) -> Result<Self, ClientError> {
        let name = reader.name_of(&signer.public_key())?;
        Ok(Self { hand: Hand { reader: reader.clone(), signer, name } })
    }

    /// The same, with another time for each call.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        let reader = self.hand.reader.with_deadline(deadline);
        Self { hand: Hand { reader, ..self.hand.clone() } }
    }

    /// The reads every persona may make.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.hand.reader
    }

    /// The operator's name, from the enrolment.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.hand.name
    }

    /// Makes a draft. Its name is never used again. Made again with the same head it is the same draft.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn create_job(&self, job: &Name, head: JobHead) -> Result<JobState, ClientError> {
        let idem = idem_of(Operation::JobCreate.name(), &[&cbor::encode(job), &cbor::encode(&head)]);
        let request = CreateJob { schema: Schema, idem, job: job.clone(), head };
        self.change(Operation::JobCreate, idem, &request).await
    }

    /// Adds cards and their data to a draft of ours, in as many requests as it takes; `progress` hears how many are there.
    /// The same items are the same requests: after an error they are added again whole, and none is there twice.
    ///
    /// # Errors
    /// [`ClientError`] of the calls; [`ClientError::Request`] for no items.
    pub async fn add_items(
        &self,
        job: &Name,
        items: &[JobItem],
        mut progress: impl FnMut(usize),
    ) -> Result<JobState, ClientError> {
        let (mut state, mut added) = (None, 0_usize);
        for portion in portions(items, ITEMS_MAX) {
            let limit = |error: WrongCount| ClientError::Request { what: error.to_string() };
            // The place, too: the same portion further down a list is another one, and refused as such.
            let about = [cbor::encode(job), cbor::encode(&added), cbor::encode(&portion)];
            let idem = idem_of(Operation::JobItems.name(), &about.each_ref().map(Vec::as_slice));
            let items = portion.to_vec().try_into().map_err(limit)?;
            let request = AddJobItems { schema: Schema, idem, job: job.clone(), items };
            state = Some(self.change(Operation::JobItems, idem, &request).await?);
            added = added.saturating_add(portion.len());
            progress(added);
        }
        state.ok_or_else(|| ClientError::Request { what: "no items to add".into() })
    }

    /// Gives up a draft, or a sealed job that was never opened.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn withdraw_job(&self, job: &Name, reason: Reason) -> Result<JobState, ClientError> {
        let idem = fresh_idem()?;
        let request = WithdrawJob { schema: Schema, idem, job: job.clone(), reason };
        self.change(Operation::JobWithdraw, idem, &request).await
    }

    /// Stops a job that we have open, from the next request on. Two operators let it go on.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn suspend_job(&self, job: &Name, suspended: Suspended) -> Result<JobState, ClientError> {
        let idem = fresh_idem()?;
        let request = SuspendJob { schema: Schema, idem, job: job.clone(), suspended };
        self.change(Operation::JobSuspend, idem, &request).await
    }

    /// Signs an agreement as this person. What is signed is to be shown before: [`SignedAgreement::sentence`] shows it
    /// after, [`agreement::sentence`] before.
    ///
    /// # Errors
    /// [`ClientError`] of the key or its card.
    pub async fn agree(&self, job: &Name, act: JobAct) -> Result<SignedAgreement, ClientError> {
        let said = agreement::said(job.clone(), act, self.name().clone())?;
        let (signer, genesis) = (self.hand.signer.clone(), *self.reader().founded().genesis());
        blocking(move || agreement::sign(&*signer, &genesis, &said)).await
    }

    /// As [`Reader::job`].
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn job(&self, job: &Name) -> Result<JobView, ClientError> {
        self.reader().job(job).await
    }

    /// As [`Reader::jobs`].
    ///
    /// # Errors
    /// [`ClientError`] of the calls.
    pub async fn jobs(&self, purged: bool, after: Option<Name>) -> Result<Vec<JobView>, ClientError> {
        self.reader().jobs(purged, after).await
    }

    /// As [`Reader::job_record`].
    ///
    /// # Errors
    /// [`ClientError`] of the calls.
    pub async fn record(&self, job: &Name) -> Result<RecordedJob, ClientError> {
        self.reader().job_record(job).await
    }

    /// As [`Reader::card`].
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn card(&self, card: &CardUid) -> Result<CardReply, ClientError> {
        self.reader().card(card).await
    }

    /// Asks for other keys for ourselves. Takes officers.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn rotate(&self, keys: NewKeys) -> Result<Outcome<Changed>, ClientError> {
        self.hand.rotate(keys).await
    }

    /// Withdraws a request of ours that still waits for people.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn cancel(&self, id: ProposalId, reason: &Reason) -> Result<Voted, ClientError> {
        self.hand.cancel(id, reason).await
    }

    async fn change(
        &self,
        operation: Operation,
        idem: Idem,
        request: &(impl Serialize + Sync),
    ) -> Result<JobState, ClientError> {
        let statement = Statement { operation, idem, request };
        let outcome: Outcome<JobChangedReply> = statement.send(&self.hand.reader, &self.hand.signer).await?;
        Ok(outcome.done()?.state)
    }
}

#[cfg(test)]
mod tests;
