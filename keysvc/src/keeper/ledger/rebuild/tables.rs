//! The projections of what takes people, made again in the scratch database and compared table by table.
//!
//! Apart from the purses, which are compared field by field because their differences are amounts.

use super::{
    super::{
        fault::LedgerFault,
        sqlite::{Rows, read_fault},
    },
    findings::{Findings, Part},
    jobs::card,
    leaves::hex,
};
use keysvc_protocol::{bytes::Digest, hash::sha256};
use rusqlite::types::Value;
use std::cmp::Ordering;

/// A table: its part, its statement in the order of its key, and how many of the columns are the key.
type Table = (Part, &'static str, usize);

const PEOPLE: [Table; 3] = [
    (Part::Control, "SELECT leaf, roster FROM control ORDER BY leaf", 1),
    (Part::Proposal, "SELECT id, made, state, act, closed, ended FROM proposal ORDER BY id", 1),
    (Part::Vote, "SELECT leaf, proposal, officer FROM vote ORDER BY leaf", 1),
];
const CARDS: [Table; 7] = [
    (Part::Issued, "SELECT tag FROM issued ORDER BY tag", 1),
    (Part::Impact, "SELECT name, version, cards FROM impact ORDER BY name, version", 2),
    (
        Part::Job,
        "SELECT name, CASE state WHEN 0 THEN 'draft' WHEN 1 THEN 'sealed' WHEN 2 THEN 'open' WHEN 3 THEN 'suspended' \
         WHEN 4 THEN 'counted' WHEN 5 THEN 'closed' WHEN 6 THEN 'purged' ELSE 'state ' || state END, \
         'made ' || made, 'good ' || good, 'rejected ' || rejected, 'sample ' || sample, 'due ' || due || ' ms', \
         station, record, mark FROM job ORDER BY name",
        1,
    ),
    (Part::JobStation, "SELECT station, job, mark FROM job_station ORDER BY station", 1),
    (Part::Card, "SELECT tag, record, mark, next FROM card ORDER BY tag", 1),
    (Part::CardCount, "SELECT id, cards FROM card_count", 1),
    (Part::First, "SELECT chain, next FROM first ORDER BY chain", 1),
];

/// Compares what was made again with the store's; cards only where their tags could be made.
pub(super) fn compare(
    ours: Rows<'_>,
    theirs: Rows<'_>,
    with_tags: bool,
    findings: &mut Findings,
) -> Result<(), LedgerFault> {
    let cards = CARDS.iter().filter(|_| with_tags);
    PEOPLE.iter().chain(cards).try_for_each(|table| one(*table, ours, theirs, findings))
}

fn one(
    (part, sql, keys): Table,
    ours: Rows<'_>,
    theirs: Rows<'_>,
    findings: &mut Findings,
) -> Result<(), LedgerFault> {
    let (mut ours, mut theirs) =
        (ours.0.prepare(sql).map_err(read_fault)?, theirs.0.prepare(sql).map_err(read_fault)?);
    let width = ours.column_count();
    let (mut ours, mut theirs) = (ours.query([]).map_err(read_fault)?, theirs.query([]).map_err(read_fault)?);
    let (mut log, mut store) = (next(&mut ours, width)?, next(&mut theirs, width)?);
    loop {
        let order = match (&log, &store) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => by_key(left, right, keys),
        };
        let mine = if order == Ordering::Greater { None } else { log.take() };
        let other = if order == Ordering::Less { None } else { store.take() };
        findings.compared(part, 1);
        if mine != other {
            let key =
                mine.as_ref().or(other.as_ref()).map_or_else(String::new, |row| say(row.iter().take(keys)));
            let text = |row: &Option<Vec<Value>>| {
                row.as_ref().map_or_else(|| "no such row".to_owned(), |row| words(part, row))
            };
            findings.differ(part, &key, &text(&mine), &text(&other));
        }
        if order != Ordering::Greater {
            log = next(&mut ours, width)?;
        }
        if order != Ordering::Less {
            store = next(&mut theirs, width)?;
        }
    }
}

fn next(rows: &mut rusqlite::Rows<'_>, width: usize) -> Result<Option<Vec<Value>>, LedgerFault> {
    let Some(row) = rows.next().map_err(read_fault)? else { return Ok(None) };
    let row: rusqlite::Result<_> = (0..width).map(|column| row.get(column)).collect();
    row.map(Some).map_err(read_fault)
}

/// As the statement orders them: a table's columns are of one type each.
fn by_key(left: &[Value], right: &[Value], keys: usize) -> Ordering {
    let each = left.iter().zip(right).take(keys).map(|(left, right)| match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Value::Blob(left), Value::Blob(right)) => left.cmp(right),
        _ => Ordering::Equal,
    });
    each.fold(Ordering::Equal, Ordering::then)
}

fn words(part: Part, row: &[Value]) -> String {
    match (part, row) {
        (Part::Card, [_, Value::Blob(record), marks @ ..]) => {
            format!("{}, {}", card(record), say(marks.iter()))
        }
        _ => say(row.iter()),
    }
}

fn say<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    let words = values.map(|value| match value {
        Value::Null => "nothing".to_owned(),
        Value::Integer(number) => number.cast_unsigned().to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        // A record: told by its digest.
        Value::Blob(bytes) if bytes.len() > Digest::LEN => format!("record {}", sha256(&[bytes])),
        Value::Blob(bytes) => hex(bytes),
    });
    words.collect::<Vec<_>>().join(", ")
}
