//! The HTTP status of each refusal. Shared by both halves, so that a refusal looks the same wherever it was made.

use keysvc_protocol::refusal::{Invalid, Refusal};

/// The HTTP status (RFC 9110 section 15) that goes with `refusal`.
#[must_use]
pub const fn status_of(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::Unauthenticated => 401,
        Refusal::Forbidden => 403,
        Refusal::NotFound { .. } => 404,
        Refusal::Invalid { reason: Invalid::TooLong } => 413,
        Refusal::Invalid { .. } => 400,
        Refusal::ProfileForbids { .. }
        | Refusal::IdemConflict
        | Refusal::ExchangeUnknown
        | Refusal::CounterConflict { .. }
        | Refusal::BalanceMismatch { .. }
        | Refusal::LimitExceeded { .. }
        | Refusal::StateConflict { .. }
        | Refusal::ApprovalInvalid { .. }
        | Refusal::Expired
        | Refusal::SamePerson
        | Refusal::Frozen { .. }
        | Refusal::ApprovalRequired { .. }
        | Refusal::ResultPending
        | Refusal::PurgePending => 409,
        Refusal::Busy => 429,
        Refusal::HistoryRolledBack | Refusal::TokenUnavailable | Refusal::StoreUnavailable => 503,
        Refusal::Internal => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_succeed_later_has_a_status_that_says_so() {
        for refusal in
            [Refusal::Busy, Refusal::TokenUnavailable, Refusal::StoreUnavailable, Refusal::Internal]
        {
            assert!(refusal.retryable());
            assert!(matches!(status_of(&refusal), 429 | 500 | 503), "{refusal}");
        }
    }

    #[test]
    fn a_body_over_the_limit_has_its_own_status() {
        assert_eq!(status_of(&Refusal::Invalid { reason: Invalid::TooLong }), 413);
        assert_eq!(status_of(&Refusal::Invalid { reason: Invalid::Encoding }), 400);
    }
}
