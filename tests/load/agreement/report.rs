//! What agreement costs, as a table or as one JSON document.

use super::{Ended, What, controls::Controls, task::Done};
use crate::while_doing;
use keysvc_tests::ground::Failed;
use serde::Serialize;
use std::{fmt::Write as _, io::Write as _, time::Duration};

/// The schema of the JSON document.
const SCHEMA: &str = "keysvc/load-people/1";
/// The goal of docs/performance.md for `fobaudit controls` over 100,000 leaves with 1,000 acts, in seconds.
const CONTROLS_MAX: f64 = 10.0;
/// A share of the machine's CPU that others may use without the figures being called disturbed.
const QUIET: f64 = 0.05;
/// The steps of a load that two officers approve, in order.
const STEPS: [What; 4] = [What::Proposed, What::First, What::Second, What::Fetched];

impl What {
    /// In words.
    const fn words(self) -> &'static str {
        match self {
            Self::Alone => "value.update, alone",
            Self::Proposed => "value.update, proposed",
            Self::First => "proposal.approve, first officer",
            Self::Second => "proposal.approve, second: performs it",
            Self::Fetched => "proposal.result, the record",
            Self::Looked => "proposal.get, an officer reads",
            Self::Frozen => "freeze.set, one officer",
            Self::Lifted => "freeze.lift, two officers, 3 calls",
            Self::Suspended => "key.suspend, one officer",
            Self::Activated => "key.activate, two officers, 3 calls",
        }
    }
}

/// The document. Times are in microseconds where their name says so, else in seconds.
#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    cpus: usize,
    acts: u64,
    rows: Vec<Row>,
    ratios: Vec<Ratio>,
    controls: Verified,
    /// CPU that others used meanwhile, as a share of the whole machine.
    others: f64,
    load_average: [String; 2],
}

/// One kind of call, or all calls of an act. CPU is the median over the rounds.
#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    acts: usize,
    p50_us: f64,
    p99_us: f64,
    front_cpu_us: f64,
    keeper_cpu_us: f64,
}

/// A whole act by a load alone.
#[derive(Debug, Serialize)]
struct Ratio {
    name: &'static str,
    ratio: f64,
}

/// The verification of the log's dual control.
#[derive(Debug, Serialize)]
struct Verified {
    leaves: u64,
    acts: u64,
    approvals: u64,
    export_s: f64,
    fobaudit_s: f64,
    on_one_core: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_verifier_s: Option<f64>,
    goal_s: f64,
    met: bool,
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

/// The value that so many in a hundred do not exceed, in microseconds.
fn share_us(sorted: &[u64], percent: usize) -> f64 {
    let place = sorted.len().saturating_mul(percent).div_ceil(100).saturating_sub(1);
    float(sorted.get(place).copied().unwrap_or(0)) / 1e3
}

impl Row {
    fn new(what: &'static str, rounds: &[Done]) -> Self {
        let mut latencies: Vec<u64> =
            rounds.iter().flat_map(|round| round.latencies_ns.iter().copied()).collect();
        latencies.sort_unstable();
        let median = |cpu: fn(&Done) -> u64| {
            let acts = |round: &Done| float(u64::try_from(round.latencies_ns.len()).unwrap_or(1).max(1));
            let mut all: Vec<f64> =
                rounds.iter().map(|round| float(cpu(round)) / 1e3 / acts(round)).collect();
            all.sort_unstable_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or(0.0)
        };
        Self {
            what,
            acts: latencies.len(),
            p50_us: share_us(&latencies, 50),
            p99_us: share_us(&latencies, 99),
            front_cpu_us: median(|round| round.front_cpu_ns),
            keeper_cpu_us: median(|round| round.keeper_cpu_ns),
        }
    }

