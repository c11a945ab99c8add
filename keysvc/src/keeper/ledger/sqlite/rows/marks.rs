//! What makes a row that was touched show itself: a mark in it, and in some tables the tag that follows.
//!
//! A mark is made of all of a row under the key of the tags, which lies in the store sealed, so that neither damage nor
//! whoever edits the file makes another row that is believed. A row that is *gone* shows nothing by itself; so purses and
//! cards are chained: each row says, under a mark of its own, which tag comes next, and what lies between two neighbours
//! is known not to be there. A whole row put back as it once was keeps its mark: `verify-store` finds that one, and the
//! anchor a whole store. Which tables have marks is in the schema; the statements about them are their tables'.

use super::Rows;
use crate::keeper::ledger::{fault::LedgerFault, seal::Tags, sqlite::read_fault};
use rusqlite::params;

/// Length of a mark and of a tag, in bytes.
const LEN: usize = 16;

/// Rows read and marked at one time when an older store gets its marks.
const MARKED_AT_ONCE: usize = 1_024;

/// A table whose tags are chained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chain {
    /// The purses: one that is gone would begin again at nothing.
    Purses,
    /// The cards of the registry: one that is gone would bear value whatever it was.
    Cards,
}

impl Chain {
    const ALL: [Self; 2] = [Self::Purses, Self::Cards];

    const fn table(self) -> &'static str {
        match self {
            Self::Purses => "purse",
            Self::Cards => "card",
        }
    }

    /// What `next` holds in the row of `tag`, or at the head of the chain: the mark, then the tag that follows.
    fn link(self, tags: &Tags, tag: Option<&[u8; LEN]>, next: Option<&[u8; LEN]>) -> Vec<u8> {
        let next = next.map_or(&[][..], |next| next);
        let mark = tags.mark("first", &[self.table().as_bytes(), tag.map_or(&[][..], |tag| tag), next]);
        [&mark, next].concat()
    }
}

/// The row, or the head of the chain, after which a tag would come.
struct Before {
    tag: Option<[u8; LEN]>,
    next: Option<[u8; LEN]>,
}

/// Holds a row to its mark. Those of an older store have none until its first batch.
///
/// # Errors
/// [`LedgerFault::BrokenTable`] when the mark is another row's, or not there.
pub(super) fn must_bear(
    tags: &Tags,
    table: &'static str,
    columns: &[&[u8]],
    mark: Option<&[u8]>,
) -> Result<(), LedgerFault> {
    if !tags.are_marked() || mark == Some(&tags.mark(table, columns)) {
        Ok(())
    } else {
        Err(LedgerFault::BrokenTable { table })
    }
}

