//! `fobctl ceremony script`: the plan on paper, or the same page filled with what was done.

use crate::{
    ceremony::{
        durable,
        finish::anchor_beside,
        page::{self, Anchor, Page},
        plan_file::PlanFile,
    },
    fault::Fault,
    file::{self, Readers},
    output::{Output, Report, tell},
    shown::{rows, whole_digest},
};
use keysvc_client::protocol::ceremony::CeremonyFile;
use serde::Serialize;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "\
Examples:
  fobctl ceremony script rotate.toml --out rotate.html
  fobctl ceremony script rotate.toml --out held.html --transcript rotate.toml.ceremony/ceremony.cbor";

/// `fobctl ceremony script`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScriptArgs {
    /// The plan, TOML.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Where the page goes; the file must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The ceremony.cbor of this plan's ceremony: the page is filled with what was done.
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
}

#[derive(Serialize)]
struct ScriptReport {
    page: String,
    plan: String,
    filled: bool,
}

/// Writes the page.
///
/// # Errors
/// [`Fault`] of the files, and for a transcript of another plan.
pub(super) fn run<W: Write>(args: &ScriptArgs, output: &mut Output<W>) -> Result<(), Fault> {
    file::refuse_existing(&args.out)?;
    let plan = super::read(&args.plan)?;
    let page = match &args.transcript {
        Some(transcript) => held(&plan, transcript)?,
        None => Page::of_plan(&plan),
    };
    file::write(&args.out, page::html(&page)?.as_bytes(), Readers::Others)?;
    output.print(&ScriptReport {
        page: args.out.display().to_string(),
        plan: plan.digest.to_string(),
        filled: args.transcript.is_some(),
    })?;
    if args.transcript.is_none() {
        tell(&"next: print it on A4, landscape; everyone compares its digest with their own screen");
    }
    Ok(())
}

fn held(plan: &PlanFile, path: &Path) -> Result<Page, Fault> {
    let missing = || Fault::usage(format!("there is no {}", path.display()), "name the ceremony.cbor");
    let bytes = durable::read(path, CeremonyFile::LEN_MAX)?.ok_or_else(missing)?;
    let (file, transcript) = CeremonyFile::read(&bytes).map_err(|error| {
        Fault::usage(format!("{}: {error}", path.display()), "name the ceremony.cbor of this plan's ceremony")
    })?;
    if transcript.plan.as_bytes() != plan.bytes {
        let what = format!("{} is the ceremony of another plan", path.display());
        return Err(Fault::usage(what, "name the plan that was held; a transcript holds its exact bytes"));
    }
    Ok(Page::of_ceremony(plan, &file, &transcript, Anchor::of_file(anchor_beside(path))))
}

impl Report for ScriptReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-ceremony-script/1"
    }

    fn text(&self) -> String {
        rows([("page", self.page.clone()), ("plan", whole_digest(&self.plan).join(" "))])
    }
}
