//! The statements: each a function, prepared once a connection.
//!
//! Rows are read into our types here or not at all; what they mean is the caller's.

mod jobs;
mod marks;
mod people;

pub(in super::super) use people::ProposalRow;

use super::{
    super::{
        change::Recording,
        fault::LedgerFault,
        purse::Purse,
        seal::{Seals, Tags},
    },
    read_fault,
};
use keysvc_protocol::{
    bytes::{ObjectIdentifier, PreviousUpdate, Salt},
    cbor,
    key::KeyRecord,
    leaf::{KeyIntentLeaf, LeafEntry, LeafKind, RetentionClass},
    merkle::{Inclusion, TreeHead, inclusion_proof, leaf_hash, verify_inclusion},
    receipt::LEAF_PAYLOAD_LEN_MAX,
};
use marks::{Chain, must_bear};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, Row, params};

/// A connection, seen as our tables.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Rows<'c>(pub(in super::super) &'c Connection);

/// A leaf's row without its hashes.
pub(in super::super) struct StoredLeaf {
    pub(in super::super) entry: Vec<u8>,
    pub(in super::super) salt: Salt,
    /// The data key the payload is sealed under; nothing when it lies there in clear.
    pub(in super::super) sealed: Option<u32>,
    pub(in super::super) payload: Vec<u8>,
}

