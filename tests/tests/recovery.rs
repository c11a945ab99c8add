//! What is wrong with the token while the service runs, and how the service comes back once it is right again: by
//! itself, within two seconds, with nothing lost. Nobody starts anything here by hand.

use keysvc::{config::Config, keeper::own_token};
use keysvc_protocol::refusal::Refusal;
use keysvc_tests::{
    about_softhsm::passed_over,
    ended::ended,
    ground::{Ground, text},
    load::{Load, assert_nothing_lost},
    raw::{Line, with_tokens},
    watched::{refused, send},
};
use keysvc_token::{Pin, initialise_token};
use rustix::process::Signal;
use softhsm_setup::Site;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How many terminals work, each with a card of its own.
const TERMINALS: u8 = 4;
/// How long the token is away.
const AWAY: Duration = Duration::from_secs(3);
/// How long the keeper may take to see it: the readiness operation runs each second.
const NOTICED: Duration = Duration::from_secs(2);
/// How long a refusal may take while the token is away.
const REFUSAL: Duration = Duration::from_millis(100);
/// How long after its return the service may take to serve.
const RETURN: Duration = Duration::from_secs(2);
/// Between two questions, so that they do not take the machine from what is measured.
const PAUSE: Duration = Duration::from_millis(5);
/// What the keeper's log says once for each attempt with the PIN.
const LOGIN: &str = "logging in to the token";

/// A service whose state is asked for on one connection that stays open.
struct Watched {
    ground: Ground,
    line: Line,
    halves: (Option<u32>, Option<u32>),
}

impl Watched {
    fn new(ground: Ground) -> Self {
        let line = Line::open(ground.site(), "auditor-1");
        let halves = (ground.daemon(), ground.half("front"));
        Self { ground, line, halves }
    }

    fn tokens(&self) -> PathBuf {
        self.ground.site().service().token_folder()
    }

    /// Waits until the service refuses for its token's sake.
    fn wait_for_refusal(&mut self) -> Duration {
        let began = Instant::now();
        while refused(&mut self.line).is_none() {
            assert!(began.elapsed() < NOTICED, "it is not noticed\n{}", self.ground.said());
            thread::park_timeout(PAUSE);
        }
        began.elapsed()
    }

    /// Asks for `long`, and holds each answer to be the refusal, and nearly all of them to be fast: one in twenty may
    /// have met other work of this machine.
    fn refuses_at_once(&mut self, long: Duration) {
        let began = Instant::now();
        let mut times = Vec::new();
        while began.elapsed() < long {
            let asked = Instant::now();
            assert_eq!(refused(&mut self.line), Some(Refusal::TokenUnavailable), "{}", self.ground.said());
            times.push(asked.elapsed());
            thread::park_timeout(PAUSE);
        }
        times.sort_unstable();
        let (most, slowest) = (times[times.len() * 95 / 100], times[times.len() - 1]);
        println!("{} refusals, 95 of 100 within {most:?}, the slowest {slowest:?}", times.len());
        assert!(most < REFUSAL, "{most:?}");
    }

    /// Waits until the service serves again, within the time that it may take.
    fn wait_for_return(&mut self) {
        let began = Instant::now();
        while refused(&mut self.line).is_some() {
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "it does not serve again\n{}",
                self.ground.said()
            );
            thread::park_timeout(PAUSE);
        }
        println!("serving {} ms after the return", began.elapsed().as_millis());
        assert!(began.elapsed() < RETURN, "{:?}\n{}", began.elapsed(), self.ground.said());
        // On the same connection, by the same front, under the same parent.
        assert_eq!((self.ground.daemon(), self.ground.half("front")), self.halves);
    }

    /// How often the PIN was tried.
    fn logins(&self) -> usize {
        self.ground.said().matches(LOGIN).count()
    }
}

