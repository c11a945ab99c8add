//! One policy file: parsed, validated strictly, each policy named by where it stands.
//! It does not decide anything, and it judges each file alone so that an error names its file.

use cedar_policy::ffi::DetailedError;
use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};

use crate::error::PolicyError;
use crate::shipped::SCHEMA;

/// The annotation of a forbid that says what its caller may be told.
pub(crate) const REFUSAL: &str = "refusal";
/// Its only value: one person would do what takes two.
pub(crate) const SAME_PERSON: &str = "same_person";

/// A policy file in memory.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file's name without its folder.
    pub(crate) name: String,
    /// The whole file.
    pub(crate) text: String,
}

impl Source {
    /// Every policy of the file, its id being `name:line:column`.
    pub(crate) fn policies(&self, validator: &Validator) -> Result<Vec<Policy>, PolicyError> {
        let parsed: PolicySet = self.text.parse().map_err(|errors| {
            let (line, reason) = self.first([DetailedError::from(&errors)]);
            PolicyError::Syntax { file: self.name.clone(), line, reason }
        })?;
        if let Some(template) = parsed.templates().next() {
            let line = template.as_ref().loc().map(|place| self.line(place.start())).unwrap_or_default();
            return Err(PolicyError::Template { file: self.name.clone(), line });
        }
        if let Some(wrong) = parsed.policies().find(|policy| !tells_what_it_may(policy)) {
            let (file, line) = (self.name.clone(), self.line(start(wrong)));
            return Err(PolicyError::Refusal { file, line });
        }

        // Named first, so that the validator's messages speak of places.
        let policies: Vec<_> = parsed.policies().map(|policy| policy.new_id(self.id(policy))).collect();
        let result = validator.validate(&together(&policies)?, ValidationMode::Strict);
        let mut problems: Vec<_> = result.validation_errors().map(DetailedError::from).collect();
        if problems.is_empty() {
            // Warnings refuse as well: a policy that never applies, or whose text is not what it
            // looks like, is not what its author meant.
            problems = result.validation_warnings().map(DetailedError::from).collect();
        }
        if !problems.is_empty() {
            let (line, reason) = self.first(problems);
            return Err(PolicyError::Invalid { file: self.name.clone(), line, reason });
        }
        Ok(policies)
    }

    fn id(&self, policy: &Policy) -> PolicyId {
        let offset = start(policy);
        let line_start = self
            .text
            .as_bytes()
            .iter()
            .take(offset)
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |newline| newline.saturating_add(1));
        let column = offset.saturating_sub(line_start).saturating_add(1);
        PolicyId::new(format!("{}:{}:{column}", self.name, self.line(offset)))
    }

    fn line(&self, offset: usize) -> usize {
        line_at(self.text.as_bytes(), offset)
    }

    /// The line and text of the problem that stands first in the file.
    fn first(&self, problems: impl IntoIterator<Item = DetailedError>) -> (usize, String) {
        problems
            .into_iter()
            .map(|problem| (self.line(offset(&problem)), reason(problem)))
            .min()
            .unwrap_or_default()
    }
}

/// Whether a policy file may go by this name: a plain one that ends in `.cedar`, with something before
/// it. A folder has no other, but what comes in memory could point out of one, or hide characters.
pub(crate) fn is_file_name(name: &str) -> bool {
    let stem = name.strip_suffix(".cedar").unwrap_or_default();
    !stem.is_empty() && !name.contains(|letter: char| letter == '/' || letter.is_control())
}

/// Whether the policy has no refusal, or is a forbid that has a known one. The keeper's refusals are few
/// and fixed, and what a site cannot mean it should not believe it has said.
fn tells_what_it_may(policy: &Policy) -> bool {
    match policy.annotation(REFUSAL) {
        None => true,
        Some(value) => policy.effect() == Effect::Forbid && value == SAME_PERSON,
    }
}

/// Where the policy begins, in bytes.
fn start(policy: &Policy) -> usize {
    if let Some(place) = policy.as_ref().loc() { place.start() } else { 0 }
}

/// A set of `policies`, whose ids must differ.
pub(crate) fn together<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Result<PolicySet, PolicyError> {
    let mut set = PolicySet::new();
    for policy in policies {
        let twice = |_| PolicyError::Twice { policy: policy.id().to_string() };
        set.add(policy.clone()).map_err(twice)?;
    }
    Ok(set)
}

/// Parses the shipped schema.
pub(crate) fn schema() -> Result<Schema, PolicyError> {
    let (schema, mut warnings) =
        Schema::from_cedarschema_str(SCHEMA).map_err(|error| damaged(error.to_string()))?;
    if let Some(warning) = warnings.next() {
        return Err(damaged(warning.to_string()));
    }
    // Rules are sorted by the actions they name; a group would name actions it does not spell out.
    if schema.action_groups().next().is_some() {
        return Err(damaged("it declares an action group".to_owned()));
    }
    Ok(schema)
}

/// The schema is part of the program, so a fault in it is the program's.
pub(crate) fn damaged(reason: String) -> PolicyError {
    PolicyError::Schema { reason }
}

/// The line, from 1, of the byte at `offset`.
pub(crate) fn line_at(text: &[u8], offset: usize) -> usize {
    text.iter().take(offset).filter(|byte| **byte == b'\n').count().saturating_add(1)
}

