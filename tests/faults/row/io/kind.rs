//! Which calls are made to fail, how, and in what the keeper is about to do.
//!
//! Apart from the trials, because it is the list that the row's claim stands on.

use keysvc_tests::{ground::Ground, traced::calls};
use std::{collections::BTreeMap, path::PathBuf};

/// What the keeper is doing when a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doing {
    /// It answers value updates.
    Updates,
    /// It makes a key in the token: the storage key of a new job.
    Key,
    /// It starts.
    Start,
    /// It ends because it is told to.
    Stop,
}

impl Doing {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Updates, Self::Key, Self::Start, Self::Stop];
}

/// Which files a call must be about to be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Files {
    /// The store's write-ahead log.
    Log,
    /// The anchor.
    Anchor,
    /// All files of the store, its folder and the anchor.
    Store,
    /// Any descriptor: a token's new file has a name that nobody knows before.
    Any,
}

impl Files {
    /// Their paths; nothing for any.
    pub(super) fn paths(self, ground: &Ground) -> Vec<PathBuf> {
        let home = ground.site().service();
        let (store, anchor) = (home.folder().join("store"), home.folder().join("anchor"));
        let database = |end: &str| store.join(format!("ledger.sqlite3{end}"));
        match self {
            Self::Log => vec![database("-wal")],
            Self::Anchor => vec![anchor],
            Self::Store => vec![database(""), database("-wal"), database("-shm"), store.clone(), anchor],
            Self::Any => Vec::new(),
        }
    }
}

/// One way of failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// When.
    pub(super) doing: Doing,
    /// Where.
    pub(super) files: Files,
    /// Which system call.
    pub(super) call: &'static str,
    /// What it comes to, as strace names it. `retval=0` is a write of nothing.
    pub(super) failing: &'static str,
}

impl Kind {
    /// strace's options by which the `n`-th such call of a thread fails.
    pub(super) fn options(&self, ground: &Ground, n: u64) -> Vec<String> {
        let mut options = tracing(self.call, self.files, ground);
        options.extend(["-e".to_owned(), format!("inject={}:{}:when={n}", self.call, self.failing)]);
        options
    }

    /// In words.
    pub(super) fn name(&self) -> String {
        let Self { doing, files, call, failing } = self;
        format!("{doing:?}, {files:?}, {call}, {failing}").to_lowercase()
    }
}

/// strace's options by which calls about these files are seen.
pub(super) fn tracing(calls: &str, files: Files, ground: &Ground) -> Vec<String> {
    let mut options = vec!["-e".to_owned(), format!("trace={calls}")];
    for path in files.paths(ground) {
        options.extend(["-P".to_owned(), path.display().to_string()]);
    }
    options
}

const fn kind(doing: Doing, files: Files, call: &'static str, failing: &'static str) -> Kind {
    Kind { doing, files, call, failing }
}

const FULL: &str = "error=ENOSPC";
const BROKEN: &str = "error=EIO";
const NOTHING: &str = "retval=0";

/// Every way, each tried at many calls.
pub(super) const KINDS: [Kind; 24] = [
    kind(Doing::Updates, Files::Log, "fsync", BROKEN),
    kind(Doing::Updates, Files::Log, "pwrite64", FULL),
    kind(Doing::Updates, Files::Log, "pwrite64", BROKEN),
    kind(Doing::Updates, Files::Log, "pwrite64", NOTHING),
    kind(Doing::Updates, Files::Anchor, "pwrite64", FULL),
    kind(Doing::Updates, Files::Anchor, "pwrite64", BROKEN),
    kind(Doing::Updates, Files::Anchor, "pwrite64", NOTHING),
    kind(Doing::Updates, Files::Anchor, "fdatasync", BROKEN),
    kind(Doing::Key, Files::Any, "write", FULL),
    kind(Doing::Key, Files::Any, "write", BROKEN),
    kind(Doing::Key, Files::Any, "ftruncate", FULL),
    kind(Doing::Key, Files::Any, "ftruncate", BROKEN),
    kind(Doing::Key, Files::Any, "fsync", BROKEN),
    kind(Doing::Start, Files::Store, "fsync", BROKEN),
    kind(Doing::Start, Files::Store, "fdatasync", BROKEN),
    kind(Doing::Start, Files::Store, "pwrite64", FULL),
    kind(Doing::Start, Files::Store, "pwrite64", BROKEN),
    kind(Doing::Start, Files::Store, "ftruncate", BROKEN),
    kind(Doing::Stop, Files::Store, "fsync", BROKEN),
    kind(Doing::Stop, Files::Store, "fdatasync", BROKEN),
    kind(Doing::Stop, Files::Store, "pwrite64", FULL),
    kind(Doing::Stop, Files::Store, "pwrite64", BROKEN),
    kind(Doing::Stop, Files::Store, "ftruncate", FULL),
    kind(Doing::Stop, Files::Store, "ftruncate", BROKEN),
];

/// The writes of a start, the token's own among them. Apart, because `SoftHSM` truncates and writes the file of the token
/// itself at each login: where that write fails, the token is gone, and its folder has to be put back.
pub(super) const LOGIN: Kind = kind(Doing::Start, Files::Any, "write", BROKEN);

/// How many calls each thread made, by call and file, in one trace in which nothing failed.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<(u32, String, PathBuf), u64>);

impl Calls {
    /// Reads a trace.
    pub(super) fn read(trace: &str) -> Self {
        let mut counts = BTreeMap::new();
        for call in calls(trace) {
            *counts.entry((call.thread, call.name, call.file.into())).or_default() += 1;
        }
        Self(counts)
    }

    /// How many of this kind there are: those of the thread that makes most of them, for strace counts by thread.
    pub(super) fn of(&self, kind: &Kind, ground: &Ground) -> u64 {
        let paths = kind.files.paths(ground);
        let mut threads: BTreeMap<u32, u64> = BTreeMap::new();
        for ((thread, call, file), count) in &self.0 {
            if call == kind.call && (paths.is_empty() || paths.contains(file)) {
                *threads.entry(*thread).or_default() += count;
            }
        }
        threads.into_values().max().unwrap_or(0)
    }
}
