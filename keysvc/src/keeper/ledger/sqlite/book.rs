//! The book that jobs and cards are kept in ([`Book`]), over the store's tables.
//!
//! What is put is held back until [`JobBook::into_puts`] is written, so that a change that is refused, or fails before its
//! leaf, has written nothing. Rules are [`keysvc_protocol::job`]'s, which puts only what it has read before: what is held
//! back is never asked for.

use super::{
    super::{
        fault::LedgerFault,
        seal::{Seals, Tags},
    },
    Rows,
};
use keysvc_protocol::{
    card::{CardRecord, CardUid},
    cbor,
    job::{Book, Job, JobItem, Membership, Tally},
    name::Name,
};

/// How items are kept.
#[derive(Clone, Copy)]
pub(in super::super) enum Items<'a> {
    /// Sealed under their job's data key.
    Sealed(&'a Seals),
    /// As the tag of their bytes: made again from the leaves, to be compared. `erased`: leaves with items were seen whose
    /// payloads are gone.
    Again {
        /// The data keys that are there.
        seals: &'a Seals,
        /// Whether some items are not to be had any more.
        erased: bool,
    },
}

/// The book at one place of the log.
pub(in super::super) struct JobBook<'a> {
    rows: Rows<'a>,
    tags: &'a Tags,
    items: Items<'a>,
    puts: Puts,
}

/// What was put and is not written yet.
#[derive(Default)]
pub(in super::super) struct Puts(Vec<Put>);

enum Put {
    Job(Box<Job>, Tally),
    JobAt(Name, Option<Name>),
    Card([u8; 16], CardRecord),
    Item { job: Name, tag: [u8; 16], kept: Vec<u8> },
    NoItems(Name),
}

impl Puts {
    /// Writes it, each row with its mark.
    pub(in super::super) fn write(&self, rows: Rows<'_>, tags: &Tags) -> Result<(), LedgerFault> {
        self.0.iter().try_for_each(|put| match put {
            Put::Job(job, tally) => rows.put_job(tags, job, tally),
            Put::JobAt(station, job) => rows.put_job_at(tags, station, job.as_ref()),
            Put::Card(tag, record) => rows.put_card(tags, tag, record),
            Put::Item { job, tag, kept } => rows.put_item(job, tag, kept),
            Put::NoItems(job) => rows.forget_items(job),
        })
    }
}

impl<'a> JobBook<'a> {
    pub(in super::super) fn new(rows: Rows<'a>, tags: &'a Tags, items: Items<'a>) -> Self {
        Self { rows, tags, items, puts: Puts::default() }
    }

    /// What was put, to be written.
    pub(in super::super) fn into_puts(self) -> Puts {
        self.puts
    }

    fn put(&mut self, put: Put) {
        self.puts.0.push(put);
    }
}

impl Book for JobBook<'_> {
    type Fault = LedgerFault;

    fn job(&mut self, name: &Name) -> Result<Option<(Job, Tally)>, LedgerFault> {
        self.rows.job(self.tags, name)
    }

    fn put_job(&mut self, job: &Job, tally: &Tally) -> Result<(), LedgerFault> {
        self.put(Put::Job(Box::new(job.clone()), *tally));
        Ok(())
    }

    fn job_at(&mut self, station: &Name) -> Result<Option<Name>, LedgerFault> {
        self.rows.job_at(self.tags, station)
    }

    fn put_job_at(&mut self, station: &Name, job: Option<&Name>) -> Result<(), LedgerFault> {
        self.put(Put::JobAt(station.clone(), job.cloned()));
        Ok(())
    }

    fn card(&mut self, card: &CardUid) -> Result<Option<CardRecord>, LedgerFault> {
        self.rows.card(self.tags, &self.tags.of_card(card))
    }

    fn put_card(&mut self, card: &CardUid, record: &CardRecord) -> Result<(), LedgerFault> {
        self.put(Put::Card(self.tags.of_card(card), record.clone()));
        Ok(())
    }

    fn listed(&mut self, job: &Name, card: &CardUid) -> Result<Membership, LedgerFault> {
        if self.rows.has_item(job, &self.tags.of_item(job, card))? {
            return Ok(Membership::Listed);
        }
        Ok(match self.items {
            Items::Again { seals, erased: true } if !seals.has_job(job) => Membership::Erased,
            Items::Again { .. } | Items::Sealed(_) => Membership::NotListed,
        })
    }

    fn put_item(&mut self, job: &Name, item: &JobItem) -> Result<(), LedgerFault> {
        let (tag, clear) = (self.tags.of_item(job, &item.card), cbor::encode(item));
        let kept = match self.items {
            Items::Sealed(seals) => seals.seal_item(job, &tag, &clear)?,
            Items::Again { .. } => self.tags.of_item_bytes(&clear).to_vec(),
        };
        self.put(Put::Item { job: job.clone(), tag, kept });
        Ok(())
    }

    fn forget_items(&mut self, job: &Name) -> Result<(), LedgerFault> {
        self.put(Put::NoItems(job.clone()));
        Ok(())
    }

    fn items_were_erased(&self) -> bool {
        matches!(self.items, Items::Again { erased: true, .. })
    }
}