#[test]
fn a_token_that_is_away_for_three_seconds_under_load_is_refused_at_once_and_served_once_it_is_back() {
    if passed_over(
        "a_token_that_is_away_for_three_seconds_under_load_is_refused_at_once_and_served_once_it_is_back",
    ) {
        return;
    }
    let mut watched = Watched::new(Ground::new());
    let (tokens, load) = (watched.tokens(), Load::start(&watched.ground, 1, TERMINALS));
    let away = tokens.with_file_name("away");
    load.wait_for_more();

    fs::rename(&tokens, &away).unwrap();
    let noticed = watched.wait_for_refusal();
    println!("noticed after {} ms", noticed.as_millis());
    watched.refuses_at_once(AWAY.saturating_sub(noticed));
    fs::rename(&away, &tokens).unwrap();

    watched.wait_for_return();
    load.wait_for_more();
    let acks = load.end();
    assert!(watched.ground.ends("keeper", 10) >= 2, "{}", watched.ground.said());
    watched.ground.assert_no_signal();
    assert_nothing_lost(&watched.ground, &acks);
}

#[test]
fn a_token_that_vanishes_at_any_moment_of_a_start_is_waited_for() {
    if passed_over("a_token_that_vanishes_at_any_moment_of_a_start_is_waited_for") {
        return;
    }
    let ground = Ground::founded();
    let tokens = ground.site().service().token_folder();
    let away = tokens.with_file_name("away");
    // From before the module is loaded to after the socket is there, on a fast machine and on a slow one.
    for step in 0..16_u64 {
        let (from, to) = (tokens.clone(), away.clone());
        let moving = thread::spawn(move || {
            thread::sleep(Duration::from_millis(2 * step * step));
            fs::rename(from, to).unwrap();
        });
        let output = ended(ground.keysvc(&["keeper"]));
        moving.join().unwrap();
        assert_eq!(output.status.code(), Some(10), "after {} ms: {}", 2 * step * step, text(&output));
        fs::rename(&away, &tokens).unwrap();
    }
}

/// Makes a token with our label and our PIN, and another serial, in the folder `strangers` beside the service's.
fn make_stranger(site: &Site) {
    let (home, token) = (site.service(), Config::read(&site.service_config()).unwrap().token);
    let (tokens, own) = (home.token_folder(), home.folder().join("own"));
    fs::rename(&tokens, &own).unwrap();
    fs::create_dir(&tokens).unwrap();
    let pin = Pin::from_file(&home.pin_file()).unwrap();
    initialise_token(&token.module, &token.label, &Pin::new("90713265".to_owned()), &pin).unwrap();
    fs::rename(&tokens, home.folder().join("strangers")).unwrap();
    fs::rename(&own, &tokens).unwrap();
}

#[test]
fn another_token_is_named_its_pin_is_not_tried_and_the_right_one_serves_again() {
    if passed_over("another_token_is_named_its_pin_is_not_tried_and_the_right_one_serves_again") {
        return;
    }
    let test = "another_token_is_named_its_pin_is_not_tried_and_the_right_one_serves_again";
    let Some(mut ground) = with_tokens(test, &["service"], Ground::founded, |site, _| make_stranger(site))
    else {
        return;
    };
    ground.start().unwrap();
    let mut watched = Watched::new(ground);
    let home = watched.ground.site().service();
    let (tokens, own, strangers) =
        (watched.tokens(), home.folder().join("own"), home.folder().join("strangers"));
    let serial = own_token::place(&Config::read(&watched.ground.site().service_config()).unwrap());
    let known = fs::read_to_string(&serial).unwrap();
    assert_eq!(watched.logins(), 1);

    fs::rename(&tokens, &own).unwrap();
    fs::rename(&strangers, &tokens).unwrap();
    watched.wait_for_refusal();
    watched.ground.wait_until("it is not seen", || watched.ground.ends("keeper", 14) >= 1);
    watched.refuses_at_once(Duration::from_secs(2));
    let said = watched.ground.said();
    assert!(said.contains("another token: the token \"keysvc\" has the serial"), "{said}");
    assert!(
        said.contains(&format!("the service's has {}, so the PIN was not tried", known.trim_end())),
        "{said}"
    );
    // It is looked at again and again, and said once.
    assert_eq!(said.matches("so the PIN was not tried").count(), 1, "{said}");
    assert_eq!(watched.logins(), 1, "{said}");

    fs::rename(&tokens, &strangers).unwrap();
    fs::rename(&own, &tokens).unwrap();
    watched.wait_for_return();
    assert_eq!(watched.logins(), 2);
    assert_eq!(fs::read_to_string(&serial).unwrap(), known);
}

