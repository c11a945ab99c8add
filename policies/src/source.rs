//! One policy file: parsed, validated strictly, each policy named by where it stands.
//! It does not decide anything, and it judges each file alone so that an error names its file.

use cedar_policy::ffi::DetailedError;
use cedar_policy::{Policy, PolicyId, Schema, ValidationMode, Validator};

use crate::error::PolicyError;
use crate::shipped::SCHEMA;

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
        let parsed: cedar_policy::PolicySet = self.text.parse().map_err(|errors| {
            let (line, reason) = self.first([DetailedError::from(&errors)]);
            PolicyError::Syntax { file: self.name.clone(), line, reason }
        })?;
        if let Some(template) = parsed.templates().next() {
            let line = template.as_ref().loc().map(|place| self.line(place.start())).unwrap_or_default();
            return Err(PolicyError::Template { file: self.name.clone(), line });
        }

        let result = validator.validate(&parsed, ValidationMode::Strict);
        // Warnings refuse as well: a policy that never applies, or whose text is not what it looks
        // like, is not what its author meant.
        let errors = result.validation_errors().map(DetailedError::from);
        let warnings = result.validation_warnings().map(DetailedError::from);
        let problems: Vec<_> = errors.chain(warnings).collect();
        if !problems.is_empty() {
            let (line, reason) = self.first(problems);
            return Err(PolicyError::Invalid { file: self.name.clone(), line, reason });
        }
        Ok(parsed.policies().map(|policy| policy.new_id(self.id(policy))).collect())
    }

    fn id(&self, policy: &Policy) -> PolicyId {
        let offset = if let Some(place) = policy.as_ref().loc() { place.start() } else { 0 };
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
        Some(help) => format!("{}: {help}", problem.message),
        None => problem.message,
    }
}
