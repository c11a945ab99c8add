//! `cargo load --leaves N`: does the service stay what it was when its log is long?
//!
//! Two sites in one run, one with an empty log and one that was filled, measured in turns; then the long store is
//! verified, exported and audited. The filled leaves lie on as many purses, or on as many as `--purses` says; the updates
//! that are measured go to a few new fobs, and to other ones of those purses each time.

use crate::{
    Arguments, cpu,
    purse::Purses,
    rounds::service,
    side::{self, Compared, Load, Side},
    timed::{on_one_core, succeed},
    while_doing,
};
use keysvc_tests::ground::{Failed, Ground};
use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What is measured on both, in turns.
const LOADS: [(Load, usize); 3] = [(Load::Fobs, 32), (Load::Rota, 32), (Load::Cards, 8)];
/// Purses of the empty site that have their turn: all of them are there after the round that is thrown away.
const PURSES_OF_SHORT: Purses = Purses { purses: 4_096, updates: 0 };
/// Restarts of each; the median counts.
const RESTARTS: usize = 5;

/// Everything that was measured.
#[derive(Debug)]
pub struct Ended {
    /// What was filled in.
    pub filled: Purses,
    /// How long filling took.
    pub fill: Duration,
    /// From the start of the program to its first answer, for the short log and the long one; sorted.
    pub restarts: [Vec<Duration>; 2],
    /// Each load on the short log and the long one.
    pub compared: Vec<Compared>,
    /// How long `keysvc verify-store` took.
    pub verify_store: Duration,
    /// How long `fobctl audit export` took.
    pub export: Duration,
    /// How long `fobaudit verify` took, and whether it was held to one core.
    pub audit: (Duration, bool),
    /// Bytes of the long store.
    pub store_bytes: u64,
    /// Bytes of its export.
    pub export_bytes: u64,
    /// Memory of the keeper with the long log, in KiB.
    pub keeper_kib: u64,
    /// Load average before and after.
    pub load_average: [String; 2],
}

/// Fills, measures, verifies.
///
/// # Errors
/// [`Failed`] when anything fails: there are no figures of a failing service.
pub fn run(arguments: &Arguments, leaves: u64) -> Result<Ended, Failed> {
    let purses = arguments.purses.unwrap_or(leaves);
    if purses > leaves {
        return Err(Failed(format!("{leaves} leaves do not lie on {purses} purses: give more of them")));
    }
    let filled = Purses { purses, updates: leaves };
    let scratch = TempDir::with_prefix("keysvc-load-").map_err(while_doing("a scratch folder"))?;
    let programs = side::programs(arguments)?;
    let load_before = cpu::load_average();
    let mut short = Side::new(&scratch.path().join("short"), &programs, 0)?;
    let mut long = Side::new(&scratch.path().join("long"), &programs, 0)?;
    let fill = fill_purses(&long.ground, filled, 0)?;
    let restarts = side::restarts(RESTARTS, [&mut short, &mut long])?;
    short.start(Some(PURSES_OF_SHORT))?;
    long.start(Some(filled))?;
    let compared = side::compare(arguments, &LOADS, [&mut short, &mut long])?;
    let keeper_kib = cpu::keeper_kib(service(&long.ground)?)?;
    short.stop();
    let export_to = scratch.path().join("export");
    let mut export = long.ground.fobctl("auditor-1", &["audit", "export"]);
    let export = succeed("fobctl audit export", export.arg(&export_to))?;
    long.stop();
    let verify_store = succeed("keysvc verify-store", &mut long.ground.keysvc(&["verify-store"]))?;
    let audit = audit(&long.ground, &export_to)?;
    let store = long.ground.site().service().folder().join("store");
    Ok(Ended {
        filled,
        fill,
        restarts,
        compared,
        verify_store,
        export,
        audit,
        store_bytes: bytes_below(&store).map_err(while_doing("the store's size"))?,
        export_bytes: bytes_below(&export_to).map_err(while_doing("the export's size"))?,
        keeper_kib,
        load_average: [load_before, cpu::load_average()],
    })
}

/// Fills a store whose service is not running with so many updates, on fobs numbered from `first`.
///
/// # Errors
/// [`Failed`] when they are not recorded.
pub fn fill(ground: &Ground, leaves: u64, first: u64) -> Result<Duration, Failed> {
    fill_purses(ground, Purses { purses: leaves, updates: leaves }, first)
}

/// The same, on so many purses in turn.
fn fill_purses(ground: &Ground, filled: Purses, first: u64) -> Result<Duration, Failed> {
    let own = std::env::current_exe().map_err(while_doing("the path of this program"))?;
    let mut command = ground.site().service().command(&own);
    command.arg("fill").arg(ground.site().service_config());
    command.arg(ground.site().home("terminal-1").client_config());
    command.arg(filled.updates.to_string()).arg(filled.purses.to_string()).arg(first.to_string());
    let began = Instant::now();
    let status = command.status().map_err(while_doing("filling the store"))?;
    if status.success() { Ok(began.elapsed()) } else { Err(Failed("the store was not filled".to_owned())) }
}

/// Verifies the export on one core.
fn audit(ground: &Ground, export: &Path) -> Result<(Duration, bool), Failed> {
    let (mut command, one_core) = on_one_core(&ground.programs().fobaudit);
    let trust = ground.site().trust();
    let took = succeed("fobaudit verify", command.arg("verify").arg(export).arg("--trust").arg(trust))?;
    Ok((took, one_core))
}

fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut sum = 0_u64;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        let bytes = if found.is_dir() { bytes_below(&entry.path())? } else { found.len() };
        sum = sum.saturating_add(bytes);
    }
    Ok(sum)
}
