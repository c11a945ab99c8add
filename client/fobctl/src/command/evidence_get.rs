//! `fobctl evidence get`: who agreed to an act, verified and written to a file that proves it years later.

use crate::{
    fault::Fault,
    file::{self, Readers},
    output::{Output, Report, tell},
    own_key::connect,
    proposal_view::NeedView,
    shown::{rows, utc},
};
use keysvc_client::{
    ClientConfig,
    officer::ActEvidence,
    protocol::{bytes::ProposalId, hash::sha256},
};
use serde::Serialize;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "\
Examples:
  fobctl evidence get 3f0c8a1d5b7e4926a1c3d5e7f9012345 --out load.evidence";

/// `fobctl evidence get`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GetArgs {
    /// The proposal's identifier, 32 hexadecimal digits.
    #[arg(value_name = "ID")]
    id: ProposalId,
    /// Where the evidence goes; the file must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Serialize)]
struct GetReport {
    proposal: String,
    operation: &'static str,
    requester: String,
    /// The act's leaf.
    leaf: u64,
    time_ms: u64,
    /// Who agreed.
    people: Vec<String>,
    departments: Vec<String>,
    need: NeedView,
    file: String,
    sha256: String,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &GetArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    file::refuse_existing(&args.out)?;
    let persona = connect(config).await?;
    let evidence = persona.evidence(args.id).await;
    let evidence = evidence.map_err(|error| Fault::client("get the evidence", error))?;
    file::write(&args.out, &evidence.file, Readers::Others)?;
    output.print(&GetReport::new(&evidence, &args.out))?;
    let (file, trust) = (args.out.display(), config.trust.display());
    tell(&format_args!("next: `fobaudit evidence {file} --trust {trust}`"));
    Ok(())
}

impl GetReport {
    fn new(evidence: &ActEvidence, path: &Path) -> Self {
        let proved = &evidence.proved;
        Self {
            proposal: proved.proposal.id.to_string(),
            operation: proved.proposal.request.operation.name(),
            requester: proved.proposal.request.requester.to_string(),
            leaf: proved.at.index,
            time_ms: proved.at.time_ms,
            people: proved.quorum.people().map(ToString::to_string).collect(),
            departments: proved.quorum.departments().iter().map(ToString::to_string).collect(),
            need: NeedView::from(&proved.proposal.need),
            file: path.display().to_string(),
            sha256: sha256(&[&evidence.file]).to_string(),
        }
    }
}

impl Report for GetReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-evidence-get/1"
    }

    fn text(&self) -> String {
        rows([
            (
                "proves",
                format!(
                    "{} of {}, at leaf {}, {}",
                    self.operation,
                    self.requester,
                    self.leaf,
                    utc(self.time_ms)
                ),
            ),
            ("agreed", self.people.join(", ")),
            ("departments", self.departments.join(", ")),
            ("it took", self.need.words()),
            ("evidence", self.file.clone()),
        ])
    }
}
