//! Kill -9 of the keeper: nothing acknowledged is lost, nothing is issued twice, and the clients keep their sockets.

use keysvc::{
    config::Config,
    keeper::{
        founding::open_token,
        ledger::{Change, Outcome},
        manifest::{self, Order},
        serve::now_ms,
        start::{install_seals, open_store},
    },
};
use keysvc_client::ClientConfig;
use keysvc_protocol::{
    bytes::ObjectIdentifier,
    key::{KeyKind, KeyState},
    leaf::KeyIntentLeaf,
    schema::Schema,
};
use keysvc_tests::{
    acks::{Acks, Recorded},
    audited::audited,
    ground::{Ground, text},
    outage::Witness,
    raw::{leaves, with_tokens},
    tills::{Tills, next_update},
};
use rustix::process::{Pid, Signal, kill_process};
use softhsm_setup::Site;
use std::{
    fs,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

const CARDS: [&str; 4] = ["04782e21801d80", "04a1b2c3d4e5f6", "0411223344556677aabb", "04ffeeddccbbaa"];
const KILLS: usize = 5;
/// The keys whose making was broken off, by the byte that fills their identifiers.
const BROKEN_OFF: [(u8, &str); 2] =
    [(0xc4, "storage.operational.2031-01"), (0xc5, "storage.operational.2031-02")];
/// The one whose object is there.
const MADE: ObjectIdentifier = ObjectIdentifier::new([0xc4; 16]);
/// The restart's own limit is half a second, measured elsewhere; this is for machines that are busy with other tests.
const RESTART_LIMIT: Duration = Duration::from_secs(5);

/// Each client has a state folder of its own, as terminals in different shops have.
fn clients(ground: &Ground) -> Vec<(ClientConfig, &'static str)> {
    let own = |card: &'static str| {
        let mut config = ground.config("terminal-1");
        config.state = config.state.with_file_name(format!("state-{card}"));
        fs::create_dir(&config.state).unwrap();
        (config, card)
    };
    CARDS.into_iter().map(own).collect()
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[test]
fn five_kills_under_load_lose_nothing_issue_nothing_twice_and_keep_every_socket() {
    let ground = Ground::new();
    let load = Arc::new(Tills::new(ground.site().folder().join("acks")));
    let clients = clients(&ground);
    let own = Arc::clone(&load);
    let working = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let work = clients.into_iter().map(|(config, card)| {
                let load = Arc::clone(&own);
                tokio::task::spawn(async move { load.work(config, card).await })
            });
            for one in work.collect::<Vec<_>>() {
                one.await.unwrap();
            }
        });
    });

    // Opened before the first kill, and never again.
    let mut witness = Witness::new(ground.site(), "auditor-1");
    let front = ground.half("front").unwrap();
    for number in 1..=KILLS {
        let before = witness.started().unwrap().unwrap();
        // Under load: some dozens of acknowledgements after the last kill, and then at any moment.
        let enough = load.acknowledged.load(Ordering::Acquire) + 20 + usize::from(random() % 40);
        while load.acknowledged.load(Ordering::Acquire) < enough {
            assert!(!working.is_finished(), "the load ended");
            thread::yield_now();
        }
        thread::park_timeout(Duration::from_micros(u64::from(random()) * 40));
        let killed = Instant::now();
        kill(ground.half("keeper").unwrap());
        let restart = witness.restarted(before, killed).unwrap();
        println!("kill {number}: serving again after {} ms", restart.as_millis());
        assert!(restart < RESTART_LIMIT, "{restart:?}");
    }
    load.stop.store(true, Ordering::Release);
    working.join().unwrap();
    assert_eq!(ground.half("front"), Some(front));
    assert!(witness.unavailable > 0, "the front never said that the keeper was away");

    let acks = Acks::read(&load.acks);
    let recorded = Recorded::of(&leaves(&ground));
    println!(
        "{} acknowledged, {} recorded, {} answers 'unavailable' on one socket",
        acks.len(),
        recorded.len(),
        witness.unavailable
    );
    assert!(acks.len() >= KILLS * 20);
    assert!(recorded.lost(&acks).is_empty(), "{} lost", recorded.lost(&acks).len());
    assert!(recorded.double().is_empty(), "{:?}", recorded.double());
    // What is recorded and not acknowledged was under way at the end: nothing here.
    assert_eq!(recorded.len(), acks.len());
    audited(&ground, &ground.site().folder().join("export")).unwrap();
}

