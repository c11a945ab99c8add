//! Open exchanges: which transport key serves which station's session until when, and the check values of what was
//! delivered in it.
//!
//! They live in memory alone: a transport key dies with the keeper, and the station asks for its session again. Whether the
//! session still stands is the log's word, not this one's.

use crate::error::{Fault, NotDone};
use keysvc_protocol::{
    bytes::{Exchange, ShortCheck},
    card::CardUid,
    leaf::JobOpenedLeaf,
    name::Name,
    refusal::Refusal,
    request::CARDS_MAX,
};
use std::{collections::HashMap, sync::Arc};

/// Cards of one session whose check values are remembered: as many as may be in hand at a station. With 8 slots each they
/// take some 100 KiB. Those of one card more are computed again when they are wanted.
const REMEMBERED_MAX: usize = CARDS_MAX;

/// Why an exchange does not serve.
#[derive(Debug, thiserror::Error)]
pub enum NotOpen {
    /// It is not open: never was, ended, or is another station's.
    #[error("the exchange is not open")]
    Unknown,
    /// A fault of the token.
    #[error("{0}")]
    Fault(#[from] Fault),
}

impl From<NotOpen> for NotDone {
    fn from(not_open: NotOpen) -> Self {
        match not_open {
            NotOpen::Unknown => Self::Refused(Refusal::ExchangeUnknown),
            NotOpen::Fault(fault) => Self::Fault(fault),
        }
    }
}

#[derive(Debug)]
struct Open<K> {
    exchange: Exchange,
    station: Name,
    job: Name,
    expires_at_ms: u64,
    key: Arc<K>,
    checks: HashMap<CardUid, Vec<ShortCheck>>,
}

/// The open exchanges: one for each station that works on a job.
#[derive(Debug)]
pub(super) struct Exchanges<K>(Vec<Open<K>>);

impl<K> Default for Exchanges<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> Exchanges<K> {
    /// Adds a session's, and gives its key: the one that is there already, where another thread was quicker. Whatever else
    /// was open at the station or for the job ends, and so does all that expired.
    pub(super) fn insert(&mut self, (leaf, job): (&JobOpenedLeaf, &Name), key: K, now_ms: u64) -> Arc<K> {
        let own = |open: &Open<K>| open.exchange == leaf.exchange;
        self.0.retain(|open| {
            open.expires_at_ms > now_ms && (own(open) || (open.station != leaf.station && open.job != *job))
        });
        if let Some(open) = self.0.iter().find(|open| own(open)) {
            return Arc::clone(&open.key);
        }
        let key = Arc::new(key);
        self.0.push(Open {
            exchange: leaf.exchange,
            station: leaf.station.clone(),
            job: job.clone(),
            expires_at_ms: leaf.expires_at_ms,
            key: Arc::clone(&key),
            checks: HashMap::new(),
        });
        key
    }

    /// The transport key of a station's open exchange.
    pub(super) fn find(
        &mut self,
        exchange: &Exchange,
        station: &Name,
        now_ms: u64,
    ) -> Result<Arc<K>, NotOpen> {
        self.0.retain(|open| open.expires_at_ms > now_ms);
        let open = self.0.iter().find(|open| open.exchange == *exchange && open.station == *station);
        open.map(|open| Arc::clone(&open.key)).ok_or(NotOpen::Unknown)
    }

    /// Ends whatever is open for a job.
    pub(super) fn end(&mut self, job: &Name) {
        self.0.retain(|open| open.job != *job);
    }

    /// Ends one.
    pub(super) fn end_one(&mut self, exchange: &Exchange) {
        self.0.retain(|open| open.exchange != *exchange);
    }

    /// Remembers the check values of a card that is delivered, slots ascending.
    pub(super) fn remember(&mut self, exchange: &Exchange, card: CardUid, checks: Vec<ShortCheck>) {
        let Some(open) = self.0.iter_mut().find(|open| open.exchange == *exchange) else { return };
        if open.checks.len() < REMEMBERED_MAX || open.checks.contains_key(&card) {
            open.checks.insert(card, checks);
        }
    }

    /// The check values of a card that was delivered for a job.
    pub(super) fn checks(&self, job: &Name, card: &CardUid) -> Option<Vec<ShortCheck>> {
        self.0.iter().find(|open| open.job == *job)?.checks.get(card).cloned()
    }

