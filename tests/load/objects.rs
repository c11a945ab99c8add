//! `cargo load --objects N`: does the service stay what it was when its token is full?
//!
//! Two sites in one run, one whose token holds what a founding makes, one whose token holds N more objects, measured in
//! turns. What is filled in are keys of the service's own; why, [`crate::keys`] says.

use crate::{
    Arguments,
    beside::{self, Row, float, head},
    cpu,
    rounds::service,
    side::{self, Load, Side},
    while_doing,
};
use keysvc_tests::ground::{Failed, Ground};
use serde::Serialize;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The schema of the JSON document.
const SCHEMA: &str = "keysvc/load-objects/1";
/// The goal of docs/performance.md: what is left of the throughput (G9).
const RATIO_MIN: f64 = 0.95;
/// What is measured on both, in turns.
const LOADS: [(Load, usize); 2] = [(Load::Fobs, 32), (Load::Cards, 8)];
/// Restarts of each; the median counts.
const RESTARTS: usize = 3;

/// What was measured. Times are in seconds; rates and restarts are medians. The first site has the token of a founding.
#[derive(Debug, Serialize)]
pub struct Ended {
    schema: &'static str,
    objects: u64,
    rows: Vec<Row>,
    keeper_resident_kib: [u64; 2],
    load_average: [String; 2],
}

/// Fills and measures.
///
/// # Errors
/// [`Failed`] when anything fails: there are no figures of a failing service.
pub fn run(arguments: &Arguments, objects: u64) -> Result<Ended, Failed> {
    let scratch = TempDir::with_prefix("keysvc-load-").map_err(while_doing("a scratch folder"))?;
    let programs = side::programs(arguments)?;
    let load_before = cpu::load_average();
    let mut few = Side::new(&scratch.path().join("few"), &programs, 0)?;
    let mut many = Side::new(&scratch.path().join("many"), &programs, 0)?;
    let making = fill(&many.ground, objects)?;
    let restarts = side::restarts(RESTARTS, [&mut few, &mut many])?;
    few.start(None)?;
    many.start(None)?;
    let compared = side::compare(arguments, &LOADS, [&mut few, &mut many])?;
    let rates = compared.iter().map(|compared| Row::rate(compared, RATIO_MIN));
    let rows = [Row::restart(&restarts, None)].into_iter().chain(rates).chain([Row::seconds(
        "making the objects",
        making,
        None,
    )]);
    let rows = rows.collect();
    let keeper_resident_kib =
        [cpu::keeper_kib(service(&few.ground)?)?, cpu::keeper_kib(service(&many.ground)?)?];
    few.stop();
    many.stop();
    let load_average = [load_before, cpu::load_average()];
    Ok(Ended { schema: SCHEMA, objects, rows, keeper_resident_kib, load_average })
}

/// Makes so many keys in the token of a service that is not running.
fn fill(ground: &Ground, objects: u64) -> Result<Duration, Failed> {
    let own = std::env::current_exe().map_err(while_doing("the path of this program"))?;
    let mut command = ground.site().service().command(&own);
    command.arg("keys").arg(ground.site().service_config()).arg(objects.to_string());
    let began = Instant::now();
    let status = command.status().map_err(while_doing("filling the token"))?;
    if status.success() { Ok(began.elapsed()) } else { Err(Failed("the token was not filled".to_owned())) }
}

/// Prints what was measured.
///
/// # Errors
/// [`Failed`] when it cannot be printed; a closed pipe ends the program at once.
pub fn print(ended: &Ended, json: bool) -> Result<(), Failed> {
    beside::print(ended, json, table)
}

fn table(ended: &Ended) -> Vec<String> {
    let about = format!(
        "a token of {} more keys beside one with those of a founding, in one run; medians\n",
        ended.objects
    );
    let [few, many] = ended.keeper_resident_kib.map(|kib| float(kib) / 1_024.0);
    let rest = format!(
        "\nkeepers {few:.1} and {many:.1} MiB in memory; load average {} before, {} after",
        ended.load_average[0], ended.load_average[1]
    );
    let rows = ended.rows.iter().map(Row::line);
    [about, head("founding", "full")].into_iter().chain(rows).chain([rest]).collect()
}
