//! The report of `fobaudit value`.

use super::{
    GOOD, LOUD, TEST_NOTICE,
    evidence::{act_rows, shown_json},
    rows, styled,
};
use crate::{
    calendar::rfc3339,
    money::Money,
    value::{Accepted, ByPeople, Evidence, Refused},
};
use serde_json::{Value, json};

/// What an accepted record says, for people.
pub(crate) fn accepted_text(accepted: &Accepted) -> String {
    let update = &accepted.update;
    let money = |minor| Money { minor, currency: update.currency }.to_string();
    let mut parts = Vec::new();
    if accepted.test {
        parts.push(styled(LOUD, &TEST_NOTICE));
    }
    let mut all = vec![
        ("programme", update.programme.to_string()),
        ("card", update.card.to_string()),
        ("purse", update.purse.to_string()),
        ("operation", update.operation.name().to_owned()),
        ("amount", money(update.amount)),
        ("sequence number", update.seq.to_string()),
        ("balance", format!("{} -> {}", money(update.balance_before), money(update.balance_after))),
        ("terminal", update.terminal.to_string()),
        ("transaction", update.txn.to_string()),
        ("issued", rfc3339(update.issued_at_ms)),
        ("expires", rfc3339(update.expires_at_ms)),
        ("signed with", format!("{} version {}", accepted.key, accepted.key_version)),
        match &accepted.evidence {
            Evidence::Log { leaf, checkpoint } => {
                ("in the log", format!("leaf {leaf}, under a checkpoint of {} leaves", checkpoint.size))
            }
            Evidence::File { leaf, checkpoint } => (
                "in the log",
                format!(
                    "leaf {leaf}, under a checkpoint of {} leaves, by the evidence alone",
                    checkpoint.size
                ),
            ),
            Evidence::Bundle { not_after_ms, .. } => (
                "by the bundle",
                format!("which holds until {}; the log was not looked at", rfc3339(*not_after_ms)),
            ),
        },
    ];
    match &accepted.people {
        ByPeople::None => {}
        ByPeople::Named(digest) => all.push((
            "people",
            format!("it took several, by the evidence {digest}; name that file with --evidence to verify who they were"),
        )),
        ByPeople::Shown(shown) => all.extend(act_rows(shown)),
    }
    parts.push(rows(all));
    parts.push(styled(GOOD, &"VERIFIED"));
    parts.join("\n\n")
}

/// What an accepted record says, as JSON, schema `keysvc/fobaudit-value/1`.
pub(crate) fn accepted_json(accepted: &Accepted) -> Value {
    let update = &accepted.update;
    let (mut leaf, mut checkpoint, mut bundle) = (Value::Null, Value::Null, Value::Null);
    match &accepted.evidence {
        Evidence::Log { leaf: index, checkpoint: head }
        | Evidence::File { leaf: index, checkpoint: head } => {
            leaf = json!(index);
            checkpoint = json!({ "size": head.size, "root": head.root.to_string() });
        }
        Evidence::Bundle { made_at_ms, not_after_ms } => {
            bundle = json!({ "made_at_ms": made_at_ms, "not_after_ms": not_after_ms });
        }
    }
    json!({
        "schema": "keysvc/fobaudit-value/1",
        "verified": true,
        "programme": update.programme.as_str(),
        "card": update.card.to_string(),
        "purse": update.purse,
        "operation": update.operation.name(),
        "amount": update.amount,
        "currency": update.currency,
        "seq": update.seq,
        "balance_before": update.balance_before,
        "balance_after": update.balance_after,
        "terminal": update.terminal.as_str(),
        "txn": update.txn.to_string(),
        "issued_at_ms": update.issued_at_ms,
        "expires_at_ms": update.expires_at_ms,
        "key": accepted.key.as_str(),
        "key_version": accepted.key_version,
        "leaf": leaf,
        "checkpoint": checkpoint,
        "bundle": bundle,
        "evidence": update.evidence.map(|digest| digest.to_string()),
        "people": match &accepted.people {
            ByPeople::Shown(shown) => shown_json(shown),
            ByPeople::None | ByPeople::Named(_) => Value::Null,
        },
        "test": accepted.test,
    })
}

/// Why a record was refused, as JSON, schema `keysvc/fobaudit-value/1`.
pub(crate) fn refused_json(refused: &Refused) -> Value {
    json!({
        "schema": "keysvc/fobaudit-value/1",
        "verified": false,
        "refusal": refused.code(),
        "reason": refused.to_string(),
    })
}
