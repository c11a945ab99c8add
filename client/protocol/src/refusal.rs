//! Refusals: the closed list of answers that are the caller's affair, with what would have been enough.
//!
//! Faults of the service itself reach a caller only as [`Refusal::TokenUnavailable`],
//! [`Refusal::StoreUnavailable`] or [`Refusal::Internal`]; their causes stay in the service's own log.

use crate::{bytes::WrongLength, schema::Schema};
use alloc::string::{String, ToString as _};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Why a request was not carried out. Numbers and order are fixed for good; new ones are appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
pub enum Refusal {
    /// 0: the peer's key is not enrolled, or its certificate does not agree with its enrolment.
    #[error("the caller is not enrolled")]
    Unauthenticated,
    /// 1: the policies do not allow this caller this request.
    #[error("the policies do not allow this")]
    Forbidden,
    /// 2: what the request names does not exist.
    #[error("there is no such {what}")]
    NotFound {
        /// What was looked for.
        what: Thing,
    },
    /// 3: the request is not well formed.
    #[error("the request is not valid: {reason}")]
    Invalid {
        /// Which rule it breaks.
        reason: Invalid,
    },
    /// 4: the card profile or programme does not provide for this.
    #[error("the profile forbids this: {reason}")]
    ProfileForbids {
        /// Which rule it breaks.
        reason: Forbids,
    },
    /// 5: the idempotency key was used before, with another payload.
    #[error("this idempotency key was used for another request")]
    IdemConflict,
    /// 6: the exchange is not open, has expired or is another station's. Open one again.
    #[error("the exchange is not open; open one again")]
    ExchangeUnknown,
    /// 7: the purse is at another sequence number.
    #[error("the next sequence number is {expected_seq}")]
    CounterConflict {
        /// The sequence number that would be accepted.
        expected_seq: u64,
    },
    /// 8: the purse holds another balance than stated.
    #[error("the balance is {balance} minor units")]
    BalanceMismatch {
        /// The balance on record, in minor units.
        balance: u64,
    },
    /// 9: the amount or the resulting balance is past a limit.
    #[error("past the limit of {limit}")]
    LimitExceeded {
        /// The limit, in the unit of what was asked (minor units, cards).
        limit: u64,
    },
    /// 10: a signed checkpoint ahead of or beside this log was shown: its history was rolled back. Nothing is
    /// served until officers have decided.
    #[error("the history of this service was rolled back; it has stopped")]
    HistoryRolledBack,
    /// 11: a queue is full. Try again.
    #[error("busy; try again")]
    Busy,
    /// 12: the token cannot be used at the moment. Try again.
    #[error("the token is not available; try again")]
    TokenUnavailable,
    /// 13: the store cannot be used at the moment. Try again.
    #[error("the store is not available; try again")]
    StoreUnavailable,
    /// 14: a fault of the service.
    #[error("internal fault")]
    Internal,
}

/// What was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Thing {
    /// An operation of this name.
    Operation,
    /// A key of this name and version.
    Key,
    /// A programme of this name.
    Programme,
    /// A card profile of this name and version.
    Profile,
    /// A slot of this number in the profile.
    Slot,
    /// A leaf of this index in the log.
    Leaf,
    /// A tree of this size in the log.
    Tree,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operation => "operation",
            Self::Key => "key",
            Self::Programme => "programme",
            Self::Profile => "card profile",
            Self::Slot => "slot in this profile",
            Self::Leaf => "leaf",
            Self::Tree => "tree size",
        })
    }
}

/// Which rule of form a request breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Invalid {
    /// The body is not HTTP as the service takes it: method, content type, length.
    Http,
    /// Longer than the limit.
    TooLong,
    /// Not the typed message in core deterministic encoding.
    Encoding,
    /// The request is not a COSE_Sign1 in the profile's form.
    NotSigned,
    /// The statement's signature does not verify with the caller's enrolled statement key.
    Signature,
    /// The checkpoint shown is not one this service signed.
    Seen,
    /// An amount of zero.
    ZeroAmount,
    /// A list without items, or with the same item twice.
    Items,
    /// A range that ends before it begins, or is longer than one call gives.
    Range,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "not a POST of application/cbor with a content length",
            Self::TooLong => "too long",
            Self::Encoding => "not the typed message in core deterministic encoding",
            Self::NotSigned => "not a COSE_Sign1 in the profile's form",
            Self::Signature => "the statement does not verify with the enrolled statement key",
            Self::Seen => "the checkpoint shown is not one this service signed",
            Self::ZeroAmount => "an amount of zero",
            Self::Items => "an empty list, or one item twice",
            Self::Range => "not a range, or more than one call gives",
        })
    }
}

