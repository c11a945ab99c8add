//! `fobctl job withdraw`: gives up a draft, or a sealed job that was never opened.

use crate::{fault::Fault, output::Output, pin::PinSource};
use keysvc_client::{
    ClientConfig,
    protocol::{
        name::{Name, Reason},
        request::Operation,
    },
};
use std::io::Write;

/// `fobctl job withdraw`.
#[derive(Debug, clap::Args)]
pub(crate) struct WithdrawArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Name,
    /// Why, for the log.
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    pin: PinSource,
}

/// Withdraws the job.
///
/// # Errors
/// [`Fault`] of key and service.
pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: WithdrawArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let operator = super::operator(config, &args.pin).await?;
    let state = operator.withdraw_job(&args.job, args.reason).await;
    let state = state.map_err(|error| Fault::client("withdraw the job", error))?;
    super::done(Operation::JobWithdraw, &args.job, state, output)
}
