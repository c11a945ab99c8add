//! What a step of a plan asks for and what a request in the log asks for, in the same words: equal words are the same thing.

use super::{problem::Names, replay::Asked};
use keysvc_protocol::{
    bytes::ShortCheck,
    cbor,
    ceremony::Activity,
    control::Change,
    founding::{CardFamily, PrincipalKind},
    hash::sha256,
    key::KeyEvent,
    name::Name,
};
use std::fmt::Display;

/// What an activity asks for; nothing for those that ask for nothing.
pub(super) fn planned(activity: &Activity) -> Option<String> {
    Some(match activity {
        Activity::KeyCreate { name, kind } => create(name, kind),
        Activity::KeyActivate { name, version } => activate(name, *version),
        Activity::KeyRetire { name, version } => retire(name, *version),
        Activity::KeyImport { name, check_value, components } => {
            let components = components.iter().map(|one| (&one.custodian, digits(&one.check_value)));
            import(name, &digits(check_value), components)
        }
        Activity::PrincipalEnrol { name, kind, statement_key, .. } => {
            enrol(name, *kind, statement_key.map(|key| key.to_string()))
        }
        Activity::PolicyPropose { policy, large_above, .. } => policies(policy, *large_above),
        Activity::ProfilePut { family, name, version, digest, .. } => {
            profile(*family, (name, *version), digest.map(|digest| digest.to_string()))
        }
        Activity::Status
        | Activity::FoundingSign { .. }
        | Activity::Found { .. }
        | Activity::ComponentGive { .. }
        | Activity::Approve { .. }
        | Activity::KeyShow { .. } => return None,
    })
}

/// What a proposal in the log asks for, as far as the plan says it too: a key or digest that the plan leaves open is none
/// of these words.
pub(super) fn asked(asked: &Asked, planned: &Activity) -> String {
    let (mut says_key, mut says_digest, mut says_large) = (false, false, false);
    match planned {
        Activity::PrincipalEnrol { statement_key, .. } => says_key = statement_key.is_some(),
        Activity::ProfilePut { digest, .. } => says_digest = digest.is_some(),
        Activity::PolicyPropose { large_above, .. } => says_large = large_above.is_some(),
        _ => {}
    }
    match &asked.change {
        Some(Change::Create { name, kind }) => create(name, kind),
        Some(Change::Key { name, version, event: KeyEvent::Activate }) => activate(name, *version),
        Some(Change::Key { name, version, event: KeyEvent::Deactivate }) => retire(name, *version),
        Some(Change::Import { request }) => {
            let components = request.components.iter().map(|one| (&one.custodian, one.check.to_string()));
            import(&request.name, &request.check.to_string(), components)
        }
        Some(Change::Enrol { principal }) => {
            let key = principal.statement_key.as_ref().map(|key| sha256(&[key.as_bytes()]));
            let key = key.map_or_else(|| "none".to_owned(), |key| key.to_string());
            enrol(&principal.id, principal.kind, says_key.then_some(key))
        }
        Some(Change::Policies { request }) => {
            policies(&request.policy, says_large.then_some(request.proof.load_max))
        }
        Some(Change::Profile { profile: put }) => {
            let digest = says_digest.then(|| sha256(&[&cbor::encode(put)]).to_string());
            profile(put.family, (&put.name, put.version), digest)
        }
        _ => asked.operation.to_string(),
    }
}

/// What became of a proposal, and what it was about as far as its plan leaves that to a file.
pub(super) fn told(asked: &Asked) -> Option<String> {
    let act = asked.act.as_ref()?;
    let people: Names = act.people.iter().collect();
    let about = match (&asked.change, act.version) {
        (_, Some(version)) => format!("; it orders version {version}"),
        (Some(Change::Enrol { principal }), _) => {
            format!("; it enrols {}, {} of {}", principal.id, principal.kind, principal.group)
        }
        (Some(Change::Profile { profile: put }), _) => {
            format!("; it is version {} of card profile {}", put.version, put.name)
        }
        _ => String::new(),
    };
    Some(format!("act at leaf {}, agreed: {people}{about}", act.at.leaf))
}

fn enrol(name: &Name, kind: PrincipalKind, statement_key: Option<String>) -> String {
    let key = statement_key.map(|key| format!(" with the statement key {key}")).unwrap_or_default();
    format!("enrol {name} as {kind}{key}")
}

fn create(name: &Name, kind: &dyn Display) -> String {
    format!("make the next version of key {name} ({kind})")
}

fn activate(name: &Name, version: u32) -> String {
    format!("put key {name} version {version} into use")
}

fn retire(name: &Name, version: u32) -> String {
    format!("retire key {name} version {version}")
}

fn import<'a>(name: &Name, check: &str, components: impl Iterator<Item = (&'a Name, String)>) -> String {
    let held: Vec<_> = components.map(|(custodian, check)| format!("{custodian} ({check})")).collect();
    format!("import the next version of key {name} ({check}) from components of {}", held.join(", "))
}

fn policies(digest: &dyn Display, large_above: Option<u64>) -> String {
    let large =
        large_above.map(|above| format!(", proved for large loads above {above}")).unwrap_or_default();
    format!("put the policies {digest} into force{large}")
}

fn profile(family: CardFamily, (name, version): (&Name, u32), digest: Option<String>) -> String {
    let digest = digest.map(|digest| format!(", digest {digest}")).unwrap_or_default();
    format!("put version {version} of card profile {name} for {family} cards into use{digest}")
}

/// A check value as the log writes it; the plan's own text where it is none.
fn digits(text: &str) -> String {
    text.parse::<ShortCheck>().map_or_else(|_| text.to_owned(), |check| check.to_string())
}