impl Rows<'_> {
    /// Begins the chains, of a store that has neither purses nor cards.
    ///
    /// # Errors
    /// [`LedgerFault::BrokenTable`] when there is what only the key of the tags, which is to be made, finds again.
    pub(in super::super::super) fn begin_chains(self, tags: &Tags) -> Result<(), LedgerFault> {
        for table in ["purse", "idem", "card", "job", "job_item", "issued", "first"] {
            if self.one(&format!("SELECT 1 FROM {table} LIMIT 1"), [], |_| Ok(()))?.is_some() {
                return Err(LedgerFault::BrokenTable { table: "tags_key" });
            }
        }
        Chain::ALL.iter().try_for_each(|chain| self.begin_chain(tags, *chain, None))
    }

    fn begin_chain(self, tags: &Tags, chain: Chain, first: Option<&[u8; LEN]>) -> Result<(), LedgerFault> {
        let values = params![chain.table(), chain.link(tags, None, first)];
        self.run("INSERT INTO first (chain, next) VALUES (?1, ?2)", values).map(|_| ())
    }

    /// Whether a tag that was not found is truly not there.
    ///
    /// # Errors
    /// [`LedgerFault::BrokenTable`] when its neighbours do not say so.
    pub(super) fn must_be_absent(
        self,
        tags: &Tags,
        chain: Chain,
        tag: &[u8; LEN],
    ) -> Result<(), LedgerFault> {
        if tags.are_marked() { self.before(tags, chain, tag).map(|_| ()) } else { Ok(()) }
    }

    /// Takes a tag that is not there yet into its chain; gives what its row says of the next one.
    ///
    /// # Errors
    /// [`LedgerFault::BrokenTable`] when its neighbours say that it is there, or are damaged.
    pub(super) fn enter(self, tags: &Tags, chain: Chain, tag: &[u8; LEN]) -> Result<Vec<u8>, LedgerFault> {
        let Before { tag: before, next } = self.before(tags, chain, tag)?;
        let link = chain.link(tags, before.as_ref(), Some(tag));
        let table = chain.table();
        let changed = match before {
            Some(before) => {
                self.run(&format!("UPDATE {table} SET next = ?2 WHERE tag = ?1"), params![before, link])?
            }
            None => self.run("UPDATE first SET next = ?2 WHERE chain = ?1", params![table, link])?,
        };
        if changed == 1 {
            Ok(chain.link(tags, Some(tag), next.as_ref()))
        } else {
            Err(LedgerFault::BrokenTable { table })
        }
    }

    /// The neighbours between which a tag is not.
    fn before(self, tags: &Tags, chain: Chain, tag: &[u8; LEN]) -> Result<Before, LedgerFault> {
        let table = chain.table();
        let sql = format!("SELECT tag, next FROM {table} WHERE tag < ?1 ORDER BY tag DESC LIMIT 1");
        let found: Option<(Vec<u8>, Option<Vec<u8>>)> =
            self.one(&sql, [tag], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (before, link) = match found {
            Some((before, link)) => (Some(before), link),
            None => (None, self.one("SELECT next FROM first WHERE chain = ?1", [table], |row| row.get(0))?),
        };
        let read = || {
            let before = before.as_deref().map(<[u8; LEN]>::try_from).transpose().ok()?;
            let link = link?;
            let next = Some(link.get(LEN..)?).filter(|next| !next.is_empty());
            let next = next.map(<[u8; LEN]>::try_from).transpose().ok()?;
            let true_link = chain.link(tags, before.as_ref(), next.as_ref());
            // A search that was led astray by a damaged page ends beside other neighbours.
            let between = before.is_none_or(|before| before < *tag) && next.is_none_or(|next| *tag < next);
            (link == true_link && between).then_some(Before { tag: before, next })
        };
        read().ok_or(LedgerFault::BrokenTable { table })
    }

    /// Gives every row of an older store its mark, and chains purses and cards.
    ///
    /// # Errors
    /// The store's.
    pub(in super::super) fn mark_older(self, tags: &Tags) -> Result<(), LedgerFault> {
        self.run("DELETE FROM first", [])?;
        self.each_purse(MARKED_AT_ONCE, |tag, purse| self.put_purse(tags, tag, purse))?;
        self.each_card(MARKED_AT_ONCE, |tag, record| self.mark_card(tags, tag, record))?;
        for chain in Chain::ALL {
            self.chain_older(tags, chain)?;
        }
        self.mark_older_idems(tags, MARKED_AT_ONCE)?;
        self.mark_older_jobs(tags)
    }

    fn chain_older(self, tags: &Tags, chain: Chain) -> Result<(), LedgerFault> {
        let table = chain.table();
        let sql = format!("SELECT tag FROM {table} WHERE tag > ?1 ORDER BY tag LIMIT 1");
        let put = format!("UPDATE {table} SET next = ?2 WHERE tag = ?1");
        // Before every tag: no blob is less than an empty one.
        let mut next: Option<[u8; LEN]> = self.one(&sql, [&[][..]], |row| row.get(0))?;
        self.begin_chain(tags, chain, next.as_ref())?;
        while let Some(tag) = next {
            next = self.one(&sql, [&tag[..]], |row| row.get(0))?;
            self.run(&put, params![tag, chain.link(tags, Some(&tag), next.as_ref())])?;
        }
        Ok(())
    }

    /// The pages of a walk along a table, each read whole before anything in it is changed.
    pub(super) fn pages<T>(
        self,
        sql: &str,
        at_once: usize,
        mut read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<([u8; LEN], T)>,
        mut take: impl FnMut(&[u8; LEN], &T) -> Result<(), LedgerFault>,
    ) -> Result<(), LedgerFault> {
        let (mut after, limit) = (Vec::new(), i64::try_from(at_once).unwrap_or(i64::MAX));
        loop {
            let mut statement = self.prepare(sql)?;
            let rows = statement.query_map(params![after, limit], &mut read).map_err(read_fault)?;
            let page: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(read_fault)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = last.to_vec();
            page.iter().try_for_each(|(tag, row)| take(tag, row))?;
        }
    }
}
