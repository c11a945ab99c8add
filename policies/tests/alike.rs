//! The policies are sorted at load, and what stands between a principal and a resource is kept. Neither changes what is
//! decided: Cedar itself, asked naively, says the same to questions made by chance, for every action.

#[path = "alike/chance.rs"]
mod chance;
#[path = "alike/naive.rs"]
mod naive;

use chance::{Chance, Lists};
use keysvc_policies::{DEFAULT_SITE, DEFAULT_SITE_NAME, PolicyError, PolicySet, Verdict};
use naive::Naive;

/// Questions about each action, under each site.
const QUESTIONS: usize = 40;

/// A site that permits everything, and forbids in every way a policy can be written.
const ODD: &str = r#"
permit (principal, action, resource);
forbid (principal == Principal::"dora", action, resource);
forbid (principal, action, resource == Job::"week-47") when { principal.department == "sales" };
forbid (principal is Principal, action, resource is Programme)
when { resource.currency + 9223372036854774900 < 0 };
forbid (principal, action == Action::"value.update", resource) when { context["am\u{6f}unt"] + 1 < 0 };
@refusal("same_person")
forbid (principal, action in [Action::"value.update", Action::"job.close"], resource)
when { context.departments.contains(principal.department) } unless { principal.department == "" };
@refusal("same_person")
forbid (principal, action == Action::"value.update", resource) when { principal.organisation == "" };
// A comment on the context alone.
forbid (principal, action in [Action::"status", Action::"key.list"], resource)
when { principal.capabilities.contains("context") || principal.organisation like "glo*" };
forbid (principal, action == Action::"freeze.set", resource)
when { [context].contains(context) && context has scope && context.scope == "all" };
"#;

/// A site whose every policy fails on somebody: one on principal and resource, one on the circumstances.
const FAILING: &str = r#"
permit (principal, action, resource) when { principal.kind != "auditor" };
forbid (principal, action == Action::"value.update", resource)
when { resource.currency + 9223372036854774900 < 0 };
forbid (principal, action == Action::"value.update", resource) when { context.amount + 1 < 0 };
forbid (principal, action in [Action::"card.derive", Action::"card.transition"], resource)
when { context.cards * 9223372036854775807 < 0 };
forbid (
    principal,
    action in [Action::"freeze.set", Action::"key.suspend", Action::"key.compromise", Action::"principal.disable"],
    resource
)
when { context.officers * 9223372036854775807 < 0 };
"#;

#[test]
fn cedar_asked_naively_decides_the_same_for_every_action() {
    let mut chance = Chance::new();
    let lists = Lists::new(&mut chance);
    let (mut allowed, mut denied, mut same_person, mut failed) = (0, 0, 0, 0);
    for site in [DEFAULT_SITE, ODD, FAILING, "permit (principal, action, resource);"] {
        let naive = Naive::new(site);
        let sorted = PolicySet::from_files(&[(DEFAULT_SITE_NAME, site)]).unwrap();
        for action in naive.actions() {
            for _ in 0..QUESTIONS {
                let question = chance.question(&action, &lists);
                let expected = naive.judge(&question);
                // Twice: the second time something is kept.
                for _ in 0..2 {
                    let said = sorted.judge(&question);
                    match (&said, expected) {
                        (Ok(said), Some(expected)) => assert_eq!(*said, expected, "{question:?}"),
                        (Err(PolicyError::Evaluation { .. }), None) => {}
                        _ => panic!("{said:?} instead of {expected:?}: {question:?}"),
                    }
                }
                match expected {
                    Some(Verdict::Allowed) => allowed += 1,
                    Some(Verdict::Denied(keysvc_policies::Denied::Forbidden)) => denied += 1,
                    Some(Verdict::Denied(keysvc_policies::Denied::SamePerson)) => same_person += 1,
                    None => failed += 1,
                }
            }
        }
    }
    // Chance has met every outcome, or it has tried too little.
    let met = [allowed, denied, same_person, failed];
    assert!(met.iter().all(|count| *count >= 4), "{met:?}");
}
