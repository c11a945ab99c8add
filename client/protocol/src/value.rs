//! The value update: what a value signing key signs, and how anyone checks it offline.
//!
//! Pure: the sequence rule that makes updates lives in the service's ledger.

use crate::{
    bytes::{Digest, Idem, PreviousUpdate},
    card::CardUid,
    cbor::{self, DecodeError},
    cose::{CoseError, Kind, Signed},
    hash::sha256,
    name::Name,
    public_key::PublicKey,
    request::ValueOperation,
    schema::Schema,
};
use serde::{Deserialize, Serialize};

/// Longest encoded value update, in bytes: three names of 64, and 120 for the rest.
pub const VALUE_UPDATE_LEN_MAX: usize = 512;

/// Flag bit 0: the card took no part in a session with the service; the terminal alone writes it.
pub const FLAG_NO_CARD_SESSION: u32 = 1;

/// One signed change of one purse at one sequence number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueUpdate {
    /// Field 0.
    pub schema: Schema,
    /// The programme.
    pub programme: Name,
    /// The card.
    pub card: CardUid,
    /// The purse on the card.
    pub purse: u8,
    /// Load or debit.
    pub operation: ValueOperation,
    /// Sequence number in this purse, from 1, strictly by 1.
    pub seq: u64,
    /// The amount, above 0, in minor units.
    pub amount: u64,
    /// ISO 4217 numeric currency code.
    pub currency: u16,
    /// The balance before, in minor units.
    pub balance_before: u64,
    /// The balance after, in minor units.
    pub balance_after: u64,
    /// Head of SHA-256 over the payload of this purse's previous update; zeros at seq 1.
    pub previous: PreviousUpdate,
    /// The terminal's transaction number.
    pub txn: Idem,
    /// The terminal, from its enrolment.
    pub terminal: Name,
    /// When the service recorded it: milliseconds since 1970-01-01 UTC, the leaf's time.
    pub issued_at_ms: u64,
    /// Until when a terminal may write it to the card, same clock.
    pub expires_at_ms: u64,
    /// [`FLAG_NO_CARD_SESSION`]; no other bit is known.
    pub flags: u32,
    /// SHA-256 of the encoded [`crate::proposal::Evidence`] of the quorum it took; under
    /// [`Kind::ApprovedValueUpdate`] always, under [`Kind::ValueUpdate`] never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
}

