//! What the log says of jobs and of the cards they make.
//!
//! Apart from the other reading because only jobs and cards ask for it. Who may see what of it is not decided here.

use super::Reader;
use crate::keeper::ledger::{fault::LedgerFault, seal::Tags, sqlite::Rows};
use keysvc_protocol::{
    card::{CardRecord, CardUid, HolderRef},
    cbor::{self, REQUEST_LEN_MAX},
    cose::Signed,
    job::{Job, JobItem, Tally},
    leaf::{CardsChangedLeaf, LeafKind},
    name::Name,
    receipt::LEAF_PAYLOAD_LEN_MAX,
    request::MoveCards,
};

/// Longest encoded item of a job, in bytes: a card, 256 bytes of data, the frame.
const ITEM_LEN_MAX: usize = 512;

impl Reader {
    /// A job and what the log says of its cards, if there ever was one of this name.
    ///
    /// # Errors
    /// The store's.
    pub fn job(&self, name: &Name) -> Result<Option<(Job, Tally)>, LedgerFault> {
        self.with_tags(None, |rows, tags| rows.job(tags, name))
    }

    /// The jobs after a name in the order of names, at most `limit`; purged ones too where `purged` says so.
    ///
    /// # Errors
    /// The store's.
    pub fn jobs(
        &self,
        after: Option<&Name>,
        purged: bool,
        limit: usize,
    ) -> Result<Vec<(Job, Tally)>, LedgerFault> {
        self.with_tags(Vec::new(), |rows, tags| rows.jobs(tags, after, purged, limit))
    }

    /// The jobs of one station, as [`Reader::jobs`] gives those of all.
    ///
    /// # Errors
    /// The store's.
    pub fn jobs_of(
        &self,
        station: &Name,
        after: Option<&Name>,
        purged: bool,
        limit: usize,
    ) -> Result<Vec<(Job, Tally)>, LedgerFault> {
        self.with_tags(Vec::new(), |rows, tags| rows.jobs_of((tags, station), after, purged, limit))
    }

    /// Reads what has marks; `none` before the first of it was written, for the tags come with it.
    fn with_tags<T>(
        &self,
        none: T,
        read: impl FnOnce(Rows<'_>, &Tags) -> Result<T, LedgerFault>,
    ) -> Result<T, LedgerFault> {
        self.0.read(|rows| match self.0.tags(rows)? {
            // What is not there, its neighbours say: all of it is read as it is at one moment.
            Some(tags) => rows.at_one_moment(|rows| read(rows, &tags)),
            None => Ok(none),
        })
    }

    /// Whether any item of a job lies in the store.
    ///
    /// # Errors
    /// The store's.
    pub fn has_items(&self, job: &Name) -> Result<bool, LedgerFault> {
        self.0.read(|rows| rows.has_items(job))
    }

    /// A card as the registry has it; nothing of one it has not met.
    ///
    /// # Errors
    /// The store's.
    pub fn card(&self, card: &CardUid) -> Result<Option<CardRecord>, LedgerFault> {
        self.with_tags(None, |rows, tags| rows.card(tags, &tags.of_card(card)))
    }

    /// An item of a job, opened; nothing where the card is none of the job's, or the job's items are gone.
    ///
    /// # Errors
    /// [`LedgerFault::NoJobSeal`] when the job's data key is not there, [`LedgerFault::SealBroken`] when the item is
    /// another row's; else the store's.
    pub fn item(&self, job: &Name, card: &CardUid) -> Result<Option<JobItem>, LedgerFault> {
        self.0.read(|rows| {
            let Some(tags) = self.0.tags(rows)? else { return Ok(None) };
            let tag = tags.of_item(job, card);
            let Some(sealed) = rows.item(job, &tag)? else { return Ok(None) };
            let clear = self.0.seals.open_item(job, &tag, &sealed)?;
            let broken = |_| LedgerFault::BrokenTable { table: "job_item" };
            cbor::decode(&clear, ITEM_LEN_MAX).map(Some).map_err(broken)
        })
    }

    /// The jobs that are closed and not purged, by name.
    ///
    /// # Errors
    /// The store's.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone does not take every lifetime"
    )]
    pub fn jobs_to_purge(&self) -> Result<Vec<Name>, LedgerFault> {
        self.0.read(|rows| rows.jobs_to_purge())
    }

    /// How many jobs should have been purged by now.
    ///
    /// # Errors
    /// The store's.
    pub fn overdue(&self, now_ms: u64) -> Result<u64, LedgerFault> {
        self.0.read(|rows| rows.overdue(now_ms))
    }

    /// How many cards the registry has.
    ///
    /// # Errors
    /// The store's.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method alone does not take every lifetime"
    )]
    pub fn cards(&self) -> Result<u64, LedgerFault> {
        self.0.read(|rows| rows.cards())
    }

    /// The reference to a card's holder in the leaf by which it was given out ([`CardRecord::holder`]); nothing where the
    /// leaf says none.
    ///
    /// # Errors
    /// As [`Reader::leaf`].
    pub fn holder(&self, leaf: u64) -> Result<Option<HolderRef>, LedgerFault> {
        let (kind, payload) = self.leaf(leaf)?.act()?;
        if kind != LeafKind::CardsChanged {
            return Ok(None);
        }
        let broken = LedgerFault::Broken { leaf };
        let changed: CardsChangedLeaf =
            cbor::decode(&payload, LEAF_PAYLOAD_LEN_MAX).map_err(|_| broken.clone())?;
        let signed = Signed::parse(changed.statement.0.as_bytes()).map_err(|_| broken)?;
        // A station's results have no holder.
        let moved = cbor::decode::<MoveCards>(signed.recorded_payload(), REQUEST_LEN_MAX);
        Ok(moved.ok().and_then(|moved| moved.holder))
    }
}
