//! `cargo suite`: every test of the project, on a fresh Debian or Ubuntu with Rust and gcc.
//!
//! Says and installs what is missing, builds the programs once, then runs all tests and the documentation's. What the
//! runners say passes through unchanged; the exit code is that of the first that failed.

use clap::Parser;
use keysvc_tests::programs::{
    PROGRAMS_VARIABLE, Profile, Programs, ProgramsError, beside_this_program, cargo,
};
use softhsm_setup::{SetupError, debian, softhsm};
use std::{
    ffi::OsString,
    fmt,
    io::{self, Write as _},
    path::PathBuf,
    process::{ExitCode, ExitStatus, Stdio},
};

/// Runs every test of the project, installing `SoftHSM` and cvc5 where they are missing (`KEYSVC_NO_INSTALL=1` forbids
/// that).
#[derive(Debug, Parser)]
#[command(name = "cargo suite")]
struct Arguments {
    /// Passed to the runner: cargo nextest where it is installed, else cargo test. With any, the documentation's tests
    /// are left out, because what selects tests there selects nothing here
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    runner: Vec<OsString>,
}

/// Why the suite ended before its tests did.
enum SuiteError {
    Setup(SetupError),
    Solver(String),
    Programs(ProgramsError),
    Start(io::Error),
}

impl fmt::Display for SuiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => error.fmt(f),
            Self::Solver(why) => f.write_str(why),
            Self::Programs(error) => error.fmt(f),
            Self::Start(error) => write!(f, "cargo did not start: {error}"),
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse().runner) {
        Ok(status) => code_of(status),
        Err(error) => {
            say(&format!("suite: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The whole suite; the status of the first runner that failed, or of the last.
fn run(arguments: &[OsString]) -> Result<ExitStatus, SuiteError> {
    softhsm::find_or_install(&mut anstream::stderr()).map_err(SuiteError::Setup)?;
    debian::CVC5.find_or_install(&mut anstream::stderr()).map_err(SuiteError::Solver)?;
    let programs = programs().map_err(SuiteError::Programs)?;
    let with_programs = |first: &[&str], rest: &[OsString]| {
        let mut command = cargo();
        command.args(first).args(rest).env(PROGRAMS_VARIABLE, &programs);
        say(&format!("suite: cargo {}", first.join(" ")));
        command.status().map_err(SuiteError::Start)
    };
    let runner: &[&str] = if has_nextest() {
        &["nextest", "run", "--workspace"]
    } else {
        say("suite: cargo-nextest is not installed, so plain cargo test runs the tests");
        &["test", "--workspace", "--all-targets", "--no-fail-fast"]
    };
    let status = with_programs(runner, arguments)?;
    if !status.success() {
        return Ok(status);
    }
    if !arguments.is_empty() {
        say("suite: the documentation's tests are left out, because arguments chose what to run");
        return Ok(status);
    }
    with_programs(&["test", "--workspace", "--doc"], &[])
}

/// Builds the programs; the file with their paths.
fn programs() -> Result<PathBuf, ProgramsError> {
    say("suite: building the programs");
    let path = beside_this_program()?.join("suite-programs.json");
    Programs::build(Profile::Dev)?.write(&path)?;
    Ok(path)
}

fn has_nextest() -> bool {
    let version = cargo().args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// One line to stderr, as cargo does: stdout is the runners'. A closed stderr stops no test.
fn say(line: &str) {
    let _closed = writeln!(anstream::stderr(), "{line}");
}

/// What a runner ended with; 1 where a signal ended it.
fn code_of(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
