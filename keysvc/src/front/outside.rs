//! What the front makes of bytes from the network, as functions of the bytes alone: for whoever tries that without
//! sockets, which are the fuzz targets and the suite (docs/fuzzing.md).
//!
//! Apart so that the parsers themselves stay private. The front does not use it, and it decides nothing.

use super::{
    FrontFault, FrontLimits, FrontSettings,
    head::{self, HeadLimits},
    peer,
    tls::TlsState,
};
use crate::link::Peer;
use keysvc_protocol::trust::TrustDomain;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// The head of an HTTP request as far as it has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Its end has not come.
    Begun,
    /// It is refused.
    Refused,
    /// It is whole and good.
    Good {
        /// Its length with its last line end, in bytes.
        head_len: usize,
        /// The length of the body behind it, in bytes.
        body_len: usize,
    },
}

/// Reads a head that arrives in portions of so many bytes, at least 1, under the limits that hold where nothing is set.
#[must_use]
pub fn head(bytes: &[u8], portion: usize) -> Head {
    let limits = FrontLimits::default();
    let limits = HeadLimits {
        head_len: limits.headers_len_max,
        headers: limits.headers_max,
        body_len: limits.request_len_max,
    };
    let mut scanned = 0;
    while scanned < bytes.len() {
        let held = bytes.get(..scanned.saturating_add(portion.max(1))).unwrap_or(bytes);
        match head::end(held, scanned, limits.head_len) {
            Ok(None) => scanned = held.len(),
            Ok(Some(head_len)) => {
                let good = head::check(held.get(..head_len).unwrap_or_default(), &limits);
                return good.map_or(Head::Refused, |body_len| Head::Good { head_len, body_len });
            }
            Err(_) => return Head::Refused,
        }
    }
    Head::Begun
}

/// Who a certificate (DER) names, if it names anybody: its chain is not looked at.
#[must_use]
pub fn peer(certificate: &[u8], domain: &TrustDomain) -> Option<Arc<Peer>> {
    const BESIDE: [&[u8]; 0] = [];
    peer::identify(certificate, &BESIDE, domain).peer.ok()
}

/// Reads the files of `settings` as a start does, and then judges a client's chain (DER, leaf first) by them as a
/// handshake and a reload do: `None` where it is let in, else why not.
///
/// # Errors
/// [`FrontFault`] naming the file and the mend.
pub fn judge(settings: &FrontSettings, chain: &[Vec<u8>]) -> Result<Option<String>, FrontFault> {
    let chain: Vec<_> = chain.iter().map(|one| CertificateDer::from(one.as_slice())).collect();
    TlsState::read(settings).map(|state| state.judge(&chain).err())
}
