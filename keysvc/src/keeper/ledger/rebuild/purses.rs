//! The purses as the leaves leave them, made again in a scratch database and compared with the store's.

use super::{
    super::{
        fault::LedgerFault,
        purse::Purse,
        schema,
        seal::Tags,
        sqlite::{Rows, read_fault},
    },
    findings::{Findings, Part},
    leaves::hex,
};
use keysvc_protocol::{bytes::PreviousUpdate, value::ValueUpdate};
use rusqlite::Connection;

/// The scratch database's page cache, as `SQLite` counts it: negative is KiB. A purse takes 75 bytes there, so 64 MiB
/// hold about 800,000 of them; the pages of the rest lie in an unnamed file of the system's folder for such.
const CACHE_KIB: i64 = -64 * 1024;

/// Prepared statements kept: all that are used here.
const STATEMENTS_KEPT: usize = 64;

/// The purses so far.
pub(super) struct Purses(Connection);

/// What a purse's row holds: its tag, where it stands, its mark and what comes next.
type Row = ([u8; 16], Purse, Marks);

/// What makes a row that was touched show itself.
type Marks = (Option<Vec<u8>>, Option<Vec<u8>>);

impl Purses {
    pub(super) fn new() -> Result<Self, LedgerFault> {
        // An empty name: a private database that is gone when it is closed (SQLite, "In-memory databases", 3).
        let connection = Connection::open("").map_err(read_fault)?;
        connection.pragma_update(None, "journal_mode", "off").map_err(read_fault)?;
        connection.pragma_update(None, "cache_size", CACHE_KIB).map_err(read_fault)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        schema::make_tables(&connection)?;
        connection.execute_batch("BEGIN").map_err(read_fault)?;
        Ok(Self(connection))
    }

    /// The scratch database, for the other projections that are made again.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows(&self.0)
    }

    /// Follows a purse by one update. Gives what the log should say and says instead, where an update does not follow
    /// the one before it.
    pub(super) fn update(
        &self,
        (tags, tag): (&Tags, &[u8; 16]),
        update: &ValueUpdate,
        purse: &Purse,
    ) -> Result<Option<(String, String)>, LedgerFault> {
        let rows = Rows(&self.0);
        let (seq, balance, link) = rows
            .purse(tags, tag)?
            .map_or((0, 0, PreviousUpdate::new([0; 16])), |before| (before.seq, before.balance, before.link));
        rows.put_purse(tags, tag, purse)?;
        let wanted = (seq.saturating_add(1), balance, link);
        let found = (update.seq, update.balance_before, update.previous);
        if wanted == found {
            return Ok(None);
        }
        let say = |(seq, balance, link): (u64, u64, PreviousUpdate)| {
            format!("sequence number {seq} after balance {balance} and update {link}")
        };
        Ok(Some((say(wanted), say(found))))
    }

    /// Compares with the store's, both in the order of tags.
    pub(super) fn compare(&self, store: Rows<'_>, findings: &mut Findings) -> Result<(), LedgerFault> {
        let sql = "SELECT tag, seq, balance, link, leaf, mark, next FROM purse ORDER BY tag";
        let (mut ours, mut theirs) =
            (self.0.prepare(sql).map_err(read_fault)?, store.0.prepare(sql).map_err(read_fault)?);
        let (mut ours, mut theirs) =
            (ours.query([]).map_err(read_fault)?, theirs.query([]).map_err(read_fault)?);
        let (mut log, mut store) = (next(&mut ours)?, next(&mut theirs)?);
        loop {
            let (ours_first, theirs_first) = match (&log, &store) {
                (None, None) => return Ok(()),
                (Some(_), None) => (true, false),
                (None, Some(_)) => (false, true),
                (Some((left, ..)), Some((right, ..))) => (left <= right, right <= left),
            };
            let mine = if ours_first { std::mem::replace(&mut log, next(&mut ours)?) } else { None };
            let other = if theirs_first { std::mem::replace(&mut store, next(&mut theirs)?) } else { None };
            findings.compared(Part::Purse, 1);
            if mine != other {
                let either = mine.as_ref().or(other.as_ref());
                let tag = either.map_or_else(String::new, |(tag, ..)| hex(tag));
                findings.differ(Part::Purse, &tag, &say(mine), &say(other));
            }
        }
    }
}

fn next(rows: &mut rusqlite::Rows<'_>) -> Result<Option<Row>, LedgerFault> {
    let Some(row) = rows.next().map_err(read_fault)? else { return Ok(None) };
    let read = || -> rusqlite::Result<Row> {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let link = PreviousUpdate::new(row.get(3)?);
        let purse = Purse { seq: number(1)?, balance: number(2)?, link, leaf: number(4)? };
        Ok((row.get(0)?, purse, (row.get(5)?, row.get(6)?)))
    };
    read().map(Some).map_err(|_| LedgerFault::BrokenTable { table: "purse" })
}

fn say(row: Option<Row>) -> String {
    row.map_or_else(
        || "no such purse".to_owned(),
        |(_, purse, (mark, next))| {
            let Purse { seq, balance, link, leaf } = purse;
            let [mark, next] = [mark, next].map(|of| of.map_or_else(|| "none".to_owned(), |of| hex(&of)));
            format!(
                "sequence number {seq}, balance {balance}, update {link}, mark {mark}, next {next}, leaf {leaf}"
            )
        },
    )
}
