//! What a job is about, and what people say of it: heads, items, results, counts, incidents, purge receipts.
//!
//! Pure data. Who says it, and when it counts, lies beside.

use crate::{
    bytes::{Blob, Digest, ShortCheck},
    card::CardUid,
    cbor,
    control::Control,
    founding::PrincipalKind,
    hash::sha256,
    list::List,
    merkle::leaf_hash,
    name::{Name, Reason},
    refusal::{Conflict, Invalid, Refusal, Thing},
    request::{CARDS_MAX, SLOTS_MAX},
    schema::Schema,
};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Longest name of a job, in bytes: it stands in the name of the job's storage key.
pub const JOB_NAME_LEN_MAX: usize = 48;
/// Most cards of one job, blanks and cards carried over together: at 5,000 cards a second half an hour of an inline
/// machine's work.
pub const JOB_CARDS_MAX: u32 = 10_000_000;
/// Most cards added to a draft in one request: with 40 bytes of data each they fill its 64 KiB.
pub const ITEMS_MAX: usize = CARDS_MAX;
/// Most results in one request.
pub const RESULTS_MAX: usize = CARDS_MAX;
/// Longest data for one card, in bytes.
pub const ITEM_DATA_LEN_MAX: usize = 256;
/// Longest session of two operators: two hours.
pub const SESSION_LIFE_MS: u64 = 2 * 60 * 60 * 1000;
/// Latest a job may be due, from its making: a year.
const DUE_MAX_MS: u64 = 366 * 24 * 60 * 60 * 1000;

/// The head of a job: all that its seal fixes beside its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobHead {
    /// Field 0.
    pub schema: Schema,
    /// The order's number, as the customer has it.
    pub order: Reason,
    /// The customer's code.
    pub customer: Reason,
    /// The card profile.
    pub profile: Name,
    /// Its version.
    pub profile_version: u32,
    /// The lot of blank cards.
    pub lot: Reason,
    /// The station it is for.
    pub station: Name,
    /// The equipment at the station.
    pub equipment: Reason,
    /// Good cards wanted, at least 1.
    pub ordered: u32,
    /// Blank cards that the vault issued for it.
    pub issued: u32,
    /// Cards carried over from an earlier process.
    pub carried_over: u32,
    /// Whether its cards are listed; else it takes cards as they are encountered.
    pub listed: bool,
    /// When it must be purged at the latest, milliseconds since 1970-01-01 UTC.
    pub due_ms: u64,
}

impl JobHead {
    /// Cards that there are for the job.
    #[must_use]
    pub const fn cards(&self) -> u32 {
        self.issued.saturating_add(self.carried_over)
    }

    /// SHA-256 of its encoding: what a seal states.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(&[&cbor::encode(self)])
    }

    /// Whether it agrees with itself and with the site.
    pub(super) fn check(&self, control: &Control, now_ms: u64) -> Result<(), Refusal> {
        let profiles = control.profiles();
        profiles
            .get(&self.profile, self.profile_version)
            .ok_or(Refusal::NotFound { what: Thing::Profile })?;
        let station = control.roster().member(&self.station);
        let station = station.filter(|member| member.enrolment.kind == PrincipalKind::Station);
        station.ok_or(Refusal::NotFound { what: Thing::Principal })?;
        let cards = self.issued.checked_add(self.carried_over).filter(|cards| *cards <= JOB_CARDS_MAX);
        let Some(cards) = cards else {
            return Err(Refusal::LimitExceeded { limit: u64::from(JOB_CARDS_MAX) });
        };
        let due = now_ms..=now_ms.saturating_add(DUE_MAX_MS);
        if self.ordered == 0 || self.ordered > cards || !due.contains(&self.due_ms) {
            return Err(Refusal::Invalid { reason: Invalid::Job });
        }
        Ok(())
    }
}

/// Whether a name can be a job's.
pub(super) fn check_name(name: &Name) -> Result<(), Refusal> {
    if name.as_str().len() > JOB_NAME_LEN_MAX {
        return Err(Refusal::Invalid { reason: Invalid::Job });
    }
    Ok(())
}

/// The data of one card, for the station: whatever the encoder takes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemData(pub Blob<ITEM_DATA_LEN_MAX>);

impl fmt::Debug for ItemData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ItemData(..)")
    }
}

/// One card of a job that lists its cards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobItem {
    /// The card.
    pub card: CardUid,
    /// Its data.
    pub data: ItemData,
}

impl JobItem {
    /// Its hash as a leaf of the manifest (RFC 6962).
    #[must_use]
    pub fn hash(&self) -> Digest {
        leaf_hash(&cbor::encode(self))
    }
}

/// What became of a card at the station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Outcome {
    /// It is made, and holds its keys.
    Good,
    /// It could not be made.
    Reject {
        /// Why.
        cause: Reason,
    },
    /// It was made as a sample or for a test.
    Sample,
}

/// What a station says of one card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardResult {
    /// The card.
    pub card: CardUid,
    /// What became of it.
    pub outcome: Outcome,
    /// The check values of the keys as the card holds them, slots ascending: the first 5 bytes of AES-CMAC over a zero
    /// block. Of every slot, but for a reject, of which none are needed.
    pub readback: List<ShortCheck, SLOTS_MAX>,
}

/// What was counted, by hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Good cards.
    pub good: u32,
    /// Rejected cards.
    pub rejected: u32,
    /// Samples and test cards.
    pub sample: u32,
    /// Blank cards that go back to the vault.
    pub returned: u32,
    /// Cards handed over to another process.
    pub handed_over: u32,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// The equipment.
    pub equipment: Reason,
    /// When it happened, by the people's word: milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
    /// Why.
    pub cause: Reason,
    /// Where the cards in hand are.
    pub place: Reason,
    /// How many cards were in hand.
    pub in_hand: u32,
}

/// A stop, and where everything was at that time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspended {
    /// What was counted.
    pub counts: Counts,
    /// Where the cards are.
    pub place: Reason,
    /// Why.
    pub cause: Reason,
}

/// A station's word that it has erased the job's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurgeReceipt {
    /// The station.
    pub station: Name,
    /// When, by its clock: milliseconds since 1970-01-01 UTC.
    pub erased_ms: u64,
    /// How many files it erased.
    pub files: u32,
    /// How.
    pub method: Reason,
}

/// A list that is too long for a job's history.
pub(super) const FULL: Refusal = Refusal::StateConflict { reason: Conflict::Full };
