//! The goals that the service is held to, each a ratio inside one run or a figure of it.
//!
//! A goal that a run did not measure says with what it is measured: none is ever left out.

use crate::{
    idle::KIB_MAX,
    order::Work,
    peers::Skipped,
    rounds::Memory,
    row::{Row, find},
    series::float,
};
use serde::Serialize;

/// Memory of front and keeper at 64 connections, in MB.
const MEMORY_MB_MAX: f64 = 48.0;
/// Bytes of a KiB, and of a MB.
const KIB: f64 = 1024.0;
const MB: f64 = 1e6;

/// A goal and what became of it.
#[derive(Debug, Serialize)]
pub struct Goal {
    /// Its number in the list of goals.
    pub goal: &'static str,
    /// What is looked at.
    pub what: String,
    /// What it is counted in; nothing of a ratio.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub unit: &'static str,
    /// What it is in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What it is to be.
    pub bound: Bound,
    /// What became of it.
    pub verdict: Verdict,
    /// Why it was not measured, or how it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

/// What became of a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// It is met.
    #[serde(rename = "met")]
    Met,
    /// It is not.
    #[serde(rename = "not met")]
    NotMet,
    /// It was not measured.
    #[serde(rename = "skip")]
    Skip,
}

impl Bound {
    const fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

impl Goal {
    fn new(goal: &'static str, what: &str, value: Option<f64>, bound: Bound) -> Self {
        let verdict = match value {
            Some(value) if bound.holds(value) => Verdict::Met,
            Some(_) => Verdict::NotMet,
            None => Verdict::Skip,
        };
        let why = value.is_none().then(|| "not measured in this run".to_owned());
        Self { goal, what: what.to_owned(), unit: "", value, bound, verdict, why }
    }

    fn in_unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// The same with how it is measured, where it was not.
    fn or_by(self, why: &str) -> Self {
        let why = self.why.map(|_| why.to_owned());
        Self { why, ..self }
    }
}

/// Figures of the run, as the goals ask for them.
struct Figures<'a>(&'a [Row]);

impl Figures<'_> {
    fn of(&self, work: Work, parallel: usize, figure: fn(&Row) -> f64) -> Option<f64> {
        find(self.0, work, parallel).map(figure).filter(|figure| *figure > 0.0)
    }

    fn rate(&self, work: Work, parallel: usize) -> Option<f64> {
        self.of(work, parallel, |row| row.operations_per_second)
    }

    fn cpu(&self, work: Work, parallel: usize) -> Option<f64> {
        self.of(work, parallel, Row::cpu_us)
    }

    fn p50(&self, work: Work, parallel: usize) -> Option<f64> {
        self.of(work, parallel, |row| row.p50_us)
    }

    fn p99(&self, work: Work, parallel: usize) -> Option<f64> {
        self.of(work, parallel, |row| row.p99_us)
    }

    /// What a lone update must wait for: its signature, one commit, the check of its statement, and the way there and back.
    fn lone_parts(&self) -> Option<[f64; 4]> {
        Some([
            self.p50(Work::RawSign, 1)?,
            self.p50(Work::Commit1, 1)?,
            self.p50(Work::VerifyBare, 1)?,
            self.p50(Work::Echo, 1)?,
        ])
    }
}

fn ratio(over: Option<f64>, under: Option<f64>) -> Option<f64> {
    Some(over? / under?)
}

/// All goals, in their order. `missing`: the peers that are not there.
pub fn goals(rows: &[Row], memory: Option<&Memory>, missing: &[Skipped]) -> Vec<Goal> {
    let figures = Figures(rows);
    let mut goals = updates(&figures);
    goals.extend(open_bao(&figures, memory).into_iter().map(|goal| without(goal, "openbao", missing)));
    goals.extend(parsec(&figures).into_iter().map(|goal| without(goal, "parsec", missing)));
    goals.extend(one_and_many(&figures));
    goals.extend(growth());
    goals.extend(rest(&figures, memory));
    goals
}

fn without(goal: Goal, peer: &str, missing: &[Skipped]) -> Goal {
    let missing = missing.iter().find(|skipped| skipped.name == peer);
    goal.or_by(missing.map_or("add --peers", |skipped| &skipped.why))
}

fn updates(figures: &Figures<'_>) -> Vec<Goal> {
    vec![
        Goal::new(
            "G1",
            "value.update@64, CPU of front and keeper, to CPU of raw.sign@2",
            ratio(figures.cpu(Work::Update, 64), figures.cpu(Work::RawSign, 2)),
            Bound::AtMost(3.0),
        ),
        Goal::new(
            "G2",
            "value.update@64, rate, to rate of raw.sign@2",
            ratio(figures.rate(Work::Update, 64), figures.rate(Work::RawSign, 2)),
            Bound::AtLeast(0.25),
        ),
    ]
}

