//! The report of `fobaudit controls`: one line for each act that took people, then what there was of each kind, then what
//! is wrong.

use super::{
    BAD, LOUD, TEST_NOTICE,
    evidence::{need_json, people, people_json},
    governed, rows, styled,
    verify::{finding_json, findings, is_test, verdict},
};
use crate::{
    calendar::{rfc3339, utc},
    checks::{Act, Acts, Outcome},
    verify::{Controls, Proved, Verification},
};
use keysvc_protocol::sentence;
use serde_json::{Value, json};

/// What stands where a request cannot be read.
const UNREAD: &str = "(its request cannot be read)";

/// The report for people.
pub(crate) fn controls_text(verification: &Verification) -> String {
    let mut parts = Vec::new();
    if let Some(proved) = &verification.proved {
        if is_test(proved) {
            parts.push(styled(LOUD, &TEST_NOTICE));
        }
        let controls = &proved.controls;
        parts.extend(controls.acts.as_ref().and_then(acts));
        parts.extend(controls.acts.as_ref().and_then(alone));
        parts.extend(governed::changes(controls));
        parts.push(rows(totals(verification, proved)));
        parts.extend(controls.not_followed().map(|note| format!("not followed: {note}")));
        parts.extend(proved.jobs.not_followed().into_iter().map(|note| format!("not followed: {note}")));
    } else {
        parts.push(rows(vec![("trust domain", verification.trust.domain.to_string())]));
    }
    parts.extend(findings(verification));
    parts.push(verdict(verification));
    parts.join("\n\n")
}

