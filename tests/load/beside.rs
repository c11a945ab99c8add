//! Figures of two sites side by side, as lines of a table and as rows of a JSON document.
//!
//! Apart because every comparison of two sites is read alike. What the sites are is said by whoever compares them.

use crate::{
    order::Measured,
    side::{Compared, Load},
    while_doing,
};
use keysvc_tests::ground::Failed;
use serde::Serialize;
use std::{io::Write as _, time::Duration};

/// One figure, of the first site where it has one, of the second, and what is wanted of that.
#[derive(Debug, Serialize)]
pub struct Row {
    what: String,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<f64>,
    second: f64,
    /// Greatest less smallest figure of the rounds, of the median: that of the site where it is larger.
    #[serde(skip_serializing_if = "Option::is_none")]
    spread: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

impl Row {
    /// How long something took on the second site alone, against a goal in seconds.
    pub fn seconds(what: &str, took: Duration, goal: Option<f64>) -> Self {
        let second = took.as_secs_f64();
        Self {
            what: what.to_owned(),
            unit: "s",
            first: None,
            second,
            spread: None,
            goal: goal.map(|goal| format!("< {goal} s")),
            met: goal.map(|goal| second < goal),
        }
    }

    /// The medians of restarts, sorted, against a goal for the second site in seconds.
    pub fn restart([first, second]: &[Vec<Duration>; 2], goal: Option<f64>) -> Self {
        let middle = |all: &[Duration]| middle(all).unwrap_or_default();
        let what = "restart, from program start to first answer";
        Self { first: Some(middle(first).as_secs_f64()), ..Self::seconds(what, middle(second), goal) }
    }

    /// The rates of a load, against the share of the first site's that is to be left on the second.
    pub fn rate(compared: &Compared, goal: f64) -> Self {
        let [first, second] = &compared.measured;
        let ((first, one), (second, other)) = (rate(first), rate(second));
        let name = compared.order.to_string();
        Self {
            what: match compared.load {
                Load::Rota => format!("{name}, each on another purse"),
                Load::Fobs => format!("{name}, a fob for each connection"),
                Load::Cards => name,
            },
            unit: "per s",
            first: Some(first),
            second,
            spread: Some(one.max(other)),
            goal: Some(format!(">= {goal} x")),
            met: Some(second >= goal * first),
        }
    }

    /// The row as a line of the table.
    pub fn line(&self) -> String {
        let figure =
            |figure: f64| if self.unit == "s" { format!("{figure:.3} s") } else { format!("{figure:.0}/s") };
        let none = || "-".to_owned();
        let first = self.first.map_or_else(none, figure);
        let ratio = self.first.map_or_else(none, |first| format!("{:.3}", self.second / first));
        let spread = self.spread.map_or_else(none, |spread| format!("{:.0} %", spread * 100.0));
        let goal = match (&self.goal, self.met) {
            (Some(goal), Some(true)) => format!("{goal}: met"),
            (Some(goal), _) => format!("{goal}: NOT met"),
            _ => String::new(),
        };
        let second = figure(self.second);
        let line = format!("{:<46}{first:>12}{second:>12}{ratio:>8}{spread:>8}  {goal}", self.what);
        line.trim_end().to_owned()
    }
}

/// The head of the table; the goals are for the second site.
pub fn head(first: &str, second: &str) -> String {
    format!("{:<46}{first:>12}{second:>12}{:>8}{:>8}  goal", "", "ratio", "spread")
}

/// Prints a report as JSON or as the text that `table` makes of it.
///
/// # Errors
/// [`Failed`] when it cannot be printed; a closed pipe ends the program at once.
pub fn print<R: Serialize>(
    report: &R,
    json: bool,
    table: impl FnOnce(&R) -> Vec<String>,
) -> Result<(), Failed> {
    let text = if json {
        serde_json::to_string_pretty(report).map_err(while_doing("the report"))?
    } else {
        table(report).join("\n")
    };
    match writeln!(anstream::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        printed => printed.map_err(while_doing("the report")),
    }
}

/// A count as a double.
#[expect(clippy::cast_precision_loss, reason = "counts and bytes of a run fit a double exactly")]
pub const fn float(number: u64) -> f64 {
    number as f64
}

fn middle<T: Copy>(sorted: &[T]) -> Option<T> {
    sorted.get(sorted.len() / 2).copied()
}

/// The median of operations a second, and the spread of the rounds.
fn rate(rounds: &[Measured]) -> (f64, f64) {
    let rate = |measured: &Measured| float(measured.operations) * 1e9 / float(measured.elapsed_ns.max(1));
    let mut rates: Vec<f64> = rounds.iter().map(rate).collect();
    rates.sort_unstable_by(f64::total_cmp);
    let median = middle(&rates).unwrap_or(0.0);
    let (least, most) = (rates.first().copied().unwrap_or(0.0), rates.last().copied().unwrap_or(0.0));
    (median, if median > 0.0 { (most - least) / median } else { 0.0 })
}
