//! `fobctl proposal show`: a proposal read whole, its votes counted here.

use crate::{
    fault::Fault,
    output::{Output, tell},
    own_key::connect,
    proposal_view::ProposalView,
};
use keysvc_client::{ClientConfig, Officer, officer::OnRecord, protocol::bytes::ProposalId};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "\
Examples:
  fobctl proposal show 3f0c8a1d5b7e4926a1c3d5e7f9012345
  fobctl proposal show 3f0c8a1d5b7e4926a1c3d5e7f9012345 --files proposed";

/// `fobctl proposal show`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// The proposal's identifier, 32 hexadecimal digits.
    #[arg(value_name = "ID")]
    id: ProposalId,
    /// Write the proposed policies or card profile into this folder, to be looked at with other commands.
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ShowArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let record = read(&connect(config).await?, args.id).await?;
    let view = ProposalView::from(&record);
    if let Some(folder) = &args.files {
        write(&view, folder)?;
    }
    output.print(&view)?;
    if view.open {
        tell(&format_args!(
            "next: as an officer, `fobctl proposal approve {0}` or `fobctl proposal reject {0}`",
            args.id
        ));
    }
    Ok(())
}

/// Writes what the proposal carries, and says how it is looked at.
fn write(view: &ProposalView, folder: &Path) -> Result<(), Fault> {
    let Some(document) = &view.document else {
        let what = format!("a {} carries no files", view.operation);
        return Err(Fault::usage(what, "leave --files out: its sentence says all of it"));
    };
    let names = document.write(folder)?;
    tell(&format_args!(
        "written into {}: {}; look at it with {}",
        folder.display(),
        names.join(", "),
        document.look(folder, &view.id)
    ));
    Ok(())
}

/// Reads a proposal.
///
/// # Errors
/// [`Fault`] of the call.
pub(super) async fn read(officer: &Officer, id: ProposalId) -> Result<OnRecord, Fault> {
    officer.proposal(id).await.map_err(|error| Fault::client("read the proposal", error))
}
