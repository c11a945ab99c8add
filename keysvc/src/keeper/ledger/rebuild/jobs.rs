//! Jobs and cards, made again by the rules of the protocol ([`keysvc_protocol::job`]) and compared with the store's.
//!
//! Apart from the other acts because one state machine follows them all. Items cannot be made again byte by byte, for
//! each is sealed under a nonce of its own: they are opened and compared by the tag of what they say. Of a job whose
//! data key is erased nobody can, and neither side counts them.

use super::{
    super::{
        fault::LedgerFault,
        seal::{Seals, Tags},
        sqlite::{Items, JobBook, Rows, read_fault},
    },
    Walk,
    findings::{Findings, Part},
    leaves::hex,
};
use keysvc_protocol::{
    card::CardRecord,
    cbor,
    control::At,
    hash::sha256,
    job::{self, Job, JobState, Judge, Tally, Trust},
    leaf::{LeafEntry, LeafKind},
    name::Name,
};

/// Jobs compared at a time where their records are looked into.
const JOBS_AT_A_TIME: usize = 64;

impl Walk<'_, '_> {
    /// Has the book of jobs and cards follow, by the state of what takes people as it stands before the leaf.
    pub(super) fn book(
        &mut self,
        entry: &LeafEntry,
        kind: LeafKind,
        payload: &[u8],
        by_quorum: bool,
    ) -> Result<(), LedgerFault> {
        let (Some(control), Some(tags)) = (&self.control, &self.tags) else { return Ok(()) };
        let at = At { index: entry.index, time_ms: entry.time_ms };
        // The callers' signatures are verified with the requests that may be repeated.
        let judge = Judge { control, at, trust: Trust::Caller, by_quorum };
        let rows = self.purses.rows();
        let items = Items::Again { seals: self.means.seals, erased: !self.erased.is_empty() };
        let mut book = JobBook::new(rows, tags, items);
        match job::apply(&mut book, &judge, kind, payload)? {
            Ok(()) => book.into_puts().write(rows, tags),
            Err(refusal) => {
                self.wrong(entry.index, "a leaf that the rules of jobs allow", &refusal.to_string());
                Ok(())
            }
        }
    }

    /// Compares the items, and has what is erased of drafts count for neither side. Without the tags no book was made.
    pub(super) fn compare_jobs(&mut self, store: Rows<'_>) -> Result<(), LedgerFault> {
        let Some(tags) = &self.tags else { return Ok(()) };
        let (ours, seals) = (self.purses.rows(), self.means.seals);
        let mut after: Option<Name> = None;
        loop {
            let jobs = ours.jobs(tags, after.as_ref(), false, JOBS_AT_A_TIME)?;
            let Some((last, _)) = jobs.last() else { break };
            after = Some(last.name.clone());
            for (job, tally) in jobs.iter().filter(|(job, _)| !seals.has_job(&job.name)) {
                without_key(tags, (job, tally), (ours, store), &mut self.findings)?;
            }
        }
        items(ours, store, (tags, seals), &mut self.findings)
    }
}

/// A job whose data key is not there. While it is worked on that is a difference; of a withdrawn draft what the store says
/// was built up is taken over, for no seal ever fixed it.
fn without_key(
    tags: &Tags,
    (job, tally): (&Job, &Tally),
    (ours, store): (Rows<'_>, Rows<'_>),
    findings: &mut Findings,
) -> Result<(), LedgerFault> {
    if job.state != JobState::Closed {
        if job.head.listed && job.items > 0 {
            let wanted = format!("a data key, for the job is {}", job.state);
            findings.differ(Part::DataKey, &format!("of job {}", job.name), &wanted, "none that opens");
        }
        return Ok(());
    }
    // One that does not read differs anyway.
    let Ok(Some((other, _))) = store.job(tags, &job.name) else { return Ok(()) };
    if job.sealed.is_none() {
        ours.put_job(tags, &Job { items: other.items, edge: other.edge, ..job.clone() }, tally)?;
    }
    Ok(())
}

/// A card's record in words; its digest tells what they leave out.
pub(super) fn card(record: &[u8]) -> String {
    let digest = sha256(&[record]);
    let Ok(card) = cbor::decode::<CardRecord>(record, record.len()) else {
        return format!("bytes that are no card, record {digest}");
    };
    let CardRecord { state, generation, job, location, leaf, .. } = card;
    format!("{state}, generation {generation}, of job {job}, at {location}, leaf {leaf}, record {digest}")
}

