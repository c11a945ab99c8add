//! The registry as a later run needs it, in one order.

use super::Registry;
use keysvc_protocol::{
    card::{CardRecord, CardUid},
    job::{Book as _, Job, Tally},
    list::{List, WrongCount},
    name::Name,
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Most cards that are kept for a later run: 16 million, a record of 110 bytes each.
const CARDS_MAX: usize = 1 << 24;
/// Most jobs that are kept for a later run.
const JOBS_MAX: usize = 1 << 18;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedJob {
    job: Job,
    tally: Tally,
    items: List<CardUid, CARDS_MAX>,
    list_seen: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedStation {
    station: Name,
    job: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedCard {
    card: CardUid,
    record: CardRecord,
}

/// What a later run needs of jobs and cards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedRegistry {
    jobs: List<SavedJob, JOBS_MAX>,
    stations: List<SavedStation, JOBS_MAX>,
    cards: List<SavedCard, CARDS_MAX>,
    items_not_seen: u64,
}

impl Registry {
    /// What a later run needs.
    ///
    /// # Errors
    /// [`WrongCount`] where there is more than a state file may hold.
    pub(crate) fn save(&self) -> Result<SavedRegistry, WrongCount> {
        let jobs = self.jobs.values().map(|(job, tally)| {
            let listed = self.items.get(&job.name);
            let mut items: Vec<_> = listed.into_iter().flatten().copied().collect();
            items.sort_unstable();
            let list_seen = self.lists_seen.contains(&job.name);
            Ok(SavedJob { job: job.clone(), tally: *tally, items: items.try_into()?, list_seen })
        });
        let stations = self.stations.iter();
        let stations: Vec<_> = stations
            .map(|(station, job)| SavedStation { station: station.clone(), job: job.clone() })
            .collect();
        let cards = self.cards.iter();
        let mut cards: Vec<_> = cards
            .filter_map(|(card, kept)| Some(SavedCard { card: *card, record: self.record(card, *kept)? }))
            .collect();
        cards.sort_unstable_by_key(|saved| saved.card);
        Ok(SavedRegistry {
            jobs: jobs.collect::<Result<Vec<_>, WrongCount>>()?.try_into()?,
            stations: stations.try_into()?,
            cards: cards.try_into()?,
            items_not_seen: self.items_not_seen,
        })
    }

    /// The registry as an earlier run left it.
    pub(crate) fn restore(saved: SavedRegistry) -> Self {
        let mut registry = Self { items_not_seen: saved.items_not_seen, ..Self::default() };
        for SavedJob { job, tally, items, list_seen } in saved.jobs.into_vec() {
            if list_seen {
                registry.lists_seen.insert(job.name.clone());
            }
            if !items.is_empty() {
                let items: HashSet<_> = items.into_vec().into_iter().collect();
                registry.items.insert(job.name.clone(), items);
            }
            registry.jobs.insert(job.name.clone(), (job, tally));
        }
        for SavedStation { station, job } in saved.stations.into_vec() {
            registry.stations.insert(station, job);
        }
        for SavedCard { card, record } in saved.cards.into_vec() {
            // A registry in memory never fails.
            let Ok(()) = registry.put_card(&card, &record);
        }
        registry
    }
}
