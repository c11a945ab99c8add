//! The report of `fobaudit value`.

use super::{GOOD, LOUD, TEST_NOTICE, rows, styled};
use crate::{
    money::Money,
    value::{Accepted, Refused},
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What an accepted record says, for people.
pub(crate) fn accepted_text(accepted: &Accepted) -> String {
    let update = &accepted.update;
    let money = |minor| Money { minor, currency: update.currency }.to_string();
    let mut parts = Vec::new();
    if accepted.test {
        parts.push(styled(LOUD, &TEST_NOTICE));
    }
    parts.push(rows(vec![
        ("programme", update.programme.to_string()),
        ("card", update.card.to_string()),
        ("purse", update.purse.to_string()),
        ("operation", update.operation.name().to_owned()),
        ("amount", money(update.amount)),
        ("sequence number", update.seq.to_string()),
        ("balance", format!("{} -> {}", money(update.balance_before), money(update.balance_after))),
        ("terminal", update.terminal.to_string()),
        ("transaction", update.txn.to_string()),
        ("issued", utc(update.issued_at_ms)),
        ("expires", utc(update.expires_at_ms)),
        ("signed with", format!("{} version {}", accepted.key, accepted.key_version)),
        (
            "in the log",
            format!("leaf {}, under a checkpoint of {} leaves", accepted.leaf, accepted.checkpoint.size),
        ),
    ]));
    parts.push(styled(GOOD, &"VERIFIED"));
    parts.join("\n\n")
}

/// What an accepted record says, as JSON, schema `keysvc/fobaudit-value/1`.
pub(crate) fn accepted_json(accepted: &Accepted) -> Value {
    let update = &accepted.update;
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
        "leaf": accepted.leaf,
        "checkpoint": { "size": accepted.checkpoint.size, "root": accepted.checkpoint.root.to_string() },
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

/// A time for people, RFC 3339 in UTC; the milliseconds themselves where the calendar ends.
fn utc(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{ms} ms after 1970-01-01"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_utc_as_far_as_the_calendar_goes() {
        assert_eq!(utc(1_795_000_000_500), "2026-11-18T11:06:40.5Z");
        assert_eq!(utc(u64::MAX), "18446744073709551615 ms after 1970-01-01");
    }
}
