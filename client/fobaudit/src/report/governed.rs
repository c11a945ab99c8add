//! What `fobaudit controls` says of the rules that the service follows: at which leaf policies, card profiles and imported
//! keys changed, and by whom.

use super::evidence::{people, people_json};
use crate::{
    calendar::utc,
    checks::{Act, Acts, Governed, Outcome},
    verify::Controls,
};
use keysvc_protocol::control::{Control, Import, Order};
use serde_json::{Value, json};

/// The changes, one a line; nothing where there are none.
pub(super) fn changes(controls: &Controls) -> Option<String> {
    let lines: Vec<_> =
        in_force(controls).map(|(act, governed)| line(&controls.control, act, governed)).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The policies and profiles that stand at the end.
pub(super) fn standing(control: &Control) -> Vec<(&'static str, String)> {
    let since = |leaf: u64| match leaf {
        0 => "the founding's".to_owned(),
        leaf => format!("since leaf {leaf}"),
    };
    let policies = control.policies();
    let mut rows = vec![("policies", format!("{}, {}", policies.digest(), since(policies.leaf())))];
    for in_use in control.profiles().iter() {
        let profile = &in_use.profile;
        let text = format!(
            "{} version {}, {}, {}",
            profile.name,
            profile.version,
            profile.family,
            since(in_use.leaf)
        );
        rows.push(("card profile", text));
    }
    rows
}

fn in_force(controls: &Controls) -> impl Iterator<Item = (&Act, &Governed)> {
    let acts = controls.acts.iter().flat_map(Acts::kept);
    acts.filter(|act| act.outcome == Outcome::Done).filter_map(|act| Some((act, act.governed.as_ref()?)))
}

fn line(control: &Control, act: &Act, governed: &Governed) -> String {
    let Act { leaf, time_ms, requester, agreement, .. } = act;
    let what = match governed {
        Governed::Policies(digest) => format!("policies {digest} in force"),
        Governed::Profile { name, version, family } => {
            format!("version {version} of card profile {name} in use, for {family} cards")
        }
        Governed::Import(name) => imported(name.as_str(), control.keys().order(*leaf)),
    };
    let (at, agreed) = (utc(*time_ms), people(agreement));
    format!("from leaf {leaf}, {at}: {what}; asked by {requester}, agreed: {agreed}")
}

fn imported(name: &str, order: Option<&Order>) -> String {
    let Some((order, import)) = order.and_then(|order| Some((order, order.import.as_ref()?))) else {
        return format!("key {name} to come in as components");
    };
    let made = if order.made { "made" } else { "not made so far" };
    let held = components(import).map(|(number, custodian, leaf)| match leaf {
        Some(leaf) => format!("component {number} of {custodian} at leaf {leaf}"),
        None => format!("component {number} of {custodian} not given"),
    });
    let (version, check) = (order.version, import.check);
    let held: Vec<_> = held.collect();
    format!("key {name} version {version} with check value {check} from {}, {made}", held.join(" and "))
}

fn components(import: &Import) -> impl Iterator<Item = (u8, &str, Option<u64>)> {
    (1_u8..)
        .zip(import.components.iter())
        .map(|(number, component)| (number, component.custodian.as_str(), import.given.get(&number).copied()))
}

/// The changes, as JSON.
pub(super) fn changes_json(controls: &Controls) -> Vec<Value> {
    in_force(controls).map(|(act, governed)| change_json(&controls.control, act, governed)).collect()
}

fn change_json(control: &Control, act: &Act, governed: &Governed) -> Value {
    let mut change = match governed {
        Governed::Policies(digest) => json!({ "what": "policies", "policy": digest.to_string() }),
        Governed::Profile { name, version, family } => {
            json!({ "what": "profile", "name": name.as_str(), "version": version, "family": family.name() })
        }
        Governed::Import(name) => {
            let order = control.keys().order(act.leaf);
            let import = order.and_then(|order| order.import.as_ref());
            let held = import.map(|import| {
                let held = components(import).map(|(number, custodian, leaf)| {
                    json!({ "number": number, "custodian": custodian, "leaf": leaf })
                });
                held.collect::<Vec<_>>()
            });
            json!({
                "what": "import",
                "name": name.as_str(),
                "version": order.map(|order| order.version),
                "check_value": import.map(|import| import.check.to_string()),
                "components": held,
                "made": order.is_some_and(|order| order.made),
            })
        }
    };
    if let Some(change) = change.as_object_mut() {
        change.insert("leaf".to_owned(), json!(act.leaf));
        change.insert("time_ms".to_owned(), json!(act.time_ms));
        change.insert("requester".to_owned(), json!(act.requester.as_str()));
        change.insert("people".to_owned(), people_json(&act.agreement));
    }
    change
}

/// The policies and profiles that stand at the end, as JSON.
pub(super) fn standing_json(control: &Control) -> Value {
    let profiles = control.profiles().iter().map(|in_use| {
        let profile = &in_use.profile;
        json!({
            "name": profile.name.as_str(),
            "version": profile.version,
            "family": profile.family.name(),
            "leaf": in_use.leaf,
        })
    });
    json!({
        "policy": control.policy().to_string(),
        "policy_leaf": control.policies().leaf(),
        "profiles": profiles.collect::<Vec<_>>(),
    })
}
