//! One policy, ready to be asked.
//!
//! Cedar's authorizer puts a policy's condition together in every decision, evaluates its scope and its places in the
//! file with it, and tallies what nobody reads. Here that is done once, at load. The condition is Cedar's own expression
//! and Cedar's own evaluator says whether it holds; nothing of the language is done anew. What several policies come to
//! together is said in [`Tally`](crate::tally::Tally).

use std::error::Error;

use cedar_policy::{
    ActionConstraint, Effect, Entities, EntityUid, EvalResult, Expression, Policy, PolicyId,
    PrincipalConstraint, Request, ResourceConstraint, eval_expression, pst,
};

use crate::error::PolicyError;
use crate::source::{REFUSAL, SAME_PERSON};

/// A policy of one layer.
pub(crate) struct Rule {
    id: PolicyId,
    actions: ActionConstraint,
    condition: Expression,
    /// It permits, or forbids.
    pub(crate) effect: Effect,
    /// Its caller may be told that another person is needed.
    pub(crate) tells: bool,
    /// It may look at the circumstances. One that does not says the same of a principal and a resource whatever they are.
    pub(crate) is_circumstantial: bool,
}

impl Rule {
    /// What `policy` says.
    pub(crate) fn new(policy: &Policy) -> Result<Self, PolicyError> {
        Ok(Self {
            id: policy.id().clone(),
            actions: policy.action_constraint(),
            condition: condition(policy)?,
            effect: policy.effect(),
            tells: policy.annotation(REFUSAL) == Some(SAME_PERSON),
            // Nothing is read of the context without this word, and a keyword has one spelling. Where it stands in a text
            // or in a comment only, the policy is asked more often than it need be.
            is_circumstantial: policy.to_string().contains("context"),
        })
    }

    /// Whether its scope leaves it anything to say about `action`.
    // INVARIANT: the schema has no action groups (`source::schema` refuses them), so `in` is a list.
    pub(crate) fn speaks_about(&self, action: &EntityUid) -> bool {
        match &self.actions {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(named) => named == action,
            ActionConstraint::In(named) => named.contains(action),
        }
    }

    /// Whether it applies to `request`, which must be about an action that it speaks about.
    pub(crate) fn holds(&self, request: &Request, entities: &Entities) -> Result<bool, PolicyError> {
        match eval_expression(request, entities, &self.condition) {
            Ok(EvalResult::Bool(holds)) => Ok(holds),
            // The validator has refused such a policy.
            Ok(_) => Err(failed(&self.id, "it is neither true nor false")),
            Err(error) => Err(failed(&self.id, error)),
        }
    }
}

/// What must hold beside the action, as one expression. It comes by way of Cedar's syntax tree, which knows no places in a
/// file: the evaluator would hand them on with every value.
fn condition(policy: &Policy) -> Result<Expression, PolicyError> {
    let unusual = |error| failed(policy.id(), error);
    let mut body = match policy.to_pst().map_err(unusual)? {
        pst::Policy::Static(policy) => policy.body().clone(),
        pst::Policy::Linked(_) => return Err(failed(policy.id(), "it was made from a template")),
    };
    // `speaks_about` answers for it, before the policy is asked.
    body.action = pst::ActionConstraint::Any;
    let body = body.try_into().map_err(|error| failed(policy.id(), error))?;
    let bare = Policy::from_pst(pst::Policy::Static(body)).map_err(unusual)?;
    let anybody = bare.principal_constraint() == PrincipalConstraint::Any
        && bare.resource_constraint() == ResourceConstraint::Any;
    Ok(match bare.as_ref().non_scope_constraints() {
        Some(condition) if anybody => condition.clone().into(),
        None if anybody => Expression::new_bool(true),
        _ => bare.as_ref().condition().into(),
    })
}

fn failed(policy: &PolicyId, reason: impl Into<Box<dyn Error>>) -> PolicyError {
    PolicyError::Evaluation { policy: policy.to_string(), reason: reason.into().to_string() }
}

#[cfg(test)]
mod tests {
    use cedar_policy::Validator;

    use super::*;
    use crate::source::{self, Source};

    fn rule(text: &str) -> Rule {
        let validator = Validator::new(source::schema().unwrap());
        let source = Source { name: "site.cedar".to_owned(), text: text.to_owned() };
        Rule::new(&source.policies(&validator).unwrap()[0]).unwrap()
    }

    #[test]
    fn a_policy_counts_for_every_action_its_scope_can_match() {
        let scopes = [
            ("action", ["status", "key.get", "log.proof"].as_slice()),
            (r#"action == Action::"status""#, &["status"]),
            (r#"action in Action::"status""#, &["status"]),
            (r#"action in [Action::"status", Action::"log.proof"]"#, &["status", "log.proof"]),
        ];
        for (scope, actions) in scopes {
            let rule = rule(&format!("permit (principal, {scope}, resource);"));
            for action in ["status", "key.get", "log.proof"] {
                let uid = format!("Action::\"{action}\"").parse().unwrap();
                assert_eq!(rule.speaks_about(&uid), actions.contains(&action), "{scope} {action}");
            }
        }
    }

    #[test]
    fn a_policy_that_may_look_at_the_circumstances_is_known_however_it_is_written() {
        for (body, looks) in [
            ("", false),
            ("when { principal.kind == \"officer\" }", false),
            ("unless { resource == Service::\"keysvc\" }", false),
            ("when { context.persons >= 2 }", true),
            ("when { context[\"persons\"] >= 2 }", true),
            ("when { context[\"per\\u{73}ons\"] >= 2 }", true),
            ("when { principal.kind == \"officer\" } unless { context.own }", true),
            ("when { principal.kind == \"context\" }", true),
            ("when { [context].contains(context) && principal.kind == \"officer\" }", true),
        ] {
            let text =
                format!("permit (principal, action == Action::\"principal.rotate\", resource) {body};");
            assert_eq!(rule(&text).is_circumstantial, looks, "{body}");
        }
    }

    #[test]
    fn a_scope_that_names_somebody_stays_in_the_condition() {
        for (scope, more) in [("principal", false), ("principal == Principal::\"anna\"", true)] {
            let rule = rule(&format!(
                "permit ({scope}, action, resource) when {{ principal.kind == \"officer\" }};"
            ));
            assert_eq!(rule.condition.as_ref().to_string().contains("anna"), more);
        }
    }
}
