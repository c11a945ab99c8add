//! What a station receives: the opening of an exchange, and deliveries of wrapped card keys.
//!
//! Both are signed by the service statement key, because AES-KW authenticates neither sender nor context. A station
//! refuses what is not signed.

use crate::{
    bytes::{Blob, Digest, Exchange, Idem, ShortCheck, WrappedCardKey},
    card::CardUid,
    cbor::{self, DecodeError, REPLY_LEN_MAX},
    cose::{CoseError, Kind, Signed},
    job::JobItem,
    list::List,
    name::Name,
    public_key::PublicKey,
    request::{CARDS_MAX, SLOTS_MAX},
    schema::Schema,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Most keys in one delivery: 1,000 cards in 8 slots.
pub const DELIVERED_MAX: usize = CARDS_MAX * SLOTS_MAX;

/// The opening of a job's session: a fresh transport key that leaves the token only wrapped to the station's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeOpening {
    /// Field 0.
    pub schema: Schema,
    /// The station it is for.
    pub station: Name,
    /// The exchange: the session's.
    pub exchange: Exchange,
    /// The job.
    pub job: Name,
    /// SHA-256 of the `SubjectPublicKeyInfo` of the station's wrapping key.
    pub wrapping_key: Digest,
    /// The AES-256 transport key under RSA-OAEP (RFC 8017, SHA-1 and MGF1-SHA-1, empty label).
    pub wrapped: Blob<1024>,
    /// Its check value: the first 5 bytes of AES-KW over 16 zero bytes.
    pub check: ShortCheck,
    /// When it ends: milliseconds since 1970-01-01 UTC.
    pub expires_at_ms: u64,
}

/// A delivery: the card keys of one derivation request, wrapped under the exchange's transport key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Field 0.
    pub schema: Schema,
    /// The station it is for.
    pub station: Name,
    /// The exchange whose transport key wraps.
    pub exchange: Exchange,
    /// The idempotency key of the request it answers.
    pub idem: Idem,
    /// The job.
    pub job: Name,
    /// The generation of the keys.
    pub generation: u32,
    /// The card profile.
    pub profile: Name,
    /// Its version.
    pub profile_version: u32,
    /// The keys, card by card, slots ascending: of the request's first cards, as many as there was room for.
    pub keys: List<DeliveredKey, DELIVERED_MAX>,
    /// The data of those cards, in the same order; none where the job takes cards as they are encountered.
    pub items: List<JobItem, CARDS_MAX>,
}

/// One card key in a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveredKey {
    /// The card.
    pub card: CardUid,
    /// The slot of the profile.
    pub slot: u8,
    /// The master key's version.
    pub key_version: u32,
    /// The card key under AES-KW (RFC 3394).
    pub wrapped: WrappedCardKey,
    /// Its check value: the first 5 bytes of AES-CMAC over a zero block.
    pub check: ShortCheck,
}

/// Why bytes are not a good statement of the service to a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// Not signed by the service statement key as this kind in this scope.
    #[error("not the service's statement: {0}")]
    Signature(#[from] CoseError),
    /// The signed payload is not of this kind.
    #[error("not the service's statement: {0}")]
    Encoding(#[from] DecodeError),
}

fn verify<T: Serialize + DeserializeOwned>(
    kind: Kind,
    message: &[u8],
    genesis: &Digest,
    key: &PublicKey,
) -> Result<T, DeliveryError> {
    let payload = Signed::parse(message)?.open(kind, genesis.as_bytes(), key)?;
    Ok(cbor::decode(payload, REPLY_LEN_MAX)?)
}

impl ExchangeOpening {
    /// Verifies and reads an opening signed by the service statement key.
    ///
    /// # Errors
    /// [`DeliveryError`] naming the first check that failed.
    pub fn verify(message: &[u8], genesis: &Digest, key: &PublicKey) -> Result<Self, DeliveryError> {
        verify(Kind::ExchangeOpening, message, genesis, key)
    }
}

impl Delivery {
    /// Verifies and reads a delivery signed by the service statement key.
    ///
    /// # Errors
    /// [`DeliveryError`] naming the first check that failed.
    pub fn verify(message: &[u8], genesis: &Digest, key: &PublicKey) -> Result<Self, DeliveryError> {
        verify(Kind::Delivery, message, genesis, key)
    }
}
