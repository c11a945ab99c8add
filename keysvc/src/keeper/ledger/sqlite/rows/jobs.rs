//! The statements about jobs, their items and the cards of the registry.
//!
//! Apart from the other statements because only [`keysvc_protocol::job`] asks them. A card and an item are found by
//! their tags; whose tag it is, and what an item says, is the caller's.

use super::{
    Rows,
    marks::{Chain, must_bear},
    unsigned,
};
use crate::keeper::ledger::{fault::LedgerFault, seal::Tags, sqlite::read_fault};
use keysvc_protocol::{
    card::CardRecord,
    cbor,
    job::{JOB_RECORD_LEN_MAX, Job, JobState, Tally},
    name::Name,
};
use rusqlite::{Params, Row, params};

/// Longest encoded card in the registry, in bytes: two names of 64, a cause of 200, some numbers.
const CARD_RECORD_LEN_MAX: usize = 512;

const COLUMNS: &str = "SELECT record, made, good, rejected, sample, mark FROM job";

/// As many rows of an index as there are such jobs.
const CURRENT: &str = "SELECT count(*) FROM job WHERE state <> 6";

/// A row as read, its record still encoded, with its mark.
type Raw = (Vec<u8>, Tally, Option<Vec<u8>>);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let tally = Tally { made: row.get(1)?, good: row.get(2)?, rejected: row.get(3)?, sample: row.get(4)? };
    Ok((row.get(0)?, tally, row.get(5)?))
}

