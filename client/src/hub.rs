//! A store's hub: sends the value updates of many terminals in one batch.
//!
//! Each update is signed by its own terminal ([`crate::Terminal::sign_update`]); the hub carries bytes and has no
//! statement key, so it can leave updates out but not make or change one. Each outcome is checked as the terminal
//! would check it alone. How the bytes come from the tills, and the records back to them, is the store's affair.
//!
//! # Configuration
//!
//! Certificate and key of an enrolled hub (kind `office`), trust file, state folder. No `[statement]`, no `[token]`.
//!
//! # Example
//!
//! ```no_run
//! use keysvc_client::{ClientConfig, Hub, hub::NotReleased};
//! use std::path::Path;
//!
//! # async fn example(from_tills: Vec<Vec<u8>>) -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::connect(&ClientConfig::read(Path::new("office-1/client.toml"))?).await?;
//! let updates: Result<Vec<_>, _> = from_tills.into_iter().map(|bytes| hub.accept(bytes)).collect();
//! let updates = updates?;
//! for (update, outcome) in updates.iter().zip(hub.send(&updates).await?) {
//!     match outcome {
//!         Ok(signed) => give_back(update.terminal(), &signed.record),
//!         Err(NotReleased::Pending { proposal, .. }) => tell(update.terminal(), &format!("waits: {proposal}")),
//!         Err(NotReleased::Refused(refusal)) => tell(update.terminal(), &refusal.to_string()),
//!         Err(NotReleased::Unproved(error)) => return Err(error.into()),
//!     }
//! }
//! # fn give_back(_: &keysvc_client::protocol::name::Name, _: &[u8]) {}
//! # fn tell(_: &keysvc_client::protocol::name::Name, _: &str) {}
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! - An error of [`Hub::send`] as a whole leaves all its updates in doubt: send the same batch again, or let each till
//!   send its own. What was recorded comes back, and nothing is recorded twice.
//! - [`NotReleased::Refused`] is one update's affair, the others stand: act on it as the terminal would.
//!   [`NotReleased::retryable`] ones go into the next batch.
//! - [`NotReleased::Pending`]: officers must agree first. The till keeps its request; sent again once they have, alone or in
//!   a batch, it brings the record.
//! - [`NotReleased::Unproved`]: the till writes nothing to that card; tell the officers.
//!
//! # Limits
//!
//! 64 updates in a batch ([`Hub::BATCH_MAX`]), none twice, 512 bytes each. They are applied in their order, so several
//! updates of one purse follow each other. One batch is one commit.

use crate::{
    config::ClientConfig,
    error::ClientError,
    reader::{Outgoing, Reader},
    update::{SignedRequest, SignedUpdate},
};
use keysvc_protocol::{
    bytes::{Blob, ProposalId},
    checkpoint::SignedCheckpoint,
    leaf::LeafEntry,
    merkle::Proof,
    name::Name,
    public_key::PublicKey,
    receipt::Receipt,
    refusal::Refusal,
    reply::{UpdateOutcome, ValueBatchReply, ValueUpdateReply},
    request::{BATCH_MAX, Operation, UpdateValues},
    schema::Schema,
};
use std::time::Duration;

/// A hub's connections. Cheap to clone; clones share all of it, and several batches may be under way at once.
#[derive(Debug, Clone)]
pub struct Hub {
    reader: Reader,
}

/// Why one update of a batch was not released. The others are not touched by it.
#[derive(Debug, thiserror::Error)]
pub enum NotReleased {
    /// The service refused it; what would have been enough stands in the refusal.
    #[error("the service refused: {0}")]
    Refused(Refusal),
    /// It takes people first. Its terminal asks for what became of it, or it goes into a later batch again.
    #[error("it takes {persons} people first: proposal {proposal}")]
    Pending {
        /// The proposal that waits for them.
        proposal: ProposalId,
        /// How many people.
        persons: u8,
        /// From how many departments at least.
        departments: u8,
    },
    /// Its answer does not prove what was asked: nothing may be written to the card.
    #[error("{0}")]
    Unproved(Box<ClientError>),
}

impl NotReleased {
    /// Whether the same request may succeed later without change.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.retryable())
    }
}

impl Hub {
    /// Most updates in one batch.
    pub const BATCH_MAX: usize = BATCH_MAX;

