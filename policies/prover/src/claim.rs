//! What is to be proved, as a list: which requests the site's policies permit to nobody.
//! The list is the program's and cannot be shortened in the field; it does not prove anything itself.

use crate::error::ProverError;

/// Minor units a terminal may load without anybody's approval, unless the site says otherwise: as in
/// the shipped site.cedar, 1,000.00 in a currency with two decimals.
pub const LOAD_MAX_DEFAULT: u64 = 100_000;

/// What takes two people, and how a person says it.
///
/// The ceiling asks the same of these, and of some three. A site's policies are to ask for two of all.
pub(crate) const TWO_PEOPLE: [(&str, &str); 13] = [
    ("principal.enrol", "enrol anybody"),
    ("principal.rotate", "change anybody's keys"),
    ("principal.enable", "enable anybody again"),
    ("key.create", "create a key"),
    ("key.activate", "activate a key"),
    ("key.retire", "retire a key"),
    ("key.destroy", "destroy a key"),
    ("key.import", "import a key"),
    ("policy.propose", "change the policies"),
    ("profile.put", "put a card profile"),
    ("freeze.lift", "lift a freeze"),
    ("quorum.set", "change the thresholds"),
    ("clock.confirm", "confirm the clock"),
];

/// What only officers do.
pub(crate) const VOTES: [(&str, &str); 2] =
    [("proposal.approve", "approve a proposal"), ("proposal.reject", "reject a proposal")];

/// What stops something, and should not wait for a second person.
pub(crate) const STOPS: [(&str, &str); 4] = [
    ("principal.disable", "disable anybody"),
    ("key.suspend", "suspend a key"),
    ("key.compromise", "mark a key as compromised"),
    ("freeze.set", "set a freeze"),
];

/// What one person may not do who did something before, or does something beside it: a short name, the
/// sentence, the action and the condition. That two operators are not one person, Cedar cannot count:
/// that is the keeper's.
pub(crate) const SEPARATIONS: [(&str, &str, &str, &str); 9] = [
    (
        "who created does not seal",
        "nobody can seal a job they created",
        "job.seal",
        "context.caller == context.created_by",
    ),
    (
        "who created, sealed or reviewed does not open",
        "nobody can open a job with an operator who created, sealed or reviewed it",
        "job.open",
        "context.operators.contains(context.created_by) || context.operators.contains(context.sealed_by) \
         || context.operators.containsAny(context.reviewed_by)",
    ),
    (
        "who created, sealed or reviewed does not resume",
        "nobody can resume a job with an operator who created, sealed or reviewed it",
        "job.resume",
        "context.operators.contains(context.created_by) || context.operators.contains(context.sealed_by) \
         || context.operators.containsAny(context.reviewed_by)",
    ),
    (
        "who operates does not review a count",
        "nobody can count a job with a reviewer who operates or operated it",
        "job.count",
        "context.operators.contains(context.reviewer) || context.operated_by.contains(context.reviewer)",
    ),
    (
        "who operates does not review an incident",
        "nobody can report an incident with a reviewer who operates or operated the job",
        "job.incident",
        "context.operators.contains(context.reviewer) || context.operated_by.contains(context.reviewer)",
    ),
    (
        "who created, sealed or operated does not witness",
        "nobody can close a job with a witness who created, sealed or operated it",
        "job.close",
        "context.witness == context.created_by || context.witness == context.sealed_by \
         || context.operated_by.contains(context.witness)",
    ),
    (
        "who operated gets no record",
        "nobody can get the record of a job they operated",
        "job.record",
        "context.operated_by.contains(context.caller)",
    ),
    (
        "operators suspend",
        "nobody can suspend a job they never operated",
        "job.suspend",
        "!context.operated_by.contains(context.caller)",
    ),
    (
        "two people: another generation",
        "nobody can derive another generation of a card's keys with fewer than two people",
        "card.derive",
        "context.generation > 1 && context.persons < 2",
    ),
];

/// The action of loads and debits.
pub(crate) const UPDATE: &str = "value.update";

