//! Card profiles: which keys are derived for which slots, from what input, and which value rules hold.

use super::family::{CardFamily, Function};
use super::{FoundedKey, FoundedKind, FoundingError, fault};
use crate::{
    bytes::{ShortCheck, from_hex},
    card::CardUid,
    name::Name,
    refusal::Forbids,
};
use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use serde::{Deserialize, Serialize};

/// A card profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// Its name.
    pub name: Name,
    /// Its version, from 1.
    pub version: u32,
    /// The family of card it is for.
    pub family: CardFamily,
    /// The diversification scheme.
    pub scheme: Scheme,
    /// What the diversification input is made of, in order.
    pub input: Vec<InputPart>,
    /// The system identifier, hexadecimal, 4 to 19 bytes.
    pub system_identifier: String,
    /// The slots.
    pub slots: Vec<Slot>,
    /// What the card may be used for; nothing else is done with it.
    pub functions: Vec<Function>,
    /// Check values of card keys that the token must compute before the profile is used, and at each start.
    #[serde(default)]
    pub vectors: Vec<GoldenVector>,
    /// How many cards of a job may be without their result at a time, 1 to 1,000: few where cards are made one by one,
    /// more for inline machines.
    #[serde(default = "pipeline_default")]
    pub pipeline: u16,
    /// What one card costs, in minor units of the site's money; 0 where nobody says.
    #[serde(default)]
    pub unit_cost: u32,
    /// Value rules; left out where the cards hold no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueRules>,
}

/// Cards without their result at a time where a profile does not say: a hand-fed encoder with a stacker.
pub(crate) const PIPELINE_DEFAULT: u16 = 8;

const fn pipeline_default() -> u16 {
    PIPELINE_DEFAULT
}

/// A diversification scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// NXP AN10922 with AES-128: constant 0x01, input of 16 to 31 bytes.
    An10922Aes128,
}

/// A part of the diversification input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputPart {
    /// The card's UID, 7 or 10 bytes.
    Uid,
    /// The slot's application identifier, 3 bytes.
    Application,
    /// The slot's key number, 1 byte.
    KeyNumber,
    /// The master key's version, 1 byte.
    KeyVersion,
    /// The profile's system identifier.
    SystemIdentifier,
}

/// A slot: one key on the card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Slot {
    /// Its number in requests and deliveries.
    pub slot: u8,
    /// The master key.
    pub key: Name,
    /// The master key's version, 1 to 255.
    pub key_version: u8,
    /// The key number on the card.
    pub key_number: u8,
    /// The card application, 3 bytes in hexadecimal, in the order they enter the input.
    pub application: String,
}

/// Most golden vectors of a profile: two for each of its slots.
pub const VECTORS_MAX: usize = 16;

/// A check value that the token must compute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GoldenVector {
    /// The slot.
    pub slot: u8,
    /// The card's UID, 7 or 10 bytes in hexadecimal.
    pub card: String,
    /// The check value of the card's key: the first 5 bytes of AES-CMAC over a zero block, in hexadecimal.
    pub check_value: String,
}

impl GoldenVector {
    /// The card and the check value, where both read.
    #[must_use]
    pub fn read(&self) -> Option<(CardUid, ShortCheck)> {
        Some((self.card.parse().ok()?, self.check_value.parse().ok()?))
    }
}

/// What terminals may do with the value on a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ValueRules {
    /// The purses.
    pub purses: Vec<u8>,
    /// ISO 4217 numeric code of the currency that the limits below are in: its programmes' own.
    pub currency: u16,
    /// Whether a purse is loaded more than once. Where it is not, its first load is its only one.
    #[serde(default)]
    pub reloadable: bool,
    /// Whether the card is taken back once it is empty; then it is not reloadable.
    #[serde(default)]
    pub one_time: bool,
    /// Highest balance, in minor units.
    pub ceiling: u64,
    /// Highest single load, in minor units.
    pub load_max: u64,
    /// Highest single debit, in minor units.
    pub debit_max: u64,
    /// Whether updates need a card session.
    pub card_session: CardSession,
}

/// Whether value updates need an authenticated session with the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardSession {
    /// The card is a passive tag: there is none.
    PassiveTag,
    /// The card can; the policies allow updates without one in development only.
    Expected,
}

