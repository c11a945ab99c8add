//! The rounds: one site, one daemon, every measurement in turn, again and again.
//!
//! In turn, because a machine's speed drifts: what is compared was measured within seconds.

use crate::{
    Arguments, cpu,
    crew::Hand,
    order::{Measured, Order, Service, Work},
    while_doing,
};
use keysvc_tests::{
    ground::{Failed, Ground},
    programs::{Profile, Programs},
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// All measurements of a round, in their order: raw calls stand beside what is compared with them.
const ROUND: [(Work, usize); 11] = [
    (Work::RawSign, 1),
    (Work::RawSign, 2),
    (Work::Update, 1),
    (Work::Update, 32),
    (Work::RawDerive, 1),
    (Work::RawDerive, 2),
    (Work::Derive, 1),
    (Work::Derive, 8),
    (Work::Run, 1),
    (Work::Run, 8),
    (Work::Card, 1),
];

/// Lines of the service's log that are shown when it fails.
const LOG_LINES: usize = 20;

/// Everything that was measured.
#[derive(Debug)]
pub struct Ended {
    /// The measurements, each with one entry for a round.
    pub series: Vec<Series>,
    /// Length of one measurement, in milliseconds.
    pub millis: u64,
    /// Memory of the front after the last round, in KiB.
    pub front_kib: u64,
    /// Memory of the keeper after the last round, in KiB.
    pub keeper_kib: u64,
    /// Load average before the first and after the last round.
    pub load_average: [String; 2],
}

/// One measurement, over the rounds.
#[derive(Debug)]
pub struct Series {
    /// What was ordered.
    pub order: Order,
    /// What was measured, round by round.
    pub measured: Vec<Measured>,
}

/// The processes that make the load.
pub struct Hands {
    floor: Hand,
    terminal: Hand,
    station: Hand,
}

impl Hands {
    /// Starts them.
    ///
    /// # Errors
    /// [`Failed`] when one cannot be started.
    pub fn start(ground: &Ground, scratch: &Path) -> Result<Self, Failed> {
        let own = std::env::current_exe().map_err(while_doing("the path of this program"))?;
        let mut floor = Command::new(&own);
        floor.env("SOFTHSM2_CONF", scratch_token(scratch)?).arg("floor");
        let module = keysvc_softhsm().ok_or_else(|| Failed("SoftHSM is not installed".to_owned()))?;
        floor.arg(module);
        Ok(Self {
            floor: Hand::start(floor)?,
            terminal: persona(ground, "terminal", "terminal-1")?,
            station: persona(ground, "station", "station-1")?,
        })
    }

    /// Has the one whose work it is make a measurement.
    ///
    /// # Errors
    /// [`Failed`] when it cannot.
    pub fn measure(&mut self, order: Order) -> Result<Measured, Failed> {
        match order.work {
            Work::RawSign | Work::RawDerive => self.floor.measure(order),
            Work::Update => self.terminal.measure(order),
            Work::Derive | Work::Run | Work::Card => self.station.measure(order),
        }
    }
}

/// A process that makes the load of one persona.
///
/// # Errors
/// [`Failed`] when it cannot be started.
pub fn persona(ground: &Ground, role: &str, name: &str) -> Result<Hand, Failed> {
    let own = std::env::current_exe().map_err(while_doing("the path of this program"))?;
    let home = ground.site().home(name);
    let mut command = home.command(&own);
    command.arg(role).arg(home.client_config());
    if role == "station" {
        // It opens a job with the people of its site.
        command.arg(ground.site().folder());
    }
    Hand::start(command)
}

fn keysvc_softhsm() -> Option<PathBuf> {
    softhsm_setup::softhsm::find()
}

/// A folder for a token that lives as long as the run; gives `SoftHSM`'s configuration.
fn scratch_token(folder: &Path) -> Result<PathBuf, Failed> {
    let tokens = folder.join("tokens");
    std::fs::create_dir(&tokens).map_err(while_doing("the scratch token's folder"))?;
    let configuration = folder.join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
        tokens.display()
    );
    std::fs::write(&configuration, text).map_err(while_doing("the scratch token's configuration"))?;
    Ok(configuration)
}