fn acts(acts: &Acts) -> Option<String> {
    let mut lines: Vec<_> = acts.kept().iter().map(line).collect();
    if acts.more() > 0 {
        lines.push(format!("and {} more acts, which were verified as well", acts.more()));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn line(act: &Act) -> String {
    let Act { leaf, time_ms, sentence, requester, agreement, outcome, .. } = act;
    let said = sentence.as_deref().unwrap_or(UNREAD);
    let need = sentence::need(&agreement.need);
    let agreed = people(agreement);
    let became = match outcome {
        Outcome::Done => String::new(),
        Outcome::Waits { due_ms } => format!(" Waits until {} at least.", utc(*due_ms)),
        Outcome::InForce { leaf } => format!(" In force since leaf {leaf}."),
        Outcome::Cancelled { leaf } => format!(" Withdrawn at leaf {leaf}."),
        Outcome::Unknown => " Not judged: what it stands on is withheld.".to_owned(),
        Outcome::NotGood => format!(" {}", styled(BAD, &"NOT GOOD.")),
    };
    let at = utc(*time_ms);
    format!("leaf {leaf}, {at}: {said} Asked by {requester}; agreed: {agreed}; it took {need}.{became}")
}

fn alone(acts: &Acts) -> Option<String> {
    let lines = acts.alone().iter().map(|alone| {
        let said = alone.sentence.as_deref().unwrap_or(UNREAD);
        format!(
            "leaf {}, {}: {said} By {} alone, which is enough for it.",
            alone.leaf,
            utc(alone.time_ms),
            alone.by
        )
    });
    let lines: Vec<_> = lines.collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn totals(verification: &Verification, proved: &Proved) -> Vec<(&'static str, String)> {
    let Controls { totals, control, .. } = &proved.controls;
    let open = control.proposals().open().count();
    let mut rows = vec![
        ("trust domain", verification.trust.domain.to_string()),
        ("genesis", verification.trust.genesis.to_string()),
        ("checkpoint", format!("{} at {} leaves", proved.origin, proved.checkpoint.size)),
        ("acts by quorum", format!("{} verified, with {} approvals", totals.acts, totals.approvals)),
        ("by one alone", format!("{}, each of which takes one", totals.alone)),
        (
            "proposals",
            format!(
                "{}: {} rejected, {} withdrawn, {} expired, {} failed, {open} open",
                totals.proposals, totals.rejected, totals.cancelled, totals.expired, totals.failed
            ),
        ),
    ];
    rows.extend(governed::standing(control));
    for (leaf, waiting) in control.waiting() {
        rows.push(("waits", format!("the act of leaf {leaf}, until {} at least", rfc3339(waiting.due_ms))));
    }
    for (scope, freeze) in control.freezes().iter() {
        rows.push((
            "frozen",
            format!("{scope}, by {} at leaf {}: {}", freeze.by, freeze.leaf, freeze.reason),
        ));
    }
    if control.clock().is_disputed() {
        rows.push(("clock", "disputed; two officers have not confirmed it".to_owned()));
    }
    let seconds = verification.elapsed.as_secs_f64();
    rows.push(("leaves", format!("{} in {seconds:.3} s", proved.leaves)));
    rows
}

/// The report as JSON, schema `keysvc/fobaudit-controls/1`.
pub(crate) fn controls_json(verification: &Verification) -> Value {
    let kept: Vec<_> = verification.findings.kept().iter().map(finding_json).collect();
    json!({
        "schema": "keysvc/fobaudit-controls/1",
        "verified": verification.findings.total() == 0,
        "reason": verification.findings.first().map(ToString::to_string),
        "trust_domain": verification.trust.domain.as_str(),
        "genesis": verification.trust.genesis.to_string(),
        "elapsed_ms": u64::try_from(verification.elapsed.as_millis()).unwrap_or(u64::MAX),
        "findings": kept,
        "findings_total": verification.findings.total(),
        "log": verification.proved.as_ref().map(log_json),
    })
}

fn log_json(proved: &Proved) -> Value {
    let Controls { totals, control, acts, .. } = &proved.controls;
    let (acts_kept, alone, more) = acts.as_ref().map_or((Vec::new(), Vec::new(), 0), |acts| {
        (acts.kept().iter().map(act_json).collect(), alone_json(acts), acts.more())
    });
    let waiting: Vec<_> =
        control.waiting().map(|(leaf, waiting)| json!({ "leaf": leaf, "due_ms": waiting.due_ms })).collect();
    let frozen: Vec<_> = control
        .freezes()
        .iter()
        .map(|(scope, freeze)| {
            json!({ "scope": scope.to_string(), "by": freeze.by.as_str(), "leaf": freeze.leaf, "reason": freeze.reason.as_str() })
        })
        .collect();
    json!({
        "origin": proved.origin,
        "checkpoint": { "size": proved.checkpoint.size, "root": proved.checkpoint.root.to_string() },
        "leaves": proved.leaves,
        "acts": acts_kept,
        "acts_more": more,
        "alone": alone,
        "acts_total": totals.acts,
        "approvals_total": totals.approvals,
        "alone_total": totals.alone,
        "proposals": {
            "made": totals.proposals,
            "rejected": totals.rejected,
            "cancelled": totals.cancelled,
            "expired": totals.expired,
            "failed": totals.failed,
            "open": control.proposals().open().count(),
        },
        "changes": governed::changes_json(&proved.controls),
        "standing": governed::standing_json(control),
        "waiting": waiting,
        "frozen": frozen,
        "clock_disputed": control.clock().is_disputed(),
        "leaves_not_followed": totals.unfollowed,
        "not_followed": proved.controls.not_followed(),
    })
}

fn act_json(act: &Act) -> Value {
    let (outcome, leaf, due_ms) = match act.outcome {
        Outcome::Done => ("done", None, None),
        Outcome::Waits { due_ms } => ("waits", None, Some(due_ms)),
        Outcome::InForce { leaf } => ("in_force", Some(leaf), None),
        Outcome::Cancelled { leaf } => ("cancelled", Some(leaf), None),
        Outcome::Unknown => ("unknown", None, None),
        Outcome::NotGood => ("not_good", None, None),
    };
    json!({
        "leaf": act.leaf,
        "time_ms": act.time_ms,
        "operation": act.operation.name(),
        "sentence": act.sentence,
        "requester": act.requester.as_str(),
        "people": people_json(&act.agreement),
        "need": need_json(&act.agreement.need),
        "outcome": outcome,
        "outcome_leaf": leaf,
        "due_ms": due_ms,
    })
}

fn alone_json(acts: &Acts) -> Vec<Value> {
    let alone = acts.alone().iter().map(|alone| {
        json!({
            "leaf": alone.leaf,
            "time_ms": alone.time_ms,
            "operation": alone.operation.name(),
            "sentence": alone.sentence,
            "by": alone.by.as_str(),
        })
    });
    alone.collect()
}
