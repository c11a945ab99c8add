//! Cedar asked as its own manual does it: the whole of both layers, the schema's checks on every request and entity,
//! nothing sorted, nothing kept. Only the facts' names are known here too; what is compared is the deciding.

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request,
    RestrictedExpression as Value, Schema,
};
use keysvc_policies::{CEILING, ContextFacts, Denied, Question, ResourceFacts, SCHEMA, Verdict};
use std::collections::{BTreeSet, HashSet};

/// Both layers.
pub(crate) struct Naive {
    schema: Schema,
    layers: [PolicySet; 2],
}

impl Naive {
    pub(crate) fn new(site: &str) -> Self {
        let schema = SCHEMA.parse().unwrap();
        Self { schema, layers: [CEILING, site].map(|text| text.parse().unwrap()) }
    }

    /// Every action of the schema.
    pub(crate) fn actions(&self) -> Vec<String> {
        let mut names: Vec<_> = self.schema.actions().map(|uid| uid.id().unescaped().to_owned()).collect();
        names.sort();
        names
    }

    /// The verdict; nothing where a policy fails.
    pub(crate) fn judge(&self, question: &Question<'_>) -> Option<Verdict> {
        let (principal, resource) = (principal(question), resource(question.resource));
        let action = format!("Action::{:?}", question.action).parse().unwrap();
        let context = Context::from_pairs(context(question)).unwrap();
        let request =
            Request::new(principal.uid(), action, resource.uid(), context, Some(&self.schema)).unwrap();
        let entities = Entities::from_entities([principal, resource], Some(&self.schema)).unwrap();
        for layer in &self.layers {
            let response = Authorizer::new().is_authorized(&request, layer, &entities);
            if response.diagnostics().errors().next().is_some() {
                return None;
            }
            if response.decision() == Decision::Deny {
                let forbids: Vec<_> = response.diagnostics().reason().collect();
                let told = |id: &&_| layer.annotation(id, "refusal") == Some("same_person");
                let same = !forbids.is_empty() && forbids.iter().all(told);
                return Some(Verdict::Denied(if same { Denied::SamePerson } else { Denied::Forbidden }));
            }
        }
        Some(Verdict::Allowed)
    }
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

fn texts(values: &[String]) -> Value {
    Value::new_set(values.iter().map(|value| text(value)))
}

fn number(value: impl Into<i64>) -> Value {
    Value::new_long(value.into())
}

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.parse().unwrap(), id.parse().unwrap())
}

fn entity(uid: EntityUid, attributes: &[(&str, Value)]) -> Entity {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Entity::new(uid, attributes, HashSet::new()).unwrap()
}

fn principal(question: &Question<'_>) -> Entity {
    let facts = question.principal;
    entity(
        uid("Principal", facts.id),
        &[
            ("kind", text(facts.kind)),
            ("organisation", text(facts.organisation)),
            ("department", text(facts.department)),
            ("capabilities", texts(facts.capabilities)),
        ],
    )
}

fn resource(facts: ResourceFacts<'_>) -> Entity {
    match facts {
        ResourceFacts::Service => entity(uid("Service", "keysvc"), &[]),
        ResourceFacts::Log => entity(uid("Log", "keysvc"), &[]),
        ResourceFacts::Profile { name } => entity(uid("Profile", name), &[("name", text(name))]),
        ResourceFacts::Job { name, customer, profile } => entity(
            uid("Job", name),
            &[("name", text(name)), ("customer", text(customer)), ("profile", text(profile))],
        ),
        ResourceFacts::Programme { name, organisation, currency } => entity(
            uid("Programme", name),
            &[("organisation", text(organisation)), ("currency", number(currency))],
        ),
    }
}

fn context(question: &Question<'_>) -> Vec<(String, Value)> {
    let caller = ("caller", text(question.principal.id));
    let (own, with_people) = match question.context {
        ContextFacts::None => (vec![], false),
        ContextFacts::JobRead { created_by, sealed_by, operated_by } => (
            vec![
                caller,
                ("created_by", text(created_by)),
                ("sealed_by", text(sealed_by)),
                ("operated_by", texts(operated_by)),
            ],
            false,
        ),
        ContextFacts::Job(job) => (
            vec![
                caller,
                ("created_by", text(job.created_by)),
                ("sealed_by", text(job.sealed_by)),
                ("operated_by", texts(job.operated_by)),
                ("reviewed_by", texts(job.reviewed_by)),
                ("operators", texts(job.operators)),
                ("reviewer", text(job.reviewer)),
                ("witness", text(job.witness)),
            ],
            true,
        ),
        other => (of_others(other), true),
    };
    let mut pairs = own;
    if with_people {
        let departments: BTreeSet<_> = question.quorum.departments.iter().collect();
        pairs.push(("persons", number(question.quorum.persons)));
        pairs.push(("departments", texts(question.quorum.departments)));
        pairs.push(("departments_count", number(u32::try_from(departments.len()).unwrap())));
    }
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn of_others(facts: ContextFacts<'_>) -> Vec<(&'static str, Value)> {
    let officers_of = |officers: u32| ("officers", number(officers));
    match facts {
        ContextFacts::None | ContextFacts::Job(_) | ContextFacts::JobRead { .. } => vec![],
        ContextFacts::CardDerive { cards, slots, generation, development } => vec![
            ("cards", number(cards)),
            ("slots", number(slots)),
            ("generation", number(generation)),
            ("development", Value::new_bool(development)),
        ],
        ContextFacts::CardTransition { to, cards } => vec![("to", text(to)), ("cards", number(cards))],
        ContextFacts::ValueUpdate { operation, amount, no_card_session, passive_tag, development } => vec![
            ("operation", text(operation)),
            ("amount", number(i64::try_from(amount).unwrap())),
            ("no_card_session", Value::new_bool(no_card_session)),
            ("passive_tag", Value::new_bool(passive_tag)),
            ("development", Value::new_bool(development)),
        ],
        ContextFacts::Principal { subject_kind, subject_organisation, own, officers } => vec![
            ("subject_kind", text(subject_kind)),
            ("subject_organisation", text(subject_organisation)),
            ("own", Value::new_bool(own)),
            officers_of(officers),
        ],
        ContextFacts::Key { kind, officers } => vec![("key_kind", text(kind)), officers_of(officers)],
        ContextFacts::Freeze { scope, organisation, officers } => {
            vec![("scope", text(scope)), ("organisation", text(organisation)), officers_of(officers)]
        }
        ContextFacts::Profile { family, stored_value, officers } => {
            vec![
                ("family", text(family)),
                ("stored_value", Value::new_bool(stored_value)),
                officers_of(officers),
            ]
        }
        ContextFacts::Site { officers } => vec![officers_of(officers)],
    }
}