/// Whether a job's items are erased and their rows may still lie there: between the end of its data key and the leaf that
/// says it is purged.
fn is_going(job: &Job, seals: &Seals) -> bool {
    job.state == JobState::Closed && !seals.has_job(&job.name)
}

/// An item's row: job, tag, and what is kept.
type Row = (String, Vec<u8>, Vec<u8>);

/// Holds the items side by side in the order of jobs and tags.
fn items(
    ours: Rows<'_>,
    theirs: Rows<'_>,
    (tags, seals): (&Tags, &Seals),
    findings: &mut Findings,
) -> Result<(), LedgerFault> {
    let sql = "SELECT job, tag, sealed FROM job_item ORDER BY job, tag";
    let (mut log_rows, mut store_rows) =
        (ours.0.prepare(sql).map_err(read_fault)?, theirs.0.prepare(sql).map_err(read_fault)?);
    let mut log_rows = log_rows.query([]).map_err(read_fault)?;
    let mut store_rows = store_rows.query([]).map_err(read_fault)?;
    let (mut log, mut store) = (next(&mut log_rows)?, next(&mut store_rows)?);
    let mut jobs = Jobs { rows: ours, tags, seals, last: None };
    loop {
        let (ours_first, theirs_first) = match (&log, &store) {
            (None, None) => return Ok(()),
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(left), Some(right)) => (key(left) <= key(right), key(right) <= key(left)),
        };
        let mine = if ours_first { std::mem::replace(&mut log, next(&mut log_rows)?) } else { None };
        let other = if theirs_first { std::mem::replace(&mut store, next(&mut store_rows)?) } else { None };
        let Some(either) = mine.as_ref().or(other.as_ref()) else { continue };
        if jobs.is_going(&either.0)? {
            continue;
        }
        findings.compared(Part::JobItem, 1);
        let log_says = mine.as_ref().map(|(_, _, kept)| kept.clone());
        let store_says = other.as_ref().map(|row| opened(row, tags, seals)).transpose();
        if store_says.as_ref() != Ok(&log_says) {
            let key = format!("{} {}", either.0, hex(&either.1));
            let say = |kept: Option<Vec<u8>>| {
                kept.map_or_else(|| "no such item".to_owned(), |kept| format!("item {}", hex(&kept)))
            };
            let found = store_says.map_or_else(|why| why, say);
            findings.differ(Part::JobItem, &key, &say(log_says), &found);
        }
    }
}

fn key(row: &Row) -> (&str, &[u8]) {
    (&row.0, &row.1)
}

/// The tag of an item's bytes, or why it does not open.
fn opened((job, tag, sealed): &Row, tags: &Tags, seals: &Seals) -> Result<Vec<u8>, String> {
    let fault = |fault: LedgerFault| format!("an item that does not open: {fault}");
    let job: Name = job.parse().map_err(|_| "an item of no job".to_owned())?;
    let tag: [u8; 16] = tag.as_slice().try_into().map_err(|_| "a tag of another length".to_owned())?;
    let clear = seals.open_item(&job, &tag, sealed).map_err(fault)?;
    Ok(tags.of_item_bytes(&clear).to_vec())
}

/// The jobs whose items are left out, asked job by job in the order of rows.
struct Jobs<'a> {
    rows: Rows<'a>,
    tags: &'a Tags,
    seals: &'a Seals,
    last: Option<(String, bool)>,
}

impl Jobs<'_> {
    fn is_going(&mut self, name: &str) -> Result<bool, LedgerFault> {
        if let Some((_, going)) = self.last.as_ref().filter(|(last, _)| last == name) {
            return Ok(*going);
        }
        let parsed: Option<Name> = name.parse().ok();
        let job = parsed.map(|name| self.rows.job(self.tags, &name)).transpose()?.flatten();
        let going = job.is_some_and(|(job, _)| is_going(&job, self.seals));
        self.last = Some((name.to_owned(), going));
        Ok(going)
    }
}

fn next(rows: &mut rusqlite::Rows<'_>) -> Result<Option<Row>, LedgerFault> {
    let Some(row) = rows.next().map_err(read_fault)? else { return Ok(None) };
    let read = || -> rusqlite::Result<Row> { Ok((row.get(0)?, row.get(1)?, row.get(2)?)) };
    read().map(Some).map_err(|_| LedgerFault::BrokenTable { table: "job_item" })
}
