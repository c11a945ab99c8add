//! The store held against its own log: every projection is made again from the leaves and compared row by row.
//!
//! For an operator who wants to know whether a store is what its log says, after a crash, a restore or a doubt. Apart
//! from the writer, which trusts what it wrote; nothing here writes. What takes people is followed by the same rules as
//! the writer's ([`keysvc_protocol::control`]), signatures and all. Whether the policies would have let the callers is
//! `fobaudit`'s to say over an export.

mod acts;
mod findings;
mod jobs;
mod leaves;
mod purses;
mod records;
mod requests;
mod stored;
mod tables;
#[cfg(test)]
mod tests;

pub use findings::{Difference, Findings, NAMED_MAX, Part};
pub use stored::Stored;

use super::{
    fault::LedgerFault,
    seal::{Seals, Tags},
    sqlite::Rows,
};
use keysvc_protocol::{
    bytes::Digest,
    control::Control,
    key::KeyRecord,
    merkle::{Frontier, TreeHead},
};
use purses::Purses;
use records::Records;
use requests::Requests;
use std::{collections::BTreeMap, fmt};

/// Leaves between two words on how far it is.
const TOLD_EVERY: u64 = 1_000;

/// What a verification needs beside the store.
pub struct Means<'a> {
    /// The genesis digest: the scope of all signatures.
    pub genesis: Digest,
    /// The data keys, unwrapped by the token.
    pub seals: &'a Seals,
    /// The size whose root is wanted, in leaves: the anchor's.
    pub root_at: Option<u64>,
}

impl fmt::Debug for Means<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Means").field("genesis", &self.genesis).finish_non_exhaustive()
    }
}

/// What is being done, for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The database's pages and indices are looked through.
    Database,
    /// So many leaves of so many were read.
    Leaves {
        /// Leaves read.
        read: u64,
        /// Leaves in the log.
        of: u64,
    },
    /// Purses, proposals and the other projections are compared.
    Purses,
}

/// What the leaves alone say.
#[derive(Debug)]
pub struct Rebuilt {
    /// Size and root over the leaves that were read.
    pub head: TreeHead,
    /// Root over leaf 0; nothing of an empty log.
    pub genesis: Option<Digest>,
    /// The root that was asked for ([`Means::root_at`]), where the log reaches it.
    pub root: Option<Digest>,
    /// The keys.
    pub keys: Vec<KeyRecord>,
    /// Leaves by kind, in the order of the kinds' numbers.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Idempotency keys that were forgotten after their 90 days.
    pub forgotten: u64,
    /// Leaves of purged jobs whose payloads are erased: their entries and nodes are compared, and nothing else of them.
    pub erased: u64,
    /// What was compared and what differs.
    pub findings: Findings,
}

/// The walk along the leaves.
struct Walk<'a, 's> {
    means: &'a Means<'a>,
    tags: Option<Tags>,
    frontier: Frontier,
    time_ms: u64,
    control: Option<Control>,
    purses: Purses,
    requests: Requests<'s>,
    records: Records,
    // The store, to tell what was erased from what does not open.
    rows: Rows<'s>,
    // Leaves sealed under each data key, and those of each data key that was erased with its job.
    sealed: BTreeMap<u32, u64>,
    erased: BTreeMap<u32, u64>,
    genesis: Option<Digest>,
    root: Option<Digest>,
    kinds: BTreeMap<&'static str, u64>,
    findings: Findings,
}

