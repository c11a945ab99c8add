//! `profile.put`: the token computes the profile's golden vectors before it is recorded; recorded, it is in use.
//!
//! What the profile must be for its programmes and keys is the protocol's ([`keysvc_protocol::control`]), which the ledger
//! asks inside its transaction.

use super::{Means, Operation, alter::alteration};
use crate::{
    error::{Fault, NotDone},
    keeper::{
        action::Action as _,
        gate::Permit,
        ledger::{Change, Facts, NotRecorded, Record, Recorded},
    },
};
use keysvc_protocol::{
    card::CardUid,
    cbor,
    control::Control,
    cose::Signed,
    founding::{GoldenVector, Profile, Slot},
    key::KeyKind,
    list::List,
    receipt::Receipt,
    refusal::{Invalid, Refusal, Thing},
    reply::ProfilePutReply,
    request::PutProfile,
    schema::Schema,
};

/// The card whose check values are told of slots without a golden vector.
const SAMPLE_CARD: &str = "04000000000000";

impl Record for PutProfile {
    fn change(permit: &Permit<Self>, _: &Facts<'_>) -> Result<Change, NotRecorded> {
        alteration(permit, permit.action().idem)
    }
}

impl Operation for PutProfile {
    type Done = Vec<GoldenVector>;
    type Reply = ProfilePutReply;
    const SHOWS_LEAF: bool = true;
    const ALTERS: bool = true;

    fn holds(&self, means: &Means<'_>) -> Result<(), NotDone> {
        // A repetition is answered by its proposal, whatever has become of the keys since.
        if is_asked(&*means.site.control()?, self) { Ok(()) } else { vectors_agree(&self.profile, means) }
    }

    fn ready(permit: &Permit<Self>, means: &Means<'_>, _: u64) -> Result<(), NotDone> {
        vectors_agree(&permit.action().profile, means)
    }

    async fn perform(recorded: &Recorded<Self>, means: &Means<'_>) -> Result<Vec<GoldenVector>, NotDone> {
        let profile = &recorded.permit().action().profile;
        let mut told = Vec::new();
        for (slot, card) in to_be_told(profile)? {
            match means.keyring.check_value((profile, slot), &card) {
                Ok(check) => told.push(GoldenVector {
                    slot: slot.slot,
                    card: card.to_string(),
                    check_value: check.to_string(),
                }),
                // Its key is not in use yet, or not any more: there is nothing to tell.
                Err(NotDone::Refused(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(told)
    }

    fn reply(vectors: Vec<GoldenVector>, receipt: Receipt) -> Result<ProfilePutReply, Fault> {
        let vectors = List::try_from(vectors)
            .map_err(|_| Fault::Invariant("a profile has more vectors than its reply holds"))?;
        Ok(ProfilePutReply { schema: Schema, vectors, receipt })
    }
}

/// Whether this very request waits for people already.
fn is_asked(control: &Control, request: &PutProfile) -> bool {
    let payload = cbor::encode(request);
    let open = control.proposals().open().map(|open| &open.proposal.request);
    open.filter(|asked| asked.operation == PutProfile::OPERATION)
        .filter_map(|asked| Signed::parse(asked.statement.0.as_bytes()).ok())
        .any(|asked| asked.recorded_payload() == payload)
}

/// Whether the token computes every golden vector of a profile as it states it.
fn vectors_agree(profile: &Profile, means: &Means<'_>) -> Result<(), NotDone> {
    let control = means.site.control()?;
    let in_use = control.profiles().get(&profile.name, profile.version);
    if in_use.is_some_and(|in_use| in_use.profile == *profile) {
        // It was computed before it was put, and its keys may have been taken out of use since.
        return Ok(());
    }
    for vector in &profile.vectors {
        let read = profile.slot(vector.slot).zip(vector.read());
        let (slot, (card, stated)) = read.ok_or(Refusal::Invalid { reason: Invalid::Profile })?;
        is_card_master(&control, slot)?;
        if means.keyring.check_value((profile, slot), &card)? != stated {
            return Err(Refusal::Invalid { reason: Invalid::GoldenVector }.into());
        }
    }
    Ok(())
}

/// Whether the slot's key is there and derives card keys at all. Its state is the keyring's to judge.
fn is_card_master(control: &Control, slot: &Slot) -> Result<(), Refusal> {
    let key = control.keys().get(&slot.key, u32::from(slot.key_version));
    match key.ok_or(Refusal::NotFound { what: Thing::Key })?.kind {
        KeyKind::CardMaster => Ok(()),
        _ => Err(Refusal::Invalid { reason: Invalid::Profile }),
    }
}

/// The cards of the golden vectors, then the sample card for each slot that has none.
fn to_be_told(profile: &Profile) -> Result<Vec<(&Slot, CardUid)>, Fault> {
    let vectors = profile.vectors.iter().map(|vector| {
        let (card, _) = vector.read()?;
        Some((profile.slot(vector.slot)?, card))
    });
    let all = vectors.collect::<Option<Vec<_>>>();
    let mut all = all.ok_or(Fault::Invariant("a profile in use has a golden vector that does not read"))?;
    let sample: CardUid =
        SAMPLE_CARD.parse().map_err(|_| Fault::Invariant("the sample card has no identifier"))?;
    let has_vector = |slot: &Slot| profile.vectors.iter().any(|vector| vector.slot == slot.slot);
    all.extend(profile.slots.iter().filter(|slot| !has_vector(slot)).map(|slot| (slot, sample)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::founding::{CardFamily, Function, InputPart, Scheme};

    fn slot(number: u8) -> Slot {
        let (key, application) = ("k".parse().unwrap(), "000001".to_owned());
        Slot { slot: number, key, key_version: 1, key_number: number, application }
    }

    fn vector(slot: u8, card: &str) -> GoldenVector {
        GoldenVector { slot, card: card.to_owned(), check_value: "0102030405".to_owned() }
    }

    #[test]
    fn check_values_are_told_of_every_vector_and_of_the_sample_card_in_slots_without_one() {
        let mut profile = Profile {
            name: "p".parse().unwrap(),
            version: 1,
            family: CardFamily::DesfireEv3,
            scheme: Scheme::An10922Aes128,
            input: vec![InputPart::Uid, InputPart::SystemIdentifier],
            system_identifier: "6b6579737663616263".to_owned(),
            slots: vec![slot(0), slot(1), slot(2)],
            functions: vec![Function::Membership],
            vectors: vec![vector(1, "04782e21801d80"), vector(1, "04782e21801d81")],
            value: None,
            pipeline: 8,
            unit_cost: 0,
        };
        let told = to_be_told(&profile).unwrap();
        let told: Vec<_> = told.iter().map(|(slot, card)| (slot.slot, card.to_string())).collect();
        let card = |number, card: &str| (number, card.to_owned());
        let sample = |number| card(number, SAMPLE_CARD);
        assert_eq!(told, [card(1, "04782e21801d80"), card(1, "04782e21801d81"), sample(0), sample(2)]);
        profile.vectors.push(vector(9, "04782e21801d80"));
        assert!(to_be_told(&profile).is_err());
    }
}
