//! Bad input is refused in time and ends nothing: whatever is not a request of this service, over real connections, to a
//! service whose halves have a cap of memory over them.

mod makings;

use crate::trial::{Ended, Found, Outcome, Trial};
use keysvc_protocol::{
    refusal::Refusal,
    reply::ValueUpdateReply,
    request::{Operation, ValueOperation::Load},
};
use keysvc_tests::{
    ground::{Failed, Ground},
    hostile::{
        measured::Waits,
        memory::{Cap, peak_kib},
    },
    raw::{Answer, Caller, Line, update},
    settings::page,
};
use makings::{Makings, Sent};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Requests at CI size.
const REQUESTS: u64 = 10_000;
/// Connections that they come on.
const LINES: u64 = 3;
/// The slowest answer there may be.
const SLOWEST: Duration = Duration::from_secs(2);
/// The cap over both halves together, in bytes.
const MEMORY: u64 = 512 * 1024 * 1024;
/// A customer now and then.
const EVERY: Duration = Duration::from_millis(50);

/// What all connections share.
#[derive(Default)]
struct Tally {
    found: Mutex<Vec<Result<(), String>>>,
    waits: Mutex<Waits>,
    refusals: Mutex<BTreeMap<String, u64>>,
    done: AtomicU64,
}

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let mut ground = Ground::founded();
    let health = ground.with_health();
    ground.start()?;
    let halves = ["front", "keeper"].map(|half| ground.half(half));
    let [Some(front), Some(keeper)] = halves else { return Err(Failed("a half is missing".to_owned())) };
    let cap = Cap::over(&[front, keeper], MEMORY);
    let (tally, over) = (Tally::default(), AtomicBool::new(false));
    let requests = trial.scaled(REQUESTS);
    let good = thread::scope(|scope| {
        let good = scope.spawn(|| customers(&ground, &over));
        let lines: Vec<_> = (0..LINES)
            .map(|number| {
                let mut chances = trial.chances();
                (0..=number).for_each(|_| chances = chances.fork());
                let (tally, ground) = (&tally, &ground);
                scope.spawn(move || {
                    line(ground, &mut Makings::new(ground.site(), chances), tally, requests / LINES + 1)
                })
            })
            .collect();
        while !lines.iter().all(thread::ScopedJoinHandle::is_finished) {
            trial.tell(tally.done.load(Ordering::Relaxed), requests);
            thread::park_timeout(EVERY);
        }
        let ended = lines.into_iter().all(|line| line.join().is_ok());
        over.store(true, Ordering::Release);
        good.join().ok().filter(|_| ended)
    });
    let good = good.ok_or_else(|| Failed("a connection of the trial broke".to_owned()))?;
    let mut found = Found::new("requests");
    let Tally { found: each, waits, refusals, .. } = tally;
    each.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().for_each(|one| found.count(one));
    let waits = waits.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.check(waits.at(100) < SLOWEST, || format!("the slowest answer took {:?}", waits.at(100)));
    found.check(good.count() > 20, || format!("{} good updates beside it", good.count()));
    found.check([ground.half("front"), ground.half("keeper")] == halves, || {
        "a half was started anew".to_owned()
    });
    let metrics = page(health, "/metrics").map(|page| page.body).unwrap_or_default();
    found.check(metrics.lines().any(|line| line == "keysvc_front_panics_total 0"), || {
        "a connection of the front ended by a panic, or the counter is not there".to_owned()
    });
    found.check(!ground.said().contains("panicked"), || "the log tells of a panic".to_owned());
    let [front, keeper] = [front, keeper].map(|pid| peak_kib(pid).unwrap_or(u64::MAX) / 1024);
    found.check(front.max(keeper) < MEMORY / 1024 / 1024, || format!("{front} and {keeper} MiB of memory"));
    found.figure("answers", &waits);
    found.figure("a good terminal beside it", &good);
    let refusals = refusals.into_inner().unwrap_or_else(PoisonError::into_inner);
    let told: Vec<String> = refusals.iter().map(|(name, count)| format!("{count} {name}")).collect();
    found.figure("answered with", told.join(", "));
    let under = cap.as_ref().and_then(Cap::peak).map_or_else(
        || "no control group could be made: no cap was over them".to_owned(),
        |peak| format!("{} MiB of it under a cap of {} MiB", peak / 1024 / 1024, MEMORY / 1024 / 1024),
    );
    found.figure("most memory", format!("front {front} MiB, keeper {keeper} MiB; {under}"));
    drop(ground);
    Ok(Ended::Ran(found))
}

/// One connection after the other, each as long as the service keeps it.
fn line(ground: &Ground, makings: &mut Makings, tally: &Tally, requests: u64) {
    let mut open: Option<Line> = None;
    for _ in 0..requests {
        let sent = makings.next();
        let mut on = match open.take() {
            Some(line) if !sent.alone => line,
            _ => Line::open(ground.site(), makings::PERSONA),
        };
        let begun = Instant::now();
        let mut answer = exchange(&mut on, &sent);
        if answer.is_err() && !sent.alone {
            // It had lived its time: that is no answer to this request.
            on = Line::open(ground.site(), makings::PERSONA);
            answer = exchange(&mut on, &sent);
        }
        let took = begun.elapsed();
        let judged = judge(&sent, answer, tally);
        tally.found.lock().unwrap_or_else(PoisonError::into_inner).push(judged);
        tally.waits.lock().unwrap_or_else(PoisonError::into_inner).note(took);
        tally.done.fetch_add(1, Ordering::Relaxed);
        open = (!sent.alone).then_some(on);
    }
}

fn exchange(line: &mut Line, sent: &Sent) -> std::io::Result<Answer> {
    line.send(&sent.bytes)?;
    line.answer()
}

/// A refusal of the list must come, and of those that are the caller's affair. Chance may have made a good request of some.
fn judge(sent: &Sent, answer: std::io::Result<Answer>, tally: &Tally) -> Result<(), String> {
    let answer = answer.map_err(|error| format!("{}: no answer, {error}", sent.name))?;
    let name = match answer.status {
        200 | 202 => answer.status.to_string(),
        _ => format!("{:?}", answer.refusal()),
    };
    let short: String = name.chars().take_while(|sign| sign.is_alphanumeric()).collect();
    let named = if name.contains("reason: ") {
        name.replace([' ', '{', '}'], "").replace("reason:", " ")
    } else {
        short
    };
    *tally.refusals.lock().unwrap_or_else(PoisonError::into_inner).entry(named).or_default() += 1;
    match answer.status {
        200 | 202 if sent.may_be_good => Ok(()),
        200 | 202 => Err(format!("{}: served", sent.name)),
        _ => match answer.refusal() {
            fault @ (Refusal::Internal | Refusal::TokenUnavailable | Refusal::StoreUnavailable) => {
                Err(format!("{}: {fault:?}", sent.name))
            }
            _ => Ok(()),
        },
    }
}

/// A good terminal at work until it is over.
fn customers(ground: &Ground, over: &AtomicBool) -> Waits {
    let (mut terminal, mut waits) = (Caller::new(ground.site(), "terminal-1"), Waits::default());
    let mut seq = 0;
    while !over.load(Ordering::Acquire) {
        let begun = Instant::now();
        let request = update(Load, seq + 1, 1, seq);
        let answer = terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &request);
        answer.unwrap_or_else(|refusal| panic!("a good update was refused: {refusal:?}"));
        waits.note(begun.elapsed());
        seq += 1;
        thread::park_timeout(EVERY);
    }
    waits
}
