//! What was measured, as a table for people or as one JSON document.

use crate::{
    cpu,
    goals::{Bound, Goal, Verdict, goals, lone_parts, others},
    idle::Idle,
    order::Work,
    peers::Skipped,
    rounds::Ended,
    row::{Row, find},
    series::float,
    while_doing,
};
use keysvc_tests::ground::Failed;
use serde::Serialize;
use std::{fmt::Write as _, io::Write as _};

/// The schema of the JSON document.
const SCHEMA: &str = "keysvc/load/2";
/// A share of the machine's CPU that others may use without the figures being called disturbed.
const QUIET: f64 = 0.05;

/// The document. Rates are a second; times and CPU are in microseconds; all are medians over the rounds.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    cpus: usize,
    cpu_model: String,
    rounds: usize,
    seconds: f64,
    measurements: Vec<Row>,
    /// Empty where one measurement was made alone.
    goals: Vec<Goal>,
    ratios: Vec<Ratio>,
    /// Of a service that was started afresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory<'a>>,
    /// Front and keeper after the last round.
    last_resident_kib: [u64; 2],
    /// What the peers are and what they were measured with.
    peers: &'a [String],
    missing_peers: Vec<Missing<'a>>,
    load_average: &'a [String; 2],
}

/// A peer that is not there.
#[derive(Debug, Serialize)]
struct Missing<'a> {
    name: &'a str,
    why: &'a str,
    get: &'a str,
}

/// Two figures of the run, one divided by the other.
#[derive(Debug, Serialize)]
struct Ratio {
    name: &'static str,
    ratio: f64,
}

/// Memory of a service that did nothing before.
#[derive(Debug, Serialize)]
struct Memory<'a> {
    /// Front and keeper at 64 connections.
    busy_resident_kib: [u64; 2],
    idle: &'a Idle,
}

/// Prints what was measured.
///
/// # Errors
/// [`Failed`] when it cannot be printed; a closed pipe ends the program at once.
pub fn print(ended: &Ended, json: bool) -> Result<(), Failed> {
    let report = Report::new(ended);
    let text = if json {
        serde_json::to_string_pretty(&report).map_err(while_doing("the report"))?
    } else {
        report.text().map_err(while_doing("the report"))?
    };
    match writeln!(anstream::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        printed => printed.map_err(while_doing("the report")),
    }
}

impl<'a> Report<'a> {
    fn new(ended: &'a Ended) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let cpus_float = float(u64::try_from(cpus).unwrap_or(1));
        let measurements: Vec<_> = ended.series.iter().map(|series| Row::new(series, cpus_float)).collect();
        let memory = ended.memory.as_ref();
        let ratio = |(name, ratio)| Ratio { name, ratio };
        Self {
            schema: SCHEMA,
            cpus,
            cpu_model: cpu::model(),
            rounds: ended.series.first().map_or(0, |series| series.measured.len()),
            seconds: float(ended.millis) / 1e3,
            goals: if ended.alone { Vec::new() } else { goals(&measurements, memory, &ended.missing) },
            ratios: others(&measurements).into_iter().map(ratio).collect(),
            measurements,
            memory: memory.map(|memory| Memory { busy_resident_kib: memory.busy_kib, idle: &memory.idle }),
            last_resident_kib: ended.last_kib,
            peers: &ended.peers,
            missing_peers: ended.missing.iter().map(missing).collect(),
            load_average: &ended.load_average,
        }
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(
            text,
            "medians of {} rounds of {} s on {} CPUs ({}); times in us; CPU in us for one operation\n",
            self.rounds, self.seconds, self.cpus, self.cpu_model
        )?;
        self.table(&mut text)?;
        if !self.goals.is_empty() {
            writeln!(text, "\n{:<6}{:<78}{:>9}  {:<12}", "goal", "", "is", "wanted")?;
            self.goals.iter().try_for_each(|goal| line(goal, &mut text))?;
        }
        if !self.ratios.is_empty() {
            writeln!(text, "\nother ratios")?;
        }
        for ratio in &self.ratios {
            writeln!(text, "      {:<78}{:>9.2}", ratio.name, ratio.ratio)?;
        }
        self.notes(&mut text)?;
        Ok(text)
    }

