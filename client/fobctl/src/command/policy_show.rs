//! `fobctl policy show`: the policies in force, with a digest that is computed here.

use super::connect;
use crate::{
    fault::Fault,
    output::{Output, Report, tell},
    policy::{
        candidate::{self, FileView},
        findings,
        in_force::InForce,
    },
    shown::{rows, whole_digest},
};
use keysvc_client::ClientConfig;
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl policy show
  fobctl policy show --out policies        # then edit them, and `fobctl policy check policies`";

/// `fobctl policy show`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// Write the files into this folder; made where it is missing.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct ShowReport {
    digest: String,
    /// The leaf that put them into force; 0 for the founding's.
    since_leaf: u64,
    policies: usize,
    files: Vec<FileView>,
    written_to: Option<String>,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ShowArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let in_force = InForce::read(&connect(config).await?).await?;
    if let Some(folder) = &args.out {
        findings::write_set(folder, in_force.set.files())?;
    }
    output.print(&ShowReport {
        digest: candidate::digest(&in_force.set).to_string(),
        since_leaf: in_force.leaf,
        policies: in_force.set.site_policies(),
        files: candidate::files(&in_force.set),
        written_to: args.out.as_ref().map(|folder| folder.display().to_string()),
    })?;
    if let Some(folder) = &args.out {
        tell(&format_args!("next: edit them, then `fobctl policy check {}`", folder.display()));
    }
    Ok(())
}

/// The files of a set, one a line.
pub(super) fn file_lines(files: &[FileView]) -> String {
    files.iter().map(|file| format!("{} ({} bytes)", file.name, file.bytes)).collect::<Vec<_>>().join("\n")
}

impl Report for ShowReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-policy-show/1"
    }

    fn text(&self) -> String {
        let since = match self.since_leaf {
            0 => "the founding, leaf 0".to_owned(),
            leaf => format!("leaf {leaf}, by the officers' agreement"),
        };
        let mut lines = vec![
            ("in force since", since),
            ("files", file_lines(&self.files)),
            ("policies", self.policies.to_string()),
            ("digest", whole_digest(&self.digest).join("\n")),
        ];
        lines.extend(self.written_to.iter().map(|folder| ("written to", folder.clone())));
        rows(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_since_when_and_the_whole_digest() {
        let report = |since_leaf| ShowReport {
            digest: "0123456789abcdef".repeat(4),
            since_leaf,
            policies: 9,
            files: vec![FileView { name: "site.cedar".into(), bytes: 12 }],
            written_to: None,
        };
        assert!(report(0).text().starts_with("in force since  the founding, leaf 0"), "{}", report(0).text());
        let text = report(7).text();
        assert!(text.contains("leaf 7, by the officers' agreement"), "{text}");
        assert_eq!(text.matches("0123 4567 89ab cdef 0123 4567 89ab cdef").count(), 2, "{text}");
    }
}
