//! Why the front cannot begin: each text names the file and the mend.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why the front cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum FrontFault {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The key file is open to others than its owner.
    #[error("the key file {} has mode {mode:03o} and is open to others; run: chmod 600 {}", path.display(), path.display())]
    KeyOpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {wanted} in PEM", path.display())]
    Holds {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// The certificates, the key or the revocation lists do not work together.
    #[error("the certificates in {} cannot be used: {reason}", path.display())]
    Tls {
        /// The file at fault.
        path: PathBuf,
        /// What the TLS library said.
        reason: String,
    },
    /// What was read again has expired already.
    #[error("the {what} in {} has expired; put a fresh one there", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// What has expired.
        what: &'static str,
    },
    /// No revocation list is of the configured CA.
    #[error("no revocation list is of the CA in {}; the first is in {}: put the CA's own there", ca.display(), path.display())]
    ForeignList {
        /// The first list's file.
        path: PathBuf,
        /// The CA's file.
        ca: PathBuf,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}: {error}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The system gives no randomness.
    #[error("the system gives no random bytes")]
    Random,
    /// The thread of the health listener cannot be started.
    #[error("the health listener cannot be started: {0}")]
    Health(#[source] io::Error),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
}
