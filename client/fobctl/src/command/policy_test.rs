//! `fobctl policy test`: a set tried on the decision cases, the shipped ones and the site's own.

use crate::{
    fault::Fault,
    output::{Output, Report, tell},
    policy::{
        candidate,
        cases::{AllCases, Tested},
        findings,
        told::told,
    },
};
use keysvc_policies::Decision;
use serde::Serialize;
use std::{io::Write, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  fobctl policy test policies
  fobctl policy test policies --cases cases      # a case of a shipped one's name stands in its place
  fobctl policy test policies --accept cases     # for a site that means to decide otherwise";

/// `fobctl policy test`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TestArgs {
    /// The folder of *.cedar files.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    cases: OwnCases,
    /// Write the cases that come out otherwise into this folder, with the answer they get here: for a site that means it
    /// so. Read them, give each its reason, and name the folder with --cases from then on.
    #[arg(long, value_name = "DIR")]
    accept: Option<PathBuf>,
}

/// Where the site's own cases are.
#[derive(Debug, clap::Args)]
pub(crate) struct OwnCases {
    /// A folder of the site's own cases, one *.toml each. One that is named as a shipped case stands in its place.
    #[arg(long, value_name = "DIR")]
    pub(crate) cases: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct TestReport {
    cases: usize,
    shipped: usize,
    own: usize,
    replaced: usize,
    mismatches: Vec<MismatchView>,
    #[serde(skip)]
    words: String,
}

#[derive(Debug, Serialize)]
struct MismatchView {
    case: String,
    expected: String,
    decided: String,
    /// What is asked, in words.
    question: String,
    why: String,
}

pub(super) fn run<W: Write>(args: &TestArgs, output: &mut Output<W>) -> Result<(), Fault> {
    let set = candidate::load(&args.folder)?;
    let cases = AllCases::load(args.cases.cases.as_deref())?;
    let tested = cases.test(&set);
    output.print(&TestReport::from(&tested))?;
    if let Some(folder) = args.accept.as_deref().filter(|_| !tested.mismatches.is_empty()) {
        let accepted = cases.accepted(&tested);
        findings::write_set(folder, accepted.iter().map(|(name, text)| (name.as_str(), text.as_str())))?;
        let (written, folder) = (accepted.len(), folder.display());
        tell(&format_args!("{written} cases are in {folder}: read them, and give each its reason"));
    }
    passed(&tested)?;
    tell(&format_args!("next: `fobctl policy prove {}`", args.folder.display()));
    Ok(())
}

/// Whether every case came out as it says.
///
/// # Errors
/// [`Fault::Unsound`] with how many did not.
pub(super) fn passed(tested: &Tested) -> Result<(), Fault> {
    if tested.mismatches.is_empty() {
        return Ok(());
    }
    let (wrong, all) = (tested.mismatches.len(), tested.cases());
    Err(Fault::unsound(
        format!("{wrong} of {all} decision cases come out otherwise than they say"),
        "correct the policies; or, where they mean it so, have the cases written with the other answer by `fobctl policy \
         test DIR --accept CASES`, and name that folder with --cases",
    ))
}

impl From<&Tested> for TestReport {
    fn from(tested: &Tested) -> Self {
        let view = |mismatch: &keysvc_policies::case::Mismatch| MismatchView {
            case: mismatch.name.clone(),
            expected: answer(mismatch.expected).to_owned(),
            decided: match &mismatch.decided {
                Ok(decided) => answer(*decided).to_owned(),
                Err(error) => format!("denied by a fault ({error})"),
            },
            question: mismatch.words.clone(),
            why: mismatch.why.clone(),
        };
        Self {
            cases: tested.cases(),
            shipped: tested.shipped,
            own: tested.own,
            replaced: tested.replaced,
            mismatches: tested.mismatches.iter().map(view).collect(),
            words: tested.words(),
        }
    }
}

impl MismatchView {
    fn text(&self) -> String {
        let Self { case, expected, decided, question, why } = self;
        let why = format!("(the case says {expected}: {why})");
        format!("\n{}", told(&format!("{case}: {decided}"), [question.as_str(), why.as_str()]))
    }
}

const fn answer(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allowed",
        Decision::Deny => "denied",
    }
}

impl Report for TestReport {
    fn schema(&self) -> &'static str {
        "keysvc/fobctl-policy-test/1"
    }

    fn text(&self) -> String {
        let Self { cases, words, .. } = self;
        if self.mismatches.is_empty() {
            return format!("all {cases} decision cases come out as they say ({words})");
        }
        let wrong: String = self.mismatches.iter().map(MismatchView::text).collect();
        format!(
            "{} of {cases} decision cases come out otherwise than they say ({words})\n{}",
            self.mismatches.len(),
            wrong.trim_end()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::cases::tests::stricter;

    #[test]
    fn a_mismatch_is_told_in_words_and_fails_the_test() {
        let tested = AllCases::load(None).unwrap().test(&stricter());
        let text = TestReport::from(&tested).text();
        assert!(text.contains("\na-terminal-may-load-a-thousand-alone: denied\n  terminal "), "{text}");
        assert!(text.contains("\n  (the case says allowed: "), "{text}");
        let fault = passed(&tested).unwrap_err();
        assert_eq!(fault.exit_code(), 6);
        assert!(fault.next().contains("--cases"), "{}", fault.next());
    }
}
