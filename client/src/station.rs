//! A personalization station: works a job with the two operators who opened it, and receives the keys of its cards.
//!
//! Wrapped keys are opened in the station's own token, and only out of statements that the service signed for this
//! station, this session and this request. It writes no cards and keeps no list of those that are made: that is
//! [`crate::personalization`]'s and the encoder's. It learns no totals: how many cards a job has, nobody tells it.
//!
//! A machine is nobody: what people answer for comes with their signed agreements ([`crate::agreement`]).
//!
//! # Configuration
//!
//! `[token]` with the station's token: its RSA-3072 wrapping key, and its P-256 statement key unless `[statement]`
//! names a file. Each must be the only one of its kind there, and both must be enrolled.
//!
//! # Example
//!
//! ```no_run
//! use keysvc_client::{ClientConfig, Station, agreement::SignedAgreement};
//! use std::path::Path;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let station = Station::connect(&ClientConfig::read(Path::new("station-1/client.toml"))?).await?;
//! let one = SignedAgreement::read(Path::new("operator-1.agreement"))?;
//! let two = SignedAgreement::read(Path::new("operator-2.agreement"))?;
//! let shift = station.begin([one, two]).await?;
//! let cards = ["04782e21801d80".parse()?, "04a1b2c3d4e5f6".parse()?];
//! let delivered = station.derive(&shift, &cards, 1).await?;
//! for card in &delivered.cards {
//!     for key in &card.keys {
//!         write_key(&card.card, key.slot, key.value.expose());
//!     }
//! }
//! # fn write_key(_: &keysvc_client::protocol::card::CardUid, _: u8, _: &[u8]) {}
//! # Ok(())
//! # }
//! ```
//!
//! `client/examples/personalize.rs` is a whole program over [`crate::personalization`].
//!
//! # Errors
//!
//! - `exchange_unknown` is answered inside the call: the keeper restarted and forgot the transport key, so the very same
//!   request to open is sent again, and the session goes on with another transport key. Nobody signs anything for that.
//!   Seen outside, the session is another's by now: the operators open the next one.
//! - `result_pending`: give the results of the cards in hand first. `purge_pending`: the job before is to be closed first.
//! - `state_conflict`: the session is over, the job is suspended, or all its cards have their keys; its text says which.
//! - After [`ClientError::Timeout`] or [`ClientError::Unreachable`] ask for the same cards again: the keys are the same.
//! - [`ClientError::Pending`]: another generation of a card's keys takes two people. The same call again, once they have
//!   agreed, gives the keys.
//! - [`ClientError::Delivery`] and [`ClientError::Untrusted`] mean that the keys are not for this station or request:
//!   write none of them.
//! - [`ClientError::Token`] names the station's own token; nothing has reached a card.
//!
//! # Limits
//!
//! 1,000 cards in one call ([`keysvc_protocol::request::CARDS_MAX`]), no card twice, and no more without their result
//! than the profile's pipeline ([`Station::pipeline`]). A session lasts two hours.

mod acts;
mod delivered;
mod shift;

pub use crate::act::{Changed, NewKeys, Voted};
pub use acts::Counted;
pub use delivered::{CardKey, Delivered, DeliveredCard};
pub use shift::Shift;

use crate::{
    act::Hand,
    config::{ClientConfig, ConfigError},
    error::ClientError,
    pending::Outcome,
    reader::{Reader, blocking},
    signer::{FileSigner, StatementSigner},
    statement::Statement,
    token_signer::{self, Algorithm, TokenSigner},
};
use keysvc_protocol::{
    bytes::{Idem, ProposalId},
    name::{Name, Reason},
    request::Operation,
};
use keysvc_token::{KeyKind, WrappingKey};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// A station's connections with its statement key and its wrapping key. Cheap to clone; clones share all of it, and
/// several calls may be under way at once.
#[derive(Debug, Clone)]
pub struct Station {
    reader: Reader,
    kit: Arc<Kit>,
}

#[derive(Debug)]
struct Kit {
    signer: Arc<dyn StatementSigner>,
    wrapping: Arc<WrappingKey>,
    name: Name,
}

impl Station {
    /// Opens the station's token and learns what the service is.
    ///
    /// # Errors
    /// [`ClientError`] naming the file, fault or contradiction; [`ClientError::Config`] when the founding does not
    /// enrol the station's keys.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let settings =
            config.token.clone().ok_or_else(|| ConfigError::missing("[token] with the station's token"))?;
        let file =
            config.statement.as_ref().map(|statement| FileSigner::read(&statement.file)).transpose()?;
        let (wrapping, signer) = blocking(move || {
            let token = token_signer::open(&settings, None)?;
            let find = |id| token.wrapping_key(KeyKind::Wrapping, id);
            let wrapping = token_signer::only(&token, Algorithm::Rsa, KeyKind::Wrapping, find)?;
            let signer: Arc<dyn StatementSigner> = match file {
                Some(file) => Arc::new(file),
                None => Arc::new(TokenSigner::find(&token, KeyKind::Statement)?),
            };
            Ok((Arc::new(wrapping), signer))
        })
        .await?;
        let reader = Reader::connect(config).await?;
        let name = reader.name_of(&signer.public_key())?;
        Ok(Self { reader, kit: Arc::new(Kit { signer, wrapping, name }) })
    }

    /// The same, with another time for each call: [`Station::derive`] has it for the opening it may need as well.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { reader: self.reader.with_deadline(deadline), kit: self.kit.clone() }
    }

    /// The same for one call that begins now.
    fn begun(&self) -> Result<Self, ClientError> {
        Ok(Self { reader: self.reader.begun()?, kit: self.kit.clone() })
    }

    /// The reads every persona may make.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The station's name, from its enrolment.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.kit.name
    }

    /// Asks for other keys for itself; it goes on with the old ones until two officers have agreed.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn rotate(&self, keys: NewKeys) -> Result<Outcome<Changed>, ClientError> {
        self.hand().rotate(keys).await
    }

    /// Withdraws a request that still waits for people.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn cancel(&self, id: ProposalId, reason: &Reason) -> Result<Voted, ClientError> {
        self.hand().cancel(id, reason).await
    }

    /// What became of a change of its own keys.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Request`] when the proposal is another's.
    pub async fn result(&self, id: ProposalId) -> Result<Outcome<Changed>, ClientError> {
        self.hand().result(id).await
    }

    fn hand(&self) -> Hand {
        let Kit { signer, name, .. } = &*self.kit;
        Hand { reader: self.reader.clone(), signer: signer.clone(), name: name.clone() }
    }

    /// Signs and sends a request; what takes people first is an error that says so.
    async fn send<R: crate::reply::Reply>(
        &self,
        operation: Operation,
        idem: Idem,
        request: &(impl Serialize + Sync),
    ) -> Result<R, ClientError> {
        let statement = Statement { operation, idem, request };
        statement.send(&self.reader, &self.kit.signer).await?.done()
    }
}

#[cfg(feature = "officer")]
#[cfg(test)]
mod tests;
