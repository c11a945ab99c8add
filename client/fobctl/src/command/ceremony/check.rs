//! `fobctl ceremony check`: whether a plan agrees with itself, its steps in words, and its digest.

use crate::{
    ceremony::{named, plan_file::PlanFile, words},
    fault::Fault,
    output::{LOUD, Output, Report, tell},
    shown::{rows, whole_digest},
};
use keysvc_client::protocol::{
    bytes::Digest,
    ceremony::{Activity, Person},
};
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl ceremony check rotate.toml";

/// `fobctl ceremony check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The plan, TOML.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
}

#[derive(Serialize)]
struct CheckReport {
    title: String,
    purpose: String,
    trust_domain: String,
    genesis: Option<String>,
    /// SHA-256 of the plan's bytes.
    digest: String,
    people: Vec<PersonView>,
    steps: Vec<StepView>,
    /// The steps as text.
    #[serde(skip)]
    words: String,
    /// Whether it is an example without a log of its own.
    example: bool,
}

#[derive(Serialize)]
struct PersonView {
    name: String,
    role: &'static str,
}

#[derive(Serialize)]
struct StepView {
    number: u16,
    by: String,
    say: String,
    activity: Option<&'static str>,
    expected: Vec<String>,
}

/// Checks the plan and the files that it names, and prints it in words.
///
/// # Errors
/// [`Fault`] with the place in it and the mend.
pub(super) fn run<W: Write>(args: &CheckArgs, output: &mut Output<W>) -> Result<(), Fault> {
    let file = super::read(&args.plan)?;
    named::check(&file)?;
    let report = CheckReport::from(&file);
    output.print(&report)?;
    let plan = args.plan.display();
    if report.example {
        tell(&format_args!(
            "next: `fobctl ceremony new {plan} --out FILE` makes a plan for your service of it"
        ));
    } else {
        tell(&format_args!(
            "next: `fobctl ceremony rehearse {plan}`, then everyone runs `fobctl ceremony approve {plan}`"
        ));
    }
    Ok(())
}

impl From<&PlanFile> for CheckReport {
    fn from(file: &PlanFile) -> Self {
        let plan = &file.plan;
        let person = |one: &Person| PersonView { name: one.name.to_string(), role: one.role.name() };
        let steps = (1_u16..).zip(&plan.steps).map(|(number, step)| StepView {
            number,
            by: step.by.to_string(),
            say: step.say.to_string(),
            activity: step.activity.as_ref().map(Activity::name),
            expected: words::expected(step),
        });
        Self {
            title: plan.title.to_string(),
            purpose: plan.purpose.to_string(),
            trust_domain: plan.trust_domain.to_string(),
            genesis: plan.genesis.as_ref().map(ToString::to_string),
            digest: file.digest.to_string(),
            people: plan.people.iter().map(person).collect(),
            steps: steps.collect(),
            words: words::plan(plan),
            example: plan.genesis == Some(Digest::new([0; 32])),
        }
    }
}

impl Report for CheckReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-ceremony-check/1"
    }

    fn text(&self) -> String {
        let people = self.people.iter().map(|one| format!("{} ({})", one.name, one.role));
        let people: Vec<_> = people.collect();
        let genesis = self.genesis.clone().unwrap_or_else(|| "founded by this ceremony".to_owned());
        let head = rows([
            ("ceremony", self.title.clone()),
            ("purpose", self.purpose.clone()),
            ("trust domain", self.trust_domain.clone()),
            ("genesis", genesis),
            ("people", people.join(", ")),
        ]);
        let digest: Vec<_> = whole_digest(&self.digest).into_iter().map(|line| format!("  {line}")).collect();
        let mark = if self.example {
            format!("{LOUD}an example: its genesis is zero, so that it cannot be run{LOUD:#}\n\n")
        } else {
            String::new()
        };
        format!(
            "{mark}{head}\n\n{}\n\nThe plan's SHA-256; everyone who signs it compares it:\n{}",
            crate::shown::plain(&self.words),
            digest.join("\n")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::plan_file::tests::{PLAN, plan};
    use std::path::Path;

    #[test]
    fn a_plan_is_told_step_by_step_with_its_whole_digest() {
        let text = CheckReport::from(&plan()).text();
        assert!(text.contains("Alice asks for the key"), "{text}");
        assert!(whole_digest(&plan().digest).iter().all(|line| text.contains(line)), "{text}");
        assert!(!text.contains("an example"), "{text}");
    }

    #[test]
    fn an_example_is_loudly_one() {
        let text = PLAN.replace(&"01".repeat(32), &"00".repeat(32));
        let file = PlanFile::of_bytes(Path::new("p"), text.into_bytes()).unwrap();
        assert!(CheckReport::from(&file).text().contains("an example: its genesis is zero"));
    }
}
