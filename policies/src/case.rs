//! Decision cases: one question, the answer it must get, and why.
//!
//! A case is a small TOML file that officers can read and write; its name says what it is about. The
//! shipped ones are inside the program, and a site may keep a folder of its own. [`test()`] runs them,
//! [`difference`] says in words which of them two policy sets decide otherwise.
//!
//! Apart from the judging, under the feature `cases`: the daemon never reads one.

mod cases;
mod compare;
mod error;
mod form;

pub use cases::{CASE_BYTES_MAX, CASES_MAX, Cases};
pub use compare::{Change, Difference, Mismatch, difference, test};
pub use error::CaseError;

use form::Form;

use crate::error::PolicyError;
use crate::policy_set::PolicySet;
use crate::question::{Decision, Question};
use crate::shipped::DEFAULT_SITE_NAME;
use crate::source::line_at;

/// One decision case.
///
/// ```toml
/// why = "who answers for a key sees what its end would touch"
/// expect = "allow"
/// action = "key.impact"
///
/// [principal]
/// id = "officer-anna"
/// kind = "officer"
/// organisation = "acme"
/// department = "security"
/// capabilities = []
///
/// [resource.service]
/// ```
///
/// The resource is one of `[resource.service]`, `[resource.log]`, `[resource.profile]` with a name,
/// `[resource.job]` with name, customer and profile, and `[resource.programme]` with name, organisation and
/// currency. The context, where the operation has one, is `[context.card-derive]`, `[context.job]`,
/// `[context.job-read]`, `[context.card-transition]`, `[context.load]`, `[context.debit]`,
/// `[context.principal]`, `[context.key]`, `[context.freeze]`, `[context.profile]` or `[context.site]`,
/// with the fields of the [`ContextFacts`](crate::ContextFacts) it stands for; what a job's leaves out,
/// nobody did and nobody signs. `[quorum]` says persons and departments; without it the request is sent
/// directly. `site` holds policies that stand in place of the
/// site's for this case alone: such a case tries the ceiling, or shows how something is written.
#[derive(Debug)]
pub struct Case {
    name: String,
    text: String,
    form: Form,
}

impl Case {
    /// Reads the case called `name` from its text.
    ///
    /// # Errors
    ///
    /// Text that is not such a case, has a field that is not declared, or gives no reason.
    pub fn parse(name: &str, text: &str) -> Result<Self, CaseError> {
        let malformed = |line, reason: &str| CaseError::Malformed {
            name: name.to_owned(),
            line,
            reason: reason.trim_end().replace('\n', ", "),
        };
        let form: Form = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            malformed(line_at(text.as_bytes(), start), error.message())
        })?;
        if form.why.trim().is_empty() || form.why.contains(char::is_control) {
            return Err(malformed(1, "why is to give the reason in one line"));
        }
        Ok(Self { name: name.to_owned(), text: text.to_owned(), form })
    }

    /// What it is called: the name of its file without the ending.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its text as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Why the answer must be as expected.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.form.why
    }

    /// What is asked.
    #[must_use]
    pub fn question(&self) -> Question<'_> {
        self.form.question()
    }

    /// The answer it must get.
    pub fn expect(&self) -> Decision {
        self.form.expect()
    }

    /// The policies that stand in place of the site's, if it has any.
    #[must_use]
    pub fn site(&self) -> Option<&str> {
        self.form.site.as_deref()
    }

    /// Judges the question by `policies`, or by its own [`Case::site`] under the shipped ceiling.
    ///
    /// # Errors
    ///
    /// As [`PolicySet::decide`]; and a `site` that does not load.
    pub fn run(&self, policies: &PolicySet) -> Result<Decision, PolicyError> {
        match self.site() {
            None => policies.decide(&self.question()),
            Some(text) => PolicySet::from_files(&[(DEFAULT_SITE_NAME, text)])?.decide(&self.question()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::{ContextFacts, QuorumFacts, ResourceFacts};

    const LOAD: &str = r#"
why = "who asks is the till"
expect = "allow"
action = "value.update"

[principal]
id = "till-7"
kind = "terminal"
organisation = "acme"
department = "sales"
capabilities = ["till"]

[resource.programme]
name = "gift"
organisation = "acme"
currency = 978

[context.load]
amount = 5
no_card_session = false
passive_tag = true
development = false

[quorum]
persons = 2
departments = ["finance"]
"#;

    fn refused(text: &str) -> (usize, String) {
        match Case::parse("load", text) {
            Err(CaseError::Malformed { line, reason, .. }) => (line, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_case_says_its_question_answer_and_reason() {
        let case = Case::parse("load", LOAD).unwrap();
        assert_eq!(
            (case.name(), case.why(), case.expect()),
            ("load", "who asks is the till", Decision::Allow)
        );
        let question = case.question();
        assert_eq!(question.principal.capabilities, ["till"]);
        let programme = ResourceFacts::Programme { name: "gift", organisation: "acme", currency: 978 };
        assert_eq!(question.resource, programme);
        assert!(matches!(
            question.context,
            ContextFacts::ValueUpdate { operation: "load", amount: 5, passive_tag: true, .. }
        ));
        assert_eq!(question.quorum, QuorumFacts { persons: 2, departments: &["finance".to_owned()] });
        assert_eq!(case.run(&PolicySet::shipped().unwrap()), Ok(Decision::Allow));
    }

    #[test]
    fn a_case_with_a_site_is_judged_by_it() {
        let site = |text: &str| format!("site = '''{text}'''\n{LOAD}");
        let shipped = PolicySet::shipped().unwrap();
        let closed = "forbid (principal, action, resource) when { principal.kind == \"terminal\" };";
        let case = Case::parse("load", &site(closed)).unwrap();
        assert_eq!((case.site(), case.run(&shipped)), (Some(closed), Ok(Decision::Deny)));
        let broken = Case::parse("load", &site("permit (principal")).unwrap();
        assert!(matches!(broken.run(&shipped), Err(PolicyError::Syntax { .. })));
    }

    #[test]
    fn what_is_no_case_is_refused_naming_the_line() {
        for (from, to, line, reason) in [
            ("capabilities", "capabilites", 11, "capabilites"),
            ("currency = 978", "currency = 70000", 16, "70000"),
            ("expect = \"allow\"", "expect = \"perhaps\"", 3, "perhaps"),
            ("[context.load]", "[context.cash]", 18, "cash"),
            ("persons = 2\n", "persons = 2\npeople = 2\n", 26, "people"),
            ("passive_tag = true\n", "", 18, "passive_tag"),
            ("[quorum]", "[quorum", 24, ""),
            ("who asks is the till", " ", 1, "why"),
            ("who asks is the till", "one\\ntwo", 1, "why"),
        ] {
            let (at, said) = refused(&LOAD.replace(from, to));
            assert!(said.contains(reason), "{to}: {said}");
            assert!(!said.contains('\n'), "{said}");
            assert_eq!(at, line, "{to}: {said}");
        }
        let error = Case::parse("load", &LOAD.replace("capabilities", "skills")).unwrap_err();
        assert!(error.to_string().starts_with("the case load, line "), "{error}");
    }
}