impl Profile {
    /// The slot of this number.
    #[must_use]
    pub fn slot(&self, number: u8) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.slot == number)
    }

    /// The slots by their numbers.
    #[must_use]
    pub fn slots_ascending(&self) -> Vec<&Slot> {
        let mut slots: Vec<&Slot> = self.slots.iter().collect();
        slots.sort_by_key(|slot| slot.slot);
        slots
    }

    /// The diversification input (AN10922's M) of one card's slot, 16 to 31 bytes.
    ///
    /// # Errors
    /// [`Forbids::ShortUid`] for a 4-byte UID, [`Forbids::InputLength`] outside 16 to 31 bytes.
    pub fn diversification_input(&self, slot: &Slot, card: &CardUid) -> Result<Vec<u8>, Forbids> {
        if !card.diversifies() {
            return Err(Forbids::ShortUid);
        }
        let mut input = Vec::with_capacity(31);
        for part in &self.input {
            match part {
                InputPart::Uid => input.extend_from_slice(card.as_bytes()),
                InputPart::Application => input.extend(from_hex(&slot.application).unwrap_or_default()),
                InputPart::KeyNumber => input.push(slot.key_number),
                InputPart::KeyVersion => input.push(slot.key_version),
                InputPart::SystemIdentifier => {
                    input.extend(from_hex(&self.system_identifier).unwrap_or_default());
                }
            }
        }
        match input.len() {
            16..=31 => Ok(input),
            found => Err(Forbids::InputLength { found: u64::try_from(found).unwrap_or(u64::MAX) }),
        }
    }

    /// Whether a function is enabled.
    #[must_use]
    pub fn enables(&self, function: Function) -> bool {
        self.functions.contains(&function)
    }

    /// Checks a profile of a founding: its form, and that its keys are founded with it.
    pub(super) fn check(&self, keys: &[FoundedKey]) -> Result<(), FoundingError> {
        self.check_form()?;
        for slot in &self.slots {
            let place = format!("profiles.{}.slots.{}", self.name, slot.slot);
            let master = keys.iter().any(|key| key.name == slot.key && key.kind == FoundedKind::CardMaster);
            if !master || slot.key_version != 1 {
                return Err(fault(
                    format!("{place}.key"),
                    "name a key of kind card-master, with key-version = 1",
                ));
            }
        }
        Ok(())
    }

    /// Checks what the profile says of itself: input of 16 to 31 bytes, slots, functions, value rules, golden vectors.
    /// Whether its keys exist, and whether the vectors are right, is found elsewhere.
    ///
    /// # Errors
    /// [`FoundingError`] with the place and the mend, for the first thing wrong.
    pub fn check_form(&self) -> Result<(), FoundingError> {
        let place = format!("profiles.{}", self.name);
        if self.version == 0 {
            return Err(fault(format!("{place}.version"), "count versions from 1"));
        }
        let identifier = from_hex(&self.system_identifier).map_or(0, |bytes| bytes.len());
        if !(4..=19).contains(&identifier) {
            return Err(fault(format!("{place}.system-identifier"), "give 4 to 19 bytes in hexadecimal"));
        }
        if self.input.first() != Some(&InputPart::Uid) || !self.input.contains(&InputPart::SystemIdentifier) {
            return Err(fault(format!("{place}.input"), "begin with \"uid\" and name \"system-identifier\""));
        }
        if self.slots.is_empty() || self.slots.len() > crate::request::SLOTS_MAX {
            return Err(fault(format!("{place}.slots"), "give 1 to 8 slots"));
        }
        super::unique(&format!("{place}.slots"), self.slots.iter().map(|slot| format!("{}", slot.slot)))?;
        for slot in &self.slots {
            self.check_slot(slot)?;
        }
        let most = u16::try_from(crate::request::CARDS_MAX).unwrap_or(u16::MAX);
        if !(1..=most).contains(&self.pipeline) {
            return Err(fault(format!("{place}.pipeline"), "give 1 to 1000 cards"));
        }
        self.check_keys_differ()?;
        self.check_functions(&place)?;
        self.check_vectors(&place)?;
        self.value.as_ref().map_or(Ok(()), |rules| rules.check(&place, self.family))
    }

    /// What is enabled must be something the family can be trusted with, and agree with the value rules.
    fn check_functions(&self, place: &str) -> Result<(), FoundingError> {
        let place = format!("{place}.functions");
        if self.functions.is_empty() {
            return Err(fault(place, "name at least one of stored-value, points, membership, discount"));
        }
        super::unique(&place, self.functions.iter().map(|function| function.name().to_string()))?;
        let counted = self.functions.iter().any(|function| function.holds_value());
        if counted && self.family.ceiling_max().is_none() {
            let family = self.family;
            return Err(fault(
                place,
                format!("{family} cards identify and no more; leave stored-value and points out"),
            ));
        }
        if self.enables(Function::StoredValue) != self.value.is_some() {
            return Err(fault(place, "stored-value and a value table go together; give both or neither"));
        }
        Ok(())
    }

    fn check_vectors(&self, place: &str) -> Result<(), FoundingError> {
        let place = format!("{place}.vectors");
        if self.vectors.len() > VECTORS_MAX {
            return Err(fault(place, "give at most 16"));
        }
        super::unique(&place, self.vectors.iter().map(|vector| format!("{} {}", vector.slot, vector.card)))?;
        for vector in &self.vectors {
            let mend = "give a slot of this profile, a UID of 7 or 10 bytes that makes an input of 16 to 31 \
                        bytes, and a check-value of 10 hexadecimal digits";
            let input = self.slot(vector.slot).zip(vector.read());
            let good = input.is_some_and(|(slot, (card, _))| self.diversification_input(slot, &card).is_ok());
            if !good {
                return Err(fault(place, mend));
            }
        }
        Ok(())
    }

    /// No two slots of a card may get one key.
    fn check_keys_differ(&self) -> Result<(), FoundingError> {
        let uid = CardUid::try_from([4_u8, 0, 0, 0, 0, 0, 0].as_slice());
        let keys = self.slots.iter().map(|slot| {
            let input = uid.map(|uid| self.diversification_input(slot, &uid));
            (&slot.key, slot.key_version, input)
        });
        let mut seen = Vec::new();
        for key in keys {
            if seen.contains(&key) {
                return Err(fault(
                    format!("profiles.{}.input", self.name),
                    "two slots would get one key; name \"key-number\" or \"application\" in it, or give the slots \
                     different ones",
                ));
            }
            seen.push(key);
        }
        Ok(())
    }

    fn check_slot(&self, slot: &Slot) -> Result<(), FoundingError> {
        let place = format!("profiles.{}.slots.{}", self.name, slot.slot);
        if slot.key_version == 0 {
            return Err(fault(format!("{place}.key-version"), "count versions from 1"));
        }
        if from_hex(&slot.application).is_none_or(|bytes| bytes.len() != 3) {
            return Err(fault(format!("{place}.application"), "give 3 bytes in hexadecimal"));
        }
        // A 7-byte UID must do; longer ones are measured request by request.
        let uid = CardUid::try_from([4_u8, 0, 0, 0, 0, 0, 0].as_slice());
        let input = uid.map(|uid| self.diversification_input(slot, &uid));
        match input {
            Ok(Ok(_)) => Ok(()),
            _ => Err(fault(
                format!("profiles.{}.input", self.name),
                "with a 7-byte UID it must have 16 to 31 bytes; lengthen or shorten the system identifier",
            )),
        }
    }
}

