//! A job's session at a station: its transport key, the card keys delivered under it, and the check values that a card
//! read back must show.
//!
//! Apart from the keyring's other keys because all of it hangs on one exchange. Whether the session stands, and which cards
//! get keys, is on record before anything here is asked.

use super::{Keyring, NotOpen, act, leaf_of, short};
use crate::{
    error::{Fault, NotDone},
    keeper::{gate::Permit, ledger::Recorded},
};
use keysvc_protocol::{
    bytes::{Blob, ShortCheck, WrappedCardKey},
    card::CardUid,
    cbor::{self, REPLY_LEN_MAX},
    cose::Kind,
    delivery::{DeliveredKey, Delivery, ExchangeOpening},
    founding::{Profile, Slot},
    hash::sha256,
    job::JobItem,
    leaf::{CardKeysDerivedLeaf, JobOpenedLeaf, JobRecordMadeLeaf, LeafKind},
    list::List,
    name::Name,
    reply::JOB_RECORD_MESSAGE_LEN_MAX,
    request::{DeriveCardKeys, OpenJob, ReadJobRecord, ResumeJob},
    schema::Schema,
};
use keysvc_token::{DiversificationInput, MasterKey, TransportKey};
use std::sync::Arc;

/// A request that begins a session of a job.
pub trait BeginsSession {
    /// The job.
    fn job(&self) -> &Name;
}

impl BeginsSession for OpenJob {
    fn job(&self) -> &Name {
        &self.job
    }
}

impl BeginsSession for ResumeJob {
    fn job(&self) -> &Name {
        &self.job
    }
}

impl Keyring {
    /// Opens the recorded session's exchange: a transport key made in the token that leaves it only wrapped to the
    /// station's enrolled key. A repetition finds the same transport key, or, after a restart, gets another for the same
    /// exchange.
    ///
    /// # Errors
    /// [`Fault`] of the token, or a leaf that is not what was recorded.
    pub fn open_session<A: BeginsSession>(
        &self,
        recorded: &Recorded<A>,
        now_ms: u64,
    ) -> Result<Vec<u8>, Fault> {
        let leaf: JobOpenedLeaf = act(recorded.recording(), LeafKind::JobOpened)?;
        let job = recorded.permit().action().job();
        let station = recorded.permit().caller();
        let wrapping =
            station.wrapping_key.as_ref().ok_or(Fault::Invariant("a station has no wrapping key"))?;
        let found = self.exchanges()?.find(&leaf.exchange, &leaf.station, now_ms);
        let transport = match found {
            Ok(transport) => transport,
            Err(NotOpen::Unknown) => {
                let key = TransportKey::generate(&self.token).map_err(Fault::from)?;
                self.exchanges()?.insert((&leaf, job), key, now_ms)
            }
            Err(NotOpen::Fault(fault)) => return Err(fault),
        };
        let check = short(transport.check_value().map_err(Fault::from)?);
        let wrapped = transport.wrap_to(wrapping).map_err(Fault::from)?;
        let opening = ExchangeOpening {
            schema: Schema,
            station: leaf.station,
            exchange: leaf.exchange,
            job: job.clone(),
            wrapping_key: sha256(&[wrapping]),
            wrapped: Blob::try_from(wrapped)
                .map_err(|_| Fault::Invariant("a wrapped transport key is too long"))?,
            check,
            expires_at_ms: leaf.expires_at_ms,
        };
        let unsigned = self.unsigned(Kind::ExchangeOpening, self.statement.kid, cbor::encode(&opening));
        self.statement.sign(&unsigned)
    }

    /// Ends the session of a job that is suspended, counted or over: its transport key is destroyed in the token.
    ///
    /// # Errors
    /// [`Fault`] when a worker died while an exchange was opened.
    pub fn end_session(&self, job: &Name) -> Result<(), Fault> {
        self.exchanges()?.end(job);
        Ok(())
    }