/// Which rule of a profile or programme a request breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Forbids {
    /// A 4-byte UID: such identifiers are reused among cards, so no key is diversified by them.
    ShortUid,
    /// The diversification input would have another length than 16 to 31 bytes (AN10922 equals CMAC only there).
    InputLength {
        /// Its length, in bytes.
        found: u64,
    },
    /// Another currency than the programme's.
    Currency {
        /// The programme's currency, ISO 4217 numeric.
        expected: u16,
    },
    /// A purse the profile does not have.
    Purse,
}

impl fmt::Display for Forbids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortUid => f.write_str("4-byte identifiers are not unique, no key is diversified by them"),
            Self::InputLength { found } => {
                write!(f, "the diversification input would have {found} bytes, not 16 to 31")
            }
            Self::Currency { expected } => write!(f, "the programme's currency is {expected:03}"),
            Self::Purse => f.write_str("the profile has no such purse"),
        }
    }
}

impl Refusal {
    /// The stable number, as in the wire's enum.
    #[must_use]
    pub const fn number(&self) -> u16 {
        match self {
            Self::Unauthenticated => 0,
            Self::Forbidden => 1,
            Self::NotFound { .. } => 2,
            Self::Invalid { .. } => 3,
            Self::ProfileForbids { .. } => 4,
            Self::IdemConflict => 5,
            Self::ExchangeUnknown => 6,
            Self::CounterConflict { .. } => 7,
            Self::BalanceMismatch { .. } => 8,
            Self::LimitExceeded { .. } => 9,
            Self::HistoryRolledBack => 10,
            Self::Busy => 11,
            Self::TokenUnavailable => 12,
            Self::StoreUnavailable => 13,
            Self::Internal => 14,
        }
    }

    /// Whether the same request may succeed later without change.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        matches!(self, Self::Busy | Self::TokenUnavailable | Self::StoreUnavailable | Self::Internal)
    }
}

impl From<WrongLength> for Refusal {
    fn from(_: WrongLength) -> Self {
        Self::Invalid { reason: Invalid::Encoding }
    }
}

/// The number of one request, 16 bytes made by the front; it stands in the service's log and in the refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestId(pub crate::bytes::Idem);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A refusal as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusalReply {
    /// Field 0.
    pub schema: Schema,
    /// The refusal with what would have been enough.
    pub refusal: Refusal,
    /// Whether the same request may succeed later without change.
    pub retryable: bool,
    /// The refusal in words, safe to show.
    pub text: String,
    /// The request's number.
    pub request_id: RequestId,
}

impl RefusalReply {
    /// The reply for `refusal` to request `request_id`.
    #[must_use]
    pub fn new(refusal: Refusal, request_id: RequestId) -> Self {
        Self {
            schema: Schema,
            retryable: refusal.retryable(),
            text: refusal.to_string(),
            refusal,
            request_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;
    use alloc::{vec, vec::Vec};

    fn all() -> Vec<Refusal> {
        vec![
            Refusal::Unauthenticated,
            Refusal::Forbidden,
            Refusal::NotFound { what: Thing::Key },
            Refusal::Invalid { reason: Invalid::Http },
            Refusal::ProfileForbids { reason: Forbids::ShortUid },
            Refusal::IdemConflict,
            Refusal::ExchangeUnknown,
            Refusal::CounterConflict { expected_seq: 7 },
            Refusal::BalanceMismatch { balance: 1 },
            Refusal::LimitExceeded { limit: 1 },
            Refusal::HistoryRolledBack,
            Refusal::Busy,
            Refusal::TokenUnavailable,
            Refusal::StoreUnavailable,
            Refusal::Internal,
        ]
    }

    #[test]
    fn every_refusal_has_its_stable_number_on_the_wire() {
        for (number, refusal) in (0_u8..).zip(all()) {
            assert_eq!(u16::from(number), refusal.number());
            let bytes = cbor::encode(&refusal);
            let on_wire = if bytes[0] == 0xa1 { bytes[1] } else { bytes[0] };
            assert_eq!(on_wire, number, "{refusal:?}");
            assert_eq!(cbor::decode::<Refusal>(&bytes, 200), Ok(refusal));
        }
    }

    #[test]
    fn golden_bytes_of_a_counter_conflict() {
        assert_eq!(
            cbor::encode(&Refusal::CounterConflict { expected_seq: 7 }),
            [0xa1, 0x07, 0xa1, 0x00, 0x07]
        );
    }
}
