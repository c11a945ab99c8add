//! The statements about jobs, their items and the cards of the registry.
//!
//! Apart from the other statements because only [`keysvc_protocol::job`] asks them. A card and an item are found by
//! their tags; whose tag it is, and what an item says, is the caller's.

use super::{Rows, unsigned};
use crate::keeper::ledger::{fault::LedgerFault, sqlite::read_fault};
use keysvc_protocol::{
    card::CardRecord,
    cbor,
    job::{JOB_RECORD_LEN_MAX, Job, JobState, Tally},
    name::Name,
};
use rusqlite::{Params, Row, params};

/// Longest encoded card in the registry, in bytes: two names of 64, a cause of 200, some numbers.
const CARD_RECORD_LEN_MAX: usize = 512;

const COLUMNS: &str = "SELECT record, made, good, rejected, sample FROM job";

/// As many rows of an index as there are such jobs.
const CURRENT: &str = "SELECT count(*) FROM job WHERE state <> 6";

/// A row as read, its record still encoded.
type Raw = (Vec<u8>, Tally);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let tally = Tally { made: row.get(1)?, good: row.get(2)?, rejected: row.get(3)?, sample: row.get(4)? };
    Ok((row.get(0)?, tally))
}

fn job_row((record, tally): Raw) -> Result<(Job, Tally), LedgerFault> {
    let job = cbor::decode(&record, JOB_RECORD_LEN_MAX);
    Ok((job.map_err(|_| LedgerFault::BrokenTable { table: "job" })?, tally))
}

/// The number of a state in the table and its indices: its place in [`JobState::ALL`].
const fn number(state: JobState) -> u8 {
    match state {
        JobState::Draft => 0,
        JobState::Sealed => 1,
        JobState::Open => 2,
        JobState::Suspended => 3,
        JobState::Counted => 4,
        JobState::Closed => 5,
        JobState::Purged => 6,
    }
}

/// The statement for a station's jobs, by an index of their own.
fn of_station(purged: bool) -> String {
    let current = if purged { "" } else { "AND state <> 6 " };
    format!("{COLUMNS} WHERE station = ?1 AND name > ?2 {current}ORDER BY name LIMIT ?3")
}

fn named(name: &str, table: &'static str) -> Result<Name, LedgerFault> {
    name.parse().map_err(|_| LedgerFault::BrokenTable { table })
}

