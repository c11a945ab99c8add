//! `fobctl proposal show`: a proposal read whole, its votes counted here.

use crate::{
    fault::Fault,
    output::{Output, tell},
    own_key::connect,
    proposal_view::ProposalView,
};
use keysvc_client::{ClientConfig, Officer, officer::OnRecord, protocol::bytes::ProposalId};
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl proposal show 3f0c8a1d5b7e4926a1c3d5e7f9012345";

/// `fobctl proposal show`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// The proposal's identifier, 32 hexadecimal digits.
    #[arg(value_name = "ID")]
    id: ProposalId,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ShowArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let record = read(&connect(config).await?, args.id).await?;
    let view = ProposalView::from(&record);
    output.print(&view)?;
    if view.open {
        tell(&format_args!(
            "next: as an officer, `fobctl proposal approve {0}` or `fobctl proposal reject {0}`",
            args.id
        ));
    }
    Ok(())
}

/// Reads a proposal.
///
/// # Errors
/// [`Fault`] of the call.
pub(super) async fn read(officer: &Officer, id: ProposalId) -> Result<OnRecord, Fault> {
    officer.proposal(id).await.map_err(|error| Fault::client("read the proposal", error))
}
