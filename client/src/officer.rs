//! A security officer: agrees to what takes people, and stops what must be stopped, with the approval key in a card.
//!
//! No blind signing: a vote is made of an [`Approvable`], which is a proposal read whole, with its act in words; and the
//! founding is checked before it is signed. A program shows both to its officer first. Nobody is trusted with the counting:
//! [`Votes`] are counted here, by the code that the service and the auditors use.
//!
//! # Configuration
//!
//! For signing `[token]` with the officer's card: `module` and `label`; the PIN is typed, or stands in `pin-file` in
//! development. The card's only P-256 key is the approval key. For reading, certificate, key, trust file and state
//! folder; the card is not needed.
//!
//! # Example
//!
//! ```no_run
//! use keysvc_client::{ClientConfig, Officer, Outcome, Pin, officer::Card};
//! use std::path::Path;
//!
//! # async fn example(typed: String) -> Result<(), Box<dyn std::error::Error>> {
//! let config = ClientConfig::read(Path::new("officer-2/client.toml"))?;
//! let officer = Officer::connect(&config).await?;
//! for line in officer.proposals(false, None).await? {
//!     let record = officer.proposal(line.id).await?;
//!     show(record.approvable.sentence(), &record.approvable.digest().to_string());
//! }
//! let card = Card::find(&config.token.ok_or("no [token] in the configuration")?)?;
//! let officer = officer.with_signer(card.unlock(Some(Pin::new(typed)))?)?;
//! let id = "000102030405060708090a0b0c0d0e0f".parse()?;
//! let record = officer.proposal(id).await?;
//! let voted = officer.approve(&record.approvable).await?;
//! match officer.create_key("value-1".parse()?, keysvc_client::protocol::key::KeyKind::ValueSigning).await? {
//!     Outcome::Done(changed) => println!("leaf {}", changed.leaf_index),
//!     Outcome::Pending(pending) => println!("waits: {pending}"),
//! }
//! # let _ = voted;
//! # fn show(_: &str, _: &str) {}
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! - [`ClientError::NotApprovable`]: the proposal is not what it should be, or says something that this program cannot put
//!   into words. Sign it with no other program; tell the other officers.
//! - [`ClientError::Refused`] with `approval_invalid`, `expired` or `state_conflict`: the proposal is dead; the act is asked
//!   for again.
//! - [`ClientError::Request`]: the founding file contradicts itself, or does not name this officer; or no card was given.
//! - [`ClientError::Config`]: the card's key is not the one the file names for this officer. Another card, or another
//!   enrolment.
//! - [`ClientError::Token`]: the card or its PIN. A real card locks after a few wrong PINs: do not try in a loop, and look
//!   at [`Card::pin_tries`] before.
//!
//! # Limits
//!
//! A founding file has at most 64 KiB, a proposed request 32 KiB. The card blocks: in async code find and unlock it on a
//! thread that may wait. Each act draws an idempotency key of its own; [`Officer::act`] takes a request with one, for acts
//! that are to be repeated safely by another process.

mod acts;
mod card;
mod founding;
mod governed;
mod reads;
mod votes;

pub use crate::{
    act::{Act, Changed, NewKeys, Voted},
    approvable::{Approvable, Missing, NotApprovable, Votes, Vouched},
    site_reads::ActEvidence,
};
pub use card::Card;
pub use founding::sign_founding;
pub use governed::{HeldCeremony, KeyImport};
pub use keysvc_token::{PinTries, TokenIdentity};
pub use reads::Principals;
pub use votes::OnRecord;

use crate::{
    act::Hand,
    config::{ClientConfig, ConfigError},
    error::ClientError,
    reader::Reader,
    signer::StatementSigner,
};
use keysvc_protocol::name::Name;
use std::{sync::Arc, time::Duration};

/// An officer's connections; with the card's key once it is unlocked. Cheap to clone; clones share all of it.
#[derive(Debug, Clone)]
pub struct Officer {
    reader: Reader,
    hand: Option<Hand>,
}

impl Officer {
    /// Learns what the service is. The officer's card is not needed for reading.
    ///
    /// # Errors
    /// [`ClientError`] naming the file, fault or contradiction.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        Ok(Self { reader: Reader::connect(config).await?, hand: None })
    }

    /// The same with the key that signs, such as that of an unlocked [`Card`].
    ///
    /// # Errors
    /// [`ClientError::Config`] when neither the founding nor our certificate says whose key it is.
    pub fn with_signer(&self, signer: Arc<dyn StatementSigner>) -> Result<Self, ClientError> {
        let name = self.reader.name_of(&signer.public_key())?;
        Ok(Self {
            reader: self.reader.clone(),
            hand: Some(Hand { reader: self.reader.clone(), signer, name }),
        })
    }

    /// The same, with another time for each call.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        let reader = self.reader.with_deadline(deadline);
        let hand = self.hand.clone().map(|hand| Hand { reader: reader.clone(), ..hand });
        Self { reader, hand }
    }

    /// The reads every persona may make.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Who we are: by the card's key, or else by our certificate.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        let own = self.reader.own_name().map(|own| &own.name);
        self.hand.as_ref().map(|hand| &hand.name).or(own)
    }

    fn hand(&self) -> Result<&Hand, ClientError> {
        self.hand
            .as_ref()
            .ok_or_else(|| ConfigError::missing("a key to sign with: unlock the card first").into())
    }
}

#[cfg(test)]
mod tests;
