//! `fobctl ceremony new`: a plan for the own service out of an example: trust domain and genesis are filled in.
//!
//! Everything else of the text stays as it is, comments too: people edit it and review the whole.

use crate::{
    ceremony::plan_file::PlanFile,
    fault::Fault,
    file::{self, Readers},
    output::{Output, Report, tell},
    shown::{rows, whole_digest},
};
use keysvc_client::{
    ClientConfig,
    protocol::{ceremony::PLAN_LEN_MAX, trust::Trust},
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl --context officer-1 ceremony new docs/ceremonies/rotate.toml --out rotate.toml";

/// `fobctl ceremony new`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct NewArgs {
    /// The example or earlier plan.
    #[arg(value_name = "TEMPLATE")]
    template: PathBuf,
    /// Where the plan goes; the file must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Serialize)]
struct NewReport {
    plan: String,
    trust_domain: String,
    genesis: Option<String>,
    digest: String,
}

/// Writes the plan.
///
/// # Errors
/// [`Fault`] of the files, and for a template that is no plan.
pub(super) fn run<W: Write>(
    config: &ClientConfig,
    args: &NewArgs,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let bytes = file::read(&args.template, PLAN_LEN_MAX)?;
    let template = PlanFile::of_bytes(&args.template, bytes)?;
    let text = String::from_utf8_lossy(&template.bytes).into_owned();
    // A founding has no trust file yet: its plan takes the domain from the founding file, by hand.
    let text = match (template.plan.founds(), config.read_trust()) {
        (true, _) => text,
        (false, Ok(trust)) => filled(&text, &trust),
        (false, Err(error)) => return Err(Fault::client("read the trust file", error.into())),
    };
    let plan = PlanFile::of_bytes(&args.out, text.into_bytes())?;
    file::write(&args.out, &plan.bytes, Readers::Others)?;
    output.print(&NewReport {
        plan: args.out.display().to_string(),
        trust_domain: plan.plan.trust_domain.to_string(),
        genesis: plan.plan.genesis.as_ref().map(ToString::to_string),
        digest: plan.digest.to_string(),
    })?;
    tell(&format_args!("next: edit it, then `fobctl ceremony check {}`", args.out.display()));
    Ok(())
}

/// The text with the two lines of the head replaced, and nothing else.
fn filled(text: &str, trust: &Trust) -> String {
    let mut head = true;
    let lines = text.split_inclusive('\n').map(|line| {
        head &= !line.starts_with('[');
        let key = line.split('=').next().unwrap_or_default().trim();
        match key {
            "trust-domain" if head => format!("trust-domain = \"{}\"\n", trust.domain),
            "genesis" if head => format!("genesis = \"{}\"\n", trust.genesis),
            _ => line.to_owned(),
        }
    });
    lines.collect()
}

impl Report for NewReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-ceremony-new/1"
    }

    fn text(&self) -> String {
        rows([
            ("plan", self.plan.clone()),
            ("trust domain", self.trust_domain.clone()),
            ("genesis", self.genesis.clone().unwrap_or_else(|| "founded by this ceremony".to_owned())),
            ("digest", whole_digest(&self.digest).join(" ")),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::plan_file::{parse, tests::PLAN};
    use keysvc_client::protocol::bytes::Digest;

    #[test]
    fn trust_domain_and_genesis_are_filled_in_and_the_rest_stays() {
        let trust = Trust { domain: "other.test".parse().unwrap(), genesis: Digest::new([7; 32]) };
        let template = format!("# a remark about genesis = nothing\n{PLAN}");
        let text = filled(&template, &trust);
        let plan = parse(text.as_bytes()).unwrap();
        assert_eq!(plan.trust_domain.as_str(), "other.test");
        assert_eq!(plan.genesis, Some(Digest::new([7; 32])));
        assert_eq!(plan.steps, parse(PLAN.as_bytes()).unwrap().steps);
        assert!(text.starts_with("# a remark about genesis = nothing\n"));
        assert_eq!(text.lines().count(), template.lines().count());
    }
}
