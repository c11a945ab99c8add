//! `fobctl principal disable` and `enable`.

use crate::{
    acted,
    fault::Fault,
    output::Output,
    own_key::{connect, unlock},
    pin::PinSource,
};
use keysvc_client::{
    ClientConfig,
    protocol::{
        name::{Name, Reason},
        request::Operation,
    },
};
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl principal disable terminal-2 --reason 'stolen last night'
  fobctl principal enable terminal-2 --reason 'found, and looked at'";

/// `fobctl principal disable` and `fobctl principal enable`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ChangeArgs {
    /// The person or machine.
    #[arg(value_name = "NAME")]
    name: Name,
    /// Why, for the log.
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    pin: PinSource,
}

pub(super) async fn disable<W: Write>(
    config: &ClientConfig,
    args: ChangeArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let officer = unlock(&officer, config, &args.pin)?;
    let outcome = officer.disable(args.name, args.reason).await;
    acted::report(&officer, Operation::PrincipalDisable, outcome, output).await
}

pub(super) async fn enable<W: Write>(
    config: &ClientConfig,
    args: ChangeArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let officer = unlock(&officer, config, &args.pin)?;
    let outcome = officer.enable(args.name, args.reason).await;
    acted::report(&officer, Operation::PrincipalEnable, outcome, output).await
}
