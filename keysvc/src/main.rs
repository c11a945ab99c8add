//! `keysvc`: founds the service, runs its halves, and says what is wrong with an installation.

use clap::Parser as _;
use keysvc::program::{Arguments, run};
use mimalloc::MiMalloc;
use std::process::ExitCode;

// Of the whole process, and so of the PKCS#11 module in the keeper, which allocates more than we do
// (docs/decisions/0042).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    run(&Arguments::parse())
}
