//! The policies of both layers that can speak about one action.
//!
//! Every policy costs time in every decision, so they are sorted once, at load: by action, and by whether they look at
//! the circumstances. A policy is left out only where its scope names other actions and could not apply; the decision is
//! the same as over the whole set.

use std::sync::Arc;

use cedar_policy::{Context, Entities, EntityUid, Policy, Request};

use crate::action::Action;
use crate::error::PolicyError;
use crate::facts::unusable;
use crate::question::Verdict;
use crate::rule::Rule;
use crate::source;
use crate::standing::Standing;
use crate::tally::Tally;

/// What both layers say about one action.
pub(crate) struct Rules {
    /// The action.
    pub(crate) action: Action,
    ceiling: Layer,
    site: Layer,
}

/// The policies of one layer about one action, in the order of their files.
struct Layer {
    /// Those that look at principal and resource alone.
    standing: Vec<Arc<Rule>>,
    /// Those that may look at the circumstances too.
    circumstantial: Vec<Arc<Rule>>,
}

/// What each of the `policies` of one layer says, whose ids must differ.
pub(crate) fn of(policies: &[Policy]) -> Result<Vec<Arc<Rule>>, PolicyError> {
    source::together(policies)?;
    policies.iter().map(|policy| Rule::new(policy).map(Arc::new)).collect()
}

impl Layer {
    fn new(action: &EntityUid, rules: &[Arc<Rule>]) -> Self {
        let about = rules.iter().filter(|rule| rule.speaks_about(action)).cloned();
        let (circumstantial, standing) = about.partition(|rule| rule.is_circumstantial);
        Self { standing, circumstantial }
    }
}

impl Rules {
    /// Those of `ceiling` and `site` that can speak about `action`.
    pub(crate) fn new(action: Action, ceiling: &[Arc<Rule>], site: &[Arc<Rule>]) -> Self {
        let (ceiling, site) = (Layer::new(&action.uid, ceiling), Layer::new(&action.uid, site));
        Self { action, ceiling, site }
    }

    /// What stands between these two, who are the `entities`, whatever the circumstances.
    pub(crate) fn standing(
        &self,
        principal: EntityUid,
        resource: EntityUid,
        entities: Entities,
    ) -> Result<Standing, PolicyError> {
        // The context is empty, for none of these policies looks at it.
        let request = self.request(&principal, &resource, Context::empty())?;
        let of = |layer: &Layer| Tally::default().with(&layer.standing, &request, &entities);
        let (ceiling, site) = (of(&self.ceiling), of(&self.site));
        Ok(Standing { principal, resource, entities, ceiling, site })
    }

    /// Allows only what both layers permit to those two in these circumstances.
    pub(crate) fn judge(&self, standing: &Standing, context: Context) -> Result<Verdict, PolicyError> {
        let request = self.request(&standing.principal, &standing.resource, context)?;
        // The ceiling first, because what it denies needs no opinion of the site.
        for (layer, so_far) in [(&self.ceiling, &standing.ceiling), (&self.site, &standing.site)] {
            let tally = so_far.clone()?.with(&layer.circumstantial, &request, &standing.entities)?;
            if let Verdict::Denied(denied) = tally.verdict() {
                return Ok(Verdict::Denied(denied));
            }
        }
        Ok(Verdict::Allowed)
    }

    fn request(
        &self,
        principal: &EntityUid,
        resource: &EntityUid,
        context: Context,
    ) -> Result<Request, PolicyError> {
        // Without the schema, because `Action::fits` has said what it would say.
        let action = self.action.uid.clone();
        Request::new(principal.clone(), action, resource.clone(), context, None).map_err(unusable)
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::Validator;

    use super::*;
    use crate::source::Source;

    #[test]
    fn two_policies_of_one_name_are_refused() {
        let source = Source {
            name: "site.cedar".to_owned(),
            text: "permit (principal, action, resource);".to_owned(),
        };
        let policy = source.policies(&Validator::new(source::schema().unwrap())).unwrap().remove(0);
        let refused = of(&[policy.clone(), policy]).err();
        assert_eq!(refused, Some(PolicyError::Twice { policy: "site.cedar:1:1".to_owned() }));
    }
}
