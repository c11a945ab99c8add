//! The statements about proposals, votes, keys' states and the cards under a key.
//!
//! Apart from the other statements because only what takes people asks them.

use super::{Rows, unsigned};
use crate::keeper::ledger::{fault::LedgerFault, seal::Tags, sqlite::read_fault};
use keysvc_protocol::{
    bytes::ProposalId,
    card::CardUid,
    cbor,
    key::{KeyRecord, KeyState},
    name::Name,
    proposal::ProposalState,
    receipt::LEAF_PAYLOAD_LEN_MAX,
};
use rusqlite::{Row, params};

/// A proposal's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super::super) struct ProposalRow {
    pub(in super::super::super) id: ProposalId,
    pub(in super::super::super) made: u64,
    pub(in super::super::super) state: ProposalState,
    pub(in super::super::super) act: Option<u64>,
    /// The leaf that ended it without its act.
    pub(in super::super::super) closed: Option<u64>,
}

const COLUMNS: &str = "SELECT id, made, state, act, closed FROM proposal";

/// A row as read, its state still encoded.
type Raw = ([u8; 16], u64, Vec<u8>, Option<u64>, Option<u64>);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let [act, closed] = [3, 4].map(|column| row.get::<_, Option<i64>>(column));
    let number = |leaf: Option<i64>| leaf.map(i64::cast_unsigned);
    Ok((row.get(0)?, unsigned(row, 1)?, row.get(2)?, number(act?), number(closed?)))
}

fn proposal_row((id, made, state, act, closed): Raw) -> Result<ProposalRow, LedgerFault> {
    let state = cbor::decode(&state, LEAF_PAYLOAD_LEN_MAX);
    let state = state.map_err(|_| LedgerFault::BrokenTable { table: "proposal" })?;
    Ok(ProposalRow { id: ProposalId::new(id), made, state, act, closed })
}

const fn is_over(state: &ProposalState) -> bool {
    !matches!(state, ProposalState::Open | ProposalState::Waiting { .. })
}

