//! The report of `fobaudit verify`.

use super::{BAD, GOOD, LOUD, TEST_NOTICE, lines, rows, styled};
use crate::{
    checks::Totals,
    finding::Finding,
    verify::{Proved, Verification},
};
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde_json::{Value, json};

/// The report for people: what was checked, the figures, all findings kept, and the verdict last.
pub(crate) fn text(verification: &Verification) -> String {
    let mut parts = Vec::new();
    if let Some(proved) = &verification.proved {
        if is_test(proved) {
            parts.push(styled(LOUD, &TEST_NOTICE));
        }
        parts.push(rows(head(verification, proved)));
        parts.push(kinds(proved));
        parts.extend(notes(proved));
    } else {
        parts.push(rows(vec![("trust domain", verification.trust.domain.to_string())]));
    }
    parts.extend(findings(verification));
    parts.push(verdict(verification));
    parts.join("\n\n")
}

pub(super) fn is_test(proved: &Proved) -> bool {
    proved.development || !proved.test_keys.is_empty()
}

fn head(verification: &Verification, proved: &Proved) -> Vec<(&'static str, String)> {
    let seconds = verification.elapsed.as_secs_f64();
    let mut rows = vec![
        ("trust domain", verification.trust.domain.to_string()),
        ("genesis", verification.trust.genesis.to_string()),
        ("founding", format!("signed by all {} officers", proved.officers)),
        ("checkpoint", format!("{} at {} leaves", proved.origin, proved.checkpoint.size)),
        ("root", proved.checkpoint.root.to_string()),
    ];
    for (file, size, continued) in &proved.previous {
        let verdict = if *continued { "continued" } else { "NOT continued" };
        rows.push(("older checkpoint", format!("{file} at {size} leaves: {verdict}")));
    }
    rows.push((
        "statements",
        format!("{} signatures of stations, terminals and operators verified", proved.statements),
    ));
    let Totals { acts, approvals, .. } = proved.controls.totals;
    rows.push(("acts by quorum", format!("{acts} verified, with {approvals} approvals")));
    let registry = proved.jobs.jobs.registry();
    let jobs = registry.jobs().count();
    if jobs > 0 {
        let cards = registry.cards();
        rows.push(("jobs", format!("{jobs} followed from draft to purge, with {cards} cards")));
    }
    rows.push(("purses", format!("{} followed from update to update", proved.purses)));
    let pace = format!("in {seconds:.3} s, {} a second", rate(verification, proved));
    rows.push((
        "leaves",
        match (proved.before, proved.read()) {
            (0, _) => format!("{} {pace}", proved.leaves),
            (before, 0) => format!("{before}, all of them verified before: nothing new"),
            (before, read) => format!("{}: {read} read now {pace}, {before} verified before", proved.leaves),
        },
    ));
    rows
}

fn rate(verification: &Verification, proved: &Proved) -> u64 {
    // At least 1 ms, so that a tiny log shows a finite figure.
    let ms = verification.elapsed.as_millis().max(1);
    let rate = u128::from(proved.read()).saturating_mul(1000).checked_div(ms).unwrap_or_default();
    u64::try_from(rate).unwrap_or(u64::MAX)
}

fn kinds(proved: &Proved) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["leaves of kind", "found", "checked", "not checked"]);
    for (name, count) in proved.kinds.iter().filter(|(_, count)| count.leaves > 0) {
        let numbers = [count.leaves, count.checked, count.not_checked].map(|number| number.to_string());
        table.add_row([(*name).to_owned()].into_iter().chain(numbers));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    lines(&table)
}

/// What was not checked, and what is unfinished; none of it makes a log wrong.
fn notes(proved: &Proved) -> Option<String> {
    let mut notes = Vec::new();
    for (name, count) in proved.kinds.iter().filter(|(_, count)| count.not_checked > 0) {
        notes.push(format!(
            "not checked: the content of {} leaves of kind {name}, whose payloads are withheld or not proved",
            count.not_checked
        ));
    }
    if proved.unlinked > 0 {
        notes.push(format!(
            "not checked: {} steps between updates of a purse, where updates are withheld",
            proved.unlinked
        ));
    }
    notes.extend(proved.controls.not_followed());
    notes.extend(proved.jobs.not_followed());
    for (index, key) in &proved.open_intents {
        notes.push(format!("open intent: leaf {index} means to make the key {key}, and no outcome follows"));
    }
    (!notes.is_empty()).then(|| notes.join("\n"))
}

pub(super) fn findings(verification: &Verification) -> Option<String> {
    let findings = &verification.findings;
    let kept = u64::try_from(findings.kept().len()).unwrap_or(u64::MAX);
    let mut lines: Vec<_> = findings.kept().iter().map(|finding| format!("finding: {finding}")).collect();
    match findings.total().saturating_sub(kept) {
        0 => {}
        more => lines.push(format!("and {more} more findings")),
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

pub(super) fn verdict(verification: &Verification) -> String {
    match verification.findings.first() {
        None => styled(GOOD, &"VERIFIED"),
        Some(first) => styled(BAD, &format_args!("NOT VERIFIED: {first}")),
    }
}

/// A finding, as JSON.
pub(super) fn finding_json(finding: &Finding) -> Value {
    json!({ "leaf": finding.leaf, "text": finding.problem.to_string() })
}

/// The report as JSON, schema `keysvc/fobaudit-verify/1`.
pub(crate) fn json(verification: &Verification) -> Value {
    let findings: Vec<_> = verification.findings.kept().iter().map(finding_json).collect();
    json!({
        "schema": "keysvc/fobaudit-verify/1",
        "verified": verification.findings.total() == 0,
        "reason": verification.findings.first().map(ToString::to_string),
        "trust_domain": verification.trust.domain.as_str(),
        "genesis": verification.trust.genesis.to_string(),
        "elapsed_ms": u64::try_from(verification.elapsed.as_millis()).unwrap_or(u64::MAX),
        "findings": findings,
        "findings_total": verification.findings.total(),
        "log": verification.proved.as_ref().map(|proved| log_json(verification, proved)),
    })
}

fn log_json(verification: &Verification, proved: &Proved) -> Value {
    let kinds: serde_json::Map<_, _> =
        proved.kinds.iter().map(|(name, count)| (name.replace(' ', "_"), json!(count))).collect();
    let previous = proved.previous.iter();
    let previous: Vec<_> = previous
        .map(|(file, size, continued)| json!({ "file": file, "size": size, "continued": continued }))
        .collect();
    let intents = proved.open_intents.iter();
    let intents: Vec<_> = intents.map(|(leaf, key)| json!({ "leaf": leaf, "key": key })).collect();
    json!({
        "origin": proved.origin,
        "checkpoint": { "size": proved.checkpoint.size, "root": proved.checkpoint.root.to_string() },
        "officers": proved.officers,
        "development": proved.development,
        "test_keys": proved.test_keys,
        "leaves": proved.leaves,
        "leaves_read": proved.read(),
        "leaves_verified_before": proved.before,
        "leaves_per_second": rate(verification, proved),
        "kinds": kinds,
        "statements_verified": proved.statements,
        "acts_by_quorum": proved.controls.totals.acts,
        "approvals_verified": proved.controls.totals.approvals,
        "jobs": proved.jobs.jobs.registry().jobs().count(),
        "cards": proved.jobs.jobs.registry().cards(),
        "jobs_not_followed_from": proved.jobs.jobs.sight().from,
        "purses": proved.purses,
        "purse_steps_not_checked": proved.unlinked,
        "open_intents": intents,
        "previous": previous,
    })
}
