//! One well-formed question for each action, for the unit tests of this crate.

use crate::question::{ContextFacts, PrincipalFacts, Question, ResourceFacts};

/// Every kind that can be enrolled.
pub(crate) const KINDS: [&str; 7] =
    ["station", "terminal", "officer", "operator", "office", "auditor", "platform"];

/// Every action of the schema.
pub(crate) const ACTIONS: [&str; 11] = [
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
];

/// A programme of the organisation that [`question`] asks for.
pub(crate) const OWN_PROGRAMME: ResourceFacts<'_> =
    ResourceFacts::Programme { name: "gift", organisation: "acme", currency: 978 };

/// A load of 50.00 with an authenticated card.
pub(crate) const LOAD: ContextFacts = ContextFacts::ValueUpdate {
    operation: "load",
    amount: 5000,
    no_card_session: false,
    passive_tag: false,
    development: false,
};

/// A principal of `kind` asks for `action` about its own organisation's resource.
pub(crate) fn question<'a>(kind: &'a str, action: &'a str) -> Question<'a> {
    let (resource, context) = match action {
        "card.derive" => (
            ResourceFacts::Profile { name: "fob" },
            ContextFacts::CardDerive { cards: 2, slots: 3, development: false },
        ),
        "value.update" => (OWN_PROGRAMME, LOAD),
        "log.checkpoint" | "log.entries" | "log.proof" => (ResourceFacts::Log, ContextFacts::None),
        _ => (ResourceFacts::Service, ContextFacts::None),
    };
    let principal =
        PrincipalFacts { id: "someone", kind, organisation: "acme", department: "sales", capabilities: &[] };
    Question { principal, action, resource, context }
}
