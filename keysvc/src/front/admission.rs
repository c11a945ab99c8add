//! Who gets a place: separate pools for handshakes, clients and officers, and a share for each certificate.
//!
//! Nobody waits for a place: without one the socket is dropped at once, so that a flood holds nothing. The pools are
//! apart because with one shared pool 385 half-open sockets delayed a good client by a second. Where all handshakes' places
//! are taken, the oldest whose client keeps us waiting is ousted: silent sockets cannot keep anybody out.

use super::FrontLimits;
use keysvc_protocol::bytes::Digest;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The pools.
#[derive(Debug)]
pub(super) struct Admission {
    handshakes: Arc<UnderWay>,
    handshakes_max: usize,
    clients: Arc<Semaphore>,
    officers: Arc<Semaphore>,
    by_key: Arc<ByKey>,
    per_certificate_max: usize,
}

/// A handshake's place; given back when dropped.
#[derive(Debug)]
pub(super) struct HandshakePlace {
    number: u64,
    under_way: Arc<UnderWay>,
}

/// Ready when a handshake is to end for a newer one.
pub(super) type Ousted = oneshot::Receiver<()>;

/// The handshakes under way.
#[derive(Debug, Default)]
struct UnderWay(Mutex<Places>);

/// By number, so the oldest first.
#[derive(Debug, Default)]
struct Places {
    next: u64,
    each: BTreeMap<u64, Handshake>,
}

#[derive(Debug)]
struct Handshake {
    oust: oneshot::Sender<()>,
    /// Whether it waits for us and not for its client.
    waits_for_us: bool,
}

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// Ends the oldest handshake whose client keeps us waiting; says whether there was one.
    fn oust(&mut self) -> bool {
        let oldest =
            self.each.iter().find(|(_, handshake)| !handshake.waits_for_us).map(|(number, _)| *number);
        let ousted = oldest.and_then(|number| self.each.remove(&number));
        // Whoever does not listen any more has ended already.
        ousted.map(|handshake| handshake.oust.send(())).is_some()
    }
}

impl HandshakePlace {
    /// Notes whether it waits for us: then it is not ousted.
    pub(super) fn waits_for_us(&self, waits: bool) {
        if let Some(handshake) = self.under_way.lock().each.get_mut(&self.number) {
            handshake.waits_for_us = waits;
        }
    }
}

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        drop(self.under_way.lock().each.remove(&self.number));
    }
}

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
            handshakes: Arc::default(),
            handshakes_max: limits.handshakes_max,
            clients: pool(limits.clients_max),
            officers: pool(limits.officers_max),
            by_key: Arc::default(),
            per_certificate_max: limits.per_certificate_max,
        }
    }

    /// A place to shake hands, and the news that it is another's; to be taken before the handshake and kept until its end.
    /// None where all are taken by handshakes that wait for us.
    pub(super) fn handshake(&self) -> Option<(HandshakePlace, Ousted)> {
        let mut places = self.handshakes.lock();
        if places.each.len() >= self.handshakes_max && !places.oust() {
            return None;
        }
        let (oust, ousted) = oneshot::channel();
        let number = places.next;
        places.next = number.saturating_add(1);
        places.each.insert(number, Handshake { oust, waits_for_us: false });
        Some((HandshakePlace { number, under_way: Arc::clone(&self.handshakes) }, ousted))
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
    fn the_oldest_handshake_that_keeps_us_waiting_makes_room_for_a_new_one() {
        let admission = Admission::new(&FrontLimits { handshakes_max: 2, ..FrontLimits::default() });
        let (first, mut first_ousted) = admission.handshake().unwrap();
        let (second, mut second_ousted) = admission.handshake().unwrap();
        first.waits_for_us(true);
        let (_third, mut third_ousted) = admission.handshake().unwrap();
        assert!(first_ousted.try_recv().is_err() && second_ousted.try_recv().is_ok());
        drop(second);
        // One that waits for us no more is the oldest again.
        first.waits_for_us(false);
        let (fourth, _) = admission.handshake().unwrap();
        assert!(first_ousted.try_recv().is_ok() && third_ousted.try_recv().is_err());
        drop((first, fourth));
        assert_eq!(admission.handshakes.lock().each.len(), 1);
    }

    #[test]
    fn no_handshake_begins_where_all_wait_for_us() {
        let admission = admission();
        let (only, _ousted) = admission.handshake().unwrap();
        only.waits_for_us(true);
        assert!(admission.handshake().is_none());
        drop(only);
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
