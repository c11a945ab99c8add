//! Refusals: the closed list of answers that are the caller's affair, with what would have been enough.
//!
//! Faults of the service itself reach a caller only as [`Refusal::TokenUnavailable`],
//! [`Refusal::StoreUnavailable`] or [`Refusal::Internal`]; their causes stay in the service's own log.

mod reason;

pub use reason::{Conflict, Forbids, Invalid, Thing, Uncounted};

use crate::{
    bytes::{ProposalId, WrongLength},
    freeze::ScopeKind,
    schema::Schema,
};
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
    /// 15: what the request is about is in another state.
    #[error("not in this state: {reason}")]
    StateConflict {
        /// What stands in the way.
        reason: Conflict,
    },
    /// 16: the approval does not count.
    #[error("the approval does not count: {reason}")]
    ApprovalInvalid {
        /// Why.
        reason: Uncounted,
    },
    /// 17: the proposal has expired. Ask again.
    #[error("the proposal has expired; ask again")]
    Expired,
    /// 18: one person twice where different people are wanted.
    #[error("the same person twice; different people are wanted")]
    SamePerson,
    /// 19: an officer has stopped this. Two officers can let it go on.
    #[error("frozen: an officer has stopped this {}", scope.name())]
    Frozen {
        /// The kind of what is stopped.
        scope: ScopeKind,
    },
    /// 20: it takes people first. Only as an item of a batch; a lone request is answered with the proposal itself.
    #[error("it takes {persons} people first; proposal {proposal}")]
    ApprovalRequired {
        /// The proposal that waits for them.
        proposal: ProposalId,
        /// How many people.
        persons: u8,
        /// From how many departments at least.
        departments: u8,
    },
    /// 21: as many cards of the job as may be are without their result. Give their results first.
    #[error("give the results of the cards in hand first")]
    ResultPending,
    /// 22: the station's job before is not purged. Close it first.
    #[error("the job before is not purged from this station")]
    PurgePending,
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
            Self::StateConflict { .. } => 15,
            Self::ApprovalInvalid { .. } => 16,
            Self::Expired => 17,
            Self::SamePerson => 18,
            Self::Frozen { .. } => 19,
            Self::ApprovalRequired { .. } => 20,
            Self::ResultPending => 21,
            Self::PurgePending => 22,
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
    use crate::{cbor, key::KeyState};
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
            Refusal::StateConflict { reason: Conflict::KeyState { state: KeyState::Suspended } },
            Refusal::ApprovalInvalid { reason: Uncounted::OtherRoster },
            Refusal::Expired,
            Refusal::SamePerson,
            Refusal::Frozen { scope: ScopeKind::Terminal },
            Refusal::ApprovalRequired { proposal: ProposalId::new([7; 16]), persons: 2, departments: 1 },
            Refusal::ResultPending,
            Refusal::PurgePending,
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