fn offset(problem: &DetailedError) -> usize {
    problem.source_locations.iter().map(|label| label.loc.start).min().unwrap_or_default()
}

fn reason(problem: DetailedError) -> String {
    match problem.help {
        // Its guesses at names are far off and differ from run to run.
        Some(help) if !help.starts_with("did you mean") => format!("{}: {help}", problem.message),
        _ => problem.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(text: &str) -> Result<Vec<Policy>, PolicyError> {
        let source = Source { name: "shop.cedar".to_owned(), text: text.to_owned() };
        source.policies(&Validator::new(schema().unwrap()))
    }

    fn invalid(text: &str) -> (String, usize, String) {
        match policies(text) {
            Err(PolicyError::Invalid { file, line, reason }) => (file, line, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_policy_is_named_by_the_place_where_it_begins() {
        let text =
            "// café\npermit (principal, action, resource);\n\n  permit (principal, action, resource);";
        let ids = policies(text).unwrap().iter().map(|policy| policy.id().to_string()).collect::<Vec<_>>();
        assert_eq!(ids, ["shop.cedar:2:1", "shop.cedar:4:3"]);
    }

    #[test]
    fn two_policies_on_one_line_keep_two_names() {
        let text = "permit (principal, action, resource);permit (principal, action, resource);";
        let ids = policies(text).unwrap().iter().map(|policy| policy.id().to_string()).collect::<Vec<_>>();
        assert_eq!(ids, ["shop.cedar:1:1", "shop.cedar:1:38"]);
    }

    #[test]
    fn a_syntax_error_names_file_and_line() {
        let text = "permit (principal, action, resource);\npermit (principal, action resource);\n";
        let Err(PolicyError::Syntax { file, line, reason }) = policies(text) else { panic!("it parsed") };
        assert_eq!((file.as_str(), line), ("shop.cedar", 2));
        assert!(reason.contains("resource"), "{reason}");
    }

    #[test]
    fn an_unknown_attribute_is_refused_naming_file_and_line() {
        let text =
            "// a comment\npermit (principal, action, resource)\nwhen { principal.colour == \"red\" };";
        let (file, line, reason) = invalid(text);
        assert_eq!((file.as_str(), line), ("shop.cedar", 3));
        assert!(reason.contains("colour") && reason.contains("shop.cedar:2:1"), "{reason}");
    }

    #[test]
    fn the_first_of_several_errors_is_named() {
        let bad =
            |name: &str| format!("permit (principal, action, resource) when {{ principal.{name} == 1 }};\n");
        let (_, line, reason) = invalid(&[bad("zebra"), bad("aardvark")].concat());
        assert_eq!(line, 1);
        assert!(reason.contains("zebra"), "{reason}");
    }

    #[test]
    fn what_the_schema_does_not_declare_is_refused_saying_so() {
        for (text, expected) in [
            (r#"permit (principal, action == Action::"key.export", resource);"#, "unrecognized action"),
            ("permit (principal, action, resource is Purse);", "unrecognized entity type `Purse`"),
            ("permit (principal, action, resource) when { principal.kind < 3 };", "expected Long"),
            ("permit (principal, action, resource) when { context.amount < 5 };", "attribute `amount`"),
        ] {
            let (_, line, reason) = invalid(&["\n\n", text].concat());
            assert_eq!(line, 3, "{text}");
            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[test]
    fn a_policy_that_can_never_apply_is_refused() {
        let (_, line, _) =
            invalid("\npermit (principal, action == Action::\"status\", resource is Programme);");
        assert_eq!(line, 2);
        invalid("permit (principal, action, resource) when { principal.kind == \"officer\" && false };");
    }

    #[test]
    fn text_that_is_not_what_it_looks_like_is_refused() {
        // The second letter is Cyrillic.
        invalid("permit (principal, action, resource) when { principal.organisation == \"s\u{443}n\" };");
        invalid("permit (principal, action, resource) when { principal.organisation == \"a\u{202e}b\" };");
    }

    #[test]
    fn a_template_is_refused_naming_file_and_line() {
        let text =
            "permit (principal, action, resource);\npermit (principal == ?principal, action, resource);";
        let expected = PolicyError::Template { file: "shop.cedar".to_owned(), line: 2 };
        assert_eq!(policies(text).unwrap_err(), expected);
    }

    #[test]
    fn a_refusal_that_is_not_known_is_refused_naming_file_and_line() {
        let annotated = |refusal: &str, effect: &str| {
            policies(&format!("// first\n@id(\"x\")\n{refusal}\n{effect} (principal, action, resource);"))
        };
        assert_eq!(annotated("@refusal(\"same_person\")", "forbid").unwrap().len(), 1);
        assert_eq!(annotated("@told(\"anything\")", "permit").unwrap().len(), 1);
        for (refusal, effect) in [
            ("@refusal(\"frozen\")", "forbid"),
            ("@refusal(\"Same_person\")", "forbid"),
            ("@refusal(\"\")", "forbid"),
            ("@refusal", "forbid"),
            ("@refusal(\"same_person\")", "permit"),
        ] {
            let expected = PolicyError::Refusal { file: "shop.cedar".to_owned(), line: 2 };
            assert_eq!(annotated(refusal, effect).unwrap_err(), expected, "{refusal} {effect}");
        }
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!([0, 1, 2, 3, 9].map(|offset| line_at(b"a\nb\n", offset)), [1, 1, 2, 2, 3]);
    }
}
