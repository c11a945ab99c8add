//! Card profiles: which keys are derived for which slots, from what input, and which value rules hold.

use super::{FoundedKey, FoundedKind, FoundingError, fault};
use crate::{bytes::from_hex, card::CardUid, name::Name, refusal::Forbids};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// A card profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// Its name.
    pub name: Name,
    /// Its version, from 1.
    pub version: u32,
    /// The diversification scheme.
    pub scheme: Scheme,
    /// What the diversification input is made of, in order.
    pub input: Vec<InputPart>,
    /// The system identifier, hexadecimal, 4 to 19 bytes.
    pub system_identifier: String,
    /// The slots.
    pub slots: Vec<Slot>,
    /// Value rules; left out where the cards hold no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueRules>,
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

/// What terminals may do with the value on a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ValueRules {
    /// The purses.
    pub purses: Vec<u8>,
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

    pub(super) fn check(&self, keys: &[FoundedKey]) -> Result<(), FoundingError> {
        let place = format!("profiles.{}", self.name);
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
            self.check_slot(slot, keys)?;
        }
        self.value.as_ref().map_or(Ok(()), |rules| rules.check(&place))
    }

    fn check_slot(&self, slot: &Slot, keys: &[FoundedKey]) -> Result<(), FoundingError> {
        let place = format!("profiles.{}.slots.{}", self.name, slot.slot);
        let master = keys.iter().any(|key| key.name == slot.key && key.kind == FoundedKind::CardMaster);
        if !master || slot.key_version != 1 {
            return Err(fault(
                format!("{place}.key"),
                "name a key of kind card-master, with key-version = 1",
            ));
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

    fn check(&self, place: &str) -> Result<(), FoundingError> {
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString as _, vec};

    fn profile(system_identifier: &str, input: Vec<InputPart>) -> Profile {
        Profile {
            name: "p".parse().unwrap(),
            version: 1,
            scheme: Scheme::An10922Aes128,
            input,
            system_identifier: system_identifier.to_string(),
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