    const fn cpu_us(&self) -> f64 {
        self.front_cpu_us + self.keeper_cpu_us
    }
}

/// The rounds of one thing.
fn of(ended: &Ended, what: What) -> Vec<Done> {
    let rounds = ended.rounds.iter().filter(|(of, _)| *of == what);
    rounds.map(|(_, done)| done.clone()).collect()
}

/// The rounds of the whole act: the same acts' steps added up.
fn whole(ended: &Ended) -> Vec<Done> {
    let mut sums: Option<Vec<Done>> = None;
    for step in STEPS {
        let rounds = of(ended, step);
        sums = Some(match sums {
            Some(sums) => sums.into_iter().zip(&rounds).map(|(sum, round)| sum.and(round)).collect(),
            None => rounds,
        });
    }
    sums.unwrap_or_default()
}

impl From<&Controls> for Verified {
    fn from(controls: &Controls) -> Self {
        let seconds = |took: Duration| took.as_secs_f64();
        let fobaudit_s = seconds(controls.took);
        Self {
            leaves: controls.leaves,
            acts: controls.acts,
            approvals: controls.approvals,
            export_s: seconds(controls.export),
            fobaudit_s,
            on_one_core: controls.one_core,
            second_verifier_s: controls.second.map(seconds),
            goal_s: CONTROLS_MAX,
            met: fobaudit_s < CONTROLS_MAX,
        }
    }
}

impl Report {
    fn new(ended: &Ended) -> Self {
        let row = |what: What| Row::new(what.words(), &of(ended, what));
        let alone = row(What::Alone);
        let act = Row::new("the whole act, 4 calls", &whole(ended));
        let over =
            |name, of_act: f64, of_one: f64| Ratio { name, ratio: of_act / of_one.max(f64::MIN_POSITIVE) };
        let ratios = vec![
            over("CPU of front and keeper", act.cpu_us(), alone.cpu_us()),
            over("p50", act.p50_us, alone.p50_us),
            over("p99", act.p99_us, alone.p99_us),
        ];
        let rest = [What::Looked, What::Frozen, What::Lifted, What::Suspended, What::Activated];
        let rows = [alone].into_iter().chain(STEPS.map(row)).chain([act]).chain(rest.map(row)).collect();
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let sum = |figure: fn(&Done) -> u64| {
            ended.rounds.iter().map(|(_, done)| figure(done)).fold(0, u64::saturating_add)
        };
        let elapsed = float(sum(|done| done.elapsed_ns).max(1)) * float(u64::try_from(cpus).unwrap_or(1));
        Self {
            schema: SCHEMA,
            cpus,
            acts: ended.people,
            rows,
            ratios,
            controls: Verified::from(&ended.controls),
            others: float(sum(|done| done.other_cpu_ns)) / elapsed,
            load_average: ended.load_average.clone(),
        }
    }

    fn table(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(
            text,
            "{} loads that two officers approve beside as many that a terminal makes alone, in one run on {} CPUs;\n\
             one connection each, officers' keys in SoftHSM cards; times and CPU in us for one act\n",
            self.acts, self.cpus
        )?;
        let heads = ["acts", "p50", "p99", "front", "keeper"];
        let [acts, p50, p99, front, keeper] = heads;
        writeln!(text, "{:<40}{acts:>6}{p50:>10}{p99:>10}{front:>8}{keeper:>10}", "")?;
        for row in &self.rows {
            writeln!(
                text,
                "{:<40}{:>6}{:>10.1}{:>10.1}{:>8.1}{:>10.1}",
                row.what, row.acts, row.p50_us, row.p99_us, row.front_cpu_us, row.keeper_cpu_us
            )?;
        }
        writeln!(text)?;
        for ratio in &self.ratios {
            writeln!(text, "{:>8.2}  the whole act / value.update alone: {}", ratio.ratio, ratio.name)?;
        }
        let Verified { leaves, acts, approvals, .. } = self.controls;
        let per_act = self.controls.fobaudit_s * 1e3 / float(acts.max(1));
        writeln!(
            text,
            "\nthe log: {leaves} leaves, {acts} acts by people, {approvals} approvals verified; exported in {:.1} s",
            self.controls.export_s
        )?;
        writeln!(
            text,
            "fobaudit controls on {}: {:.2} s, {per_act:.2} ms an act with the leaves between (goal for 100000 leaves with 1000 acts: \
             under {CONTROLS_MAX} s: {})",
            if self.controls.on_one_core { "one core" } else { "all cores: taskset is not installed" },
            self.controls.fobaudit_s,
            if self.controls.met { "met" } else { "NOT met" },
        )?;
        if let Some(second) = self.controls.second_verifier_s {
            writeln!(text, "the second verifier, in Python: {second:.2} s, and it agrees")?;
        }
        writeln!(
            text,
            "every reply verified with all signatures and proofs; load average {} before, {} after",
            self.load_average[0], self.load_average[1]
        )?;
        if self.others > QUIET {
            writeln!(
                text,
                "others used {:.0}% of the machine meanwhile: trust the CPU figures and ratios, not the times",
                self.others * 100.0
            )?;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(front_cpu_ns: u64, latencies_ns: Vec<u64>) -> Done {
        Done { front_cpu_ns, latencies_ns, ..Done::default() }
    }

    #[test]
    fn a_row_has_cpu_for_one_act_and_percentiles_over_all_of_them() {
        let row = Row::new("", &[round(4_000, vec![1_000, 2_000]), round(2_000, vec![3_000])]);
        assert_eq!((row.acts, row.front_cpu_us, row.p50_us, row.p99_us), (3, 2.0, 2.0, 3.0));
    }
}
