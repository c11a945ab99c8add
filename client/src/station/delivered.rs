//! Card keys as they are delivered: taken only where a delivery answers exactly our request, and opened in our token.
//!
//! INVARIANT: every check is made before the first key is opened. No key of a delivery that fails one comes out.

use super::{Shift, Station};
use crate::{
    agreement::idem_of, error::ClientError, reader::blocking, statement::fresh_idem, trust_store::Founded,
};
use keysvc_protocol::{
    bytes::ShortCheck,
    card::CardUid,
    cbor,
    delivery::{DeliveredKey, Delivery},
    job::{ItemData, JobItem},
    list::WrongCount,
    name::Name,
    refusal::Refusal,
    reply::CardDeriveReply,
    request::{DeriveCardKeys, Operation},
    schema::Schema,
};
use keysvc_token::{CardKeyValue, StationTransport};
use std::sync::Arc;

/// The keys of cards of a job.
#[derive(Debug)]
pub struct Delivered {
    /// The job's card profile.
    pub profile: Name,
    /// Its version.
    pub profile_version: u32,
    /// The generation of the keys.
    pub generation: u32,
    /// The cards, in the order they were asked for.
    pub cards: Vec<DeliveredCard>,
    /// The last of those asked for, where the job had no room for them: blanks that stay blank.
    pub left_out: Vec<CardUid>,
}

/// What is written to one card.
#[derive(Debug)]
pub struct DeliveredCard {
    /// The card.
    pub card: CardUid,
    /// Its keys, slots ascending: one for every slot of the profile.
    pub keys: Vec<CardKey>,
    /// Its data, where the job lists its cards.
    pub data: Option<ItemData>,
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

impl DeliveredCard {
    /// The check values of its keys, slots ascending: what is to be read back.
    #[must_use]
    pub fn checks(&self) -> Vec<ShortCheck> {
        self.keys.iter().map(|key| key.check).collect()
    }
}

impl Station {
    /// Asks for the keys of cards of the job, in every slot of its profile: `generation` is 1 for cards that have none.
    /// Where the job has no room for all of them the first get keys and the others are left out. Where the service has
    /// forgotten the session's transport key the session is opened again, once, by the request that opened it.
    ///
    /// # Errors
    /// [`ClientError`] of the calls; [`ClientError::Pending`] where another generation waits for people;
    /// [`ClientError::Delivery`] or [`ClientError::Untrusted`] when the delivery is not the service's answer to this
    /// request; [`ClientError::Token`] when a key does not unwrap.
    pub async fn derive(
        &self,
        shift: &Shift,
        cards: &[CardUid],
        generation: u32,
    ) -> Result<Delivered, ClientError> {
        let limit = |error: WrongCount| ClientError::Request { what: error.to_string() };
        let call = self.begun()?;
        let mut order = DeriveCardKeys {
            schema: Schema,
            idem: fresh_idem()?,
            exchange: shift.exchange(),
            job: shift.job().clone(),
            generation,
            cards: cards.to_vec().try_into().map_err(limit)?,
        };
        // What people are to agree to is one request however often it is sent; what they need not is judged each time.
        if generation > 1 {
            let about = [cbor::encode(&order.exchange), cbor::encode(&(generation, &order.cards))];
            order.idem = idem_of(Operation::CardDerive.name(), &about.each_ref().map(Vec::as_slice));
        }
        let transport = shift.transport(&call).await?;
        match call.derive_under(&transport, &order).await {
            Err(error) if error.refusal() == Some(&Refusal::ExchangeUnknown) => {
                let transport = shift.reopen(&call, &transport).await?;
                call.derive_under(&transport, &order).await
            }
            result => result,
        }
    }

