//! The idempotency keys: which requests may still be repeated, compared in the order of leaves.
//!
//! Forgetting begins with the oldest, so what is missing is a head of the log older than 90 days, or a difference.

use super::{
    super::{
        fault::LedgerFault,
        seal::Tags,
        sqlite::{IDEM_KEPT_MS, Rows, read_fault},
    },
    Means,
    findings::{Findings, Part},
    leaves::hex,
};
use keysvc_protocol::{
    bytes::{Digest, Idem},
    cose::{Kind, Signed},
    hash::sha256,
    leaf::{LeafEntry, Statement},
    name::Name,
    request::Operation,
};
use rusqlite::Statement as Prepared;

/// A request as its row knows it.
pub(super) struct Asked<'a> {
    principal: &'a Name,
    idem: Idem,
    payload_digest: Digest,
}

/// A request whose idempotency key is still to be read from its payload.
pub(super) struct Opened<'a> {
    principal: &'a Name,
    payload_digest: Digest,
}

impl<'a> Opened<'a> {
    pub(super) const fn with(self, idem: Idem) -> Asked<'a> {
        Asked::new(self.principal, idem, self.payload_digest)
    }
}

impl<'a> Asked<'a> {
    pub(super) const fn new(principal: &'a Name, idem: Idem, payload_digest: Digest) -> Self {
        Self { principal, idem, payload_digest }
    }

    /// The payload of a statement that the principal's own key signed.
    pub(super) fn opened(
        means: &Means<'_>,
        (principal, operation): (&'a Name, Operation),
        statement: &'a Statement,
    ) -> Option<(&'a [u8], Opened<'a>)> {
        let key = (means.statement_key)(principal)?;
        let signed = Signed::parse(statement.0.as_bytes()).ok()?;
        let payload = signed.open(Kind::Request(operation), means.genesis.as_bytes(), &key).ok()?;
        Some((payload, Opened { principal, payload_digest: sha256(&[payload]) }))
    }
}

/// The rows of idempotency keys in the order of leaves.
pub(super) fn ordered(rows: Rows<'_>) -> Result<Prepared<'_>, LedgerFault> {
    rows.0.prepare("SELECT leaf, tag, request, time FROM idem ORDER BY leaf").map_err(read_fault)
}

/// A stored row.
#[derive(PartialEq, Eq)]
struct Row {
    leaf: u64,
    tag: Vec<u8>,
    request: Vec<u8>,
    time_ms: u64,
}

/// The store's rows, read beside the leaves.
pub(super) struct Requests<'s> {
    rows: rusqlite::Rows<'s>,
    next: Option<Row>,
    // Leaves before this time may be forgotten.
    kept_from_ms: u64,
    // A row was there: nothing after it is forgotten.
    remembers: bool,
    forgotten: u64,
}

impl<'s> Requests<'s> {
    pub(super) fn new(statement: &'s mut Prepared<'_>, last_ms: u64) -> Result<Self, LedgerFault> {
        let mut rows = statement.query([]).map_err(read_fault)?;
        let next = next(&mut rows)?;
        let kept_from_ms = last_ms.saturating_sub(IDEM_KEPT_MS);
        Ok(Self { rows, next, kept_from_ms, remembers: false, forgotten: 0 })
    }

    /// Idempotency keys that were rightly forgotten.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn take(&mut self) -> Result<Option<Row>, LedgerFault> {
        let after = next(&mut self.rows)?;
        Ok(std::mem::replace(&mut self.next, after))
    }

    /// The row of a leaf; rows before it belong to leaves without a repeatable request.
    fn row_of(&mut self, leaf: u64, findings: &mut Findings) -> Result<Option<Row>, LedgerFault> {
        while self.next.as_ref().is_some_and(|row| row.leaf < leaf) {
            self.extra(findings)?;
        }
        if self.next.as_ref().is_some_and(|row| row.leaf == leaf) { self.take() } else { Ok(None) }
    }

    fn extra(&mut self, findings: &mut Findings) -> Result<(), LedgerFault> {
        if let Some(row) = self.take()? {
            let key = format!("leaf {}", row.leaf);
            findings.differ(Part::Idem, &key, "no request that may be repeated", &say(&row));
        }
        Ok(())
    }

    /// Holds the row of a leaf against what the leaf asks for.
    pub(super) fn expect(
        &mut self,
        tags: &Tags,
        entry: &LeafEntry,
        asked: &Asked<'_>,
        findings: &mut Findings,
    ) -> Result<(), LedgerFault> {
        let leaf = entry.index;
        let wanted = Row {
            leaf,
            tag: tags.of_idem(asked.principal, &asked.idem).to_vec(),
            request: tags.of_request(&asked.payload_digest).to_vec(),
            time_ms: entry.time_ms,
        };
        let found = self.row_of(leaf, findings)?;
        if found.is_none() && !self.remembers && entry.time_ms < self.kept_from_ms {
            self.forgotten = self.forgotten.saturating_add(1);
            return Ok(());
        }
        findings.compared(Part::Idem, 1);
        self.remembers |= found.is_some();
        if found.as_ref() != Some(&wanted) {
            let store = found.as_ref().map_or_else(|| "no such row".to_owned(), say);
            findings.differ(Part::Idem, &format!("leaf {leaf}"), &say(&wanted), &store);
        }
        Ok(())
    }

    /// Passes over the row of a leaf whose request cannot be told.
    pub(super) fn unknown(&mut self, leaf: u64) -> Result<(), LedgerFault> {
        while self.next.as_ref().is_some_and(|row| row.leaf <= leaf) {
            self.remembers = true;
            self.take()?;
        }
        Ok(())
    }

    /// What is left after the last leaf.
    pub(super) fn end(&mut self, findings: &mut Findings) -> Result<(), LedgerFault> {
        while self.next.is_some() {
            self.extra(findings)?;
        }
        Ok(())
    }
}

fn next(rows: &mut rusqlite::Rows<'_>) -> Result<Option<Row>, LedgerFault> {
    let Some(row) = rows.next().map_err(read_fault)? else { return Ok(None) };
    let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned).map_err(read_fault);
    let (leaf, time_ms) = (number(0)?, number(3)?);
    Ok(Some(Row {
        leaf,
        tag: row.get(1).map_err(read_fault)?,
        request: row.get(2).map_err(read_fault)?,
        time_ms,
    }))
}

fn say(row: &Row) -> String {
    format!("tag {}, request {}, {} ms", hex(&row.tag), hex(&row.request), row.time_ms)
}
