//! What decision cases say of policy sets: which come out otherwise than expected, and which two sets
//! decide otherwise. Apart from running one case; it writes no report, it gives the lines of one.

use std::fmt;

use super::{Case, Cases};
use crate::error::PolicyError;
use crate::policy_set::PolicySet;
use crate::question::Decision;
use crate::words::in_words;

/// What stands for the part of a line that was cut.
const CUT: &str = "...";

/// A case that comes out otherwise than it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The case's name.
    pub name: String,
    /// Its question in words.
    pub words: String,
    /// Why the answer must be as expected.
    pub why: String,
    /// What was expected.
    pub expected: Decision,
    /// What came.
    pub decided: Result<Decision, PolicyError>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, words, why, expected, decided } = self;
        let expected = verdict(&Ok(*expected));
        write!(f, "{words}: {}, but {name} says {expected}; {why}", verdict(decided))
    }
}

/// Every one of `cases` that comes out otherwise than expected under `policies`. A case with a site of
/// its own is judged by that, whatever `policies` say.
#[must_use]
pub fn test(policies: &PolicySet, cases: &Cases) -> Vec<Mismatch> {
    let judge = |case: &Case| {
        let decided = case.run(policies);
        (decided != Ok(case.expect())).then(|| Mismatch {
            name: case.name().to_owned(),
            words: in_words(&case.question()),
            why: case.why().to_owned(),
            expected: case.expect(),
            decided,
        })
    };
    cases.iter().filter_map(judge).collect()
}

/// A case that two policy sets decide otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The case's name.
    pub name: String,
    /// Its question in words.
    pub words: String,
    /// Why the case expects the answer that it does.
    pub why: String,
    /// What the old set says.
    pub before: Result<Decision, PolicyError>,
    /// What the new set says.
    pub after: Result<Decision, PolicyError>,
}

impl Change {
    /// At most so many bytes of printable ASCII. What changes stands first, and the question is cut
    /// where it is too long; a line shorter than what changes and the mark of the cut is not to be had.
    #[must_use]
    pub fn in_brief(&self, bytes_max: usize) -> String {
        let mut line = format!("{} -> {}: {}", brief(&self.before), brief(&self.after), self.words);
        if line.len() > bytes_max {
            line.truncate(bytes_max.saturating_sub(CUT.len()));
            line.push_str(CUT);
        }
        line
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { words, why, before, after, .. } = self;
        write!(f, "{words}: {} -> {}; {why}", verdict(before), verdict(after))
    }
}

/// What changes from one policy set to another, as far as the cases ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Cases that both sets judged.
    pub cases: usize,
    /// Cases left out, because each brings a site of its own.
    pub skipped: usize,
    /// Those of which the decision changes, sorted by name.
    pub changed: Vec<Change>,
}

/// Puts each of `cases` to both sets. The cases' own expectations are not looked at.
#[must_use]
pub fn difference(old: &PolicySet, new: &PolicySet, cases: &Cases) -> Difference {
    let (own, shared): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.site().is_some());
    let judge = |case: &&Case| {
        let (before, after) = (case.run(old), case.run(new));
        (before != after).then(|| Change {
            name: case.name().to_owned(),
            words: in_words(&case.question()),
            why: case.why().to_owned(),
            before,
            after,
        })
    };
    let changed = shared.iter().filter_map(judge).collect();
    Difference { cases: shared.len(), skipped: own.len(), changed }
}

fn verdict(decided: &Result<Decision, PolicyError>) -> String {
    match decided {
        Ok(_) => brief(decided).to_owned(),
        Err(error) => format!("denied by a fault ({error})"),
    }
}