/// Why bytes are not a good value update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a COSE_Sign1 of a value update by this key in this scope.
    #[error("value update: {0}")]
    Signature(#[from] CoseError),
    /// The signed payload is not a value update.
    #[error("value update: {0}")]
    Encoding(#[from] DecodeError),
    /// Amount and balances do not add up.
    #[error("the amount and the balances do not add up")]
    Arithmetic,
    /// A sequence number of 0, or a first update with a past, or a later one without.
    #[error("sequence number and previous update do not agree")]
    Chain,
    /// Flags that this version does not know.
    #[error("unknown flags")]
    Flags,
    /// An update that took a quorum without its evidence, or one that took none with it.
    #[error("the kind of signature and the evidence do not agree")]
    Evidence,
}

impl ValueUpdate {
    /// Verifies a signed value update (COSE_Sign1 by `key`, bound to the `genesis` digest) and repeats its
    /// arithmetic. Nothing is read before the signature holds.
    ///
    /// # Errors
    /// [`ValueError`] naming the first check that failed.
    pub fn verify(message: &[u8], genesis: &Digest, key: &PublicKey) -> Result<Self, ValueError> {
        let signed = Signed::parse(message)?;
        let scope = genesis.as_bytes();
        let (payload, approved) = match signed.open(Kind::ValueUpdate, scope, key) {
            Err(CoseError::WrongKind) => (signed.open(Kind::ApprovedValueUpdate, scope, key)?, true),
            opened => (opened?, false),
        };
        let update = Self::from_payload(payload)?;
        if update.evidence.is_some() == approved { Ok(update) } else { Err(ValueError::Evidence) }
    }

    /// The kind under which this update is signed.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        if self.evidence.is_some() { Kind::ApprovedValueUpdate } else { Kind::ValueUpdate }
    }

    /// Reads the payload of a value update whose signature or leaf was checked before.
    ///
    /// # Errors
    /// [`ValueError`] when it is not one, or contradicts itself.
    pub fn from_payload(payload: &[u8]) -> Result<Self, ValueError> {
        let update: Self = cbor::decode(payload, VALUE_UPDATE_LEN_MAX)?;
        let after = match update.operation {
            ValueOperation::Load => update.balance_before.checked_add(update.amount),
            ValueOperation::Debit => update.balance_before.checked_sub(update.amount),
        };
        if update.amount == 0 || after != Some(update.balance_after) {
            return Err(ValueError::Arithmetic);
        }
        let first = update.previous == PreviousUpdate::new([0; 16]);
        if update.seq == 0 || (update.seq == 1) != first || (first && update.balance_before != 0) {
            return Err(ValueError::Chain);
        }
        if update.flags & !FLAG_NO_CARD_SESSION != 0 {
            return Err(ValueError::Flags);
        }
        Ok(update)
    }

    /// The link that the next update of this purse carries: the first 16 bytes of SHA-256 over this payload.
    #[must_use]
    pub fn link(payload: &[u8]) -> PreviousUpdate {
        let mut head = [0; 16];
        head.iter_mut().zip(sha256(&[payload]).as_bytes()).for_each(|(to, from)| *to = *from);
        PreviousUpdate::new(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update() -> ValueUpdate {
        ValueUpdate {
            schema: Schema,
            programme: "coffee".parse().unwrap(),
            card: "04782e21801d80".parse().unwrap(),
            purse: 1,
            operation: ValueOperation::Load,
            seq: 1,
            amount: 2000,
            currency: 978,
            balance_before: 0,
            balance_after: 2000,
            previous: PreviousUpdate::new([0; 16]),
            txn: Idem::new([5; 16]),
            terminal: "terminal-1".parse().unwrap(),
            issued_at_ms: 1_795_000_000_000,
            expires_at_ms: 1_795_086_400_000,
            flags: FLAG_NO_CARD_SESSION,
            evidence: None,
        }
    }

    fn read(update: &ValueUpdate) -> Result<ValueUpdate, ValueError> {
        ValueUpdate::from_payload(&cbor::encode(update))
    }

    #[test]
    fn a_consistent_update_is_read_back() {
        assert_eq!(read(&update()), Ok(update()));
    }

    #[test]
    fn balances_that_do_not_add_up_are_refused() {
        assert_eq!(read(&ValueUpdate { balance_after: 2001, ..update() }), Err(ValueError::Arithmetic));
        assert_eq!(
            read(&ValueUpdate { amount: 0, balance_after: 0, ..update() }),
            Err(ValueError::Arithmetic)
        );
        let wrap = ValueUpdate { operation: ValueOperation::Debit, balance_after: 0, ..update() };
        assert_eq!(read(&wrap), Err(ValueError::Arithmetic));
    }

    #[test]
    fn a_first_update_has_no_past_and_a_later_one_has() {
        assert_eq!(read(&ValueUpdate { seq: 0, ..update() }), Err(ValueError::Chain));
        assert_eq!(read(&ValueUpdate { seq: 2, ..update() }), Err(ValueError::Chain));
        let begun = ValueUpdate { balance_before: 5, balance_after: 2005, ..update() };
        assert_eq!(read(&begun), Err(ValueError::Chain));
    }

    #[test]
    fn unknown_flags_are_refused() {
        assert_eq!(read(&ValueUpdate { flags: 3, ..update() }), Err(ValueError::Flags));
    }

    #[test]
    fn golden_bytes_of_a_value_update_begin_with_schema_and_programme() {
        let bytes = cbor::encode(&update());
        assert_eq!(&bytes[..11], [0xb0, 0x00, 0x01, 0x01, 0x66, b'c', b'o', b'f', b'f', b'e', b'e']);
        assert_eq!(bytes.len(), 110);
    }
}
