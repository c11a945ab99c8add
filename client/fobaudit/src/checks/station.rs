//! Exchanges with stations: opened by the station's own statement, and card keys only while one is open.

use super::{
    Site,
    card::{check_derived, slots_of},
    statement::{self, Caller},
};
use crate::finding::{PeopleProblem, Problem, StationProblem};
use keysvc_protocol::{
    bytes::{Exchange, Idem},
    card::CardUid,
    founding::PrincipalKind,
    freeze::Touched,
    key::KeyState,
    leaf::{CardKeysDerivedLeaf, LeafEntry, StationOpenedLeaf},
    list::{List, WrongCount},
    name::Name,
    request::{DeriveCardKeys, OpenStation, Operation},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Most exchanges, and most derivations, that are kept for a later run: a derivation takes 30 bytes in the file, 16
/// million of them 480 MB.
const KEPT_MAX: usize = 1 << 24;
/// Most master keys with cards that are kept for a later run.
const KEYS_MAX: usize = 4096;
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

/// The cards issued under a master key, as a later run needs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedIssue {
    key: Name,
    version: u32,
    cards: List<CardUid, KEPT_MAX>,
}

/// What a later run needs of the stations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedStations {
    exchanges: List<SavedExchange, KEPT_MAX>,
    derivations: List<SavedDerivation, KEPT_MAX>,
    openings_withheld: bool,
    derivations_withheld: bool,
    issued: List<SavedIssue, KEYS_MAX>,
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
    // Whether a derivation is withheld: then a card may have been issued in it.
    derivations_withheld: bool,
    // Cards by the master key that they were issued under: 16 bytes each.
    issued: BTreeMap<(Name, u32), HashSet<CardUid>>,
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
        let issued = self.issued.iter().map(|((key, version), cards)| {
            let mut cards: Vec<_> = cards.iter().copied().collect();
            cards.sort_unstable();
            Ok(SavedIssue { key: key.clone(), version: *version, cards: cards.try_into()? })
        });
        Ok(SavedStations {
            issued: issued.collect::<Result<Vec<_>, WrongCount>>()?.try_into()?,
            derivations_withheld: self.derivations_withheld,
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
        let issued = saved.issued.into_vec().into_iter().map(|saved| {
            ((saved.key, saved.version), saved.cards.into_vec().into_iter().collect::<HashSet<_>>())
        });
        Self {
            issued: issued.collect(),
            derivations_withheld: saved.derivations_withheld,
            exchanges: exchanges.collect(),
            derivations: derivations.collect(),
            openings_withheld: saved.openings_withheld,
        }
    }

    pub(super) fn opened(
        &mut self,
        site: &Site<'_>,
        entry: &LeafEntry,
        leaf: &StationOpenedLeaf,
    ) -> Result<(), Problem> {
        let caller =
            Caller { name: &leaf.station, kind: PrincipalKind::Station, operation: Operation::StationOpen };
        let known = site.people.principal(&leaf.station, PrincipalKind::Station);
        let opened =
            Opened { station: known.map_or(NOBODY, |known| known.place), expires_at_ms: leaf.expires_at_ms };
        let before = self.exchanges.insert(leaf.exchange, opened);
        let _: (OpenStation, _) = statement::open(site, caller, &leaf.statement)?;
        if before.is_some() {
            return Err(StationProblem::OpenedTwice.into());
        }
        if leaf.expires_at_ms <= entry.time_ms {
            return Err(StationProblem::BornExpired.into());
        }
        Ok(site.people.is_free(&Touched { station: Some(&leaf.station), ..Touched::default() })?)
    }

    pub(super) const fn opening_not_seen(&mut self) {
        self.openings_withheld = true;
    }

    pub(super) const fn derivation_not_seen(&mut self) {
        self.derivations_withheld = true;
    }

    pub(super) fn derived(
        &mut self,
        site: &Site<'_>,
        entry: &LeafEntry,
        leaf: &CardKeysDerivedLeaf,
    ) -> Result<(), Problem> {
        let caller =
            Caller { name: &leaf.station, kind: PrincipalKind::Station, operation: Operation::CardDerive };
        let (request, station): (DeriveCardKeys, _) = statement::open(site, caller, &leaf.statement)?;
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
        check_derived(site, &request, leaf)?;
        self.check_keys(site, &leaf.station, &request)
    }

    /// Whether nothing it touches was stopped, and each master key was in a state that derives for these cards.
    fn check_keys(
        &mut self,
        site: &Site<'_>,
        station: &Name,
        request: &DeriveCardKeys,
    ) -> Result<(), Problem> {
        let (profile, slots) = slots_of(site, request)?;
        let masters: BTreeSet<_> =
            slots.iter().map(|slot| (&slot.key, u32::from(slot.key_version))).collect();
        let keys: Vec<Name> = masters.iter().map(|(key, _)| (*key).clone()).collect();
        let touched = Touched {
            cards: &request.cards,
            station: Some(station),
            profile: Some(&profile.name),
            keys: &keys,
            ..Touched::default()
        };
        site.people.is_free(&touched)?;
        for (key, version) in masters {
            self.derives(site, (key, version), &request.cards)?;
        }
        Ok(())
    }

    fn derives(
        &mut self,
        site: &Site<'_>,
        (key, version): (&Name, u32),
        cards: &[CardUid],
    ) -> Result<(), PeopleProblem> {
        let Some(standing) = site.people.key(key, version).filter(|_| !site.people.is_lost()) else {
            return Ok(());
        };
        let issued = self.issued.entry((key.clone(), version)).or_default();
        match standing.state {
            KeyState::Active => issued.extend(cards),
            KeyState::Deactivated => {
                let before = cards.iter().all(|card| issued.contains(card));
                if !before && !self.derivations_withheld {
                    return Err(PeopleProblem::NotIssued { key: key.clone(), version });
                }
            }
            state => return Err(PeopleProblem::KeyState { key: key.clone(), version, state }),
        }
        Ok(())
    }
}
