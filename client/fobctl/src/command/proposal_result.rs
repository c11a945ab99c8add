//! `fobctl proposal result`: what became of a request that took people; for a value update, its record.

use super::{proposal_show::read, value_update::UpdateReport};
use crate::{
    acted,
    fault::Fault,
    file::{self, Readers},
    output::{Output, tell},
    own_key::connect,
    proposal_view::ProposalView,
};
use keysvc_client::{ClientConfig, Outcome, Terminal, protocol::bytes::ProposalId};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "\
Examples:
  fobctl proposal result 3f0c8a1d5b7e4926a1c3d5e7f9012345
  fobctl proposal result 3f0c8a1d5b7e4926a1c3d5e7f9012345 --out load.cose";

/// `fobctl proposal result`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ResultArgs {
    /// The proposal's identifier, 32 hexadecimal digits.
    #[arg(value_name = "ID")]
    id: ProposalId,
    /// Where the signed record of a value update goes; the file must not exist.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ResultArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    match &args.out {
        Some(out) => record(config, args.id, out, output).await,
        None => state(config, args.id, output).await,
    }
}

async fn state<W: Write>(config: &ClientConfig, id: ProposalId, output: &mut Output<W>) -> Result<(), Fault> {
    let officer = connect(config).await?;
    let mut view = ProposalView::from(&read(&officer, id).await?);
    let own = officer.name().is_some_and(|name| name.as_str() == view.requester);
    if view.operation == "profile.put" && own {
        let computed = officer.computed_vectors(id).await;
        view.computed = computed.map_err(|error| Fault::client("get the result", error))?;
    }
    output.print(&view)?;
    if view.state.starts_with("executed") {
        let next = match view.operation {
            "value.update" => {
                format!("as {}, `fobctl proposal result {id} --out FILE` writes the record", view.requester)
            }
            "key.import" => format!(
                "each custodian runs `fobctl component enter {id}` within 24 h, where `fobctl key list` does not show the \
                 key yet"
            ),
            _ => return Ok(()),
        };
        tell(&format_args!("next: {next}"));
    }
    Ok(())
}

async fn record<W: Write>(
    config: &ClientConfig,
    id: ProposalId,
    out: &Path,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    file::refuse_existing(out)?;
    let terminal =
        Terminal::connect(config).await.map_err(|error| Fault::client("connect as a terminal", error))?;
    let outcome = terminal.result(id).await.map_err(|error| Fault::client("get the result", error))?;
    match outcome {
        Outcome::Done(signed) => {
            file::write(out, &signed.record, Readers::Others)?;
            output.print(&UpdateReport::new(&signed, out))
        }
        Outcome::Pending(pending) => {
            let still = read(&connect(config).await?, id).await;
            let still = still.map(|record| ProposalView::from(&record).still());
            Err(acted::waits(&pending, &still.unwrap_or_else(|_| "officers".to_owned())))
        }
    }
}
