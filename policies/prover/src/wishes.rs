//! How a counterexample should look so that a person understands it.
//!
//! The solver's first answer breaks the theorem with whatever values it likes: an amount of nineteen
//! digits, an officer without a name. So it is asked again with wishes, each a Cedar condition and
//! granted only if the request still breaks the theorem. What can be plain is plain, and what is left
//! odd matters: a name, a capability or a count that is not as wished for is part of the hole.

use crate::facts::{Facts, KEY_KINDS, KINDS, SCOPES};
use crate::job;

/// Names nobody has. Where a wish for one is granted the name does not matter.
pub(crate) const ANYONE: &str = "(anyone)";
/// As [`ANYONE`], for an organisation.
pub(crate) const ANY_ORGANISATION: &str = "(any organisation)";
/// As [`ANYONE`], for a department.
pub(crate) const ANY_DEPARTMENT: &str = "(any department)";
/// A second department nobody is of.
pub(crate) const ANOTHER_DEPARTMENT: &str = "(another department)";
/// As [`ANYONE`], for a programme.
pub(crate) const ANY_PROGRAMME: &str = "(any programme)";
/// The currency of amounts, where it does not matter: euro in ISO 4217.
pub(crate) const ANY_CURRENCY: i64 = 978;
/// The officers on the roster, where their number does not matter.
pub(crate) const ANY_OFFICERS: i64 = 3;
/// A card family, where it does not matter.
pub(crate) const ANY_FAMILY: &str = "desfire-ev3";

/// A card profile, where it does not matter.
pub(crate) const ANY_PROFILE: &str = "(any profile)";
/// The first generation after the first.
pub(crate) const ANY_GENERATION: i64 = 2;

/// Conditions of which the first that can be granted is.
pub(crate) type Wish = Vec<String>;

/// The wishes for a request with these facts, the most telling first. `load_max` is the limit of loads
/// in minor units.
pub(crate) fn for_request(facts: Facts<'_>, load_max: u64) -> Vec<Wish> {
    let mut wishes = vec![kind(facts.action())];
    wishes.extend(quorum(facts));
    wishes.extend(subject(facts));
    wishes.extend(principal(facts));
    wishes.extend(job::wishes(facts));
    wishes.extend(resource(facts, load_max));
    wishes.extend(circumstances(facts));
    wishes
}

/// The wishes that leave one member in each set of names, once the rest is granted.
pub(crate) fn for_sets(facts: Facts<'_>) -> Vec<Wish> {
    let sets = [
        ("context.departments", facts.departments().unwrap_or_default()),
        ("principal.capabilities", facts.capabilities()),
    ];
    let wish = |(set, members): (&str, Vec<String>)| -> Wish {
        members.iter().map(|member| format!("{set} == [{member:?}]")).collect()
    };
    sets.into_iter().filter(|(_, members)| members.len() > 1).map(wish).collect()
}

fn one(condition: String) -> Wish {
    vec![condition]
}

fn kind(action: &str) -> Wish {
    let usual = match action {
        crate::claim::UPDATE => "terminal",
        "card.derive" | "job.open" | "job.resume" | "job.count" | "job.incident" | "job.close" => "station",
        "job.seal" | "job.suspend" | "job.record" => "operator",
        _ => "officer",
    };
    let others = KINDS.into_iter().filter(|kind| *kind != usual);
    [usual].into_iter().chain(others).map(|kind| format!("principal.kind == \"{kind}\"")).collect()
}

/// Nobody is the plainest quorum, then one person of one department.
fn quorum(facts: Facts<'_>) -> Option<Wish> {
    facts.number("persons")?;
    let one = "context.persons == 1 && context.departments_count == 1";
    let mut wishes = vec![
        "context.persons == 0 && context.departments_count == 0 && context.departments.isEmpty()".to_owned(),
        format!("{one} && context.departments == [\"{ANY_DEPARTMENT}\"]"),
        format!("{one} && !context.departments.isEmpty()"),
        // No quorum at all, but one that a person can imagine.
        format!(
            "context.persons == 1 && context.departments_count == 2 \
             && context.departments == [\"{ANY_DEPARTMENT}\"]"
        ),
        "context.persons == 1".to_owned(),
        "context.persons == 0".to_owned(),
    ];
    // A separation is about who they are, and may be broken however many agree.
    wishes.extend([2, 3].map(|persons| {
        format!(
            "context.persons == {persons} && context.departments_count == 2 \
             && context.departments == [\"{ANY_DEPARTMENT}\", \"{ANOTHER_DEPARTMENT}\"]"
        )
    }));
    wishes.push("context.persons > 1 && context.persons < 256 && context.departments_count >= 0".to_owned());
    Some(wishes)
}