    /// Learns what the service is. A hub has no statement key.
    ///
    /// # Errors
    /// [`ClientError`] naming the file, fault or contradiction.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        Ok(Self { reader: Reader::connect(config).await? })
    }

    /// The same, with another time for each call.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { reader: self.reader.with_deadline(deadline) }
    }

    /// The reads every persona may make.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Reads what a till signed ([`SignedRequest::as_bytes`]), and checks that an enrolled one did: so that nobody's
    /// rubbish takes a place in a batch.
    ///
    /// # Errors
    /// [`ClientError::Request`] when it is no such request.
    pub fn accept(&self, message: Vec<u8>) -> Result<SignedRequest, ClientError> {
        SignedRequest::open(message, self.reader.founded())
    }

    /// The same for a till that was enrolled, or got another key, after the founding: the store knows its name and its
    /// statement key, which the founding does not tell.
    ///
    /// # Errors
    /// [`ClientError::Request`] when the bytes are no request that this key signed.
    pub fn accept_of(
        &self,
        message: Vec<u8>,
        terminal: Name,
        statement_key: PublicKey,
    ) -> Result<SignedRequest, ClientError> {
        SignedRequest::open_of(message, self.reader.founded(), terminal, statement_key)
    }

    /// Sends 1 to [`Hub::BATCH_MAX`] requests, none twice, and gives what became of each in their order. Each released
    /// update is checked as its terminal would check it alone. Asking again with the same requests gives the same
    /// updates; so after an error the same batch is sent again.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Request`] for no, too many or repeated requests;
    /// [`ClientError::Malformed`] for another number of outcomes than requests.
    pub async fn send(
        &self,
        updates: &[SignedRequest],
    ) -> Result<Vec<Result<SignedUpdate, NotReleased>>, ClientError> {
        let reply: ValueBatchReply = self.reader.ask(outgoing(updates)?).await?;
        if reply.outcomes.len() != updates.len() {
            return Err(ClientError::malformed("another number of outcomes than updates"));
        }
        let checkpoint = &reply.checkpoint;
        let outcomes = reply.outcomes.into_vec().into_iter().zip(updates);
        let mut released = Vec::with_capacity(updates.len());
        for (outcome, asked) in outcomes {
            released.push(self.release(checkpoint, asked, outcome).await);
        }
        Ok(released)
    }

    /// Checks one outcome against the request that it answers and the batch's checkpoint, which was judged before.
    async fn release(
        &self,
        checkpoint: &SignedCheckpoint,
        asked: &SignedRequest,
        outcome: UpdateOutcome,
    ) -> Result<SignedUpdate, NotReleased> {
        let unproved = |error| NotReleased::Unproved(Box::new(error));
        let (record, leaf, inclusion) = match outcome {
            UpdateOutcome::Signed { record, leaf, inclusion } => (record, leaf, inclusion),
            UpdateOutcome::Refused {
                refusal: Refusal::ApprovalRequired { proposal, persons, departments },
            } => {
                return Err(NotReleased::Pending { proposal, persons, departments });
            }
            UpdateOutcome::Refused { refusal } => return Err(NotReleased::Refused(refusal)),
        };
        let entry = LeafEntry::decode(leaf.entry.as_bytes())
            .map_err(|error| unproved(ClientError::untrusted(format!("the leaf: {error}"))))?;
        let receipt = Receipt {
            schema: Schema,
            leaf_index: entry.index,
            checkpoint: checkpoint.clone(),
            // Proved once for the whole batch.
            consistency: Proof::default(),
            leaf: Some(leaf),
            inclusion: Some(inclusion),
        };
        let reply = ValueUpdateReply { schema: Schema, record, receipt };
        asked.asked().released(&self.reader, reply).await.map_err(unproved)
    }
}

fn outgoing(updates: &[SignedRequest]) -> Result<Outgoing, ClientError> {
    let fault = |what: String| ClientError::Request { what };
    if !(1..=BATCH_MAX).contains(&updates.len()) {
        return Err(fault(format!("{} updates in a batch of 1 to {BATCH_MAX}", updates.len())));
    }
    for (index, update) in updates.iter().enumerate() {
        if updates.iter().take(index).any(|before| before.as_bytes() == update.as_bytes()) {
            return Err(fault(format!("update {index} of the batch is in it twice")));
        }
    }
    let messages: Result<Vec<_>, _> =
        updates.iter().map(|update| Blob::try_from(update.as_bytes().to_vec())).collect();
    let messages = messages.map_err(|error| fault(format!("{} bytes in one update", error.found)))?;
    let updates =
        messages.try_into().map_err(|error: keysvc_protocol::list::WrongCount| fault(error.to_string()))?;
    Ok(Outgoing::read(Operation::ValueBatch, &UpdateValues { schema: Schema, updates }))
}

#[cfg(test)]
mod tests;
