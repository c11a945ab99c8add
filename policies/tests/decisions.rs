//! Runs every case of `tests/decisions`: one question, the answer it must get, and why.
//!
//! A case is judged by the shipped policies, or by the shipped ceiling over the text in `site`.
//! The folder is for people: who wants to know what is permitted reads its file names.

use std::collections::HashSet;

use keysvc_policies::PolicySet;
use keysvc_policies::case::{self, Cases};

const KINDS: [&str; 7] = ["station", "terminal", "officer", "operator", "office", "auditor", "platform"];

const ACTIONS: [&str; 59] = [
    "status",
    "key.list",
    "key.get",
    "card.derive",
    "value.update",
    "log.checkpoint",
    "log.entries",
    "log.proof",
    "bundle.get",
    "value.batch",
    "proposal.list",
    "proposal.get",
    "proposal.approve",
    "proposal.reject",
    "proposal.cancel",
    "proposal.result",
    "principal.list",
    "principal.enrol",
    "principal.rotate",
    "principal.disable",
    "principal.enable",
    "key.create",
    "key.activate",
    "key.suspend",
    "key.retire",
    "key.compromise",
    "key.destroy",
    "key.impact",
    "freeze.set",
    "freeze.lift",
    "freeze.list",
    "quorum.set",
    "clock.confirm",
    "evidence.get",
    "key.import",
    "component.key",
    "component.give",
    "profile.put",
    "profile.get",
    "profile.list",
    "policy.propose",
    "policy.get",
    "ceremony.record",
    "job.create",
    "job.items",
    "job.seal",
    "job.withdraw",
    "job.open",
    "job.resume",
    "job.suspend",
    "card.result",
    "job.count",
    "job.incident",
    "job.close",
    "job.get",
    "job.list",
    "job.record",
    "card.check",
    "card.transition",
];

#[test]
fn every_case_is_decided_as_it_says() {
    let wrong = case::test(&PolicySet::shipped().unwrap(), &Cases::shipped().unwrap());
    let wrong: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_cases_cover_every_kind_at_every_operation() {
    let cases = Cases::shipped().unwrap();
    let shipped = cases.iter().filter(|case| case.site().is_none());
    let covered: HashSet<_> = shipped
        .map(|case| case.question())
        .map(|question| (question.principal.kind, question.action))
        .collect();
    for kind in KINDS {
        for action in ACTIONS {
            assert!(covered.contains(&(kind, action)), "no case of {kind} at {action}");
        }
    }
}

#[test]
fn no_two_cases_ask_the_same_of_the_shipped_policies() {
    let cases = Cases::shipped().unwrap();
    let mut asked = HashSet::new();
    for case in cases.iter().filter(|case| case.site().is_none()) {
        assert!(asked.insert(format!("{:?}", case.question())), "{} is another case already", case.name());
    }
}