impl ValueRules {
    /// Whether there is such a purse.
    #[must_use]
    pub fn has_purse(&self, purse: u8) -> bool {
        self.purses.contains(&purse)
    }

    fn check(&self, place: &str, family: CardFamily) -> Result<(), FoundingError> {
        if self.purses.is_empty() || self.purses.len() > 8 {
            return Err(fault(format!("{place}.value.purses"), "give 1 to 8 purses"));
        }
        let limits = [self.ceiling, self.load_max, self.debit_max];
        // Policies count in signed 64 bits; 9 * 10^15 minor units is more money than there is.
        if limits.into_iter().any(|limit| limit == 0 || limit > 9_000_000_000_000_000) {
            return Err(fault(
                format!("{place}.value"),
                "ceiling, load-max and debit-max are 1 to 9000000000000000 minor units",
            ));
        }
        if self.currency == 0 || self.currency > 999 {
            return Err(fault(format!("{place}.value.currency"), "give the ISO 4217 numeric code, 1 to 999"));
        }
        if self.one_time && self.reloadable {
            return Err(fault(
                format!("{place}.value"),
                "a one-time card is taken back when it is empty; leave one-time or reloadable out",
            ));
        }
        // Families without any were told before.
        let most = family.ceiling_max().unwrap_or(0);
        if self.ceiling > most {
            return Err(fault(
                format!("{place}.value.ceiling"),
                format!("{family} cards are not trusted with more than {most} minor units; lower it"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn profile(system_identifier: &str, input: Vec<InputPart>) -> Profile {
        Profile {
            name: "p".parse().unwrap(),
            version: 1,
            scheme: Scheme::An10922Aes128,
            input,
            system_identifier: system_identifier.to_string(),
            family: CardFamily::DesfireEv2,
            functions: vec![Function::Membership],
            vectors: vec![],
            pipeline: PIPELINE_DEFAULT,
            unit_cost: 0,
            slots: vec![Slot {
                slot: 0,
                key: "k".parse().unwrap(),
                key_version: 1,
                key_number: 2,
                application: "3042f5".to_string(),
            }],
            value: None,
        }
    }

    #[test]
    fn the_published_example_is_uid_application_and_system_identifier() {
        let parts = vec![InputPart::Uid, InputPart::Application, InputPart::SystemIdentifier];
        let profile = profile("4e585020416275", parts);
        let uid = "04782e21801d80".parse().unwrap();
        let input = profile.diversification_input(&profile.slots[0], &uid).unwrap();
        assert_eq!(input, from_hex("04782e21801d803042f54e585020416275").unwrap());
    }

    #[test]
    fn four_byte_uids_and_inputs_outside_16_to_31_bytes_are_refused() {
        let short = profile("41414141", vec![InputPart::Uid, InputPart::SystemIdentifier]);
        let seven = "04782e21801d80".parse().unwrap();
        assert_eq!(
            short.diversification_input(&short.slots[0], &seven),
            Err(Forbids::InputLength { found: 11 })
        );
        let four = "04782e21".parse().unwrap();
        assert_eq!(short.diversification_input(&short.slots[0], &four), Err(Forbids::ShortUid));
    }
}