#[test]
fn a_token_that_holds_none_of_our_keys_is_another_one_even_where_no_serial_is_known() {
    let test = "a_token_that_holds_none_of_our_keys_is_another_one_even_where_no_serial_is_known";
    let Some(ground) = with_tokens(test, &["service"], Ground::founded, |site, _| make_stranger(site)) else {
        return;
    };
    let home = ground.site().service();
    fs::rename(home.token_folder(), home.folder().join("own")).unwrap();
    fs::rename(home.folder().join("strangers"), home.token_folder()).unwrap();
    // A site that was founded before serials were written down.
    let serial = own_token::place(&Config::read(&ground.site().service_config()).unwrap());
    fs::remove_file(&serial).unwrap();
    let output = ended(ground.keysvc(&["keeper"]));
    assert_eq!(output.status.code(), Some(14), "{}", text(&output));
    assert!(text(&output).contains("it holds none of the service's keys"), "{}", text(&output));
    // The keeper makes the file before it may make none any more; it is to name nobody.
    assert_eq!(fs::read_to_string(&serial).unwrap_or_default(), "");
}

#[test]
fn a_wrong_pin_is_tried_once_and_the_right_one_serves_again() {
    let mut watched = Watched::new(Ground::new());
    let pin = watched.ground.site().service().pin_file();
    let right = fs::read(&pin).unwrap();
    fs::write(&pin, "00000000\n").unwrap();
    send(watched.ground.half("keeper").unwrap(), Signal::TERM);
    watched
        .ground
        .wait_until("it is not tried", || watched.ground.said().contains("the token refused the PIN, and"));

    // Longer than any wait for a restart: an attempt each time would lock a token.
    watched.refuses_at_once(Duration::from_secs(4));
    let said = watched.ground.said();
    assert_eq!(watched.logins(), 2, "the first start, and the one with the wrong PIN: {said}");
    assert!(said.contains("refused the PIN: correct the PIN file before the next start"), "{said}");
    assert_eq!(watched.ground.half("keeper"), None);

    fs::write(&pin, right).unwrap();
    watched.wait_for_return();
    assert_eq!(watched.logins(), 3);
}

#[test]
fn a_module_that_is_missing_is_waited_for_at_the_start_and_later() {
    let mut ground = Ground::founded();
    let (config, home) = (ground.site().service_config(), ground.site().service());
    let own = Config::read(&config).unwrap().token.module;
    let (module, away) = (home.folder().join("module.so"), home.folder().join("away.so"));
    fs::copy(&own, &away).unwrap();
    let written = fs::read_to_string(&config).unwrap();
    let [own, copy] = [&own, &module].map(|path| format!("{:?}", path.display().to_string()));
    fs::write(&config, written.replace(&own, &copy)).unwrap();

    // At the start: the front serves, and refuses.
    ground.spawn().unwrap();
    let missing = format!("no PKCS#11 module at {}", module.display());
    ground.wait_until("it is not looked for", || ground.log().exists() && ground.ends("keeper", 10) >= 1);
    assert!(ground.said().contains(&missing), "{}", ground.said());
    ground.wait_until("the front does not serve", || {
        Line::with(ground.site(), Some(&ground.site().home("auditor-1"))).is_ok()
    });
    let mut watched = Watched::new(ground);
    watched.refuses_at_once(Duration::from_secs(1));
    fs::rename(&away, &module).unwrap();
    watched.wait_for_return();

    // Later: a keeper that is started again does not find it.
    fs::rename(&module, &away).unwrap();
    send(watched.ground.half("keeper").unwrap(), Signal::KILL);
    watched.wait_for_refusal();
    watched.ground.wait_until("it is not missed", || watched.ground.ends("keeper", 10) >= 2);
    watched.refuses_at_once(Duration::from_secs(1));
    fs::rename(&away, &module).unwrap();
    watched.wait_for_return();

    // Whoever checks is told.
    fs::rename(&module, &away).unwrap();
    for command in ["check-config", "doctor"] {
        let output = ended(watched.ground.keysvc(&[command]));
        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert!(text(&output).contains("token.module"), "{}", text(&output));
    }
}

