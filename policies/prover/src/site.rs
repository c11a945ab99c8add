//! The site's policies made ready for proofs: each with the name a person knows it by, and joined with
//! the conditions that narrow a question. It starts no solver and decides only what it is given whole.

use std::collections::BTreeMap;
use std::rc::Rc;

use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Decision, Effect, EntityUid, Policy, PolicyId,
    PolicySet, RequestEnv, Schema,
};
use cedar_policy_symcc::{CompiledPolicySet, Env};
use keysvc_policies::SCHEMA;

use crate::error::ProverError;
use crate::solver;

/// One site's policies without the ceiling.
#[derive(Debug)]
pub(crate) struct Site {
    schema: Rc<Schema>,
    policies: PolicySet,
    names: BTreeMap<PolicyId, String>,
}

/// Why Cedar permits a request.
#[derive(Debug)]
pub(crate) struct Permitted {
    /// The policies that permit it, sorted.
    pub(crate) by: Vec<String>,
    /// The policies that fail on it and so forbid nothing, sorted.
    pub(crate) failing: Vec<String>,
}

impl Site {
    /// Names and joins the policies of a set that was loaded, and so is valid.
    pub(crate) fn new(set: &keysvc_policies::PolicySet) -> Result<Self, ProverError> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| unusable(&error))?;
        let mut site = Self { schema: Rc::new(schema), policies: PolicySet::new(), names: BTreeMap::new() };
        for (file, text) in set.files() {
            let parsed: PolicySet = text.parse().map_err(|error| unusable(&error))?;
            for policy in parsed.policies() {
                site.add(file, text, policy)?;
            }
        }
        Ok(site)
    }

    fn add(&mut self, file: &str, text: &str, policy: &Policy) -> Result<(), ProverError> {
        let offset = if let Some(place) = policy.as_ref().loc() { place.start() } else { 0 };
        let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count().saturating_add(1);
        let name = match policy.annotation("id") {
            Some(id) if !id.is_empty() => format!("{id:?} ({file}, line {line})"),
            _ => format!("the policy of {file}, line {line}"),
        };
        // By bytes, because two policies may stand on one line.
        let id = PolicyId::new(format!("{file}:{offset}"));
        self.policies.add(policy.new_id(id.clone())).map_err(|error| unusable(&error))?;
        self.names.insert(id, name);
        Ok(())
    }

    /// Every request environment of `action`, in a fixed order.
    pub(crate) fn environments(&self, action: &'static str) -> Result<Vec<RequestEnv>, ProverError> {
        let mut found: Vec<_> =
            self.schema.request_envs().filter(|env| env.action().id().unescaped() == action).collect();
        found.sort_by_key(|env| (env.principal().to_string(), env.resource().to_string()));
        // A theorem about no request at all would hold and say nothing.
        if found.is_empty() { Err(ProverError::NoEnvironment { action }) } else { Ok(found) }
    }

    /// The same site with one of its permits and every forbid. What this one permits, the whole does;
    /// and what the whole permits, one of these does. Its formula is far smaller: among 250 permits the
    /// solver searches twenty seconds for a request, through one it finds one in some milliseconds.
    pub(crate) fn with_one_permit(&self, permit: &PolicyId) -> Result<Self, ProverError> {
        let kept = self.policies.policies().filter(|policy| is_forbid(policy) || policy.id() == permit);
        let policies = PolicySet::from_policies(kept.cloned()).map_err(|error| unusable(&error))?;
        Ok(Self { schema: Rc::clone(&self.schema), policies, names: self.names.clone() })
    }

    /// The permits that speak about `action`, in the order of files and lines.
    pub(crate) fn permits(&self, action: &EntityUid) -> Vec<PolicyId> {
        let spoken = |policy: &&Policy| !is_forbid(policy) && speaks_about(policy, action);
        self.policies.policies().filter(spoken).map(|policy| policy.id().clone()).collect()
    }

    /// The policies as a formula over the requests of `environment` that meet every condition.
    pub(crate) fn formula(
        &self,
        environment: &RequestEnv,
        conditions: &[&str],
        about: &str,
    ) -> Result<CompiledPolicySet, ProverError> {
        let mut narrowed = self.policies.clone();
        for (number, condition) in conditions.iter().enumerate() {
            let action = environment.action();
            let text = format!("forbid (principal, action == {action}, resource) unless {{ {condition} }};");
            // No file has a name with a blank at its beginning.
            let id = PolicyId::new(format!(" condition:{number}"));
            let policy = Policy::parse(Some(id), text).map_err(|error| unusable(&error))?;
            narrowed.add(policy).map_err(|error| unusable(&error))?;
        }
        CompiledPolicySet::compile(&narrowed, environment, &self.schema)
            .map_err(|error| solver::failed(about, &error))
    }

    /// Asks Cedar's own authoriser whether the policies permit a request, and which of them do.
    pub(crate) fn permitted(&self, found: &Env) -> Option<Permitted> {
        let response = Authorizer::new().is_authorized(&found.request, &self.policies, &found.entities);
        if response.decision() == Decision::Deny {
            return None;
        }
        let diagnostics = response.diagnostics();
        let failing = diagnostics.errors().map(|error| match error {
            AuthorizationError::PolicyEvaluationError(error) => error.policy_id(),
        });
        Some(Permitted { by: self.named(diagnostics.reason()), failing: self.named(failing) })
    }

    fn named<'a>(&self, ids: impl Iterator<Item = &'a PolicyId>) -> Vec<String> {
        let mut names: Vec<_> = ids.filter_map(|id| self.names.get(id)).cloned().collect();
        names.sort();
        names
    }
}

/// Whether a request meets a condition, by Cedar's own authoriser.
pub(crate) fn meets(found: &Env, condition: &str) -> Result<bool, ProverError> {
    let text = format!("permit (principal, action, resource) when {{ {condition} }};");
    let policy: PolicySet = text.parse().map_err(|error| unusable(&error))?;
    let response = Authorizer::new().is_authorized(&found.request, &policy, &found.entities);
    Ok(response.decision() == Decision::Allow)
}

fn is_forbid(policy: &Policy) -> bool {
    policy.effect() == Effect::Forbid
}

// INVARIANT: the schema has no action groups (a set of policies does not load otherwise), so `in` is a list.
fn speaks_about(policy: &Policy, action: &EntityUid) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(named) => named == *action,
        ActionConstraint::In(named) => named.contains(action),
    }
}

fn unusable(error: &impl ToString) -> ProverError {
    ProverError::Unusable { reason: error.to_string() }
}