    /// Ends the one session that was recorded, which stands no more.
    ///
    /// # Errors
    /// [`Fault`] when a worker died while an exchange was opened, or the leaf is not what was recorded.
    pub fn end_session_of<A: BeginsSession>(&self, recorded: &Recorded<A>) -> Result<(), Fault> {
        let leaf: JobOpenedLeaf = act(recorded.recording(), LeafKind::JobOpened)?;
        self.exchanges()?.end_one(&leaf.exchange);
        Ok(())
    }

    /// Whether the exchange a permitted derivation names is open to its caller: asked before it is recorded, so that
    /// no leaf tells of keys that could not be delivered.
    ///
    /// # Errors
    /// [`NotOpen`] when it is not.
    pub fn exchange_open(&self, permit: &Permit<DeriveCardKeys>, now_ms: u64) -> Result<(), NotOpen> {
        self.exchanges()?.find(&permit.action().exchange, &permit.caller().id, now_ms).map(drop)
    }

    /// Begins a recorded derivation: which cards, of which profile, its leaf says.
    ///
    /// # Errors
    /// [`Fault`] when the leaf is not what was recorded.
    pub fn deliver<'a>(
        &'a self,
        recorded: &'a Recorded<DeriveCardKeys>,
        now_ms: u64,
    ) -> Result<Delivering<'a>, Fault> {
        let leaf: CardKeysDerivedLeaf = act(recorded.recording(), LeafKind::CardKeysDerived)?;
        let control = self.site.control()?;
        let profile = control.profiles().get(&leaf.profile, leaf.profile_version);
        let profile =
            profile.ok_or(Fault::Invariant("a recorded derivation names no profile"))?.profile.clone();
        let cards = usize::try_from(leaf.cards).unwrap_or(usize::MAX);
        let cards = recorded.permit().action().cards.get(..cards);
        let cards = cards.ok_or(Fault::Invariant("a recorded derivation has more cards than its request"))?;
        let keys = Vec::with_capacity(cards.len().saturating_mul(profile.slots.len()));
        Ok(Delivering { keyring: self, recorded, profile, cards, next: 0, keys, now_ms })
    }

    /// The check values of the keys that a card of this job was given, slots ascending: as they were delivered, or
    /// computed again in the token.
    ///
    /// # Errors
    /// [`NotDone`]: a master key may not be used as things stand, or a fault of the token.
    pub fn delivered_checks(
        &self,
        (job, profile): (&Name, &Profile),
        card: &CardUid,
    ) -> Result<Vec<ShortCheck>, NotDone> {
        if let Some(known) = self.exchanges()?.checks(job, card) {
            return Ok(known);
        }
        profile.slots_ascending().into_iter().map(|slot| self.check_value((profile, slot), card)).collect()
    }

    /// Forgets what was delivered to cards whose result is on record.
    ///
    /// # Errors
    /// [`Fault`] when a worker died while an exchange was opened.
    pub fn results_given<'a>(
        &self,
        job: &Name,
        cards: impl Iterator<Item = &'a CardUid>,
    ) -> Result<(), Fault> {
        self.exchanges()?.forget(job, cards);
        Ok(())
    }

    /// Signs the audit record of a job: exactly the bytes whose digest its leaf holds.
    ///
    /// # Errors
    /// [`Fault`] of the token, or when these are other bytes than those recorded.
    pub fn sign_job_record(
        &self,
        recorded: &Recorded<ReadJobRecord>,
        record: Vec<u8>,
    ) -> Result<Blob<JOB_RECORD_MESSAGE_LEN_MAX>, Fault> {
        let leaf: JobRecordMadeLeaf = leaf_of(&recorded.recording().payload)?;
        if recorded.recording().kind != LeafKind::JobRecordMade || sha256(&[&record]) != leaf.record {
            return Err(Fault::Invariant("a job's audit record is not the one on record"));
        }
        let signed = self.statement.sign(&self.unsigned(Kind::JobRecord, self.statement.kid, record))?;
        Blob::try_from(signed).map_err(|_| Fault::Invariant("a job's audit record is too long"))
    }
}

