//! A counterexample as a sentence: who could do what, with how many people, under which circumstances.
//! What does not matter (see `wishes`) is left out, so that all that is said is part of the hole. Names
//! stand as a policy would write them, so that none does anything to a terminal.

use crate::facts::{Facts, KEY_KINDS, KINDS};
use crate::job;
use crate::wishes::{
    ANOTHER_DEPARTMENT, ANY_CURRENCY, ANY_DEPARTMENT, ANY_FAMILY, ANY_OFFICERS, ANY_ORGANISATION,
    ANY_PROFILE, ANY_PROGRAMME, ANYONE,
};

/// The whole sentence, without a full stop.
pub(crate) fn sentence(facts: Facts<'_>) -> String {
    [who(facts), " could ".to_owned(), what(facts), people(facts), circumstances(facts)].concat()
}

/// `an officer`, `the officer "anna"`, with what else of the caller matters.
fn who(facts: Facts<'_>) -> String {
    let kind = kind(&facts.of_principal("kind"));
    let who = match facts.principal_name() {
        ANYONE => with_article(&kind),
        name => format!("the {kind} {name:?}"),
    };
    let mut traits = Vec::new();
    let (organisation, department) = (facts.of_principal("organisation"), facts.of_principal("department"));
    if organisation != ANY_ORGANISATION {
        traits.push(format!("of organisation {organisation:?}"));
    }
    if department != ANY_DEPARTMENT {
        traits.push(format!("of department {department:?}"));
    }
    match quoted(&facts.capabilities()) {
        (0, _) => {}
        (1, names) => traits.push(format!("with the capability {names}")),
        (_, names) => traits.push(format!("with the capabilities {names}")),
    }
    if traits.is_empty() { who } else { format!("{who} {}", traits.join(" and ")) }
}

/// `lift a freeze (scope "all")`.
fn what(facts: Facts<'_>) -> String {
    let key = || key(&facts.text("key_kind").unwrap_or_default());
    match facts.action() {
        "principal.enrol" => format!("enrol {}", subject(facts)),
        "principal.rotate" if facts.flag("own") == Some(true) => "get new keys of their own".to_owned(),
        "principal.rotate" => format!("change the keys of {}", subject(facts)),
        "principal.enable" => format!("enable {} again", subject(facts)),
        "key.create" => format!("create {}", key()),
        "key.activate" => format!("activate {}", key()),
        "key.retire" => format!("retire {}", key()),
        "key.destroy" => format!("destroy {}", key()),
        "key.import" => format!("import {}", key()),
        "policy.propose" => "change the policies".to_owned(),
        "profile.put" => format!("put a card profile{}", profile(facts)),
        "freeze.lift" => format!("lift a freeze ({})", freeze(facts)),
        "quorum.set" => "change the thresholds".to_owned(),
        "clock.confirm" => "confirm the clock".to_owned(),
        "proposal.approve" => "approve a proposal".to_owned(),
        "proposal.reject" => "reject a proposal".to_owned(),
        crate::claim::UPDATE => load(facts),
        "card.derive" => derive(facts),
        other => job::what(facts).unwrap_or_else(|| format!("do {other}")),
    }
}

fn key(kind: &str) -> String {
    if KEY_KINDS.contains(&kind) {
        with_article(&format!("{kind} key"))
    } else {
        format!("a key of kind {kind:?}")
    }
}

fn subject(facts: Facts<'_>) -> String {
    let who = with_article(&kind(&facts.text("subject_kind").unwrap_or_default()));
    match facts.text("subject_organisation") {
        Some(organisation) if organisation != ANY_ORGANISATION => {
            format!("{who} of organisation {organisation:?}")
        }
        _ => who,
    }
}

fn profile(facts: Facts<'_>) -> String {
    let family = facts.text("family").unwrap_or_default();
    match (family.as_str(), facts.flag("stored_value")) {
        (ANY_FAMILY, Some(false)) => " of cards that hold no value".to_owned(),
        (ANY_FAMILY, _) => String::new(),
        (family, Some(false)) => format!(" of cards of family {family:?} that hold no value"),
        (family, _) => format!(" of cards of family {family:?}"),
    }
}

