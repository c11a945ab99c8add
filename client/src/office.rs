//! An office of a store: stops its own cards and terminals at once, reads what is stopped, sells cards and takes them
//! back.
//!
//! An office signs with a statement key of its own. Letting go on takes officers. Batches of updates are a [`crate::Hub`]'s,
//! which signs nothing.
//!
//! # Configuration
//!
//! `[statement]` with `file`, a P-256 key in PKCS#8 of mode 0600, or `[token]`; its public half must be enrolled.
//!
//! # Example
//!
//! ```no_run
//! use keysvc_client::{ClientConfig, Office, protocol::freeze::Scope};
//! use std::path::Path;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let office = Office::connect(&ClientConfig::read(Path::new("office-2/client.toml"))?).await?;
//! let scope = Scope::Terminal { name: "terminal-1".parse()? };
//! let changed = office.freeze(scope, "stolen last night".parse()?).await?;
//! # let _ = changed;
//! # Ok(())
//! # }
//! ```

pub use crate::{
    act::{Changed, NewKeys, Voted},
    card_move::CardsMove,
    site_reads::ActEvidence,
};

use crate::{
    act::Hand, config::ClientConfig, error::ClientError, pending::Outcome, reader::Reader, signer,
    statement::fresh_idem,
};
use keysvc_protocol::{
    bytes::ProposalId,
    freeze::Scope,
    name::{Name, Reason},
    reply::FreezeView,
    request::SetFreeze,
    schema::Schema,
};
use std::time::Duration;

/// An office's connections with its statement key. Cheap to clone; clones share all of it.
#[derive(Debug, Clone)]
pub struct Office {
    hand: Hand,
}

impl Office {
    /// Opens the statement key and learns what the service is.
    ///
    /// # Errors
    /// [`ClientError`] naming the file, fault or contradiction; [`ClientError::Config`] when nothing says whose key it
    /// is.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let signer = signer::of_config(config)?;
        let reader = Reader::connect(config).await?;
        let name = reader.name_of(&signer.public_key())?;
        Ok(Self { hand: Hand { reader, signer, name } })
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

    /// The office's name, from its enrolment.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.hand.name
    }

    /// Stops a card in a programme, or a terminal, of the office's own organisation, from the next request on.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn freeze(&self, scope: Scope, reason: Reason) -> Result<Changed, ClientError> {
        let request = SetFreeze { schema: Schema, idem: fresh_idem()?, scope, reason };
        self.hand.act(&request).await?.done()
    }

    /// What is stopped, oldest first.
    ///
    /// # Errors
    /// [`ClientError`] of the calls.
    pub async fn freezes(&self) -> Result<Vec<FreezeView>, ClientError> {
        self.hand.reader.freezes().await
    }

    /// Sells cards, retires them, or puts them aside to be destroyed: all of them or none.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn move_cards(&self, cards: CardsMove) -> Result<Outcome<()>, ClientError> {
        self.hand.move_cards(cards).await
    }

    /// Asks for other keys for itself. Takes two officers.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn rotate(&self, keys: NewKeys) -> Result<Outcome<Changed>, ClientError> {
        self.hand.rotate(keys).await
    }

    /// What became of a request of its own.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Request`] when it is another's.
    pub async fn result(&self, id: ProposalId) -> Result<Outcome<Changed>, ClientError> {
        self.hand.result(id).await
    }

    /// Withdraws a request that still waits for people.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn cancel(&self, id: ProposalId, reason: &Reason) -> Result<Voted, ClientError> {
        self.hand.cancel(id, reason).await
    }

    /// The evidence of the act that a proposal became, verified from the trust file. The read is itself recorded.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Untrusted`] when it proves nothing.
    pub async fn evidence(&self, id: ProposalId) -> Result<ActEvidence, ClientError> {
        self.hand.reader.evidence(id).await
    }
}
