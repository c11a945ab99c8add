//! Families of cards, what each may be trusted with, and what a card may be used for.
//!
//! Apart from the profiles because this is the product's word and no site's: a family whose cryptography is broken holds
//! no value, whatever a profile says.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A family of contactless cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardFamily {
    /// MIFARE Classic: Crypto-1 is broken, and clones have a back door (ePrint 2024/1275). Identifies, no more.
    MifareClassic,
    /// MIFARE Ultralight C: its key falls to a partial overwrite and relay. Identifies, no more.
    UltralightC,
    /// MIFARE Ultralight AES: small amounts.
    UltralightAes,
    /// NTAG 213, 215, 216: no cryptography, anybody may rewrite them. Identify, no more.
    #[serde(rename = "ntag-21x")]
    Ntag21x,
    /// NTAG 424 DNA: authenticated writing, no value file, no transactions.
    #[serde(rename = "ntag-424-dna")]
    Ntag424Dna,
    /// MIFARE Plus EV1 and EV2 in security level 3.
    PlusEv2,
    /// MIFARE `DESFire` Light.
    DesfireLight,
    /// MIFARE `DESFire` EV2.
    DesfireEv2,
    /// MIFARE `DESFire` EV3.
    DesfireEv3,
}

impl CardFamily {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::MifareClassic,
        Self::UltralightC,
        Self::UltralightAes,
        Self::Ntag21x,
        Self::Ntag424Dna,
        Self::PlusEv2,
        Self::DesfireLight,
        Self::DesfireEv2,
        Self::DesfireEv3,
    ];

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MifareClassic => "mifare-classic",
            Self::UltralightC => "ultralight-c",
            Self::UltralightAes => "ultralight-aes",
            Self::Ntag21x => "ntag-21x",
            Self::Ntag424Dna => "ntag-424-dna",
            Self::PlusEv2 => "plus-ev2",
            Self::DesfireLight => "desfire-light",
            Self::DesfireEv2 => "desfire-ev2",
            Self::DesfireEv3 => "desfire-ev3",
        }
    }

    /// The highest ceiling a profile may set, in minor units; nothing for families that identify and no more.
    ///
    /// The steps follow what a copied or rewritten card costs: small change without transactions on the card, the price of
    /// a week's shopping with an authenticated file, and what a gift programme sells with value file, transaction MAC
    /// and commit.
    #[must_use]
    pub const fn ceiling_max(self) -> Option<u64> {
        match self {
            Self::MifareClassic | Self::UltralightC | Self::Ntag21x => None,
            // 50.00
            Self::UltralightAes => Some(5_000),
            // 500.00
            Self::Ntag424Dna => Some(50_000),
            // 5,000.00
            Self::PlusEv2 | Self::DesfireLight => Some(500_000),
            // 50,000.00
            Self::DesfireEv2 | Self::DesfireEv3 => Some(5_000_000),
        }
    }
}

impl fmt::Display for CardFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a card may be used for. The list is closed: few functions are few risks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Function {
    /// Money of a programme.
    StoredValue,
    /// Points that are collected and spent.
    Points,
    /// Who somebody is to an organisation.
    Membership,
    /// A discount that goes with the card.
    Discount,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::StoredValue, Self::Points, Self::Membership, Self::Discount];

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StoredValue => "stored-value",
            Self::Points => "points",
            Self::Membership => "membership",
            Self::Discount => "discount",
        }
    }

    /// Whether something on the card is worth copying.
    #[must_use]
    pub const fn holds_value(self) -> bool {
        matches!(self, Self::StoredValue | Self::Points)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;

    #[test]
    fn families_and_functions_keep_their_numbers() {
        for (number, family) in (0_u8..).zip(CardFamily::ALL) {
            assert_eq!(cbor::encode(&family), [number]);
        }
        assert!(cbor::decode::<CardFamily>(&[9], 1).is_err(), "a family is missing here");
        for (number, function) in (0_u8..).zip(Function::ALL) {
            assert_eq!(cbor::encode(&function), [number]);
        }
        assert!(cbor::decode::<Function>(&[4], 1).is_err(), "a function is missing here");
    }

    #[test]
    fn families_whose_cryptography_is_broken_or_missing_hold_no_value() {
        let none = CardFamily::ALL.into_iter().filter(|family| family.ceiling_max().is_none());
        let none: alloc::vec::Vec<_> = none.map(CardFamily::name).collect();
        assert_eq!(none, ["mifare-classic", "ultralight-c", "ntag-21x"]);
    }
}
