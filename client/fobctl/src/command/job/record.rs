//! `fobctl job record`: a job's audit record, verified by the trust file's founding, as a page to print and as the signed
//! bytes. Reading it is itself recorded.

use crate::{
    fault::Fault,
    file::{self, Readers},
    job::page::page,
    output::{Output, Report, tell},
    shown::hex,
};
use keysvc_client::{ClientConfig, protocol::name::Name};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl --context reviewer-1 job record nfc-2026-11 > nfc-2026-11.txt
  fobctl --context auditor-1 job record nfc-2026-11 --out nfc-2026-11.record";

/// `fobctl job record`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RecordArgs {
    /// The job.
    #[arg(value_name = "JOB")]
    job: Name,
    /// Where the signed record goes; the file must not exist.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct RecordReport {
    job: String,
    /// The leaf that says that it was made.
    leaf: u64,
    /// The signed record, hexadecimal.
    record: String,
    /// The page for people.
    page: String,
}

/// Fetches, verifies and prints the record.
///
/// # Errors
/// [`Fault`] of the service, for a record that proves nothing, and of the file.
pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &RecordArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    args.out.as_deref().map_or(Ok(()), file::refuse_existing)?;
    let reader = crate::command::connect(config).await?;
    let recorded = reader.job_record(&args.job).await;
    let recorded = recorded.map_err(|error| Fault::client("read the audit record", error))?;
    if let Some(path) = &args.out {
        file::write(path, &recorded.message, Readers::Others)?;
    }
    output.print(&RecordReport {
        job: args.job.to_string(),
        leaf: recorded.leaf_index,
        record: hex(&recorded.message),
        page: page(&recorded.record),
    })?;
    tell(&"note: its signature and checkpoint are verified; reading it is itself in the log");
    tell(&"next: make it again from the log with the service off: `fobaudit counts` on an export");
    Ok(())
}

impl Report for RecordReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-job-record/1"
    }

    fn text(&self) -> String {
        format!("{}\n  recorded    leaf {}", self.page, self.leaf)
    }
}