/// One theorem before it is proved.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Short and unique: `two people: freeze.lift`.
    pub(crate) name: String,
    /// In words.
    pub(crate) statement: String,
    /// The action it is about.
    pub(crate) action: &'static str,
    /// The requests nobody may be permitted, as a Cedar condition.
    pub(crate) region: String,
}

/// Every theorem, loads being large above `load_max` minor units.
pub(crate) fn all(load_max: u64) -> Result<Vec<Claim>, ProverError> {
    // At the very largest amount no load would be large, and the theorem would say nothing.
    let limit = i64::try_from(load_max).ok().filter(|limit| *limit < i64::MAX).ok_or(ProverError::LoadMax)?;
    let mut claims: Vec<_> = TWO_PEOPLE
        .iter()
        .map(|(action, doing)| Claim {
            name: format!("two people: {action}"),
            statement: format!("nobody can {doing} with fewer than two people"),
            action,
            region: "context.persons < 2".to_owned(),
        })
        .collect();
    claims.push(Claim {
        name: "two people: large load".to_owned(),
        statement: format!("nobody can load more than {limit} minor units with fewer than two people"),
        action: UPDATE,
        region: format!("context.persons < 2 && context.operation == \"load\" && context.amount > {limit}"),
    });
    claims.extend(VOTES.iter().map(|(action, doing)| Claim {
        name: format!("officers only: {action}"),
        statement: format!("nobody but an officer can {doing}"),
        action,
        region: "principal.kind != \"officer\"".to_owned(),
    }));
    claims.extend(SEPARATIONS.iter().map(|&(name, statement, action, region)| Claim {
        name: name.to_owned(),
        statement: statement.to_owned(),
        action,
        region: region.to_owned(),
    }));
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cedar_policy::Schema;
    use keysvc_policies::SCHEMA;

    use super::*;

    /// What takes one, changes nothing that lasts, or is judged otherwise. An operation that is added
    /// stands here or has a theorem.
    const OTHERS: [&str; 28] = [
        "status",
        "key.list",
        "key.get",
        "bundle.get",
        "value.batch",
        "profile.get",
        "profile.list",
        "policy.get",
        "proposal.list",
        "proposal.get",
        "proposal.cancel",
        "proposal.result",
        "principal.list",
        "key.impact",
        "freeze.list",
        "evidence.get",
        "component.key",
        "component.give",
        "ceremony.record",
        "job.create",
        "job.items",
        "job.withdraw",
        "card.result",
        "job.get",
        "job.list",
        "card.check",
        // Who moves which card on is a matter of kinds, and a card in use can be frozen by one.
        "card.transition",
        "log.checkpoint",
    ];
    const LOG: [&str; 2] = ["log.entries", "log.proof"];

    #[test]
    fn every_action_of_the_schema_has_a_theorem_or_is_known_to_need_none() {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        let declared: BTreeSet<_> =
            schema.actions().map(|action| action.id().unescaped().to_owned()).collect();
        let claims = all(LOAD_MAX_DEFAULT).unwrap();
        let proved = claims.iter().map(|claim| claim.action).chain(STOPS.map(|(action, _)| action));
        let known: BTreeSet<_> = proved.chain(OTHERS).chain(LOG).map(str::to_owned).collect();
        assert_eq!(declared, known);
    }

    #[test]
    fn the_names_of_theorems_differ() {
        let claims = all(LOAD_MAX_DEFAULT).unwrap();
        let names: BTreeSet<_> = claims.iter().map(|claim| &claim.name).collect();
        assert_eq!((claims.len(), names.len()), (25, 25));
    }

    #[test]
    fn a_limit_above_which_no_load_can_be_is_refused() {
        let largest = u64::try_from(i64::MAX).unwrap();
        assert!(all(largest - 1).is_ok());
        for limit in [largest, largest + 1, u64::MAX] {
            assert!(matches!(all(limit), Err(ProverError::LoadMax)), "{limit}");
        }
    }
}