fn open_bao(figures: &Figures<'_>, memory: Option<&Memory>) -> Vec<Goal> {
    let theirs = figures.of(Work::OpenBaoSign, 32, |row| row.resident_kib.unwrap_or(0.0));
    let ours = memory.map(|memory| float(memory.busy_kib.iter().sum()));
    vec![
        Goal::new(
            "G3",
            "value.update@32, rate, to openbao.sign@32",
            ratio(figures.rate(Work::Update, 32), figures.rate(Work::OpenBaoSign, 32)),
            Bound::AtLeast(1.5),
        ),
        Goal::new(
            "G3",
            "value.update@32, CPU, to openbao.sign@32",
            ratio(figures.cpu(Work::Update, 32), figures.cpu(Work::OpenBaoSign, 32)),
            Bound::AtMost(0.6),
        ),
        Goal::new(
            "G3",
            "value.update@32, p99, to openbao.sign@32",
            ratio(figures.p99(Work::Update, 32), figures.p99(Work::OpenBaoSign, 32)),
            Bound::AtMost(0.5),
        ),
        Goal::new(
            "G3",
            "memory at 64 connections, to OpenBao's at 32",
            ratio(ours, theirs),
            Bound::AtMost(0.35),
        ),
        Goal::new(
            "G3",
            "value.batch@8, rate, to openbao.sign@32",
            ratio(figures.rate(Work::Batch, 8), figures.rate(Work::OpenBaoSign, 32)),
            Bound::AtLeast(3.0),
        ),
    ]
}

fn parsec(figures: &Figures<'_>) -> Vec<Goal> {
    vec![
        Goal::new(
            "G4",
            "value.update@32, rate, to parsec.sign@32",
            ratio(figures.rate(Work::Update, 32), figures.rate(Work::ParsecSign, 32)),
            Bound::AtLeast(4.0),
        ),
        Goal::new(
            "G4",
            "value.update@1, p50, to parsec.sign@1",
            ratio(figures.p50(Work::Update, 1), figures.p50(Work::ParsecSign, 1)),
            Bound::AtMost(1.0 / 15.0),
        ),
    ]
}

fn one_and_many(figures: &Figures<'_>) -> Vec<Goal> {
    let parts = figures.lone_parts();
    let parts = parts.map(|parts| parts.iter().sum());
    let rates = |over: (Work, usize), under: (Work, usize)| {
        ratio(figures.rate(over.0, over.1), figures.rate(under.0, under.1))
    };
    vec![
        Goal::new(
            "G5",
            "value.update@1, p50, to p50 of raw.sign@1 + commit.1 + verify.bare + echo@1",
            ratio(figures.p50(Work::Update, 1), parts),
            Bound::AtMost(2.5),
        ),
        Goal::new(
            "G6",
            "card.derive.1000@1, keys a second, to raw.derive@1",
            rates((Work::DeriveMost, 1), (Work::RawDerive, 1)),
            Bound::AtLeast(0.85),
        ),
        Goal::new(
            "G6",
            "card.derive.1000@2, keys a second, to raw.derive@2",
            rates((Work::DeriveMost, 2), (Work::RawDerive, 2)),
            Bound::AtLeast(0.85),
        ),
        Goal::new(
            "G7",
            "value.batch@1, updates a second, to raw.sign@1",
            rates((Work::Batch, 1), (Work::RawSign, 1)),
            Bound::AtLeast(0.75),
        ),
        Goal::new(
            "G7",
            "value.batch@8, updates a second, to raw.sign@2",
            rates((Work::Batch, 8), (Work::RawSign, 2)),
            Bound::AtLeast(0.75),
        ),
        Goal::new(
            "G8",
            "tls.handshake@8, rate, to handshake@8 of the echo",
            rates((Work::FrontHandshake, 8), (Work::Handshake, 8)),
            Bound::AtLeast(0.85),
        ),
    ]
}

/// What only runs of their own measure.
fn growth() -> Vec<Goal> {
    let by = |what, bound, command: &str| {
        Goal::new("G9", what, None, Bound::AtLeast(bound)).or_by(&format!("cargo load {command}"))
    };
    vec![
        by("1,000 token objects, rate, to 3 objects", 0.95, "--objects 1000"),
        by("1,000,000 leaves and purses, rate, to an empty store", 0.9, "--leaves 1000000 --purses 1000000"),
        by("1,000,000 cards, rate, to an empty store", 0.9, "--cards 1000000"),
    ]
}

