//! `fobctl audit export`: the whole log in a folder, checked while it is written. A second run adds what is new.

use crate::{
    fault::Fault,
    output::{Output, Report, tell},
    shown::rows,
};
use indicatif::{ProgressBar, ProgressStyle};
use keysvc_client::{Auditor, ClientConfig};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

/// `fobctl audit export`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The folder: missing, empty, or an earlier export of this log, which is then brought up to date.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Serialize)]
struct ExportReport {
    folder: String,
    origin: String,
    size: u64,
    before: u64,
    new: u64,
    root: String,
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &ExportArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let auditor =
        Auditor::connect(config).await.map_err(|error| Fault::client("connect as an auditor", error))?;
    let bar = progress();
    let exported = auditor.export(&args.folder, |done, size| {
        if bar.length() != Some(size) {
            // The first call: what is there already is not this run's pace.
            bar.set_length(size);
            bar.set_position(done);
            bar.reset_eta();
        }
        bar.set_position(done);
    });
    let exported = exported.await;
    bar.finish_and_clear();
    let exported = exported.map_err(|error| Fault::client("export the log", error))?;
    let checkpoint = exported.checkpoint.checkpoint();
    output.print(&ExportReport {
        folder: args.folder.display().to_string(),
        origin: checkpoint.origin.as_str().to_owned(),
        size: checkpoint.head.size,
        before: exported.before,
        new: checkpoint.head.size.saturating_sub(exported.before),
        root: checkpoint.head.root.to_string(),
    })?;
    tell(&format_args!(
        "next: `fobaudit verify {} --trust {}`",
        args.folder.display(),
        config.trust.display()
    ));
    Ok(())
}

/// Shown on a terminal alone.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} leaves, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl Report for ExportReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-audit-export/1"
    }

    fn text(&self) -> String {
        rows([
            ("exported to", self.folder.clone()),
            ("log", self.origin.clone()),
            ("leaves", format!("{} ({} new, {} there before)", self.size, self.new, self.before)),
            ("root", self.root.clone()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    #[test]
    fn the_report_says_what_is_new_and_what_was_there_before() {
        let report = ExportReport {
            folder: "log".into(),
            origin: "demo.test/log".into(),
            size: 9,
            before: 5,
            new: 4,
            root: "ab".repeat(32),
        };
        let expected = json!({
            "folder": "log", "origin": "demo.test/log", "size": 9, "before": 5, "new": 4, "root": "ab".repeat(32)
        });
        assert_eq!(to_value(&report).unwrap(), expected);
        assert!(report.text().contains("9 (4 new, 5 there before)"), "{}", report.text());
    }
}