fn job_row(tags: &Tags, (record, tally, mark): Raw) -> Result<(Job, Tally), LedgerFault> {
    let Tally { made, good, rejected, sample } = tally;
    let counts = [made, good, rejected, sample].map(|count| u64::from(count).to_be_bytes()).concat();
    must_bear(tags, "job", &[&record, &counts], mark.as_deref())?;
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
    /// A job and its tally. One that is gone is refused as one that never was.
    pub(in super::super::super) fn job(
        self,
        tags: &Tags,
        name: &Name,
    ) -> Result<Option<(Job, Tally)>, LedgerFault> {
        let found = self.one(&format!("{COLUMNS} WHERE name = ?1"), [name.as_str()], raw)?;
        let Some((job, tally)) = found.map(|row| job_row(tags, row)).transpose()? else { return Ok(None) };
        if job.name == *name {
            Ok(Some((job, tally)))
        } else {
            Err(LedgerFault::BrokenTable { table: "job" })
        }
    }

    pub(in super::super::super) fn put_job(
        self,
        tags: &Tags,
        job: &Job,
        tally: &Tally,
    ) -> Result<(), LedgerFault> {
        let sql = "INSERT INTO job (name, record, made, good, rejected, sample, state, due, station, mark) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (name) DO UPDATE SET \
            record = excluded.record, made = excluded.made, good = excluded.good, rejected = excluded.rejected, \
            sample = excluded.sample, state = excluded.state, due = excluded.due, station = excluded.station, \
            mark = excluded.mark";
        let Tally { made, good, rejected, sample } = *tally;
        let (name, state, station) = (job.name.as_str(), number(job.state), job.head.station.as_str());
        let (due, record) = (job.head.due_ms.cast_signed(), cbor::encode(job));
        // State, due and station stand in the record, beside which they are for the indices alone.
        let counts = [made, good, rejected, sample].map(|count| u64::from(count).to_be_bytes()).concat();
        let mark = tags.mark("job", &[&record, &counts]);
        self.run(sql, params![name, record, made, good, rejected, sample, state, due, station, mark])
            .map(|_| ())
    }

    /// Gives every job of an older store and every station's place its mark.
    pub(super) fn mark_older_jobs(self, tags: &Tags) -> Result<(), LedgerFault> {
        let jobs = {
            let mut statement = self.prepare(&format!("{COLUMNS} ORDER BY name"))?;
            let jobs = statement.query_map([], raw).map_err(read_fault)?;
            let jobs = jobs.map(|job| job_row(tags, job.map_err(read_fault)?));
            jobs.collect::<Result<Vec<_>, _>>()?
        };
        jobs.iter().try_for_each(|(job, tally)| self.put_job(tags, job, tally))?;
        let places = {
            let mut statement = self.prepare("SELECT station, job FROM job_station")?;
            let places =
                statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
            places.map_err(read_fault)?.collect::<rusqlite::Result<Vec<_>>>().map_err(read_fault)?
        };
        places.iter().try_for_each(|(station, job)| {
            let (station, job) = (named(station, "job_station")?, named(job, "job_station")?);
            self.put_job_at(tags, &station, Some(&job))
        })
    }

    /// The jobs after a name in the order of names, at most `max`; purged ones too where `purged` says so.
    pub(in super::super::super) fn jobs(
        self,
        tags: &Tags,
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
        jobs.map(|job| job_row(tags, job.map_err(read_fault)?)).collect()
    }

    /// As [`Rows::jobs`], of one station's jobs alone.
    pub(in super::super::super) fn jobs_of(
        self,
        (tags, station): (&Tags, &Name),
        after: Option<&Name>,
        purged: bool,
        max: usize,
    ) -> Result<Vec<(Job, Tally)>, LedgerFault> {
        let mut statement = self.prepare(&of_station(purged))?;
        let (station, after) = (station.as_str(), after.map_or("", Name::as_str));
        let values = params![station, after, i64::try_from(max).unwrap_or(i64::MAX)];
        let jobs = statement.query_map(values, raw).map_err(read_fault)?;
        jobs.map(|job| job_row(tags, job.map_err(read_fault)?)).collect()
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

    /// The job whose data a station holds. That it holds none is believed only where no job of the station is under way.
    pub(in super::super::super) fn job_at(
        self,
        tags: &Tags,
        station: &Name,
    ) -> Result<Option<Name>, LedgerFault> {
        let sql = "SELECT job, mark FROM job_station WHERE station = ?1";
        let found = self.one(sql, [station.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<Vec<u8>>>(1)?))
        })?;
        let Some((job, mark)) = found else {
            // Open, suspended or counted: the states in which a job lies at its station.
            let sql = "SELECT 1 FROM job WHERE station = ?1 AND state <> 6 AND state BETWEEN 2 AND 4 LIMIT 1";
            return match self.one(sql, [station.as_str()], |_| Ok(()))? {
                Some(()) => Err(LedgerFault::BrokenTable { table: "job_station" }),
                None => Ok(None),
            };
        };
        let columns = [station.as_str().as_bytes(), job.as_bytes()];
        must_bear(tags, "job_station", &columns, mark.as_deref())?;
        named(&job, "job_station").map(Some)
    }

    pub(in super::super::super) fn put_job_at(
        self,
        tags: &Tags,
        station: &Name,
        job: Option<&Name>,
    ) -> Result<(), LedgerFault> {
        let Some(job) = job else {
            return self.run("DELETE FROM job_station WHERE station = ?1", [station.as_str()]).map(|_| ());
        };
        let mark = tags.mark("job_station", &[station.as_str().as_bytes(), job.as_str().as_bytes()]);
        let sql = "INSERT INTO job_station (station, job, mark) VALUES (?1, ?2, ?3) \
            ON CONFLICT (station) DO UPDATE SET job = excluded.job, mark = excluded.mark";
        self.run(sql, params![station.as_str(), job.as_str(), mark]).map(|_| ())
    }

    /// A card of the registry. That it was never met is as certain as what is known of one that was.
    pub(in super::super::super) fn card(
        self,
        tags: &Tags,
        tag: &[u8; 16],
    ) -> Result<Option<CardRecord>, LedgerFault> {
        let sql = "SELECT record, mark FROM card WHERE tag = ?1";
        let found =
            self.one(sql, [tag], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<Vec<u8>>>(1)?)))?;
        let Some((record, mark)) = found else {
            self.must_be_absent(tags, Chain::Cards, tag)?;
            return Ok(None);
        };
        must_bear(tags, "card", &[tag, &record], mark.as_deref())?;
        let card = cbor::decode(&record, CARD_RECORD_LEN_MAX);
        card.map(Some).map_err(|_| LedgerFault::BrokenTable { table: "card" })
    }

    /// Gives each card in the order of tags as it lies there, so many at a time.
    pub(super) fn each_card(
        self,
        at_once: usize,
        take: impl FnMut(&[u8; 16], &Vec<u8>) -> Result<(), LedgerFault>,
    ) -> Result<(), LedgerFault> {
        let sql = "SELECT tag, record FROM card WHERE tag > ?1 ORDER BY tag LIMIT ?2";
        self.pages(sql, at_once, |row| Ok((row.get(0)?, row.get(1)?)), take)
    }

    /// Gives a card of an older store its mark.
    pub(super) fn mark_card(self, tags: &Tags, tag: &[u8; 16], record: &[u8]) -> Result<(), LedgerFault> {
        let mark = tags.mark("card", &[tag, record]);
        self.run("UPDATE card SET mark = ?2 WHERE tag = ?1", params![tag, mark]).map(|_| ())
    }

    /// Puts a card, and counts it where it is new.
    pub(in super::super::super) fn put_card(
        self,
        tags: &Tags,
        tag: &[u8; 16],
        record: &CardRecord,
    ) -> Result<(), LedgerFault> {
        let record = cbor::encode(record);
        let mark = tags.mark("card", &[tag, &record]);
        let sql = "UPDATE card SET record = ?2, mark = ?3 WHERE tag = ?1";
        if self.run(sql, params![tag, record, mark])? > 0 {
            return Ok(());
        }
        let next = self.enter(tags, Chain::Cards, tag)?;
        let sql = "INSERT INTO card (tag, record, mark, next) VALUES (?1, ?2, ?3, ?4)";
        self.run(sql, params![tag, record, mark, next])?;
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
