//! Turning the plain facts of a question into Cedar's entities and context.
//! The entity types are parsed once, at load. It judges nothing and keeps nothing.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Display;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema,
};

use crate::error::PolicyError;
use crate::question::{ContextFacts, JobFacts, PrincipalFacts, QuorumFacts, ResourceFacts};
use crate::source::damaged;

/// The schema's entity types, ready to be put into requests.
pub(crate) struct Vocabulary {
    principal: EntityTypeName,
    profile: EntityTypeName,
    job: EntityTypeName,
    programme: EntityTypeName,
    service: EntityUid,
    log: EntityUid,
}

impl Vocabulary {
    /// Finds the entity types in the schema.
    pub(crate) fn new(schema: &Schema) -> Result<Self, PolicyError> {
        let named = |name: &str| {
            let found = schema.entity_types().find(|found| found.basename() == name).cloned();
            found.ok_or_else(|| damaged(format!("no entity type {name}")))
        };
        let only = |name: &str| Ok(EntityUid::from_type_name_and_id(named(name)?, EntityId::new("keysvc")));
        Ok(Self {
            principal: named("Principal")?,
            profile: named("Profile")?,
            job: named("Job")?,
            programme: named("Programme")?,
            service: only("Service")?,
            log: only("Log")?,
        })
    }

    /// Who asks, about what, and both with their attributes.
    pub(crate) fn put(
        &self,
        principal: &PrincipalFacts<'_>,
        resource: &ResourceFacts<'_>,
    ) -> Result<(EntityUid, EntityUid, Entities), PolicyError> {
        let (principal, resource) = (self.principal(principal)?, self.resource(resource)?);
        let (asks, about) = (principal.uid(), resource.uid());
        Ok((asks, about, Entities::from_entities([principal, resource], None).map_err(unusable)?))
    }

    fn principal(&self, facts: &PrincipalFacts<'_>) -> Result<Entity, PolicyError> {
        entity(
            uid(&self.principal, facts.id),
            [
                ("kind", text(facts.kind)),
                ("organisation", text(facts.organisation)),
                ("department", text(facts.department)),
                ("capabilities", texts(facts.capabilities)),
            ],
        )
    }

    fn resource(&self, facts: &ResourceFacts<'_>) -> Result<Entity, PolicyError> {
        match *facts {
            ResourceFacts::Service => Ok(Entity::with_uid(self.service.clone())),
            ResourceFacts::Log => Ok(Entity::with_uid(self.log.clone())),
            ResourceFacts::Profile { name } => entity(uid(&self.profile, name), [("name", text(name))]),
            ResourceFacts::Job { name, customer, profile } => entity(
                uid(&self.job, name),
                [("name", text(name)), ("customer", text(customer)), ("profile", text(profile))],
            ),
            ResourceFacts::Programme { name, organisation, currency } => entity(
                uid(&self.programme, name),
                [
                    ("organisation", text(organisation)),
                    ("currency", RestrictedExpression::new_long(currency.into())),
                ],
            ),
        }
    }
}

/// Cedar's record of the circumstances in which `caller` asks.
pub(crate) fn context(
    caller: &str,
    facts: ContextFacts<'_>,
    quorum: QuorumFacts<'_>,
) -> Result<Context, PolicyError> {
    let people = facts.takes_people().then(|| people(quorum)).transpose()?;
    let pairs = circumstances(caller, facts)?.into_iter().chain(people.into_iter().flatten());
    Context::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value))).map_err(unusable)
}

