//! `fobctl component check`: whether a form reads right, by the check value of what stands on it. Offline.

use crate::{
    check_value::grouped,
    component_source::ComponentSource,
    fault::Fault,
    output::{Output, Report},
    shown::rows,
};
use serde::Serialize;
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  fobctl component check
  fobctl component check --fd 3 3< component";

/// `fobctl component check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    source: ComponentSource,
}

#[derive(Serialize)]
struct CheckReport {
    check_value: String,
    #[serde(skip)]
    grouped: String,
}

/// Reads the component, and shows nothing of it but its check value.
pub(in crate::command) fn run<W: Write>(args: &CheckArgs, output: &mut Output<W>) -> Result<(), Fault> {
    let check = args.source.read("the component")?.check_value();
    output.print(&CheckReport { check_value: check.to_string(), grouped: grouped(check) })
}

impl Report for CheckReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-component-check/1"
    }

    fn text(&self) -> String {
        rows([("check value", self.grouped.clone())])
    }
}
