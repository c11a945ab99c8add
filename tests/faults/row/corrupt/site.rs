//! The prepared site: a store as an orderly stop left it, one as a kill left it, what was exported, and who serves it.

use super::purses::Purse;
use fastrand::Rng;
use keysvc_client::ClientConfig;
use keysvc_protocol::checkpoint::SignedCheckpoint;
use keysvc_tests::{
    copies::Copies,
    ended::ended,
    ground::{Failed, Ground},
    outage::Witness,
    raw::Caller,
    watched::send,
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Purses: so many that their table has an upper page and several below it.
const PURSES: u64 = 80;
/// Purses of which the newest updates lie in the write-ahead log alone.
const IN_THE_LOG: u64 = 20;
/// Longer than any start takes.
const LONG: Duration = Duration::from_secs(60);

/// A store, the way it stood, and what is true of it.
pub(super) struct Prepared {
    copies: Copies,
    pub(super) purses: Vec<Purse>,
    /// What the undamaged twin says: leaves and root.
    log: [Value; 2],
}

/// Everything that is damaged.
pub(super) struct Prepare {
    pub(super) ground: Ground,
    pub(super) stopped: Prepared,
    pub(super) killed: Prepared,
    pub(super) export: PathBuf,
    pub(super) client: ClientConfig,
    pub(super) seen: Vec<u8>,
}

/// How a store is judged.
pub(super) enum Judged {
    /// Every leaf, every row and the anchor are what they were.
    Whole,
    /// Something differs.
    Differs,
}

impl Prepare {
    pub(super) fn new() -> Result<Self, Failed> {
        let mut ground = Ground::new();
        let mut terminal = Caller::new(ground.site(), "terminal-1");
        let made: Result<Vec<_>, _> =
            (0..PURSES).map(|card| Purse::made(&mut terminal, &card_of(card), 1 + card % 3)).collect();
        let purses = made.map_err(Failed)?;
        let (export, client) = (ground.site().folder().join("export"), ground.config("terminal-2"));
        ground
            .block_on(async {
                ground.terminal("terminal-2").await?;
                ground.auditor().await?.export(&export, |_, _| {}).await.map(drop)
            })
            .map_err(|error| Failed(error.to_string()))?;
        let seen = fs::read(client.state.join("checkpoint")).map_err(failed)?;
        ground.stop();
        let stopped = Prepared::of(&ground, purses.clone())?;

        ground.start()?;
        let mut terminal = Caller::new(ground.site(), "terminal-1");
        let mut newer = purses;
        for card in 0..IN_THE_LOG {
            newer.push(Purse::made(&mut terminal, &card_of(PURSES + card), 2).map_err(Failed)?);
        }
        // Both halves go with their parent, and nothing is moved out of the write-ahead log.
        let halves: Vec<u32> = ["keeper", "front"].iter().filter_map(|half| ground.half(half)).collect();
        halves.iter().chain(&ground.daemon()).for_each(|pid| send(*pid, Signal::STOP));
        let copies = Copies::of(&places(&ground));
        halves.iter().chain(&ground.daemon()).for_each(|pid| send(*pid, Signal::CONT));
        ground.stop();
        copies.put_back();
        let killed = Prepared::of(&ground, newer)?;
        Ok(Self { ground, stopped, killed, export, client, seen })
    }

    pub(super) fn store(&self, end: &str) -> PathBuf {
        self.ground.site().service().folder().join(format!("store/ledger.sqlite3{end}"))
    }

    pub(super) fn anchor(&self) -> PathBuf {
        self.ground.site().service().folder().join("anchor")
    }

    /// Holds the store, as it is now, against its own log and against the undamaged twin's.
    pub(super) fn judged(&self, twin: &Prepared) -> Judged {
        match verified(&self.ground) {
            Some(log) if log == twin.log => Judged::Whole,
            _ => Judged::Differs,
        }
    }

    /// Starts the service; nothing when it refuses to serve.
    pub(super) fn serving(&self) -> Result<Option<Serving>, Failed> {
        Serving::begin(&self.ground)
    }

    /// Starts the service on the newest undamaged store.
    pub(super) fn serving_whole(&self) -> Result<Option<Serving>, Failed> {
        self.killed.put_back();
        self.serving()
    }

    /// Verifies an export against the undamaged one's checkpoint; whether it is found good.
    pub(super) fn export_passes(&self, export: &Path) -> bool {
        let mut fobaudit = Command::new(&self.ground.programs().fobaudit);
        fobaudit.arg("verify").arg(export).arg("--trust").arg(self.ground.site().trust());
        // What a client of the undamaged log has seen.
        fobaudit.arg("--previous").arg(self.client.state.join("checkpoint"));
        ended(fobaudit).status.success()
    }

    /// Whether the checkpoint that a client keeps still reads as the one it kept.
    pub(super) fn is_seen(&self, bytes: &[u8]) -> bool {
        SignedCheckpoint::parse(bytes).ok() == SignedCheckpoint::parse(&self.seen).ok()
    }
}

impl Prepared {
    fn of(ground: &Ground, purses: Vec<Purse>) -> Result<Self, Failed> {
        let copies = Copies::of(&places(ground));
        let log = verified(ground).ok_or_else(|| Failed("the undamaged store is not verified".to_owned()))?;
        copies.put_back();
        Ok(Self { copies, purses, log })
    }

    /// Puts the undamaged store back.
    pub(super) fn put_back(&self) {
        self.copies.put_back();
    }

    /// So many of the purses, in an order of chance.
    pub(super) fn some(&self, chances: &mut Rng, count: usize) -> Vec<&Purse> {
        let mut purses: Vec<_> = self.purses.iter().collect();
        chances.shuffle(&mut purses);
        purses.truncate(count);
        purses
    }
}

/// A service that serves.
pub(super) struct Serving {
    daemon: Child,
    pub(super) terminal: Caller,
}

impl Serving {
    fn begin(ground: &Ground) -> Result<Option<Self>, Failed> {
        let log = File::create(ground.log()).map_err(failed)?;
        let mut command = ground.keysvc(&["serve"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut daemon = command.spawn().map_err(failed)?;
        let began = Instant::now();
        let mut witness: Option<Witness> = None;
        loop {
            if daemon.try_wait().map_err(failed)?.is_some() {
                return Ok(None);
            }
            // One that asks without having seen anything: the prepared stores are older than what clients saw later.
            witness = witness.or_else(|| Witness::once(ground.site(), "auditor-1"));
            match witness.as_mut().map(Witness::started) {
                Some(Ok(Some(_))) => {
                    return Ok(Some(Self { daemon, terminal: Caller::new(ground.site(), "terminal-1") }));
                }
                // The front went with its keeper.
                Some(Err(_)) => witness = None,
                Some(Ok(None)) | None => {}
            }
            // A keeper that ends and is started again, over and over, serves nobody either.
            let ends =
                fs::read_to_string(ground.log()).unwrap_or_default().matches("half=\"keeper\"").count();
            if began.elapsed() > LONG || ends > 12 {
                stop(&mut daemon);
                return Ok(None);
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub(super) fn end(mut self) {
        stop(&mut self.daemon);
    }
}

fn stop(daemon: &mut Child) {
    send(daemon.id(), Signal::TERM);
    let _ = daemon.wait();
}

/// Store and anchor; and the token, for a start over a damaged store may make keys that no other store knows of.
fn places(ground: &Ground) -> [PathBuf; 3] {
    let home = ground.site().service();
    [home.folder().join("store"), home.folder().join("anchor"), home.token_folder()]
}

fn card_of(number: u64) -> String {
    format!("04{number:012x}")
}

/// Leaves and root of a store that is all that its log says; nothing of another.
fn verified(ground: &Ground) -> Option<[Value; 2]> {
    let output = ended(ground.keysvc(&["verify-store", "--json"]));
    let found: Value = serde_json::from_slice(&output.stdout).ok()?;
    if !output.status.success() {
        return None;
    }
    Some([found.get("leaves")?.clone(), found.get("root")?.clone()])
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed(error.to_string())
}