fn rest(figures: &Figures<'_>, memory: Option<&Memory>) -> Vec<Goal> {
    let megabytes = |kib: [u64; 2]| float(kib.iter().sum()) * KIB / MB;
    let asked = |memory: &Memory| {
        let [_, asked] = memory.idle.kib_each();
        asked
    };
    let leaves = |parallel| find(figures.0, Work::Update, parallel).and_then(|row| row.leaves_per_commit);
    vec![
        Goal::new(
            "G10",
            "memory of front and keeper at value.update@64",
            memory.map(|memory| megabytes(memory.busy_kib)),
            Bound::AtMost(MEMORY_MB_MAX),
        )
        .in_unit("MB"),
        Goal::new(
            "G10",
            "memory of one more idle connection that asked once",
            memory.map(asked),
            Bound::AtMost(KIB_MAX),
        )
        .in_unit("KiB"),
        Goal::new("G11", "value.update@64, leaves a commit", leaves(64), Bound::AtLeast(12.0)),
        Goal::new(
            "G11",
            "value.update@1, leaves a commit: nobody is waited for (its time: G5)",
            leaves(1),
            Bound::AtMost(1.0),
        ),
        Goal::new(
            "G12",
            "verify.update@1, CPU, to verify.bare@1",
            ratio(figures.cpu(Work::VerifyUpdate, 1), figures.cpu(Work::VerifyBare, 1)),
            Bound::AtMost(1.3),
        ),
        Goal::new("G12", "the verifier's code on thumbv7em", None, Bound::AtMost(48.0))
            .in_unit("KiB")
            .or_by(".ci/thumb"),
    ]
}

/// Ratios that are no goals and are asked for all the same, as far as they were measured.
pub fn others(rows: &[Row]) -> Vec<(&'static str, f64)> {
    let figures = Figures(rows);
    let rates = |over: (Work, usize), under: (Work, usize)| {
        ratio(figures.rate(over.0, over.1), figures.rate(under.0, under.1))
    };
    let wanted = [
        (
            "value.update@32, CPU of front and keeper, to CPU of raw.sign@2",
            ratio(figures.cpu(Work::Update, 32), figures.cpu(Work::RawSign, 2)),
        ),
        (
            "value.update@1, CPU of front and keeper, to CPU of raw.sign@1",
            ratio(figures.cpu(Work::Update, 1), figures.cpu(Work::RawSign, 1)),
        ),
        ("value.batch@8, rate, to openbao.batch@8", rates((Work::Batch, 8), (Work::OpenBaoBatch, 8))),
        (
            "tls.handshake@8, CPU of the front, to CPU of the echo at handshake@8",
            ratio(figures.cpu(Work::FrontHandshake, 8), figures.cpu(Work::Handshake, 8)),
        ),
        (
            "card.derive.1@8, keys a second, to raw.derive@2",
            rates((Work::DeriveOne, 8), (Work::RawDerive, 2)),
        ),
        ("job.run@1, cards a second, to raw.derive@1", rates((Work::Run, 1), (Work::RawDerive, 1))),
        ("job.run@8, cards a second, to raw.derive@2", rates((Work::Run, 8), (Work::RawDerive, 2))),
        ("job.card@1, cards a second, to raw.derive@1", rates((Work::Card, 1), (Work::RawDerive, 1))),
    ];
    wanted.into_iter().filter_map(|(name, ratio)| Some((name, ratio?))).collect()
}

/// What a lone update waits for at least, in words.
pub fn lone_parts(rows: &[Row]) -> Option<String> {
    let [sign, commit, verify, echo] = Figures(rows).lone_parts()?;
    Some(format!(
        "a lone update's parts (G5): signature {sign:.0}, commit {commit:.0}, check of the statement {verify:.0}, way there \
         and back {echo:.0}; {:.0} us",
        sign + commit + verify + echo
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        order::{Measured, Order},
        series::Series,
    };
    use std::collections::BTreeSet;

    fn row(work: Work, parallel: usize, operations: u64) -> Row {
        let order = Order { work, parallel, millis: 1_000, service: None };
        let measured = Measured { operations, elapsed_ns: 1_000_000_000, ..Measured::default() };
        Row::new(&Series { measured: vec![measured], ..Series::new(order) }, 2.0)
    }

    #[test]
    fn a_run_that_measured_nothing_names_all_twelve_goals_and_how_each_is_measured() {
        let goals = goals(&[], None, &[]);
        let named: BTreeSet<_> = goals.iter().map(|goal| goal.goal.to_owned()).collect();
        assert_eq!(named, (1..=12).map(|number| format!("G{number}")).collect());
        assert!(goals.iter().all(|goal| goal.verdict == Verdict::Skip && goal.why.is_some()));
    }

    #[test]
    fn a_goal_is_met_at_its_bound_and_not_beyond() {
        let verdict = |updates| {
            let rows = [row(Work::Update, 64, updates), row(Work::RawSign, 2, 40_000)];
            goals(&rows, None, &[]).into_iter().find(|goal| goal.goal == "G2").unwrap().verdict
        };
        assert_eq!((verdict(10_000), verdict(9_999)), (Verdict::Met, Verdict::NotMet));
    }

    #[test]
    fn a_peer_that_is_not_there_is_why_its_goals_are_skipped() {
        let missing = Skipped { name: "parsec", why: "not installed".to_owned(), get: "cargo install" };
        let goals = goals(&[], None, &[missing]);
        let why = |number| goals.iter().find(|goal| goal.goal == number).unwrap().why.as_deref();
        assert_eq!((why("G3"), why("G4")), (Some("add --peers"), Some("not installed")));
    }
}
