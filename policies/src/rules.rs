//! The policies of both layers that can speak about one action.
//!
//! Cedar evaluates every policy of a set in every decision, at about a microsecond each, so the
//! policies are sorted by action once, at load. A policy is left out only where its scope names
//! other actions and could not apply; the decision is the same as over the whole set.

use cedar_policy::{ActionConstraint, Authorizer, Entities, EntityUid, Policy, PolicySet, Request, Response};

use crate::action::Action;
use crate::error::PolicyError;
use crate::question::{Denied, Verdict};
use crate::source::{self, REFUSAL, SAME_PERSON};

/// What both layers say about one action.
pub(crate) struct Rules {
    /// The action.
    pub(crate) action: Action,
    ceiling: PolicySet,
    site: PolicySet,
}

impl Rules {
    /// Those of `ceiling` and `site` that can speak about `action`.
    pub(crate) fn new(action: Action, ceiling: &[Policy], site: &[Policy]) -> Result<Self, PolicyError> {
        let about = |layer: &[Policy]| {
            source::together(layer.iter().filter(|policy| speaks_about(policy, &action.uid)))
        };
        let (ceiling, site) = (about(ceiling)?, about(site)?);
        Ok(Self { action, ceiling, site })
    }

    /// Allows only what both layers permit.
    pub(crate) fn judge(&self, request: &Request, entities: &Entities) -> Result<Verdict, PolicyError> {
        // The ceiling first, because what it denies needs no opinion of the site.
        for layer in [&self.ceiling, &self.site] {
            let response = Authorizer::new().is_authorized(request, layer, entities);
            if sound(&response)? == cedar_policy::Decision::Deny {
                return Ok(Verdict::Denied(denied(&response, layer)));
            }
        }
        Ok(Verdict::Allowed)
    }
}

/// What the caller of a denied request may be told. One forbid that says nothing makes the others silent:
/// with another person the request would be denied all the same.
fn denied(response: &Response, layer: &PolicySet) -> Denied {
    let mut forbids = response.diagnostics().reason().peekable();
    let says = |id| layer.annotation(id, REFUSAL) == Some(SAME_PERSON);
    if forbids.peek().is_some() && forbids.all(says) { Denied::SamePerson } else { Denied::Forbidden }
}

/// The decision, unless a policy failed: Cedar skips a failed one, which for a forbid would permit.
fn sound(response: &Response) -> Result<cedar_policy::Decision, PolicyError> {
    use cedar_policy::AuthorizationError::PolicyEvaluationError;
    match response.diagnostics().errors().next() {
        None => Ok(response.decision()),
        Some(PolicyEvaluationError(error)) => Err(PolicyError::Evaluation {
            policy: error.policy_id().to_string(),
            reason: error.inner().to_string(),
        }),
    }
}

// INVARIANT: the schema has no action groups (`source::schema` refuses them), so `in` is a list.
fn speaks_about(policy: &Policy, action: &EntityUid) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(named) => named == *action,
        ActionConstraint::In(named) => named.contains(action),
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::Validator;

    use super::*;
    use crate::source::Source;

    #[test]
    fn a_policy_counts_for_every_action_its_scope_can_match() {
        let scopes = [
            ("action", ["status", "key.get", "log.proof"].as_slice()),
            (r#"action == Action::"status""#, &["status"]),
            (r#"action in Action::"status""#, &["status"]),
            (r#"action in [Action::"status", Action::"log.proof"]"#, &["status", "log.proof"]),
        ];
        let validator = Validator::new(source::schema().unwrap());
        for (scope, actions) in scopes {
            let text = format!("permit (principal, {scope}, resource);");
            let policies = Source { name: "site.cedar".to_owned(), text }.policies(&validator).unwrap();
            for action in ["status", "key.get", "log.proof"] {
                let uid = format!("Action::\"{action}\"").parse().unwrap();
                assert_eq!(speaks_about(&policies[0], &uid), actions.contains(&action), "{scope} {action}");
            }
        }
    }

    #[test]
    fn two_policies_of_one_name_are_refused() {
        let schema = source::schema().unwrap();
        let action = Action::new(schema.actions().next().unwrap(), &schema).unwrap();
        let source = Source {
            name: "site.cedar".to_owned(),
            text: "permit (principal, action, resource);".to_owned(),
        };
        let policy = source.policies(&Validator::new(schema)).unwrap().remove(0);
        let refused = Rules::new(action, &[], &[policy.clone(), policy]).err();
        assert_eq!(refused, Some(PolicyError::Twice { policy: "site.cedar:1:1".to_owned() }));
    }
}
