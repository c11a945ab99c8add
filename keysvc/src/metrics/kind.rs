//! The short name of each refusal, for labels and logs. The same list as in docs/wire.md, in lower case.

use keysvc_protocol::refusal::Refusal;

/// Stands in a label for a request that names no operation.
pub const UNKNOWN_OPERATION: &str = "unknown";

/// The short name of a refusal's kind.
#[must_use]
pub const fn kind_of(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unauthenticated => "unauthenticated",
        Refusal::Forbidden => "forbidden",
        Refusal::NotFound { .. } => "not_found",
        Refusal::Invalid { .. } => "invalid",
        Refusal::ProfileForbids { .. } => "profile_forbids",
        Refusal::IdemConflict => "idem_conflict",
        Refusal::ExchangeUnknown => "exchange_unknown",
        Refusal::CounterConflict { .. } => "counter_conflict",
        Refusal::BalanceMismatch { .. } => "balance_mismatch",
        Refusal::LimitExceeded { .. } => "limit_exceeded",
        Refusal::HistoryRolledBack => "history_rolled_back",
        Refusal::Busy => "busy",
        Refusal::TokenUnavailable => "token_unavailable",
        Refusal::StoreUnavailable => "store_unavailable",
        Refusal::Internal => "internal",
        Refusal::StateConflict { .. } => "state_conflict",
        Refusal::ApprovalInvalid { .. } => "approval_invalid",
        Refusal::Expired => "expired",
        Refusal::SamePerson => "same_person",
        Refusal::Frozen { .. } => "frozen",
        Refusal::ApprovalRequired { .. } => "approval_required",
        Refusal::ResultPending => "result_pending",
        Refusal::PurgePending => "purge_pending",
    }
}
