//! One well-formed question for each action, for the unit tests of this crate.

use std::sync::LazyLock;

use crate::question::{ContextFacts, JobFacts, PrincipalFacts, Question, QuorumFacts, ResourceFacts};

/// Every kind that can be enrolled.
pub(crate) const KINDS: [&str; 7] =
    ["station", "terminal", "officer", "operator", "office", "auditor", "platform"];

/// Every action of the schema.
pub(crate) const ACTIONS: [&str; 59] = [
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

static JOB_ROLES: LazyLock<[String; 4]> =
    LazyLock::new(|| ["data-operator", "station-operator", "reviewer", "monitor"].map(str::to_owned));

static OPERATORS: LazyLock<[String; 2]> = LazyLock::new(|| ["olga", "otto"].map(str::to_owned));

static REVIEWERS: LazyLock<[String; 1]> = LazyLock::new(|| ["rita".to_owned()]);

/// Who operates a job and asks to suspend it.
static SOMEONE: LazyLock<[String; 1]> = LazyLock::new(|| ["someone".to_owned()]);

/// A job of another customer's cards.
pub(crate) const JOB: ResourceFacts<'_> =
    ResourceFacts::Job { name: "week-47", customer: "globex", profile: "fob" };

/// An act on a job that everyone who should signs, and nobody who should not.
pub(crate) fn job(action: &str) -> JobFacts<'static> {
    let none = JobFacts {
        created_by: "dora",
        sealed_by: "dan",
        operated_by: &[],
        reviewed_by: &[],
        operators: &[],
        reviewer: "",
        witness: "",
    };
    let operated = JobFacts { operated_by: &OPERATORS[..], ..none };
    match action {
        "job.create" => JobFacts { created_by: "", sealed_by: "", ..none },
        "job.items" | "job.seal" | "job.withdraw" => JobFacts { sealed_by: "", ..none },
        "job.open" => JobFacts { operators: &OPERATORS[..], ..none },
        "job.resume" => JobFacts { operators: &OPERATORS[..], ..operated },
        "job.suspend" => JobFacts { operated_by: &SOMEONE[..], ..none },
        "job.count" | "job.incident" => JobFacts { operators: &OPERATORS[..1], reviewer: "rita", ..operated },
        "job.close" => JobFacts { reviewed_by: &REVIEWERS[..], witness: "mona", ..operated },
        _ => operated,
    }
}

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
            ContextFacts::CardDerive { cards: 2, slots: 3, generation: 1, development: false },
        ),
        "job.create" | "job.items" | "job.seal" | "job.withdraw" | "job.open" | "job.resume"
        | "job.suspend" | "card.result" | "job.count" | "job.incident" | "job.close" => {
            (JOB, ContextFacts::Job(job(action)))
        }
        "job.get" | "job.record" => {
            let JobFacts { created_by, sealed_by, operated_by, .. } = job(action);
            (JOB, ContextFacts::JobRead { created_by, sealed_by, operated_by })
        }
        "value.update" => (OWN_PROGRAMME, LOAD),
        "log.checkpoint" | "log.entries" | "log.proof" => (ResourceFacts::Log, ContextFacts::None),
        _ => (ResourceFacts::Service, of_the_service(kind, action)),
    };
    // Whatever the kind: roles make no operator of a station.
    let capabilities: &[String] = if action.starts_with("job.") { &JOB_ROLES[..] } else { &[] };
    let principal =
        PrincipalFacts { id: "someone", kind, organisation: "acme", department: "sales", capabilities };
    Question { principal, action, resource, context, quorum: QuorumFacts::NONE }
}

fn of_the_service<'a>(kind: &'a str, action: &str) -> ContextFacts<'a> {
    let officers = 3;
    match action {
        "card.transition" => ContextFacts::CardTransition { to: "active", cards: 2 },
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
