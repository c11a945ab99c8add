//! A card in the registry, and how much of its identifier is shown to whom.

use super::{CardState, CardUid};
use crate::{
    bytes::{Blob, Ends},
    job::Outcome,
    name::Name,
    schema::Schema,
};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Longest reference to a holder, in bytes. Opaque: no personal data.
pub const HOLDER_REF_LEN_MAX: usize = 32;

/// A reference to a card's holder in another system: opaque, at most 32 bytes, no personal data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HolderRef(pub Blob<HOLDER_REF_LEN_MAX>);

impl fmt::Debug for HolderRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HolderRef(..)")
    }
}

/// A card as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardRecord {
    /// Field 0.
    pub schema: Schema,
    /// Its state; never frozen.
    pub state: CardState,
    /// How often its keys were released, from 1.
    pub generation: u32,
    /// The job that made it last.
    pub job: Name,
    /// Where it is: a station, or the organisation that has it.
    pub location: Name,
    /// The leaf that changed it last.
    pub leaf: u64,
    /// What the station said became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The leaf in which its holder's reference stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<u64>,
}

/// A card's identifier as it is shown: whole, or its first two and last two bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ShownCard {
    /// The whole identifier, for who must know it.
    Whole {
        /// The card.
        card: CardUid,
    },
    /// The ends of it, for operators.
    Masked {
        /// The first two bytes.
        first: Ends,
        /// The last two bytes.
        last: Ends,
    },
}

impl ShownCard {
    /// The ends of an identifier.
    #[must_use]
    pub fn masked(card: &CardUid) -> Self {
        let bytes = card.as_bytes();
        let first = Ends::new(bytes.first_chunk().copied().unwrap_or_default());
        Self::Masked { first, last: Ends::new(bytes.last_chunk().copied().unwrap_or_default()) }
    }
}

impl fmt::Display for ShownCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { card } => write!(f, "{card}"),
            Self::Masked { first, last } => write!(f, "{first}..{last}"),
        }
    }
}

impl fmt::Debug for ShownCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Card identifiers do not belong in logs, not even their ends.
        f.write_str("ShownCard(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString as _};

    #[test]
    fn a_masked_card_shows_its_first_two_and_last_two_bytes() {
        let card: CardUid = "04782e21801d80".parse().unwrap();
        assert_eq!(ShownCard::masked(&card).to_string(), "0478..1d80");
        assert_eq!(ShownCard::Whole { card }.to_string(), "04782e21801d80");
        assert_eq!(format!("{:?}", ShownCard::masked(&card)), "ShownCard(..)");
    }
}
