//! A personalization station: opens exchanges and receives the keys of the cards it makes.
//!
//! Wrapped keys are opened in the station's own token, and only out of statements that the service signed for this
//! station, this exchange and this request. It writes no cards, and it keeps no list of those that are made.
//!
//! # Configuration
//!
//! `[token]` with the station's token: its RSA-3072 wrapping key, and its P-256 statement key unless `[statement]`
//! names a file. Each must be the only one of its kind there, and both must be enrolled.
//!
//! # Example
//!
//! ```no_run
//! use keysvc_client::{ClientConfig, Station};
//! use std::path::Path;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let station = Station::connect(&ClientConfig::read(Path::new("station-1/client.toml"))?).await?;
//! let cards = ["04782e21801d80".parse()?, "04a1b2c3d4e5f6".parse()?];
//! for key in station.derive(&"known".parse()?, 1, &[0], &cards).await? {
//!     write_card(&key.card, key.slot, key.value.expose());
//! }
//! # fn write_card(_: &keysvc_client::protocol::card::CardUid, _: u8, _: &[u8]) {}
//! # Ok(())
//! # }
//! ```
//!
//! `client/examples/personalize.rs` is a whole program: portions, a list of what is made, advice for each error.
//!
//! # Errors
//!
//! - `exchange_unknown` is answered inside the call: the keeper restarted and forgot the transport key, so a new
//!   exchange is opened, once. Seen outside, exchanges do not last: tell the platform's operator.
//! - After [`ClientError::Timeout`] or [`ClientError::Unreachable`] ask for the same cards again: the keys are the same,
//!   and the log has one leaf more.
//! - [`ClientError::Delivery`] and [`ClientError::Untrusted`] mean that the keys are not for this station or request:
//!   write none of them.
//! - [`ClientError::Token`] names the station's own token; nothing has reached a card.
//!
//! # Limits
//!
//! 1,000 cards and 8 slots in one call ([`keysvc_protocol::request::CARDS_MAX`], [`keysvc_protocol::request::SLOTS_MAX`]);
//! slots ascending, no card twice. Portions of 50 to 100 cards make a lost answer cheap. An exchange ends by itself;
//! the next call opens another.

use crate::{
    act::Hand,
    clock::now_ms,
    config::{ClientConfig, ConfigError},
    error::ClientError,
    pending::Outcome,
    reader::{Reader, blocking},
    signer::{FileSigner, StatementSigner},
    statement::{Statement, fresh_idem},
    token_signer::{self, Algorithm, TokenSigner},
    trust_store::Founded,
};
use keysvc_protocol::{
    bytes::{Exchange, Idem, ProposalId, ShortCheck},
    card::CardUid,
    delivery::{DeliveredKey, Delivery, ExchangeOpening},
    hash::sha256,
    name::{Name, Reason},
    refusal::Refusal,
    reply::{CardDeriveReply, StationOpenReply},
    request::{DeriveCardKeys, OpenStation, Operation},
    schema::Schema,
};
use keysvc_token::{CardKeyValue, CheckValue, KeyKind, StationTransport, WrappingKey};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, MutexGuard};

pub use crate::act::{Changed, NewKeys, Voted};

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
    exchange: Mutex<Option<Arc<OpenExchange>>>,
}

/// An exchange with its transport key in the station's token.
#[derive(Debug)]
struct OpenExchange {
    exchange: Exchange,
    expires_at_ms: u64,
    transport: StationTransport,
}

/// One card key, for writing to one slot of one card.
#[derive(Debug)]
pub struct CardKey {
    /// The card.
    pub card: CardUid,
    /// The slot of the profile.
    pub slot: u8,
    /// The master key's version.
    pub key_version: u32,
    /// The key's 16 bytes; wiped when dropped.
    pub value: CardKeyValue,
    /// Its check value, computed in our token and equal to the service's.
    pub check: ShortCheck,
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
        Ok(Self { reader, kit: Arc::new(Kit { signer, wrapping, name, exchange: Mutex::new(None) }) })
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

    /// Opens an exchange, in place of the one there may be.
    ///
    /// # Errors
    /// [`ClientError`] of the call; [`ClientError::Delivery`] or [`ClientError::Untrusted`] when the opening is not
    /// the service's for this station; [`ClientError::Token`] when it does not unwrap.
    pub async fn open(&self) -> Result<(), ClientError> {
        let call = self.begun()?;
        let mut exchange = call.exchange().await?;
        *exchange = Some(call.open_exchange().await?);
        Ok(())
    }

