//! `cargo load`: what the service costs beside what its token costs, in one run.
//!
//! Lays out a site, starts the service in release, and measures raw token calls and the service in turns; the ratios
//! inside one run count, not the figures of one machine. Each load runs in a process of its own, because `SoftHSM`
//! takes its configuration from the environment.

mod agreement;
mod cpu;
mod crew;
mod fill;
mod floor;
mod fobs;
mod line;
mod long;
mod long_report;
mod order;
mod persona;
mod registry;
mod report;
mod rounds;
mod shift;
mod tally;
mod timed;

use clap::{Parser, Subcommand};
use keysvc_tests::ground::Failed;
use std::{path::PathBuf, process::ExitCode};

/// Measures value.update and card.derive beside raw calls of the same token.
#[derive(Debug, Parser)]
#[command(name = "cargo load")]
struct Arguments {
    /// Length of one measurement, in seconds.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Rounds, each with every measurement; one more is made first and thrown away.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
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
    Fill { service: PathBuf, terminal: PathBuf, leaves: u64, first: u64 },
    /// Asks for value updates as the terminal of this configuration.
    #[command(hide = true)]
    Terminal { config: PathBuf },
    /// Asks and approves as the terminal or officer of this configuration.
    #[command(hide = true)]
    Person { config: PathBuf },
    /// Makes cards as the station of this configuration, in a job that the people of this site open.
    #[command(hide = true)]
    Station { config: PathBuf, site: PathBuf },
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("give 0.05 to 600".to_owned()),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.role {
        Some(Role::Floor { module }) => crew::obey(|| floor::Floor::new(module)),
        Some(Role::Terminal { config }) => crew::obey(|| fobs::Fobs::new(config)),
        Some(Role::Station { config, site }) => crew::obey(|| shift::Shift::new(config, site)),
        Some(Role::Person { config }) => crew::obey(|| agreement::Person::new(config)),
        Some(Role::Fill { service, terminal, leaves, first }) => {
            fill::run(service, terminal, *leaves, *first)
        }
        None if let Some(people) = arguments.people => {
            agreement::run(&arguments, people).and_then(|ended| agreement::print(&ended, arguments.json))
        }
        None if let Some(cards) = arguments.cards => {
            registry::run(&arguments, cards).and_then(|ended| registry::print(&ended, arguments.json))
        }
        None if let Some(leaves) = arguments.leaves => {
            long::run(&arguments, leaves).and_then(|ended| long_report::print(&ended, arguments.json))
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
