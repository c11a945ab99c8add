//! The report of `fobaudit evidence`, and what it has in common with the others that name people.

use super::{GOOD, LOUD, TEST_NOTICE, rows, styled};
use crate::{
    calendar::rfc3339,
    checks::Agreement,
    evidence::{Shown, Unproved},
};
use keysvc_protocol::{name::Name, quorum::Need, sentence};
use serde_json::{Value, json};

/// People with their departments.
pub(super) fn people(agreement: &Agreement) -> String {
    let people = agreement.people.iter().map(|(name, department)| format!("{name} ({department})"));
    let people: Vec<_> = people.collect();
    if people.is_empty() { "nobody that counts".to_owned() } else { people.join(", ") }
}

/// People with their departments, as JSON.
pub(super) fn people_json(agreement: &Agreement) -> Value {
    let people = agreement.people.iter();
    people
        .map(|(name, department)| json!({ "name": name.as_str(), "department": department.as_str() }))
        .collect()
}

/// A need, as JSON.
pub(super) fn need_json(need: &Need) -> Value {
    let named: Vec<_> = need.named.iter().map(Name::as_str).collect();
    json!({ "persons": need.persons, "departments": need.departments, "named": named })
}

/// The act of a proved evidence file: rows of names and what they say.
pub(super) fn act_rows(shown: &Shown) -> Vec<(&'static str, String)> {
    let request = &shown.proved.proposal.request;
    let unsaid = || "its request cannot be read with what the file holds".to_owned();
    vec![
        ("act", shown.sentence.clone().unwrap_or_else(unsaid)),
        ("operation", request.operation.to_string()),
        ("asked by", request.requester.to_string()),
        ("agreed", people(&shown.agreement)),
        ("it took", sentence::need(&shown.agreement.need)),
        ("proposed", rfc3339(shown.proved.proposal.created_ms)),
        ("done", format!("{}, leaf {}", rfc3339(shown.proved.at.time_ms), shown.proved.at.index)),
        ("proposal", shown.proved.proposal.id.to_string()),
        ("evidence", shown.digest.to_string()),
    ]
}

/// What an evidence file proves, for people.
pub(crate) fn evidence_text(shown: &Shown) -> String {
    let mut parts = Vec::new();
    if shown.founded.founding.development {
        parts.push(styled(LOUD, &TEST_NOTICE));
    }
    let mut all = act_rows(shown);
    all.push(("in the log", format!("under a checkpoint of {} leaves", shown.checkpoint.size)));
    parts.push(rows(all));
    parts.push(styled(GOOD, &"VERIFIED"));
    parts.join("\n\n")
}

/// What an evidence file proves, as JSON without its schema.
pub(super) fn shown_json(shown: &Shown) -> Value {
    let request = &shown.proved.proposal.request;
    json!({
        "leaf": shown.proved.at.index,
        "time_ms": shown.proved.at.time_ms,
        "proposal": shown.proved.proposal.id.to_string(),
        "evidence": shown.digest.to_string(),
        "operation": request.operation.name(),
        "sentence": shown.sentence,
        "requester": request.requester.as_str(),
        "people": people_json(&shown.agreement),
        "need": need_json(&shown.agreement.need),
        "created_ms": shown.proved.proposal.created_ms,
        "expires_ms": shown.proved.proposal.expires_ms,
        "checkpoint": { "size": shown.checkpoint.size, "root": shown.checkpoint.root.to_string() },
    })
}

/// What an evidence file proves, as JSON, schema `keysvc/fobaudit-evidence/1`.
pub(crate) fn evidence_json(shown: &Shown) -> Value {
    json!({
        "schema": "keysvc/fobaudit-evidence/1",
        "verified": true,
        "test": shown.founded.founding.development,
        "act": shown_json(shown),
    })
}

/// Why an evidence file proves nothing, as JSON, schema `keysvc/fobaudit-evidence/1`.
pub(crate) fn unproved_json(unproved: &Unproved) -> Value {
    json!({
        "schema": "keysvc/fobaudit-evidence/1",
        "verified": false,
        "reason": unproved.to_string(),
    })
}
