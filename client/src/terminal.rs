//! A terminal: asks for value updates, and releases one only when the log provably holds it.
//!
//! It writes no cards and keeps no journal: the program around it does. While the service is out of reach it verifies
//! records with a trust bundle ([`Terminal::bundle`], [`Offline`]).
//!
//! # Configuration
//!
//! `[statement]` with `file`, a P-256 key in PKCS#8 of mode 0600, or `[token]` in a build that has PKCS#11; its public
//! half must be enrolled. [`Offline`] needs `trust` and `state` alone.
//!
//! # Example
//!
//! ```no_run
//! use keysvc_client::{
//!     ClientConfig, Terminal,
//!     protocol::{request::{UpdateValue, ValueOperation}, schema::Schema},
//! };
//! use std::path::Path;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let terminal = Terminal::connect(&ClientConfig::read(Path::new("terminal-1/client.toml"))?).await?;
//! let request = UpdateValue {
//!     schema: Schema,
//!     programme: "coffee".parse()?,
//!     card: "04782e21801d80".parse()?,
//!     purse: 1,
//!     operation: ValueOperation::Load,
//!     expected_seq: 1,
//!     amount: 2_000,
//!     currency: 978,
//!     balance_before: 0,
//!     txn: Terminal::new_txn()?,
//! };
//! // On disk before the first send: repeating it is the same transaction, whatever became of the first.
//! journal(&request);
//! let signed = terminal.update(&request).await?;
//! write_card(&signed.record);
//! # fn journal(_: &UpdateValue) {}
//! # fn write_card(_: &[u8]) {}
//! # Ok(())
//! # }
//! ```
//!
//! `client/examples/terminal.rs` is a whole program with such a journal. Without the service:
//!
//! ```no_run
//! use keysvc_client::{ClientConfig, terminal::Offline};
//! use std::path::Path;
//!
//! # fn example(record: &[u8], now_ms: u64) -> Result<(), Box<dyn std::error::Error>> {
//! let offline = Offline::open(&ClientConfig::read(Path::new("terminal-1/client.toml"))?)?;
//! let update = offline.verify(record, now_ms)?;
//! # let _ = update;
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! - [`ClientError::Pending`]: the amount takes people first. Keep the request: repeating it, or [`Terminal::result`]
//!   with the proposal's identifier, gives the record once officers have agreed. Write nothing to the card before.
//! - `frozen`: an officer has stopped the card, the terminal or more. Do not serve this card; officers let it go on.
//! - [`ClientError::Timeout`] and [`ClientError::Unreachable`] leave the update in doubt: repeat the same request, with
//!   the same `txn`. If it was recorded, it comes back.
//! - `counter_conflict` and `balance_mismatch`: the log knows another last update of this purse. Read the card again;
//!   if it is behind, the till that began that update finishes it. Never go on with a guessed number.
//! - `idem_conflict`: this `txn` was used for another request; a state folder or journal was copied.
//! - [`ClientError::NotSigned`] and [`ClientError::Untrusted`]: write nothing to the card, tell the officers.
//! - [`ClientError::Bundle`]: the record does not verify offline, or the bundle has expired and says until when it
//!   held. Do not take the card until the service answers.
//!
//! # Limits
//!
//! One update in a request; a [`crate::Hub`] sends many. An update says until when it may be written to the card
//! (`expires_at_ms`). A bundle says what is signed and within which limits, not whether a card was used elsewhere
//! since: that is known online alone.

pub(crate) mod bundles;
mod offline;

use crate::{
    act::Hand,
    config::ClientConfig,
    error::ClientError,
    pending::Outcome,
    reader::{Outgoing, Reader, blocking},
    signer::{self, StatementSigner},
    statement::{Statement, fresh_idem},
    update::Asked,
};
use bundles::Bundles;
use keysvc_protocol::{
    bytes::{Idem, ProposalId},
    cbor::{self, REQUEST_LEN_MAX},
    name::{Name, Reason},
    public_key::PublicKey,
    reply::{BundleReply, ValueUpdateReply},
    request::{Operation, ReadBundle, UpdateValue},
    schema::Schema,
    value::ValueUpdate,
};
use std::{sync::Arc, time::Duration};

pub use crate::{
    act::{Changed, NewKeys, Voted},
    card_move::CardsMove,
    update::{SignedRequest, SignedUpdate},
};
pub use offline::Offline;

/// A terminal's connections with its statement key. Cheap to clone; clones share all of it, and several calls may be
/// under way at once.
#[derive(Debug, Clone)]
pub struct Terminal {
    reader: Reader,
    kit: Arc<Kit>,
}

