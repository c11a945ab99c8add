//! The rounds: one site, one daemon, every measurement in turn, again and again.
//!
//! In turn, because a machine's speed drifts: what is compared was measured within seconds.

pub use crate::hands::{Hands, persona, service};

use crate::{
    Arguments, cpu,
    idle::{self, Idle},
    order::{Order, Service, Work},
    peers::Skipped,
    progress::Progress,
    series::{SPREAD_MAX, Series},
    side, while_doing,
};
use keysvc_tests::ground::{Failed, Ground};
use std::path::Path;
use tempfile::TempDir;

/// All measurements of a round, in their order: floors stand beside what is compared with them.
const ROUND: [(Work, usize); 29] = [
    (Work::RawSign, 1),
    (Work::RawSign, 2),
    (Work::Update, 1),
    (Work::Update, 8),
    (Work::Update, 32),
    (Work::Update, 64),
    (Work::Batch, 1),
    (Work::Batch, 8),
    (Work::Commit1, 1),
    (Work::Commit32, 1),
    (Work::Commit128, 1),
    (Work::VerifyBare, 1),
    (Work::VerifyUpdate, 1),
    (Work::Echo, 1),
    (Work::Echo, 8),
    (Work::Echo, 32),
    (Work::Echo, 64),
    (Work::Handshake, 8),
    (Work::FrontHandshake, 8),
    (Work::RawDerive, 1),
    (Work::RawDerive, 2),
    (Work::DeriveOne, 1),
    (Work::DeriveOne, 8),
    (Work::DeriveMost, 1),
    (Work::DeriveMost, 2),
    (Work::Derive, 8),
    (Work::Run, 1),
    (Work::Run, 8),
    (Work::Card, 1),
];
/// More rounds that a series which spreads is given at most.
const AGAIN_MAX: u32 = 3;
/// Idle connections whose memory is measured, of each kind.
const IDLE: usize = 1_000;
/// Connections of the load whose memory is measured.
const BUSY: usize = 64;
/// Lines of the service's log that are shown when it fails.
const LOG_LINES: usize = 20;

/// Everything that was measured.
#[derive(Debug)]
pub struct Ended {
    /// The measurements, each with one entry for a round.
    pub series: Vec<Series>,
    /// Length of one measurement, in milliseconds.
    pub millis: u64,
    /// Whether it was one measurement alone.
    pub alone: bool,
    /// Memory of front and keeper after the last round, in KiB.
    pub last_kib: [u64; 2],
    /// Memory of a service that was started afresh; nothing where one measurement was made alone.
    pub memory: Option<Memory>,
    /// The peers that were measured, and what with.
    pub peers: Vec<String>,
    /// Those that were not: the name, why not, and how to get it.
    pub missing: Vec<Skipped>,
    /// Load average before the first and after the last round.
    pub load_average: [String; 2],
}

/// Memory of a service that did nothing before.
#[derive(Debug)]
pub struct Memory {
    /// Front and keeper at the end of value updates on [`BUSY`] connections, in KiB.
    pub busy_kib: [u64; 2],
    /// What idle connections take beside.
    pub idle: Idle,
}

/// Lays out a site, starts it, and measures.
///
/// # Errors
/// [`Failed`] when anything fails: there are no figures of a failing service.
pub fn run(arguments: &Arguments) -> Result<Ended, Failed> {
    known(arguments)?;
    let scratch = TempDir::with_prefix("keysvc-load-").map_err(while_doing("a scratch folder"))?;
    let mut ground = Ground::lay_out(&scratch.path().join("s"), side::programs(arguments)?)?;
    ground.sign_founding()?;
    let init = ground.keysvc(&["init"]).output().map_err(while_doing("keysvc init"))?;
    if !init.status.success() {
        return Err(Failed(keysvc_tests::ground::text(&init)));
    }
    idle::raise_limits(&ground, IDLE)?;
    ground.start()?;
    measure(arguments, &mut ground, scratch.path()).map_err(|failed| with_log(&ground, &failed))
}

/// That what is wanted alone has a name, before a site is laid out for it; which peers are there is only known later.
fn known(arguments: &Arguments) -> Result<(), Failed> {
    let names: Vec<_> = ROUND.iter().map(|(work, parallel)| format!("{}@{parallel}", work.name())).collect();
    match &arguments.only {
        Some(only) if !arguments.peers && !names.contains(only) => Err(nothing_of(only, &names)),
        _ => Ok(()),
    }
}

fn nothing_of(only: &str, names: &[String]) -> Failed {
    Failed(format!("nothing is called '{only}'; give --only one of {}", names.join(", ")))
}

