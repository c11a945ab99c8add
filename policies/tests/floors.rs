//! No site lets an act that has a floor pass with fewer people: tried over every kind that can be
//! enrolled, every context and every small number of people, under sites that permit everything.

use std::fs;

use keysvc_policies::{
    ContextFacts, Decision, PolicySet, PrincipalFacts, Question, QuorumFacts, ResourceFacts, Voter,
};

const KINDS: [&str; 7] = ["station", "terminal", "officer", "operator", "office", "auditor", "platform"];

const PRINCIPAL_ACTS: [&str; 4] =
    ["principal.enrol", "principal.rotate", "principal.disable", "principal.enable"];

const KEY_ACTS: [&str; 7] = [
    "key.create",
    "key.activate",
    "key.suspend",
    "key.retire",
    "key.compromise",
    "key.destroy",
    "key.import",
];

const SITE_ACTS: [&str; 3] = ["quorum.set", "clock.confirm", "policy.propose"];

/// Each family of cards, and whether it may hold value.
const FAMILIES: [(&str, bool); 9] = [
    ("mifare-classic", false),
    ("ultralight-c", false),
    ("ultralight-aes", true),
    ("ntag-21x", false),
    ("ntag-424-dna", true),
    ("plus-ev2", true),
    ("desfire-light", true),
    ("desfire-ev2", true),
    ("desfire-ev3", true),
];

const KEY_KINDS: [&str; 6] =
    ["card-master", "value-signing", "service-statement", "checkpoint", "storage", "transport"];

const SCOPES: [&str; 9] =
    ["card", "job", "terminal", "station", "programme", "store", "profile", "key", "all"];

/// The fewest people an act takes; 0 where one officer alone does it.
fn floor(action: &str, context: ContextFacts<'_>) -> u8 {
    let larger = |officers| if officers == 2 { 2 } else { 3 };
    match (action, context) {
        (
            "principal.enrol" | "principal.rotate",
            ContextFacts::Principal { subject_kind: "officer", officers, .. },
        )
        | ("key.destroy" | "key.import", ContextFacts::Key { officers, .. })
        | ("quorum.set" | "policy.propose", ContextFacts::Site { officers }) => larger(officers),
        ("principal.disable" | "key.suspend" | "key.compromise" | "freeze.set", _) => 0,
        _ => 2,
    }
}

/// Every act that changes who, which keys and what is stopped, in every context it can have.
fn acts() -> Vec<(&'static str, ContextFacts<'static>)> {
    let mut acts = Vec::new();
    for officers in 0..=5 {
        for subject_kind in KINDS {
            for own in [false, true] {
                let subject_organisation = "acme";
                let context = ContextFacts::Principal { subject_kind, subject_organisation, own, officers };
                acts.extend(PRINCIPAL_ACTS.map(|action| (action, context)));
            }
        }
        for kind in KEY_KINDS {
            acts.extend(KEY_ACTS.map(|action| (action, ContextFacts::Key { kind, officers })));
        }
        for scope in SCOPES {
            for organisation in ["acme", "globex", ""] {
                let context = ContextFacts::Freeze { scope, organisation, officers };
                acts.extend(["freeze.set", "freeze.lift"].map(|action| (action, context)));
            }
        }
        for (family, _) in FAMILIES {
            for stored_value in [false, true] {
                acts.push(("profile.put", ContextFacts::Profile { family, stored_value, officers }));
            }
        }
        acts.extend(SITE_ACTS.map(|action| (action, ContextFacts::Site { officers })));
    }
    acts
}

fn question(
    kind: &'static str,
    (action, context): (&'static str, ContextFacts<'static>),
) -> Question<'static> {
    let principal = PrincipalFacts {
        id: "someone",
        kind,
        organisation: "acme",
        department: "security",
        capabilities: &[],
    };
    Question { principal, action, resource: ResourceFacts::Service, context, quorum: QuorumFacts::NONE }
}

fn site(text: &str) -> PolicySet {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("site.cedar"), text).unwrap();
    PolicySet::load(folder.path()).unwrap()
}

/// Sites that permit everything; none can permit more.
fn sites() -> [PolicySet; 2] {
    let by_kind = "permit (principal, action, resource) when { principal.kind != \"nobody\" };";
    [site("permit (principal, action, resource);"), site(by_kind)]
}

#[test]
fn no_site_lets_an_act_pass_with_fewer_people_than_its_floor() {
    let departments = ["finance", "sales", "security"].map(str::to_owned);
    let mut denied = 0;
    for site in sites() {
        for kind in KINDS {
            for act in acts() {
                for persons in 0..floor(act.0, act.1) {
                    let all = usize::from(persons).min(departments.len());
                    for departments in [&departments[..0], &departments[..all]] {
                        let quorum = QuorumFacts { persons, departments };
                        let question = Question { quorum, ..question(kind, act) };
                        assert_eq!(site.decide(&question), Ok(Decision::Deny), "{question:?}");
                        denied += 1;
                    }
                }
            }
        }
    }
    assert!(denied > 10_000, "{denied}");
}

#[test]
fn an_officer_with_as_many_people_as_the_floor_is_let_through() {
    let [site, _] = sites();
    for act in acts() {
        let possible = match act {
            ("principal.rotate", ContextFacts::Principal { own, .. }) => own,
            ("key.create" | "key.destroy", ContextFacts::Key { kind, .. }) => {
                matches!(kind, "card-master" | "value-signing")
            }
            ("key.import", ContextFacts::Key { kind, .. }) => kind == "card-master",
            ("profile.put", ContextFacts::Profile { family, stored_value, .. }) => {
                !stored_value || FAMILIES.contains(&(family, true))
            }
            _ => true,
        };
        let quorum = QuorumFacts { persons: floor(act.0, act.1), departments: &[] };
        let expected = if possible { Decision::Allow } else { Decision::Deny };
        let question = Question { quorum, ..question("officer", act) };
        assert_eq!(site.decide(&question), Ok(expected), "{question:?}");
    }
}

#[test]
fn what_an_officer_is_told_to_bring_is_the_floor() {
    let [site, _] = sites();
    for act in acts().into_iter().filter(|act| floor(act.0, act.1) > 0) {
        let question = question("officer", act);
        let voters = [Voter { department: "security" }; 3];
        // Rotating another's keys, other kinds of keys and value on cards that can be copied are hopeless.
        let Some(need) = site.need(&question, &voters).unwrap() else {
            let hopeless = ["principal.rotate", "key.create", "key.destroy", "key.import", "profile.put"];
            assert!(hopeless.contains(&act.0), "{question:?}");
            continue;
        };
        assert_eq!(need.persons, floor(act.0, act.1), "{question:?}");
        assert_eq!((need.departments, need.named), (1, vec![]), "{question:?}");
    }
}
