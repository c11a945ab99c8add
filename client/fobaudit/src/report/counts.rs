//! The report of `fobaudit counts`: a page to read and to file. Numbers in one table, then each job in words, cards by place
//! and state, what is unfinished, and whether a job's record says the same.

use super::{
    BAD, GOOD, LOUD, TEST_NOTICE, lines, rows, styled,
    verify::{finding_json, findings, is_test},
};
use crate::{
    calendar::utc,
    counts::{CardLine, Counts, JobLine, misses, once},
    record::{Checked, Compared, Difference, job_json},
    verify::{Proved, Verification},
};
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use keysvc_protocol::{
    job::{Job, Tally},
    name::Name,
};
use serde_json::{Value, json};

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    /// The verification.
    pub(crate) verification: &'a Verification,
    /// The figures; nothing where leaf 0 proves nothing.
    pub(crate) counts: Option<&'a Counts<'a>>,
    /// The job that is shown alone.
    pub(crate) job: Option<&'a Name>,
    /// The job's record that was compared.
    pub(crate) record: Option<&'a Checked>,
}

impl<'a> Page<'a> {
    fn jobs(&self) -> Vec<&'a JobLine<'a>> {
        let all = self.counts.into_iter().flat_map(|counts| &counts.jobs);
        all.filter(|line| self.job.is_none_or(|job| line.job.name == *job)).collect()
    }

    /// The first reason why it is not verified.
    fn reason(&self) -> Option<String> {
        let first = self.verification.findings.first().map(ToString::to_string);
        first.or_else(|| self.record.and_then(Checked::reason)).or_else(|| self.no_job())
    }

    /// That there is no job of the name asked for.
    pub(crate) fn no_job(&self) -> Option<String> {
        let name = self.job.filter(|_| self.jobs().is_empty())?;
        Some(format!("the log has no job {name}"))
    }
}

/// The report for people.
pub(crate) fn counts_text(page: &Page<'_>) -> String {
    let mut parts = Vec::new();
    if let (Some(proved), Some(counts)) = (&page.verification.proved, page.counts) {
        if is_test(proved) {
            parts.push(styled(LOUD, &TEST_NOTICE));
        }
        parts.push(rows(head(page.verification, proved, counts)));
        let jobs = page.jobs();
        if !jobs.is_empty() {
            parts.push(numbers(&jobs));
        }
        parts.extend(jobs.into_iter().map(job_in_words));
        if page.job.is_none() {
            parts.extend(cards(counts));
            parts.extend(unfinished(counts));
        }
        parts.extend(notes(proved));
    } else {
        parts.push(rows(vec![("trust domain", page.verification.trust.domain.to_string())]));
    }
    parts.extend(page.record.map(record_in_words));
    parts.extend(findings(page.verification));
    parts.push(match page.reason() {
        None => styled(GOOD, &"VERIFIED"),
        Some(reason) => styled(BAD, &format_args!("NOT VERIFIED: {reason}")),
    });
    parts.join("\n\n")
}

fn head(verification: &Verification, proved: &Proved, counts: &Counts<'_>) -> Vec<(&'static str, String)> {
    let seconds = verification.elapsed.as_secs_f64();
    vec![
        ("trust domain", verification.trust.domain.to_string()),
        ("genesis", verification.trust.genesis.to_string()),
        ("checkpoint", format!("{} at {} leaves", proved.origin, proved.checkpoint.size)),
        ("root", proved.checkpoint.root.to_string()),
        ("last leaf", utc(counts.at_ms)),
        ("jobs", counts.jobs.len().to_string()),
        ("cards", counts.total().to_string()),
        ("leaves", format!("{} in {seconds:.3} s", proved.leaves)),
    ]
}

const HEADS: [&str; 11] = [
    "job",
    "state",
    "issued",
    "carried over",
    "made",
    "good",
    "rejected",
    "samples",
    "returned",
    "handed over",
    "balanced",
];

