//! Offline verifier of what keysvc records: a whole exported log, what takes people in it, its jobs and cards, a report on
//! it, one signed value record, the evidence of one act, or the file of a ceremony.
//!
//! It links no network code and no PKCS#11, and trusts nothing but the trust file it is given.

mod args;
mod calendar;
mod ceremony;
mod chart;
mod checks;
mod command;
mod counts;
mod evidence;
mod fault;
mod finding;
mod founding_check;
mod html;
mod key_check;
mod log_folder;
mod manual;
mod money;
mod offline;
mod output;
mod progress;
mod record;
mod registry;
mod report;
#[cfg(test)]
mod sample;
mod state;
mod tally;
mod value;
mod verify;
mod walk;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::Args::parse();
    // First, because what is written from here on is coloured by it. `auto` respects NO_COLOR and CLICOLOR.
    args.color.write_global();
    let mut output = output::Output::new(anstream::stdout().lock());
    match command::run(&args, &mut output) {
        Ok(code) => code,
        Err(fault) => {
            output::complain(&fault, fault.next());
            ExitCode::from(fault.exit_code())
        }
    }
}
