//! One well-formed question for each action, for the unit tests of this crate.

use std::sync::LazyLock;

use crate::question::{ContextFacts, PrincipalFacts, Question, QuorumFacts, ResourceFacts};

/// Every kind that can be enrolled.
pub(crate) const KINDS: [&str; 7] =
    ["station", "terminal", "officer", "operator", "office", "auditor", "platform"];

/// Every action of the schema.
pub(crate) const ACTIONS: [&str; 44] = [
    "status",
    "key.list",
    "key.get",
    "station.open",
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
];

/// A programme of the organisation that [`question`] asks for.
pub(crate) const OWN_PROGRAMME: ResourceFacts<'_> =
    ResourceFacts::Programme { name: "gift", organisation: "acme", currency: 978 };

/// A load of 50.00 with an authenticated card.
pub(crate) const LOAD: ContextFacts<'_> = ContextFacts::ValueUpdate {
    operation: "load",
    amount: 5000,
    no_card_session: false,
    passive_tag: false,
    development: false,
};

static DEPARTMENTS: LazyLock<[String; 3]> =
    LazyLock::new(|| ["finance", "sales", "security"].map(str::to_owned));

/// So many people, each from a department of their own up to three.
pub(crate) fn people(persons: u8) -> QuorumFacts<'static> {
    let departments = usize::from(persons).min(DEPARTMENTS.len());
    QuorumFacts { persons, departments: &DEPARTMENTS[..departments] }
}

/// A principal of `kind` asks alone for `action` about its own organisation's resource.
pub(crate) fn question<'a>(kind: &'a str, action: &'a str) -> Question<'a> {
    let (resource, context) = match action {
        "card.derive" => (
            ResourceFacts::Profile { name: "fob" },
            ContextFacts::CardDerive { cards: 2, slots: 3, development: false },
        ),
        "value.update" => (OWN_PROGRAMME, LOAD),
        "log.checkpoint" | "log.entries" | "log.proof" => (ResourceFacts::Log, ContextFacts::None),
        _ => (ResourceFacts::Service, of_the_service(kind, action)),
    };
    let principal =
        PrincipalFacts { id: "someone", kind, organisation: "acme", department: "sales", capabilities: &[] };
    Question { principal, action, resource, context, quorum: QuorumFacts::NONE }
}

fn of_the_service<'a>(kind: &'a str, action: &str) -> ContextFacts<'a> {
    let officers = 3;
    match action {
        "station.open" => ContextFacts::Quorum,
        "principal.rotate" => {
            ContextFacts::Principal { subject_kind: kind, subject_organisation: "acme", own: true, officers }
        }
        "principal.enrol" | "principal.disable" | "principal.enable" => ContextFacts::Principal {
            subject_kind: "terminal",
            subject_organisation: "acme",
            own: false,
            officers,
        },
        "key.create" | "key.activate" | "key.suspend" | "key.retire" | "key.compromise" | "key.destroy"
        | "key.import" => ContextFacts::Key { kind: "card-master", officers },
        "freeze.set" | "freeze.lift" => {
            ContextFacts::Freeze { scope: "terminal", organisation: "acme", officers }
        }
        "profile.put" => ContextFacts::Profile { family: "desfire-ev3", stored_value: true, officers },
        "quorum.set" | "clock.confirm" | "policy.propose" => ContextFacts::Site { officers },
        _ => ContextFacts::None,
    }
}
