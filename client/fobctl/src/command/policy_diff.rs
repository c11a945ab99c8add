//! `fobctl policy diff`: every decision case that two sets decide otherwise.

use super::{connect, policy_test::OwnCases};
use crate::{
    fault::Fault,
    output::{Output, Report},
    policy::{
        candidate,
        cases::AllCases,
        compared::{ChangeView, Compared},
        in_force::InForce,
    },
    shown::rows,
};
use keysvc_client::ClientConfig;
use keysvc_policies::PolicySet;
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl policy diff policies                       # against the set in force
  fobctl policy diff policies --against before
  fobctl policy diff policies --against-shipped --cases cases";

/// `fobctl policy diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DiffArgs {
    /// The folder of *.cedar files.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Compare with another folder instead of the set in force; no service is needed.
    #[arg(long, value_name = "DIR", conflicts_with = "against_shipped")]
    against: Option<PathBuf>,
    /// Compare with the policies shipped with this program; no service is needed.
    #[arg(long)]
    against_shipped: bool,
    #[command(flatten)]
    cases: OwnCases,
}

#[derive(Debug, Serialize)]
struct DiffReport {
    from: String,
    to: String,
    cases: usize,
    changed: Vec<ChangeView>,
    /// SHA-256 of the whole report, which a proposal of this set carries.
    report: String,
    #[serde(skip)]
    summary: String,
}

/// Compares with what needs no service; nothing where the set in force is wanted.
pub(super) fn offline<W: Write>(args: &DiffArgs, output: &mut Output<W>) -> Option<Result<(), Fault>> {
    let old = match (&args.against, args.against_shipped) {
        (Some(folder), _) => candidate::load(folder),
        (None, true) => candidate::shipped(),
        (None, false) => return None,
    };
    Some(old.and_then(|old| compare(args, &old, output)))
}

pub(super) async fn run<W: Write>(
    config: &ClientConfig,
    args: &DiffArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    // Before the service is asked, so that a set that does not load is told at once.
    candidate::load(&args.folder)?;
    let in_force = InForce::read(&connect(config).await?).await?;
    compare(args, &in_force.set, output)
}

fn compare<W: Write>(args: &DiffArgs, old: &PolicySet, output: &mut Output<W>) -> Result<(), Fault> {
    let new = candidate::load(&args.folder)?;
    let compared = AllCases::load(args.cases.cases.as_deref())?.compare(old, &new);
    output.print(&DiffReport::from(&compared))
}

impl From<&Compared> for DiffReport {
    fn from(compared: &Compared) -> Self {
        Self {
            from: compared.from.to_string(),
            to: compared.to.to_string(),
            cases: compared.cases,
            changed: compared.views(),
            report: compared.digest().to_string(),
            summary: compared.summary(),
        }
    }
}

impl Report for DiffReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-policy-diff/1"
    }

    fn text(&self) -> String {
        let changes: String = self.changed.iter().map(ChangeView::paragraph).collect();
        let digests =
            rows([("from", self.from.clone()), ("to", self.to.clone()), ("report", self.report.clone())]);
        format!("{}\n{changes}\n{digests}", self.summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::cases::tests::stricter;

    #[test]
    fn the_number_stands_first_and_the_reports_digest_last() {
        let compared = AllCases::load(None).unwrap().compare(&PolicySet::shipped().unwrap(), &stricter());
        let text = DiffReport::from(&compared).text();
        assert!(text.starts_with(&compared.summary()), "{text}");
        assert!(text.contains(": allowed -> denied\n"), "{text}");
        assert!(text.ends_with(&compared.digest().to_string()), "{text}");
    }
}
