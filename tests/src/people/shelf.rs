//! A book of jobs and cards in maps.

use keysvc_protocol::{
    card::{CardRecord, CardUid},
    job::{Book, Job, JobItem, Membership, Tally},
    name::Name,
};
use std::{collections::BTreeMap, convert::Infallible};

/// Jobs and cards in maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shelf {
    /// The jobs.
    pub jobs: BTreeMap<Name, (Job, Tally)>,
    /// The cards.
    pub cards: BTreeMap<CardUid, CardRecord>,
    /// The job whose data a station holds.
    pub stations: BTreeMap<Name, Name>,
    /// The items of jobs whose data are there.
    pub items: BTreeMap<(Name, CardUid), JobItem>,
    /// Whether leaves with items were seen whose payloads are erased.
    pub erased: bool,
}

impl Book for Shelf {
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
            Some(job) => self.stations.insert(station.clone(), job.clone()),
            None => self.stations.remove(station),
        };
        Ok(())
    }

    fn card(&mut self, card: &CardUid) -> Result<Option<CardRecord>, Infallible> {
        Ok(self.cards.get(card).cloned())
    }

    fn put_card(&mut self, card: &CardUid, record: &CardRecord) -> Result<(), Infallible> {
        self.cards.insert(*card, record.clone());
        Ok(())
    }

    fn listed(&mut self, job: &Name, card: &CardUid) -> Result<Membership, Infallible> {
        Ok(match self.items.contains_key(&(job.clone(), *card)) {
            true => Membership::Listed,
            false if self.erased => Membership::Erased,
            false => Membership::NotListed,
        })
    }

    fn put_item(&mut self, job: &Name, item: &JobItem) -> Result<(), Infallible> {
        self.items.insert((job.clone(), item.card), item.clone());
        Ok(())
    }

    fn forget_items(&mut self, job: &Name) -> Result<(), Infallible> {
        self.items.retain(|(of, _), _| of != job);
        Ok(())
    }

    fn items_were_erased(&self) -> bool {
        self.erased
    }
}
