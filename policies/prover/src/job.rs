//! What of a request about a job a person wants to read: who did what to it, and who signs.
//!
//! Apart from the other wishes and words because a job has people of its own: a hole in a separation is
//! told by who stands where another should. It asks the solver nothing itself.

use std::fmt::Write as _;

use crate::facts::Facts;
use crate::wishes::{ANY_PROFILE, ANYONE, Wish};

/// People nobody is. Where a wish for one is granted the name does not matter, the place does.
const CREATOR: &str = "(creator)";
const SEALER: &str = "(sealer)";
const OPERATOR: &str = "(operator)";
const SECOND: &str = "(second operator)";
const REVIEWER: &str = "(reviewer)";
const WITNESS: &str = "(witness)";
const PEOPLE: [&str; 7] = [ANYONE, CREATOR, SEALER, OPERATOR, SECOND, REVIEWER, WITNESS];

const ANY_JOB: &str = "(any job)";
const ANY_CUSTOMER: &str = "(any customer)";

/// The wishes for who did what to the job, and who signs this act.
pub(crate) fn wishes(facts: Facts<'_>) -> Vec<Wish> {
    let action = facts.action();
    let is = |name: &str, values: &[&str]| -> Wish {
        values.iter().map(|value| format!("context.{name} == {value:?}")).collect()
    };
    let are = |name: &str, sets: &[&[&str]]| -> Wish {
        sets.iter()
            .map(|set| match set {
                [] => format!("context.{name}.isEmpty()"),
                set => format!("context.{name} == {set:?}"),
            })
            .collect()
    };
    let mut wishes = Vec::new();
    if facts.text("created_by").is_some() {
        wishes.push(is("created_by", if action == "job.seal" { &[ANYONE] } else { &[CREATOR] }));
        wishes.push(is("sealed_by", if action == "job.seal" { &[""] } else { &[SEALER] }));
    }
    let both = [OPERATOR, SECOND];
    match action {
        "job.open" | "job.resume" => {
            let signers: [&[&str]; 5] = [
                &[CREATOR, OPERATOR],
                &[SEALER, OPERATOR],
                &[REVIEWER, OPERATOR],
                &[CREATOR, SEALER],
                &[CREATOR],
            ];
            wishes.push(are("operators", &signers));
        }
        // The second operator reviews; else the one who signs this very act.
        "job.count" | "job.incident" => {
            wishes.push(are("operators", &[&[OPERATOR]]));
            wishes.push(are("operated_by", &[&both, &[SECOND], &[]]));
            wishes.push(is("reviewer", &[SECOND, OPERATOR]));
        }
        "job.close" => {
            wishes.push(are("operated_by", &[&both, &[OPERATOR]]));
            wishes.push(is("witness", &[CREATOR, SEALER, OPERATOR]));
        }
        "job.record" => wishes.push(are("operated_by", &[&[ANYONE, SECOND], &[ANYONE]])),
        "job.suspend" => wishes.push(are("operated_by", &[&both, &[]])),
        _ => {}
    }
    wishes.extend(leftovers(facts, is, are));
    wishes
}

/// What plays no part in the act: nobody.
fn leftovers(
    facts: Facts<'_>,
    is: impl Fn(&str, &[&str]) -> Wish,
    are: impl Fn(&str, &[&[&str]]) -> Wish,
) -> Vec<Wish> {
    let mut wishes = Vec::new();
    for name in ["operators", "operated_by", "reviewed_by"] {
        let plays = match name {
            "operators" => matches!(facts.action(), "job.open" | "job.resume" | "job.count" | "job.incident"),
            "operated_by" => !matches!(facts.action(), "job.seal" | "job.open" | "job.resume"),
            _ => false,
        };
        if !plays && facts.names(name).is_some() {
            wishes.push(are(name, &[&[], &[REVIEWER]]));
        }
    }
    for (name, acts) in [("reviewer", ["job.count", "job.incident"]), ("witness", ["job.close"; 2])] {
        if facts.text(name).is_some() && !acts.contains(&facts.action()) {
            wishes.push(is(name, &[""]));
        }
    }
    wishes
}

