//! `fobctl proposal cancel`: withdraws a proposal, or what waits for its delay.

use crate::{
    fault::Fault,
    output::{Output, Report},
    own_key::{connect, unlock},
    pin::PinSource,
    proposal_view,
    shown::rows,
};
use keysvc_client::{
    ClientConfig,
    protocol::{bytes::ProposalId, name::Reason},
};
use serde::Serialize;
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl proposal cancel 3f0c8a1d5b7e4926a1c3d5e7f9012345 --reason 'wrong version'";

/// `fobctl proposal cancel`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CancelArgs {
    /// The proposal's identifier, 32 hexadecimal digits.
    #[arg(value_name = "ID")]
    id: ProposalId,
    /// Why, for the log.
    #[arg(long)]
    reason: Reason,
    #[command(flatten)]
    pin: PinSource,
}

#[derive(Serialize)]
struct CancelReport {
    proposal: String,
    state: String,
    leaf_index: u64,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &CancelArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let officer = unlock(&officer, config, &args.pin)?;
    let cancelled = officer.cancel(args.id, &args.reason).await;
    let cancelled = cancelled.map_err(|error| Fault::client("withdraw the proposal", error))?;
    output.print(&CancelReport {
        proposal: args.id.to_string(),
        state: proposal_view::state(&cancelled.state),
        leaf_index: cancelled.leaf_index,
    })
}

impl Report for CancelReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-proposal-cancel/1"
    }

    fn text(&self) -> String {
        rows([
            ("proposal", self.proposal.clone()),
            ("state", self.state.clone()),
            ("in the log", format!("leaf {}", self.leaf_index)),
        ])
    }
}
