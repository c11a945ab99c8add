//! What was found, as a table for people or as one JSON document.

use crate::{
    lanes::{Done, Run},
    row::ROWS,
    trial::Ended,
};
use keysvc_tests::ground::Failed;
use serde::Serialize;
use std::{fmt::Write as _, io::Write as _, time::Duration};

/// The schema of the JSON document.
const SCHEMA: &str = "keysvc/faults/1";
/// Of what did not hold, so many lines are shown in the table; the document has them all.
const BROKEN_SHOWN: usize = 5;

#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    seed: u64,
    seconds: f64,
    rows: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    row: &'static str,
    proves: &'static str,
    /// `held`, `broken`, `failed` or `lacking`.
    ended: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    trials: u64,
    unit: &'static str,
    broken: &'a [String],
    /// At 95 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_below: Option<f64>,
    figures: Vec<(&'static str, &'a str)>,
    seconds: f64,
}

impl<'a> Line<'a> {
    fn new(done: &'a Done) -> Self {
        let mut line = Self {
            row: done.row.name,
            proves: done.row.proves,
            ended: "failed",
            why: None,
            trials: 0,
            unit: "",
            broken: &[],
            rate_below: None,
            figures: Vec::new(),
            seconds: done.took.as_secs_f64(),
        };
        match &done.ended {
            Ok(Ended::Ran(found)) => {
                line.ended = if done.held(true) { "held" } else { "broken" };
                (line.trials, line.unit, line.broken) = (found.trials, found.unit, &found.broken);
                line.rate_below = found.bound();
                line.figures = found.figures.iter().map(|(name, value)| (*name, value.as_str())).collect();
            }
            Ok(Ended::Lacking(what)) => (line.ended, line.why) = ("lacking", Some(what.as_str())),
            Err(why) => line.why = Some(why),
        }
        line
    }
}

/// Prints the run.
///
/// # Errors
/// [`Failed`] when it cannot be printed.
pub fn print(run: &Run, json: bool) -> Result<(), Failed> {
    let rows = run.rows.iter().map(Line::new).collect();
    let report = Report { schema: SCHEMA, seed: run.seed, seconds: run.took.as_secs_f64(), rows };
    let text = if json {
        serde_json::to_string_pretty(&report).map_err(failed)?
    } else {
        table(&report).map_err(failed)?
    };
    out(&text)
}

/// Prints what each row does.
///
/// # Errors
/// [`Failed`] when it cannot be printed.
pub fn list() -> Result<(), Failed> {
    let lines: Vec<String> = ROWS.iter().map(|row| format!("{:<13}{}", row.name, row.proves)).collect();
    out(&lines.join("\n"))
}

fn out(text: &str) -> Result<(), Failed> {
    match writeln!(anstream::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        printed => printed.map_err(failed),
    }
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(format!("the report: {error}"))
}

fn table(report: &Report) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(
        text,
        "{:<13}{:>8}  {:<20}{:>9}  {:<16}{:>7}",
        "row", "trials", "of", "broken", "rate, at 95 %", "time"
    )?;
    for line in &report.rows {
        let verdict = match line.ended {
            "held" => "0".to_owned(),
            "broken" => format!("!! {}", line.broken.len()),
            "failed" => "!! FAILED".to_owned(),
            _ => "NOT RUN".to_owned(),
        };
        let bound = line.rate_below.map_or_else(String::new, |rate| format!("below {:.2} %", rate * 100.0));
        let took = Duration::from_secs_f64(line.seconds).as_secs();
        writeln!(
            text,
            "{:<13}{:>8}  {:<20}{verdict:>9}  {bound:<16}{took:>5} s",
            line.row, line.trials, line.unit
        )?;
        for (name, value) in &line.figures {
            writeln!(text, "{:<13}  {name}: {value}", "")?;
        }
        let shown = line.broken.iter().take(BROKEN_SHOWN).map(String::as_str).chain(line.why);
        for broken in shown {
            writeln!(text, "{:<13}  !! {}", "", broken.replace('\n', "\n                "))?;
        }
        if let Some(more @ 1..) = line.broken.len().checked_sub(BROKEN_SHOWN) {
            writeln!(text, "{:<13}  !! and {more} more; --json has all", "")?;
        }
    }
    writeln!(
        text,
        "\nthe whole run took {:.0} s; repeat its chances with --seed {}",
        report.seconds, report.seed
    )?;
    let rows = |ended: &str| -> Vec<&str> {
        report.rows.iter().filter(|line| line.ended == ended).map(|line| line.row).collect()
    };
    let (held, all) = (rows("held").len(), report.rows.len());
    if held == all {
        writeln!(text, "all {all} rows held")?;
    } else {
        let wrong = [rows("broken"), rows("failed")].concat();
        let mut parts = vec![format!("{held} of {all} rows held")];
        if !wrong.is_empty() {
            parts.push(format!("NOT HELD: {}", wrong.join(", ")));
        }
        if !rows("lacking").is_empty() {
            parts.push(format!("NOT RUN: {}", rows("lacking").join(", ")));
        }
        writeln!(text, "{}", parts.join("; "))?;
    }
    Ok(text)
}