impl Stored {
    /// Makes every projection again from the leaves and compares.
    ///
    /// Memory does not grow with the log: leaves and idempotency keys are read side by side in the order of leaves;
    /// purses, proposals and cards under keys are made in a scratch database with a page cache of 64 MiB, 1,000,000
    /// purses of which take about 80 MiB there, the rest in an unnamed file; keys, intents and data keys are some dozens
    /// a year, and of each proposal that ended its identifier is held.
    ///
    /// # Errors
    /// [`LedgerFault`] when the store cannot be read at all; what can be read and is wrong is a finding.
    pub fn rebuild(&self, means: &Means<'_>, tell: &mut dyn FnMut(Stage)) -> Result<Rebuilt, LedgerFault> {
        let mut findings = Findings::default();
        tell(Stage::Database);
        self.check_pages(&mut findings)?;
        let rows = self.rows();
        let tags = open_tags(rows, means.seals, &mut findings)?;
        let Some((last, last_ms)) = self.last()? else {
            findings.differ(Part::Leaf, "0", "the founding", "no leaf");
            return Ok(nothing(findings));
        };
        let mut idems = requests::ordered(rows)?;
        let mut walk = Walk {
            means,
            tags,
            frontier: Frontier::new(),
            time_ms: 0,
            control: None,
            purses: Purses::new()?,
            requests: Requests::new(&mut idems, last_ms)?,
            records: Records::default(),
            rows,
            sealed: BTreeMap::new(),
            erased: BTreeMap::new(),
            genesis: None,
            root: None,
            kinds: BTreeMap::new(),
            findings,
        };
        if let Some(tags) = &walk.tags {
            walk.purses.rows().begin_chains(tags)?;
        }
        let of = last.saturating_add(1);
        let whole = self.each_leaf(|row| {
            let index = row.index;
            if index % TOLD_EVERY == 0 {
                tell(Stage::Leaves { read: index, of });
            }
            walk.leaf(row)
        });
        match whole {
            // Past a leaf that is not there nothing the store holds can be told right from wrong.
            Ok(false) => {}
            Ok(true) => {
                tell(Stage::Purses);
                walk.compare(rows)?;
            }
            Err(fault) => {
                let at = walk.frontier.size().to_string();
                walk.findings.differ(Part::Leaf, &at, "a leaf", &format!("cannot be read: {fault}"));
            }
        }
        Ok(walk.end())
    }
}

impl Walk<'_, '_> {
    /// Compares the tables with what the leaves came to.
    fn compare(&mut self, rows: Rows<'_>) -> Result<(), LedgerFault> {
        self.requests.end(&mut self.findings)?;
        if self.tags.is_some() {
            self.purses.compare(rows, &mut self.findings)?;
        }
        self.records.compare(rows, &mut self.findings)?;
        self.compare_jobs(rows)?;
        tables::compare(self.purses.rows(), rows, self.tags.is_some(), &mut self.findings)?;
        self.records.compare_data_keys(rows, (&self.sealed, &self.erased), &mut self.findings)
    }

    fn end(self) -> Rebuilt {
        Rebuilt {
            head: self.frontier.head(),
            genesis: self.genesis,
            root: self.root,
            forgotten: self.requests.forgotten(),
            erased: self.erased.into_values().fold(0, u64::saturating_add),
            keys: self.records.into_keys(),
            kinds: self.kinds,
            findings: self.findings,
        }
    }
}

fn nothing(findings: Findings) -> Rebuilt {
    let (kinds, keys) = (BTreeMap::new(), Vec::new());
    let head = Frontier::new().head();
    Rebuilt { head, genesis: None, root: None, keys, kinds, forgotten: 0, erased: 0, findings }
}

/// Opens the key of the tags. Without it neither purses nor repeated requests can be told.
fn open_tags(rows: Rows<'_>, seals: &Seals, findings: &mut Findings) -> Result<Option<Tags>, LedgerFault> {
    let Some((id, sealed)) = rows.tags_key()? else { return Ok(None) };
    findings.compared(Part::TagsKey, 1);
    match Tags::unsealed(seals, id, &sealed) {
        Ok(tags) => Ok(Some(tags)),
        Err(fault) => {
            let found = format!("a key that does not open: {fault}; purses and requests are not compared");
            findings.differ(Part::TagsKey, "0", "the key by which purses and requests are found", &found);
            Ok(None)
        }
    }
}
