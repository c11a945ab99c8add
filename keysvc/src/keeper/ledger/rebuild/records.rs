//! Keys, open intents, the halt, the newest bundle and the data keys: some dozens of rows a year, so held in memory.

use super::{
    super::{
        fault::LedgerFault,
        sqlite::{Rows, read_fault},
    },
    findings::{Findings, Part},
};
use keysvc_protocol::{
    cbor,
    control::STORAGE_OF_JOB,
    hash::sha256,
    key::{KeyKind, KeyRecord, KeyState},
    name::Name,
};
use std::{collections::BTreeMap, fmt::Display};

/// A row: the record's bytes and the leaf that wrote it.
type Kept = (Vec<u8>, u64);

/// What the leaves leave of keys and halts.
#[derive(Default)]
pub(super) struct Records {
    keys: BTreeMap<(String, u32), (KeyRecord, u64)>,
    intents: BTreeMap<u64, Vec<u8>>,
    halted: Option<u64>,
    bundle: Option<u64>,
}

impl Records {
    pub(super) fn put_key(&mut self, key: &KeyRecord, leaf: u64) {
        self.keys.insert((key.name.to_string(), key.version), (key.clone(), leaf));
    }

    /// Puts a key into another state; false when there is none.
    pub(super) fn move_key(&mut self, name: &Name, version: u32, state: KeyState, leaf: u64) -> bool {
        let Some((key, moved)) = self.keys.get_mut(&(name.to_string(), version)) else { return false };
        (key.state, *moved) = (state, leaf);
        true
    }

    pub(super) fn open_intent(&mut self, leaf: u64, payload: &[u8]) {
        self.intents.insert(leaf, payload.to_vec());
    }

    /// Closes an intent; false when none is open there.
    pub(super) fn close_intent(&mut self, leaf: u64) -> bool {
        self.intents.remove(&leaf).is_some()
    }

    /// The first rollback halts.
    pub(super) fn halt(&mut self, leaf: u64) {
        self.halted.get_or_insert(leaf);
    }

    /// The last bundle is the newest.
    pub(super) fn make_bundle(&mut self, leaf: u64) {
        self.bundle = Some(leaf);
    }

    pub(super) fn into_keys(self) -> Vec<KeyRecord> {
        self.keys.into_values().map(|(key, _)| key).collect()
    }

    /// Compares with the store's three tables.
    pub(super) fn compare(&self, rows: Rows<'_>, findings: &mut Findings) -> Result<(), LedgerFault> {
        let encoded = |(key, leaf): &(KeyRecord, u64)| (cbor::encode(key), *leaf);
        let log: BTreeMap<String, Kept> =
            self.keys.iter().map(|((name, version), kept)| (named(name, *version), encoded(kept))).collect();
        let sql = "SELECT name, version, record, leaf FROM key_record";
        let store = table(rows, sql, |row| {
            let key = named(&row.get::<_, String>(0)?, row.get(1)?);
            Ok((key, (row.get(2)?, row.get::<_, i64>(3)?.cast_unsigned())))
        })?;
        compare(Part::KeyRecord, &log, &store, findings, say);

        let log = self.intents.iter().map(|(leaf, record)| (*leaf, (record.clone(), *leaf))).collect();
        let store = table(rows, "SELECT leaf, record FROM intent", |row| {
            let leaf = row.get::<_, i64>(0)?.cast_unsigned();
            Ok((leaf, (row.get(1)?, leaf)))
        })?;
        compare(Part::Intent, &log, &store, findings, say);

        let one =
            |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
        let log = self.halted.iter().map(|leaf| (0, *leaf)).collect();
        let store = table(rows, "SELECT id, leaf FROM halt", one)?;
        compare(Part::Halt, &log, &store, findings, |leaf| format!("halted by leaf {leaf}"));

        let log = self.bundle.iter().map(|leaf| (0, *leaf)).collect();
        let store = table(rows, "SELECT id, leaf FROM bundle", one)?;
        compare(Part::Bundle, &log, &store, findings, |leaf| format!("made by leaf {leaf}"));
        Ok(())
    }