fn subject(facts: Facts<'_>) -> Vec<Wish> {
    if facts.flag("own").is_none() {
        return Vec::new();
    }
    // Nobody enrols or enables themselves, but new keys one gets for oneself.
    let own = if facts.action() == "principal.rotate" {
        vec!["context.own && context.subject_kind == principal.kind".to_owned(), "!context.own".to_owned()]
    } else {
        one("!context.own".to_owned())
    };
    let kinds = KINDS.iter().map(|kind| format!("context.subject_kind == \"{kind}\"")).collect();
    vec![own, kinds, one(format!("context.subject_organisation == \"{ANY_ORGANISATION}\""))]
}

fn principal(facts: Facts<'_>) -> [Wish; 4] {
    let anyone = format!("principal == Principal::\"{ANYONE}\"");
    // Cedar cannot say that the caller is the principal, so each name found is tried for both.
    let named = match facts.text("caller") {
        None => one(anyone),
        Some(caller) => [ANYONE, facts.principal_name(), &caller]
            .iter()
            .map(|name| format!("principal == Principal::{name:?} && context.caller == {name:?}"))
            .chain([anyone])
            .collect(),
    };
    [
        named,
        one(format!("principal.organisation == \"{ANY_ORGANISATION}\"")),
        one(format!("principal.department == \"{ANY_DEPARTMENT}\"")),
        one("principal.capabilities.isEmpty()".to_owned()),
    ]
}

fn resource(facts: Facts<'_>, load_max: u64) -> Vec<Wish> {
    if facts.is_about("Profile") {
        return vec![
            one(format!("resource == Profile::\"{ANY_PROFILE}\"")),
            one(format!("resource.name == \"{ANY_PROFILE}\"")),
        ];
    }
    if facts.is_about("Job") {
        return job::wishes_of_resource();
    }
    if facts.resource_organisation().is_none() {
        return vec![one("resource == Service::\"keysvc\"".to_owned())];
    }
    vec![
        one(format!("resource == Programme::\"{ANY_PROGRAMME}\"")),
        vec![
            "resource.organisation == principal.organisation".to_owned(),
            format!("resource.organisation == \"{ANY_ORGANISATION}\""),
        ],
        vec![
            format!("resource.currency == {ANY_CURRENCY}"),
            "resource.currency > 0 && resource.currency < 1000".to_owned(),
        ],
        // The smallest large load, else one of less than ten million in a currency with two decimals.
        vec![
            format!("context.amount == {}", load_max.saturating_add(1)),
            "context.amount < 1000000000".to_owned(),
        ],
    ]
}

fn circumstances(facts: Facts<'_>) -> Vec<Wish> {
    let mut wishes = Vec::new();
    let mut wish = |is_known: bool, conditions: Wish| {
        if is_known {
            wishes.push(conditions);
        }
    };
    let among = |name: &str, values: &[&str]| -> Wish {
        values.iter().map(|value| format!("context.{name} == \"{value}\"")).collect()
    };
    wish(
        facts.number("officers").is_some(),
        vec![
            format!("context.officers == {ANY_OFFICERS}"),
            "context.officers == 2".to_owned(),
            "context.officers == 1".to_owned(),
            "context.officers >= 0 && context.officers < 100".to_owned(),
        ],
    );
    wish(facts.text("key_kind").is_some(), among("key_kind", &KEY_KINDS));
    wish(facts.text("scope").is_some(), among("scope", &SCOPES));
    wish(
        facts.text("organisation").is_some(),
        vec![
            "context.organisation == \"\"".to_owned(),
            "context.organisation == principal.organisation".to_owned(),
        ],
    );
    wish(facts.text("family").is_some(), among("family", &[ANY_FAMILY]));
    wish(facts.flag("stored_value").is_some(), one("context.stored_value".to_owned()));
    wish(
        facts.number("generation").is_some(),
        vec![
            format!("context.generation == {ANY_GENERATION}"),
            "context.generation > 1 && context.generation < 1000".to_owned(),
        ],
    );
    for (number, least) in [("cards", 1), ("slots", 1)] {
        let plain = format!("context.{number} == {least}");
        let few = format!("context.{number} > 0 && context.{number} < 100000");
        wish(facts.number(number).is_some(), vec![plain, few]);
    }
    for flag in ["no_card_session", "passive_tag", "development"] {
        wish(facts.flag(flag).is_some(), one(format!("!context.{flag}")));
    }
    wishes
}
