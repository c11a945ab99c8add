//! `fobctl policy prove`: what the site's policies permit to nobody, whoever asks, or the request that shows otherwise.

use crate::{
    fault::Fault,
    output::{Output, Report, tell},
    policy::{
        candidate,
        proved::{self, LargeAbove, TheoremView},
    },
    shown::plain,
};
use keysvc_client::protocol::bytes::Digest;
use keysvc_prover::{Outcome, Proof};
use serde::Serialize;
use std::{fmt::Write as _, io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl policy prove policies
  fobctl policy prove policies --large-above 200.00";

/// `fobctl policy prove`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ProveArgs {
    /// The folder of *.cedar files.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    large: LargeAbove,
}

#[derive(Serialize)]
struct ProveReport {
    holds: bool,
    solver: String,
    policies: String,
    large_above: u64,
    theorems: Vec<TheoremView>,
    notices: Vec<String>,
    /// SHA-256 of the whole report, which a proposal of this set carries.
    report: String,
    #[serde(skip)]
    text: String,
}

pub(super) fn run<W: Write>(args: &ProveArgs, output: &mut Output<W>) -> Result<(), Fault> {
    let set = candidate::load(&args.folder)?;
    let proof = proved::prove(&set, args.large.large_above)?;
    output.print(&ProveReport::from(&proof))?;
    holds(&proof)?;
    tell(&format_args!("next: `fobctl policy diff {}`", args.folder.display()));
    Ok(())
}

/// Whether every statement holds.
///
/// # Errors
/// [`Fault::Unsound`] with how many do not.
pub(super) fn holds(proof: &Proof) -> Result<(), Fault> {
    if proof.holds() {
        return Ok(());
    }
    Err(Fault::unsound(
        proved::summary(proof),
        "correct the policy that permits the request, so that it asks for context.persons >= 2, and prove it again",
    ))
}

/// Statements and notices in words.
fn text(proof: &Proof) -> String {
    let mut text = String::new();
    for theorem in &proof.theorems {
        let verdict = if theorem.outcome == Outcome::Holds { "ok   " } else { "FAILS" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{verdict}  {}", theorem.statement);
        if let Outcome::Fails(counterexample) = &theorem.outcome {
            let _ = writeln!(text, "         {}", plain(&counterexample.to_string()));
        }
    }
    text.push('\n');
    for notice in &proof.notices {
        let _ = writeln!(text, "note: {notice}");
    }
    let _ = write!(
        text,
        "{}; a load is large above {} minor units\nreport  {}",
        proved::summary(proof),
        proof.load_max,
        Digest::new(proof.digest())
    );
    text
}

impl From<&Proof> for ProveReport {
    fn from(proof: &Proof) -> Self {
        Self {
            holds: proof.holds(),
            solver: proof.solver.clone(),
            policies: Digest::new(proof.policies).to_string(),
            large_above: proof.load_max,
            theorems: proof.theorems.iter().map(TheoremView::from).collect(),
            notices: proof.notices.clone(),
            report: Digest::new(proof.digest()).to_string(),
            text: text(proof),
        }
    }
}

impl Report for ProveReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-policy-prove/1"
    }

    fn text(&self) -> String {
        self.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keysvc_policies::PolicySet;
    use keysvc_prover::LOAD_MAX_DEFAULT;

    #[test]
    fn a_hole_is_shown_as_a_request_with_the_policy_that_permits_it() {
        let hole = "@id(\"a hole\") permit (principal, action == Action::\"freeze.lift\", resource);";
        let set =
            PolicySet::from_files(&[("hole.cedar", hole), ("site.cedar", keysvc_policies::DEFAULT_SITE)])
                .unwrap();
        let proof = proved::prove(&set, LOAD_MAX_DEFAULT).unwrap();
        let text = ProveReport::from(&proof).text();
        assert!(text.contains("FAILS  nobody can lift a freeze with fewer than two people\n"), "{text}");
        assert!(text.contains("\"a hole\" (hole.cedar, line 1)"), "{text}");
        assert!(text.contains("ok     nobody can destroy a key with fewer than two people\n"), "{text}");
        assert_eq!(holds(&proof).unwrap_err().exit_code(), 6);
        let shipped = proved::prove(&PolicySet::shipped().unwrap(), LOAD_MAX_DEFAULT).unwrap();
        assert!(holds(&shipped).is_ok());
    }
}
