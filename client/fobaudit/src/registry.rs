//! The book of jobs and cards in memory, as the log makes it: what [`keysvc_protocol::job::apply`] puts and asks.
//!
//! A card takes about 100 bytes, so that a log with a million cards is followed on any machine: names and causes stand once
//! in lists of their own, and a card holds their places. Judges nothing.

mod saved;

pub(crate) use saved::SavedRegistry;

use keysvc_protocol::{
    card::{CardRecord, CardState, CardUid},
    job::{Book, Job, JobItem, JobState, Membership, Outcome, Tally},
    name::{Name, Reason},
    schema::Schema,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    convert::Infallible,
    hash::Hash,
};

/// The place of the outcome that is none, of good and of sample; the causes of rejects follow.
const NO_OUTCOME: u32 = 0;
const GOOD: u32 = 1;
const SAMPLE: u32 = 2;
const FIRST_CAUSE: u32 = 3;

/// Things that stand once, and are named by their places.
#[derive(Debug, Clone)]
struct Places<T> {
    things: Vec<T>,
    places: HashMap<T, u32>,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self { things: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Places<T> {
    /// The place of a thing. There are fewer of them than cards, and fewer cards than numbers.
    fn of(&mut self, thing: &T) -> u32 {
        if let Some(place) = self.places.get(thing) {
            return *place;
        }
        let place = u32::try_from(self.things.len()).unwrap_or(u32::MAX);
        self.things.push(thing.clone());
        self.places.insert(thing.clone(), place);
        place
    }

    fn at(&self, place: u32) -> Option<&T> {
        usize::try_from(place).ok().and_then(|place| self.things.get(place))
    }
}

/// A card: 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    leaf: u64,
    generation: u32,
    job: u32,
    location: u32,
    outcome: u32,
    state: CardState,
}

/// Jobs, their listed cards, all cards, and what lies at which station.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    jobs: BTreeMap<Name, (Job, Tally)>,
    stations: BTreeMap<Name, Name>,
    items: BTreeMap<Name, HashSet<CardUid>>,
    cards: HashMap<CardUid, Kept>,
    holders: HashMap<CardUid, u64>,
    names: Places<Name>,
    causes: Places<Reason>,
    // Leaves with items whose payloads are not there.
    items_not_seen: u64,
    // Jobs whose lists were seen, at least in part.
    lists_seen: BTreeSet<Name>,
}

impl Registry {
    /// The jobs and their tallies, by name.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &(Job, Tally)> {
        self.jobs.values()
    }

    /// A job and its tally.
    pub(crate) fn job_of(&self, name: &Name) -> Option<&(Job, Tally)> {
        self.jobs.get(name)
    }

    /// How many cards there are.
    pub(crate) fn cards(&self) -> usize {
        self.cards.len()
    }

    /// Where a card is and in which state, where it is known.
    pub(crate) fn place_of(&self, card: &CardUid) -> Option<(&Name, CardState)> {
        let kept = self.cards.get(card)?;
        self.names.at(kept.location).map(|location| (location, kept.state))
    }

    /// Cards by where they are and in which state.
    pub(crate) fn by_place(&self) -> HashMap<(Name, CardState), u64> {
        let mut sums: HashMap<(u32, CardState), u64> = HashMap::new();
        for kept in self.cards.values() {
            let sum = sums.entry((kept.location, kept.state)).or_default();
            *sum = sum.saturating_add(1);
        }
        let named = sums
            .into_iter()
            .filter_map(|((location, state), sum)| Some(((self.names.at(location)?.clone(), state), sum)));
        named.collect()
    }

    /// Purged jobs whose lists of cards were seen all the same: they are still where this log lies.
    pub(crate) fn lists_left(&self) -> impl Iterator<Item = &Name> {
        let purged =
            |name: &&Name| self.jobs.get(*name).is_some_and(|(job, _)| matches!(job.state, JobState::Purged));
        self.lists_seen.iter().filter(purged)
    }

    /// Jobs that are not purged, whose lists of cards are withheld at least in part.
    pub(crate) fn lists_withheld(&self) -> impl Iterator<Item = &Name> {
        let withheld = |(job, _): &&(Job, Tally)| {
            let seen = self.items.get(&job.name).map_or(0, HashSet::len);
            let purged = matches!(job.state, JobState::Purged);
            !purged && u32::try_from(seen).unwrap_or(u32::MAX) < job.items
        };
        self.jobs.values().filter(withheld).map(|(job, _)| &job.name)
    }

    /// Takes note of a leaf with items whose payload is not there.
    pub(crate) const fn items_not_seen(&mut self) {
        self.items_not_seen = self.items_not_seen.saturating_add(1);
    }

    fn kept(&mut self, record: &CardRecord) -> Kept {
        let outcome = match &record.outcome {
            None => NO_OUTCOME,
            Some(Outcome::Good) => GOOD,
            Some(Outcome::Sample) => SAMPLE,
            Some(Outcome::Reject { cause }) => self.causes.of(cause).saturating_add(FIRST_CAUSE),
        };
        Kept {
            leaf: record.leaf,
            generation: record.generation,
            job: self.names.of(&record.job),
            location: self.names.of(&record.location),
            outcome,
            state: record.state,
        }
    }

    fn record(&self, card: &CardUid, kept: Kept) -> Option<CardRecord> {
        let outcome = match kept.outcome {
            NO_OUTCOME => None,
            GOOD => Some(Outcome::Good),
            SAMPLE => Some(Outcome::Sample),
            cause => {
                Some(Outcome::Reject { cause: self.causes.at(cause.saturating_sub(FIRST_CAUSE))?.clone() })
            }
        };
        Some(CardRecord {
            schema: Schema,
            state: kept.state,
            generation: kept.generation,
            job: self.names.at(kept.job)?.clone(),
            location: self.names.at(kept.location)?.clone(),
            leaf: kept.leaf,
            outcome,
            holder: self.holders.get(card).copied(),
        })
    }
}