/// A failure with the end of the service's log: the site goes away with this process, so that is shown now or never.
pub fn with_log(ground: &Ground, Failed(why): &Failed) -> Failed {
    let log = std::fs::read_to_string(ground.log()).unwrap_or_default();
    let newest: Vec<_> = log.lines().rev().take(LOG_LINES).collect();
    let newest: Vec<_> = newest.into_iter().rev().collect();
    Failed(format!("{why}; the service's log ends with\n{}", newest.join("\n")))
}

fn measure(arguments: &Arguments, ground: &mut Ground, scratch: &Path) -> Result<Ended, Failed> {
    let before = cpu::load_average();
    let service = service(ground)?;
    let mut hands = Hands::start(ground, scratch)?;
    hands.start_floors(ground, scratch)?;
    if arguments.peers {
        hands.start_peers(ground, scratch)?;
    }
    let mut series = series(arguments, &hands, service)?;
    rounds(arguments.rounds, &mut series, &mut hands)?;
    again(&mut series, &mut hands)?;
    let last_kib = [cpu::resident_kib(service.front)?, cpu::keeper_kib(service)?];
    let millis = millis(arguments.seconds);
    let memory = match arguments.only {
        Some(_) => None,
        None => Some(memory(ground, &mut hands, millis)?),
    };
    Ok(Ended {
        series,
        millis,
        alone: arguments.only.is_some(),
        last_kib,
        memory,
        peers: hands.peers().described().to_vec(),
        missing: hands.peers().skipped().to_vec(),
        load_average: [before, cpu::load_average()],
    })
}

/// So many rounds, each with every measurement.
fn rounds(rounds: u32, all: &mut [Series], hands: &mut Hands) -> Result<(), Failed> {
    let mut progress = Progress::new();
    for round in 0..=rounds {
        for series in &mut *all {
            progress.tell(&match round {
                0 => format!("warming up: {}", series.order),
                _ => format!("round {round} of {rounds}: {}", series.order),
            });
            let measured = hands.measure(series.order)?;
            // The first round warms caches and makes each thread's session.
            if round > 0 {
                series.measured.push(measured);
            }
        }
    }
    Ok(())
}

/// More rounds of the series that spread, as long as they do and at most [`AGAIN_MAX`].
fn again(all: &mut [Series], hands: &mut Hands) -> Result<(), Failed> {
    let mut progress = Progress::new();
    for _ in 0..AGAIN_MAX {
        for series in all.iter_mut().filter(|series| series.spread() > SPREAD_MAX) {
            progress.tell(&format!("again: {}", series.order));
            let measured = hands.measure(series.order)?;
            series.replace(measured);
        }
    }
    Ok(())
}

/// Memory of a new start: what the token's library keeps of the keys derived before would be in the old one's.
fn memory(ground: &mut Ground, hands: &mut Hands, millis: u64) -> Result<Memory, Failed> {
    let mut progress = Progress::new();
    progress.tell("memory, on a new start");
    ground.stop();
    ground.start()?;
    let service = Some(service(ground)?);
    let busy = hands.measure(Order { work: Work::Update, parallel: BUSY, millis, service })?;
    let idle = idle::measure(ground, "terminal-1", IDLE)?;
    Ok(Memory { busy_kib: [busy.front_kib, busy.keeper_kib], idle })
}

fn series(arguments: &Arguments, hands: &Hands, service: Service) -> Result<Vec<Series>, Failed> {
    // Between updates and what has no peer.
    let (before, after) = ROUND.split_at(ROUND.iter().take_while(|(work, _)| is_update(*work)).count());
    let peers = hands.peers().works();
    let all = before.iter().chain(&peers).chain(after).map(|(work, parallel)| {
        let (work, parallel) = (*work, *parallel);
        let service = hands.served_by(work, service);
        Order { work, parallel, millis: millis(arguments.seconds), service }
    });
    let all: Vec<_> = all.collect();
    let wanted = |order: &Order| arguments.only.as_ref().is_none_or(|only| order.to_string() == *only);
    let series: Vec<_> = all.iter().copied().filter(wanted).map(Series::new).collect();
    if series.is_empty() {
        let names: Vec<_> = all.iter().map(Order::to_string).collect();
        return Err(nothing_of(arguments.only.as_deref().unwrap_or_default(), &names));
    }
    Ok(series)
}

const fn is_update(work: Work) -> bool {
    matches!(work, Work::RawSign | Work::Update | Work::Batch)
}

/// Seconds of the command line as milliseconds.
pub fn millis(seconds: f64) -> u64 {
    u64::try_from(std::time::Duration::from_secs_f64(seconds).as_millis()).unwrap_or(u64::MAX)
}