    /// Asks for the keys of `cards` in `slots` (ascending), and gives them card by card. Opens an exchange where
    /// there is none, and once again by itself when the service does not know it any more.
    ///
    /// # Errors
    /// [`ClientError`] of the calls; [`ClientError::Delivery`] or [`ClientError::Untrusted`] when the delivery is
    /// not the service's answer to this request; [`ClientError::Token`] when a key does not unwrap.
    pub async fn derive(
        &self,
        profile: &Name,
        version: u32,
        slots: &[u8],
        cards: &[CardUid],
    ) -> Result<Vec<CardKey>, ClientError> {
        let limit =
            |error: keysvc_protocol::list::WrongCount| ClientError::Request { what: error.to_string() };
        let order = DeriveCardKeys {
            schema: Schema,
            // Both replaced by each attempt's own.
            idem: Idem::new([0; Idem::LEN]),
            exchange: Exchange::new([0; Exchange::LEN]),
            profile: profile.clone(),
            profile_version: version,
            slots: slots.to_vec().try_into().map_err(limit)?,
            cards: cards.to_vec().try_into().map_err(limit)?,
        };
        let call = self.begun()?;
        let exchange = call.current().await?;
        match call.derive_under(exchange.clone(), order.clone()).await {
            Err(error) if error.refusal() == Some(&Refusal::ExchangeUnknown) => {
                let exchange = call.replace(&exchange).await?;
                call.derive_under(exchange, order).await
            }
            result => result,
        }
    }

    /// The exchange's place; another call may be filling it.
    async fn exchange(&self) -> Result<MutexGuard<'_, Option<Arc<OpenExchange>>>, ClientError> {
        let deadline = self.reader.deadline()?;
        deadline.wait(self.kit.exchange.lock()).await.map_err(|_| ClientError::Timeout {
            after_ms: deadline.whole_ms(),
            reached: "another call was opening the exchange".into(),
        })
    }

    /// The open exchange, or a new one where there is none or it has expired.
    async fn current(&self) -> Result<Arc<OpenExchange>, ClientError> {
        let mut current = self.exchange().await?;
        if let Some(exchange) = current.as_ref().filter(|exchange| exchange.expires_at_ms > now_ms()) {
            return Ok(exchange.clone());
        }
        let exchange = self.open_exchange().await?;
        *current = Some(exchange.clone());
        Ok(exchange)
    }

    /// A new exchange in place of one that the service does not know, unless another task was first.
    async fn replace(&self, unknown: &Arc<OpenExchange>) -> Result<Arc<OpenExchange>, ClientError> {
        let mut current = self.exchange().await?;
        if let Some(exchange) = current.as_ref().filter(|exchange| exchange.exchange != unknown.exchange) {
            return Ok(exchange.clone());
        }
        let exchange = self.open_exchange().await?;
        *current = Some(exchange.clone());
        Ok(exchange)
    }

    /// A keeper that died between recording an opening and answering it has forgotten the transport key, and says so
    /// when the opening is asked for again: then a fresh one is asked for, once.
    async fn open_exchange(&self) -> Result<Arc<OpenExchange>, ClientError> {
        match self.open_once().await {
            Err(error) if error.refusal() == Some(&Refusal::ExchangeUnknown) => self.open_once().await,
            result => result,
        }
    }

    async fn open_once(&self) -> Result<Arc<OpenExchange>, ClientError> {
        let idem = fresh_idem()?;
        let request = OpenStation { schema: Schema, idem };
        let statement = Statement { operation: Operation::StationOpen, idem, request: &request };
        let reply: StationOpenReply = statement.send(&self.reader, &self.kit.signer).await?.done()?;
        let founded = self.reader.founded();
        let opening =
            ExchangeOpening::verify(reply.opening.as_bytes(), founded.genesis(), founded.statement_key())?;
        check_opening(&opening, &self.kit.name, self.kit.wrapping.spki())?;
        let wrapping = self.kit.wrapping.clone();
        blocking(move || unwrap_exchange(&wrapping, &opening).map(Arc::new)).await
    }

    async fn derive_under(
        &self,
        exchange: Arc<OpenExchange>,
        order: DeriveCardKeys,
    ) -> Result<Vec<CardKey>, ClientError> {
        let idem = fresh_idem()?;
        let request = DeriveCardKeys { idem, exchange: exchange.exchange, ..order };
        let statement = Statement { operation: Operation::CardDerive, idem, request: &request };
        let reply: CardDeriveReply = statement.send(&self.reader, &self.kit.signer).await?.done()?;
        let keys =
            check_delivery(self.reader.founded(), &self.kit.name, &request, reply.delivery.as_bytes())?;
        blocking(move || keys.iter().map(|key| unwrap_key(&exchange.transport, key)).collect()).await
    }
}

