//! What was measured, as a table for people or as one JSON document.

use crate::{
    order::{Measured, Work},
    rounds::{Ended, Series},
    while_doing,
};
use keysvc_tests::ground::Failed;
use serde::Serialize;
use std::{fmt::Write as _, io::Write as _};

/// The schema of the JSON document.
const SCHEMA: &str = "keysvc/load/1";
/// A share of the machine's CPU that others may use without the figures being called disturbed.
const QUIET: f64 = 0.05;

/// The document. Rates are a second; times and CPU are in microseconds; all are medians over the rounds.
#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    cpus: usize,
    rounds: usize,
    seconds: f64,
    measurements: Vec<Row>,
    ratios: Vec<Ratio>,
    front_resident_kib: u64,
    keeper_resident_kib: u64,
    load_average: [String; 2],
}

/// One measurement.
#[derive(Debug, Serialize)]
struct Row {
    work: Work,
    parallel: usize,
    operations_per_second: f64,
    /// Greatest less smallest rate, of the median.
    spread: f64,
    p50_us: f64,
    p99_us: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    front_cpu_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keeper_cpu_us: Option<f64>,
    /// CPU of the load's own process; for a raw work this is what the calls cost.
    own_cpu_us: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaves_per_commit: Option<f64>,
    verified: u64,
    late_signed: u64,
    /// CPU that others used meanwhile, as a share of the whole machine.
    others: f64,
}

/// Two figures of the run, one divided by the other.
#[derive(Debug, Serialize)]
struct Ratio {
    name: &'static str,
    ratio: f64,
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

#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of a run fit a double exactly")]
const fn float(number: u64) -> f64 {
    number as f64
}

/// The median over the rounds; of two in the middle the greater.
fn median(series: &Series, figure: impl Fn(&Measured) -> f64) -> f64 {
    let mut all: Vec<f64> = series.measured.iter().map(figure).collect();
    all.sort_unstable_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}

fn rate(measured: &Measured) -> f64 {
    float(measured.operations) * 1e9 / float(measured.elapsed_ns.max(1))
}

/// Nanoseconds of a whole measurement, as microseconds of one operation.
fn each(measured: &Measured, total_ns: u64) -> f64 {
    float(total_ns) / 1e3 / float(measured.operations.max(1))
}

impl Row {
    fn new(series: &Series, cpus: f64) -> Self {
        let rates: Vec<f64> = series.measured.iter().map(rate).collect();
        let (most, least) =
            (rates.iter().copied().fold(0.0, f64::max), rates.iter().copied().fold(f64::INFINITY, f64::min));
        let middle = median(series, rate);
        let of_service = |figure: fn(&Measured) -> f64| series.order.service.map(|_| median(series, figure));
        Self {
            work: series.order.work,
            parallel: series.order.parallel,
            operations_per_second: middle,
            spread: (most - least) / middle,
            p50_us: median(series, |measured| float(measured.p50_ns) / 1e3),
            p99_us: median(series, |measured| float(measured.p99_ns) / 1e3),
            front_cpu_us: of_service(|measured| each(measured, measured.front_cpu_ns)),
            keeper_cpu_us: of_service(|measured| each(measured, measured.keeper_cpu_ns)),
            own_cpu_us: median(series, |measured| each(measured, measured.own_cpu_ns)),
            leaves_per_commit: of_service(|measured| float(measured.calls) / float(measured.commits.max(1))),
            verified: series.measured.iter().map(|measured| measured.verified).sum(),
            late_signed: series.measured.iter().map(|measured| measured.late_signed).sum(),
            others: median(series, |measured| {
                float(measured.other_cpu_ns) / float(measured.elapsed_ns.max(1)) / cpus
            }),
        }
    }

    /// CPU of the service, or of the raw calls.
    fn cpu_us(&self) -> f64 {
        match (self.front_cpu_us, self.keeper_cpu_us) {
            (Some(front), Some(keeper)) => front + keeper,
            _ => self.own_cpu_us,
        }
    }
}

impl Report {
    fn new(ended: &Ended) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let cpus_float = float(u64::try_from(cpus).unwrap_or(1));
        let measurements: Vec<_> = ended.series.iter().map(|series| Row::new(series, cpus_float)).collect();
        Self {
            schema: SCHEMA,
            cpus,
            rounds: ended.series.first().map_or(0, |series| series.measured.len()),
            seconds: float(ended.millis) / 1e3,
            ratios: ratios(&measurements),
            measurements,
            front_resident_kib: ended.front_kib,
            keeper_resident_kib: ended.keeper_kib,
            load_average: ended.load_average.clone(),
        }
    }