    /// Holds the data keys against the leaves sealed under them (`sealed`), those that were erased with their jobs
    /// (`erased`), and the storage keys of the log.
    pub(super) fn compare_data_keys(
        &self,
        rows: Rows<'_>,
        (sealed, erased): (&BTreeMap<u32, u64>, &BTreeMap<u32, u64>),
        findings: &mut Findings,
    ) -> Result<(), LedgerFault> {
        let store = table(rows, "SELECT id, storage_key FROM data_key", |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?))
        })?;
        findings.compared(Part::DataKey, u64::try_from(store.len()).unwrap_or(u64::MAX));
        let storage = |id: &[u8]| {
            self.keys.values().any(|(key, _)| {
                key.kind == KeyKind::Storage && key.state != KeyState::Destroyed && key.id.as_bytes() == id
            })
        };
        for (id, wrapping) in &store {
            if !storage(wrapping) {
                let found = format!("wrapped under {}", super::leaves::hex(wrapping));
                findings.differ(
                    Part::DataKey,
                    &id.to_string(),
                    "wrapped under a storage key of the log",
                    &found,
                );
            }
        }
        for (id, leaves) in sealed.iter().filter(|(id, _)| !store.contains_key(id)) {
            findings.differ(
                Part::DataKey,
                &id.to_string(),
                &format!("{leaves} leaves sealed under it"),
                "no such key",
            );
        }
        if let Some((id, _)) = rows.tags_key()?
            && !store.contains_key(&id)
        {
            findings.differ(Part::DataKey, &id.to_string(), "the tags' key sealed under it", "no such key");
        }
        // Each job has one data key, under a storage key of its own, and it is erased before that is destroyed.
        let of_jobs = self.keys.values().filter(|(key, _)| {
            let wraps = store.values().any(|id| key.id.as_bytes() == id.as_slice());
            key.kind == KeyKind::Storage && key.name.as_str().starts_with(STORAGE_OF_JOB) && !wraps
        });
        let (gone, jobs) = (erased.len(), of_jobs.count());
        if gone > jobs {
            let leaves = erased.values().copied().fold(0, u64::saturating_add);
            let found = format!("{gone} data keys erased, and with them the payloads of {leaves} leaves");
            findings.differ(Part::DataKey, "erased", &format!("{jobs} storage keys of purged jobs"), &found);
        }
        // A number that was given once never comes back, not even after its key was erased.
        let numbers = store.keys().chain(sealed.keys()).chain(erased.keys());
        let highest = numbers.max().copied().unwrap_or(0);
        let given = rows.data_keys_given()?;
        if given < highest {
            let found = format!("{given} given so far");
            findings.differ(Part::DataKey, "numbers", &format!("{highest} given so far"), &found);
        }
        Ok(())
    }
}

fn named(name: &str, version: u32) -> String {
    format!("{name} version {version}")
}

fn say((record, leaf): &Kept) -> String {
    format!("record {} of leaf {leaf}", sha256(&[record]))
}

fn table<K: Ord, V>(
    rows: Rows<'_>,
    sql: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<(K, V)>,
) -> Result<BTreeMap<K, V>, LedgerFault> {
    let mut statement = rows.0.prepare(sql).map_err(read_fault)?;
    let all = statement.query_map([], read).map_err(read_fault)?;
    all.collect::<rusqlite::Result<_>>().map_err(read_fault)
}

fn compare<K: Ord + Display, V: PartialEq>(
    part: Part,
    log: &BTreeMap<K, V>,
    store: &BTreeMap<K, V>,
    findings: &mut Findings,
    say: impl Fn(&V) -> String,
) {
    let text = |row: Option<&V>| row.map_or_else(|| "no such row".to_owned(), &say);
    let extra = store.keys().filter(|key| !log.contains_key(key));
    for key in log.keys().chain(extra) {
        findings.compared(part, 1);
        let (ours, theirs) = (log.get(key), store.get(key));
        if ours != theirs {
            findings.differ(part, &key.to_string(), &text(ours), &text(theirs));
        }
    }
}
