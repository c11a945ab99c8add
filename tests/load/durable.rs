//! The floor of durability: what a commit costs in the store's library and on the store's disk, with nothing around it.
//!
//! A database beside the service's with the same settings; a transaction writes so many leaves of the size that the
//! service's newest one has, each with the row of its purse. This is no store of the product's: it hashes nothing, seals
//! nothing, and what it writes means nothing.

use crate::{
    crew::Worker,
    order::{Measured, Order, Work},
    tally::{Tally, Watch},
    while_doing,
};
use keysvc_tests::ground::Failed;
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{Connection, OpenFlags, params};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// The service's tables for leaves and purses, as its schema has them.
const TABLES: &str = "
    CREATE TABLE leaf (
        idx INTEGER PRIMARY KEY, entry BLOB NOT NULL, hashes BLOB NOT NULL, salt BLOB NOT NULL,
        sealed INTEGER, payload BLOB NOT NULL
    ) STRICT;
    CREATE TABLE purse (
        tag BLOB PRIMARY KEY, seq INTEGER NOT NULL, balance INTEGER NOT NULL, link BLOB NOT NULL,
        leaf INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";
const PUT_LEAF: &str =
    "INSERT INTO leaf (idx, entry, hashes, salt, sealed, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const PUT_PURSE: &str = "INSERT INTO purse (tag, seq, balance, link, leaf) VALUES (?1, ?2, ?3, ?4, ?5) \
    ON CONFLICT (tag) DO UPDATE SET \
    seq = excluded.seq, balance = excluded.balance, link = excluded.link, leaf = excluded.leaf";
/// The writer's settings: the ledger's own.
const SETTINGS: [(&str, &str); 5] = [
    ("journal_mode", "wal"),
    ("synchronous", "full"),
    ("cache_size", "-32768"),
    ("wal_autocheckpoint", "8192"),
    ("secure_delete", "on"),
];
/// Purses, as many as the largest load has connections.
const PURSES: u64 = 64;
/// Bytes of a hash; a leaf completes two subtrees on average.
const HASHES_LEN: u32 = 64;

/// A database of its own.
pub struct Durable {
    connection: Connection,
    leaf: Leaf,
    next: u64,
}

/// The parts of a leaf, random bytes.
struct Leaf {
    entry: Vec<u8>,
    hashes: Vec<u8>,
    salt: Vec<u8>,
    payload: Vec<u8>,
}

impl Durable {
    /// Makes the database `file`; its leaves are of the size of the newest one in the service's `store`.
    ///
    /// # Errors
    /// [`Failed`] when either database cannot be used.
    pub fn new(file: &Path, store: &Path) -> Result<Self, Failed> {
        let leaf = Leaf::like_newest_of(store)?;
        let connection = Connection::open(file).map_err(while_doing("a scratch database"))?;
        for (name, value) in SETTINGS {
            connection.pragma_update(None, name, value).map_err(while_doing(name))?;
        }
        connection.execute_batch(TABLES).map_err(while_doing("a scratch database"))?;
        Ok(Self { connection, leaf, next: 0 })
    }

    /// One transaction of so many leaves.
    fn commit(&mut self, leaves: u64) -> Result<(), rusqlite::Error> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for _ in 0..leaves {
            let (index, leaf) = (self.next.cast_signed(), &self.leaf);
            let mut put = self.connection.prepare_cached(PUT_LEAF)?;
            put.execute(params![index, leaf.entry, leaf.hashes, leaf.salt, 1, leaf.payload])?;
            // Spread over the table, as tags are.
            let purse = (self.next % PURSES).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            let tag = [purse, purse].concat();
            let link = leaf.hashes.get(..32).unwrap_or_default();
            self.connection.prepare_cached(PUT_PURSE)?.execute(params![tag, index, 500, link, index])?;
            self.next = self.next.saturating_add(1);
        }
        self.connection.prepare_cached("COMMIT")?.execute([]).map(drop)
    }
}

impl Leaf {
    fn like_newest_of(store: &Path) -> Result<Self, Failed> {
        let reading = while_doing("the service's store");
        let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(&reading)?;
        let sql = "SELECT length(entry), length(salt), length(payload) FROM leaf ORDER BY idx DESC LIMIT 1";
        let lens: [u32; 3] =
            store.query_row(sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?])).map_err(&reading)?;
        let random = SystemRandom::new();
        let fill = |len: u32| {
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            random.fill(&mut bytes).map(|()| bytes).map_err(while_doing("random bytes"))
        };
        let [entry, salt, payload] = lens.map(fill);
        Ok(Self { entry: entry?, hashes: fill(HASHES_LEN)?, salt: salt?, payload: payload? })
    }
}

impl Worker for Durable {
    type Order = Order;
    type Answer = Measured;

    fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        let leaves = match order.work {
            Work::Commit32 => 32,
            Work::Commit128 => 128,
            _ => 1,
        };
        let watch = Watch::start(None)?;
        let (mut tally, began) = (Tally::default(), Instant::now());
        let length = Duration::from_millis(order.millis);
        while began.elapsed() < length {
            let call = Instant::now();
            self.commit(leaves).map_err(while_doing("a scratch commit"))?;
            tally.count(leaves, call);
        }
        watch.stop(|| vec![tally])
    }
}
