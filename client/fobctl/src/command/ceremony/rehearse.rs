//! `fobctl ceremony rehearse`: the plan walked through by the same code, against a scratch token and a service of its own.

use crate::{
    ceremony::{answers::Answerer, progress::Kept, rehearsal::Rehearsal, walk::Ceremony},
    fault::Fault,
    file,
    output::{LOUD, Output, tell},
};
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
keysvc and softhsm-setup are looked for beside fobctl, then in PATH.

Examples:
  fobctl ceremony rehearse rotate.toml
  fobctl ceremony rehearse docs/ceremonies/found.toml --out sample";

/// `fobctl ceremony rehearse`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RehearseArgs {
    /// The plan, TOML.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// The folder of the sample transcript; PLAN.rehearsal where it is left out. It must not exist.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Rehearses the plan and writes a sample transcript.
///
/// # Errors
/// [`Fault`] where a step cannot be done: then the plan cannot be held so either.
pub(super) async fn run<W: Write>(args: &RehearseArgs, output: &mut Output<W>) -> Result<(), Fault> {
    let real = super::read(&args.plan)?;
    let folder = args.out.clone().unwrap_or_else(|| real.folder(".rehearsal"));
    file::refuse_existing(&folder)?;
    let mut rehearsed = Rehearsal::prepare(&real, &folder).await?;
    let agreements = rehearsed.agree().await?;
    let kept = Kept::open(&folder, &rehearsed.file, agreements, true)?;
    tell(&format_args!("{LOUD}REHEARSAL of {}{LOUD:#}", real.plan.title));
    let mut ceremony = Ceremony {
        file: &rehearsed.file,
        people: rehearsed.people,
        answerer: Answerer::Rehearsal,
        kept,
        rehearsal: Some(rehearsed.rehearsal),
    };
    ceremony.walk().await?;
    ceremony.finish(output).await
}
