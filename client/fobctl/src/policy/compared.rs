//! Which decision cases come out otherwise under a proposed set, and the report of it that officers keep.
//!
//! The report is stable: the same sets and cases give the same bytes, and its digest stands in the proposal.

use super::{
    findings::{REASON, lines},
    told::told,
};
use keysvc_client::protocol::{bytes::Digest, hash::sha256, request::PolicyDifference};
use keysvc_policies::case::Change;
use serde::Serialize;

/// What changes from one set to another, as far as the cases ask.
#[derive(Debug)]
pub(crate) struct Compared {
    /// Digest of the old set.
    pub(crate) from: Digest,
    /// Digest of the new one.
    pub(crate) to: Digest,
    /// Cases that both judged.
    pub(crate) cases: usize,
    /// Those that come out otherwise.
    pub(crate) changed: Vec<Change>,
}

/// A case that comes out otherwise, for reports.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeView {
    /// The case's name.
    pub(crate) case: String,
    /// `allowed -> denied`.
    pub(crate) change: String,
    /// What is asked, in words.
    pub(crate) question: String,
    /// Why the case expects what it does.
    pub(crate) why: String,
}

impl ChangeView {
    /// For people, with an empty line before it.
    pub(crate) fn paragraph(&self) -> String {
        let why = format!("(the case: {})", self.why);
        told(&format!("\n{}: {}", self.case, self.change), [self.question.as_str(), why.as_str()])
    }
}

impl Compared {
    /// `3 of 380 decision cases change`.
    pub(crate) fn summary(&self) -> String {
        match (self.changed.len(), self.cases) {
            (0, cases) => format!("none of {cases} decision cases changes"),
            (1, cases) => format!("1 of {cases} decision cases changes"),
            (changed, cases) => format!("{changed} of {cases} decision cases change"),
        }
    }

    /// Each case that changes.
    pub(crate) fn views(&self) -> Vec<ChangeView> {
        let view = |change: &Change| ChangeView {
            case: change.name.clone(),
            // A line of any length is what changes, and then the question.
            change: change
                .in_brief(usize::MAX)
                .trim_end_matches(&change.words)
                .trim_end_matches(": ")
                .to_owned(),
            question: change.words.clone(),
            why: change.why.clone(),
        };
        self.changed.iter().map(view).collect()
    }

    /// The whole report, which ends with a line feed.
    pub(crate) fn report(&self) -> String {
        let mut text = format!(
            "Decision cases that come out otherwise\n\nfrom  {}\nto    {}\n\n{}\n",
            self.from,
            self.to,
            self.summary()
        );
        text.extend(self.views().iter().map(ChangeView::paragraph));
        text
    }

    /// The report's SHA-256.
    pub(crate) fn digest(&self) -> Digest {
        sha256(&[self.report().as_bytes()])
    }

    /// As a proposal carries it.
    pub(crate) fn wire(&self) -> PolicyDifference {
        PolicyDifference {
            cases: u32::try_from(self.cases).unwrap_or(u32::MAX),
            changed: u32::try_from(self.changed.len()).unwrap_or(u32::MAX),
            report: self.digest(),
            lines: lines(self.changed.iter().map(|change| change.in_brief(REASON))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::cases::{AllCases, tests::stricter};
    use keysvc_policies::PolicySet;

    #[test]
    fn the_proposal_carries_number_lines_and_the_reports_digest() {
        let compared = AllCases::load(None).unwrap().compare(&PolicySet::shipped().unwrap(), &stricter());
        let wire = compared.wire();
        assert_eq!(usize::try_from(wire.changed).unwrap(), compared.changed.len());
        assert_eq!(wire.lines.len(), compared.changed.len().min(16));
        assert!(wire.lines[0].as_str().starts_with("allowed -> denied: terminal "), "{:?}", wire.lines);
        assert_eq!(wire.report, sha256(&[compared.report().as_bytes()]));
        let report = compared.report();
        assert!(report.contains(&format!("\n{}\n", compared.summary())));
        assert!(
            report.contains("a-terminal-may-load-a-thousand-alone: allowed -> denied\n  terminal "),
            "{report}"
        );
    }

    #[test]
    fn equal_sets_change_nothing_and_say_so() {
        let shipped = PolicySet::shipped().unwrap();
        let compared = AllCases::load(None).unwrap().compare(&shipped, &shipped);
        assert!(compared.summary().starts_with("none of "), "{}", compared.summary());
        assert!(compared.wire().lines.is_empty());
    }
}