/// Checks that an opening is for this station and its wrapping key, and is not over.
fn check_opening(opening: &ExchangeOpening, station: &Name, wrapping_spki: &[u8]) -> Result<(), ClientError> {
    if opening.station != *station {
        return Err(ClientError::untrusted("the exchange is another station's"));
    }
    if opening.wrapping_key != sha256(&[wrapping_spki]) {
        return Err(ClientError::untrusted("the exchange is for another wrapping key"));
    }
    if opening.expires_at_ms <= now_ms() {
        return Err(ClientError::untrusted("the exchange is over already; compare the clocks"));
    }
    Ok(())
}

fn unwrap_exchange(wrapping: &WrappingKey, opening: &ExchangeOpening) -> Result<OpenExchange, ClientError> {
    let transport = wrapping.unwrap_transport(opening.wrapped.as_bytes())?;
    if transport.check_value()? != CheckValue::Kw(*opening.check.as_bytes()) {
        return Err(ClientError::untrusted("the transport key has another check value"));
    }
    Ok(OpenExchange { exchange: opening.exchange, expires_at_ms: opening.expires_at_ms, transport })
}

/// Checks that a delivery answers exactly this request, and gives its keys.
fn check_delivery(
    founded: &Founded,
    station: &Name,
    request: &DeriveCardKeys,
    message: &[u8],
) -> Result<Vec<DeliveredKey>, ClientError> {
    let delivery = Delivery::verify(message, founded.genesis(), founded.statement_key())?;
    let for_us = delivery.station == *station
        && delivery.exchange == request.exchange
        && delivery.idem == request.idem
        && delivery.profile == request.profile
        && delivery.profile_version == request.profile_version;
    if !for_us {
        return Err(ClientError::untrusted("the delivery answers another request"));
    }
    let asked = request.cards.iter().flat_map(|card| request.slots.iter().map(move |slot| (*card, *slot)));
    if !delivery.keys.iter().map(|key| (key.card, key.slot)).eq(asked) {
        return Err(ClientError::untrusted("the delivery is for other cards or slots"));
    }
    Ok(delivery.keys.into_vec())
}

