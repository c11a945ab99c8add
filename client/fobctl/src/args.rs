//! The command line: nouns, their verbs, and what holds for all of them. Each verb's own arguments stand in its file.

mod ceremony;
mod governed;
mod job;
mod people;
mod policy;

pub(crate) use ceremony::CeremonyVerb;
pub(crate) use governed::{ComponentVerb, ProfileVerb};
pub(crate) use job::{CardVerb, JobVerb};
pub(crate) use people::{ClockVerb, EvidenceVerb, FreezeVerb, PrincipalVerb, ProposalVerb, QuorumVerb};
pub(crate) use policy::PolicyVerb;

use crate::{
    command::{
        api, audit_export, audit_proof, completions, context as context_command, doctor, founding_sign,
        key_change, key_get, key_impact, key_import, manual, terminal_bundle, terminal_verify, value_batch,
        value_update,
    },
    context::{Chosen, Surroundings},
    exit,
    fault::Fault,
};
use clap::{FromArgMatches as _, Parser, Subcommand, ValueEnum};
use keysvc_client::protocol::name::Name;
use std::{ffi::OsString, path::PathBuf};

/// Where the options that hold for every command stand in its help.
const EVERYWHERE: &str = "Options of every command";

/// Uses keysvc over the network: founding, keys, jobs, cards, values, officers' decisions, audit.
#[derive(Debug, Parser)]
#[command(name = "fobctl", version)]
pub(crate) struct Args {
    /// The configuration, client.toml. Else `FOBCTL_CONFIG`, or a context.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "context", help_heading = EVERYWHERE)]
    pub(crate) config: Option<PathBuf>,
    /// The persona whose configuration is used. Else `FOBCTL_CONTEXT`, or the one that `fobctl context use` keeps.
    #[arg(long, value_name = "NAME", global = true, help_heading = EVERYWHERE)]
    pub(crate) context: Option<Name>,
    /// Print JSON; its schema id stands in it.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
    /// Colour: auto is on terminals alone, and never where `NO_COLOR` is set.
    #[arg(long, value_name = "auto|always|never", hide_possible_values = true, value_enum, default_value_t = Color::Auto, global = true, help_heading = EVERYWHERE)]
    pub(crate) color: Color,
    /// What to do.
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// When there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On terminals, unless the environment says otherwise.
    Auto,
    /// Always, into files and pipes too.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Makes it so for all that the program writes from here on.
    pub(crate) fn decide(self) {
        match self {
            // It follows the terminal and NO_COLOR by itself.
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::AlwaysAnsi,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }

    /// What a command line asks for, before it is parsed: help and usage errors are coloured by it too.
    fn asked(words: &[OsString]) -> clap::ColorChoice {
        let named = |word: &str| words.windows(2).any(|two| two == ["--color", word].map(OsString::from));
        let joined = |word: &str| words.contains(&OsString::from(format!("--color={word}")));
        match () {
            () if named("never") || joined("never") => clap::ColorChoice::Never,
            () if named("always") || joined("always") => clap::ColorChoice::Always,
            () => clap::ColorChoice::Auto,
        }
    }
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
    /// Components of a key that is imported: make, check, enter.
    #[command(subcommand)]
    Component(ComponentVerb),
    /// Card profiles: which keys a card has, and what it may be used for.
    #[command(subcommand)]
    Profile(ProfileVerb),
    /// Personalization jobs: put together, sealed, worked at a station by two, counted and purged.
    #[command(subcommand)]
    Job(JobVerb),
    /// Cards: their states, from blank to destroyed.
    #[command(subcommand)]
    Card(CardVerb),
    /// The value on a card.
    #[command(subcommand)]
    Value(ValueVerb),
    /// What a terminal trusts while it is offline.
    #[command(subcommand)]
    Terminal(TerminalVerb),
    /// What waits for people: read, approve, reject, withdraw.
    #[command(subcommand)]
    Proposal(ProposalVerb),
    /// People and machines: enrol, disable, change keys.
    #[command(subcommand)]
    Principal(PrincipalVerb),
    /// Stop something at once, and let it go on.
    #[command(subcommand)]
    Freeze(FreezeVerb),
    /// How many people each operation takes.
    #[command(subcommand)]
    Quorum(QuorumVerb),
    /// The policies: check, try, compare, prove and replay a set, propose it, review a proposal.
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// The service's clock.
    #[command(subcommand)]
    Clock(ClockVerb),
    /// Who agreed to an act, proved.
    #[command(subcommand)]
    Evidence(EvidenceVerb),
    /// Ceremonies: plans that people review and sign, and walk through step by step.
    #[command(subcommand)]
    Ceremony(CeremonyVerb),
    /// The log.
    #[command(subcommand)]
    Audit(AuditVerb),
    /// The personas whose configurations are found on this machine.
    #[command(subcommand)]
    Context(ContextVerb),
    /// Look at this persona's machine, card and enrolment, and say what is to be mended.
    Doctor(doctor::DoctorArgs),
    /// Send one operation in CBOR diagnostic notation and show the reply, for debugging.
    Api(api::ApiArgs),
    /// Print completions for a shell.
    Completions(completions::CompletionsArgs),
    /// Write the manual pages, one for each command.
    Manual(manual::ManualArgs),
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
    /// Count what hangs on a version of a key.
    Impact(key_impact::ImpactArgs),
    /// Have the next version of a key made, not yet in use; takes two officers.
    Create(key_change::CreateArgs),
    /// Have the next version of a card master made from components that custodians hold; takes most officers.
    Import(key_import::ImportArgs),
    /// Put a version of a key into use; takes two officers.
    Activate(key_change::ChangeArgs),
    /// Take a version of a key out of use for the time being; one officer is enough.
    Suspend(key_change::ChangeArgs),
    /// Take a version of a key out of use for what is new; takes two officers.
    Retire(key_change::ChangeArgs),
    /// Declare a version of a key compromised, for good; one officer is enough.
    Compromise(key_change::CompromiseArgs),
    /// Have a version of a key destroyed after a delay; takes most officers.
    Destroy(key_change::ChangeArgs),
}

/// `fobctl value`.
#[derive(Debug, Subcommand)]
pub(crate) enum ValueVerb {
    /// Add to a purse (a top-up).
    Load(value_update::UpdateArgs),
    /// Take from a purse (a payment).
    Debit(value_update::UpdateArgs),
    /// Send many loads and debits of a file together, as a store's hub does.
    Batch(value_batch::BatchArgs),
}

/// `fobctl terminal`.
#[derive(Debug, Subcommand)]
pub(crate) enum TerminalVerb {
    /// Fetch the trust bundle: all that verifies value while the service is out of reach.
    Bundle(terminal_bundle::BundleArgs),
    /// Verify a signed record with a trust bundle alone, without the network.
    Verify(terminal_verify::VerifyArgs),
}

/// `fobctl audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// Write the whole log to a folder, for `fobaudit verify`.
    Export(audit_export::ExportArgs),
    /// Prove that the log holds a leaf.
    Proof(audit_proof::ProofArgs),
}