    fn table(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(
            text,
            "medians of {} rounds of {} s on {} CPUs; times in us; CPU in us for one operation (an update, a \
             signature, a key)\n",
            self.rounds, self.seconds, self.cpus
        )?;
        writeln!(
            text,
            "{:<16}{:>10}{:>8}{:>10}{:>10}{:>8}{:>8}{:>8}{:>14}{:>8}",
            "", "per s", "spread", "p50", "p99", "front", "keeper", "load", "leaves/commit", "others"
        )?;
        for row in &self.measurements {
            let optional =
                |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.1}"));
            writeln!(
                text,
                "{:<16}{:>10.0}{:>7.0}%{:>10.1}{:>10.1}{:>8}{:>8}{:>8.1}{:>14}{:>7.0}%",
                format!("{}@{}", row.work.name(), row.parallel),
                row.operations_per_second,
                row.spread * 100.0,
                row.p50_us,
                row.p99_us,
                optional(row.front_cpu_us),
                optional(row.keeper_cpu_us),
                row.own_cpu_us,
                optional(row.leaves_per_commit),
                row.others * 100.0,
            )?;
        }
        writeln!(text)?;
        for ratio in &self.ratios {
            writeln!(text, "{:>8.2}  {}", ratio.ratio, ratio.name)?;
        }
        writeln!(
            text,
            "\nmemory after the last round: front {} KiB, keeper {} KiB; load average {} before, {} after",
            self.front_resident_kib, self.keeper_resident_kib, self.load_average[0], self.load_average[1]
        )?;
        let verified: u64 = self.measurements.iter().map(|row| row.verified).sum();
        let late: u64 = self.measurements.iter().map(|row| row.late_signed).sum();
        writeln!(
            text,
            "every reply decoded, {verified} verified with all signatures and proofs; {late} requests signed while measuring"
        )?;
        if self.measurements.iter().any(|row| row.others > QUIET) {
            writeln!(
                text,
                "others used the machine meanwhile: trust the CPU figures and ratios, not the rates"
            )?;
        }
        Ok(text)
    }
}

/// The ratios of the goals, as far as their figures were measured.
fn ratios(rows: &[Row]) -> Vec<Ratio> {
    let row =
        |work: Work, parallel: usize| rows.iter().find(|row| row.work == work && row.parallel == parallel);
    let cpu = |work, parallel| row(work, parallel).map(Row::cpu_us);
    let rate = |work, parallel| row(work, parallel).map(|row| row.operations_per_second);
    let wanted = [
        (
            "value.update@32: CPU of front and keeper / CPU of raw.sign@2",
            cpu(Work::Update, 32),
            cpu(Work::RawSign, 2),
        ),
        (
            "value.update@1: CPU of front and keeper / CPU of raw.sign@1",
            cpu(Work::Update, 1),
            cpu(Work::RawSign, 1),
        ),
        ("value.update@32: rate / rate of raw.sign@2", rate(Work::Update, 32), rate(Work::RawSign, 2)),
        ("card.derive@1: keys a second / raw.derive@1", rate(Work::Derive, 1), rate(Work::RawDerive, 1)),
        ("card.derive@8: keys a second / raw.derive@2", rate(Work::Derive, 8), rate(Work::RawDerive, 2)),
        (
            "card.derive@8: CPU of front and keeper / CPU of raw.derive@2",
            cpu(Work::Derive, 8),
            cpu(Work::RawDerive, 2),
        ),
        ("job.run@1: cards a second / raw.derive@1", rate(Work::Run, 1), rate(Work::RawDerive, 1)),
        ("job.run@8: cards a second / raw.derive@2", rate(Work::Run, 8), rate(Work::RawDerive, 2)),
        ("job.card@1: cards a second / raw.derive@1", rate(Work::Card, 1), rate(Work::RawDerive, 1)),
    ];
    let ratio = |(name, over, under): (&'static str, Option<f64>, Option<f64>)| {
        Some(Ratio { name, ratio: over? / under.filter(|under| *under > 0.0)? })
    };
    wanted.into_iter().filter_map(ratio).collect()
}