fn numbers(jobs: &[&JobLine<'_>]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(HEADS);
    for line in jobs {
        let Job { name, state, head, .. } = line.job;
        let Tally { made, good, rejected, sample } = line.tally;
        let counted = |of: fn(&keysvc_protocol::job::Counts) -> u32| {
            line.count().map_or_else(|| "-".to_owned(), |given| of(&given.counts).to_string())
        };
        let mut cells = vec![name.to_string(), state.to_string()];
        cells.extend(
            [head.issued, head.carried_over, made, good, rejected, sample].map(|number| number.to_string()),
        );
        cells.extend([
            counted(|counts| counts.returned),
            counted(|counts| counts.handed_over),
            balanced(line),
        ]);
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(2).take(8) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    lines(&table)
}

/// Whether a job balances, in a word or two.
pub(crate) fn balanced(line: &JobLine<'_>) -> String {
    match line.balance() {
        None if line.job.sessions.is_empty() => "-".to_owned(),
        None => "not counted".to_owned(),
        Some(balance) if balance.is_even() => "yes".to_owned(),
        Some(balance) => format!("no: {}", misses(&balance)),
    }
}

fn names<'a>(all: impl Iterator<Item = &'a Name>) -> String {
    let all: Vec<_> = once(all).into_iter().map(Name::as_str).collect();
    match all.as_slice() {
        [] => "nobody".to_owned(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn times(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn job_in_words(line: &JobLine<'_>) -> String {
    let Job { name, head, created, sealed, sessions, suspensions, counts, incidents, closed, .. } = line.job;
    let listed = if head.listed {
        let items = line.job.items;
        format!("{items} {} listed", if items == 1 { "card" } else { "cards" })
    } else {
        "cards as encountered".to_owned()
    };
    let mut said = vec![
        format!("job {name}"),
        format!(
            "  order {} of {}, profile {} version {}, lot {}, station {} on {}",
            head.order,
            head.customer,
            head.profile,
            head.profile_version,
            head.lot,
            head.station,
            head.equipment
        ),
        format!(
            "  {} good cards ordered, {} issued, {} carried over, {listed}",
            head.ordered, head.issued, head.carried_over
        ),
    ];
    said.push(match sealed {
        Some(seal) => format!(
            "  put together by {} at {}, sealed by {} at {}",
            created.by,
            utc(created.at_ms),
            seal.by,
            utc(seal.at_ms)
        ),
        None => format!("  put together by {} at {}, not sealed", created.by, utc(created.at_ms)),
    });
    if let Some(first) = sessions.first() {
        said.push(format!(
            "  operated by {} in {}, the first at {}",
            names(sessions.iter().flat_map(|session| session.operators.iter())),
            times(sessions.len(), "session", "sessions"),
            utc(first.opened_ms)
        ));
        let reviewers = counts.iter().map(|given| &given.reviewer);
        said.push(format!(
            "  {}, {}, {}; reviewed by {}",
            times(suspensions.len(), "stop", "stops"),
            times(counts.len(), "count", "counts"),
            times(incidents.len(), "incident", "incidents"),
            names(reviewers.chain(incidents.iter().map(|given| &given.reviewer)))
        ));
    }
    if let Some(closing) = closed {
        let (by, at) = (&closing.done.by, utc(closing.done.at_ms));
        said.push(match &closing.witness {
            Some(witness) => {
                format!("  closed by {by} at {at}; {witness} witnessed that the station purged its data")
            }
            None => format!("  withdrawn by {by} at {at}"),
        });
    }
    said.push(match line.job.purged_ms {
        Some(at_ms) => format!("  purged at {}", utc(at_ms)),
        None => format!("  to be purged by {}", utc(head.due_ms)),
    });
    said.join("\n")
}

fn cards(counts: &Counts<'_>) -> Option<String> {
    if counts.cards.is_empty() {
        return None;
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["cards at", "state", "cards"]);
    for CardLine { location, state, cards } in &counts.cards {
        table.add_row([location.to_string(), state.to_string(), cards.to_string()]);
    }
    for (state, cards) in counts.by_state() {
        table.add_row(["anywhere".to_owned(), state.to_string(), cards.to_string()]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    Some(lines(&table))
}

fn unfinished(counts: &Counts<'_>) -> Option<String> {
    let lines = counts.unfinished();
    let lines: Vec<_> = lines.into_iter().map(|line| format!("unfinished: {line}")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn notes(proved: &Proved) -> Option<String> {
    let notes = proved.jobs.not_followed().into_iter().chain(proved.controls.not_followed());
    let notes: Vec<_> = notes.map(|note| format!("note: {note}")).collect();
    (!notes.is_empty()).then(|| notes.join("\n"))
}

fn record_in_words(checked: &Checked) -> String {
    let file = checked.file.display();
    let compared = match &checked.outcome {
        Ok(compared) => compared,
        Err(problem) => return styled(BAD, &format_args!("record {file}: {problem}")),
    };
    let Compared { record, differences, left_out, made, not_in_log } = compared;
    let size = record.checkpoint.checkpoint().head.size;
    let mut said = vec![format!(
        "record {file}: job {} at {size} leaves, made at {}, signed by the service",
        record.job.name,
        utc(record.made_ms)
    )];
    said.push(match made {
        Some((leaf, reader)) => format!("  asked for by {reader} at leaf {leaf}"),
        None if *not_in_log => "  no leaf says that it was made: the service signs none without".to_owned(),
        None => "  made after this export: its leaf is not in it yet".to_owned(),
    });
    said.extend(left_out.iter().map(|what| format!("  not compared: {what}")));
    if differences.is_empty() {
        said.push("  says of every field what the log says".to_owned());
    }
    said.extend(differences.iter().map(|Difference { field, record, log }| {
        styled(BAD, &format_args!("  differs: {field}: the record says {record}, the log says {log}"))
    }));
    said.join("\n")
}

/// The report as JSON, schema `keysvc/fobaudit-counts/1`.
pub(crate) fn counts_json(page: &Page<'_>) -> Value {
    let verification = page.verification;
    let kept: Vec<_> = verification.findings.kept().iter().map(finding_json).collect();
    let reason = page.reason();
    json!({
        "schema": "keysvc/fobaudit-counts/1",
        "verified": reason.is_none(),
        "reason": reason,
        "trust_domain": verification.trust.domain.as_str(),
        "genesis": verification.trust.genesis.to_string(),
        "elapsed_ms": u64::try_from(verification.elapsed.as_millis()).unwrap_or(u64::MAX),
        "findings": kept,
        "findings_total": verification.findings.total(),
        "log": verification.proved.as_ref().zip(page.counts).map(|(proved, counts)| log_json(page, proved, counts)),
        "record": page.record.map(record_json),
    })
}

fn log_json(page: &Page<'_>, proved: &Proved, counts: &Counts<'_>) -> Value {
    let sight = proved.jobs.jobs.sight();
    let jobs: Vec<_> = page.jobs().into_iter().map(line_json).collect();
    let cards: Vec<_> = counts
        .cards
        .iter()
        .map(|line| json!({ "location": line.location.as_str(), "state": line.state.name(), "cards": line.cards }))
        .collect();
    let states: serde_json::Map<_, _> =
        counts.by_state().into_iter().map(|(state, cards)| (state.name().to_owned(), json!(cards))).collect();
    json!({
        "origin": proved.origin,
        "checkpoint": { "size": proved.checkpoint.size, "root": proved.checkpoint.root.to_string() },
        "development": proved.development,
        "leaves": proved.leaves,
        "at_ms": counts.at_ms,
        "jobs": jobs,
        "jobs_total": counts.jobs.len(),
        "cards": cards,
        "cards_by_state": states,
        "cards_total": counts.total(),
        "unfinished": counts.unfinished(),
        "not_followed_from": sight.from,
        "leaves_not_followed": sight.unfollowed,
        "item_leaves_not_seen": sight.items_not_seen,
        "records_made": sight.records,
    })
}

fn line_json(line: &JobLine<'_>) -> Value {
    let job = line.job;
    let operators = once(job.sessions.iter().flat_map(|session| session.operators.iter()));
    let counted = job.counts.iter().map(|given| &given.reviewer);
    let reviewers = once(counted.chain(job.incidents.iter().map(|given| &given.reviewer)));
    let text = |names: Vec<&Name>| names.into_iter().map(|name| json!(name.as_str())).collect::<Vec<_>>();
    json!({
        "name": job.name.as_str(),
        "order": job.head.order.as_str(),
        "customer": job.head.customer.as_str(),
        "profile": job.head.profile.as_str(),
        "profile_version": job.head.profile_version,
        "station": job.head.station.as_str(),
        "state": job.state.name(),
        "ordered": job.head.ordered,
        "issued": job.head.issued,
        "carried_over": job.head.carried_over,
        "made": line.tally.made,
        "good": line.tally.good,
        "rejected": line.tally.rejected,
        "samples": line.tally.sample,
        "without_result": line.tally.pending(),
        "returned": line.count().map(|given| given.counts.returned),
        "handed_over": line.count().map(|given| given.counts.handed_over),
        "balanced": line.balance().map(|balance| balance.is_even()),
        "overdue": line.overdue,
        "operators": text(operators),
        "reviewers": text(reviewers),
        "witness": job.closed.as_ref().and_then(|closing| closing.witness.as_ref()).map(Name::as_str),
        "created_by": job.created.by.as_str(),
        "created_ms": job.created.at_ms,
        "sealed_by": job.sealed.as_ref().map(|sealed| sealed.by.as_str()),
        "sealed_ms": job.sealed.as_ref().map(|sealed| sealed.at_ms),
        "opened_ms": job.sessions.first().map(|session| session.opened_ms),
        "closed_ms": job.closed.as_ref().map(|closing| closing.done.at_ms),
        "purged_ms": job.purged_ms,
        "due_ms": job.head.due_ms,
        "job": job_json(job),
    })
}

fn record_json(checked: &Checked) -> Value {
    let file = checked.file.display().to_string();
    match &checked.outcome {
        Err(problem) => json!({ "file": file, "verified": false, "reason": problem.to_string() }),
        Ok(compared) => {
            let differences = compared.differences.iter();
            let differences: Vec<_> = differences
                .map(|one| json!({ "field": one.field, "record": one.record, "log": one.log }))
                .collect();
            json!({
                "file": file,
                "verified": compared.holds(),
                "reason": checked.reason(),
                "job": compared.record.job.name.as_str(),
                "size": compared.record.checkpoint.checkpoint().head.size,
                "made_ms": compared.record.made_ms,
                "leaf": compared.made.as_ref().map(|(leaf, _)| leaf),
                "reader": compared.made.as_ref().map(|(_, reader)| reader.as_str()),
                "not_compared": compared.left_out,
                "differences": differences,
            })
        }
    }
}
