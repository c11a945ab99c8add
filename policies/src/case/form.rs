//! A decision case as it is written in TOML, and its question.
//! Apart from what is done with cases: this is the format, strict, and nothing else.

use serde::Deserialize;

use crate::question::{
    ContextFacts, Decision, JobFacts, PrincipalFacts, Question, QuorumFacts, ResourceFacts,
};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    pub(super) why: String,
    expect: Expect,
    action: String,
    pub(super) site: Option<String>,
    principal: Principal,
    resource: Resource,
    context: Option<Context>,
    quorum: Option<Quorum>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quorum {
    persons: u8,
    departments: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expect {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Principal {
    id: String,
    kind: String,
    organisation: String,
    department: String,
    capabilities: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Resource {
    Service {},
    Log {},
    Profile { name: String },
    Job { name: String, customer: String, profile: String },
    Programme { name: String, organisation: String, currency: u16 },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Context {
    CardDerive {
        cards: u32,
        slots: u32,
        generation: u32,
        development: bool,
    },
    Job(Job),
    JobRead {
        #[serde(default)]
        created_by: String,
        #[serde(default)]
        sealed_by: String,
        #[serde(default)]
        operated_by: Vec<String>,
    },
    CardTransition {
        to: String,
        cards: u32,
    },
    Load(Value),
    Debit(Value),
    Principal {
        subject_kind: String,
        subject_organisation: String,
        own: bool,
        officers: u32,
    },
    Key {
        kind: String,
        officers: u32,
    },
    Freeze {
        scope: String,
        organisation: String,
        officers: u32,
    },
    Profile {
        family: String,
        stored_value: bool,
        officers: u32,
    },
    Site {
        officers: u32,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    amount: u64,
    no_card_session: bool,
    passive_tag: bool,
    development: bool,
}

/// What is left out, nobody did and nobody signs.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Job {
    created_by: String,
    sealed_by: String,
    operated_by: Vec<String>,
    reviewed_by: Vec<String>,
    operators: Vec<String>,
    reviewer: String,
    witness: String,
}

impl Form {
    pub(super) fn question(&self) -> Question<'_> {
        Question {
            principal: PrincipalFacts {
                id: &self.principal.id,
                kind: &self.principal.kind,
                organisation: &self.principal.organisation,
                department: &self.principal.department,
                capabilities: &self.principal.capabilities,
            },
            action: &self.action,
            resource: self.resource.facts(),
            context: self.context.as_ref().map_or(ContextFacts::None, Context::facts),
            quorum: match &self.quorum {
                None => QuorumFacts::NONE,
                Some(Quorum { persons, departments }) => QuorumFacts { persons: *persons, departments },
            },
        }
    }

    pub(super) fn expect(&self) -> Decision {
        match self.expect {
            Expect::Allow => Decision::Allow,
            Expect::Deny => Decision::Deny,
        }
    }
}

impl Resource {
    fn facts(&self) -> ResourceFacts<'_> {
        match self {
            Self::Service {} => ResourceFacts::Service,
            Self::Log {} => ResourceFacts::Log,
            Self::Profile { name } => ResourceFacts::Profile { name },
            Self::Job { name, customer, profile } => ResourceFacts::Job { name, customer, profile },
            Self::Programme { name, organisation, currency } => {
                ResourceFacts::Programme { name, organisation, currency: *currency }
            }
        }
    }
}

impl Context {
    fn facts(&self) -> ContextFacts<'_> {
        match self {
            Self::CardDerive { cards, slots, generation, development } => ContextFacts::CardDerive {
                cards: *cards,
                slots: *slots,
                generation: *generation,
                development: *development,
            },
            Self::Job(job) => ContextFacts::Job(job.facts()),
            Self::JobRead { created_by, sealed_by, operated_by } => {
                ContextFacts::JobRead { created_by, sealed_by, operated_by }
            }
            Self::CardTransition { to, cards } => ContextFacts::CardTransition { to, cards: *cards },
            Self::Load(value) => value.facts("load"),
            Self::Debit(value) => value.facts("debit"),
            Self::Principal { subject_kind, subject_organisation, own, officers } => {
                ContextFacts::Principal { subject_kind, subject_organisation, own: *own, officers: *officers }
            }
            Self::Key { kind, officers } => ContextFacts::Key { kind, officers: *officers },
            Self::Freeze { scope, organisation, officers } => {
                ContextFacts::Freeze { scope, organisation, officers: *officers }
            }
            Self::Profile { family, stored_value, officers } => {
                ContextFacts::Profile { family, stored_value: *stored_value, officers: *officers }
            }
            Self::Site { officers } => ContextFacts::Site { officers: *officers },
        }
    }
}

impl Job {
    fn facts(&self) -> JobFacts<'_> {
        JobFacts {
            created_by: &self.created_by,
            sealed_by: &self.sealed_by,
            operated_by: &self.operated_by,
            reviewed_by: &self.reviewed_by,
            operators: &self.operators,
            reviewer: &self.reviewer,
            witness: &self.witness,
        }
    }
}

impl Value {
    fn facts(&self, operation: &'static str) -> ContextFacts<'static> {
        ContextFacts::ValueUpdate {
            operation,
            amount: self.amount,
            no_card_session: self.no_card_session,
            passive_tag: self.passive_tag,
            development: self.development,
        }
    }
}