    fn table(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "{:<20}{:>10}{:>8}{:>7}{:>11}{:>11}{:>9}{:>9}{:>9}{:>9}{:>15}{:>8}",
            "",
            "per s",
            "spread",
            "again",
            "p50",
            "p99",
            "front",
            "keeper",
            "sum",
            "load",
            "leaves/commit",
            "others"
        )?;
        for row in &self.measurements {
            let optional =
                |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.1}"));
            let again = if row.again == 0 { "-".to_owned() } else { row.again.to_string() };
            writeln!(
                text,
                "{:<20}{:>10.0}{:>7.0}%{:>7}{:>11.1}{:>11.1}{:>9}{:>9}{:>9}{:>9.1}{:>15}{:>7.0}%",
                row.name(),
                row.operations_per_second,
                row.spread * 100.0,
                again,
                row.p50_us,
                row.p99_us,
                optional(row.front_cpu_us),
                optional(row.keeper_cpu_us),
                optional(row.served_cpu_us),
                row.own_cpu_us,
                optional(row.leaves_per_commit),
                row.others * 100.0,
            )?;
        }
        Ok(())
    }

    fn notes(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "\nAn operation is a signature, a key, an update, a leaf, a card, a reply or a handshake; times are those of a \
             call, which\nmay have many. Under load stands the CPU of who asks, and of a work without a server what it costs."
        )?;
        if let Some(parts) = lone_parts(&self.measurements) {
            writeln!(text, "{parts}")?;
        }
        if let Some(Row { asked_len: Some(asked), told_len: Some(told), .. }) =
            find(&self.measurements, Work::Update, 1)
        {
            writeln!(
                text,
                "a request of value.update has {asked:.0} bytes, its reply {told:.0}; so has the echo's"
            )?;
        }
        self.memory_notes(text)?;
        for peer in self.peers {
            writeln!(text, "peer: {peer}")?;
        }
        for Missing { name, why, get } in &self.missing_peers {
            writeln!(text, "SKIP {name}: {why}; to get it: {get}")?;
        }
        self.trust_notes(text)
    }

    fn memory_notes(&self, text: &mut String) -> std::fmt::Result {
        let mb = |kib: u64| float(kib) * 1024.0 / 1e6;
        let [front, keeper] = self.last_resident_kib;
        writeln!(
            text,
            "memory after the last round: front {:.1} MB, keeper {:.1} MB",
            mb(front),
            mb(keeper)
        )?;
        let Some(Memory { busy_resident_kib: [front, keeper], idle }) = &self.memory else { return Ok(()) };
        let [silent, asked] = idle.kib_each();
        writeln!(
            text,
            "memory of a new start: front {:.1} MB, keeper {:.1} MB at value.update@64; an idle connection {silent:.1} KiB, \
             {asked:.1} KiB where it asked once",
            mb(*front),
            mb(*keeper)
        )
    }

    /// How far the figures may be trusted.
    fn trust_notes(&self, text: &mut String) -> std::fmt::Result {
        let verified: u64 = self.measurements.iter().map(|row| row.verified).sum();
        let late: u64 = self.measurements.iter().map(|row| row.late_signed).sum();
        writeln!(
            text,
            "every reply decoded, {verified} verified with all signatures and proofs; {late} requests signed while \
             measuring; load average {} before, {} after",
            self.load_average[0], self.load_average[1]
        )?;
        let spread: Vec<_> = self
            .measurements
            .iter()
            .filter(|row| row.spreads())
            .map(|row| format!("{} {:.1} %", row.name(), row.spread * 100.0))
            .collect();
        if !spread.is_empty() {
            writeln!(text, "spread over 15 %, in three more rounds too: {}", spread.join(", "))?;
        }
        if self.measurements.iter().any(|row| row.others > QUIET) {
            writeln!(
                text,
                "others used the machine meanwhile: trust the CPU figures and ratios, not the rates"
            )?;
        }
        Ok(())
    }
}

fn missing(skipped: &Skipped) -> Missing<'_> {
    Missing { name: skipped.name, why: &skipped.why, get: skipped.get }
}

/// One goal, as a line.
fn line(goal: &Goal, text: &mut String) -> std::fmt::Result {
    let figure = |figure: f64| if figure < 0.1 { format!("{figure:.3}") } else { format!("{figure:.2}") };
    let (sign, bound) = match goal.bound {
        Bound::AtMost(bound) => ("<=", bound),
        Bound::AtLeast(bound) => (">=", bound),
    };
    let verdict = match goal.verdict {
        Verdict::Met => "met".to_owned(),
        Verdict::NotMet => "NOT MET".to_owned(),
        Verdict::Skip => format!("SKIP: {}", goal.why.as_deref().unwrap_or_default()),
    };
    let value = goal.value.map_or_else(|| "-".to_owned(), figure);
    let wanted = format!("{sign} {} {}", figure(bound), goal.unit);
    writeln!(text, "{:<6}{:<78}{value:>9}  {wanted:<12}  {verdict}", goal.goal, goal.what)
}
