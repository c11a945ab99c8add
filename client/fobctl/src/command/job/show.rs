//! `fobctl job show`: a job as its reader may see it, and what comes next.

use crate::{
    fault::Fault,
    job::view::{ShownJob, next},
    output::{Output, Report, tell},
};
use keysvc_client::{ClientConfig, protocol::name::Name};
use serde::Serialize;
use std::io::Write;

/// `fobctl job show`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Name,
}

#[derive(Debug, Serialize)]
struct ShowReport {
    #[serde(flatten)]
    job: ShownJob,
}

/// Shows the job.
///
/// # Errors
/// [`Fault`] of the service.
pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ShowArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let reader = crate::command::connect(config).await?;
    let view = reader.job(&args.job).await.map_err(|error| Fault::client("read the job", error))?;
    output.print(&ShowReport { job: ShownJob::of(&view) })?;
    tell(&format_args!("next: {}", next(args.job.as_str(), view.state)));
    Ok(())
}

impl Report for ShowReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-job-show/1"
    }

    fn text(&self) -> String {
        self.job.text()
    }
}
