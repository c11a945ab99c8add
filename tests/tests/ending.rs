//! How the service ends while terminals work: asked to, one half asked to, its parent killed. However it ends,
//! what was acknowledged is in the log, and no half ends by a signal that it was not sent.

use keysvc_tests::{
    ground::Ground,
    load::{Load, assert_nothing_lost},
    watched::send,
};
use rustix::process::Signal;
use std::{
    fs::{self, File},
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How many terminals work, each with a card of its own.
const TERMINALS: u8 = 4;
/// How often the whole service, or the keeper, is asked to end: an end that fails one time in five is to be found.
const ROUNDS: usize = 5;
/// Longer than anything here takes, the supervisor's waits included.
const LONG: Duration = Duration::from_mins(1);

/// Starts `keysvc serve` so that the test itself sees how it ends.
fn serve(ground: &mut Ground) -> Child {
    let log = File::options().create(true).append(true).open(ground.log()).unwrap();
    let mut command = ground.keysvc(&["serve"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    ground.wait().unwrap();
    child
}

fn status_in_time(child: &mut Child, ground: &Ground) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(began.elapsed() < LONG, "it does not end\n{}", ground.said());
        thread::park_timeout(Duration::from_millis(2));
    }
}

#[test]
fn a_service_asked_to_end_under_load_ends_with_code_0_and_loses_nothing() {
    let mut ground = Ground::founded();
    let mut loads = Vec::new();
    for round in 1..=ROUNDS {
        let mut daemon = serve(&mut ground);
        let load = Load::start(&ground, u8::try_from(round).unwrap(), TERMINALS);
        load.wait_for_more();
        let asked = Instant::now();
        send(daemon.id(), Signal::TERM);
        let status = status_in_time(&mut daemon, &ground);
        println!("round {round}: {status} after {} ms", asked.elapsed().as_millis());
        assert_eq!(status.code(), Some(0), "{}", ground.said());
        ground.assert_no_signal();
        load.stop();
        loads.push(load);
    }
    ground.start().unwrap();
    let acks: Vec<_> = loads.into_iter().flat_map(Load::end).collect();
    assert_nothing_lost(&ground, &acks);
}

#[test]
fn a_keeper_asked_to_end_under_load_ends_with_code_0_is_started_again_and_loses_nothing() {
    let ground = Ground::new();
    let front = ground.half("front").unwrap();
    let load = Load::start(&ground, 1, TERMINALS);
    for round in 1..=ROUNDS {
        load.wait_for_more();
        let asked = Instant::now();
        send(ground.half("keeper").unwrap(), Signal::TERM);
        ground.wait_until("the keeper does not end with code 0", || ground.ends("keeper", 0) == round);
        println!("round {round}: ended after {} ms", asked.elapsed().as_millis());
        // The terminals did nothing but repeat what was not answered.
        load.wait_for_more();
    }
    let acks = load.end();
    ground.assert_no_signal();
    assert_eq!(ground.half("front"), Some(front));
    assert_nothing_lost(&ground, &acks);
}

/// Gone, or a zombie that whoever adopted it has not waited for yet.
fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|state| state.is_empty() || state.starts_with('Z'))
}

#[test]
fn a_killed_parent_takes_both_halves_with_it_and_a_new_one_serves_on_the_same_store() {
    let mut ground = Ground::new();
    let halves = ["front", "keeper"].map(|half| ground.half(half).unwrap());
    let load = Load::start(&ground, 1, TERMINALS);
    load.wait_for_more();
    send(ground.daemon().unwrap(), Signal::KILL);
    ground.wait_until("a half outlives its parent", || halves.into_iter().all(is_gone));
    // Only waits for the one that was killed.
    ground.stop();
    ground.assert_no_signal();
    ground.start().unwrap();
    load.wait_for_more();
    let acks = load.end();
    assert_nothing_lost(&ground, &acks);
}
