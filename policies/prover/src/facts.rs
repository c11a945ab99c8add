//! The facts of one request that the solver found, read back as plain values.
//! Apart so that neither the wishes nor the words know how Cedar holds them.

use cedar_policy::{Entity, EntityUid, EvalResult};
use cedar_policy_symcc::Env;

/// The kinds that can be enrolled.
pub(crate) const KINDS: [&str; 7] =
    ["officer", "operator", "office", "auditor", "platform", "station", "terminal"];

/// The kinds of keys that are made, imported and destroyed on request.
pub(crate) const KEY_KINDS: [&str; 2] = ["card-master", "value-signing"];

/// What can be frozen.
pub(crate) const SCOPES: [&str; 9] =
    ["all", "key", "programme", "store", "profile", "station", "terminal", "job", "card"];

/// What the keeper counts up to: people are counted in eight bits, officers in thirty-two.
const PERSONS_MAX: i64 = 255;
const OFFICERS_MAX: i64 = 4_294_967_295;

/// What the keeper counts generations, cards and slots up to.
const COUNT_MAX: i64 = 4_294_967_295;

/// One request's facts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a>(pub(crate) &'a Env);

impl<'a> Facts<'a> {
    /// The operation's name.
    pub(crate) fn action(self) -> &'a str {
        self.0.request.action().map_or("", |action| action.id().unescaped())
    }

    /// The name the caller is enrolled under.
    pub(crate) fn principal_name(self) -> &'a str {
        self.0.request.principal().map_or("", |uid| uid.id().unescaped())
    }

    /// The name of what it is about.
    pub(crate) fn resource_name(self) -> &'a str {
        self.0.request.resource().map_or("", |uid| uid.id().unescaped())
    }

    /// A text of the caller's; empty where there is none.
    pub(crate) fn of_principal(self, name: &str) -> String {
        text(self.attribute(self.0.request.principal(), name)).unwrap_or_default()
    }

    /// What the caller is enrolled for beyond its kind.
    pub(crate) fn capabilities(self) -> Vec<String> {
        texts(self.attribute(self.0.request.principal(), "capabilities")).unwrap_or_default()
    }

    /// Whose it is, where the resource says so.
    pub(crate) fn resource_organisation(self) -> Option<String> {
        text(self.attribute(self.0.request.resource(), "organisation"))
    }

    /// Its currency, where the resource has one.
    pub(crate) fn currency(self) -> Option<i64> {
        long(self.attribute(self.0.request.resource(), "currency"))
    }

    /// Another text of what it is about.
    pub(crate) fn of_resource(self, name: &str) -> Option<String> {
        text(self.attribute(self.0.request.resource(), name))
    }

    /// Whether it is a resource of this type.
    pub(crate) fn is_about(self, kind: &str) -> bool {
        self.0.request.resource().is_some_and(|uid| uid.type_name().basename() == kind)
    }

    /// A number among the circumstances.
    pub(crate) fn number(self, name: &str) -> Option<i64> {
        long(self.context(name))
    }

    /// A text among the circumstances.
    pub(crate) fn text(self, name: &str) -> Option<String> {
        text(self.context(name))
    }

    /// A yes or no among the circumstances.
    pub(crate) fn flag(self, name: &str) -> Option<bool> {
        match self.context(name)? {
            EvalResult::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// The departments behind the request; `None` where the operation takes no people.
    pub(crate) fn departments(self) -> Option<Vec<String>> {
        self.names("departments")
    }

    /// A set of names among the circumstances.
    pub(crate) fn names(self, name: &str) -> Option<Vec<String>> {
        texts(self.context(name))
    }

    /// Whether the keeper could put such a request: a theorem that fails on another one fails as well,
    /// but a person who reads it is told.
    pub(crate) fn are_plausible(self) -> bool {
        let among =
            |name, known: &[&str]| self.text(name).is_none_or(|value| known.contains(&value.as_str()));
        let at_least = |name, least| self.number(name).is_none_or(|number| number >= least);
        let kind = self.of_principal("kind");
        let own_is_own = self.flag("own") != Some(true)
            || (self.action() == "principal.rotate" && self.text("subject_kind").as_ref() == Some(&kind));

        KINDS.contains(&kind.as_str())
            && among("subject_kind", &KINDS)
            && among("key_kind", &KEY_KINDS)
            && among("scope", &SCOPES)
            && among("operation", &["load", "debit"])
            && at_least("amount", 0)
            && self.number("officers").is_none_or(|count| (0..=OFFICERS_MAX).contains(&count))
            && self.currency().is_none_or(|code| (0..=999).contains(&code))
            && own_is_own
            && self.number("generation").is_none_or(|number| (1..=COUNT_MAX).contains(&number))
            && ["cards", "slots"]
                .iter()
                .all(|name| self.number(name).is_none_or(|number| (0..=COUNT_MAX).contains(&number)))
            && self.text("caller").is_none_or(|caller| caller == self.principal_name())
            && self.has_plausible_signers()
            && self.has_a_plausible_quorum()
    }

    /// Whether who did something and who signs have names, and as many sign as the keeper lets pass.
    fn has_plausible_signers(self) -> bool {
        let said = |name: &str| self.text(name).is_none_or(|value| !value.is_empty());
        let named = |name: &str| self.names(name).is_none_or(|all| all.iter().all(|one| !one.is_empty()));
        let operators = self.names("operators").map(|names| names.len());
        let signed = match self.action() {
            "job.open" | "job.resume" => operators == Some(2),
            "job.count" | "job.incident" => operators == Some(1) && said("reviewer"),
            "job.close" => operators == Some(0) && said("witness"),
            _ => operators.is_none_or(|count| count == 0),
        };
        let is_sealed = self.action() == "job.seal" || said("sealed_by");
        signed && is_sealed && said("created_by") && named("operators") && named("operated_by")
    }

    fn has_a_plausible_quorum(self) -> bool {
        let (Some(persons), Some(count), Some(departments)) =
            (self.number("persons"), self.number("departments_count"), self.departments())
        else {
            return true;
        };
        i64::try_from(departments.len()) == Ok(count)
            && (0..=PERSONS_MAX).contains(&persons)
            && count <= persons
            && (persons == 0) == (count == 0)
    }

    fn context(self, name: &str) -> Option<EvalResult> {
        self.0.request.context()?.get(name)
    }

    fn attribute(self, of: Option<&EntityUid>, name: &str) -> Option<EvalResult> {
        of.and_then(|uid| self.0.entities.get(uid)).and_then(|entity: &Entity| entity.attr(name))?.ok()
    }
}

fn text(value: Option<EvalResult>) -> Option<String> {
    match value? {
        EvalResult::String(text) => Some(text),
        _ => None,
    }
}

fn long(value: Option<EvalResult>) -> Option<i64> {
    match value? {
        EvalResult::Long(number) => Some(number),
        _ => None,
    }
}

fn texts(value: Option<EvalResult>) -> Option<Vec<String>> {
    match value? {
        // A set of Cedar's is sorted, and so is this.
        EvalResult::Set(set) => Some(set.iter().filter_map(|member| text(Some(member.clone()))).collect()),
        _ => None,
    }
}
