//! `cargo load`: what the service costs beside what its token costs, in one run.
//!
//! Lays out a site, starts the service in release, and measures raw token calls and the service in turns; the ratios
//! inside one run count, not the figures of one machine. Each load runs in a process of its own, because `SoftHSM`
//! takes its configuration from the environment.

mod agreement;
mod beside;
mod cpu;
mod crew;
mod durable;
mod echo;
mod fill;
mod floor;
mod fobs;
mod goals;
mod hands;
mod idle;
mod keys;
mod line;
mod long;
mod long_report;
mod objects;
mod order;
mod peers;
mod persona;
mod progress;
mod purse;
mod registry;
mod report;
mod rota;
mod rounds;
mod row;
mod series;
mod shift;
mod side;
mod tally;
mod timed;

use clap::{Parser, Subcommand};
use keysvc_tests::ground::Failed;
use std::{path::PathBuf, process::ExitCode};

/// What `--quick` makes of a measurement's length and of the number of rounds: 29 measurements in four rounds, the first
/// thrown away, are half a minute; laying out a site and signing requests beforehand are as much again.
const QUICK_SECONDS: f64 = 0.25;
const QUICK_ROUNDS: u32 = 3;

/// Measures value.update and card.derive beside raw calls of the same token, and beside what else they cannot do without.
#[derive(Debug, Parser)]
#[command(name = "cargo load")]
struct Arguments {
    /// Length of one measurement, in seconds.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Rounds, each with every measurement; one more is made first and thrown away.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// A first look: rounds of a quarter of a second, and three of them. It takes under two minutes.
    #[arg(long, conflicts_with_all = ["seconds", "rounds"])]
    quick: bool,
    /// Measure OpenBao and Parsec too, where they are installed; of one that is not it says how to get it.
    #[arg(long, conflicts_with_all = ["leaves", "objects", "idle", "people", "cards"])]
    peers: bool,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
    /// Measure this alone, such as "value.update@32", over and over: for a profiler beside it.
    #[arg(long, value_name = "WHAT")]
    only: Option<String>,
    /// Measure the programs that this file names instead of building them: to compare two builds.
    #[arg(long, value_name = "FILE")]
    programs: Option<PathBuf>,
    /// Compare a service whose log has so many leaves with one whose log is short; then verify, export and audit it.
    #[arg(long, value_name = "N", conflicts_with = "only", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    leaves: Option<u64>,
    /// With --leaves: they lie on so many purses in turn, instead of each on a purse of its own.
    #[arg(long, value_name = "M", requires = "leaves", conflicts_with = "people", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    purses: Option<u64>,
    /// Compare a service whose token holds so many more keys with one whose token holds those of a founding.
    #[arg(long, value_name = "N", conflicts_with_all = ["only", "leaves", "people", "cards"], value_parser = clap::value_parser!(u64).range(1..=10_000))]
    objects: Option<u64>,
    /// Measure what so many idle connections hold of the service's memory.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1000", conflicts_with_all = ["only", "leaves", "people", "cards", "objects"], value_parser = clap::value_parser!(u16).range(1..=10_000))]
    idle: Option<u16>,
    /// Measure acts that two people must approve, so many, beside plain ones; with --leaves in a log of so many leaves.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1000", conflicts_with = "only", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    people: Option<u64>,
    /// Make so many cards, and compare the release of a card's keys before and after; then verify, export and count.
    #[arg(long, value_name = "N", conflicts_with_all = ["only", "leaves", "people"], value_parser = clap::value_parser!(u64).range(1_000..=1_000_000))]
    cards: Option<u64>,
    /// With --people: time the second verifier too, which is in Python; its libraries come from PyPI.
    #[arg(long, requires = "people")]
    second_verifier: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What a process of the driver's own is told to be.
#[derive(Debug, Subcommand)]
enum Role {
    /// Calls a scratch token.
    #[command(hide = true)]
    Floor { module: PathBuf },
    /// Fills the store of this service's configuration.
    #[command(hide = true)]
    Fill { service: PathBuf, terminal: PathBuf, leaves: u64, purses: u64, first: u64 },
    /// Fills the token of this service's configuration.
    #[command(hide = true)]
    Keys { service: PathBuf, keys: u64 },
    /// Asks for value updates as the terminal of this configuration, each on another of so many purses.
    #[command(hide = true)]
    Rota { config: PathBuf, purses: u64, updates: u64 },
    /// Holds idle connections as the terminal of this configuration.
    #[command(hide = true)]
    Idlers { config: PathBuf },
    /// Asks for value updates as the terminal of this configuration, and passes on batches as this hub.
    #[command(hide = true)]
    Terminal { config: PathBuf, hub: PathBuf },
    /// Serves like the front of this site, with nothing behind it.
    #[command(hide = true)]
    Echo { site: PathBuf },
    /// Asks the echo at this port as the persona of this configuration, for so many bytes by so many.
    #[command(hide = true)]
    Echoed { config: PathBuf, port: u16, asked_len: usize, told_len: usize },
    /// Sets up the `OpenBao` at this port and asks it as the persona of this configuration, whose CA is this.
    #[command(hide = true)]
    Transit { config: PathBuf, authority: PathBuf, port: u16 },
    /// Makes a token for Parsec.
    #[command(hide = true)]
    ParsecToken { module: PathBuf },
    /// Asks the Parsec that listens at this socket.
    #[command(hide = true)]
    Parsec { socket: PathBuf },
    /// Commits to a database of its own as this store's writer does.
    #[command(hide = true)]
    Durable { file: PathBuf, store: PathBuf },
    /// Asks and approves as the terminal or officer of this configuration.
    #[command(hide = true)]
    Person { config: PathBuf },
    /// Makes cards as the station of this configuration, in a job that the people of this site open.
    #[command(hide = true)]
    Station { config: PathBuf, site: PathBuf },
}

impl Arguments {
    /// With what `--quick` stands for.
    fn settled(self) -> Self {
        if self.quick { Self { seconds: QUICK_SECONDS, rounds: QUICK_ROUNDS, ..self } } else { self }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("give 0.05 to 600".to_owned()),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse().settled();
    let done = match &arguments.role {
        Some(Role::Floor { module }) => crew::obey(|| floor::Floor::new(module)),
        Some(Role::Terminal { config, hub }) => crew::obey(|| fobs::Fobs::new(config, hub)),
        Some(Role::Echo { site }) => crew::obey(|| echo::Echo::new(site)),
        Some(Role::Echoed { config, port, asked_len, told_len }) => {
            crew::obey(|| echo::Echoed::new(config, *port, [*asked_len, *told_len]))
        }
        Some(Role::Transit { config, authority, port }) => {
            crew::obey(|| peers::Transit::new(config, authority, *port))
        }
        Some(Role::ParsecToken { module }) => crew::obey(|| peers::TokenMaker::new(module)),
        Some(Role::Parsec { socket }) => crew::obey(|| peers::Psa::new(socket)),
        Some(Role::Durable { file, store }) => crew::obey(|| durable::Durable::new(file, store)),
        Some(Role::Station { config, site }) => crew::obey(|| shift::Shift::new(config, site)),
        Some(Role::Person { config }) => crew::obey(|| agreement::Person::new(config)),
        Some(Role::Fill { service, terminal, leaves, purses, first }) => {
            let fobs = purse::Purses { purses: *purses, updates: *leaves };
            fill::run(service, terminal, fobs, *first)
        }
        Some(Role::Keys { service, keys }) => keys::run(service, *keys),
        Some(Role::Rota { config, purses, updates }) => {
            let purses = purse::Purses { purses: *purses, updates: *updates };
            crew::obey(|| rota::Rota::new(config, purses))
        }
        Some(Role::Idlers { config }) => crew::obey(|| idle::Idlers::new(config)),
        None if let Some(people) = arguments.people => {
            agreement::run(&arguments, people).and_then(|ended| agreement::print(&ended, arguments.json))
        }
        None if let Some(cards) = arguments.cards => {
            registry::run(&arguments, cards).and_then(|ended| registry::print(&ended, arguments.json))
        }
        None if let Some(leaves) = arguments.leaves => {
            long::run(&arguments, leaves).and_then(|ended| long_report::print(&ended, arguments.json))
        }
        None if let Some(objects) = arguments.objects => {
            objects::run(&arguments, objects).and_then(|ended| objects::print(&ended, arguments.json))
        }
        None if let Some(connections) = arguments.idle => {
            idle::run(&arguments, connections.into()).and_then(|idle| idle::print(&idle, arguments.json))
        }
        None => rounds::run(&arguments).and_then(|ended| report::print(&ended, arguments.json)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(why)) => {
            use std::io::Write as _;
            // Where stderr is gone, nobody is left to be told.
            let _ = writeln!(anstream::stderr(), "load: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Says what was being done when something failed.
fn while_doing<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> Failed {
    move |error| Failed(format!("{what}: {error}"))
}
