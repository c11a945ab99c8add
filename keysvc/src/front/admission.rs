//! Who gets a place: separate pools for handshakes, clients and officers, and a share for each certificate.
//!
//! Nobody waits for a place: without one the socket is dropped at once, so that a flood holds nothing. The pools are
//! apart because with one shared pool 385 half-open sockets delayed a good client by a second.

use super::FrontLimits;
use keysvc_protocol::bytes::Digest;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The pools.
#[derive(Debug)]
pub(super) struct Admission {
    handshakes: Arc<Semaphore>,
    clients: Arc<Semaphore>,
    officers: Arc<Semaphore>,
    by_key: Arc<ByKey>,
    per_certificate_max: usize,
}

/// A handshake's place; given back when dropped.
#[derive(Debug)]
pub(super) struct HandshakePlace(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    #[expect(dead_code, reason = "held for its drop")]
    pool: OwnedSemaphorePermit,
    #[expect(dead_code, reason = "held for its drop")]
    share: Share,
}

/// Connections by the digest of their certificate's key.
#[derive(Debug, Default)]
struct ByKey(Mutex<HashMap<Digest, usize>>);

impl Admission {
    pub(super) fn new(limits: &FrontLimits) -> Self {
        let pool = |places: usize| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self {
            handshakes: pool(limits.handshakes_max),
            clients: pool(limits.clients_max),
            officers: pool(limits.officers_max),
            by_key: Arc::default(),
            per_certificate_max: limits.per_certificate_max,
        }
    }

    /// A place to shake hands; to be taken before the handshake and kept until its end.
    pub(super) fn handshake(&self) -> Option<HandshakePlace> {
        Arc::clone(&self.handshakes).try_acquire_owned().ok().map(HandshakePlace)
    }

    /// A place for a connection with the key of this digest. Officers have their own, and the others' beyond.
    pub(super) fn connection(&self, key: Digest, is_officer: bool) -> Option<Place> {
        let share = Share::take(key, &self.by_key, self.per_certificate_max)?;
        let reserved = is_officer.then(|| Arc::clone(&self.officers).try_acquire_owned().ok()).flatten();
        let pool = reserved.or_else(|| Arc::clone(&self.clients).try_acquire_owned().ok())?;
        Some(Place { pool, share })
    }
}

/// One connection of a certificate's share.
#[derive(Debug)]
struct Share {
    key: Digest,
    by_key: Arc<ByKey>,
}

impl Share {
    fn take(key: Digest, by_key: &Arc<ByKey>, max: usize) -> Option<Self> {
        let mut counts = by_key.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&key).copied().unwrap_or(0);
        if count >= max {
            return None;
        }
        counts.insert(key, count.saturating_add(1));
        Some(Self { key, by_key: Arc::clone(by_key) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.by_key.0.lock().unwrap_or_else(PoisonError::into_inner);
        // INVARIANT: an entry is at least 1; the last share removes it, so the map is as small as what is open.
        match counts.get(&self.key).copied() {
            Some(count) if count > 1 => drop(counts.insert(self.key, count.saturating_sub(1))),
            _ => drop(counts.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        let limits = FrontLimits {
            handshakes_max: 1,
            clients_max: 2,
            officers_max: 1,
            per_certificate_max: 2,
            ..FrontLimits::default()
        };
        Admission::new(&limits)
    }

    fn key(number: u8) -> Digest {
        Digest::new([number; 32])
    }

    #[test]
    fn a_handshake_without_a_place_is_refused_until_one_ends() {
        let admission = admission();
        let first = admission.handshake();
        assert!(first.is_some());
        assert!(admission.handshake().is_none());
        drop(first);
        assert!(admission.handshake().is_some());
    }

    #[test]
    fn clients_cannot_take_the_officers_places() {
        let admission = admission();
        let _clients =
            [admission.connection(key(1), false).unwrap(), admission.connection(key(2), false).unwrap()];
        assert!(admission.connection(key(3), false).is_none());
        assert!(admission.connection(key(4), true).is_some());
    }

    #[test]
    fn officers_beyond_their_reserve_compete_with_clients() {
        let admission = admission();
        let _officers: Vec<_> =
            (1..4).map(|number| admission.connection(key(number), true).unwrap()).collect();
        assert!(admission.connection(key(9), true).is_none());
        assert!(admission.connection(key(9), false).is_none());
    }

    #[test]
    fn one_certificate_has_its_share_and_gets_it_back() {
        let admission = admission();
        let first = admission.connection(key(1), true).unwrap();
        let _second = admission.connection(key(1), true).unwrap();
        assert!(admission.connection(key(1), true).is_none());
        drop(first);
        assert!(admission.connection(key(1), true).is_some());
    }

    #[test]
    fn a_refused_connection_leaves_no_trace() {
        let admission = admission();
        let clients =
            [admission.connection(key(1), false).unwrap(), admission.connection(key(1), false).unwrap()];
        assert!(admission.connection(key(2), false).is_none());
        drop(clients);
        assert!(admission.by_key.0.lock().unwrap().is_empty());
    }
}
