//! Runs files of published vectors through the product's own code: see [`keysvc_tests::vectors`].

use clap::Parser;
use std::{path::PathBuf, process::ExitCode};

/// Runs every *.json of a folder of vectors through the product's own code, one line a case.
///
/// A case is ok where the product computes what the vector says, and refused where the product refuses it as it should.
/// MISMATCH is anything else. PASSED OVER is a case, or a file, of which nothing could be made. Tokens are made in a
/// scratch folder. Ends with 0, with 1 after a mismatch or a case passed over, with 2 where there is nothing to run.
#[derive(Debug, Parser)]
#[command(name = "vectors")]
struct Arguments {
    /// The folder of the files, such as tests/vectors
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    keysvc_tests::vectors::run(&Arguments::parse().folder)
}
