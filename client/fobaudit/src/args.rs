//! The command line.

use anstream::ColorChoice;
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::Timestamp;
use keysvc_protocol::name::Name;
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0  verified
  1  a fault of this program or its output
  2  a wrong command line, trust file or state file
  4  a file or folder cannot be read
  6  not verified: the reasons are printed";

const MAKING_EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  a fault of this program or its output
  2  a wrong command line";

/// Verifies the records of keysvc offline: no network, no token, no trust in the service.
#[derive(Debug, Parser)]
#[command(name = "fobaudit", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// When to use colour: always, never, or auto, which is on a terminal unless `NO_COLOR` is set.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        display_order = 900
    )]
    pub(crate) color: Color,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On terminals.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl Color {
    /// Makes it the choice of everything that the program writes.
    pub(crate) fn write_global(self) {
        let choice = match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::AlwaysAnsi,
            Self::Never => ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verify a whole exported log: founding, tree, checkpoint, every leaf and every statement in it.
    #[command(after_help = EXIT_CODES)]
    Verify(VerifyArgs),
    /// Verify everything in an exported log that takes people: who agreed to each act, and that none was done without.
    #[command(after_help = EXIT_CODES)]
    Controls(ControlsArgs),
    /// Count every job and card anew from an exported log, and compare a job's audit record with it.
    #[command(after_help = EXIT_CODES)]
    Counts(CountsArgs),
    /// Verify the evidence of one act: who agreed to it.
    #[command(after_help = EXIT_CODES)]
    Evidence(EvidenceArgs),
    /// Verify the file of a ceremony by the exported log: who signed plan and transcript, and that each step is in the log.
    #[command(after_help = EXIT_CODES)]
    Ceremony(CeremonyArgs),
    /// Verify one signed value record, by the log that holds it or by a trust bundle, and print what it says.
    #[command(after_help = EXIT_CODES)]
    Value(ValueArgs),
    /// Verify a whole exported log and write a page about it that people look at and print.
    #[command(after_help = EXIT_CODES)]
    Report(ReportArgs),
    /// Print the completions for a shell.
    #[command(after_help = MAKING_EXIT_CODES)]
    Completions(CompletionsArgs),
    /// Write the manual pages, one for each command.
    #[command(after_help = MAKING_EXIT_CODES)]
    Manual(ManualArgs),
}

/// `fobaudit controls`.
#[derive(Debug, clap::Args)]
pub(crate) struct ControlsArgs {
    /// The exported log.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The trust file: trust domain and genesis digest.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// Print JSON (schema keysvc/fobaudit-controls/1).
    #[arg(long)]
    pub(crate) json: bool,
}

/// `fobaudit counts`.
#[derive(Debug, clap::Args)]
pub(crate) struct CountsArgs {
    /// The exported log, as `fobctl audit export` writes it.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The trust file: trust domain and genesis digest.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// Show this job alone; all of them are verified.
    #[arg(long, value_name = "NAME")]
    pub(crate) job: Option<Name>,
    /// A job's audit record, as `fobctl job record --out` writes it: its signatures are verified, and each of its figures
    /// is compared with the job as the log made it then.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Print JSON (schema keysvc/fobaudit-counts/1).
    #[arg(long)]
    pub(crate) json: bool,
}

/// `fobaudit ceremony`.
#[derive(Debug, clap::Args)]
pub(crate) struct CeremonyArgs {
    /// The ceremony's file, `ceremony.cbor` as `fobctl ceremony run` writes it.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The trust file: trust domain and genesis digest.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// The exported log, as `fobctl audit export` writes it.
    #[arg(long, value_name = "DIR")]
    pub(crate) export: PathBuf,
    /// An older signed checkpoint that someone kept; the log must continue it. Repeatable.
    #[arg(long, value_name = "CHECKPOINT")]
    pub(crate) previous: Vec<PathBuf>,
    /// Print JSON (schema keysvc/fobaudit-ceremony/1).
    #[arg(long)]
    pub(crate) json: bool,
}

/// `fobaudit evidence`.
#[derive(Debug, clap::Args)]
pub(crate) struct EvidenceArgs {
    /// The evidence file, as `fobctl evidence get` writes it.
    #[arg(value_name = "FILE")]
    pub(crate) evidence: PathBuf,
    /// The trust file: trust domain and genesis digest.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// Print JSON (schema keysvc/fobaudit-evidence/1).
    #[arg(long)]
    pub(crate) json: bool,
}

/// `fobaudit report`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// The exported log.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The trust file: trust domain and genesis digest.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// An older signed checkpoint that someone kept; the log must continue it. Repeatable.
    #[arg(long, value_name = "CHECKPOINT")]
    pub(crate) previous: Vec<PathBuf>,
    /// The page to write, one HTML file without scripts; one that stands there is replaced.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// `fobaudit completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// `fobaudit manual`.
#[derive(Debug, clap::Args)]
pub(crate) struct ManualArgs {
    /// The folder to write them into; it is made where it is not there.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

/// `fobaudit verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The exported log, as `fobctl audit export` writes it.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The trust file: trust domain and genesis digest.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// An older signed checkpoint that someone kept; the log must continue it. Repeatable.
    #[arg(long, value_name = "CHECKPOINT")]
    pub(crate) previous: Vec<PathBuf>,
    /// Where this verification is kept, so that the next one reads only what is new. Made where it is not there;
    /// whoever can write it decides what is skipped.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
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
    /// The exported log that must hold the record.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present_any = ["bundle", "evidence"],
        conflicts_with = "bundle"
    )]
    pub(crate) log: Option<PathBuf>,
    /// A trust bundle as `fobctl terminal bundle` writes it, in place of the log: it vouches for the key and the
    /// programme, not that the record is in the log.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// The time at which the bundle must hold, RFC 3339 [default: now].
    #[arg(long, value_name = "TIME", requires = "bundle", conflicts_with = "log")]
    pub(crate) at: Option<Timestamp>,
    /// The trust file: trust domain and genesis digest.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// The evidence of the people it took, as `fobctl evidence get` writes it. Without --log and --bundle it also proves
    /// the record's leaf, where a key of the founding signed it.
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence: Option<PathBuf>,
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
    use clap::{
        CommandFactory as _,
        error::ErrorKind::{ArgumentConflict, MissingRequiredArgument, ValueValidation},
    };

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_record_is_checked_by_the_log_or_by_a_bundle_never_by_both_or_none() {
        let line = |more: &[&str]| {
            let words = ["fobaudit", "value", "record", "--trust", "t"].iter().chain(more);
            Args::try_parse_from(words).map(|_| ()).map_err(|error| error.kind())
        };
        assert_eq!(line(&["--log", "l"]), Ok(()));
        assert_eq!(line(&["--bundle", "b", "--at", "2026-11-22T03:00:00Z"]), Ok(()));
        assert_eq!(line(&["--log", "l", "--bundle", "b"]), Err(ArgumentConflict));
        assert_eq!(line(&["--evidence", "e"]), Ok(()));
        assert_eq!(line(&["--log", "l", "--evidence", "e"]), Ok(()));
        assert_eq!(line(&[]), Err(MissingRequiredArgument));
        assert_eq!(line(&["--log", "l", "--at", "2026-11-22T03:00:00Z"]), Err(ArgumentConflict));
        assert_eq!(line(&["--bundle", "b", "--at", "yesterday"]), Err(ValueValidation));
    }

    #[test]
    fn the_choice_of_colour_is_everythings() {
        let chosen = [Color::Always, Color::Never, Color::Auto].map(|color| {
            color.write_global();
            ColorChoice::global()
        });
        assert_eq!(chosen, [ColorChoice::AlwaysAnsi, ColorChoice::Never, ColorChoice::Auto]);
    }

    #[test]
    fn colour_may_be_chosen_before_or_after_the_command() {
        for line in [
            ["fobaudit", "--color", "never", "completions", "bash"],
            ["fobaudit", "completions", "bash", "--color", "never"],
        ] {
            assert_eq!(Args::try_parse_from(line).unwrap().color, Color::Never);
        }
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
