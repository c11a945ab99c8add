//! The command line.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0  verified
  1  a fault of this program or its output
  2  a wrong command line or trust file
  4  a file or folder cannot be read
  6  not verified: the reasons are printed";

/// Verifies the records of keysvc offline: no network, no token, no trust in the service.
#[derive(Debug, Parser)]
#[command(name = "fobaudit", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// What to verify.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to verify.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verify a whole exported log: founding, tree, checkpoint, every leaf and every statement in it.
    #[command(after_help = EXIT_CODES)]
    Verify(VerifyArgs),
    /// Verify one signed value record and that the log holds it, and print what it says.
    #[command(after_help = EXIT_CODES)]
    Value(ValueArgs),
}

/// `fobaudit verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The exported log: `checkpoint` and `leaves/`.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The trust file: trust domain and genesis digest.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// An older signed checkpoint that someone kept; the log must continue it. Repeatable.
    #[arg(long, value_name = "CHECKPOINT")]
    pub(crate) previous: Vec<PathBuf>,
    /// Print JSON (schema keysvc/fobaudit-verify/1).
    #[arg(long)]
    pub(crate) json: bool,
}

/// `fobaudit value`.
#[derive(Debug, clap::Args)]
pub(crate) struct ValueArgs {
    /// The signed value record: its bytes, or the same in hexadecimal.
    #[arg(value_name = "FILE")]
    pub(crate) record: PathBuf,
    /// The exported log: `checkpoint` and `leaves/`.
    #[arg(long, value_name = "DIR")]
    pub(crate) log: PathBuf,
    /// The trust file: trust domain and genesis digest.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// The last sequence number the card has seen; a record at or below it is refused as replayed.
    #[arg(long, value_name = "N")]
    pub(crate) last_seq: Option<u64>,
    /// Print JSON (schema keysvc/fobaudit-value/1).
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn older_checkpoints_may_be_many() {
        let line = ["fobaudit", "verify", "log", "--trust", "t", "--previous", "a", "--previous", "b"];
        let Command::Verify(verify) = Args::try_parse_from(line).unwrap().command else {
            panic!("not verify")
        };
        assert_eq!(verify.previous, [PathBuf::from("a"), PathBuf::from("b")]);
    }
}
