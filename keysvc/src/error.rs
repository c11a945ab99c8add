//! Faults: what is the service's affair, never the caller's. Outside they are one of three refusals, written in
//! `keeper::endpoint` alone; inside, the whole chain goes to the log.

use crate::{
    config::ConfigError,
    front::FrontFault,
    keeper::ledger::{AnchorFault, LedgerFault},
};
use keysvc_policies::PolicyError;
use keysvc_protocol::refusal::Refusal;
use keysvc_token::TokenError;
use std::{fmt::Write as _, process::ExitCode};

/// A fault of the service.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The configuration or another file of the operator's.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// The token.
    #[error("token: {0}")]
    Token(#[from] TokenError),
    /// The store.
    #[error("store: {0}")]
    Ledger(#[from] LedgerFault),
    /// The anchor.
    #[error("anchor: {0}")]
    Anchor(#[from] AnchorFault),
    /// The policies.
    #[error("policies: {0}")]
    Policy(#[from] PolicyError),
    /// The front.
    #[error("front: {0}")]
    Front(#[from] FrontFault),
    /// The token in place is not the service's.
    #[error("another token: {0}")]
    OtherToken(String),
    /// What was found at the start does not agree with the log; serving would be wrong.
    #[error("refusing to serve: {0}")]
    Refusing(String),
    /// Something that cannot be, was.
    #[error("broken invariant: {0}")]
    Invariant(&'static str),
    /// The operating system.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
}

/// Why a request that the gate let through was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The caller's affair.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// Ours.
    #[error("{0}")]
    Fault(#[from] Fault),
}

/// The keeper's exit codes; the parent and systemd read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Something the operator must mend: configuration, manifest, anchor. Not restarted.
    Refusing = 3,
    /// The token is gone, is away at the start or its handles died. Restarted.
    Token = 10,
    /// A commit failed or its outcome is unknown. Restarted.
    Store = 11,
    /// A broken invariant. Restarted.
    Invariant = 12,
    /// The token refused the PIN, or has locked it. Not restarted before the PIN is another one: a token may lock.
    Pin = 13,
    /// A token is there, but not the service's. Restarted; its PIN is not tried on a stranger.
    OtherToken = 14,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Fault {
    /// Whether the process must end: what it holds in memory cannot be trusted or used any more.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Token(error) => error.is_fatal(),
            Self::Ledger(fault) => fault.ends_the_keeper(),
            Self::Policy(_) => false,
            Self::Anchor(_)
            | Self::Config(_)
            | Self::Front(_)
            | Self::OtherToken(_)
            | Self::Refusing(_)
            | Self::Invariant(_)
            | Self::Io { .. } => true,
        }
    }

    /// The exit code of a process that ends by it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Token(error) if error.is_pin() => Exit::Pin,
            Self::OtherToken(_) | Self::Token(TokenError::NoPin { .. }) => Exit::OtherToken,
            Self::Token(error) if error.is_fatal() || error.is_away() => Exit::Token,
            Self::Invariant(_) => Exit::Invariant,
            Self::Anchor(AnchorFault::File { .. }) | Self::Io { .. } => Exit::Store,
            Self::Ledger(fault) if !needs_an_operator(fault) => Exit::Store,
            Self::Anchor(_)
            | Self::Config(_)
            | Self::Front(_)
            | Self::Ledger(_)
            | Self::Policy(_)
            | Self::Refusing(_)
            | Self::Token(_) => Exit::Refusing,
        }
    }

    /// The whole chain of causes on one line, for the log.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                // Writing to a string cannot fail.
                let _ = write!(text, ": {cause_text}");
            }
            source = cause.source();
        }
        text
    }
}

/// Faults of the store that no restart cures.
fn needs_an_operator(fault: &LedgerFault) -> bool {
    matches!(
        fault,
        LedgerFault::InUse { .. }
            | LedgerFault::Foreign { .. }
            | LedgerFault::Newer { .. }
            | LedgerFault::Older { .. }
            | LedgerFault::Broken { .. }
            | LedgerFault::BrokenTable { .. }
            | LedgerFault::OtherControl { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_whether_to_wait_for_the_token_for_a_pin_or_for_an_operator() {
        let label = || "service".to_owned();
        let others = vec!["spare".to_owned()];
        let code = || "CKR_GENERAL_ERROR".to_owned();
        for (error, exit) in [
            (TokenError::SlotNotFound { label: label(), others }, Exit::Token),
            (TokenError::ModuleMissing { path: "/m.so".into() }, Exit::Token),
            (TokenError::ModuleAway { path: "/m.so".into(), code: code() }, Exit::Token),
            (TokenError::WrongPin { label: label() }, Exit::Pin),
            (TokenError::PinLocked { label: label() }, Exit::Pin),
            (TokenError::PinExpired { label: label() }, Exit::Pin),
            (TokenError::NoPin { label: label() }, Exit::OtherToken),
            (TokenError::AmbiguousLabel { label: label(), count: 2 }, Exit::Refusing),
            (TokenError::ModuleUnusable { path: "/m".into(), detail: "no ELF".into() }, Exit::Refusing),
        ] {
            assert_eq!(Fault::from(error.clone()).exit(), exit, "{error:?}");
        }
        assert_eq!(Fault::OtherToken("it has another serial".into()).exit(), Exit::OtherToken);
    }
}
