//! The command line: nouns, their verbs, and what holds for all of them. Each verb's own arguments stand in its file.

use crate::{
    command::{audit_export, audit_proof, founding_sign, key_get, station_derive, value_update},
    fault::Fault,
};
use clap::{Parser, Subcommand};
use keysvc_client::ClientConfig;
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  a fault of this program or its output
  2  a wrong command line, configuration or input file
  3  refused
  4  the service, the token or a file is not available
  6  what came back does not verify: use nothing of it
  7  conflict: sequence number, balance or idempotency key";

/// Uses keysvc over the network: founding, keys, stations, values, audit.
#[derive(Debug, Parser)]
#[command(name = "fobctl", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// The configuration, client.toml.
    #[arg(long, value_name = "FILE", env = "FOBCTL_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON; its schema id stands in it.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// What it is about.
#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// The founding file.
    #[command(subcommand)]
    Founding(FoundingVerb),
    /// Show the service's state.
    Status,
    /// Keys: their check values, states and attributes.
    #[command(subcommand)]
    Key(KeyVerb),
    /// Personalization: card keys for one station.
    #[command(subcommand)]
    Station(StationVerb),
    /// The value on a card.
    #[command(subcommand)]
    Value(ValueVerb),
    /// The log.
    #[command(subcommand)]
    Audit(AuditVerb),
}

/// `fobctl founding`.
#[derive(Debug, Subcommand)]
pub(crate) enum FoundingVerb {
    /// Show what a founding file says, and sign it with the officer's card.
    Sign(founding_sign::SignArgs),
}

/// `fobctl key`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyVerb {
    /// List all keys.
    List,
    /// Show one key with its attributes.
    Get(key_get::GetArgs),
}

/// `fobctl station`.
#[derive(Debug, Subcommand)]
pub(crate) enum StationVerb {
    /// Derive card keys and show their check values; the keys themselves go to a file alone.
    Derive(station_derive::DeriveArgs),
}

/// `fobctl value`.
#[derive(Debug, Subcommand)]
pub(crate) enum ValueVerb {
    /// Add to a purse (a top-up).
    Load(value_update::UpdateArgs),
    /// Take from a purse (a payment).
    Debit(value_update::UpdateArgs),
}

/// `fobctl audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// Write the whole log to a folder, for `fobaudit verify`.
    Export(audit_export::ExportArgs),
    /// Prove that the log holds a leaf.
    Proof(audit_proof::ProofArgs),
}

impl Args {
    /// Reads the configuration that is named by the option or the environment.
    ///
    /// # Errors
    /// [`Fault`] when none is named, or it cannot be used.
    pub(crate) fn read_config(&self) -> Result<ClientConfig, Fault> {
        let path = self.config.as_deref().ok_or_else(|| {
            Fault::usage("no configuration is named", "give --config FILE, or set FOBCTL_CONFIG to its path")
        })?;
        ClientConfig::read(path).map_err(|error| Fault::client("read the configuration", error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, error::ErrorKind};

    const DERIVE: [&str; 7] = ["fobctl", "station", "derive", "--profile", "fob", "--version", "1"];
    const LOAD: [&str; 17] = [
        "fobctl",
        "value",
        "load",
        "--programme",
        "coffee",
        "--card",
        "04782e21801d80",
        "--purse",
        "1",
        "--amount",
        "20.00",
        "--seq",
        "1",
        "--balance",
        "0.00",
        "--out",
        "record",
    ];

    fn refusal(line: impl IntoIterator<Item = &'static str>) -> ErrorKind {
        Args::try_parse_from(line).unwrap_err().kind()
    }

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn config_and_json_may_stand_after_the_verb() {
        let args = Args::try_parse_from(["fobctl", "key", "list", "--json", "--config", "c"]).unwrap();
        assert!(args.json);
        assert_eq!(args.config, Some("c".into()));
    }

    #[test]
    fn cards_are_named_on_the_line_or_in_a_file_but_not_both() {
        let with = |more: &'static [&'static str]| {
            DERIVE.into_iter().chain(["--slot", "0"]).chain(more.iter().copied())
        };
        assert!(
            Args::try_parse_from(with(&["--card", "04782e21801d80", "--card", "04782e21801d81"])).is_ok()
        );
        assert!(Args::try_parse_from(with(&["--cards-file", "cards"])).is_ok());
        assert_eq!(refusal(with(&[])), ErrorKind::MissingRequiredArgument);
        assert_eq!(
            refusal(with(&["--card", "04782e21801d80", "--cards-file", "c"])),
            ErrorKind::ArgumentConflict
        );
        assert_eq!(refusal(with(&["--card", "0478"])), ErrorKind::ValueValidation);
    }

    #[test]
    fn an_amount_is_digits_with_or_without_a_point() {
        assert!(Args::try_parse_from(LOAD).is_ok());
        for bad in ["-1", "1,00", "1e2", ".5", "5.", ""] {
            let line = LOAD.map(|word| if word == "20.00" { bad } else { word });
            assert!(Args::try_parse_from(line).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pin_comes_from_one_source() {
        let line = ["fobctl", "founding", "sign", "f", "--officer", "alice", "--out", "s"];
        assert!(Args::try_parse_from(line).is_ok());
        let both = line.into_iter().chain(["--pin-file", "p", "--pin-fd", "3"]);
        assert_eq!(refusal(both), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn without_a_configuration_the_mend_is_named() {
        let args = Args { config: None, json: false, noun: Noun::Status };
        let fault = args.read_config().unwrap_err();
        assert_eq!(fault.exit_code(), 2);
        assert!(fault.next().contains("FOBCTL_CONFIG"));
    }
}
