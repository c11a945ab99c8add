//! What would be enough, as the shipped policies and as sites of several kinds say it.

use std::fs;

use keysvc_policies::{
    ContextFacts, Decision, JobFacts, PolicyError, PolicyNeed, PolicySet, PrincipalFacts, Question,
    QuorumFacts, ResourceFacts, Voter,
};

const NONE: ContextFacts<'_> = ContextFacts::None;

const OFFICERS: [&str; 4] = ["finance", "finance", "sales", "security"];

fn site(text: &str) -> PolicySet {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("site.cedar"), text).unwrap();
    PolicySet::load(folder.path()).unwrap()
}

/// A site that permits everything, loads only `when`.
fn loads(when: &str) -> PolicySet {
    site(&format!(
        r#"permit (principal, action, resource);
           forbid (principal, action == Action::"value.update", resource) unless {{ {when} }};"#
    ))
}

fn question(kind: &'static str, action: &'static str, context: ContextFacts<'static>) -> Question<'static> {
    let principal = PrincipalFacts {
        id: "someone",
        kind,
        organisation: "acme",
        department: "security",
        capabilities: &[],
    };
    Question { principal, action, resource: ResourceFacts::Service, context, quorum: QuorumFacts::NONE }
}

fn load(amount: u64) -> Question<'static> {
    let context = ContextFacts::ValueUpdate {
        operation: "load",
        amount,
        no_card_session: false,
        passive_tag: false,
        development: false,
    };
    let resource = ResourceFacts::Programme { name: "gift-eu", organisation: "acme", currency: 978 };
    Question { resource, ..question("terminal", "value.update", context) }
}

fn need(policies: &PolicySet, question: &Question<'_>, officers: &[&str]) -> Option<PolicyNeed> {
    let voters: Vec<_> = officers.iter().map(|&department| Voter { department }).collect();
    policies.need(question, &voters).unwrap()
}

fn expected(persons: u8, departments: u8, named: &[&str]) -> PolicyNeed {
    let named = named.iter().map(|&name| name.to_owned()).collect();
    PolicyNeed { persons, departments, named }
}

/// The decision once these people agreed.
fn with(policies: &PolicySet, question: &Question<'_>, people: &[&str]) -> Decision {
    let departments: Vec<_> = people.iter().map(|&name| name.to_owned()).collect();
    let quorum = QuorumFacts { persons: u8::try_from(people.len()).unwrap(), departments: &departments };
    policies.decide(&Question { quorum, ..*question }).unwrap()
}

#[test]
fn a_large_load_takes_two_people_of_two_departments_as_shipped() {
    let shipped = PolicySet::shipped().unwrap();
    assert_eq!(shipped.decide(&load(100_000)), Ok(Decision::Allow));
    assert_eq!(shipped.decide(&load(100_001)), Ok(Decision::Deny));
    assert_eq!(need(&shipped, &load(100_001), &OFFICERS), Some(expected(2, 2, &[])));
    assert_eq!(with(&shipped, &load(100_001), &["finance", "sales"]), Decision::Allow);
    assert_eq!(with(&shipped, &load(100_001), &["finance", "finance"]), Decision::Deny);
}

#[test]
fn a_large_load_is_hopeless_where_all_officers_are_of_one_department() {
    let shipped = PolicySet::shipped().unwrap();
    assert_eq!(need(&shipped, &load(100_001), &["finance", "finance", "finance"]), None);
}

