//! `cargo load --cards N`: does the release of a card's keys stay what it was when the registry is large?
//!
//! One site: one card at a time before, then N cards made through the service as an inline machine makes them, then one
//! card at a time again. Then the store is verified, the log exported, and an auditor counts. The raw token calls stand in
//! the same run.

use crate::{
    Arguments, cpu,
    order::{Measured, Order, Work},
    rounds::{Hands, millis, service},
    timed::{answer, on_one_core, succeed},
    while_doing,
};
use keysvc_tests::{
    ground::{Failed, Ground},
    programs::{Profile, Programs},
};
use serde::Serialize;
use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The schema of the JSON document.
const SCHEMA: &str = "keysvc/load-cards/1";
/// The goal: p99 of a release with the large registry, of that with the empty one.
const P99_RATIO_MAX: f64 = 1.5;
/// Connections of the inline machine: as many as the machine has cores, so that the token is what limits.
const MACHINES: usize = 2;
/// Length of one stretch of making cards, between two looks at how far it is.
const STRETCH_MILLIS: u64 = 2_000;

/// Everything that was measured. Times are in microseconds where they say so, else in seconds; medians over the rounds.
#[derive(Debug, Serialize)]
pub struct Ended {
    schema: &'static str,
    cards: u64,
    p99_empty_us: f64,
    p99_full_us: f64,
    p50_empty_us: f64,
    p50_full_us: f64,
    ratio: f64,
    met: bool,
    cards_per_second: f64,
    raw_per_second: f64,
    making_s: f64,
    verify_store_s: f64,
    export_s: f64,
    counts_s: f64,
    counts_on_one_core: bool,
    keeper_resident_kib: u64,
    load_average: [String; 2],
}

/// Makes the cards and measures.
///
/// # Errors
/// [`Failed`] when anything fails.
pub fn run(arguments: &Arguments, cards: u64) -> Result<Ended, Failed> {
    let scratch = TempDir::with_prefix("keysvc-load-").map_err(while_doing("a scratch folder"))?;
    let programs = match &arguments.programs {
        Some(file) => Programs::read(file),
        None => Programs::build(Profile::Release),
    };
    let programs = programs.map_err(while_doing("the programs"))?;
    let load_before = cpu::load_average();
    let mut ground = Ground::lay_out(&scratch.path().join("s"), programs)?;
    ground.sign_founding()?;
    succeed("keysvc init", &mut ground.keysvc(&["init"]))?;
    ground.start()?;
    let mut hands = Hands::start(&ground, scratch.path())?;
    let one = |work, parallel| order(&ground, work, parallel, millis(arguments.seconds));
    let raw = rounds(arguments, &mut hands, Order { service: None, ..one(Work::RawDerive, MACHINES)? })?;
    let empty = rounds(arguments, &mut hands, one(Work::Card, 1)?)?;
    let (made, making) = make(&mut hands, order(&ground, Work::Run, MACHINES, STRETCH_MILLIS)?, cards)?;
    let full = rounds(arguments, &mut hands, one(Work::Card, 1)?)?;
    let keeper_resident_kib = cpu::keeper_kib(service(&ground)?)?;
    drop(hands);
    let export_to = scratch.path().join("export");
    let mut export = ground.fobctl("auditor-1", &["audit", "export"]);
    let export = succeed("fobctl audit export", export.arg(&export_to))?;
    ground.stop();
    let verify_store = succeed("keysvc verify-store", &mut ground.keysvc(&["verify-store"]))?;
    let (mut counts, one_core) = on_one_core(&ground.programs().fobaudit);
    counts.arg("counts").arg(&export_to).arg("--trust").arg(ground.site().trust());
    let (counts, _) = answer("fobaudit counts", &mut counts)?;
    let ratio = p99(&full) / p99(&empty);
    Ok(Ended {
        schema: SCHEMA,
        cards: made,
        p99_empty_us: p99(&empty),
        p99_full_us: p99(&full),
        p50_empty_us: median(&empty, |measured| measured.p50_ns) / 1e3,
        p50_full_us: median(&full, |measured| measured.p50_ns) / 1e3,
        ratio,
        met: ratio <= P99_RATIO_MAX,
        cards_per_second: float(made) / making.as_secs_f64(),
        raw_per_second: rate(&raw),
        making_s: making.as_secs_f64(),
        verify_store_s: verify_store.as_secs_f64(),
        export_s: export.as_secs_f64(),
        counts_s: counts.as_secs_f64(),
        counts_on_one_core: one_core,
        keeper_resident_kib,
        load_average: [load_before, cpu::load_average()],
    })
}

