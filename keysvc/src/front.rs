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
mod health;
mod judged_by;
pub mod outside;
mod pacing;
mod peer;
mod reload;
mod request_ids;
mod server;
mod tls;

pub use crate::config::FrontLimits;
pub use counters::Counters;
pub use fault::FrontFault;
pub use reload::Reread;
pub use server::Front;

use crate::{
    config::fixed::{FILES_LOOKED_AT_EVERY, KEEPER_AWAITED_MAX},
    parent, service_manager,
};
use keysvc_protocol::trust::TrustDomain;
use reload::Reloader;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

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
    /// Where to listen for questions after health and figures; nowhere without it.
    pub health: Option<SocketAddr>,
    /// The limits.
    pub limits: FrontLimits,
}

impl FrontSettings {
    /// Reads certificates, key and revocation lists as [`run`] would, and keeps nothing.
    ///
    /// # Errors
    /// [`FrontFault`] naming the file and the mend.
    pub fn check(&self) -> Result<(), FrontFault> {
        tls::TlsState::read(self).map(drop)
    }
}

/// Serves until SIGTERM or SIGINT, then finishes what is in flight. On SIGHUP, and when a certificate, key or list has
/// changed on disk, `reread` gives the settings as they now are.
///
/// # Errors
/// [`FrontFault`] when the front cannot begin: files, key, certificates or address.
pub async fn run(
    settings: FrontSettings,
    reread: impl FnMut() -> Result<Reread, String> + Send + 'static,
) -> Result<(), FrontFault> {
    let mut terminate = signal(SignalKind::terminate()).map_err(FrontFault::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(FrontFault::Signals)?;
    let hangups = signal(SignalKind::hangup()).map_err(FrontFault::Signals)?;
    let front = Front::bind(settings).await?;
    parent::tell_serving();
    // Only now: from here on SIGHUP does not end this process.
    let reloads = tokio::spawn(reload_when_told(front.reloader(), hangups, reread));
    let notices = tokio::spawn(keep_manager_informed(front.keeper_connected()));
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        service_manager::stopping();
    };
    front.serve(stop).await;
    reloads.abort();
    notices.abort();
    Ok(())
}

async fn reload_when_told(
    mut reloader: Reloader,
    mut hangups: Signal,
    mut reread: impl FnMut() -> Result<Reread, String>,
) {
    let mut look = interval(FILES_LOOKED_AT_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let told = tokio::select! {
            told = hangups.recv() => told.is_some(),
            _ = look.tick() => false,
        };
        if told {
            service_manager::reloading();
            reloader.reload("SIGHUP", reread());
            service_manager::ready("serving");
        } else if reloader.files_changed() {
            reloader.reload("a file has changed", reread());
        }
    }
}

/// Tells the service manager when the front is ready, whether the keeper is there, and that the workers still turn.
async fn keep_manager_informed(connected: impl Fn() -> bool) {
    let awaited = async {
        while !connected() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let mut is_there = timeout(KEEPER_AWAITED_MAX, awaited).await.is_ok();
    service_manager::ready(status(is_there));
    let every = service_manager::alive_every();
    loop {
        sleep(every.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(1))).await;
        if every.is_some() {
            service_manager::alive();
        }
        let now = connected();
        if now != is_there {
            service_manager::status(status(now));
        }
        is_there = now;
    }
}

const fn status(keeper_is_there: bool) -> &'static str {
    if keeper_is_there { "serving" } else { "listening, but the keeper does not answer" }
}
