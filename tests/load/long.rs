//! `cargo load --leaves N`: does the service stay what it was when its log is long?
//!
//! Two sites in one run, one with a short log and one that was filled, measured in turns; then the long store is
//! verified, exported and audited. Ratios count, and the goals of docs/performance.md.

use crate::{
    Arguments, cpu,
    crew::Hand,
    order::{Measured, Order, Work},
    rounds::{millis, persona, service},
    timed::{on_one_core, succeed},
    while_doing,
};
use keysvc_tests::{
    ground::{Failed, Ground},
    programs::{Profile, Programs},
};
use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What is measured on both, in turns.
const WORKS: [(Work, usize); 2] = [(Work::Update, 32), (Work::Derive, 8)];
/// Restarts of each; the median counts.
const RESTARTS: usize = 5;

/// Everything that was measured.
#[derive(Debug)]
pub struct Ended {
    /// Leaves that were filled in.
    pub leaves: u64,
    /// How long filling took.
    pub fill: Duration,
    /// From the start of the program to its first answer, for the short log and the long one; sorted.
    pub restarts: [Vec<Duration>; 2],
    /// Each work on the short log and the long one, round by round.
    pub works: Vec<(Order, [Vec<Measured>; 2])>,
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

/// A site with the processes that make its load.
struct Side {
    ground: Ground,
    hands: Option<(Hand, Hand)>,
}

impl Side {
    fn new(folder: &Path, programs: &Programs) -> Result<Self, Failed> {
        let ground = Ground::lay_out(folder, programs.clone())?;
        ground.sign_founding()?;
        succeed("keysvc init", &mut ground.keysvc(&["init"]))?;
        Ok(Self { ground, hands: None })
    }

    /// Starts and stops; gives how long it was until the first answer.
    fn restart(&mut self) -> Result<Duration, Failed> {
        let began = Instant::now();
        self.ground.start()?;
        let took = began.elapsed();
        self.ground.stop();
        Ok(took)
    }

    fn start(&mut self) -> Result<(), Failed> {
        self.ground.start()?;
        let terminal = persona(&self.ground, "terminal", "terminal-1")?;
        self.hands = Some((terminal, persona(&self.ground, "station", "station-1")?));
        Ok(())
    }

    fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        let order = Order { service: Some(service(&self.ground)?), ..order };
        let (terminal, station) = self.hands.as_mut().ok_or_else(|| Failed("nobody is there".to_owned()))?;
        if order.work == Work::Update { terminal.measure(order) } else { station.measure(order) }
    }

    fn stop(&mut self) {
        self.hands = None;
        self.ground.stop();
    }
}

/// Fills, measures, verifies.
///
/// # Errors
/// [`Failed`] when anything fails: there are no figures of a failing service.
pub fn run(arguments: &Arguments, leaves: u64) -> Result<Ended, Failed> {
    let scratch = TempDir::with_prefix("keysvc-load-").map_err(while_doing("a scratch folder"))?;
    let programs = match &arguments.programs {
        Some(file) => Programs::read(file),
        None => Programs::build(Profile::Release),
    };
    let programs = programs.map_err(while_doing("the programs"))?;
    let load_before = cpu::load_average();
    let mut short = Side::new(&scratch.path().join("short"), &programs)?;
    let mut long = Side::new(&scratch.path().join("long"), &programs)?;
    let fill = fill(&long.ground, leaves, 0)?;
    let mut restarts = [Vec::new(), Vec::new()];
    for round in 0..=RESTARTS {
        let took = [short.restart()?, long.restart()?];
        // The first has the programs read from the disk.
        if round > 0 {
            restarts.iter_mut().zip(took).for_each(|(all, took)| all.push(took));
        }
    }
    restarts.iter_mut().for_each(|all| all.sort_unstable());
    short.start()?;
    long.start()?;
    let works = works(arguments, &mut short, &mut long)?;
    let keeper_kib = cpu::resident_kib(service(&long.ground)?.keeper)?;
    short.stop();
    let export_to = scratch.path().join("export");
    let mut export = long.ground.fobctl("auditor-1", &["audit", "export"]);
    let export = succeed("fobctl audit export", export.arg(&export_to))?;
    long.stop();
    let verify_store = succeed("keysvc verify-store", &mut long.ground.keysvc(&["verify-store"]))?;
    let audit = audit(&long.ground, &export_to)?;
    let store = long.ground.site().service().folder().join("store");
    Ok(Ended {
        leaves,
        fill,
        restarts,
        works,
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
    let own = std::env::current_exe().map_err(while_doing("the path of this program"))?;
    let mut command = ground.site().service().command(&own);
    command.arg("fill").arg(ground.site().service_config());
    command.arg(ground.site().home("terminal-1").client_config());
    command.arg(leaves.to_string()).arg(first.to_string());
    let began = Instant::now();
    let status = command.status().map_err(while_doing("filling the store"))?;
    if status.success() { Ok(began.elapsed()) } else { Err(Failed("the store was not filled".to_owned())) }
}

type Works = Vec<(Order, [Vec<Measured>; 2])>;

fn works(arguments: &Arguments, short: &mut Side, long: &mut Side) -> Result<Works, Failed> {
    let millis = millis(arguments.seconds);
    let order = |(work, parallel)| Order { work, parallel, millis, service: None };
    let mut all: Works = WORKS.map(|work| (order(work), [Vec::new(), Vec::new()])).into();
    for round in 0..=arguments.rounds {
        for (order, [of_short, of_long]) in &mut all {
            let measured = (short.measure(*order)?, long.measure(*order)?);
            // The first round warms caches and makes each thread's session.
            if round > 0 {
                of_short.push(measured.0);
                of_long.push(measured.1);
            }
        }
    }
    Ok(all)
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
