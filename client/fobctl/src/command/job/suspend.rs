//! `fobctl job suspend`: either operator of a session stops its job at once, in their own context, and says where
//! everything is.

use crate::{
    fault::Fault,
    job::{act_args::CountsArgs, view::next},
    output::{Output, tell},
    pin::PinSource,
};
use keysvc_client::{
    ClientConfig,
    protocol::{
        job::{JobState, Suspended},
        name::{Name, Reason},
        request::Operation,
    },
};
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl --context operator-1 job suspend nfc-2026-11 --cause 'fire alarm' --place 'vault 2' \\
      --good 120 --rejected 1 --sample 0 --returned 0 --handed-over 0";

/// `fobctl job suspend`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SuspendArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Name,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    cause: Reason,
    /// Where the cards are.
    #[arg(long, value_name = "TEXT")]
    place: Reason,
    #[command(flatten)]
    counts: CountsArgs,
    #[command(flatten)]
    pin: PinSource,
}

/// Stops the job.
///
/// # Errors
/// [`Fault`] of key and service.
pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: SuspendArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let suspended = Suspended { counts: args.counts.read()?, place: args.place, cause: args.cause };
    let operator = super::operator(config, &args.pin).await?;
    let state = operator.suspend_job(&args.job, suspended).await;
    let state = state.map_err(|error| Fault::client("stop the job", error))?;
    super::done(Operation::JobSuspend, &args.job, state, output)?;
    tell(&format_args!("next: {}", next(args.job.as_str(), JobState::Suspended)));
    Ok(())
}
