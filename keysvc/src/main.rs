//! `keysvc`: founds the service, runs its halves, and says what is wrong with an installation.

use clap::Parser as _;
use keysvc::program::{Arguments, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    run(&Arguments::parse())
}
