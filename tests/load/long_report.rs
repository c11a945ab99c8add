//! What a long log costs, as a table with the goals or as one JSON document.

use crate::{long::Ended, order::Measured, while_doing};
use keysvc_tests::ground::Failed;
use serde::Serialize;
use std::{fmt::Write as _, io::Write as _, time::Duration};

/// The schema of the JSON document.
const SCHEMA: &str = "keysvc/load-long/1";
/// Goals of docs/performance.md: a restart and a whole verification, in seconds; and what is left of the throughput.
const RESTART_MAX: f64 = 1.0;
const AUDIT_MAX: f64 = 60.0;
const RATIO_MIN: f64 = 0.9;

/// The document. Times are in seconds; rates and restarts are medians.
#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    leaves: u64,
    rows: Vec<Row>,
    store_bytes: u64,
    export_bytes: u64,
    keeper_resident_kib: u64,
    audit_on_one_core: bool,
    load_average: [String; 2],
}

/// One figure, of the short log where it has one, of the long one, and what is wanted.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    short: Option<f64>,
    long: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
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
        report.table().map_err(while_doing("the report"))?
    };
    match writeln!(anstream::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        printed => printed.map_err(while_doing("the report")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and bytes of a run fit a double exactly")]
const fn float(number: u64) -> f64 {
    number as f64
}

fn middle<T: Copy>(sorted: &[T]) -> Option<T> {
    sorted.get(sorted.len() / 2).copied()
}

/// The median of operations a second.
fn rate(rounds: &[Measured]) -> f64 {
    let mut rates: Vec<f64> = rounds
        .iter()
        .map(|measured| float(measured.operations) * 1e9 / float(measured.elapsed_ns.max(1)))
        .collect();
    rates.sort_unstable_by(f64::total_cmp);
    middle(&rates).unwrap_or(0.0)
}

fn seconds(what: &str, took: Duration, goal: Option<f64>) -> Row {
    let long = took.as_secs_f64();
    Row {
        what: what.to_owned(),
        unit: "s",
        short: None,
        long,
        goal: goal.map(|goal| format!("< {goal} s")),
        met: goal.map(|goal| long < goal),
    }
}

impl Report {
    fn new(ended: &Ended) -> Self {
        let [short, long] = [0, 1].map(|side| {
            let all: Option<&Vec<Duration>> = ended.restarts.get(side);
            all.and_then(|all| middle(all)).unwrap_or_default()
        });
        let restart = Row {
            short: Some(short.as_secs_f64()),
            ..seconds("restart, from program start to first answer", long, Some(RESTART_MAX))
        };
        let works = ended.works.iter().map(|(order, [of_short, of_long])| {
            let (short, long) = (rate(of_short), rate(of_long));
            Row {
                what: order.to_string(),
                unit: "per s",
                short: Some(short),
                long,
                goal: Some(format!(">= {RATIO_MIN} x short")),
                met: Some(long >= RATIO_MIN * short),
            }
        });
        let works: Vec<_> = works.collect();
        let rows = [restart].into_iter().chain(works).chain([
            seconds("filling", ended.fill, None),
            seconds("keysvc verify-store", ended.verify_store, None),
            seconds("fobctl audit export", ended.export, None),
            seconds("fobaudit verify", ended.audit.0, Some(AUDIT_MAX)),
        ]);
        Self {
            schema: SCHEMA,
            leaves: ended.leaves,
            rows: rows.collect(),
            store_bytes: ended.store_bytes,
            export_bytes: ended.export_bytes,
            keeper_resident_kib: ended.keeper_kib,
            audit_on_one_core: ended.audit.1,
            load_average: ended.load_average.clone(),
        }
    }

    fn table(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(text, "a log of {} leaves beside a short one, in one run; medians\n", self.leaves)?;
        writeln!(
            text,
            "{:<46}{:>12}{:>12}{:>8}  {:<18}",
            "", "short log", "long log", "ratio", "goal for the long"
        )?;
        for row in &self.rows {
            let figure = |figure: f64| {
                if row.unit == "s" { format!("{figure:.3} s") } else { format!("{figure:.0}/s") }
            };
            let ratio = row.short.map_or_else(|| "-".to_owned(), |short| format!("{:.2}", row.long / short));
            let goal = match (&row.goal, row.met) {
                (Some(goal), Some(true)) => format!("{goal}: met"),
                (Some(goal), _) => format!("{goal}: NOT met"),
                _ => String::new(),
            };
            let line = format!(
                "{:<46}{:>12}{:>12}{ratio:>8}  {goal}",
                row.what,
                row.short.map_or_else(|| "-".to_owned(), figure),
                figure(row.long)
            );
            writeln!(text, "{}", line.trim_end())?;
        }
        let mib = |bytes: u64| float(bytes) / 1_048_576.0;
        writeln!(
            text,
            "\nstore {:.1} MiB, export {:.1} MiB, keeper {:.1} MiB in memory; fobaudit on {}; load average {} before, \
             {} after",
            mib(self.store_bytes),
            mib(self.export_bytes),
            float(self.keeper_resident_kib) / 1_024.0,
            if self.audit_on_one_core { "one core" } else { "all cores: taskset is not installed" },
            self.load_average[0],
            self.load_average[1],
        )?;
        Ok(text)
    }
}