fn unwrap_key(transport: &StationTransport, key: &DeliveredKey) -> Result<CardKey, ClientError> {
    let value = transport.unwrap_card_key(key.wrapped.as_bytes())?;
    if value.check_value()? != *key.check.as_bytes() {
        return Err(ClientError::untrusted("a card key has another check value"));
    }
    Ok(CardKey { card: key.card, slot: key.slot, key_version: key.key_version, value, check: key.check })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::TokenSettings,
        connect::stand_in::Step,
        testing::{
            Key, Log, TERMINAL, founding_leaf_of, founding_with, keys,
            service::{payload, serve, statement},
        },
    };
    use keysvc_protocol::{
        bytes::{Blob, Digest, WrappedCardKey},
        cbor,
        cose::Kind,
        leaf::LeafKind,
        public_key::PublicKey,
        request::Envelope,
    };
    use keysvc_token::{
        DiversificationInput, MasterKey, ObjectId, Pin, Token, TransportKey, initialise_token,
        scratch::{Scratch, with_scratch_token},
    };
    use std::sync::atomic::{AtomicU32, Ordering};

    const MASTER: ObjectId = ObjectId([1; 16]);

    fn uid(last: u8) -> CardUid {
        CardUid::try_from([4, 0x78, 0x2e, 0x21, 0x80, 0x1d, last].as_slice()).unwrap()
    }

    fn request() -> DeriveCardKeys {
        DeriveCardKeys {
            schema: Schema,
            idem: Idem::new([1; 16]),
            exchange: Exchange::new([2; 16]),
            profile: "fob".parse().unwrap(),
            profile_version: 1,
            slots: vec![0, 3].try_into().unwrap(),
            cards: vec![uid(1), uid(2)].try_into().unwrap(),
        }
    }

    fn delivered(card: u8, slot: u8) -> DeliveredKey {
        DeliveredKey {
            card: uid(card),
            slot,
            key_version: 1,
            wrapped: WrappedCardKey::new([0; 24]),
            check: ShortCheck::new([0; 5]),
        }
    }

    fn delivery() -> Delivery {
        Delivery {
            schema: Schema,
            station: "station-1".parse().unwrap(),
            exchange: Exchange::new([2; 16]),
            idem: Idem::new([1; 16]),
            profile: "fob".parse().unwrap(),
            profile_version: 1,
            keys: vec![delivered(1, 0), delivered(1, 3), delivered(2, 0), delivered(2, 3)]
                .try_into()
                .unwrap(),
        }
    }

    fn founded() -> Founded {
        let log = Log::new(0, 0);
        Founded::check(&log.trust(), &log.0[0]).unwrap()
    }

    fn check(delivery: &Delivery) -> Result<Vec<DeliveredKey>, ClientError> {
        let founded = founded();
        let message = statement(Kind::Delivery, founded.genesis(), delivery);
        check_delivery(&founded, &"station-1".parse().unwrap(), &request(), &message)
    }

    fn untrusted<T: std::fmt::Debug>(result: Result<T, ClientError>) -> String {
        match result {
            Err(ClientError::Untrusted { what, evidence: None }) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_delivery_for_exactly_what_was_asked_is_taken() {
        assert_eq!(check(&delivery()).unwrap(), delivery().keys.into_vec());
    }

    #[test]
    fn a_delivery_for_another_request_is_refused() {
        let others = [
            Delivery { station: "station-2".parse().unwrap(), ..delivery() },
            Delivery { exchange: Exchange::new([3; 16]), ..delivery() },
            Delivery { idem: Idem::new([3; 16]), ..delivery() },
            Delivery { profile: "other".parse().unwrap(), ..delivery() },
            Delivery { profile_version: 2, ..delivery() },
        ];
        for other in others {
            assert_eq!(untrusted(check(&other)), "the delivery answers another request");
        }
    }

    #[test]
    fn a_delivery_with_other_cards_or_slots_or_in_another_order_is_refused() {
        let keys = [
            vec![],
            vec![delivered(1, 0), delivered(1, 3), delivered(2, 0)],
            vec![delivered(1, 0), delivered(1, 3), delivered(2, 0), delivered(2, 4)],
            vec![delivered(1, 0), delivered(1, 3), delivered(3, 0), delivered(3, 3)],
            vec![delivered(1, 0), delivered(2, 0), delivered(1, 3), delivered(2, 3)],
            vec![delivered(1, 0), delivered(1, 3), delivered(2, 0), delivered(2, 3), delivered(2, 3)],
        ];
        for keys in keys {
            let other = Delivery { keys: keys.try_into().unwrap(), ..delivery() };
            assert_eq!(untrusted(check(&other)), "the delivery is for other cards or slots");
        }
    }

    #[test]
    fn a_delivery_the_service_did_not_sign_is_refused() {
        let founded = founded();
        let (station, payload) = ("station-1".parse().unwrap(), cbor::encode(&delivery()));
        let scope = founded.genesis().as_bytes();
        let stranger = Key::new(TERMINAL).cose(Kind::Delivery, scope, payload.clone());
        let elsewhere = statement(Kind::Delivery, &Digest::new([9; 32]), &delivery());
        let opening = statement(Kind::ExchangeOpening, founded.genesis(), &delivery());
        for message in [stranger, elsewhere, opening, payload] {
            let result = check_delivery(&founded, &station, &request(), &message);
            assert!(matches!(result, Err(ClientError::Delivery(_))), "{result:?}");
        }
    }

    #[test]
    fn an_opening_for_another_station_or_wrapping_key_or_over_already_is_refused() {
        let opening = ExchangeOpening {
            schema: Schema,
            station: "station-1".parse().unwrap(),
            exchange: Exchange::new([2; 16]),
            wrapping_key: sha256(&[b"spki"]),
            wrapped: Blob::try_from(vec![0; 384]).unwrap(),
            check: ShortCheck::new([0; 5]),
            expires_at_ms: u64::MAX,
        };
        let check =
            |opening: &ExchangeOpening| check_opening(opening, &"station-1".parse().unwrap(), b"spki");
        assert!(check(&opening).is_ok());
        let other = ExchangeOpening { station: "station-2".parse().unwrap(), ..opening.clone() };
        assert_eq!(untrusted(check(&other)), "the exchange is another station's");
        let other = ExchangeOpening { wrapping_key: sha256(&[b"other"]), ..opening.clone() };
        assert_eq!(untrusted(check(&other)), "the exchange is for another wrapping key");
        let over = ExchangeOpening { expires_at_ms: 1, ..opening };
        assert_eq!(untrusted(check(&over)), "the exchange is over already; compare the clocks");
    }

    /// The keeper's side over a real token.
    struct Keeper {
        token: Token,
        master: MasterKey,
        statement_key: PublicKey,
        wrapping: Vec<u8>,
        open: Option<(Exchange, TransportKey)>,
    }

    impl Keeper {
        fn open(&mut self, genesis: &Digest, number: u32) -> Vec<u8> {
            let transport = TransportKey::generate(&self.token).unwrap();
            let CheckValue::Kw(check) = transport.check_value().unwrap() else { panic!("not by key wrap") };
            let exchange = Exchange::new([u8::try_from(number).unwrap(); 16]);
            let opening = ExchangeOpening {
                schema: Schema,
                station: "station-1".parse().unwrap(),
                exchange,
                wrapping_key: sha256(&[&self.wrapping]),
                wrapped: Blob::try_from(transport.wrap_to(&self.wrapping).unwrap()).unwrap(),
                check: ShortCheck::new(check),
                expires_at_ms: now_ms() + 60_000,
            };
            self.open = Some((exchange, transport));
            statement(Kind::ExchangeOpening, genesis, &opening)
        }

        /// Derives, with the check value of every key turned by `turn`.
        fn derive(&self, genesis: &Digest, asked: &DeriveCardKeys, turn: u8) -> Option<Vec<u8>> {
            let (exchange, transport) = self.open.as_ref().filter(|(open, _)| *open == asked.exchange)?;
            let mut keys = Vec::new();
            for card in asked.cards.iter() {
                for slot in asked.slots.iter() {
                    let input = [card.as_bytes(), &[*slot; 9]].concat();
                    let input = DiversificationInput::try_from(input.as_slice()).unwrap();
                    let key = self.master.derive(&input).unwrap();
                    let mut check = key.check_value().unwrap();
                    check[0] ^= turn;
                    let wrapped = WrappedCardKey::new(transport.wrap(&key).unwrap());
                    let check = ShortCheck::new(check);
                    keys.push(DeliveredKey { card: *card, slot: *slot, key_version: 1, wrapped, check });
                }
            }
            let delivery = Delivery {
                schema: Schema,
                station: "station-1".parse().unwrap(),
                exchange: *exchange,
                idem: asked.idem,
                profile: asked.profile.clone(),
                profile_version: asked.profile_version,
                keys: keys.try_into().unwrap(),
            };
            Some(statement(Kind::Delivery, genesis, &delivery))
        }

        fn asked(&self, operation: Operation, envelope: &Envelope, genesis: &Digest) -> DeriveCardKeys {
            payload(operation, envelope, genesis, &self.statement_key)
        }
    }

    /// Makes both tokens, and runs `work` with the station and how often an exchange was opened. The keeper forgets
    /// its exchange before every `forgets`-th derivation, and turns the check values by `turn`.
    fn with_station(scratch: &Scratch, forgets: u32, turn: u8, work: impl AsyncFn(Station, Arc<AtomicU32>)) {
        let pin = || Pin::new("483920".into());
        initialise_token(scratch.module(), "station-1", &Pin::new("1029384756".into()), &pin()).unwrap();
        let settings = TokenSettings {
            module: scratch.module().to_owned(),
            label: "station-1".into(),
            pin_file: Some(scratch.folder().join("pin")),
        };
        let token = token_signer::open(&settings, Some(pin())).unwrap();
        let made = |kind, byte| token.generate(kind, ObjectId([byte; 16]), "own").unwrap().public.unwrap();
        let (statement_spki, wrapping) = (made(KeyKind::Statement, 2), made(KeyKind::Wrapping, 3));
        let keeper_token = scratch.open();
        keeper_token.generate(KeyKind::CardMaster, MASTER, "master").unwrap();
        let mut keeper = Keeper {
            master: keeper_token.master_key(KeyKind::CardMaster, MASTER).unwrap(),
            token: keeper_token,
            statement_key: PublicKey::from_spki(&statement_spki).unwrap(),
            wrapping: wrapping.clone(),
            open: None,
        };
        let mut log = Log(vec![founding_leaf_of(founding_with(&statement_spki, &wrapping), keys())]);
        log.append(LeafKind::Start, vec![0]);
        let (genesis, opened, mut derived) = (log.trust().genesis, Arc::new(AtomicU32::new(0)), 0_u32);
        let count = opened.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (ground, _) = serve(log, move |service, operation, envelope| match operation {
                Operation::StationOpen => {
                    let opening = keeper.open(&genesis, count.fetch_add(1, Ordering::SeqCst));
                    service.log.append(LeafKind::StationOpened, vec![1]);
                    let (opening, receipt) = (Blob::try_from(opening).unwrap(), service.receipt(envelope));
                    Some(Step::Reply(cbor::encode(&StationOpenReply { schema: Schema, opening, receipt })))
                }
                Operation::CardDerive => {
                    derived += 1;
                    if derived.is_multiple_of(forgets) {
                        keeper.open = None;
                    }
                    let asked = keeper.asked(operation, envelope, &genesis);
                    let Some(delivery) = keeper.derive(&genesis, &asked, turn) else {
                        return Some(Step::Refuse(Refusal::ExchangeUnknown));
                    };
                    service.log.append(LeafKind::CardKeysDerived, vec![1]);
                    let (delivery, mut receipt) =
                        (Blob::try_from(delivery).unwrap(), service.receipt(envelope));
                    (receipt.leaf, receipt.inclusion) = (None, None);
                    Some(Step::Reply(cbor::encode(&CardDeriveReply { schema: Schema, delivery, receipt })))
                }
                _ => None,
            })
            .await;
            ground.put("pin", "483920\n");
            let settings = TokenSettings { pin_file: Some(ground.folder().join("pin")), ..settings };
            let config = ClientConfig { token: Some(settings), statement: None, ..ground.config() };
            work(Station::connect(&config).await.unwrap(), opened).await;
        });
    }

    #[test]
    fn a_station_opens_an_exchange_by_itself_and_receives_the_keys_in_order() {
        let test = "station::tests::a_station_opens_an_exchange_by_itself_and_receives_the_keys_in_order";
        with_scratch_token(test, |scratch| {
            with_station(scratch, 100, 0, async |station, opened| {
                assert_eq!(station.name().as_str(), "station-1");
                let (profile, cards) = ("fob".parse().unwrap(), [uid(1), uid(2)]);
                let keys = station.derive(&profile, 1, &[0, 3], &cards).await.unwrap();
                let places: Vec<_> = keys.iter().map(|key| (key.card, key.slot)).collect();
                assert_eq!(places, [(uid(1), 0), (uid(1), 3), (uid(2), 0), (uid(2), 3)]);
                let values: std::collections::BTreeSet<_> =
                    keys.iter().map(|key| *key.value.expose()).collect();
                assert_eq!(values.len(), 4);
                let again = station.derive(&profile, 1, &[0, 3], &cards).await.unwrap();
                assert_eq!(again[3].value.expose(), keys[3].value.expose());
                assert_eq!(opened.load(Ordering::SeqCst), 1);
            });
        });
    }

    #[test]
    fn an_exchange_that_the_service_forgot_is_opened_again_once() {
        let test = "station::tests::an_exchange_that_the_service_forgot_is_opened_again_once";
        with_scratch_token(test, |scratch| {
            with_station(scratch, 2, 0, async |station, opened| {
                let (profile, cards) = ("fob".parse().unwrap(), [uid(1)]);
                station.derive(&profile, 1, &[0], &cards).await.unwrap();
                station.derive(&profile, 1, &[0], &cards).await.unwrap();
                assert_eq!(opened.load(Ordering::SeqCst), 2);
            });
        });
    }

    #[test]
    fn a_service_that_never_knows_the_exchange_is_asked_twice_and_no_more() {
        let test = "station::tests::a_service_that_never_knows_the_exchange_is_asked_twice_and_no_more";
        with_scratch_token(test, |scratch| {
            with_station(scratch, 1, 0, async |station, opened| {
                let error = station.derive(&"fob".parse().unwrap(), 1, &[0], &[uid(1)]).await.unwrap_err();
                assert_eq!(error.refusal(), Some(&Refusal::ExchangeUnknown));
                assert_eq!(opened.load(Ordering::SeqCst), 2);
            });
        });
    }

    #[test]
    fn a_key_with_another_check_value_is_refused() {
        let test = "station::tests::a_key_with_another_check_value_is_refused";
        with_scratch_token(test, |scratch| {
            with_station(scratch, 100, 1, async |station, _| {
                let result = station.derive(&"fob".parse().unwrap(), 1, &[0], &[uid(1)]).await;
                assert_eq!(untrusted(result), "a card key has another check value");
            });
        });
    }
}