impl Book for Registry {
    type Fault = Infallible;

    fn job(&mut self, name: &Name) -> Result<Option<(Job, Tally)>, Infallible> {
        Ok(self.jobs.get(name).cloned())
    }

    fn put_job(&mut self, job: &Job, tally: &Tally) -> Result<(), Infallible> {
        self.jobs.insert(job.name.clone(), (job.clone(), *tally));
        Ok(())
    }

    fn job_at(&mut self, station: &Name) -> Result<Option<Name>, Infallible> {
        Ok(self.stations.get(station).cloned())
    }

    fn put_job_at(&mut self, station: &Name, job: Option<&Name>) -> Result<(), Infallible> {
        match job {
            Some(job) => drop(self.stations.insert(station.clone(), job.clone())),
            None => drop(self.stations.remove(station)),
        }
        Ok(())
    }

    fn card(&mut self, card: &CardUid) -> Result<Option<CardRecord>, Infallible> {
        Ok(self.cards.get(card).and_then(|kept| self.record(card, *kept)))
    }

    fn put_card(&mut self, card: &CardUid, record: &CardRecord) -> Result<(), Infallible> {
        let kept = self.kept(record);
        self.cards.insert(*card, kept);
        match record.holder {
            Some(leaf) => drop(self.holders.insert(*card, leaf)),
            None => drop(self.holders.remove(card)),
        }
        Ok(())
    }

    fn listed(&mut self, job: &Name, card: &CardUid) -> Result<Membership, Infallible> {
        let known = self.items.get(job);
        if known.is_some_and(|items| items.contains(card)) {
            return Ok(Membership::Listed);
        }
        let listed = self.jobs.get(job).map_or(0, |(job, _)| job.items);
        let known = known.map_or(0, |items| u32::try_from(items.len()).unwrap_or(u32::MAX));
        // Where all of a job's items were seen, others were erased and not these.
        let erased = self.items_were_erased() && known < listed;
        Ok(if erased { Membership::Erased } else { Membership::NotListed })
    }

    fn put_item(&mut self, job: &Name, item: &JobItem) -> Result<(), Infallible> {
        if !self.lists_seen.contains(job) {
            self.lists_seen.insert(job.clone());
        }
        self.items.entry(job.clone()).or_default().insert(item.card);
        Ok(())
    }

    fn forget_items(&mut self, job: &Name) -> Result<(), Infallible> {
        self.items.remove(job);
        Ok(())
    }

    fn items_were_erased(&self) -> bool {
        self.items_not_seen > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(number: u32) -> CardUid {
        let [a, b, c, d] = number.to_be_bytes();
        CardUid::try_from([4, 0, 0, a, b, c, d].as_slice()).unwrap()
    }

    #[test]
    fn a_card_takes_32_bytes_beside_its_identifier() {
        assert_eq!(size_of::<Kept>(), 32);
        assert!(size_of::<(CardUid, Kept)>() <= 48);
    }

    #[test]
    fn a_card_comes_back_as_it_was_put() {
        let mut registry = Registry::default();
        let reject = |cause: &str| Some(Outcome::Reject { cause: cause.parse().unwrap() });
        let outcomes = [None, Some(Outcome::Good), Some(Outcome::Sample), reject("torn"), reject("mute")];
        for (number, outcome) in (0..).zip(outcomes) {
            let record = CardRecord {
                schema: Schema,
                state: CardState::Ready,
                generation: 1 + number,
                job: format!("job-{}", number % 2).parse().unwrap(),
                location: "station-1".parse().unwrap(),
                leaf: 7,
                outcome,
                holder: (number == 2).then_some(9),
            };
            registry.put_card(&uid(number), &record).unwrap();
            assert_eq!(registry.card(&uid(number)).unwrap(), Some(record));
        }
        assert_eq!(registry.card(&uid(99)).unwrap(), None);
        let places: Vec<_> = registry.by_place().into_values().collect();
        assert_eq!(places, [5]);
    }
}
