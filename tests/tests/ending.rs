//! How the service ends while terminals work: asked to, one half asked to, its token gone, its parent killed. However
//! it ends, what was acknowledged is in the log, and no half ends by a signal that it was not sent.

use keysvc_client::ClientConfig;
use keysvc_protocol::{
    cbor,
    refusal::Refusal,
    reply::StatusReply,
    request::{Operation, ReadStatus},
    schema::Schema,
};
use keysvc_tests::{
    acks::{Acks, Recorded},
    ground::Ground,
    raw::{Line, leaves},
    tills::Tills,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How many terminals work, each with a card of its own.
const TERMINALS: u8 = 4;
/// How often the whole service, or the keeper, is asked to end: an end that fails one time in five is to be found.
const ROUNDS: usize = 5;
/// Acknowledgements before each end, so that it falls into the work.
const ENOUGH: usize = 30;
/// Longer than anything here takes, the supervisor's waits included.
const LONG: Duration = Duration::from_mins(1);
/// How long "at once" is at most, on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Terminals at work, each with a card of its own.
struct Load {
    shared: Arc<Tills>,
    working: JoinHandle<()>,
}

impl Load {
    /// Each load has a number, and so folders and cards of its own.
    fn start(ground: &Ground, number: u8) -> Self {
        let shared = Arc::new(Tills::new(ground.site().folder().join(format!("acks-{number}"))));
        let terminals: Vec<(ClientConfig, String)> = (1..=TERMINALS)
            .map(|terminal| {
                let mut config = ground.config("terminal-1");
                config.state = config.state.with_file_name(format!("state-{number}-{terminal}"));
                fs::create_dir(&config.state).unwrap();
                (config, format!("0411223344{number:02x}{terminal:02x}"))
            })
            .collect();
        let own = Arc::clone(&shared);
        let working = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let work = terminals.into_iter().map(|(config, card)| {
                    let own = Arc::clone(&own);
                    tokio::task::spawn(async move { own.work(config, &card).await })
                });
                for one in work.collect::<Vec<_>>() {
                    one.await.unwrap();
                }
            });
        });
        Self { shared, working }
    }

    /// Waits until some more updates were acknowledged.
    fn wait_for_more(&self) {
        let enough = self.shared.acknowledged.load(Ordering::Acquire) + ENOUGH;
        let began = Instant::now();
        while self.shared.acknowledged.load(Ordering::Acquire) < enough {
            assert!(!self.working.is_finished(), "the load ended");
            assert!(began.elapsed() < LONG, "nothing is acknowledged any more");
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Asks each terminal to send nothing new once its request was answered.
    fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
    }

    /// Ends the load, while there is a service to answer what is under way, and gives every acknowledged payload.
    fn end(self) -> Vec<Vec<u8>> {
        self.stop();
        self.working.join().unwrap();
        Acks::read(&self.shared.acks)
    }
}

fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

fn log(ground: &Ground) -> String {
    fs::read_to_string(ground.log()).unwrap()
}

/// The daemon's log says of no half that a signal ended it or that it had to be killed.
fn assert_no_signal(ground: &Ground) {
    let log = log(ground);
    let bad =
        |line: &&str| line.contains("signal: ") || line.contains("is killed") || line.contains("panicked");
    assert_eq!(log.lines().find(bad), None, "{log}");
}

/// How often the supervisor noted that the half ended with this code.
fn ends(ground: &Ground, half: &str, code: u8) -> usize {
    let (half, status) = (format!("half=\"{half}\""), format!("status=exit status: {code} "));
    log(ground).lines().filter(|line| line.contains(&half) && line.contains(&status)).count()
}

fn wait_until(what: &str, ground: &Ground, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LONG, "{what}\n{}", log(ground));
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// Everything acknowledged is in the log as it was acknowledged, and nothing twice.
fn assert_nothing_lost(ground: &Ground, acks: &[Vec<u8>]) {
    let recorded = Recorded::of(&leaves(ground));
    println!("{} acknowledged, {} recorded", acks.len(), recorded.len());
    assert!(acks.len() >= ENOUGH);
    assert!(recorded.lost(acks).is_empty(), "{} lost", recorded.lost(acks).len());
    assert!(recorded.double().is_empty(), "{:?}", recorded.double());
}

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
        assert!(began.elapsed() < LONG, "it does not end\n{}", log(ground));
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// Asks for the status on a connection that stays open; nothing when it answers, or the refusal. Never slow.
fn ask(line: &mut Line) -> Option<Refusal> {
    let asked = Instant::now();
    let answer = line.put::<StatusReply>(Operation::Status, cbor::encode(&ReadStatus { schema: Schema }));
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    answer.err()
}

#[test]
fn a_service_asked_to_end_under_load_ends_with_code_0_and_loses_nothing() {
    let mut ground = Ground::founded();
    let mut loads = Vec::new();
    for round in 1..=ROUNDS {
        let mut daemon = serve(&mut ground);
        let load = Load::start(&ground, u8::try_from(round).unwrap());
        load.wait_for_more();
        let asked = Instant::now();
        send(daemon.id(), Signal::TERM);
        let status = status_in_time(&mut daemon, &ground);
        println!("round {round}: {status} after {} ms", asked.elapsed().as_millis());
        assert_eq!(status.code(), Some(0), "{}", log(&ground));
        assert_no_signal(&ground);
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
    let load = Load::start(&ground, 1);
    for round in 1..=ROUNDS {
        load.wait_for_more();
        let asked = Instant::now();
        send(ground.half("keeper").unwrap(), Signal::TERM);
        wait_until("the keeper does not end with code 0", &ground, || ends(&ground, "keeper", 0) == round);
        println!("round {round}: ended after {} ms", asked.elapsed().as_millis());
        // The terminals did nothing but repeat what was not answered.
        load.wait_for_more();
    }
    let acks = load.end();
    assert_no_signal(&ground);
    assert_eq!(ground.half("front"), Some(front));
    assert_nothing_lost(&ground, &acks);
}

#[test]
fn a_token_that_is_away_ends_the_keeper_and_the_service_serves_by_itself_once_it_is_back() {
    let ground = Ground::new();
    let (daemon, front) = (ground.daemon(), ground.half("front").unwrap());
    let folder = ground.site().service().token_folder();
    let away = folder.with_file_name("away");
    let load = Load::start(&ground, 1);
    load.wait_for_more();
    let mut line = Line::open(ground.site(), "auditor-1");
    assert_eq!(ask(&mut line), None);

    fs::rename(&folder, &away).unwrap();
    // The one that served, and one that was started while the token was away.
    wait_until("the keeper does not end with code 10", &ground, || ends(&ground, "keeper", 10) >= 2);
    assert_eq!(ask(&mut line), Some(Refusal::TokenUnavailable));
    fs::rename(&away, &folder).unwrap();

    load.wait_for_more();
    let acks = load.end();
    assert_eq!(ask(&mut line), None);
    assert_eq!((ground.daemon(), ground.half("front")), (daemon, Some(front)));
    assert_no_signal(&ground);
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
    let load = Load::start(&ground, 1);
    load.wait_for_more();
    send(ground.daemon().unwrap(), Signal::KILL);
    wait_until("a half outlives its parent", &ground, || halves.into_iter().all(is_gone));
    // Only waits for the one that was killed.
    ground.stop();
    assert_no_signal(&ground);
    ground.start().unwrap();
    load.wait_for_more();
    let acks = load.end();
    assert_nothing_lost(&ground, &acks);
}
