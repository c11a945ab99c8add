//! Floods of handshakes and batches keep nobody waiting who is there already.

mod batches;

use crate::{
    row::waiting::{Asking, raise_file_limit},
    trial::{Ended, Found, Outcome, Trial},
};
use keysvc_protocol::hash::sha256;
use keysvc_tests::{
    ground::{Failed, Ground},
    hostile::{
        certificates::CONTROLS,
        handshake::{Cut, Shown, meet},
        measured::Waits,
        memory::processor_time,
        mint::Mint,
    },
};
use rustix::process::setpriority_process;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Those who flood.
const FLOODERS: usize = 4;
/// How long each part lasts at CI size.
const PART: Duration = Duration::from_secs(6);
/// By how much a flood may lengthen the waits of those who are connected.
const TIMES_QUIET: u32 = 2;
/// And however long they are without it, they may not be longer than this: what they may be beside slow clients.
const GOOD_MAX: Duration = Duration::from_millis(250);
/// Of all processors' time the front may spend on handshakes so much, in percent, and so much more on all else that it does
/// meanwhile: accepting sockets, and the good client's requests.
const HANDSHAKES_PERCENT: u32 = 50;
const REST_PERCENT: u32 = 15;
/// Within which 99 of a hundred officers must be answered beside batches.
const OFFICER_MAX: Duration = Duration::from_millis(100);

/// What the flooders show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flood {
    /// They compute and send nothing: the flooders of a test take this machine's processors, as no others' would.
    Elsewhere,
    Nothing,
    RightCertificates,
}

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    raise_file_limit()?;
    let mut ground = Ground::founded();
    let mint = Mint::new(&ground);
    ground.start()?;
    let mut found = Found::new("answers");
    let part = PART.saturating_mul(u32::try_from(trial.scaled(1)).unwrap_or(u32::MAX));
    let quiet = flooded(Flood::Elsewhere, part, &ground, &mint)?.waits;
    found.figure("a connected client beside as many who compute and send nothing", &quiet);
    trial.tell(1, 4);
    let floods = [
        (Flood::Nothing, "a connected client beside handshakes without certificates", "those handshakes"),
        (Flood::RightCertificates, "a connected client beside renewed connections", "those connections"),
    ];
    for (done, (flood, name, rate)) in (2..).zip(floods) {
        let flooded = flooded(flood, part, &ground, &mint)?;
        let waits = &flooded.waits;
        (0..waits.count()).for_each(|_| found.count(Ok(())));
        let max = GOOD_MAX.min(quiet.at(99) * TIMES_QUIET);
        found.check(waits.count() >= 20 && waits.at(99) < max, || format!("{name}: {waits}, over {max:?}"));
        let most = HANDSHAKES_PERCENT + REST_PERCENT;
        found.check(flooded.front_percent <= most, || {
            format!("the front took {} % of the processors, over {most} %", flooded.front_percent)
        });
        found.figure(name, waits);
        found.figure(
            rate,
            format!(
                "{:.0} a second; the front took {} % of all processors",
                flooded.rate, flooded.front_percent
            ),
        );
        trial.tell(done, 4);
    }
    let (officer, batches) = batches::beside(&ground, part)?;
    (0..officer.count()).for_each(|_| found.count(Ok(())));
    found.check(officer.count() >= 20 && officer.at(99) < OFFICER_MAX, || {
        format!("an officer beside batches: {officer}, over {OFFICER_MAX:?}")
    });
    found.check(batches.count() >= 2, || format!("{} batches", batches.count()));
    found.figure("an officer beside batches of 1,000 cards", &officer);
    found.figure("those batches", &batches);
    ground.assert_no_signal();
    Ok(Ended::Ran(found))
}

/// What was seen beside a flood.
struct Flooded {
    waits: Waits,
    rate: f64,
    front_percent: u32,
}

fn flooded(flood: Flood, part: Duration, ground: &Ground, mint: &Mint) -> Result<Flooded, Failed> {
    let front = ground.half("front").ok_or_else(|| Failed("no front".to_owned()))?;
    let (over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let right =
        CONTROLS.first().map(|right| (right.make)(mint)).ok_or_else(|| Failed("no control".to_owned()))?;
    let shown = match flood {
        Flood::Nothing => Shown { chain: Vec::new(), ..right },
        Flood::Elsewhere | Flood::RightCertificates => right,
    };
    let time = || processor_time(front).unwrap_or_default();
    let (begun, before) = (Instant::now(), time());
    let waits = thread::scope(|scope| {
        for _ in 0..FLOODERS {
            scope.spawn(|| {
                // They stand for other machines: what they compute is not to be what keeps anybody waiting here.
                let _ = setpriority_process(Some(rustix::thread::gettid()), 19);
                while !over.load(Ordering::Relaxed) {
                    if flood == Flood::Elsewhere {
                        std::hint::black_box(sha256(&[&[0; 4096]]));
                        continue;
                    }
                    let _ = meet(
                        ground.site().port(),
                        &mint.site.der,
                        &shown,
                        (flood == Flood::Nothing, Cut::NOT),
                    );
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let waits = scope.spawn(|| Asking::of(ground, "terminal-1").for_so_long(part)).join();
        over.store(true, Ordering::Relaxed);
        waits
    });
    let waits = waits.map_err(|_| Failed("the good client was not answered".to_owned()))?.connected;
    let (took, spent) = (begun.elapsed(), time().saturating_sub(before));
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 of either")]
    let (rate, cores) = (count.into_inner() as f64 / took.as_secs_f64(), cores as f64);
    let percent = 100.0 * spent.as_secs_f64() / took.as_secs_f64() / cores;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
    let front_percent = percent.ceil() as u32;
    Ok(Flooded { waits, rate, front_percent })
}