impl<'c> Rows<'c> {
    fn prepare(self, sql: &str) -> Result<CachedStatement<'c>, LedgerFault> {
        self.0.prepare_cached(sql).map_err(read_fault)
    }

    fn run(self, sql: &str, values: impl Params) -> Result<usize, LedgerFault> {
        self.prepare(sql)?.execute(values).map_err(read_fault)
    }

    fn one<T>(
        self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, LedgerFault> {
        self.prepare(sql)?.query_row(values, read).optional().map_err(read_fault)
    }

    pub(super) fn begin(self) -> Result<(), LedgerFault> {
        self.run("BEGIN IMMEDIATE", []).map(|_| ())
    }

    pub(super) fn commit(self) -> Result<(), LedgerFault> {
        self.run("COMMIT", []).map(|_| ())
    }

    /// Reads all of it as it is at one moment, whatever a writer commits meanwhile.
    pub(in super::super) fn at_one_moment<T>(
        self,
        read: impl FnOnce(Self) -> Result<T, LedgerFault>,
    ) -> Result<T, LedgerFault> {
        self.run("BEGIN", [])?;
        let found = read(self);
        self.run("ROLLBACK", [])?;
        found
    }

    /// Index of the last leaf.
    pub(in super::super) fn last_leaf(self) -> Result<Option<u64>, LedgerFault> {
        self.one("SELECT idx FROM leaf ORDER BY idx DESC LIMIT 1", [], |row| unsigned(row, 0))
    }

    /// A leaf as it lies in its row.
    pub(in super::super) fn leaf(self, index: u64) -> Result<Option<StoredLeaf>, LedgerFault> {
        let sql = "SELECT entry, salt, sealed, payload FROM leaf WHERE idx = ?1";
        self.one(sql, [index.cast_signed()], |row| {
            let (entry, salt) = (row.get(0)?, Salt::new(row.get(1)?));
            Ok(StoredLeaf { entry, salt, sealed: row.get(2)?, payload: row.get(3)? })
        })
    }

    /// The hashes of the subtrees that a leaf completed.
    pub(in super::super) fn hashes(self, index: u64) -> Result<Option<Vec<u8>>, LedgerFault> {
        self.one("SELECT hashes FROM leaf WHERE idx = ?1", [index.cast_signed()], |row| row.get(0))
    }

    /// A leaf with its payload in clear, as the entry's digest has it; [`LedgerFault::Erased`] when that was erased with its
    /// job. Whether the tree vouches for the entry is another question ([`Rows::vouched`]).
    pub(in super::super) fn recording(self, index: u64, seals: &Seals) -> Result<Recording, LedgerFault> {
        let broken = LedgerFault::Broken { leaf: index };
        let Some(StoredLeaf { entry, salt, sealed, payload }) = self.leaf(index)? else {
            return Err(broken);
        };
        let Ok(read) = LeafEntry::decode(&entry) else { return Err(broken) };
        let LeafEntry { time_ms, kind, .. } = read;
        if read.index != index {
            return Err(broken);
        }
        let payload = match sealed {
            Some(id) => match seals.open(index, id, &payload) {
                Err(LedgerFault::SealMissing { .. }) if self.is_erased(kind, id)? => {
                    return Err(LedgerFault::Erased { leaf: index });
                }
                opened => opened?,
            },
            None => payload,
        };
        read.check_payload(&salt, &payload).map_err(|_| broken)?;
        Ok(Recording { index, time_ms, kind, entry, salt, payload, retried: false })
    }

    /// As [`Rows::recording`], and the tree of this head vouches for it: what is done again, or signed, by what it says.
    pub(in super::super) fn vouched(
        self,
        index: u64,
        head: TreeHead,
        seals: &Seals,
    ) -> Result<Recording, LedgerFault> {
        let leaf = self.recording(index, seals)?;
        let claim = Inclusion { index, size: head.size, leaf_hash: leaf_hash(&leaf.entry) };
        let proof = inclusion_proof(&self, index, head.size)?;
        verify_inclusion(&claim, &proof, &head.root).map_err(|_| LedgerFault::Broken { leaf: index })?;
        Ok(leaf)
    }

    pub(super) fn put_leaf(
        self,
        leaf: &Recording,
        hashes: &[u8],
        sealed: Option<u32>,
        stored: &[u8],
    ) -> Result<(), LedgerFault> {
        let sql =
            "INSERT INTO leaf (idx, entry, hashes, salt, sealed, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let salt = leaf.salt.as_bytes();
        self.run(sql, params![leaf.index.cast_signed(), leaf.entry, hashes, salt, sealed, stored]).map(|_| ())
    }

    /// Where a purse stands. That there is none is as certain as where one stands.
    pub(in super::super) fn purse(self, tags: &Tags, tag: &[u8; 16]) -> Result<Option<Purse>, LedgerFault> {
        let sql = "SELECT seq, balance, link, leaf, mark FROM purse WHERE tag = ?1";
        let found = self.one(sql, [tag], |row| Ok((purse_of(row)?, row.get::<_, Option<Vec<u8>>>(4)?)))?;
        let Some((purse, mark)) = found else {
            self.must_be_absent(tags, Chain::Purses, tag)?;
            return Ok(None);
        };
        let [seq, balance, leaf] = [purse.seq, purse.balance, purse.leaf].map(u64::to_be_bytes);
        must_bear(tags, "purse", &[tag, &seq, &balance, purse.link.as_bytes(), &leaf], mark.as_deref())?;
        Ok(Some(purse))
    }

    pub(in super::super) fn put_purse(
        self,
        tags: &Tags,
        tag: &[u8; 16],
        purse: &Purse,
    ) -> Result<(), LedgerFault> {
        let numbers = [purse.seq, purse.balance, purse.leaf];
        let ([seq, balance, leaf], link) = (numbers.map(u64::to_be_bytes), purse.link.as_bytes());
        let mark = tags.mark("purse", &[tag, &seq, &balance, link, &leaf]);
        let [seq, balance, leaf] = numbers.map(u64::cast_signed);
        let sql = "UPDATE purse SET seq = ?2, balance = ?3, link = ?4, leaf = ?5, mark = ?6 WHERE tag = ?1";
        if self.run(sql, params![tag, seq, balance, link, leaf, mark])? > 0 {
            return Ok(());
        }
        let next = self.enter(tags, Chain::Purses, tag)?;
        let sql = "INSERT INTO purse (tag, seq, balance, link, leaf, mark, next) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.run(sql, params![tag, seq, balance, link, leaf, mark, next]).map(|_| ())
    }

    /// Gives each purse in the order of tags, so many at a time.
    fn each_purse(
        self,
        at_once: usize,
        take: impl FnMut(&[u8; 16], &Purse) -> Result<(), LedgerFault>,
    ) -> Result<(), LedgerFault> {
        let sql = "SELECT seq, balance, link, leaf, tag FROM purse WHERE tag > ?1 ORDER BY tag LIMIT ?2";
        self.pages(sql, at_once, |row| Ok((row.get(4)?, purse_of(row)?)), take)
    }

    /// The leaf recorded under the tag of an idempotency key, and the tag of its request. A row that is gone is not missed:
    /// forgetting is what becomes of them all.
    pub(super) fn idem(self, tags: &Tags, tag: &[u8; 16]) -> Result<Option<(u64, [u8; 16])>, LedgerFault> {
        let sql = "SELECT leaf, request, time, mark FROM idem WHERE tag = ?1";
        let found = self.one(sql, [tag], |row| {
            let mark: Option<Vec<u8>> = row.get(3)?;
            Ok((unsigned(row, 0)?, row.get::<_, [u8; 16]>(1)?, unsigned(row, 2)?, mark))
        })?;
        let Some((leaf, request, time_ms, mark)) = found else { return Ok(None) };
        let columns: [&[u8]; 4] = [&leaf.to_be_bytes(), tag, &request, &time_ms.to_be_bytes()];
        must_bear(tags, "idem", &columns, mark.as_deref())?;
        Ok(Some((leaf, request)))
    }

    pub(super) fn put_idem(
        self,
        tags: &Tags,
        (tag, request): (&[u8; 16], &[u8; 16]),
        leaf: u64,
        time_ms: u64,
    ) -> Result<(), LedgerFault> {
        let sql = "INSERT INTO idem (leaf, tag, request, time, mark) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mark = idem_mark(tags, leaf, (tag, request), time_ms);
        self.run(sql, params![leaf.cast_signed(), tag, request, time_ms.cast_signed(), mark]).map(|_| ())
    }

    /// Puts an idempotency key beside the act that its proposal became.
    pub(super) fn move_idem(
        self,
        tags: &Tags,
        (made, act): (u64, u64),
        (tag, request): (&[u8; 16], &[u8; 16]),
        time_ms: u64,
    ) -> Result<(), LedgerFault> {
        let sql = "UPDATE idem SET leaf = ?2, time = ?3, mark = ?4 WHERE leaf = ?1";
        let mark = idem_mark(tags, act, (tag, request), time_ms);
        let values = params![made.cast_signed(), act.cast_signed(), time_ms.cast_signed(), mark];
        self.run(sql, values).map(|_| ())
    }

    /// Gives every idempotency key of an older store its mark, so many at a time.
    fn mark_older_idems(self, tags: &Tags, at_once: usize) -> Result<(), LedgerFault> {
        let sql = "SELECT leaf, request, time, tag FROM idem WHERE tag > ?1 ORDER BY tag LIMIT ?2";
        let read = |row: &Row<'_>| {
            let request: [u8; 16] = row.get(1)?;
            Ok((row.get(3)?, (unsigned(row, 0)?, request, unsigned(row, 2)?)))
        };
        self.pages(sql, at_once, read, |tag, (leaf, request, time_ms)| {
            self.move_idem(tags, (*leaf, *leaf), (tag, request), *time_ms)
        })
    }

    /// The time of the oldest idempotency key.
    pub(super) fn oldest_idem(self) -> Result<Option<u64>, LedgerFault> {
        self.one("SELECT time FROM idem ORDER BY leaf LIMIT 1", [], |row| unsigned(row, 0))
    }

    /// Forgets idempotency keys recorded before `before_ms`, at most `max` and oldest first.
    pub(super) fn forget_idems(self, before_ms: u64, max: u32) -> Result<(), LedgerFault> {
        let sql = "DELETE FROM idem WHERE leaf IN \
            (SELECT leaf FROM (SELECT leaf, time FROM idem ORDER BY leaf LIMIT ?2) WHERE time < ?1)";
        self.run(sql, params![before_ms.cast_signed(), max]).map(|_| ())
    }

    pub(super) fn put_key(self, key: &KeyRecord, leaf: u64) -> Result<(), LedgerFault> {
        let sql = "INSERT INTO key_record (name, version, record, leaf) VALUES (?1, ?2, ?3, ?4) \
            ON CONFLICT (name, version) DO UPDATE SET record = excluded.record, leaf = excluded.leaf";
        let values = params![key.name.as_str(), key.version, cbor::encode(key), leaf.cast_signed()];
        self.run(sql, values).map(|_| ())
    }

    /// The keys, by name and version.
    pub(in super::super) fn keys(self) -> Result<Vec<KeyRecord>, LedgerFault> {
        let mut statement = self.prepare("SELECT record FROM key_record ORDER BY name, version")?;
        let records = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).map_err(read_fault)?;
        let keys = records.map(|record| {
            cbor::decode(&record.map_err(read_fault)?, LEAF_PAYLOAD_LEN_MAX)
                .map_err(|_| LedgerFault::BrokenTable { table: "key_record" })
        });
        keys.collect()
    }

    pub(super) fn put_intent(self, leaf: u64, intent: &KeyIntentLeaf) -> Result<(), LedgerFault> {
        let values = params![leaf.cast_signed(), cbor::encode(intent)];
        self.run("INSERT INTO intent (leaf, record) VALUES (?1, ?2)", values).map(|_| ())
    }

    pub(super) fn is_open_intent(self, leaf: u64) -> Result<bool, LedgerFault> {
        let found = self.one("SELECT 1 FROM intent WHERE leaf = ?1", [leaf.cast_signed()], |_| Ok(()))?;
        Ok(found.is_some())
    }

    pub(super) fn close_intent(self, leaf: u64) -> Result<(), LedgerFault> {
        self.run("DELETE FROM intent WHERE leaf = ?1", [leaf.cast_signed()]).map(|_| ())
    }

    /// The key intents without an outcome, with the indices of their leaves.
    pub(in super::super) fn open_intents(self) -> Result<Vec<(u64, KeyIntentLeaf)>, LedgerFault> {
        let mut statement = self.prepare("SELECT leaf, record FROM intent ORDER BY leaf")?;
        let rows = statement.query_map([], |row| Ok((unsigned(row, 0)?, row.get::<_, Vec<u8>>(1)?)));
        let intents = rows.map_err(read_fault)?.map(|row| {
            let (leaf, record) = row.map_err(read_fault)?;
            let intent = cbor::decode(&record, LEAF_PAYLOAD_LEN_MAX);
            intent.map(|intent| (leaf, intent)).map_err(|_| LedgerFault::BrokenTable { table: "intent" })
        });
        intents.collect()
    }

    /// The leaf that halted the ledger.
    pub(super) fn halted(self) -> Result<Option<u64>, LedgerFault> {
        self.one("SELECT leaf FROM halt", [], |row| unsigned(row, 0))
    }

    pub(super) fn halt(self, leaf: u64) -> Result<(), LedgerFault> {
        self.run("INSERT INTO halt (id, leaf) VALUES (0, ?1)", [leaf.cast_signed()]).map(|_| ())
    }

    /// The leaf of the newest trust bundle.
    pub(in super::super) fn bundle(self) -> Result<Option<u64>, LedgerFault> {
        self.one("SELECT leaf FROM bundle", [], |row| unsigned(row, 0))
    }

    pub(super) fn put_bundle(self, leaf: u64) -> Result<(), LedgerFault> {
        self.run("INSERT OR REPLACE INTO bundle (id, leaf) VALUES (0, ?1)", [leaf.cast_signed()]).map(|_| ())
    }

    /// The sealed key of the tags and the data key it is sealed under.
    pub(in super::super) fn tags_key(self) -> Result<Option<(u32, Vec<u8>)>, LedgerFault> {
        self.one("SELECT sealed, key FROM tags_key", [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Whether what is sealed under a data key was erased: the payload of a job, whose data key went with it. One of any
    /// other leaf, or whose data key is only not given, is none.
    pub(in super::super) fn is_erased(self, kind: LeafKind, id: u32) -> Result<bool, LedgerFault> {
        let of_job = kind.class() == RetentionClass::Job;
        Ok(of_job && self.one("SELECT 1 FROM data_key WHERE id = ?1", [id], |_| Ok(()))?.is_none())
    }

    /// The storage keys under which a data key lies.
    pub(in super::super) fn wrapping_keys(self) -> Result<Vec<ObjectIdentifier>, LedgerFault> {
        let mut statement = self.prepare("SELECT DISTINCT storage_key FROM data_key")?;
        let keys = statement.query_map([], |row| row.get::<_, [u8; 16]>(0)).map_err(read_fault)?;
        keys.map(|key| key.map(ObjectIdentifier::new).map_err(read_fault)).collect()
    }

    /// The highest number that was ever given to a data key, erased ones too.
    pub(in super::super) fn data_keys_given(self) -> Result<u32, LedgerFault> {
        let given =
            self.one("SELECT seq FROM sqlite_sequence WHERE name = 'data_key'", [], |row| row.get(0))?;
        Ok(given.unwrap_or(0))
    }

    /// What `SQLite` finds wrong with pages and indices, at most `max` lines.
    pub(in super::super) fn integrity(self, max: usize) -> Result<Vec<String>, LedgerFault> {
        // Not a parameter: SQLite would take that for a table's name.
        let mut statement = self.0.prepare(&format!("PRAGMA integrity_check({max})")).map_err(read_fault)?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0)).map_err(read_fault)?;
        let lines: Vec<_> = lines.collect::<rusqlite::Result<_>>().map_err(read_fault)?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    pub(super) fn put_tags_key(self, sealed: u32, key: &[u8]) -> Result<(), LedgerFault> {
        self.run("INSERT OR REPLACE INTO tags_key (id, sealed, key) VALUES (0, ?1, ?2)", params![sealed, key])
            .map(|_| ())
    }
}

/// The mark of an idempotency key's row.
pub(in super::super) fn idem_mark(
    tags: &Tags,
    leaf: u64,
    (tag, request): (&[u8; 16], &[u8; 16]),
    time_ms: u64,
) -> [u8; 16] {
    tags.mark("idem", &[&leaf.to_be_bytes(), tag, request, &time_ms.to_be_bytes()])
}

fn purse_of(row: &Row<'_>) -> rusqlite::Result<Purse> {
    let link = PreviousUpdate::new(row.get(2)?);
    Ok(Purse { seq: unsigned(row, 0)?, balance: unsigned(row, 1)?, link, leaf: unsigned(row, 3)? })
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}