impl Rows<'_> {
    /// Lists a leaf without which the state of what takes people cannot be made again.
    pub(in super::super::super) fn list_control(self, leaf: u64, roster: bool) -> Result<(), LedgerFault> {
        let sql = "INSERT INTO control (leaf, roster) VALUES (?1, ?2) \
            ON CONFLICT (leaf) DO UPDATE SET roster = max(roster, excluded.roster)";
        self.run(sql, params![leaf.cast_signed(), roster]).map(|_| ())
    }

    /// The listed leaves, in their order; the roster's alone where `roster` says so.
    pub(in super::super::super) fn listed_control(self, roster: bool) -> Result<Vec<u64>, LedgerFault> {
        let sql = "SELECT leaf FROM control WHERE roster >= ?1 ORDER BY leaf";
        let mut statement = self.prepare(sql)?;
        let leaves = statement.query_map([roster], |row| unsigned(row, 0)).map_err(read_fault)?;
        leaves.map(|leaf| leaf.map_err(read_fault)).collect()
    }

    pub(in super::super::super) fn put_proposal(self, id: &ProposalId, made: u64) -> Result<(), LedgerFault> {
        let sql = "INSERT INTO proposal (id, made, state, ended) VALUES (?1, ?2, ?3, 0)";
        let state = cbor::encode(&ProposalState::Open);
        self.run(sql, params![id.as_bytes(), made.cast_signed(), state]).map(|_| ())
    }

    pub(in super::super::super) fn move_proposal(
        self,
        id: &ProposalId,
        state: &ProposalState,
        act: Option<u64>,
        closed: Option<u64>,
    ) -> Result<(), LedgerFault> {
        let sql = "UPDATE proposal SET state = ?2, act = ?3, closed = ?4, ended = ?5 WHERE id = ?1";
        let [act, closed] = [act, closed].map(|leaf| leaf.map(u64::cast_signed));
        let values = params![id.as_bytes(), cbor::encode(state), act, closed, is_over(state)];
        self.run(sql, values).map(|_| ())
    }

    /// Where a proposal stands.
    pub(in super::super::super) fn proposal(
        self,
        id: &ProposalId,
    ) -> Result<Option<ProposalRow>, LedgerFault> {
        let found = self.one(&format!("{COLUMNS} WHERE id = ?1"), [id.as_bytes()], raw)?;
        found.map(proposal_row).transpose()
    }

    /// The newest proposals made before a leaf, newest first; those that are over as well where `ended` says so.
    pub(in super::super::super) fn proposals(
        self,
        before: Option<u64>,
        ended: bool,
        max: usize,
    ) -> Result<Vec<ProposalRow>, LedgerFault> {
        // Two statements, so that the one about what is not over is answered by the index of those alone.
        let which = if ended { "made < ?1" } else { "ended = 0 AND made < ?1" };
        let sql = format!("{COLUMNS} WHERE {which} ORDER BY made DESC LIMIT ?2");
        let before = i64::try_from(before.unwrap_or(u64::MAX)).unwrap_or(i64::MAX);
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let mut statement = self.prepare(&sql)?;
        let rows = statement.query_map([before, max], raw).map_err(read_fault)?;
        rows.map(|row| proposal_row(row.map_err(read_fault)?)).collect()
    }

    /// The proposals made before a leaf that were still open then, with the leaves in which they were made.
    pub(in super::super::super) fn open_before(
        self,
        leaf: u64,
    ) -> Result<Vec<(ProposalId, u64)>, LedgerFault> {
        // An act comes before the cancelling of what waits of it, so the lesser of the two ended it as an open one.
        let sql = "SELECT id, made FROM proposal WHERE made < ?1 \
            AND min(coalesce(act, ?2), coalesce(closed, ?2)) >= ?1";
        let mut statement = self.prepare(sql)?;
        let rows = statement.query_map([leaf.cast_signed(), i64::MAX], |row| {
            Ok((ProposalId::new(row.get(0)?), unsigned(row, 1)?))
        });
        rows.map_err(read_fault)?.map(|row| row.map_err(read_fault)).collect()
    }

    pub(in super::super::super) fn put_vote(
        self,
        leaf: u64,
        id: &ProposalId,
        officer: &Name,
    ) -> Result<(), LedgerFault> {
        let sql = "INSERT INTO vote (leaf, proposal, officer) VALUES (?1, ?2, ?3)";
        self.run(sql, params![leaf.cast_signed(), id.as_bytes(), officer.as_str()]).map(|_| ())
    }

    /// The votes on a proposal: their leaves and who voted, in their order.
    pub(in super::super::super) fn votes(self, id: &ProposalId) -> Result<Vec<(u64, String)>, LedgerFault> {
        let sql = "SELECT leaf, officer FROM vote WHERE proposal = ?1 ORDER BY leaf";
        let mut statement = self.prepare(sql)?;
        let votes = statement.query_map([id.as_bytes()], |row| Ok((unsigned(row, 0)?, row.get(1)?)));
        votes.map_err(read_fault)?.map(|vote| vote.map_err(read_fault)).collect()
    }

    /// Puts the record of a key into another state.
    pub(in super::super::super) fn move_key(
        self,
        name: &Name,
        version: u32,
        state: KeyState,
        leaf: u64,
    ) -> Result<(), LedgerFault> {
        let sql = "SELECT record FROM key_record WHERE name = ?1 AND version = ?2";
        let found = self.one(sql, params![name.as_str(), version], |row| row.get::<_, Vec<u8>>(0))?;
        let broken = LedgerFault::BrokenTable { table: "key_record" };
        let record = found.and_then(|record| cbor::decode::<KeyRecord>(&record, LEAF_PAYLOAD_LEN_MAX).ok());
        self.put_key(&KeyRecord { state, ..record.ok_or(broken)? }, leaf)
    }

    /// Notes the cards that get keys under each of these versions of master keys, and counts those that had none.
    pub(in super::super::super) fn issue(
        self,
        tags: &Tags,
        cards: &[CardUid],
        masters: &[(Name, u32)],
    ) -> Result<(), LedgerFault> {
        for (name, version) in masters {
            let mut more = 0_u64;
            for card in cards {
                more = more.saturating_add(self.put_issued(&tags.of_issued(name, *version, card))?.into());
            }
            if more > 0 {
                self.add_cards(name, *version, more)?;
            }
        }
        Ok(())
    }

    pub(in super::super::super) fn put_unissued(self, leaf: u64) -> Result<(), LedgerFault> {
        self.run("INSERT INTO unissued (leaf) VALUES (?1)", [leaf.cast_signed()]).map(|_| ())
    }

    /// The leaves of an older log whose cards are not among the issued yet.
    pub(in super::super::super) fn unissued(self) -> Result<Vec<u64>, LedgerFault> {
        let mut statement = self.prepare("SELECT leaf FROM unissued ORDER BY leaf")?;
        let leaves = statement.query_map([], |row| unsigned(row, 0)).map_err(read_fault)?;
        leaves.map(|leaf| leaf.map_err(read_fault)).collect()
    }

    pub(in super::super::super) fn forget_unissued(self) -> Result<(), LedgerFault> {
        self.run("DELETE FROM unissued", []).map(|_| ())
    }

    /// Notes that a card has keys under a version of a master key; false when that was noted before.
    fn put_issued(self, tag: &[u8; 16]) -> Result<bool, LedgerFault> {
        Ok(self.run("INSERT OR IGNORE INTO issued (tag) VALUES (?1)", [tag])? > 0)
    }

    /// Whether a card has keys under a version of a master key.
    pub(in super::super::super) fn is_issued(self, tag: &[u8; 16]) -> Result<bool, LedgerFault> {
        Ok(self.one("SELECT 1 FROM issued WHERE tag = ?1", [tag], |_| Ok(()))?.is_some())
    }

    /// Counts more cards under a version of a master key.
    fn add_cards(self, name: &Name, version: u32, more: u64) -> Result<(), LedgerFault> {
        let sql = "INSERT INTO impact (name, version, cards) VALUES (?1, ?2, ?3) \
            ON CONFLICT (name, version) DO UPDATE SET cards = cards + excluded.cards";
        self.run(sql, params![name.as_str(), version, more.cast_signed()]).map(|_| ())
    }

    /// How many cards have keys under a version of a master key.
    pub(in super::super::super) fn cards_under(self, name: &Name, version: u32) -> Result<u64, LedgerFault> {
        let sql = "SELECT cards FROM impact WHERE name = ?1 AND version = ?2";
        Ok(self.one(sql, params![name.as_str(), version], |row| unsigned(row, 0))?.unwrap_or(0))
    }
}
