//! What a client may show of itself that is not right, each with the step at which the service refuses it; and what is right
//! although it looks odd.
//!
//! A list, and no test: the suite goes through it once, the driver of faults again and again with the bytes cut by chance.

mod chains;
mod leaves;
mod names;
mod proofs;

use super::{
    handshake::{Cut, Met, Proof, Shown, meet},
    mint::Mint,
};
use keysvc_protocol::{
    refusal::{Conflict, Refusal},
    request::Operation,
};
use rustls::AlertDescription;

const DISABLED: Refusal = Refusal::StateConflict { reason: Conflict::Disabled };

/// One thing that a client shows.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What it is, in words.
    pub name: &'static str,
    /// What the service must do.
    pub expected: Expected,
    /// Makes it.
    pub make: fn(&Mint) -> Shown,
}

/// What the service must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// End the handshake with this alert.
    Alert(AlertDescription),
    /// End the handshake with this alert, or close: the client may still be writing and then never reads the alert.
    AlertOrClosed(AlertDescription),
    /// Answer every request with `unauthenticated`, 401: the certificate is an authority's, and names nobody who is enrolled.
    Nobody,
    /// Answer this one with `forbidden`, 403.
    Forbidden,
    /// Answer every request with what it says to those who were disabled, 409.
    Disabled,
    /// Serve.
    Served,
}

impl Expected {
    /// At which step that is, for a report.
    #[must_use]
    pub const fn step(self) -> &'static str {
        match self {
            Self::Alert(_) | Self::AlertOrClosed(_) => "by the handshake",
            Self::Nobody => "as nobody known",
            Self::Forbidden => "by the policies",
            Self::Disabled => "as disabled",
            Self::Served => "served",
        }
    }

    fn is(self, met: &Met) -> bool {
        match self {
            Self::Alert(alert) => *met == Met::Alert(alert),
            Self::AlertOrClosed(alert) => *met == Met::Alert(alert) || *met == Met::Closed,
            Self::Nobody => *met == Met::Refused(401, Refusal::Unauthenticated),
            Self::Forbidden => *met == Met::Refused(403, Refusal::Forbidden),
            Self::Disabled => *met == Met::Refused(409, DISABLED),
            Self::Served => *met == Met::Served,
        }
    }
}

impl Case {
    /// Tries it on the service on `port`. Where the bytes are cut, the client may still be writing when it is refused, and
    /// then it never reads why: the end of the connection is as good.
    ///
    /// # Errors
    /// What came of it, where that is not what is expected.
    pub fn try_on(&self, port: u16, mint: &Mint, cut: Cut) -> Result<(), String> {
        let waits = matches!(self.expected, Expected::Alert(_) | Expected::AlertOrClosed(_));
        let met = meet(port, &mint.site.der, &(self.make)(mint), (waits, cut));
        let is_over = self.expected != Expected::Served && !cut.is_none() && met == Met::Closed;
        if self.expected.is(&met) || is_over {
            return Ok(());
        }
        Err(format!("{}: {met:?} instead of {:?}; {cut:?}", self.name, self.expected))
    }
}

/// Everything that must be refused.
#[must_use]
pub fn refused() -> Vec<Case> {
    [leaves::CASES, names::CASES, chains::CASES, proofs::CASES].concat()
}

/// What must be served.
pub use chains::CONTROLS;

/// A chain with the key of the mint's persona, shown as a good client would.
fn shown(mint: &Mint, chain: Vec<Vec<u8>>) -> Shown {
    Shown {
        chain,
        key: mint.key.serialize_der(),
        proof: Proof::Signed,
        protocols: Vec::new(),
        asks: Operation::Status,
        instead: None,
    }
}
