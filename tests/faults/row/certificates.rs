//! A certificate that is not right in every respect is let in nowhere; and one that was right loses its live connections
//! within a second of its revocation, as whoever was disabled loses what it may do.

use crate::trial::{Ended, Found, Outcome, Trial};
use keysvc_protocol::request::Operation;
use keysvc_tests::{
    ground::{Failed, Ground, text},
    hostile::{
        certificates::{CONTROLS, Expected, refused},
        handshake::{Cut, Live, Met, open},
        measured::Waits,
        mint::{Mint, REVOKED},
    },
    raw::Line,
    watched::{refused as refused_now, send},
};
use rcgen::SerialNumber;
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// Rounds over the whole list at CI size: with some 120 cases each.
const ROUNDS: u64 = 3;
/// Revocations at CI size.
const REVOCATIONS: u64 = 5;
/// Who is disabled; each once, as coming back takes two people.
const DISABLED: [&str; 4] = ["terminal-2", "office-1", "platform-1", "auditor-1"];
/// Within which a revocation and a disabling must show.
const AT_ONCE: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let mut ground = Ground::founded();
    let mint = Mint::new(&ground);
    ground.start()?;
    let mut found = Found::new("handshakes");
    hand_shakes(trial, &ground, &mint, &mut found);
    let revoked = revocations(trial, &ground, &mint, &mut found)?;
    found.figure("from a new list to the cut of a live connection", revoked);
    let disabled = disablings(&ground, &mut found)?;
    found.figure("from an officer's command to the refusal on a live connection", disabled);
    let (front, keeper) = (ground.half("front"), ground.half("keeper"));
    found.check(front.is_some() && keeper.is_some(), || "a half has ended".to_owned());
    ground.assert_no_signal();
    Ok(Ended::Ran(found))
}

/// Every case with its bytes cut by chance, in an order of chance, good ones between them.
fn hand_shakes(trial: &Trial, ground: &Ground, mint: &Mint, found: &mut Found) {
    let mut chances = trial.chances();
    let (port, rounds) = (ground.site().port(), trial.scaled(ROUNDS));
    let bad = refused();
    let mut steps: BTreeMap<&str, u64> = BTreeMap::new();
    for round in 0..rounds {
        let mut cases: Vec<_> = bad.iter().chain(CONTROLS).collect();
        chances.shuffle(&mut cases);
        for case in cases {
            found.count(case.try_on(port, mint, Cut::by_chance(&mut chances)));
            *steps.entry(case.expected.step()).or_default() += 1;
        }
        trial.tell(round + 1, rounds);
    }
    let steps: Vec<String> = steps.into_iter().map(|(step, count)| format!("{count} {step}")).collect();
    let served = CONTROLS.iter().filter(|case| case.expected == Expected::Served).count();
    found.figure("kinds", format!("{} that must be refused, {served} that must be served", bad.len()));
    found.figure("ended", steps.join(", "));
}

/// A certificate with this serial number on a live connection that is served.
fn live(ground: &Ground, mint: &Mint, serial: u64) -> Result<Live, Failed> {
    let shown =
        CONTROLS.first().map(|right| (right.make)(mint)).ok_or_else(|| Failed("no control".to_owned()))?;
    let chain = vec![mint.leaf(|params| params.serial_number = Some(SerialNumber::from(serial)))];
    let shown = keysvc_tests::hostile::handshake::Shown { chain, ..shown };
    let failed = |error: std::io::Error| Failed(format!("a right certificate is not served: {error}"));
    let mut live = open(ground.site().port(), &mint.site.der, &shown, Cut::NOT).map_err(failed)?;
    match live.ask(Operation::Status).map_err(failed)? {
        Met::Served => Ok(live),
        other => Err(Failed(format!("a right certificate is not served: {other:?}"))),
    }
}

/// A list that revokes the certificate of a live connection is put in its place and the service told.
fn revocations(trial: &Trial, ground: &Ground, mint: &Mint, found: &mut Found) -> Result<Waits, Failed> {
    let mut waits = Waits::default();
    let mut serials = vec![REVOKED];
    let daemon = ground.daemon().ok_or_else(|| Failed("no daemon".to_owned()))?;
    for number in 1..=trial.scaled(REVOCATIONS) {
        let serial = REVOKED + 1_000 + number;
        let (mut cut, mut other) = (live(ground, mint, serial)?, live(ground, mint, serial + 1_000_000)?);
        serials.push(serial);
        mint.write_lists(&serials, DAY);
        let told = Instant::now();
        send(daemon, Signal::HUP);
        let ended = cut.answer();
        waits.note(told.elapsed());
        let late = told.elapsed() > AT_ONCE;
        let goes_on = other.ask(Operation::Status).is_ok_and(|met| met == Met::Served);
        let barred = live(ground, mint, serial).is_err();
        found.count(if ended.is_err() && !late && goes_on && barred {
            Ok(())
        } else {
            Err(format!(
                "revocation {number}: {ended:?}, late {late}, others go on {goes_on}, barred {barred}"
            ))
        });
    }
    Ok(waits)
}

/// An officer disables somebody who asks all the time on a live connection. What is timed begins before the officer's program
/// does.
fn disablings(ground: &Ground, found: &mut Found) -> Result<Waits, Failed> {
    let mut waits = Waits::default();
    let pin = ground.site().home("officer-1").pin_file();
    for persona in DISABLED {
        let mut line = Line::open(ground.site(), persona);
        let before = refused_now(&mut line);
        let together = Barrier::new(2);
        let (wait, done) = thread::scope(|scope| {
            let asking = scope.spawn(|| {
                together.wait();
                let begun = Instant::now();
                while begun.elapsed() < 5 * AT_ONCE && refused_now(&mut line).is_none() {
                    thread::park_timeout(Duration::from_millis(5));
                }
                begun.elapsed()
            });
            together.wait();
            let mut command = ground.fobctl(
                "officer-1",
                &["principal", "disable", persona, "--reason", "stolen last night", "--pin-file"],
            );
            let done = command.arg(&pin).output();
            (asking.join(), done)
        });
        let wait = wait.map_err(|_| Failed(format!("{persona}: the connection broke")))?;
        let done = done.map_err(|error| Failed(format!("fobctl: {error}")))?;
        waits.note(wait);
        found.count(if before.is_none() && done.status.success() && wait < AT_ONCE {
            Ok(())
        } else {
            Err(format!("{persona} disabled: refused before {before:?}, after {wait:?}, {}", text(&done)))
        });
    }
    Ok(waits)
}