#[test]
fn named_departments_are_named() {
    let both = loads(r#"context.departments.containsAll(["finance", "sales"])"#);
    assert_eq!(need(&both, &load(1), &OFFICERS), Some(expected(2, 2, &["finance", "sales"])));
    let finance = loads(r#"context.departments.contains("finance") && context.departments_count >= 2"#);
    assert_eq!(need(&finance, &load(1), &OFFICERS), Some(expected(2, 2, &["finance"])));
    assert_eq!(need(&finance, &load(1), &["sales", "security", "security"]), None);
}

#[test]
fn three_people_of_three_departments_can_be_asked_for() {
    let three = loads("context.persons >= 3 && context.departments_count >= 3");
    let officers = [OFFICERS.as_slice(), &["production"]].concat();
    assert_eq!(need(&three, &load(1), &officers), Some(expected(3, 3, &[])));
    assert_eq!(need(&three, &load(1), &["finance", "finance", "sales"]), None);
}

#[test]
fn of_two_alternatives_one_is_named_and_it_is_enough() {
    let either = loads(r#"context.persons >= 2 && context.departments.containsAny(["sales", "security"])"#);
    let officers = ["finance", "finance", "sales", "sales", "security"];
    assert_eq!(need(&either, &load(1), &officers), Some(expected(2, 1, &["sales"])));
    assert_eq!(with(&either, &load(1), &["finance", "sales"]), Decision::Allow);
    assert_eq!(with(&either, &load(1), &["finance", "security"]), Decision::Allow);
    assert_eq!(with(&either, &load(1), &["finance", "finance"]), Decision::Deny);
}

#[test]
fn a_policy_that_prefers_few_people_is_answered_for_all_of_them_alone() {
    let exactly_two = loads("context.persons == 2");
    assert_eq!(need(&exactly_two, &load(1), &OFFICERS), None);
    assert_eq!(need(&exactly_two, &load(1), &["finance", "sales"]), Some(expected(2, 1, &[])));

    // Nobody else may agree: no need says so, and the real quorum is judged again.
    let alone = loads(r#"context.departments == ["finance"] || context.persons >= 4"#);
    assert_eq!(need(&alone, &load(1), &OFFICERS), Some(expected(2, 1, &["finance"])));
    assert_eq!(with(&alone, &load(1), &["finance", "finance"]), Decision::Allow);
    assert_eq!(with(&alone, &load(1), &["finance", "sales"]), Decision::Deny);
}

#[test]
fn what_no_quorum_changes_is_hopeless() {
    let shipped = PolicySet::shipped().unwrap();
    let lift = ContextFacts::Freeze { scope: "terminal", organisation: "acme", officers: 3 };
    let storage = ContextFacts::Key { kind: "storage", officers: 3 };
    for question in [
        question("office", "freeze.lift", lift),
        question("officer", "key.create", storage),
        question("terminal", "evidence.get", ContextFacts::None),
        question("officer", "key.export", ContextFacts::None),
    ] {
        assert_eq!(need(&shipped, &question, &OFFICERS), None, "{question:?}");
    }
    let foreign = ResourceFacts::Programme { name: "gift-us", organisation: "globex", currency: 840 };
    assert_eq!(need(&shipped, &Question { resource: foreign, ..load(1) }, &OFFICERS), None);
}

#[test]
fn the_larger_quorum_is_three_people_or_both_of_two_officers() {
    let shipped = PolicySet::shipped().unwrap();
    let destroy =
        |officers| question("officer", "key.destroy", ContextFacts::Key { kind: "card-master", officers });
    assert_eq!(need(&shipped, &destroy(4), &OFFICERS), Some(expected(3, 1, &[])));
    assert_eq!(need(&shipped, &destroy(2), &["finance", "security"]), Some(expected(2, 1, &[])));
    // A third officer who is disabled is still one: two cannot do without them.
    assert_eq!(need(&shipped, &destroy(3), &["finance", "security"]), None);
}

#[test]
fn what_a_site_asks_beyond_the_floor_is_asked_for() {
    let strict = site(
        r#"permit (principal, action, resource);
           forbid (principal, action == Action::"freeze.lift", resource)
           unless { context.persons >= 3 && context.departments.contains("security") };"#,
    );
    let lift = ContextFacts::Freeze { scope: "all", organisation: "", officers: 4 };
    let question = question("officer", "freeze.lift", lift);
    assert_eq!(need(&strict, &question, &OFFICERS), Some(expected(3, 1, &["security"])));
}

#[test]
fn a_station_can_be_made_to_wait_for_people() {
    let ceremony = site(
        r#"permit (principal, action, resource);
           forbid (principal, action in [Action::"job.open", Action::"card.derive"], resource)
           unless { context.persons >= 2 };"#,
    );
    let operators = ["olga", "otto"].map(str::to_owned);
    let job = JobFacts {
        created_by: "dora",
        sealed_by: "dan",
        operated_by: &[],
        reviewed_by: &[],
        operators: &operators,
        reviewer: "",
        witness: "",
    };
    let resource = ResourceFacts::Job { name: "week-47", customer: "acme", profile: "fob" };
    let open =
        Question { context: ContextFacts::Job(job), resource, ..question("station", "job.open", NONE) };
    assert_eq!(ceremony.decide(&open), Ok(Decision::Deny));
    assert_eq!(need(&ceremony, &open, &OFFICERS), Some(expected(2, 1, &[])));
    // What one person may not do, no number of officers may.
    let mine = JobFacts { sealed_by: "otto", ..job };
    assert_eq!(need(&ceremony, &Question { context: ContextFacts::Job(mine), ..open }, &OFFICERS), None);
    let context = ContextFacts::CardDerive { cards: 1, slots: 1, generation: 1, development: false };
    let resource = ResourceFacts::Profile { name: "fob" };
    let derive = Question { resource, ..question("station", "card.derive", context) };
    assert_eq!(need(&ceremony, &derive, &OFFICERS), Some(expected(2, 1, &[])));
}

#[test]
fn another_generation_of_a_cards_keys_takes_two_people_as_shipped() {
    let shipped = PolicySet::shipped().unwrap();
    for (generation, expected) in [(1, Decision::Allow), (2, Decision::Deny)] {
        let context = ContextFacts::CardDerive { cards: 1, slots: 1, generation, development: false };
        let resource = ResourceFacts::Profile { name: "fob" };
        let derive = Question { resource, ..question("station", "card.derive", context) };
        assert_eq!(shipped.decide(&derive), Ok(expected));
        if expected == Decision::Deny {
            assert_eq!(need(&shipped, &derive, &OFFICERS), Some(self::expected(2, 1, &[])));
        }
    }
}

#[test]
fn the_quorum_in_the_question_does_not_count() {
    let shipped = PolicySet::shipped().unwrap();
    let departments = ["finance".to_owned(), "sales".to_owned()];
    let quorum = QuorumFacts { persons: 9, departments: &departments };
    let asked = Question { quorum, ..load(100_001) };
    assert_eq!(need(&shipped, &asked, &OFFICERS), Some(expected(2, 2, &[])));
    assert_eq!(need(&shipped, &asked, &["finance"]), None);
}

#[test]
fn a_question_that_does_not_fit_its_action_is_an_error() {
    let shipped = PolicySet::shipped().unwrap();
    let question = question("officer", "freeze.lift", ContextFacts::Site { officers: 3 });
    let voters = [Voter { department: "finance" }; 2];
    assert!(matches!(shipped.need(&question, &voters), Err(PolicyError::Misfit { .. })));
}
