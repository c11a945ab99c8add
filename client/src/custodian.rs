//! A custodian: the one person who holds a component of a key that is imported, and gives it.
//!
//! An officer or operator with a statement key. The component leaves this machine sealed to the service's one-time key,
//! which the service statement key vouches for; nothing of it is kept. What a component is, and its check value, is
//! [`crate::component`]'s. Nobody else's component can be given, and the service takes none whose check value is not the
//! one that people agreed to.
//!
//! # Configuration
//!
//! `[statement]` with `file`, or `[token]`; the public half must be enrolled.
//!
//! # Example
//!
//! ```no_run
//! use keysvc_client::{ClientConfig, Component, Custodian};
//! use std::path::Path;
//!
//! # async fn example(typed: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let custodian = Custodian::connect(&ClientConfig::read(Path::new("operator-1/client.toml"))?).await?;
//! let offered = custodian.component_key("000102030405060708090a0b0c0d0e0f".parse()?).await?;
//! let component = Component::from_hex(typed)?;
//! show(offered.offer.number, &component.check_value().to_string());
//! // Once the person has compared the check value with the form:
//! let given = custodian.give(&custodian.seal(&offered.offer, &component)?).await?;
//! # let _ = given.missing;
//! # fn show(_: u8, _: &str) {}
//! # Ok(())
//! # }
//! ```

use crate::{
    act::{Changed, Hand},
    component::Component,
    config::ClientConfig,
    error::ClientError,
    reader::{Outgoing, Reader},
    signer::{self, StatementSigner},
    statement::{Statement, fresh_idem},
};
use keysvc_protocol::{
    bytes::{Idem, ProposalId},
    cbor,
    component::ComponentKeyOffer,
    hash::sha256,
    name::Name,
    reply::{ComponentGivenReply, ComponentKeyReply},
    request::{GiveComponent, Operation, ReadComponentKey},
    schema::Schema,
    sealing::Place,
};
use std::{sync::Arc, time::Duration};

/// A custodian's connections with the statement key. Cheap to clone; clones share all of it.
#[derive(Debug, Clone)]
pub struct Custodian {
    hand: Hand,
}

/// The service's one-time key for our component, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Which key, version and component it is for, and the key to seal to.
    pub offer: ComponentKeyOffer,
    /// The numbers of the components that the service holds now; a restart forgets them.
    pub held: Vec<u8>,
}

/// A component under seal, ready to be given. Given again it is the same act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedComponent {
    request: GiveComponent,
    sealed: Vec<u8>,
}

/// A component that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The numbers of the components that are still missing.
    pub missing: Vec<u8>,
    /// The leaf that says it was given; with the key, once all were there and it was made.
    pub changed: Changed,
}

impl Custodian {
    /// Opens the statement key and learns what the service is.
    ///
    /// # Errors
    /// [`ClientError`] naming the file, fault or contradiction; [`ClientError::Config`] when nothing says whose key it
    /// is.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let signer = signer::of_config(config)?;
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

    /// The custodian's name, from the enrolment.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.hand.name
    }

    /// The one-time key for our component of the import that this proposal became, signed by the service statement key.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Untrusted`] when the service does not vouch for it, or it is of
    /// another import or for somebody else.
    pub async fn component_key(&self, proposal: ProposalId) -> Result<Offered, ClientError> {
        let request = ReadComponentKey { schema: Schema, proposal };
        let reader = &self.hand.reader;
        let reply: ComponentKeyReply = reader.ask(Outgoing::read(Operation::ComponentKey, &request)).await?;
        let founded = reader.founded();
        let offer =
            ComponentKeyOffer::verify(reply.offer.as_bytes(), founded.genesis(), founded.statement_key())
                .map_err(|error| ClientError::untrusted(error.to_string()))?;
        if offer.proposal != proposal || offer.custodian != self.hand.name {
            return Err(ClientError::untrusted("its one-time key is for another import or another person"));
        }
        if offer.number == 0 || offer.number > offer.components {
            return Err(ClientError::untrusted("its one-time key is for a component that there is not"));
        }
        Ok(Offered { offer, held: reply.held.into_vec() })
    }

    /// Seals a component to the service's one-time key: it opens there alone, for this import, number and person.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Request`] when the one-time key is none, or the system gives no random bytes.
    pub fn seal(
        &self,
        offer: &ComponentKeyOffer,
        component: &Component,
    ) -> Result<SealedComponent, ClientError> {
        self.seal_as(offer, component, fresh_idem()?)
    }

    /// The same as the act of this idempotency key, such as that of a ceremony's step.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn seal_as(
        &self,
        offer: &ComponentKeyOffer,
        component: &Component,
        idem: Idem,
    ) -> Result<SealedComponent, ClientError> {
        let place = Place {
            genesis: self.hand.reader.founded().genesis(),
            proposal: &offer.proposal,
            number: offer.number,
            custodian: &self.hand.name,
        };
        let sealed = component.seal(offer.public.as_bytes(), &place)?;
        let request = GiveComponent {
            schema: Schema,
            idem,
            proposal: offer.proposal,
            number: offer.number,
            check: component.check_value(),
            import_key: sha256(&[offer.public.as_bytes()]),
            sealed: sha256(&[&sealed]),
        };
        Ok(SealedComponent { request, sealed })
    }

    /// Gives a sealed component. The log holds who gave it and when; never the component, sealed or not.
    ///
    /// # Errors
    /// [`ClientError`] of the call. After [`ClientError::Timeout`] it may be given again as it is.
    pub async fn give(&self, component: &SealedComponent) -> Result<Given, ClientError> {
        let SealedComponent { request, sealed } = component;
        let statement = Statement { operation: Operation::ComponentGive, idem: request.idem, request };
        let hand = &self.hand;
        let reply: ComponentGivenReply =
            statement.send_with(sealed.clone(), &hand.reader, &hand.signer).await?;
        let missing = reply.missing.into_vec();
        if reply.key.is_some() && !missing.is_empty() {
            return Err(ClientError::untrusted("a key was made, and components are missing"));
        }
        let changed = hand.changed(reply.receipt, Operation::ComponentGive, &cbor::encode(request))?;
        Ok(Given { missing, changed: Changed { key: reply.key, ..changed } })
    }
}

impl SealedComponent {
    /// The idempotency key of the act.
    #[must_use]
    pub const fn idem(&self) -> Idem {
        self.request.idem
    }
}

#[cfg(test)]
mod tests;
