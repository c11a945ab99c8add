//! Offline verifier of what keysvc records: a whole exported log, or one signed value record in it.
//!
//! It links no network code and no PKCS#11, and trusts nothing but the trust file it is given.

mod args;
mod checks;
mod command;
mod fault;
mod finding;
mod founding_check;
mod key_check;
mod log_folder;
mod money;
mod output;
mod report;
#[cfg(test)]
mod sample;
mod value;
mod verify;
mod walk;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut output = output::Output::new(anstream::stdout().lock());
    match command::run(&args::Args::parse(), &mut output) {
        Ok(code) => code,
        Err(fault) => {
            output::complain(&fault, fault.next());
            ExitCode::from(fault.exit_code())
        }
    }
}
