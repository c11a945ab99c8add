//! What can go wrong for a client, and the exit code a program ends with for it.
//!
//! Apart because programs choose by it: a refusal is the caller's affair, an unreachable service nobody's, and what
//! does not verify is an alarm.

#[cfg(feature = "officer")]
use crate::approvable::NotApprovable;
use crate::{clock::utc, config::ConfigError, pending::Pending};
use keysvc_protocol::{
    bundle::BundleError,
    delivery::DeliveryError,
    refusal::{Refusal, RefusalReply},
    value::ValueError,
};
use std::path::PathBuf;

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The service refused the request; retryable refusals were retried until the deadline.
    #[error("the service refused: {} (request {})", .0.refusal, .0.request_id)]
    Refused(Box<RefusalReply>),
    /// The request takes people first and was not executed: it waits for them, or has ended without them.
    #[error("not done: {0}")]
    Pending(Box<Pending>),
    #[cfg(feature = "officer")]
    /// A proposal is nothing to be signed: it is not what it should be, or cannot be said in words.
    #[error("nothing is signed: {0}")]
    NotApprovable(#[from] NotApprovable),
    /// One side did not accept the other's certificate. Under TLS 1.3 the service's refusal is seen at the first
    /// read, after the handshake.
    #[error("not authenticated: {reason}")]
    Authentication {
        /// Which side's certificate, and what about it.
        reason: String,
    },
    /// No connection, or none that lived long enough, until the deadline.
    #[error("cannot reach {endpoint}: {reason}; check that the service runs and the endpoint is right")]
    Unreachable {
        /// Host and port of those that were tried.
        endpoint: String,
        /// The last fault of each, in the system's words.
        reason: String,
    },
    /// The deadline passed while the answer was awaited. A change may have been carried out; asking again with the
    /// same idempotency key tells.
    #[error(
        "no answer within {after_ms} ms ({reached}); a change may have been carried out, so repeat it with the same number"
    )]
    Timeout {
        /// The deadline, milliseconds.
        after_ms: u64,
        /// How far it came: each endpoint that was tried and what became of it there.
        reached: String,
    },
    /// The answer is not what the protocol foresees.
    #[error("the answer is not the protocol's: {what}")]
    Malformed {
        /// What is odd about it.
        what: String,
    },
    /// What the service says contradicts its log, its keys or the request. Nothing of it was used.
    #[error("the service's answer is not to be trusted: {what}{}", evidence_note(.evidence.as_ref()))]
    Untrusted {
        /// What does not hold.
        what: String,
        /// The folder with both signed checkpoints, where two of them contradict each other.
        evidence: Option<PathBuf>,
    },
    /// An opening or delivery is not the service's statement.
    #[error("refused what the service delivered: {0}")]
    Delivery(#[from] DeliveryError),
    /// A value update is not signed by the programme's key, or contradicts itself.
    #[error("refused what the service signed: {0}")]
    NotSigned(#[from] ValueError),
    /// A trust bundle does not verify, has expired, or does not vouch for a record.
    #[error("{}", offline(.0))]
    Bundle(#[from] BundleError),
    /// The own token failed.
    #[cfg(any(feature = "station", feature = "officer"))]
    #[error("token: {0}")]
    Token(#[from] keysvc_token::TokenError),
    /// The request cannot be put to the service at all.
    #[error("the request is not possible: {what}")]
    Request {
        /// What is wrong with it.
        what: String,
    },
    /// The configuration, or a file it names.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// A file of the state folder or an export cannot be read or written, or is damaged.
    #[error("{}: {reason}", path.display())]
    State {
        /// The file or folder.
        path: PathBuf,
        /// What failed, and the mend.
        reason: String,
    },
}

fn evidence_note(evidence: Option<&PathBuf>) -> String {
    evidence.map_or_else(String::new, |folder| format!("; the evidence is in {}", folder.display()))
}

fn offline(error: &BundleError) -> String {
    match error {
        BundleError::Expired { not_after_ms } => {
            format!("refused offline: {error}; it held until {}", utc(*not_after_ms))
        }
        _ => format!("refused offline: {error}"),
    }
}

impl ClientError {
    /// The exit code of a program that ends with this error: 2 usage, 3 refused, 4 unavailable, 5 pending approvals,
    /// 6 verification failed, 7 conflict.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(reply) => match reply.refusal {
                Refusal::IdemConflict
                | Refusal::CounterConflict { .. }
                | Refusal::BalanceMismatch { .. }
                | Refusal::StateConflict { .. } => 7,
                Refusal::ApprovalRequired { .. } => 5,
                ref refusal if refusal.retryable() => 4,
                _ => 3,
            },
            Self::Pending(pending) if pending.waits() => 5,
            Self::Pending(_) | Self::Authentication { .. } => 3,
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::State { .. } => 4,
            #[cfg(any(feature = "station", feature = "officer"))]
            Self::Token(_) => 4,
            Self::Malformed { .. }
            | Self::Untrusted { .. }
            | Self::Delivery(_)
            | Self::NotSigned(_)
            | Self::Bundle(_) => 6,
            #[cfg(feature = "officer")]
            Self::NotApprovable(_) => 6,
            Self::Request { .. } | Self::Config(_) => 2,
        }
    }

    /// The refusal, where the service refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(reply) => Some(&reply.refusal),
            _ => None,
        }
    }

    pub(crate) fn untrusted(what: impl Into<String>) -> Self {
        Self::Untrusted { what: what.into(), evidence: None }
    }

    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{bytes::Idem, refusal::RequestId};

    fn refused(refusal: Refusal) -> ClientError {
        ClientError::Refused(Box::new(RefusalReply::new(refusal, RequestId(Idem::new([7; 16])))))
    }

    #[test]
    fn each_error_ends_a_program_with_its_documented_code() {
        assert_eq!(refused(Refusal::Forbidden).exit_code(), 3);
        assert_eq!(refused(Refusal::Busy).exit_code(), 4);
        assert_eq!(refused(Refusal::IdemConflict).exit_code(), 7);
        assert_eq!(refused(Refusal::CounterConflict { expected_seq: 2 }).exit_code(), 7);
        assert_eq!(refused(Refusal::BalanceMismatch { balance: 2 }).exit_code(), 7);
        assert_eq!(
            ClientError::Timeout { after_ms: 10, reached: "a:8443: it did not answer".into() }.exit_code(),
            4
        );
        assert_eq!(ClientError::untrusted("forked").exit_code(), 6);
    }

    #[test]
    fn a_refusal_is_shown_with_its_request_number() {
        let text = refused(Refusal::CounterConflict { expected_seq: 2 }).to_string();
        assert_eq!(
            text,
            "the service refused: the next sequence number is 2 (request 07070707070707070707070707070707)"
        );
    }

    #[test]
    fn evidence_is_named() {
        let error = ClientError::Untrusted { what: "forked".into(), evidence: Some("/s/evidence-1".into()) };
        assert!(error.to_string().ends_with("forked; the evidence is in /s/evidence-1"));
    }
}