/// Lays out a site, starts it, and measures.
///
/// # Errors
/// [`Failed`] when anything fails: there are no figures of a failing service.
pub fn run(arguments: &Arguments) -> Result<Ended, Failed> {
    let scratch = TempDir::with_prefix("keysvc-load-").map_err(while_doing("a scratch folder"))?;
    let programs = match &arguments.programs {
        Some(file) => Programs::read(file),
        None => Programs::build(Profile::Release),
    };
    let programs = programs.map_err(while_doing("the programs"))?;
    let mut ground = Ground::lay_out(&scratch.path().join("s"), programs)?;
    ground.sign_founding()?;
    let init = ground.keysvc(&["init"]).output().map_err(while_doing("keysvc init"))?;
    if !init.status.success() {
        return Err(Failed(keysvc_tests::ground::text(&init)));
    }
    ground.start()?;
    measure(arguments, &ground, scratch.path()).map_err(|failed| with_log(&ground, &failed))
}

/// A failure with the end of the service's log: the site goes away with this process, so that is shown now or never.
pub fn with_log(ground: &Ground, Failed(why): &Failed) -> Failed {
    let log = std::fs::read_to_string(ground.log()).unwrap_or_default();
    let newest: Vec<_> = log.lines().rev().take(LOG_LINES).collect();
    let newest: Vec<_> = newest.into_iter().rev().collect();
    Failed(format!("{why}; the service's log ends with\n{}", newest.join("\n")))
}

fn measure(arguments: &Arguments, ground: &Ground, scratch: &Path) -> Result<Ended, Failed> {
    let service = service(ground)?;
    let mut hands = Hands::start(ground, scratch)?;
    let mut ended = Ended {
        series: series(arguments, service)?,
        millis: millis(arguments.seconds),
        front_kib: 0,
        keeper_kib: 0,
        load_average: [cpu::load_average(), String::new()],
    };
    for round in 0..=arguments.rounds {
        for series in &mut ended.series {
            let measured = hands.measure(series.order)?;
            // The first round warms caches and makes each thread's session.
            if round > 0 {
                series.measured.push(measured);
            }
        }
    }
    ended.front_kib = cpu::resident_kib(service.front)?;
    ended.keeper_kib = cpu::resident_kib(service.keeper)?;
    ended.load_average[1] = cpu::load_average();
    Ok(ended)
}

/// The service's processes.
///
/// # Errors
/// [`Failed`] when one is not up.
pub fn service(ground: &Ground) -> Result<Service, Failed> {
    let half = |name: &str| ground.half(name).ok_or_else(|| Failed(format!("the {name} is not up")));
    Ok(Service { front: half("front")?, keeper: half("keeper")? })
}

fn series(arguments: &Arguments, service: Service) -> Result<Vec<Series>, Failed> {
    let all = ROUND.map(|(work, parallel)| {
        let service = (!matches!(work, Work::RawSign | Work::RawDerive)).then_some(service);
        Order { work, parallel, millis: millis(arguments.seconds), service }
    });
    let wanted = |order: &Order| arguments.only.as_ref().is_none_or(|only| order.to_string() == *only);
    let series: Vec<_> =
        all.into_iter().filter(wanted).map(|order| Series { order, measured: Vec::new() }).collect();
    if series.is_empty() {
        let names: Vec<_> = all.iter().map(Order::to_string).collect();
        return Err(Failed(format!("nothing of that name; give one of {}", names.join(", "))));
    }
    Ok(series)
}

/// Seconds of the command line as milliseconds.
pub fn millis(seconds: f64) -> u64 {
    u64::try_from(std::time::Duration::from_secs_f64(seconds).as_millis()).unwrap_or(u64::MAX)
}