    /// Forgets the check values of cards whose result is on record.
    pub(super) fn forget<'a>(&mut self, job: &Name, cards: impl Iterator<Item = &'a CardUid>) {
        let Some(open) = self.0.iter_mut().find(|open| open.job == *job) else { return };
        for card in cards {
            open.checks.remove(card);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{bytes::Blob, leaf::Statement, request::Operation, schema::Schema};

    fn leaf(station: &str, number: u8, expires_at_ms: u64) -> JobOpenedLeaf {
        JobOpenedLeaf {
            schema: Schema,
            station: station.parse().unwrap(),
            operation: Operation::JobOpen,
            exchange: Exchange::new([number; 16]),
            expires_at_ms,
            statement: Statement(Blob::try_from(vec![]).unwrap()),
        }
    }

    fn insert(exchanges: &mut Exchanges<u8>, leaf: &JobOpenedLeaf, job: &str, key: u8) -> u8 {
        *exchanges.insert((leaf, &job.parse().unwrap()), key, 0)
    }

    fn find(exchanges: &mut Exchanges<u8>, station: &str, number: u8, now_ms: u64) -> Option<u8> {
        let found = exchanges.find(&Exchange::new([number; 16]), &station.parse().unwrap(), now_ms);
        found.ok().map(|key| *key)
    }

    fn card(number: usize) -> CardUid {
        format!("04{number:012x}").parse().unwrap()
    }

    #[test]
    fn an_exchange_serves_its_own_station_until_it_expires() {
        let mut exchanges = Exchanges::default();
        insert(&mut exchanges, &leaf("station-1", 1, 100), "job-1", 11);
        assert_eq!(find(&mut exchanges, "station-1", 1, 99), Some(11));
        assert_eq!(find(&mut exchanges, "station-2", 1, 99), None);
        assert_eq!(find(&mut exchanges, "station-1", 1, 100), None);
    }

    #[test]
    fn a_new_session_ends_the_one_before_at_its_station_and_no_other() {
        let mut exchanges = Exchanges::default();
        insert(&mut exchanges, &leaf("station-2", 9, 100), "job-2", 99);
        insert(&mut exchanges, &leaf("station-1", 1, 100), "job-1", 1);
        insert(&mut exchanges, &leaf("station-1", 2, 100), "job-1", 2);
        assert_eq!(find(&mut exchanges, "station-1", 1, 1), None);
        assert_eq!(find(&mut exchanges, "station-1", 2, 1), Some(2));
        insert(&mut exchanges, &leaf("station-1", 3, 100), "job-3", 3);
        assert_eq!(find(&mut exchanges, "station-1", 2, 1), None);
        assert_eq!(find(&mut exchanges, "station-2", 9, 1), Some(99));
    }

    #[test]
    fn of_two_keys_for_one_exchange_the_first_serves_both() {
        let mut exchanges = Exchanges::default();
        assert_eq!(insert(&mut exchanges, &leaf("station-1", 1, 100), "job-1", 11), 11);
        assert_eq!(insert(&mut exchanges, &leaf("station-1", 1, 100), "job-1", 12), 11);
        assert_eq!(find(&mut exchanges, "station-1", 1, 1), Some(11));
    }

    #[test]
    fn the_end_of_a_job_ends_its_exchange_with_all_that_was_remembered() {
        let mut exchanges = Exchanges::default();
        let (job, checks) = ("job-1".parse().unwrap(), vec![ShortCheck::new([7; 5])]);
        insert(&mut exchanges, &leaf("station-1", 1, 100), "job-1", 11);
        insert(&mut exchanges, &leaf("station-2", 2, 100), "job-2", 22);
        exchanges.remember(&Exchange::new([1; 16]), card(1), checks.clone());
        assert_eq!(exchanges.checks(&job, &card(1)), Some(checks));
        exchanges.end(&job);
        assert_eq!(exchanges.checks(&job, &card(1)), None);
        assert_eq!(find(&mut exchanges, "station-1", 1, 1), None);
        assert_eq!(find(&mut exchanges, "station-2", 2, 1), Some(22));
    }

    #[test]
    fn check_values_are_remembered_of_so_many_cards_and_make_room_when_results_are_given() {
        let mut exchanges = Exchanges::default();
        let (job, exchange) = ("job-1".parse().unwrap(), Exchange::new([1; 16]));
        insert(&mut exchanges, &leaf("station-1", 1, 100), "job-1", 11);
        for number in 0..=REMEMBERED_MAX {
            exchanges.remember(&exchange, card(number), Vec::new());
        }
        assert!(exchanges.checks(&job, &card(REMEMBERED_MAX - 1)).is_some());
        assert!(exchanges.checks(&job, &card(REMEMBERED_MAX)).is_none());
        exchanges.forget(&job, [card(0)].iter());
        exchanges.remember(&exchange, card(REMEMBERED_MAX), Vec::new());
        assert!(exchanges.checks(&job, &card(REMEMBERED_MAX)).is_some());
        assert!(exchanges.checks(&job, &card(0)).is_none());
    }
}