/// What the context holds beside the people.
fn circumstances(
    caller: &str,
    facts: ContextFacts<'_>,
) -> Result<Vec<(&'static str, RestrictedExpression)>, PolicyError> {
    use RestrictedExpression as Value;
    Ok(match facts {
        ContextFacts::None => vec![],
        ContextFacts::CardDerive { cards, slots, generation, development } => vec![
            ("cards", Value::new_long(cards.into())),
            ("slots", Value::new_long(slots.into())),
            ("generation", Value::new_long(generation.into())),
            ("development", Value::new_bool(development)),
        ],
        ContextFacts::Job(job) => of_job(caller, job),
        ContextFacts::JobRead { created_by, sealed_by, operated_by } => vec![
            ("caller", text(caller)),
            ("created_by", text(created_by)),
            ("sealed_by", text(sealed_by)),
            ("operated_by", texts(operated_by)),
        ],
        ContextFacts::CardTransition { to, cards } => {
            vec![("to", text(to)), ("cards", Value::new_long(cards.into()))]
        }
        ContextFacts::ValueUpdate { operation, amount, no_card_session, passive_tag, development } => vec![
            ("operation", text(operation)),
            ("amount", Value::new_long(amount.try_into().map_err(|_| PolicyError::AmountTooLarge)?)),
            ("no_card_session", Value::new_bool(no_card_session)),
            ("passive_tag", Value::new_bool(passive_tag)),
            ("development", Value::new_bool(development)),
        ],
        ContextFacts::Principal { subject_kind, subject_organisation, own, officers } => vec![
            ("subject_kind", text(subject_kind)),
            ("subject_organisation", text(subject_organisation)),
            ("own", Value::new_bool(own)),
            ("officers", Value::new_long(officers.into())),
        ],
        ContextFacts::Key { kind, officers } => {
            vec![("key_kind", text(kind)), ("officers", Value::new_long(officers.into()))]
        }
        ContextFacts::Freeze { scope, organisation, officers } => vec![
            ("scope", text(scope)),
            ("organisation", text(organisation)),
            ("officers", Value::new_long(officers.into())),
        ],
        ContextFacts::Profile { family, stored_value, officers } => vec![
            ("family", text(family)),
            ("stored_value", Value::new_bool(stored_value)),
            ("officers", Value::new_long(officers.into())),
        ],
        ContextFacts::Site { officers } => vec![("officers", Value::new_long(officers.into()))],
    })
}

fn of_job(caller: &str, job: JobFacts<'_>) -> Vec<(&'static str, RestrictedExpression)> {
    vec![
        ("caller", text(caller)),
        ("created_by", text(job.created_by)),
        ("sealed_by", text(job.sealed_by)),
        ("operated_by", texts(job.operated_by)),
        ("reviewed_by", texts(job.reviewed_by)),
        ("operators", texts(job.operators)),
        ("reviewer", text(job.reviewer)),
        ("witness", text(job.witness)),
    ]
}

