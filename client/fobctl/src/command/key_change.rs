//! `fobctl key create`, and the verbs that move a version of a key from state to state.

use crate::{
    acted, confirm,
    fault::Fault,
    output::{LOUD, Output, tell},
    own_key::{connect, unlock},
    pin::PinSource,
};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use keysvc_client::{
    ClientConfig,
    protocol::{
        key::KeyKind,
        name::{Name, Reason},
        request::Operation,
    },
};
use std::io::Write;

const CREATE_EXAMPLES: &str = "\
Examples:
  fobctl key create value-1 --kind value-signing
  fobctl key create demo-generated --kind card-master";

const CHANGE_EXAMPLES: &str = "\
Examples:
  fobctl key activate value-1 --version 2 --reason 'the yearly change'
  fobctl key suspend value-1 --version 2 --reason 'odd signatures seen'
  fobctl key retire value-1 --version 1 --reason 'replaced by version 2'
  fobctl key destroy value-1 --version 1 --reason 'nothing hangs on it'";

/// `fobctl key create`.
#[derive(Debug, clap::Args)]
#[command(after_help = CREATE_EXAMPLES)]
pub(crate) struct CreateArgs {
    /// The key's name; the next version of it is made.
    #[arg(value_name = "NAME")]
    name: Name,
    /// What it is for.
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    kind: KeyKind,
    #[command(flatten)]
    pin: PinSource,
}

/// The verbs about one version of a key.
#[derive(Debug, clap::Args)]
#[command(after_help = CHANGE_EXAMPLES)]
pub(crate) struct ChangeArgs {
    /// The key's name.
    #[arg(value_name = "NAME")]
    name: Name,
    /// Its version.
    #[arg(long, value_name = "N")]
    version: u32,
    /// Why, for the log.
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    pin: PinSource,
}

/// `fobctl key compromise`: nothing undoes it.
#[derive(Debug, clap::Args)]
pub(crate) struct CompromiseArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Declare it without asking.
    #[arg(long)]
    yes: bool,
}

fn kinds() -> impl TypedValueParser<Value = KeyKind> {
    let kinds = [KeyKind::CardMaster, KeyKind::ValueSigning];
    PossibleValuesParser::new(kinds.map(KeyKind::name))
        .try_map(move |name| kinds.into_iter().find(|kind| kind.name() == name).ok_or("no such kind"))
}

pub(super) async fn create<W: Write>(
    config: &ClientConfig,
    args: CreateArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let officer = unlock(&officer, config, &args.pin)?;
    let outcome = officer.create_key(args.name, args.kind).await;
    acted::report(&officer, Operation::KeyCreate, outcome, output).await
}

pub(super) async fn change<W: Write>(
    config: &ClientConfig,
    operation: Operation,
    args: ChangeArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let ChangeArgs { name, version, reason, pin } = args;
    let officer = connect(config).await?;
    let officer = unlock(&officer, config, &pin)?;
    let outcome = match operation {
        Operation::KeyActivate => officer.activate_key(name, version, reason).await,
        Operation::KeySuspend => officer.suspend_key(name, version, reason).await,
        Operation::KeyRetire => officer.retire_key(name, version, reason).await,
        Operation::KeyCompromise => officer.compromise_key(name, version, reason).await,
        _ => officer.destroy_key(name, version, reason).await,
    };
    acted::report(&officer, operation, outcome, output).await
}

pub(super) async fn compromise<W: Write>(
    config: &ClientConfig,
    args: CompromiseArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let CompromiseArgs { change: args, yes } = args;
    let (name, version) = (&args.name, args.version);
    tell(&format_args!(
        "{LOUD}key {name} version {version} stops at once, and nothing brings it back into use{LOUD:#}"
    ));
    if !yes {
        confirm::ask()?;
    }
    change(config, Operation::KeyCompromise, args, output).await
}