impl Rows<'_> {
    /// A job and its tally.
    pub(in super::super::super) fn job(self, name: &Name) -> Result<Option<(Job, Tally)>, LedgerFault> {
        self.one(&format!("{COLUMNS} WHERE name = ?1"), [name.as_str()], raw)?.map(job_row).transpose()
    }

    pub(in super::super::super) fn put_job(self, job: &Job, tally: &Tally) -> Result<(), LedgerFault> {
        let sql = "INSERT INTO job (name, record, made, good, rejected, sample, state, due, station) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (name) DO UPDATE SET \
            record = excluded.record, made = excluded.made, good = excluded.good, rejected = excluded.rejected, \
            sample = excluded.sample, state = excluded.state, due = excluded.due, station = excluded.station";
        let Tally { made, good, rejected, sample } = *tally;
        let (name, state, station) = (job.name.as_str(), number(job.state), job.head.station.as_str());
        let due = job.head.due_ms.cast_signed();
        self.run(sql, params![name, cbor::encode(job), made, good, rejected, sample, state, due, station])
            .map(|_| ())
    }

    /// The jobs after a name in the order of names, at most `max`; purged ones too where `purged` says so.
    pub(in super::super::super) fn jobs(
        self,
        after: Option<&Name>,
        purged: bool,
        max: usize,
    ) -> Result<Vec<(Job, Tally)>, LedgerFault> {
        // Word for word what the index is made for, or it is not used.
        let current = if purged { "" } else { "AND state <> 6 " };
        let sql = format!("{COLUMNS} WHERE name > ?1 {current}ORDER BY name LIMIT ?2");
        let mut statement = self.prepare(&sql)?;
        // No name is empty, so all come after nothing.
        let values = params![after.map_or("", Name::as_str), i64::try_from(max).unwrap_or(i64::MAX)];
        let jobs = statement.query_map(values, raw).map_err(read_fault)?;
        jobs.map(|job| job_row(job.map_err(read_fault)?)).collect()
    }

    /// As [`Rows::jobs`], of one station's jobs alone.
    pub(in super::super::super) fn jobs_of(
        self,
        station: &Name,
        after: Option<&Name>,
        purged: bool,
        max: usize,
    ) -> Result<Vec<(Job, Tally)>, LedgerFault> {
        let mut statement = self.prepare(&of_station(purged))?;
        let (station, after) = (station.as_str(), after.map_or("", Name::as_str));
        let values = params![station, after, i64::try_from(max).unwrap_or(i64::MAX)];
        let jobs = statement.query_map(values, raw).map_err(read_fault)?;
        jobs.map(|job| job_row(job.map_err(read_fault)?)).collect()
    }

    /// How many jobs are not purged.
    pub(in super::super::super) fn jobs_current(self) -> Result<u64, LedgerFault> {
        self.number_of(CURRENT, [])
    }

    /// The jobs that are closed and not purged, by name.
    pub(in super::super::super) fn jobs_to_purge(self) -> Result<Vec<Name>, LedgerFault> {
        let mut statement = self.prepare("SELECT name FROM job WHERE state = 5 ORDER BY name")?;
        let names = statement.query_map([], |row| row.get::<_, String>(0)).map_err(read_fault)?;
        names.map(|name| named(&name.map_err(read_fault)?, "job")).collect()
    }

    /// How many jobs should have been purged by now.
    pub(in super::super::super) fn overdue(self, now_ms: u64) -> Result<u64, LedgerFault> {
        self.number_of("SELECT count(*) FROM job WHERE due < ?1 AND state <> 6", [now_ms.cast_signed()])
    }

    fn number_of(self, sql: &str, values: impl Params) -> Result<u64, LedgerFault> {
        Ok(self.one(sql, values, |row| unsigned(row, 0))?.unwrap_or(0))
    }

    /// The job whose data a station holds.
    pub(in super::super::super) fn job_at(self, station: &Name) -> Result<Option<Name>, LedgerFault> {
        let sql = "SELECT job FROM job_station WHERE station = ?1";
        let found = self.one(sql, [station.as_str()], |row| row.get::<_, String>(0))?;
        found.map(|name| named(&name, "job_station")).transpose()
    }

    pub(in super::super::super) fn put_job_at(
        self,
        station: &Name,
        job: Option<&Name>,
    ) -> Result<(), LedgerFault> {
        let Some(job) = job else {
            return self.run("DELETE FROM job_station WHERE station = ?1", [station.as_str()]).map(|_| ());
        };
        let sql = "INSERT INTO job_station (station, job) VALUES (?1, ?2) \
            ON CONFLICT (station) DO UPDATE SET job = excluded.job";
        self.run(sql, [station.as_str(), job.as_str()]).map(|_| ())
    }

    /// A card of the registry.
    pub(in super::super::super) fn card(self, tag: &[u8; 16]) -> Result<Option<CardRecord>, LedgerFault> {
        let found =
            self.one("SELECT record FROM card WHERE tag = ?1", [tag], |row| row.get::<_, Vec<u8>>(0))?;
        let broken = |_| LedgerFault::BrokenTable { table: "card" };
        found.map(|record| cbor::decode(&record, CARD_RECORD_LEN_MAX).map_err(broken)).transpose()
    }

    /// Puts a card, and counts it where it is new.
    pub(in super::super::super) fn put_card(
        self,
        tag: &[u8; 16],
        record: &CardRecord,
    ) -> Result<(), LedgerFault> {
        let record = cbor::encode(record);
        if self.run("UPDATE card SET record = ?2 WHERE tag = ?1", params![tag, record])? > 0 {
            return Ok(());
        }
        self.run("INSERT INTO card (tag, record) VALUES (?1, ?2)", params![tag, record])?;
        self.run("UPDATE card_count SET cards = cards + 1", []).map(|_| ())
    }

    /// How many cards the registry has.
    pub(in super::super::super) fn cards(self) -> Result<u64, LedgerFault> {
        self.number_of("SELECT cards FROM card_count", [])
    }

    /// An item of a job, as it lies there.
    pub(in super::super::super) fn item(
        self,
        job: &Name,
        tag: &[u8; 16],
    ) -> Result<Option<Vec<u8>>, LedgerFault> {
        let sql = "SELECT sealed FROM job_item WHERE job = ?1 AND tag = ?2";
        self.one(sql, params![job.as_str(), tag], |row| row.get(0))
    }

    /// Whether a job has this item.
    pub(in super::super::super) fn has_item(self, job: &Name, tag: &[u8; 16]) -> Result<bool, LedgerFault> {
        let sql = "SELECT 1 FROM job_item WHERE job = ?1 AND tag = ?2";
        Ok(self.one(sql, params![job.as_str(), tag], |_| Ok(()))?.is_some())
    }

    pub(in super::super::super) fn put_item(
        self,
        job: &Name,
        tag: &[u8; 16],
        sealed: &[u8],
    ) -> Result<(), LedgerFault> {
        let sql = "INSERT INTO job_item (tag, job, sealed) VALUES (?1, ?2, ?3)";
        self.run(sql, params![tag, job.as_str(), sealed]).map(|_| ())
    }

    /// Whether any item of a job lies there.
    pub(in super::super::super) fn has_items(self, job: &Name) -> Result<bool, LedgerFault> {
        let sql = "SELECT 1 FROM job_item WHERE job = ?1 LIMIT 1";
        Ok(self.one(sql, [job.as_str()], |_| Ok(()))?.is_some())
    }

    pub(in super::super::super) fn forget_items(self, job: &Name) -> Result<(), LedgerFault> {
        self.run("DELETE FROM job_item WHERE job = ?1", [job.as_str()]).map(|_| ())
    }

    /// Deletes the first items of a job in the order of tags, at most `max`.
    pub(in super::super::super) fn forget_some_items(self, job: &Name, max: u32) -> Result<(), LedgerFault> {
        let sql = "DELETE FROM job_item WHERE job = ?1 AND tag IN \
            (SELECT tag FROM job_item WHERE job = ?1 ORDER BY tag LIMIT ?2)";
        self.run(sql, params![job.as_str(), max]).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::ledger::schema::make_tables;
    use rusqlite::Connection;

    #[test]
    fn jobs_of_a_station_and_those_that_are_not_purged_are_found_by_an_index_of_theirs() {
        let store = Connection::open_in_memory().unwrap();
        make_tables(&store).unwrap();
        let plan = |sql: &str, values: &[&str]| {
            let mut statement = store.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let values = rusqlite::params_from_iter(values);
            let steps = statement.query_map(values, |row| row.get::<_, String>(3)).unwrap();
            steps.map(Result::unwrap).collect::<Vec<_>>()
        };
        let by = |index| [format!("SEARCH job USING INDEX {index} (station=? AND name>?)")];
        assert_eq!(plan(&of_station(true), &["a", "", "9"]), by("job_of_station"));
        assert_eq!(plan(&of_station(false), &["a", "", "9"]), by("job_of_station_current"));
        assert_eq!(plan(CURRENT, &[]), ["SCAN job USING INDEX job_current"]);
    }
}
