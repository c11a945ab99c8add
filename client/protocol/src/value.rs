//! The value update: what a value signing key signs, and how anyone checks it offline.
//!
//! Pure: the sequence rule that makes updates lives in the service's ledger.

use crate::{
    bytes::{Digest, Idem, PreviousUpdate},
    card::CardUid,
    cbor::{DecodeError, Reader},
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

/// Fields of an update, without and with its evidence.
const FIELDS: u64 = 16;
const FIELDS_WITH_EVIDENCE: u64 = 17;

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
        let update = Self::read(payload)?;
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

    /// The fields in their one encoding, as [`crate::cbor::decode`] would read them, in a tenth of the code: a terminal
    /// may have 48 KB for all of this.
    fn read(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut message = Reader::new(payload, VALUE_UPDATE_LEN_MAX)?;
        let fields = message.map()?;
        let update = Self {
            schema: message.field(0)?.unsigned()?,
            programme: message.field(1)?.text()?,
            card: message.field(2)?.bytes()?,
            purse: message.field(3)?.unsigned()?,
            operation: message.field(4)?.unsigned()?,
            seq: message.field(5)?.unsigned()?,
            amount: message.field(6)?.unsigned()?,
            currency: message.field(7)?.unsigned()?,
            balance_before: message.field(8)?.unsigned()?,
            balance_after: message.field(9)?.unsigned()?,
            previous: message.field(10)?.bytes()?,
            txn: message.field(11)?.bytes()?,
            terminal: message.field(12)?.text()?,
            issued_at_ms: message.field(13)?.unsigned()?,
            expires_at_ms: message.field(14)?.unsigned()?,
            flags: message.field(15)?.unsigned()?,
            evidence: if fields == FIELDS { None } else { Some(message.field(16)?.bytes()?) },
        };
        let counted = fields == FIELDS || fields == FIELDS_WITH_EVIDENCE;
        if counted { message.end().map(|()| update) } else { Err(DecodeError::Malformed) }
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
    use crate::cbor;
    use alloc::string::String;
    use proptest::prelude::*;

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
    fn any_bytes<const N: usize, T: for<'a> TryFrom<&'a [u8]> + core::fmt::Debug>() -> impl Strategy<Value = T>
    {
        any::<[u8; N]>().prop_map(|bytes| T::try_from(&bytes).ok().unwrap())
    }

    fn any_name() -> impl Strategy<Value = Name> {
        "[a-z0-9][a-z0-9._-]{0,63}".prop_map(|text: String| text.parse().unwrap())
    }

    fn any_uid() -> impl Strategy<Value = CardUid> {
        prop_oneof![any_bytes::<4, _>(), any_bytes::<7, _>(), any_bytes::<10, _>()]
    }

    /// Numbers of every width on the wire.
    fn any_width() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift)
    }

    prop_compose! {
        /// Of the right form; whether it adds up is not asked here.
        fn any_update()(
            (programme, terminal, card) in (any_name(), any_name(), any_uid()),
            (purse, load, currency, flags) in any::<(u8, bool, u16, u32)>(),
            (seq, amount, balance_before, balance_after) in (any_width(), any_width(), any_width(), any_width()),
            (issued_at_ms, expires_at_ms) in (any_width(), any_width()),
            (previous, txn) in (any_bytes::<16, _>(), any_bytes::<16, _>()),
            evidence in proptest::option::of(any_bytes::<32, _>()),
        ) -> ValueUpdate {
            let operation = if load { ValueOperation::Load } else { ValueOperation::Debit };
            ValueUpdate {
                schema: Schema, programme, card, purse, operation, seq, amount, currency, balance_before, balance_after,
                previous, txn, terminal, issued_at_ms, expires_at_ms, flags, evidence,
            }
        }
    }

    /// Both decoders, which must agree on what an update is; on why it is none they may differ.
    fn by_both(payload: &[u8]) -> Option<ValueUpdate> {
        let typed = cbor::decode(payload, VALUE_UPDATE_LEN_MAX).ok();
        assert_eq!(ValueUpdate::read(payload).ok(), typed, "{payload:02x?}");
        typed
    }

    #[test]
    fn an_update_with_a_field_too_many_or_too_few_is_refused_by_both_decoders() {
        for evidence in [None, Some(Digest::new([7; 32]))] {
            let good = cbor::encode(&ValueUpdate { evidence, ..update() });
            assert!(by_both(&good).is_some());
            for fields in 0..=0xff {
                let mut altered = good.clone();
                altered[0] = fields;
                assert_eq!(by_both(&altered).is_some(), fields == good[0], "{fields:02x}");
            }
            for len in 0..good.len() {
                assert_eq!(by_both(&good[..len]), None, "{len}");
            }
            let longer = [good.as_slice(), &[0]].concat();
            assert_eq!(by_both(&longer), None);
        }
    }

    #[test]
    fn each_byte_of_an_update_in_every_value_is_read_alike_by_both_decoders() {
        let good = cbor::encode(&ValueUpdate { evidence: Some(Digest::new([7; 32])), ..update() });
        for position in 0..good.len() {
            for byte in 0..=0xff {
                let mut altered = good.clone();
                altered[position] = byte;
                by_both(&altered);
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_is_read_back_by_both_decoders(update in any_update()) {
            prop_assert_eq!(by_both(&cbor::encode(&update)), Some(update));
        }

        #[test]
        fn an_update_with_bytes_put_in_or_taken_out_is_read_alike_by_both_decoders(
            update in any_update(),
            at in any::<prop::sample::Index>(),
            (out, bytes) in (0..4_usize, proptest::collection::vec(any::<u8>(), 0..4)),
        ) {
            let mut altered = cbor::encode(&update);
            let at = at.index(altered.len());
            let end = at.saturating_add(out).min(altered.len());
            drop(altered.splice(at..end, bytes));
            by_both(&altered);
        }
    }
}
