//! What is noted of an end beside the socket, for the front and for the next keeper.

use crate::{error::Fault, link::LastEnd};
use std::path::Path;

/// Notes the fault that ends the keeper whose socket is at `socket`.
pub fn note_end(socket: &Path, fault: &Fault) {
    let (reason, token) = match fault {
        Fault::Token(error) => {
            let class = error.class().name();
            (format!("a fault of the token ({class})"), Some(class))
        }
        other => (words(other).to_owned(), None),
    };
    LastEnd::note(socket, fault.exit() as u8, reason, token);
}

/// The kind of a fault; its chain is the log's.
const fn words(fault: &Fault) -> &'static str {
    match fault {
        Fault::Token(_) => "a fault of the token",
        Fault::OtherToken(_) => "another token is in place",
        Fault::Config(_) => "its configuration must be mended",
        Fault::Ledger(_) => "a fault of the store",
        Fault::Anchor(_) => "a fault of the anchor",
        Fault::Policy(_) => "a fault of the policies",
        Fault::Refusing(_) => "it refuses to serve",
        Fault::Front(_) | Fault::Invariant(_) => "a broken invariant",
        Fault::Io { .. } => "the operating system",
    }
}