/// `fobctl context`.
#[derive(Debug, Subcommand)]
pub(crate) enum ContextVerb {
    /// List the contexts that are found, and mark the one in use.
    List,
    /// Keep a context for later commands.
    Use(context_command::UseArgs),
    /// Show the configuration in use and what chose it.
    Show,
}

impl Args {
    /// What was typed. Ends the program after help, and for a wrong command line.
    pub(crate) fn of_process() -> Self {
        let words: Vec<_> = std::env::args_os().collect();
        let program = exit::program().color(Color::asked(&words));
        let matches = program.get_matches_from(words);
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The configuration that options, environment, the kept choice or discovery gives.
    ///
    /// # Errors
    /// [`Fault`] when there is none, or more than one.
    pub(crate) fn choose(&self, surroundings: &Surroundings) -> Result<Chosen, Fault> {
        surroundings.choose(self.config.as_deref(), self.context.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;

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
        exit::program().debug_assert();
    }

    #[test]
    fn config_and_json_may_stand_after_the_verb() {
        let args = Args::try_parse_from(["fobctl", "key", "list", "--json", "--config", "c"]).unwrap();
        assert!(args.json);
        assert_eq!(args.config, Some("c".into()));
    }

    #[test]
    fn what_follows_the_writer_is_its_programs() {
        let line =
            ["fobctl", "job", "run", "nfc-1", "--in-hand", "4", "--writer", "encoder", "--json", "-p", "2"];
        let args = Args::try_parse_from(line).unwrap();
        assert!(!args.json);
        let Noun::Job(JobVerb::Run(run)) = args.noun else { panic!("job run") };
        assert!(format!("{run:?}").contains("[\"encoder\", \"--json\", \"-p\", \"2\"]"), "{run:?}");
        assert_eq!(refusal(["fobctl", "job", "run", "nfc-1"]), ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn a_card_is_named_by_its_whole_identifier() {
        let line = ["fobctl", "card", "move", "--to", "active", "04782e21801d80", "--holder", "00a1"];
        assert!(Args::try_parse_from(line).is_ok());
        assert_eq!(refusal(["fobctl", "card", "check", "0478"]), ErrorKind::ValueValidation);
        assert_eq!(refusal(["fobctl", "card", "move", "--to", "active"]), ErrorKind::MissingRequiredArgument);
        let blank = ["fobctl", "card", "move", "--to", "blank", "04782e21801d80"];
        assert_eq!(refusal(blank), ErrorKind::InvalidValue);
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
    fn colour_is_asked_for_before_the_line_is_parsed() {
        let asked = |words: &[&str]| Color::asked(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(asked(&["fobctl", "--color", "never", "help"]), clap::ColorChoice::Never);
        assert_eq!(asked(&["fobctl", "help", "--color=always"]), clap::ColorChoice::Always);
        assert_eq!(asked(&["fobctl", "help"]), clap::ColorChoice::Auto);
    }

    #[test]
    fn a_file_and_a_context_are_not_given_together() {
        assert_eq!(
            refusal(["fobctl", "status", "--config", "c", "--context", "a"]),
            ErrorKind::ArgumentConflict
        );
        assert_eq!(refusal(["fobctl", "status", "--context", "No Name"]), ErrorKind::ValueValidation);
    }
}
