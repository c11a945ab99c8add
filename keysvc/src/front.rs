//! The half that faces the network: TLS, HTTP and limits. It holds no key, no database and no policy.
//!
//! A connection is admitted (handshakes, clients and officers have pools of their own), its peer identified from the
//! verified certificate, its bytes checked by a strict framing before the HTTP library sees them, and each request
//! handed over [`crate::link`]. What the front says about a peer is decided upon by the other half alone.
//!
//! Every public item is at the head: [`run`] for the program, [`Front`] for whoever must know its address or stop it.

mod admission;
mod conversation;
mod counters;
mod fault;
mod framing;
mod head;
mod peer;
mod request_ids;
mod server;
mod tls;

pub use crate::config::FrontLimits;
pub use counters::Counters;
pub use fault::FrontFault;
pub use server::Front;

use keysvc_protocol::trust::TrustDomain;
use std::{net::SocketAddr, path::PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// What the front is told.
#[derive(Debug, Clone)]
pub struct FrontSettings {
    /// Where to listen for TLS connections.
    pub listen: SocketAddr,
    /// The server's certificate and its intermediates, leaf first (PEM).
    pub certificate: PathBuf,
    /// The server's private key (PEM; PKCS#8, SEC 1 or PKCS#1); readable by its owner only.
    pub key: PathBuf,
    /// The certificates that clients' certificates must chain to (PEM).
    pub ca: PathBuf,
    /// Revocation lists (PEM or DER, RFC 5280 section 5). Where there is one, every certificate but the roots must
    /// be covered by a list that has not expired.
    pub crls: Vec<PathBuf>,
    /// The trust domain that clients' URI names must be of.
    pub trust_domain: TrustDomain,
    /// The socket the keeper listens on.
    pub keeper_socket: PathBuf,
    /// The limits.
    pub limits: FrontLimits,
}

impl FrontSettings {
    /// Reads certificates, key and revocation lists as [`run`] would, and keeps nothing.
    ///
    /// # Errors
    /// [`FrontFault`] naming the file and the mend.
    pub fn check(&self) -> Result<(), FrontFault> {
        tls::acceptor(self).map(drop)
    }
}

/// Serves until SIGTERM or SIGINT, then finishes what is in flight.
///
/// # Errors
/// [`FrontFault`] when the front cannot begin: files, key, certificates or address.
pub async fn run(settings: FrontSettings) -> Result<(), FrontFault> {
    let mut terminate = signal(SignalKind::terminate()).map_err(FrontFault::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(FrontFault::Signals)?;
    let front = Front::bind(settings).await?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    front.serve(stop).await;
    Ok(())
}
