//! A request that breaks a theorem, confirmed by Cedar and told in words.
//! Only this file makes one, so that nothing is shown that the policies do not permit.

use std::fmt;

use cedar_policy_symcc::Env;

use crate::claim::Claim;
use crate::error::ProverError;
use crate::facts::Facts;
use crate::site::{self, Site};
use crate::words;

/// A request that the site's policies permit and should not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counterexample {
    action: String,
    persons: Option<i64>,
    words: String,
    policies: Vec<String>,
    failing: Vec<String>,
    plausible: bool,
}

impl Counterexample {
    /// Confirms what the solver found: it is what the claim is about, and Cedar permits it.
    pub(crate) fn confirmed(claim: &Claim, site: &Site, found: &Env) -> Result<Self, ProverError> {
        let facts = Facts(found);
        let unconfirmed = || ProverError::Unconfirmed { about: claim.name.clone() };
        if facts.action() != claim.action || !site::meets(found, &claim.region)? {
            return Err(unconfirmed());
        }
        let permitted = site.permitted(found).ok_or_else(unconfirmed)?;
        Ok(Self {
            action: facts.action().to_owned(),
            persons: facts.number("persons"),
            words: words::sentence(facts),
            policies: permitted.by,
            failing: permitted.failing,
            plausible: facts.are_plausible(),
        })
    }

    /// The operation asked for: `freeze.lift`.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// How many people stand behind it; `None` where the operation does not count them.
    #[must_use]
    pub fn persons(&self) -> Option<i64> {
        self.persons
    }

    /// The request as a person would say it: `an officer could lift a freeze (scope "all") with
    /// nobody's approval`.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// The policies that permit it, each by its `@id` and place: `"officers" (site.cedar, line 3)`.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    /// The policies that fail on it. A forbid that fails forbids nothing.
    #[must_use]
    pub fn failing(&self) -> &[String] {
        &self.failing
    }

    /// Whether the keeper could put such a request. If not, it is still the policies' hole: they are not
    /// to rest on how carefully their facts are counted.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        self.plausible
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        write!(f, "; it is permitted by {}", self.policies.join(" and "))?;
        if !self.failing.is_empty() {
            write!(f, "; {} fails on it, and what fails forbids nothing", self.failing.join(" and "))?;
        }
        if !self.plausible {
            f.write_str("; the keeper puts no such request, but the policies must not rest on that")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::{Context, Entities, Request};
    use keysvc_policies::PolicySet;

    use super::*;
    use crate::claim::{LOAD_MAX_DEFAULT, all};

    const OPEN: &str = "@id(\"open\") permit (principal, action == Action::\"quorum.set\", resource);";

    fn site(text: &str) -> Site {
        Site::new(&PolicySet::from_files(&[("site.cedar", text)]).unwrap()).unwrap()
    }

    fn claim(name: &str) -> Claim {
        all(LOAD_MAX_DEFAULT).unwrap().into_iter().find(|claim| claim.name == name).unwrap()
    }

    /// An officer who sets the thresholds with so many people.
    fn found(persons: i64) -> Env {
        let context =
            format!(r#"{{"persons": {persons}, "departments": [], "departments_count": 0, "officers": 3}}"#);
        let entities = r#"[{
            "uid": {"type": "Principal", "id": "anna"},
            "attrs": {"kind": "officer", "organisation": "acme", "department": "it", "capabilities": []},
            "parents": []
        }]"#;
        let request = Request::new(
            "Principal::\"anna\"".parse().unwrap(),
            "Action::\"quorum.set\"".parse().unwrap(),
            "Service::\"keysvc\"".parse().unwrap(),
            Context::from_json_str(&context, None).unwrap(),
            None,
        );
        Env { request: request.unwrap(), entities: Entities::from_json_str(entities, None).unwrap() }
    }

    #[test]
    fn only_what_cedar_permits_and_the_claim_forbids_is_a_counterexample() {
        let claim_of = claim("two people: quorum.set");
        let open = site(OPEN);
        let confirmed = Counterexample::confirmed(&claim_of, &open, &found(0)).unwrap();
        assert_eq!(
            confirmed.to_string(),
            "the officer \"anna\" of organisation \"acme\" and of department \"it\" could change the thresholds \
             with nobody's approval; it is permitted by \"open\" (site.cedar, line 1)"
        );

        let closed = site(&OPEN.replace("permit", "forbid"));
        for (site, claim, persons) in
            [(&closed, &claim_of, 0), (&open, &claim_of, 2), (&open, &claim("two people: clock.confirm"), 0)]
        {
            let refused = Counterexample::confirmed(claim, site, &found(persons));
            assert!(matches!(refused, Err(ProverError::Unconfirmed { .. })), "{refused:?}");
        }
    }
}