/// A recorded derivation under way, card by card.
#[derive(Debug)]
pub struct Delivering<'a> {
    keyring: &'a Keyring,
    recorded: &'a Recorded<DeriveCardKeys>,
    profile: Profile,
    cards: &'a [CardUid],
    next: usize,
    keys: Vec<DeliveredKey>,
    now_ms: u64,
}

impl Delivering<'_> {
    /// The cards that get keys.
    #[must_use]
    pub fn cards(&self) -> &[CardUid] {
        self.cards
    }

    /// Derives the next card's keys: in the token, wrapped under the exchange's transport key, destroyed. Gives whether
    /// there was one left.
    ///
    /// # Errors
    /// [`NotDone`]: the exchange ended or a master was taken out of use since, or a fault of the token.
    pub fn step(&mut self) -> Result<bool, NotDone> {
        let Some(card) = self.cards.get(self.next) else { return Ok(false) };
        self.next = self.next.saturating_add(1);
        let action = self.recorded.permit().action();
        let station = &self.recorded.permit().caller().id;
        let transport = self.keyring.exchanges()?.find(&action.exchange, station, self.now_ms)?;
        let control = self.keyring.site.control()?;
        let mut checks = Vec::with_capacity(self.profile.slots.len());
        for slot in self.profile.slots_ascending() {
            let input = self
                .profile
                .diversification_input(slot, card)
                .map_err(|_| Fault::Invariant("a recorded derivation has no input"))?;
            let master = self.keyring.in_use.master(&control, &slot.key, u32::from(slot.key_version))?;
            let key = derive_one(&master, (slot, *card), &input, &transport)?;
            checks.push(key.check);
            self.keys.push(key);
        }
        self.keyring.exchanges()?.remember(&action.exchange, *card, checks);
        Ok(true)
    }

    /// Signs the delivery, with the data of the same cards where the job lists them.
    ///
    /// # Errors
    /// [`Fault`] of the token, or when not all cards have their keys.
    pub fn sign(self, items: Vec<JobItem>) -> Result<Blob<REPLY_LEN_MAX>, Fault> {
        let Self { keyring, recorded, profile, cards, next, keys, .. } = self;
        if next < cards.len() || !(items.is_empty() || items.len() == cards.len()) {
            return Err(Fault::Invariant("a delivery is signed before it is whole"));
        }
        let action = recorded.permit().action();
        let delivery = Delivery {
            schema: Schema,
            station: recorded.permit().caller().id.clone(),
            exchange: action.exchange,
            idem: action.idem,
            job: action.job.clone(),
            generation: action.generation,
            profile: profile.name,
            profile_version: profile.version,
            keys: List::try_from(keys).map_err(|_| Fault::Invariant("a delivery has too many keys"))?,
            items: List::try_from(items).map_err(|_| Fault::Invariant("a delivery has too many items"))?,
        };
        let unsigned = keyring.unsigned(Kind::Delivery, keyring.statement.kid, cbor::encode(&delivery));
        let signed = keyring.statement.sign(&unsigned)?;
        Blob::try_from(signed).map_err(|_| Fault::Invariant("a delivery is too long"))
    }
}

fn derive_one(
    master: &Arc<MasterKey>,
    (slot, card): (&Slot, CardUid),
    input: &[u8],
    transport: &TransportKey,
) -> Result<DeliveredKey, Fault> {
    let input =
        DiversificationInput::try_from(input).map_err(|_| Fault::Invariant("a wrong input length"))?;
    let key = master.derive(&input)?;
    Ok(DeliveredKey {
        card,
        slot: slot.slot,
        key_version: u32::from(slot.key_version),
        check: ShortCheck::new(key.check_value()?),
        wrapped: WrappedCardKey::new(transport.wrap(&key)?),
    })
}
