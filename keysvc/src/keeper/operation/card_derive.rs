//! `card.derive`: record whose keys, then derive them in the token in slices and sign one delivery.

use super::{Means, Operation, signed, touches};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded, Touches},
    },
};
use keysvc_protocol::{
    bytes::{Blob, Digest},
    cbor::REPLY_LEN_MAX,
    founding::Profile,
    leaf::{CardKeysDerivedLeaf, DerivedItem},
    name::Name,
    receipt::Receipt,
    refusal::{Refusal, Thing},
    reply::CardDeriveReply,
    request::DeriveCardKeys,
    schema::Schema,
};
use std::{collections::BTreeSet, time::Instant};

impl Record for DeriveCardKeys {
    fn change(permit: &Permit<Self>, facts: &Facts<'_>) -> Result<Change, NotRecorded> {
        let request = permit.action();
        let (statement, retry) = signed(permit, request.idem)?;
        let profile = facts.control.profiles().get(&request.profile, request.profile_version);
        let profile = profile.ok_or(NotRecorded::Refused(Refusal::NotFound { what: Thing::Profile }))?;
        let profile = &profile.profile;
        let (root, count) = items_root(request, profile).map_err(NotRecorded::Refused)?;
        let station = permit.caller().id.clone();
        let leaf = CardKeysDerivedLeaf { schema: Schema, station, count, root, statement };
        let masters = masters(request, profile);
        let touches = Touches {
            profile: Some(request.profile.clone()),
            keys: masters.iter().map(|(name, _)| name.clone()).collect(),
            ..touches(permit.caller())
        };
        Ok(Change::DeriveCardKeys { retry, leaf, touches, cards: request.cards.to_vec(), masters })
    }
}

/// The RFC 6962 root over the keys to be derived, and their number.
fn items_root(request: &DeriveCardKeys, profile: &Profile) -> Result<(Digest, u32), Refusal> {
    let slots = request.slots.iter().map(|number| profile.slot(*number));
    let slots = slots.collect::<Option<Vec<_>>>().ok_or(Refusal::NotFound { what: Thing::Slot })?;
    let root = DerivedItem::root(profile, &slots, &request.cards)
        .map_err(|reason| Refusal::ProfileForbids { reason })?;
    let count = request.cards.len().saturating_mul(slots.len());
    Ok((root, u32::try_from(count).unwrap_or(u32::MAX)))
}

/// The master keys and versions of the slots asked for, each once.
fn masters(request: &DeriveCardKeys, profile: &Profile) -> Vec<(Name, u32)> {
    let slots = request.slots.iter().filter_map(|number| profile.slot(*number));
    let masters: BTreeSet<_> = slots.map(|slot| (slot.key.clone(), u32::from(slot.key_version))).collect();
    masters.into_iter().collect()
}

impl Operation for DeriveCardKeys {
    type Done = Blob<REPLY_LEN_MAX>;
    type Reply = CardDeriveReply;
    const SHOWS_LEAF: bool = false;

    fn ready(permit: &Permit<Self>, means: &Means<'_>, now_ms: u64) -> Result<(), NotDone> {
        Ok(means.keyring.exchange_open(permit, now_ms)?)
    }

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<Blob<REPLY_LEN_MAX>, NotDone> {
        let action = recorded.permit().action();
        let cards = action.cards.len();
        let mut keys = Vec::with_capacity(cards.saturating_mul(action.slots.len()));
        let (mut next, mut began) = (0, Instant::now());
        while next < cards {
            keys.extend(means.keyring.derive_slice(recorded, next, 1)?);
            next = next.saturating_add(1);
            if began.elapsed() >= means.slice {
                // Others wait for this worker; a batch is nobody's emergency.
                tokio::task::yield_now().await;
                began = Instant::now();
            }
        }
        Ok(means.keyring.sign_delivery(recorded, keys)?)
    }

    fn reply(delivery: Blob<REPLY_LEN_MAX>, receipt: Receipt) -> Result<CardDeriveReply, Fault> {
        Ok(CardDeriveReply { schema: Schema, delivery, receipt })
    }
}
