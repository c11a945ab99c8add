//! The report of `fobaudit ceremony`: what was held, by whom, step by step, what was not as planned, and what is wrong.

use super::{
    BAD, GOOD, LOUD, TEST_NOTICE, rows, styled,
    verify::{finding_json, is_test},
};
use crate::{
    calendar::{rfc3339, utc},
    ceremony::{Held, Judged, Problem, StepProblem},
};
use keysvc_protocol::{
    ceremony::{Activity, Outcome, Plan, Step, StepRecord, Transcript},
    name::{Name, Reason},
    trust::Trust,
};
use serde_json::{Value, json};

/// The report for people.
pub(crate) fn ceremony_text(held: &Held, trust: &Trust) -> String {
    let mut parts = Vec::new();
    if held.verification.as_ref().and_then(|log| log.proved.as_ref()).is_some_and(is_test) {
        parts.push(styled(LOUD, &TEST_NOTICE));
    }
    parts.push(rows(head(held, trust)));
    if let (Some(plan), Some(transcript)) = (&held.plan, &held.transcript) {
        let pairs = plan.steps.iter().zip(transcript.steps.iter()).enumerate();
        let steps = pairs.map(|(place, (step, record))| step_text(step, record, held.steps.get(place)));
        parts.push(steps.collect::<Vec<_>>().join("\n"));
    }
    parts.extend(not_as_planned(held));
    let problems: Vec<_> = held.problems.iter().map(|problem| format!("finding: {problem}")).collect();
    if !problems.is_empty() {
        parts.push(problems.join("\n"));
    }
    parts.push(match held.problems.first() {
        None => styled(GOOD, &"VERIFIED"),
        Some(first) => styled(BAD, &format_args!("NOT VERIFIED: {first}")),
    });
    parts.join("\n\n")
}

fn head(held: &Held, trust: &Trust) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(plan) = &held.plan {
        rows.push(("ceremony", plan.title.to_string()));
        rows.push(("purpose", plan.purpose.to_string()));
        rows.extend(plan.place.as_ref().map(|place| ("place", place.to_string())));
    }
    rows.push(("trust domain", trust.domain.to_string()));
    rows.push(("genesis", trust.genesis.to_string()));
    if let Some(transcript) = &held.transcript {
        rows.extend(of_transcript(held, transcript));
    }
    if let Some(proved) = held.verification.as_ref().and_then(|log| log.proved.as_ref()) {
        rows.push(("checkpoint", format!("{} at {} leaves", proved.origin, proved.checkpoint.size)));
        for (file, size, continued) in &proved.previous {
            let verdict = if *continued { "continued" } else { "NOT continued" };
            rows.push(("older checkpoint", format!("{file} at {size} leaves: {verdict}")));
        }
    }
    rows
}

fn of_transcript(held: &Held, transcript: &Transcript) -> Vec<(&'static str, String)> {
    let mut rows = vec![("plan", Plan::digest_of(transcript.plan.as_bytes()).to_string())];
    rows.extend(held.digest.map(|digest| ("transcript", digest.to_string())));
    let people = held.plan.iter().flat_map(|plan| &plan.people).map(|person| {
        match held.departments.get(&person.name) {
            Some(department) => format!("{} ({}, {department})", person.name, person.role),
            None => format!("{} ({})", person.name, person.role),
        }
    });
    rows.push(("people", people.collect::<Vec<_>>().join(", ")));
    rows.push(("held", format!("{} to {}", rfc3339(transcript.started_ms), rfc3339(transcript.ended_ms))));
    rows.push(("program", transcript.program.to_string()));
    if transcript.interruptions > 0 {
        rows.push(("interruptions", transcript.interruptions.to_string()));
    }
    if let Some((leaf, time_ms, by)) = &held.anchored {
        rows.push(("in the log", format!("leaf {leaf}, {}, recorded by {by}", rfc3339(*time_ms))));
    }
    let (done, deviated, failed) =
        (held.count(Outcome::Done), held.count(Outcome::Deviated), held.count(Outcome::Failed));
    rows.push(("steps", format!("{done} as planned, {deviated} not as planned, {failed} failed")));
    let facts = transcript.steps.iter().map(|step| step.facts.len()).sum::<usize>();
    let compared = held.steps.iter().flat_map(|step| &step.compared).filter(|compared| **compared).count();
    rows.push(("facts", format!("{facts} stated, {compared} of them compared with the log")));
    rows
}

