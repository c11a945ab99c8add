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
    name::Name,
    request::{DeriveCardKeys, OpenStation, Operation},
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
struct Opened {
    station: Name,
    expires_at_ms: u64,
}

/// The exchanges so far, and the idempotency keys of derivations: a few hundred bytes for each shift of a station.
#[derive(Debug, Default)]
pub(super) struct Stations {
    exchanges: BTreeMap<Exchange, Opened>,
    derivations: BTreeSet<(Name, Idem)>,
    // Whether an opening is withheld: then an unknown exchange proves nothing.
    openings_withheld: bool,
}

impl Stations {
    pub(super) fn opened(
        &mut self,
        founded: &Founded,
        entry: &LeafEntry,
        leaf: &StationOpenedLeaf,
    ) -> Result<(), Problem> {
        let caller =
            Caller { name: &leaf.station, kind: PrincipalKind::Station, operation: Operation::StationOpen };
        let opened = Opened { station: leaf.station.clone(), expires_at_ms: leaf.expires_at_ms };
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
        let (request, _): (DeriveCardKeys, _) = statement::open(site.founded, caller, &leaf.statement)?;
        if !self.derivations.insert((leaf.station.clone(), request.idem)) {
            return Err(StationProblem::StatementTwice.into());
        }
        let open = match self.exchanges.get(&request.exchange) {
            Some(opened) => opened.station == leaf.station && entry.time_ms < opened.expires_at_ms,
            None => self.openings_withheld,
        };
        if !open {
            return Err(StationProblem::NotOpen.into());
        }
        Ok(check_derived(site, &request, leaf)?)
    }
}
