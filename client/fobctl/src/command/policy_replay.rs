//! `fobctl policy replay`: the recorded requests of an exported log, decided again under another set.

use crate::{
    fault::Fault,
    file,
    output::{Output, Report},
    policy::{
        candidate,
        replay::{self, Difference, Replayed, Window},
    },
    shown::rows,
};
use keysvc_client::{ClientConfig, protocol::trust::Trust};
use serde::Serialize;
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// Longest trust file, in bytes: two lines of text.
const TRUST_LEN_MAX: usize = 4096;

const EXAMPLES: &str = "\
Examples:
  fobctl audit export log --context auditor-1
  fobctl policy replay policies --export log
  fobctl policy replay policies --export log --trust trust --last 500";

/// `fobctl policy replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReplayArgs {
    /// The folder of *.cedar files.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The exported log, as `fobctl audit export` writes it.
    #[arg(long, value_name = "EXPORT")]
    export: PathBuf,
    /// How many of the log's last leaves are looked at.
    #[arg(long, value_name = "LEAVES", default_value_t = LAST)]
    last: u64,
    /// The trust file that the log is proved by; else the configuration's.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

/// Leaves that are looked at, unless another number is given.
pub(super) const LAST: u64 = 10_000;

#[derive(Debug, Serialize)]
struct ReplayReport {
    from_leaf: u64,
    to_leaf: u64,
    requests: u64,
    differing: u64,
    differences: Vec<Difference>,
    /// Refusals of which the log keeps too little to decide them again.
    refused: u64,
    /// Requests that the export withholds.
    withheld: u64,
    /// SHA-256 of the whole report, which a proposal of this set carries.
    report: String,
    #[serde(skip)]
    summary: String,
    #[serde(skip)]
    left: Vec<String>,
}

/// Replays with the trust file that is named; nothing where the configuration's is wanted.
pub(super) fn offline<W: Write>(args: &ReplayArgs, output: &mut Output<W>) -> Option<Result<(), Fault>> {
    let trust = args.trust.as_deref()?;
    Some(read_trust(trust).and_then(|trust| report(args, &trust, output)))
}

pub(super) fn run<W: Write>(
    config: &ClientConfig,
    args: &ReplayArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    report(args, &trust_of(config)?, output)
}

/// The configuration's trust file.
///
/// # Errors
/// [`Fault`] when it cannot be read or is none.
pub(super) fn trust_of(config: &ClientConfig) -> Result<Trust, Fault> {
    config.read_trust().map_err(|error| Fault::client("read the trust file", error.into()))
}

fn read_trust(path: &Path) -> Result<Trust, Fault> {
    let text = file::read(path, TRUST_LEN_MAX)?;
    let trust = str::from_utf8(&text).ok().and_then(|text| Trust::parse(text).ok());
    trust.ok_or_else(|| {
        let what = format!("{} is no trust file", path.display());
        Fault::usage(what, "name the two lines of text that came with the enrolment")
    })
}

fn report<W: Write>(args: &ReplayArgs, trust: &Trust, output: &mut Output<W>) -> Result<(), Fault> {
    let set = candidate::load(&args.folder)?;
    let replayed = replay::replay(&args.export, trust, &set, Window::Last(args.last))?;
    output.print(&ReplayReport::from(replayed))
}

impl From<Replayed> for ReplayReport {
    fn from(replayed: Replayed) -> Self {
        Self {
            from_leaf: replayed.from_leaf,
            to_leaf: replayed.to_leaf,
            requests: replayed.requests,
            differing: replayed.differing,
            refused: replayed.refused,
            withheld: replayed.withheld,
            report: replayed.digest().to_string(),
            summary: replayed.summary(),
            left: replayed.left(),
            differences: replayed.listed,
        }
    }
}

impl Report for ReplayReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-policy-replay/1"
    }

    fn text(&self) -> String {
        let differences: String = self.differences.iter().map(Difference::paragraph).collect();
        let head = [std::slice::from_ref(&self.summary), &self.left].concat().join("\n");
        let digests = rows([
            ("leaves", format!("{} to before {}", self.from_leaf, self.to_leaf)),
            ("report", self.report.clone()),
        ]);
        format!("{head}\n{differences}\n{digests}")
    }
}