fn brief(decided: &Result<Decision, PolicyError>) -> &'static str {
    match decided {
        Ok(Decision::Allow) => "allowed",
        Ok(Decision::Deny) => "denied",
        Err(_) => "denied by a fault",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shipped::DEFAULT_SITE;

    fn with(more: &str) -> PolicySet {
        PolicySet::from_files(&[("more.cedar", more), ("site.cedar", DEFAULT_SITE)]).unwrap()
    }

    fn find<'a>(difference: &'a Difference, name: &str) -> &'a Change {
        difference.changed.iter().find(|change| change.name == name).unwrap()
    }

    const NO_DEBITS: &str = r#"forbid (principal, action == Action::"value.update", resource)
        when { context.operation == "debit" };"#;

    #[test]
    fn a_case_that_comes_out_otherwise_is_said_in_words() {
        let wrong = test(&with(NO_DEBITS), &Cases::shipped().unwrap());
        assert!(!wrong.is_empty());
        for mismatch in &wrong {
            assert_eq!((mismatch.expected, &mismatch.decided), (Decision::Allow, &Ok(Decision::Deny)));
            let said = mismatch.to_string();
            assert!(said.contains(" may value.update a debit of "), "{said}");
            let end = format!(": denied, but {} says allowed; {}", mismatch.name, mismatch.why);
            assert!(said.ends_with(&end), "{said}");
        }
    }

    #[test]
    fn equal_sets_differ_in_no_case() {
        let (shipped, cases) = (PolicySet::shipped().unwrap(), Cases::shipped().unwrap());
        let difference = difference(&shipped, &with("// nothing more"), &cases);
        assert_eq!(difference.changed, []);
        assert!(difference.skipped > 0 && difference.cases > 300, "{difference:?}");
        assert_eq!(difference.cases + difference.skipped, cases.iter().count());
    }

    #[test]
    fn every_case_that_changes_is_said_in_words() {
        let (shipped, cases) = (PolicySet::shipped().unwrap(), Cases::shipped().unwrap());
        let narrowed = difference(&shipped, &with(NO_DEBITS), &cases);
        let debit = find(&narrowed, "a-terminal-may-debit-any-amount-alone");
        let said = debit.to_string();
        assert!(said.starts_with("terminal "), "{said}");
        assert!(said.contains(", alone: allowed -> denied; "), "{said}");
        assert!(said.ends_with(&debit.why), "{said}");

        let widened = difference(&with(NO_DEBITS), &shipped, &cases);
        assert_eq!(widened.changed.len(), narrowed.changed.len());
        assert!(find(&widened, &debit.name).to_string().contains(": denied -> allowed; "));
    }

    #[test]
    fn a_policy_that_fails_is_a_change_and_says_so() {
        let failing = r#"forbid (principal, action == Action::"value.update", resource)
            when { context.amount + 9223372036854775807 < 0 };"#;
        let (shipped, cases) = (PolicySet::shipped().unwrap(), Cases::shipped().unwrap());
        let failed = difference(&shipped, &with(failing), &cases);
        let debit = find(&failed, "a-terminal-may-debit-any-amount-alone");
        let said = debit.to_string();
        assert!(said.contains(": allowed -> denied by a fault (more.cedar:1:1: "), "{said}");
        assert!(debit.in_brief(80).starts_with("allowed -> denied by a fault: terminal "), "{said}");
    }

    #[test]
    fn a_brief_line_keeps_what_changes_and_cuts_the_question() {
        let (shipped, cases) = (PolicySet::shipped().unwrap(), Cases::shipped().unwrap());
        let narrowed = difference(&shipped, &with(NO_DEBITS), &cases);
        let debit = find(&narrowed, "a-terminal-may-debit-any-amount-alone");
        let whole = debit.in_brief(1000);
        assert_eq!(whole, format!("allowed -> denied: {}", debit.words));
        assert_eq!(debit.in_brief(whole.len()), whole);
        let cut = debit.in_brief(whole.len() - 1);
        assert_eq!(cut.len(), whole.len() - 1);
        assert_eq!(cut.strip_suffix("..."), Some(&whole[..whole.len() - 4]));
    }
}
