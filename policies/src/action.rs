//! One action of the schema, and which questions fit it.
//!
//! Cedar can check each request against the schema, but that costs a sixth of a decision. The
//! shapes of [`ContextFacts`] are fixed by its variants, so a sample of each is checked once, at load.

use cedar_policy::{EntityTypeName, EntityUid, Schema};

use crate::error::PolicyError;
use crate::facts;
use crate::question::{ContextFacts, JobFacts, QuorumFacts};
use crate::source::damaged;

/// An action that may be asked about.
pub(crate) struct Action {
    /// Its name in policies.
    pub(crate) uid: EntityUid,
    resources: Vec<EntityTypeName>,
    shape: Shape,
}

/// Which variant of [`ContextFacts`] an action takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    None,
    CardDerive,
    Job,
    JobRead,
    CardTransition,
    ValueUpdate,
    Principal,
    Key,
    Freeze,
    Profile,
    Site,
}

impl Shape {
    fn of(context: ContextFacts<'_>) -> Self {
        match context {
            ContextFacts::None => Self::None,
            ContextFacts::CardDerive { .. } => Self::CardDerive,
            ContextFacts::Job(_) => Self::Job,
            ContextFacts::JobRead { .. } => Self::JobRead,
            ContextFacts::CardTransition { .. } => Self::CardTransition,
            ContextFacts::ValueUpdate { .. } => Self::ValueUpdate,
            ContextFacts::Principal { .. } => Self::Principal,
            ContextFacts::Key { .. } => Self::Key,
            ContextFacts::Freeze { .. } => Self::Freeze,
            ContextFacts::Profile { .. } => Self::Profile,
            ContextFacts::Site { .. } => Self::Site,
        }
    }
}

/// One context of each shape; the values do not matter.
const SAMPLES: [ContextFacts<'_>; 11] = [
    ContextFacts::None,
    ContextFacts::CardDerive { cards: 0, slots: 0, generation: 0, development: false },
    ContextFacts::Job(JobFacts {
        created_by: "",
        sealed_by: "",
        operated_by: &[],
        reviewed_by: &[],
        operators: &[],
        reviewer: "",
        witness: "",
    }),
    ContextFacts::JobRead { created_by: "", sealed_by: "", operated_by: &[] },
    ContextFacts::CardTransition { to: "", cards: 0 },
    ContextFacts::ValueUpdate {
        operation: "load",
        amount: 0,
        no_card_session: false,
        passive_tag: false,
        development: false,
    },
    ContextFacts::Principal { subject_kind: "", subject_organisation: "", own: false, officers: 0 },
    ContextFacts::Key { kind: "", officers: 0 },
    ContextFacts::Freeze { scope: "", organisation: "", officers: 0 },
    ContextFacts::Profile { family: "", stored_value: false, officers: 0 },
    ContextFacts::Site { officers: 0 },
];

impl Action {
    /// Looks up what `uid` is about and which context it takes.
    pub(crate) fn new(uid: &EntityUid, schema: &Schema) -> Result<Self, PolicyError> {
        let resources = schema.resources_for_action(uid).into_iter().flatten().cloned().collect();
        for sample in SAMPLES {
            if facts::context("", sample, QuorumFacts::NONE)?.validate(schema, uid).is_ok() {
                return Ok(Self { uid: uid.clone(), resources, shape: Shape::of(sample) });
            }
        }
        Err(damaged(format!("no question has the context of {uid}")))
    }

    /// The name it goes by in a question: `value.update`.
    pub(crate) fn name(&self) -> &str {
        self.uid.id().unescaped()
    }

    /// Refuses a question about another kind of resource or with another kind of context.
    pub(crate) fn fits(&self, resource: &EntityUid, context: ContextFacts<'_>) -> Result<(), PolicyError> {
        let misfit = |reason: String| PolicyError::Misfit { action: self.name().to_owned(), reason };
        if !self.resources.contains(resource.type_name()) {
            return Err(misfit(format!("it is not about the resource type {}", resource.type_name())));
        }
        if Shape::of(context) != self.shape {
            return Err(misfit("its context has another shape".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::ACTIONS;
    use crate::source;

    #[test]
    fn each_action_takes_one_shape_of_context_and_one_type_of_resource() {
        let schema = source::schema().unwrap();
        for uid in schema.actions() {
            let fits = |sample: &&ContextFacts<'_>| {
                facts::context("", **sample, QuorumFacts::NONE).unwrap().validate(&schema, uid).is_ok()
            };
            assert_eq!(SAMPLES.iter().filter(fits).count(), 1, "{uid}");
            assert_eq!(Action::new(uid, &schema).unwrap().resources.len(), 1, "{uid}");
        }
        assert_eq!(schema.actions().count(), ACTIONS.len());
    }

    #[test]
    fn an_action_the_schema_lacks_is_a_damaged_schema() {
        let unknown = r#"Action::"key.export""#.parse().unwrap();
        assert!(matches!(
            Action::new(&unknown, &source::schema().unwrap()),
            Err(PolicyError::Schema { reason }) if reason.contains("key.export")
        ));
    }
}
