//! Slow and silent clients keep neither a good client nor an officer waiting, whether they are connected already or only come.

use crate::{
    row::waiting::{Asked, Asking, raise_file_limit},
    trial::{Ended, Found, Outcome, Trial},
};
use keysvc_tests::{
    ground::{Failed, Ground},
    hostile::{
        memory::{forget_peak, peak_kib},
        mint::Mint,
        sockets::{Kind, Sockets},
    },
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Sockets of each kind where all kinds are there at one time, and of one kind where it is alone.
const TOGETHER: usize = 300;
const ALONE: usize = 900;
/// How long each siege lasts at CI size.
const SIEGE: Duration = Duration::from_secs(12);
/// How long all sockets may take to be there.
const GATHERING: Duration = Duration::from_secs(20);
/// Within which 99 of a hundred good clients and of a hundred officers must be answered.
const GOOD_MAX: Duration = Duration::from_millis(250);
const OFFICER_MAX: Duration = Duration::from_millis(100);
/// The most memory that the front may have, in MiB.
const MEMORY_MAX: u64 = 256;

/// One siege: what takes room, and what its figures are called.
struct Siege {
    kinds: &'static [(Kind, usize)],
    names: [&'static str; 6],
}

const ALL: Siege = Siege {
    kinds: &[(Kind::Silent, TOGETHER), (Kind::HalfHello, TOGETHER), (Kind::Dripping, TOGETHER)],
    names: [
        "900 of three kinds: a good client that is connected",
        "900 of three kinds: a good client that comes",
        "900 of three kinds: an officer who is connected",
        "900 of three kinds: an officer who comes",
        "900 of three kinds: sockets opened",
        "900 of three kinds: most memory of the front",
    ],
};

const ONE_BY_ONE: [Siege; 3] = [
    Siege {
        kinds: &[(Kind::Silent, ALONE)],
        names: [
            "900 silent: a good client that is connected",
            "900 silent: a good client that comes",
            "900 silent: an officer who is connected",
            "900 silent: an officer who comes",
            "900 silent: sockets opened",
            "900 silent: most memory of the front",
        ],
    },
    Siege {
        kinds: &[(Kind::HalfHello, ALONE)],
        names: [
            "900 half handshakes: a good client that is connected",
            "900 half handshakes: a good client that comes",
            "900 half handshakes: an officer who is connected",
            "900 half handshakes: an officer who comes",
            "900 half handshakes: sockets opened",
            "900 half handshakes: most memory of the front",
        ],
    },
    Siege {
        kinds: &[(Kind::Dripping, ALONE)],
        names: [
            "900 dripping heads: a good client that is connected",
            "900 dripping heads: a good client that comes",
            "900 dripping heads: an officer who is connected",
            "900 dripping heads: an officer who comes",
            "900 dripping heads: sockets opened",
            "900 dripping heads: most memory of the front",
        ],
    },
];

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    raise_file_limit()?;
    let mut ground = Ground::founded();
    let mint = Mint::new(&ground);
    ground.start()?;
    let mut found = Found::new("answers");
    let before = ground.half("front");
    // One after the other, and each of the kinds alone, in longer runs.
    let sieges: Vec<&Siege> = match trial.scaled(1) {
        1 => vec![&ALL],
        _ => std::iter::once(&ALL).chain(&ONE_BY_ONE).collect(),
    };
    for (done, siege) in (0_u64..).zip(&sieges) {
        trial.tell(done, sieges.len() as u64);
        besiege(siege, &ground, &mint, &mut found)?;
    }
    found.check(ground.half("front") == before, || "the front was started anew".to_owned());
    ground.assert_no_signal();
    Ok(Ended::Ran(found))
}

fn besiege(siege: &Siege, ground: &Ground, mint: &Mint, found: &mut Found) -> Result<(), Failed> {
    let front = ground.half("front").ok_or_else(|| Failed("no front".to_owned()))?;
    forget_peak(front);
    let port = ground.site().port();
    let sockets: Vec<_> =
        siege.kinds.iter().map(|(kind, count)| (Sockets::open(*kind, *count, port, mint), *count)).collect();
    let begun = Instant::now();
    while sockets.iter().any(|(sockets, count)| sockets.opened() < *count as u64) {
        if begun.elapsed() > GATHERING {
            return Err(Failed("the sockets could not all be opened".to_owned()));
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    let (good, officer) = thread::scope(|scope| {
        let good = scope.spawn(|| Asking::of(ground, "terminal-1").for_so_long(SIEGE));
        let officer = scope.spawn(|| Asking::of(ground, "officer-1").for_so_long(SIEGE));
        (good.join(), officer.join())
    });
    let broke = |who: &str| Failed(format!("{who} was not answered"));
    let good: Asked = good.map_err(|_| broke("the good client"))?;
    let officer: Asked = officer.map_err(|_| broke("the officer"))?;
    let parts = [
        (&good.connected, GOOD_MAX),
        (&good.coming, GOOD_MAX),
        (&officer.connected, OFFICER_MAX),
        (&officer.coming, OFFICER_MAX),
    ];
    for ((waits, max), name) in parts.into_iter().zip(siege.names) {
        (0..waits.count()).for_each(|_| found.count(Ok(())));
        found.check(waits.count() >= 20 && waits.at(99) < max, || format!("{name}: {waits}, over {max:?}"));
        found.figure(name, waits);
    }
    let opened: u64 = sockets.iter().map(|(sockets, _)| sockets.opened()).sum();
    let memory = peak_kib(front).unwrap_or(u64::MAX) / 1024;
    found.check(memory < MEMORY_MAX, || format!("the front took {memory} MiB"));
    let [.., opened_name, memory_name] = siege.names;
    found.figure(opened_name, format!("{opened}, those opened again included"));
    found.figure(memory_name, format!("{memory} MiB"));
    Ok(())
}
