//! Exchanges with stations: opened by the station's own statement, and card keys only while one is open.

use super::{
    card::{Site, check_derived},
    statement::{self, Caller},
};
use crate::{
    finding::{Problem, StationProblem},
    founding_check::Founded,
};
use keysvc_protocol::{
    bytes::{Exchange, Idem},
    founding::PrincipalKind,
    leaf::{CardKeysDerivedLeaf, LeafEntry, StationOpenedLeaf},
    list::{List, WrongCount},
    request::{DeriveCardKeys, OpenStation, Operation},
};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Most exchanges, and most derivations, that are kept for a later run: a derivation takes 30 bytes in the file, 16
/// million of them 480 MB.
const KEPT_MAX: usize = 1 << 24;
/// The place of a station that is not enrolled.
const NOBODY: u16 = u16::MAX;

/// An exchange as a later run needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedExchange {
    exchange: Exchange,
    station: u16,
    expires_at_ms: u64,
}

/// A derivation as a later run needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedDerivation {
    station: u16,
    idem: Idem,
}

/// What a later run needs of the stations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedStations {
    exchanges: List<SavedExchange, KEPT_MAX>,
    derivations: List<SavedDerivation, KEPT_MAX>,
    openings_withheld: bool,
}

#[derive(Debug)]
struct Opened {
    station: u16,
    expires_at_ms: u64,
}

/// The exchanges so far, and the idempotency keys of derivations: 40 bytes for each, stations by their places.
#[derive(Debug, Default)]
pub(super) struct Stations {
    exchanges: HashMap<Exchange, Opened>,
    derivations: HashSet<(u16, Idem)>,
    // Whether an opening is withheld: then an unknown exchange proves nothing.
    openings_withheld: bool,
}

impl Stations {
    /// What a later run needs, in one order.
    pub(super) fn save(&self) -> Result<SavedStations, WrongCount> {
        let mut exchanges: Vec<_> = self
            .exchanges
            .iter()
            .map(|(exchange, opened)| SavedExchange {
                exchange: *exchange,
                station: opened.station,
                expires_at_ms: opened.expires_at_ms,
            })
            .collect();
        exchanges.sort_unstable_by_key(|saved| saved.exchange);
        let mut derivations: Vec<_> = self
            .derivations
            .iter()
            .map(|(station, idem)| SavedDerivation { station: *station, idem: *idem })
            .collect();
        derivations.sort_unstable_by_key(|saved| (saved.station, saved.idem));
        Ok(SavedStations {
            exchanges: exchanges.try_into()?,
            derivations: derivations.try_into()?,
            openings_withheld: self.openings_withheld,
        })
    }

    /// The stations as an earlier run left them.
    pub(super) fn restore(saved: SavedStations) -> Self {
        let exchanges = saved.exchanges.into_vec().into_iter().map(|saved| {
            (saved.exchange, Opened { station: saved.station, expires_at_ms: saved.expires_at_ms })
        });
        let derivations = saved.derivations.into_vec().into_iter().map(|saved| (saved.station, saved.idem));
        Self {
            exchanges: exchanges.collect(),
            derivations: derivations.collect(),
            openings_withheld: saved.openings_withheld,
        }
    }

    pub(super) fn opened(
        &mut self,
        founded: &Founded,
        entry: &LeafEntry,
        leaf: &StationOpenedLeaf,
    ) -> Result<(), Problem> {
        let caller =
            Caller { name: &leaf.station, kind: PrincipalKind::Station, operation: Operation::StationOpen };
        let station =
            founded.principal(&leaf.station, PrincipalKind::Station).map_or(NOBODY, |known| known.place);
        let opened = Opened { station, expires_at_ms: leaf.expires_at_ms };
        let before = self.exchanges.insert(leaf.exchange, opened);
        let _: (OpenStation, _) = statement::open(founded, caller, &leaf.statement)?;
        if before.is_some() {
            return Err(StationProblem::OpenedTwice.into());
        }
        if leaf.expires_at_ms <= entry.time_ms {
            return Err(StationProblem::BornExpired.into());
        }
        Ok(())
    }

    pub(super) const fn opening_not_seen(&mut self) {
        self.openings_withheld = true;
    }

    pub(super) fn derived(
        &mut self,
        site: &Site<'_>,
        entry: &LeafEntry,
        leaf: &CardKeysDerivedLeaf,
    ) -> Result<(), Problem> {
        let caller =
            Caller { name: &leaf.station, kind: PrincipalKind::Station, operation: Operation::CardDerive };
        let (request, station): (DeriveCardKeys, _) = statement::open(site.founded, caller, &leaf.statement)?;
        if !self.derivations.insert((station.place, request.idem)) {
            return Err(StationProblem::StatementTwice.into());
        }
        let open = match self.exchanges.get(&request.exchange) {
            Some(opened) => opened.station == station.place && entry.time_ms < opened.expires_at_ms,
            None => self.openings_withheld,
        };
        if !open {
            return Err(StationProblem::NotOpen.into());
        }
        Ok(check_derived(site, &request, leaf)?)
    }
}