    async fn derive_under(
        &self,
        transport: &Arc<StationTransport>,
        order: &DeriveCardKeys,
    ) -> Result<Delivered, ClientError> {
        let reply: CardDeriveReply = self.send(Operation::CardDerive, order.idem, order).await?;
        let checked =
            check_delivery(self.reader.founded(), &self.kit.name, order, reply.delivery.as_bytes())?;
        let transport = transport.clone();
        blocking(move || checked.opened(&transport)).await
    }
}

/// A delivery that answers exactly our request, its keys still wrapped.
#[derive(Debug)]
struct Checked {
    delivery: Delivery,
    slots: usize,
    left_out: Vec<CardUid>,
}

/// Checks that a delivery answers exactly this request, and holds nothing else.
fn check_delivery(
    founded: &Founded,
    station: &Name,
    request: &DeriveCardKeys,
    message: &[u8],
) -> Result<Checked, ClientError> {
    let delivery = Delivery::verify(message, founded.genesis(), founded.statement_key())?;
    let for_us = delivery.station == *station
        && delivery.exchange == request.exchange
        && delivery.idem == request.idem
        && delivery.job == request.job
        && delivery.generation == request.generation;
    if !for_us {
        return Err(ClientError::untrusted("the delivery answers another request"));
    }
    let slots = slots_of(&delivery.keys)?;
    let cards = delivery.keys.len().checked_div(slots).unwrap_or_default();
    let (Some(first), Some(left_out)) = (request.cards.get(..cards), request.cards.get(cards..)) else {
        return Err(ClientError::untrusted("the delivery is for more cards than were asked for"));
    };
    if !delivery.keys.chunks(slots).zip(first).all(|(keys, card)| keys.iter().all(|key| key.card == *card)) {
        return Err(ClientError::untrusted("the delivery is for other cards than were asked for"));
    }
    let items = delivery.items.iter().map(|item: &JobItem| &item.card);
    if !delivery.items.is_empty() && !items.eq(first) {
        return Err(ClientError::untrusted("the delivery holds the data of other cards"));
    }
    let left_out = left_out.to_vec();
    Ok(Checked { delivery, slots, left_out })
}

/// How many slots each card has: the same for all, ascending, with the same key version.
fn slots_of(keys: &[DeliveredKey]) -> Result<usize, ClientError> {
    let uneven = || ClientError::untrusted("the delivery has other slots for one card than for another");
    let first = keys.first().ok_or_else(|| ClientError::untrusted("the delivery is empty"))?.card;
    let slots = keys.iter().take_while(|key| key.card == first).count();
    let place = |key: &DeliveredKey| (key.slot, key.key_version);
    let profile: Vec<(u8, u32)> = keys.iter().take(slots).map(place).collect();
    let ascending = profile.is_sorted_by(|(one, _), (next, _)| one < next);
    let even = keys.chunks(slots).all(|card| card.iter().map(place).eq(profile.iter().copied()));
    if ascending && even { Ok(slots) } else { Err(uneven()) }
}

impl Checked {
    fn opened(self, transport: &StationTransport) -> Result<Delivered, ClientError> {
        let Self { delivery, slots, left_out } = self;
        let Delivery { profile, profile_version, generation, keys, items, .. } = delivery;
        let mut data = items.into_vec().into_iter().map(|item| item.data);
        let mut cards = Vec::with_capacity(keys.len().checked_div(slots).unwrap_or_default());
        for wrapped in keys.chunks(slots) {
            let Some(DeliveredKey { card, .. }) = wrapped.first() else { continue };
            let keys = wrapped.iter().map(|key| unwrap_key(transport, key)).collect::<Result<_, _>>()?;
            cards.push(DeliveredCard { card: *card, keys, data: data.next() });
        }
        Ok(Delivered { profile, profile_version, generation, cards, left_out })
    }
}

fn unwrap_key(transport: &StationTransport, key: &DeliveredKey) -> Result<CardKey, ClientError> {
    let value = transport.unwrap_card_key(key.wrapped.as_bytes())?;
    if value.check_value()? != *key.check.as_bytes() {
        return Err(ClientError::untrusted("a card key has another check value"));
    }
    Ok(CardKey { card: key.card, slot: key.slot, key_version: key.key_version, value, check: key.check })
}

#[cfg(test)]
mod tests;