/// The wishes for the job itself.
pub(crate) fn wishes_of_resource() -> Vec<Wish> {
    [
        format!("resource == Job::{ANY_JOB:?}"),
        format!("resource.name == {ANY_JOB:?}"),
        format!("resource.customer == {ANY_CUSTOMER:?}"),
        format!("resource.profile == {ANY_PROFILE:?}"),
    ]
    .map(|wish| vec![wish])
    .to_vec()
}

/// `seal a job they created`; `None` of what is not done to a job.
pub(crate) fn what(facts: Facts<'_>) -> Option<String> {
    let does = match facts.action() {
        "job.seal" => "seal",
        "job.open" => "open",
        "job.resume" => "resume",
        "job.suspend" => "suspend",
        "job.count" => "count",
        "job.incident" => "report an incident of",
        "job.close" => "close",
        "job.record" => "get the record of",
        _ => return None,
    };
    let how = match facts.action() {
        "job.seal" => " they created".to_owned(),
        "job.record" => " they operated".to_owned(),
        "job.suspend" => " they never operated".to_owned(),
        "job.open" | "job.resume" => format!(" with an operator who {}", part(facts, "operators")),
        "job.count" | "job.incident" => format!(" with a reviewer who {}", part(facts, "reviewer")),
        _ => format!(" with a witness who {}", part(facts, "witness")),
    };
    Some([does, " ", &job(facts), &how, &named(facts)].concat())
}

/// What those in this place did as well: `created it`, `created it and sealed it`.
fn part(facts: Facts<'_>, place: &str) -> String {
    let place = match facts.text(place) {
        Some(one) => vec![one],
        None => facts.names(place).unwrap_or_default(),
    };
    let has = |one: &str| place.iter().any(|name| name == one);
    let did_it = |name: &str| facts.text(name).is_some_and(|one| has(&one));
    let in_them = |name: &str| facts.names(name).is_some_and(|all| all.iter().any(|one| has(one)));
    let all_sign = matches!(facts.action(), "job.open" | "job.resume");
    let mut parts = Vec::new();
    for (did, words) in [
        (did_it("created_by"), "created it"),
        (did_it("sealed_by"), "sealed it"),
        (!all_sign && in_them("operated_by"), "operated it"),
        (!all_sign && in_them("operators"), "signs as its operator"),
        (in_them("reviewed_by"), "reviewed it before"),
    ] {
        if did {
            parts.push(words);
        }
    }
    parts.join(" and ")
}

/// `a job`, `the job "week-47" for customer "acme"`.
fn job(facts: Facts<'_>) -> String {
    let attribute = |name| facts.of_resource(name).unwrap_or_default();
    let mut words = match [facts.resource_name(), &attribute("name")].iter().find(|name| **name != ANY_JOB) {
        None => "a job".to_owned(),
        Some(name) => format!("the job {name:?}"),
    };
    for (name, any, between) in
        [("customer", ANY_CUSTOMER, "for customer"), ("profile", ANY_PROFILE, "under profile")]
    {
        let value = attribute(name);
        if value != any {
            // Writing to a string does not fail.
            let _ = write!(words, " {between} {value:?}");
        }
    }
    words
}

/// The people whose very names matter: `, created by "dora"`.
fn named(facts: Facts<'_>) -> String {
    let mut words = String::new();
    for (fact, did) in [
        ("created_by", "created by"),
        ("sealed_by", "sealed by"),
        ("operated_by", "operated by"),
        ("reviewed_by", "reviewed by"),
        ("operators", "with operator"),
        ("reviewer", "with reviewer"),
        ("witness", "with witness"),
    ] {
        let names = facts.names(fact).or_else(|| Some(vec![facts.text(fact)?])).unwrap_or_default();
        let matters = |name: &String| {
            !PEOPLE.contains(&name.as_str()) && !name.is_empty() && name != facts.principal_name()
        };
        let names: Vec<_> =
            names.iter().filter(|name| matters(name)).map(|name| format!("{name:?}")).collect();
        if !names.is_empty() {
            let _ = write!(words, ", {did} {}", names.join(" and "));
        }
    }
    words
}