/// The three facts of every act that may take people. Cedar cannot count a set, so it is told.
fn people(
    QuorumFacts { persons, departments }: QuorumFacts<'_>,
) -> Result<[(&'static str, RestrictedExpression); 3], PolicyError> {
    let departments: BTreeSet<_> = departments.iter().collect();
    let count = match u8::try_from(departments.len()) {
        Ok(count) if count <= persons => count,
        // Somebody counted wrong, and a policy that counts departments would believe it.
        _ => return Err(unusable(format!("{persons} people in {} departments", departments.len()))),
    };
    let names = departments.into_iter().map(|name| text(name));
    Ok([
        ("persons", RestrictedExpression::new_long(persons.into())),
        ("departments", RestrictedExpression::new_set(names)),
        ("departments_count", RestrictedExpression::new_long(count.into())),
    ])
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn texts(values: &[String]) -> RestrictedExpression {
    RestrictedExpression::new_set(values.iter().map(|value| text(value)))
}

fn entity<const N: usize>(
    uid: EntityUid,
    attributes: [(&str, RestrictedExpression); N],
) -> Result<Entity, PolicyError> {
    let attributes: HashMap<_, _> =
        attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Entity::new(uid, attributes, HashSet::new()).map_err(unusable)
}

/// Facts that contradict each other. Cedar itself refuses only unknowns, extension calls and two of a
/// name, of which we make none.
pub(crate) fn unusable(error: impl Display) -> PolicyError {
    PolicyError::Unusable { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use cedar_policy::Request;

    use super::*;
    use crate::action::Action;
    use crate::sample::{ACTIONS, question};
    use crate::source;

    #[test]
    fn what_is_put_conforms_to_the_schema_for_every_action() {
        let schema = source::schema().unwrap();
        let vocabulary = Vocabulary::new(&schema).unwrap();
        let mut actions: Vec<_> = schema.actions().map(|uid| uid.id().unescaped().to_owned()).collect();
        actions.sort();
        let mut known = ACTIONS.map(str::to_owned).to_vec();
        known.sort();
        assert_eq!(actions, known);

        let capabilities = ["vault".to_owned(), "vault".to_owned(), "spare".to_owned()];
        for uid in schema.actions() {
            let action = Action::new(uid, &schema).unwrap();
            let mut question = question("terminal", action.name());
            question.principal.capabilities = &capabilities;
            let (principal, resource, entities) =
                vocabulary.put(&question.principal, &question.resource).unwrap();
            action.fits(&resource, question.context).unwrap();
            let context = context("someone", question.context, question.quorum).unwrap();
            assert!(Request::new(principal, uid.clone(), resource, context, Some(&schema)).is_ok(), "{uid}");
            assert!(Entities::from_entities(entities, Some(&schema)).is_ok(), "{uid}");
        }
    }

    #[test]
    fn ids_are_taken_as_they_are_and_never_parsed() {
        let vocabulary = Vocabulary::new(&source::schema().unwrap()).unwrap();
        let facts = ResourceFacts::Profile { name: "a\" || true // \0" };
        assert_eq!(vocabulary.resource(&facts).unwrap().uid().id().unescaped(), "a\" || true // \0");
    }

    #[test]
    fn the_largest_amount_is_that_of_a_signed_integer() {
        let with = |amount| ContextFacts::ValueUpdate {
            operation: "load",
            amount,
            no_card_session: false,
            passive_tag: false,
            development: false,
        };
        let largest = u64::try_from(i64::MAX).unwrap();
        assert!(context("", with(largest), QuorumFacts::NONE).is_ok());
        let refused = context("", with(largest + 1), QuorumFacts::NONE);
        assert_eq!(refused.unwrap_err(), PolicyError::AmountTooLarge);
    }

    fn put(persons: u8, departments: &[&str]) -> Result<Context, PolicyError> {
        let departments: Vec<_> = departments.iter().map(|&name| name.to_owned()).collect();
        context("", ContextFacts::Site { officers: 3 }, QuorumFacts { persons, departments: &departments })
    }

    #[test]
    fn the_caller_of_an_act_on_a_job_is_the_principal_and_nobody_else() {
        for name in ["job.seal", "job.record"] {
            let asked = question("operator", name);
            let put = context("dora \"d\"", asked.context, asked.quorum).unwrap();
            let caller = put.get("caller").unwrap();
            assert_eq!(caller, cedar_policy::EvalResult::String("dora \"d\"".to_owned()));
        }
    }

    #[test]
    fn what_only_reads_a_job_counts_no_people() {
        let read = ContextFacts::JobRead { created_by: "", sealed_by: "", operated_by: &[] };
        // Not even people that cannot be.
        let put = context("", read, QuorumFacts { persons: 0, departments: &["sales".to_owned()] }).unwrap();
        assert!(put.get("persons").is_none() && put.get("operated_by").is_some());
    }

    #[test]
    fn a_department_named_twice_counts_once() {
        let once = put(2, &["sales", "finance"]).unwrap();
        assert_eq!(put(2, &["finance", "sales", "finance"]).unwrap(), once);
        assert_eq!(once.get("departments_count").unwrap().to_string(), "2");
    }

    #[test]
    fn more_departments_than_people_are_refused() {
        for (persons, departments) in [(0, ["sales"].as_slice()), (1, &["finance", "sales"])] {
            assert!(matches!(put(persons, departments), Err(PolicyError::Unusable { .. })), "{persons}");
        }
        assert!(put(2, &["finance", "sales"]).is_ok());
        assert!(put(u8::MAX, &[]).is_ok());
    }
}