fn freeze(facts: Facts<'_>) -> String {
    let scope = format!("scope {:?}", facts.text("scope").unwrap_or_default());
    match facts.text("organisation") {
        Some(organisation) if organisation == ANY_ORGANISATION => {
            format!("{scope}, of their own organisation")
        }
        Some(organisation) if !organisation.is_empty() => {
            format!("{scope}, of organisation {organisation:?}")
        }
        _ => scope,
    }
}

/// `derive generation 2 of a card's keys`.
fn derive(facts: Facts<'_>) -> String {
    let number = |name| facts.number(name).unwrap_or_default();
    let whose = match number("cards") {
        1 => "a card's keys".to_owned(),
        cards => format!("the keys of {cards} cards"),
    };
    let slots = match number("slots") {
        1 => String::new(),
        slots => format!(" with {slots} slots each"),
    };
    let name = facts.of_resource("name").unwrap_or_default();
    let profile = match [facts.resource_name(), &name].iter().find(|name| **name != ANY_PROFILE) {
        None => String::new(),
        Some(name) => format!(" under profile {name:?}"),
    };
    format!("derive generation {} of {whose}{slots}{profile}", number("generation"))
}

/// `load 100001 minor units of currency 978 in a programme of their own organisation`.
fn load(facts: Facts<'_>) -> String {
    let does = facts.text("operation").unwrap_or_default();
    let units = facts.number("amount").unwrap_or_default();
    let currency = facts.currency().unwrap_or(ANY_CURRENCY);
    let programme = match facts.resource_name() {
        ANY_PROGRAMME => "a programme".to_owned(),
        name => format!("the programme {name:?}"),
    };
    let organisation = match facts.resource_organisation() {
        Some(organisation) if organisation != facts.of_principal("organisation") => {
            format!("organisation {organisation:?}")
        }
        _ => "their own organisation".to_owned(),
    };
    format!("{does} {units} minor units of currency {currency} in {programme} of {organisation}")
}

/// ` with the approval of 1 person of department "finance"`; nothing where no people are asked.
fn people(facts: Facts<'_>) -> String {
    let (Some(persons), Some(departments)) = (facts.number("persons"), facts.departments()) else {
        return String::new();
    };
    // No number of people's approval mends a separation: only what a policy rests on is said.
    let separated = facts.action().starts_with("job.");
    let behind = match persons {
        0 if separated => return String::new(),
        0 => " with nobody's approval".to_owned(),
        1 => " with the approval of 1 person".to_owned(),
        many => format!(" with the approval of {many} people"),
    };
    let any = departments.iter().all(|name| [ANY_DEPARTMENT, ANOTHER_DEPARTMENT].contains(&name.as_str()));
    let from = match quoted(&departments) {
        _ if any => String::new(),
        (1, names) => format!(" of department {names}"),
        (_, names) => format!(" of departments {names}"),
    };
    // Only a request that the keeper never makes counts them differently.
    let counted = match facts.number("departments_count") {
        Some(1) if departments.len() != 1 => ", counted as from 1 department".to_owned(),
        Some(count) if i64::try_from(departments.len()) != Ok(count) => {
            format!(", counted as from {count} departments")
        }
        _ => String::new(),
    };
    [behind, from, counted].concat()
}

fn circumstances(facts: Facts<'_>) -> String {
    let mut said = match facts.number("officers") {
        None | Some(ANY_OFFICERS) => String::new(),
        Some(1) => ", where there is 1 officer".to_owned(),
        Some(count) => format!(", where there are {count} officers"),
    };
    for (flag, words) in [
        ("no_card_session", ", without a card session"),
        ("passive_tag", ", with a passive tag"),
        ("development", ", on a development instance"),
    ] {
        if facts.flag(flag) == Some(true) {
            said.push_str(words);
        }
    }
    said
}

fn kind(kind: &str) -> String {
    if KINDS.contains(&kind) { kind.to_owned() } else { format!("{kind:?}, which is no kind,") }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// How many, and their names: `"a" and "b"`.
fn quoted(names: &[String]) -> (usize, String) {
    let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    (names.len(), quoted.join(" and "))
}