#[derive(Debug)]
struct Kit {
    signer: Arc<dyn StatementSigner>,
    name: Name,
    bundles: Bundles,
}

impl Terminal {
    /// Opens the statement key and learns what the service is.
    ///
    /// # Errors
    /// [`ClientError`] naming the file, fault or contradiction; [`ClientError::Config`] when the founding does not
    /// enrol this statement key.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        let signer = signer::of_config(config)?;
        let reader = Reader::connect(config).await?;
        let name = reader.name_of(&signer.public_key())?;
        let (state, trust) = (config.state.clone(), reader.founded().trust().clone());
        let bundles = blocking(move || Bundles::open(&state, &trust)).await?;
        Ok(Self { reader, kit: Arc::new(Kit { signer, name, bundles }) })
    }

    /// The same, with another time for each call.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { reader: self.reader.with_deadline(deadline), kit: self.kit.clone() }
    }

    /// A fresh transaction number: 16 random bytes, to be written down before the first send.
    ///
    /// # Errors
    /// [`ClientError::Request`] when the system gives no random bytes.
    pub fn new_txn() -> Result<Idem, ClientError> {
        fresh_idem()
    }

    /// The reads every persona may make.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The terminal's name, from its enrolment.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.kit.name
    }

    /// The statement key that signs its requests.
    #[must_use]
    pub fn statement_key(&self) -> PublicKey {
        self.kit.signer.public_key()
    }

    /// Asks for one load or debit and gives it once everything about it is checked. Asking again with the same
    /// `request` gives the same update.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::NotSigned`] or [`ClientError::Untrusted`] when the reply does not
    /// prove what was asked: then nothing may be written to the card.
    pub async fn update(&self, request: &UpdateValue) -> Result<SignedUpdate, ClientError> {
        self.refresh();
        let statement = Statement { operation: Operation::ValueUpdate, idem: request.txn, request };
        let outcome: Outcome<ValueUpdateReply> = statement.send(&self.reader, &self.kit.signer).await?;
        self.asked(request).released(&self.reader, outcome.done()?).await
    }

    fn asked<'a>(&'a self, request: &'a UpdateValue) -> Asked<'a> {
        let statement_key = self.kit.signer.public_key();
        Asked { request, terminal: &self.kit.name, statement_key }
    }

    fn hand(&self) -> Hand {
        let Kit { signer, name, .. } = &*self.kit;
        Hand { reader: self.reader.clone(), signer: signer.clone(), name: name.clone() }
    }

    /// What became of an update that took people ([`ClientError::Pending`]): the update, checked as [`Terminal::update`]
    /// checks it, once officers have agreed. Repeating the same request, with the same `txn`, tells as much.
    ///
    /// # Errors
    /// [`ClientError`] of the calls and checks; [`ClientError::Request`] when the proposal is not of an update of ours.
    pub async fn result(&self, id: ProposalId) -> Result<Outcome<SignedUpdate>, ClientError> {
        let own = self.hand().own(id).await?;
        if own.operation() != Operation::ValueUpdate {
            let what = format!("proposal {id} is a {}, no value update", own.operation());
            return Err(ClientError::Request { what });
        }
        let request: UpdateValue = cbor::decode(&own.payload, REQUEST_LEN_MAX)
            .map_err(|error| ClientError::untrusted(format!("the request in the proposal: {error}")))?;
        let (state, reply) = self.reader.result::<ValueUpdateReply>(id).await?;
        Ok(match own.outcome(state, reply) {
            Outcome::Done(reply) => Outcome::Done(self.asked(&request).released(&self.reader, reply).await?),
            Outcome::Pending(pending) => Outcome::Pending(pending),
        })
    }

    /// Withdraws an update that still waits for people.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn cancel(&self, id: ProposalId, reason: &Reason) -> Result<Voted, ClientError> {
        self.hand().cancel(id, reason).await
    }

    /// Sells cards: all of them are active from then on, or none.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn move_cards(&self, cards: CardsMove) -> Result<Outcome<()>, ClientError> {
        self.hand().move_cards(cards).await
    }

    /// Asks for other keys for itself; it goes on with the old ones until two officers have agreed.
    ///
    /// # Errors
    /// [`ClientError`] of the call.
    pub async fn rotate(&self, keys: NewKeys) -> Result<Outcome<Changed>, ClientError> {
        self.hand().rotate(keys).await
    }

    /// What became of a change of its own keys.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Request`] when the proposal is another's.
    pub async fn rotation(&self, id: ProposalId) -> Result<Outcome<Changed>, ClientError> {
        self.hand().result(id).await
    }

    /// Signs a request and sends nothing: the bytes are for a hub, or for later. Sending them twice, alone or in a
    /// batch, is one request.
    ///
    /// # Errors
    /// [`ClientError`] when the statement key or its token fails, [`ClientError::Request`] when the request is longer
    /// than a batch takes.
    pub async fn sign_update(&self, request: &UpdateValue) -> Result<SignedRequest, ClientError> {
        let statement = Statement { operation: Operation::ValueUpdate, idem: request.txn, request };
        let message = statement.sign(self.reader.founded(), &self.kit.signer).await?;
        let (name, key) = (self.kit.name.clone(), self.kit.signer.public_key());
        SignedRequest::open_of(message, self.reader.founded(), name, key)
    }

    /// The trust bundle in force: asked for, proved to be in the log, and kept in the state folder for
    /// [`Terminal::verify_offline`] and [`Offline`]. From then on each update looks whether half of its life is over,
    /// and has it renewed beside the call.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Bundle`] or [`ClientError::Untrusted`] when it is not the service's
    /// or older than the one kept; [`ClientError::State`] when it cannot be kept.
    pub async fn bundle(&self) -> Result<Offline, ClientError> {
        let have = self.kit.bundles.kept().map(|kept| *kept.digest());
        let request = ReadBundle { schema: Schema, have };
        let reply: BundleReply = self.reader.ask(Outgoing::read(Operation::BundleGet, &request)).await?;
        let kit = self.kit.clone();
        blocking(move || kit.bundles.take(&reply)).await
    }

    /// Verifies a signed value update with the kept bundle alone: no network, no other file. `now_ms` is the
    /// terminal's clock, milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`ClientError::Bundle`] when the bundle has expired (saying until when it held) or the record does not verify;
    /// [`ClientError::State`] when no bundle is kept.
    pub fn verify_offline(&self, record: &[u8], now_ms: u64) -> Result<ValueUpdate, ClientError> {
        let kept = self.kit.bundles.kept().ok_or_else(|| offline::none(self.kit.bundles.path()))?;
        kept.verify(record, now_ms)
    }

    /// Has the bundle renewed beside the call that finds half of its life over.
    fn refresh(&self) {
        if !self.kit.bundles.wants_renewal() {
            return;
        }
        let terminal = self.clone();
        // What becomes of it is seen at the next call: the kept one holds for the other half of its life.
        tokio::spawn(async move {
            if let Err(error) = terminal.bundle().await {
                tracing::debug!(%error, "the trust bundle was not renewed");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connect::stand_in::Step,
        testing::{Key, Log, service::serve},
        update::tests::{request, update},
    };

    #[tokio::test]
    async fn a_cut_connection_is_asked_again_with_the_same_bytes_and_brings_the_update() {
        let mut cuts = 0;
        let (ground, service) = serve(Log::new(4, 0), move |service, operation, envelope| {
            if operation != Operation::ValueUpdate || cuts == 2 {
                return None;
            }
            cuts += 1;
            // Recorded and performed, but the reply is lost.
            drop(service.answer(operation, envelope));
            Some(Step::HangUp)
        })
        .await;
        let terminal = Terminal::connect(&ground.config()).await.unwrap();
        let released = terminal.update(&request()).await.unwrap();
        assert_eq!((released.update, released.leaf_index), (update(), 7));
        let service = service.lock().unwrap();
        let [.., first, second, third] = service.bodies.as_slice() else { panic!("too few requests") };
        assert!(first == second && second == third);
        assert_eq!(terminal.reader().seen(), Some(service.log.checkpoint(8)));
    }

    #[tokio::test]
    async fn a_statement_key_that_is_not_enrolled_is_found_at_the_start() {
        let (ground, _) = serve(Log::new(4, 0), |_, _, _| None).await;
        ground.put("statement", &Key::new(77).pem());
        let error = Terminal::connect(&ground.config()).await.unwrap_err();
        assert!(
            matches!(error, ClientError::Config(crate::config::ConfigError::Missing { .. })),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn an_update_beside_a_forked_checkpoint_is_not_released() {
        let (ground, _) = serve(Log::new(4, 0), |service, operation, envelope| {
            if operation == Operation::ValueUpdate {
                // It shows another past than a moment ago.
                service.log = Log::new(8, 1);
            }
            Some(service.answer(operation, envelope))
        })
        .await;
        let terminal = Terminal::connect(&ground.config()).await.unwrap();
        let error = terminal.update(&request()).await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { evidence: Some(_), .. }), "{error:?}");
    }
}
