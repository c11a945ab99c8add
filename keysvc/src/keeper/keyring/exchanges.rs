//! Open exchanges: which transport key serves which station until when.
//!
//! They live in memory alone: a transport key dies with the keeper, and the station opens again.

use crate::error::{Fault, NotDone};
use keysvc_protocol::{bytes::Exchange, leaf::StationOpenedLeaf, name::Name, refusal::Refusal};
use std::sync::Arc;

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
    expires_at_ms: u64,
    key: Arc<K>,
}

/// The open exchanges, oldest first. Few: a handful for each station on shift.
#[derive(Debug)]
pub(super) struct Exchanges<K>(Vec<Open<K>>);

impl<K> Default for Exchanges<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> Exchanges<K> {
    /// Adds one; past `max` of one station its oldest ends, and so do all that expired.
    pub(super) fn insert(&mut self, leaf: &StationOpenedLeaf, key: K, opened_at_ms: u64, max: usize) {
        self.0.retain(|open| open.expires_at_ms > opened_at_ms);
        let own = self.0.iter().filter(|open| open.station == leaf.station).count();
        let mut surplus = own.saturating_add(1).saturating_sub(max);
        self.0.retain(|open| {
            let ends = surplus > 0 && open.station == leaf.station;
            surplus = surplus.saturating_sub(usize::from(ends));
            !ends
        });
        self.0.push(Open {
            exchange: leaf.exchange,
            station: leaf.station.clone(),
            expires_at_ms: leaf.expires_at_ms,
            key: Arc::new(key),
        });
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_protocol::{bytes::Blob, leaf::Statement, schema::Schema};

    fn leaf(station: &str, number: u8, expires_at_ms: u64) -> StationOpenedLeaf {
        StationOpenedLeaf {
            schema: Schema,
            station: station.parse().unwrap(),
            exchange: Exchange::new([number; 16]),
            expires_at_ms,
            statement: Statement(Blob::try_from(vec![]).unwrap()),
        }
    }

    fn find(exchanges: &mut Exchanges<u8>, station: &str, number: u8, now_ms: u64) -> Option<u8> {
        let found = exchanges.find(&Exchange::new([number; 16]), &station.parse().unwrap(), now_ms);
        found.ok().map(|key| *key)
    }

    #[test]
    fn an_exchange_serves_its_own_station_until_it_expires() {
        let mut exchanges = Exchanges::default();
        exchanges.insert(&leaf("station-1", 1, 100), 11, 0, 4);
        assert_eq!(find(&mut exchanges, "station-1", 1, 99), Some(11));
        assert_eq!(find(&mut exchanges, "station-2", 1, 99), None);
        assert_eq!(find(&mut exchanges, "station-1", 1, 100), None);
    }

    #[test]
    fn one_more_than_the_limit_ends_the_stations_oldest_and_no_other() {
        let mut exchanges = Exchanges::default();
        exchanges.insert(&leaf("station-2", 9, 100), 99, 0, 2);
        for number in 1..=3 {
            exchanges.insert(&leaf("station-1", number, 100), number, 0, 2);
        }
        assert_eq!(find(&mut exchanges, "station-1", 1, 1), None);
        assert_eq!(find(&mut exchanges, "station-1", 2, 1), Some(2));
        assert_eq!(find(&mut exchanges, "station-1", 3, 1), Some(3));
        assert_eq!(find(&mut exchanges, "station-2", 9, 1), Some(99));
    }
}