fn order(ground: &Ground, work: Work, parallel: usize, millis: u64) -> Result<Order, Failed> {
    Ok(Order { work, parallel, millis, service: Some(service(ground)?) })
}

/// The same measurement in each round; the first is thrown away.
fn rounds(arguments: &Arguments, hands: &mut Hands, order: Order) -> Result<Vec<Measured>, Failed> {
    let all: Result<Vec<_>, _> = (0..=arguments.rounds).map(|_| hands.measure(order)).collect();
    Ok(all?.split_off(1))
}

/// Makes cards until there are so many; gives how many were made, and how long that took.
fn make(hands: &mut Hands, order: Order, cards: u64) -> Result<(u64, Duration), Failed> {
    let (mut made, mut took) = (0_u64, Duration::ZERO);
    let began = Instant::now();
    while made < cards {
        let measured = hands.measure(order)?;
        made = made.saturating_add(measured.operations);
        took = took.saturating_add(Duration::from_nanos(measured.elapsed_ns));
        tell(made, cards, began);
    }
    if std::io::stderr().is_terminal() {
        let _ = writeln!(anstream::stderr());
    }
    Ok((made, took))
}

fn tell(made: u64, cards: u64, began: Instant) {
    let text = format!("{made} of {cards} cards, {:.0} s", began.elapsed().as_secs_f64());
    let mut err = anstream::stderr();
    // Who does not see how far it is sees how it ends.
    let _ =
        if std::io::stderr().is_terminal() { write!(err, "\r\x1b[K{text}") } else { writeln!(err, "{text}") };
}

#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of a run fit a double exactly")]
const fn float(number: u64) -> f64 {
    number as f64
}

fn median(rounds: &[Measured], figure: impl Fn(&Measured) -> u64) -> f64 {
    let mut all: Vec<u64> = rounds.iter().map(figure).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().map_or(0.0, float)
}

fn p99(rounds: &[Measured]) -> f64 {
    median(rounds, |measured| measured.p99_ns) / 1e3
}

fn rate(rounds: &[Measured]) -> f64 {
    let operations = median(rounds, |measured| measured.operations);
    operations * 1e9 / median(rounds, |measured| measured.elapsed_ns).max(1.0)
}

/// Prints what was measured.
///
/// # Errors
/// [`Failed`] when it cannot be printed; a closed pipe ends the program at once.
pub fn print(ended: &Ended, json: bool) -> Result<(), Failed> {
    let text = if json {
        serde_json::to_string_pretty(ended).map_err(while_doing("the report"))?
    } else {
        table(ended)
    };
    match writeln!(anstream::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        printed => printed.map_err(while_doing("the report")),
    }
}

fn table(ended: &Ended) -> String {
    let met = if ended.met { "met" } else { "NOT met" };
    let share = ended.cards_per_second / ended.raw_per_second.max(1.0);
    let core = if ended.counts_on_one_core { "one core" } else { "all cores: taskset is not installed" };
    let lines = [
        format!("a registry of {} cards, made through the service; medians\n", ended.cards),
        format!("{:<46}{:>14}{:>14}{:>8}", "", "empty", "full", "ratio"),
        format!(
            "{:<46}{:>11.0} us{:>11.0} us{:>8.2}  goal <= {P99_RATIO_MAX}: {met}",
            "card.derive of one new card, p99", ended.p99_empty_us, ended.p99_full_us, ended.ratio
        ),
        format!(
            "{:<46}{:>11.0} us{:>11.0} us{:>8.2}",
            "card.derive of one new card, p50",
            ended.p50_empty_us,
            ended.p50_full_us,
            ended.p50_full_us / ended.p50_empty_us
        ),
        format!(
            "\n{:<46}{:>12.0}/s",
            "cards made, keys released and results recorded", ended.cards_per_second
        ),
        format!("{:<46}{:>12.0}/s", "raw token: derive, wrap, destroy, 2 threads", ended.raw_per_second),
        format!("{:<46}{share:>14.2}", "of the raw token"),
        format!("\n{:<46}{:>12.1} s", "making them", ended.making_s),
        format!("{:<46}{:>12.1} s", "keysvc verify-store", ended.verify_store_s),
        format!("{:<46}{:>12.1} s", "fobctl audit export", ended.export_s),
        format!("{:<46}{:>12.1} s  on {core}", "fobaudit counts", ended.counts_s),
        format!(
            "\nkeeper {:.1} MiB in memory; load average {} before, {} after",
            float(ended.keeper_resident_kib) / 1_024.0,
            ended.load_average[0],
            ended.load_average[1]
        ),
    ];
    lines.join("\n")
}