#[test]
fn a_label_that_no_token_carries_is_said_beside_the_ones_that_are_there() {
    let ground = Ground::founded();
    let config = ground.site().service_config();
    let written = fs::read_to_string(&config).unwrap();
    fs::write(&config, written.replace("label = \"keysvc\"", "label = \"kesvc\"")).unwrap();
    let output = ended(ground.keysvc(&["keeper"]));
    assert_eq!(output.status.code(), Some(10), "{}", text(&output));
    let words = "no initialised token is labelled \"kesvc\": the module shows \"keysvc\"; check the label";
    assert!(text(&output).contains(words), "{}", text(&output));
}

/// Restarts that are counted, after some that are not: what grows once is no leak.
const RESTARTS: usize = 100;
/// Restarts before the first measurement.
const WARM_UP: usize = 10;
/// How much the memory of a process may grow over all restarts, in KiB: a leak of one connection's buffers each time
/// would be several times as much.
const GROWTH_MAX: u64 = 8 * 1024;

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    threads: usize,
    memory_kib: u64,
}

impl Held {
    fn by(pid: u32) -> Self {
        let count = |folder: &str| fs::read_dir(format!("/proc/{pid}/{folder}")).unwrap().count();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            descriptors: count("fd"),
            threads: count("task"),
            memory_kib: memory.trim().trim_end_matches(" kB").parse().unwrap(),
        }
    }

    /// Of a moment at which nothing comes or goes: the smallest of some.
    fn at_rest(pid: u32) -> Self {
        let look = |_| {
            thread::sleep(Duration::from_millis(20));
            Self::by(pid)
        };
        (0..25).map(look).min_by_key(|held| (held.descriptors, held.memory_kib)).unwrap()
    }

    fn assert_no_more_than(self, before: Self, who: &str) {
        println!("{who}: {before:?}, then {self:?}");
        assert!(self.descriptors <= before.descriptors, "{who}: {before:?}, then {self:?}");
        assert!(self.threads <= before.threads, "{who}: {before:?}, then {self:?}");
        assert!(self.memory_kib <= before.memory_kib + GROWTH_MAX, "{who}: {before:?}, then {self:?}");
    }
}

/// Every file in the folder and below.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { BTreeSet::from([path]) }).collect()
}

/// The processes whose parent is this one, those that have ended and were not waited for among them.
fn children(parent: u32) -> usize {
    let stat = |pid: &str| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_child = |pid: &str| {
        stat(pid).rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1).map(str::to_owned))
            == Some(parent.to_string())
    };
    let all =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    all.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(|pid| is_child(pid)).count()
}

#[test]
fn a_hundred_restarts_of_the_keeper_leak_no_descriptor_thread_process_file_or_memory() {
    let mut watched = Watched::new(Ground::new());
    let (daemon, front) = (watched.ground.daemon().unwrap(), watched.ground.half("front").unwrap());
    let tokens = files(&watched.tokens());
    let load = Load::start(&watched.ground, 1, 1);
    load.wait_for(1);
    let measure = |ground: &Ground| {
        let keeper = ground.half("keeper").unwrap();
        [daemon, front, keeper].map(Held::at_rest)
    };
    let (mut before, began) = (None, Instant::now());
    for number in 0..WARM_UP + RESTARTS {
        if number == WARM_UP {
            before = Some(measure(&watched.ground));
        }
        let keeper = watched.ground.half("keeper").unwrap();
        send(keeper, if number % 2 == 0 { Signal::KILL } else { Signal::TERM });
        watched.ground.wait_until("it is not started again", || {
            watched.ground.half("keeper").is_some_and(|now| now != keeper)
        });
        while refused(&mut watched.line).is_some() {
            thread::park_timeout(PAUSE);
        }
    }
    println!("{} restarts in {:?}", WARM_UP + RESTARTS, began.elapsed());
    let after = measure(&watched.ground);
    for (who, (before, after)) in
        ["parent", "front", "keeper"].into_iter().zip(before.unwrap().into_iter().zip(after))
    {
        after.assert_no_more_than(before, who);
    }
    assert_eq!(children(daemon), 2);
    assert_eq!(files(&watched.tokens()), tokens);
    load.wait_for(1);
    let acks = load.end();
    assert_nothing_lost(&watched.ground, &acks);
}