fn step_text(step: &Step, record: &StepRecord, judged: Option<&Judged>) -> String {
    let StepRecord { number, person, started_ms, initials, facts, .. } = record;
    let at = judged.and_then(|judged| judged.leaf).map(|leaf| format!(", leaf {leaf}")).unwrap_or_default();
    let outcome = match record.outcome {
        Outcome::Done => outcome(record.outcome).to_owned(),
        Outcome::Deviated | Outcome::Failed => styled(LOUD, &outcome(record.outcome)),
    };
    let head = format!("step {number}  {}{at}: {person} ({initials}), {outcome}", utc(*started_ms));
    let say = format!("    {}", step.say);
    let act = judged.and_then(|judged| judged.act.as_ref()).map(|act| format!("    {act}"));
    let deviation = record.deviation.as_ref().map(|text| format!("    deviation: {text}"));
    let compared =
        |place: usize| judged.and_then(|judged| judged.compared.get(place)).copied().unwrap_or_default();
    let (attributes, others): (Vec<_>, Vec<_>) = facts
        .iter()
        .enumerate()
        .partition(|(place, fact)| fact.name.as_str().starts_with("CKA_") && compared(*place));
    let others = others.into_iter().map(|(place, fact)| {
        let mark = if compared(place) { "" } else { " (not compared)" };
        format!("    {} = {}{mark}", fact.name, fact.value)
    });
    let attributes = attributes.into_iter().map(|(_, fact)| format!("{}={}", fact.name, fact.value));
    let attributes = wrapped("    attributes, as in the log:", attributes);
    let lines = [head, say].into_iter().chain(deviation).chain(act).chain(others).chain(attributes);
    lines.collect::<Vec<_>>().join("\n")
}

/// A heading and words after it, in lines of at most 100 letters; nothing where there are no words.
fn wrapped(heading: &str, words: impl Iterator<Item = String>) -> Vec<String> {
    const WIDTH: usize = 100;
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        if lines.is_empty() {
            lines.push(heading.to_owned());
        }
        match lines.last_mut() {
            Some(line) if lines_fit(line, &word, WIDTH) => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(format!("      {word}")),
        }
    }
    lines
}

fn lines_fit(line: &str, word: &str, width: usize) -> bool {
    line.len().saturating_add(word.len()) < width
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Deviated => "not as planned",
        Outcome::Failed => "failed",
    }
}

