//! `cargo faults`: breaks a running service in every way that its promises speak of, and counts what was lost.
//!
//! Each row has a site, a token and a service of its own, all of it real, and is a file under `row/`. What it counts is
//! stated with the bound that so many trials give (the rule of three), never as "never".

mod lanes;
mod report;
mod row;
mod trial;

use clap::Parser;
use keysvc_tests::ground::Failed;
use row::{ROWS, Row};
use std::process::ExitCode;

/// Breaks a running service by kills, failing disks, full disks, lost tokens, turned clocks, damaged files and hostile
/// clients, and counts what is lost, doubled or wrongly let through.
#[derive(Debug, Parser)]
#[command(
    name = "cargo faults",
    after_help = "Exit codes: 0 everything held; 1 something did not, or with CI=true a row could not run here; 2 wrong \
                  command line."
)]
struct Arguments {
    /// Rows to run, by name and separated by commas; all of them if left out. --list names them.
    #[arg(long, value_name = "ROW,...", value_delimiter = ',', value_parser = row)]
    rows: Vec<&'static Row>,
    /// Trials, as a multiple of those that fit in ten minutes.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    times: u64,
    /// What the trials' chances are drawn from; printed, so that a run can be repeated.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Rows at one time; rows that measure how long somebody waits always run alone.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    lanes: u8,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
    /// Say what each row does, and run none.
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    role: Option<row::Role>,
}

fn row(name: &str) -> Result<&'static Row, String> {
    ROWS.iter().find(|row| row.name == name).ok_or_else(|| "no such row; --list names them".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.role {
        Some(role) => role.obey().map(|()| ExitCode::SUCCESS),
        None if arguments.list => report::list().map(|()| ExitCode::SUCCESS),
        None => run(&arguments),
    };
    done.unwrap_or_else(|error| {
        // Who does not read standard error sees the exit code.
        let _ = std::io::Write::write_fmt(&mut anstream::stderr(), format_args!("faults: {error}\n"));
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode, Failed> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    let rows: Vec<&'static Row> =
        if arguments.rows.is_empty() { ROWS.iter().collect() } else { arguments.rows.clone() };
    let ended = lanes::run(&rows, arguments.lanes, arguments.times, seed)?;
    report::print(&ended, arguments.json)?;
    let strict = std::env::var_os("CI").is_some_and(|value| value == "true");
    Ok(if ended.held(strict) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