fn random() -> u8 {
    let mut byte = [0];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut byte).unwrap();
    byte[0]
}

#[test]
fn a_killed_front_is_started_again_and_the_keeper_is_not() {
    let mut ground = Ground::new();
    let (front, keeper) = (ground.half("front").unwrap(), ground.half("keeper").unwrap());
    kill(front);
    ground.wait().unwrap();
    assert_eq!(ground.half("keeper"), Some(keeper));
    assert!(ground.half("front").is_some_and(|now| now != front));
}

/// The child that sees the service's token leaves what a keeper leaves that is killed between intent and outcome: the
/// leaf and the object, or the leaf alone where the object was not made yet; and no second leaf.
fn break_off_keys(site: &Site) {
    let config = Config::read(&site.service_config()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let token = open_token(&config).unwrap();
        let (sequencer, _reader) = open_store(&config).unwrap();
        install_seals(&config, &token, &sequencer).unwrap();
        sequencer.restore_control().unwrap();
        for (id, name) in BROKEN_OFF {
            let (id, name, kind) = (ObjectIdentifier::new([id; 16]), name.parse().unwrap(), KeyKind::Storage);
            let order = Order { name, version: 1, kind, id, born: KeyState::Active, known: None };
            let intent = KeyIntentLeaf { schema: Schema, id, kind, name: order.name.clone(), version: 1 };
            let settled = sequencer.submit(Change::KeyIntent(intent)).await.unwrap();
            assert!(matches!(settled.outcome, Outcome::Recorded(_)));
            if id == MADE {
                manifest::make(&token, &order, now_ms()).unwrap();
            }
        }
        sequencer.close();
    });
}

#[test]
fn a_key_broken_off_between_intent_and_outcome_is_listed_never_used_and_the_service_serves() {
    let test = "a_key_broken_off_between_intent_and_outcome_is_listed_never_used_and_the_service_serves";
    let Some(mut ground) = with_tokens(test, &["service"], Ground::founded, |site, _| break_off_keys(site))
    else {
        return;
    };
    ground.start().unwrap();
    let log = fs::read_to_string(ground.log()).unwrap();
    for (id, name) in BROKEN_OFF {
        let listed = |line: &str| {
            line.contains("an intent without outcome: its object is not used")
                && line.contains(name)
                && line.contains(&format!("{id:02x}").repeat(16))
        };
        assert!(log.lines().any(listed), "{log}");
    }
    ground.block_on(async {
        let auditor = ground.auditor().await.unwrap();
        let keys = auditor.reader().keys().await.unwrap();
        assert!(
            keys.iter()
                .all(|key| BROKEN_OFF.iter().all(|(id, _)| key.id != ObjectIdentifier::new([*id; 16])))
        );
        let terminal = ground.terminal("terminal-1").await.unwrap();
        terminal.update(&next_update(CARDS[0], None)).await.unwrap();
    });
    audited(&ground, &ground.site().folder().join("export")).unwrap();
    // It stays so: a start neither forgets nor finishes it, and doctor names it.
    ground.stop();
    let doctor = ground.keysvc(&["doctor"]).output().unwrap();
    let said = text(&doctor);
    assert!(doctor.status.success(), "{said}");
    for (id, name) in BROKEN_OFF {
        let named = format!(
            "note  unfinished     the making of {name} ({}) was broken off",
            format!("{id:02x}").repeat(16)
        );
        assert!(said.contains(&named), "{said}");
    }
}
