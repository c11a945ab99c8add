//! The time by which clients' certificates are judged: it does not go back while this process runs.
//!
//! Else a wall clock that is set back would let in again whose certificate has ended. Setting it forward lets nobody in
//! for longer, so that is left to the wall clock. What the clock said before the process began nobody here knows: a front
//! that is started under a clock that is behind judges by that.

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

/// When the process first judged, by both clocks. One for the process, because a reload, which makes everything else of
/// TLS anew, must not take a clock that was set back meanwhile for the true one.
static BEGAN: LazyLock<(Duration, Instant)> =
    LazyLock::new(|| (Duration::from_secs(UnixTime::now().as_secs()), Instant::now()));

/// A verifier that judges by that time.
#[derive(Debug)]
pub(super) struct NeverBack(Arc<dyn ClientCertVerifier>);

impl NeverBack {
    /// Has `verifier` judge by a time that does not go back.
    pub(super) fn over(verifier: Arc<dyn ClientCertVerifier>) -> Self {
        LazyLock::force(&BEGAN);
        Self(verifier)
    }
}

/// The later of what the wall clock says and what has passed since the process began.
fn judged_by(wall: UnixTime, (began, since): (Duration, Duration)) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(wall.as_secs()).max(began.saturating_add(since)))
}

impl ClientCertVerifier for NeverBack {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let (wall, began) = *BEGAN;
        self.0.verify_client_cert(end_entity, intermediates, judged_by(now, (wall, began.elapsed())))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.0.requires_raw_public_keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_set_back_is_not_judged_by_and_one_that_is_ahead_is() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let began = (Duration::from_secs(1_000), Duration::from_mins(1));
        assert_eq!(judged_by(at(10), began), at(1_060));
        assert_eq!(judged_by(at(1_059), began), at(1_060));
        assert_eq!(judged_by(at(5_000), began), at(5_000));
    }
}