/// Every deviation in the people's words, what the log has otherwise, and clocks that disagree.
fn not_as_planned(held: &Held) -> Option<String> {
    let mut lines = Vec::new();
    for record in held.transcript.iter().flat_map(|transcript| transcript.steps.iter()) {
        if let Some(deviation) = &record.deviation {
            lines.push(format!("step {} {}: {deviation}", record.number, outcome(record.outcome)));
        }
    }
    for (number, judged) in (1_u16..).zip(&held.steps) {
        lines.extend(judged.notes.iter().map(|note| match note {
            StepProblem::FailedInLog { .. } => format!("step {number}: {note}"),
            _ => format!("step {number}, as it deviated: {note}"),
        }));
        if let Some(drift_ms) = judged.drift_ms {
            lines.push(warning(number, drift_ms));
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn warning(number: u16, drift_ms: u64) -> String {
    let minutes = drift_ms / 60_000;
    format!("warning: step {number}: the ceremony's clock and the log's were {minutes} minutes apart")
}

/// The report as JSON, schema `keysvc/fobaudit-ceremony/1`.
pub(crate) fn ceremony_json(held: &Held, trust: &Trust) -> Value {
    let findings = held.problems.iter().map(|problem| {
        let log = match problem {
            Problem::Log(finding) => Some(finding_json(finding)),
            _ => None,
        };
        json!({ "step": problem.step(), "text": problem.to_string(), "log": log })
    });
    let warnings = (1_u16..).zip(&held.steps).filter_map(|(number, judged)| {
        judged.drift_ms.map(
            |drift_ms| json!({ "step": number, "drift_ms": drift_ms, "text": warning(number, drift_ms) }),
        )
    });
    let proved = held.verification.as_ref().and_then(|log| log.proved.as_ref());
    json!({
        "schema": "keysvc/fobaudit-ceremony/1",
        "verified": held.problems.is_empty(),
        "reason": held.problems.first().map(ToString::to_string),
        "trust_domain": trust.domain.as_str(),
        "genesis": trust.genesis.to_string(),
        "test": proved.is_some_and(is_test),
        "ceremony": held.transcript.as_ref().map(|transcript| transcript_json(held, transcript)),
        "anchor": held.anchored.as_ref().map(|(leaf, time_ms, by)| {
            json!({ "leaf": leaf, "time_ms": time_ms, "by": by.as_str() })
        }),
        "log": proved.map(|proved| {
            let size = proved.checkpoint.size;
            let checkpoint = json!({ "size": size, "root": proved.checkpoint.root.to_string() });
            json!({ "origin": proved.origin, "checkpoint": checkpoint })
        }),
        "findings": findings.collect::<Vec<_>>(),
        "warnings": warnings.collect::<Vec<_>>(),
    })
}

fn transcript_json(held: &Held, transcript: &Transcript) -> Value {
    let plan = held.plan.as_ref();
    let people = plan.into_iter().flat_map(|plan| &plan.people).map(|person| {
        let department = held.departments.get(&person.name);
        json!({
            "name": person.name.as_str(),
            "role": person.role.name(),
            "department": department.map(Name::as_str),
        })
    });
    let steps = transcript.steps.iter().enumerate().map(|(place, record)| {
        let step = plan.and_then(|plan| plan.steps.get(place));
        step_json(step, record, held.steps.get(place))
    });
    json!({
        "title": plan.map(|plan| plan.title.as_str()),
        "purpose": plan.map(|plan| plan.purpose.as_str()),
        "place": plan.and_then(|plan| plan.place.as_ref()).map(Reason::as_str),
        "plan": Plan::digest_of(transcript.plan.as_bytes()).to_string(),
        "transcript": held.digest.map(|digest| digest.to_string()),
        "rehearsal": transcript.rehearsal,
        "program": transcript.program.as_str(),
        "started_ms": transcript.started_ms,
        "ended_ms": transcript.ended_ms,
        "interruptions": transcript.interruptions,
        "people": people.collect::<Vec<_>>(),
        "steps": steps.collect::<Vec<_>>(),
        "steps_done": held.count(Outcome::Done),
        "steps_deviated": held.count(Outcome::Deviated),
        "steps_failed": held.count(Outcome::Failed),
    })
}

fn step_json(step: Option<&Step>, record: &StepRecord, judged: Option<&Judged>) -> Value {
    let facts = record.facts.iter().enumerate().map(|(place, fact)| {
        let compared = judged.and_then(|judged| judged.compared.get(place));
        json!({ "name": fact.name.as_str(), "value": fact.value.as_str(), "compared": compared == Some(&true) })
    });
    let notes = judged.into_iter().flat_map(|judged| &judged.notes);
    json!({
        "number": record.number,
        "say": step.map(|step| step.say.as_str()),
        "act": step.and_then(|step| step.activity.as_ref()).map(Activity::name),
        "person": record.person.as_str(),
        "initials": record.initials.as_str(),
        "started_ms": record.started_ms,
        "ended_ms": record.ended_ms,
        "outcome": outcome(record.outcome).replace(' ', "_"),
        "deviation": record.deviation.as_ref().map(Reason::as_str),
        "proposal": record.proposal.map(|id| id.to_string()),
        "leaf": judged.and_then(|judged| judged.leaf),
        "stated_leaf": record.leaf,
        "act_text": judged.and_then(|judged| judged.act.as_ref()),
        "facts": facts.collect::<Vec<_>>(),
        "notes": notes.map(ToString::to_string).collect::<Vec<_>>(),
    })
}
