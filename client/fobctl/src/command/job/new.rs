//! `fobctl job new`: prints a form to fill in. It is data for a file, whatever `--json` says.

use crate::{fault::Fault, job::form::EXAMPLE, output::Output};
use std::io::Write;

pub(super) fn run<W: Write>(output: &mut Output<W>) -> Result<(), Fault> {
    output.print_text(&format!("{EXAMPLE}\n"))
}
