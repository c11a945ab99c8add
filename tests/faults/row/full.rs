//! A full disk is refused at once, reading goes on, and room again is enough to go on.
//!
//! Store, token and anchor each lie on a small file system of their own in memory, which the row fills to its last byte
//! and frees again. Bounds are those of the promise; the programs are debug builds on a busy machine, so they say little
//! of how fast it is, and all of whether it waits for something.

mod walk;

use crate::trial::{Ended, Found, Outcome, Trial};
use keysvc_protocol::{
    cbor,
    refusal::Refusal,
    reply::{BundleReply, CheckpointReply, KeyListReply, ProofReply, StatusReply, ValueUpdateReply},
    request::{
        ListKeys, Operation, ReadBundle, ReadCheckpoint, ReadProof, ReadStatus, UpdateValue,
        ValueOperation::{Debit, Load},
    },
    schema::Schema,
};
use keysvc_tests::{
    acks::Recorded,
    data_room::DataRoom,
    ended::ended,
    ground::{Ground, text},
    mounted::Mounted,
    raw::{self, Caller, leaves},
    settings::page,
    watched::send,
};
use rustix::process::Signal;
use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};
use walk::walk;

/// Rounds of filling and freeing the store that fit.
const ROUNDS: u64 = 4;
/// How soon a refusal is to come, and what is read.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How soon service is back once there is room.
const BACK: Duration = Duration::from_secs(5);
/// How long a keeper is let end and start in vain, for its waits to grow to their longest.
const IN_VAIN: Duration = Duration::from_secs(4);
/// Refusals looked at while the disk is full.
const REFUSED: usize = 10;
/// Updates that a store may still take after its disk is full: what lies in its files already has room.
const TAKEN_MAX: usize = 2_000;
/// Of the operations that leave a leaf, so many at least are done with room by somebody who needs nothing but to ask; of the
/// others so many are answered. The rest is about jobs, proposals and imports that are not there.
const RECORDED_MIN: usize = 20;
const READ_MIN: usize = 15;
/// Room for store and token: what is there after a founding takes some 300 KiB, a round's log 2 MiB at most.
const STORE_LEN: u64 = 24 * 1024 * 1024;
const TOKEN_LEN: u64 = 1024 * 1024;
const ANCHOR_LEN: u64 = 64 * 1024;

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let mut ground = Ground::founded();
    let port = ground.with_health();
    let mounts = match mounts(&ground) {
        Ok(mounts) => mounts,
        Err(why) => return Ok(Ended::Lacking(why)),
    };
    let started = ground.start();
    let mut site = Disks { ground, mounts };
    started?;
    let mut found = Found::new("full disks");
    let mut till = Till::new(&site.ground);
    let rounds = trial.scaled(ROUNDS);
    let mut times = Times::default();
    for round in 0..rounds {
        trial.tell(round, rounds + 2);
        let killed = round % 3 == 2;
        found.count(
            site.store_full(&mut till, port, &mut times, killed).map_err(|why| format!("store: {why}")),
        );
    }
    found.count(site.anchor_full(&mut till).map_err(|why| format!("anchor: {why}")));
    trial.tell(rounds + 1, rounds + 2);
    found.count(site.token_full(&mut till, &mut times).map_err(|why| format!("token: {why}")));
    // Last, for with room it freezes the service.
    found.count(site.walked_full(&mut till, &mut times).map_err(|why| format!("every operation: {why}")));
    site.sum_up(&till, &mut found);
    times.tell(&mut found);
    Ok(Ended::Ran(found))
}

/// Puts store, token and anchor on file systems of their own. The service is not running.
fn mounts(ground: &Ground) -> Result<Vec<Mounted>, String> {
    let home = ground.site().service();
    let (anchor, anchored) = (home.folder().join("anchor"), home.folder().join("anchored"));
    fs::create_dir(&anchored).map_err(|error| error.to_string())?;
    let mounts = vec![
        Mounted::memory_over(&home.folder().join("store"), STORE_LEN)?,
        Mounted::memory_over(&home.token_folder(), TOKEN_LEN)?,
        Mounted::memory(&anchored, ANCHOR_LEN)?,
    ];
    fs::copy(&anchor, anchored.join("anchor")).map_err(|error| error.to_string())?;
    let quoted = |path: PathBuf| format!("\"{}\"", path.display());
    ground.change(&quoted(anchor), &quoted(anchored.join("anchor")));
    Ok(mounts)
}

/// The site on its three disks.
struct Disks {
    ground: Ground,
    mounts: Vec<Mounted>,
}

impl Drop for Disks {
    fn drop(&mut self) {
        // In this order: who uses a disk keeps it mounted, and a folder on one cannot be removed.
        self.ground.stop();
        self.mounts.clear();
    }
}

/// A disk without room for a byte more; dropping it makes room again.
struct Filled(PathBuf);

impl Filled {
    fn new(disk: &Mounted) -> Result<Self, String> {
        let path = disk.folder().join("filler");
        let filled = Self(path.clone());
        let mut file = File::create(&path).map_err(|error| error.to_string())?;
        // Whole pages first, and then bytes of the last one.
        for len in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![0x5a; len]).is_ok() {}
        }
        Ok(filled)
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The slowest of each.
#[derive(Default)]
struct Times {
    refusal: Duration,
    reading: Duration,
    back: Duration,
    back_after_kill: Duration,
    refusals: usize,
    walked: String,
    key: String,
}

impl Times {
    fn tell(self, found: &mut Found) {
        let ms = |time: Duration| format!("{} ms", time.as_millis());
        found.figure(
            "refused while full",
            format!("{}, the slowest after {}", self.refusals, ms(self.refusal)),
        );
        found.figure("slowest read while full", ms(self.reading));
        found.figure("slowest way back once there was room", ms(self.back));
        found.figure("the same where the keeper was killed meanwhile", ms(self.back_after_kill));
        found.figure("every operation", self.walked);
        found.figure("a key with the token's disk full", self.key);
    }
}

/// A till that knows how its card stands.
struct Till {
    caller: Caller,
    seq: u64,
    balance: u64,
    /// The leaf of the last update.
    leaf: u64,
}

impl Till {
    fn new(ground: &Ground) -> Self {
        Self { caller: Caller::new(ground.site(), "terminal-1"), seq: 0, balance: 0, leaf: 0 }
    }

    fn next(&self) -> UpdateValue {
        let operation = if self.seq.is_multiple_of(2) { Load } else { Debit };
        raw::update(operation, self.seq + 1, 500, self.balance)
    }

    /// Asks once, and how long that took.
    fn ask(&mut self, request: &UpdateValue) -> (Result<(), Refusal>, Duration) {
        let began = Instant::now();
        let asked = self.caller.ask::<ValueUpdateReply>(Operation::ValueUpdate, request);
        let took = began.elapsed();
        let done = asked.map(|reply| {
            self.seq += 1;
            self.balance = if request.operation == Load { self.balance + 500 } else { self.balance - 500 };
            self.leaf = reply.receipt.leaf_index;
        });
        (done, took)
    }

    /// The same until it is done: how long that took.
    fn until_done(&mut self, request: &UpdateValue) -> Result<Duration, String> {
        let began = Instant::now();
        loop {
            match self.ask(request).0 {
                Ok(()) => return Ok(began.elapsed()),
                Err(refusal) if !refusal.retryable() => return Err(format!("an update: {refusal}")),
                Err(refusal) if began.elapsed() > 4 * BACK => return Err(format!("still {refusal}")),
                Err(_) => thread::park_timeout(Duration::from_millis(5)),
            }
        }
    }
}

impl Disks {
    fn disk(&self, number: usize) -> Result<&Mounted, String> {
        self.mounts.get(number).ok_or_else(|| "no such disk".to_owned())
    }

    /// Fills the store's disk, looks at refusals, reads and the way back.
    fn store_full(
        &mut self,
        till: &mut Till,
        port: u16,
        times: &mut Times,
        kill: bool,
    ) -> Result<(), String> {
        let keeper = self.ground.half("keeper");
        let filled = Filled::new(self.disk(0)?)?;
        let waiting = until_refused(till, times)?;
        for _ in 0..REFUSED {
            let (asked, took) = till.ask(&waiting);
            note_refused(&asked, took, times)?;
        }
        self.reads(till, times)?;
        let alive = page(port, "/alive").map(|page| page.status);
        if alive != Some(200) {
            return Err(format!("the health listener says {alive:?} of being alive"));
        }
        if self.ground.half("keeper") != keeper {
            return Err("the keeper ended".to_owned());
        }
        if kill {
            send(keeper.ok_or("no keeper")?, Signal::KILL);
            let began = Instant::now();
            while began.elapsed() < IN_VAIN {
                let (asked, took) = till.ask(&waiting);
                if took > AT_ONCE || asked.is_ok() {
                    return Err(format!("{asked:?} after {took:?} from a service without a keeper"));
                }
                thread::park_timeout(Duration::from_millis(20));
            }
        }
        drop(filled);
        let back = till.until_done(&waiting)?;
        let slowest = if kill { &mut times.back_after_kill } else { &mut times.back };
        *slowest = back.max(*slowest);
        if back > BACK { Err(format!("back after {back:?}")) } else { Ok(()) }
    }

    /// What leaves no leaf is answered as ever.
    fn reads(&self, till: &mut Till, times: &mut Times) -> Result<(), String> {
        let mut auditor = Caller::new(self.ground.site(), "auditor-1");
        let schema = Schema;
        let began = Instant::now();
        let failed = |what: &'static str| move |refusal: Refusal| format!("{what} is refused: {refusal}");
        let status = cbor::encode(&ReadStatus { schema });
        auditor.ask_bytes::<StatusReply>(Operation::Status, status).map_err(failed("status"))?;
        let newest: CheckpointReply = auditor
            .ask(Operation::LogCheckpoint, &ReadCheckpoint { schema, genesis: false })
            .map_err(failed("the checkpoint"))?;
        let size = newest.checkpoint.checkpoint().head.size;
        let proof = ReadProof { schema, size, leaf: Some(till.leaf), earlier: Some(1) };
        auditor.ask::<ProofReply>(Operation::LogProof, &proof).map_err(failed("a proof"))?;
        auditor.ask::<KeyListReply>(Operation::KeyList, &ListKeys { schema }).map_err(failed("the keys"))?;
        let bundle = ReadBundle { schema, have: None };
        till.caller.ask::<BundleReply>(Operation::BundleGet, &bundle).map_err(failed("the bundle"))?;
        let took = began.elapsed();
        times.reading = times.reading.max(took);
        if took > 5 * AT_ONCE { Err(format!("five reads took {took:?}")) } else { Ok(()) }
    }

    /// P18: where nothing can be recorded, nothing is done that is to be recorded, whatever is asked.
    fn walked_full(&mut self, till: &mut Till, times: &mut Times) -> Result<(), String> {
        let filled = Filled::new(self.disk(0)?)?;
        let waiting = until_refused(till, times)?;
        let before = self.size()?;
        let full = walk(&self.ground)?;
        let after = self.size()?;
        drop(filled);
        till.until_done(&waiting)?;
        if !full.recorded.is_empty() || before != after {
            return Err(format!(
                "done without a leaf: {:?}; the log went from {before} to {after}",
                full.recorded
            ));
        }
        // With room the same requests are done, so that their refusal was the disk's.
        let roomy = walk(&self.ground)?;
        if roomy.recorded.len() < RECORDED_MIN || full.read.len() < READ_MIN {
            return Err(format!(
                "with room only {:?}, and while full only {:?} read",
                roomy.recorded, full.read
            ));
        }
        times.walked = format!(
            "{} requests while full: 0 of the operations that leave a leaf were done, {} with room; {} reads went on",
            full.asked,
            roomy.recorded.len(),
            full.read.len()
        );
        Ok(())
    }

    fn size(&self) -> Result<u64, String> {
        let mut auditor = Caller::new(self.ground.site(), "auditor-1");
        let request = ReadCheckpoint { schema: Schema, genesis: false };
        let newest = auditor.ask::<CheckpointReply>(Operation::LogCheckpoint, &request);
        newest.map(|newest| newest.checkpoint.checkpoint().head.size).map_err(|refusal| refusal.to_string())
    }

    /// The anchor never grows: a full disk under it is felt by nobody.
    fn anchor_full(&mut self, till: &mut Till) -> Result<(), String> {
        let _filled = Filled::new(self.disk(2)?)?;
        for _ in 0..REFUSED {
            let request = till.next();
            till.ask(&request).0.map_err(|refusal| format!("refused: {refusal}"))?;
        }
        Ok(())
    }

    /// A token without room makes no key, and does all that its keys are for.
    fn token_full(&mut self, till: &mut Till, times: &mut Times) -> Result<(), String> {
        let mut room = DataRoom::new(self.ground.site());
        let (job, items) = room.begin()?;
        let filled = Filled::new(self.disk(1)?)?;
        let began = Instant::now();
        let asked = room.ask(Operation::JobItems, &items);
        let took = began.elapsed();
        let refusal = match asked {
            Ok(()) => return Err("a key was acknowledged that the token has no room for".to_owned()),
            Err(refusal) => refusal,
        };
        if took > AT_ONCE {
            return Err(format!("{refusal} after {took:?}"));
        }
        for _ in 0..REFUSED {
            let request = till.next();
            till.until_done(&request)?;
        }
        drop(filled);
        let began = Instant::now();
        room.until_done(Operation::JobItems, &items)?;
        let back = began.elapsed();
        room.give_up(job)?;
        times.key = format!(
            "{refusal}, after {} ms; made {} ms after there was room",
            took.as_millis(),
            back.as_millis()
        );
        if back > BACK { Err(format!("the key was made after {back:?}")) } else { Ok(()) }
    }

    /// After all of it: every acknowledgement is in the log, once, and all of it verifies.
    fn sum_up(&mut self, till: &Till, found: &mut Found) {
        let recorded = Recorded::of(&leaves(&self.ground));
        let (held, told) = (recorded.len() as u64, till.seq);
        found.check(held >= told && recorded.double().is_empty(), || {
            format!("{told} acknowledged, {held} on record, {:?} twice", recorded.double())
        });
        found.figure("acknowledged, and on record once", told);
        let folder = self.ground.site().folder().join("export");
        let exported =
            self.ground.block_on(async { self.ground.auditor().await?.export(&folder, |_, _| {}).await });
        found.check(exported.is_ok(), || format!("the export: {exported:?}"));
        self.ground.stop();
        let mut verify = Command::new(&self.ground.programs().fobaudit);
        verify.arg("verify").arg(&folder).arg("--trust").arg(self.ground.site().trust());
        for (what, command) in [
            ("fobaudit verify", verify),
            ("verify-store", self.ground.keysvc(&["verify-store"])),
            ("doctor", self.ground.keysvc(&["doctor"])),
        ] {
            let output = ended(command);
            found.check(output.status.success(), || format!("{what}: {}", text(&output)));
        }
    }
}

/// Asks for updates until one is refused, and gives that one.
fn until_refused(till: &mut Till, times: &mut Times) -> Result<UpdateValue, String> {
    for _ in 0..TAKEN_MAX {
        let request = till.next();
        let (asked, took) = till.ask(&request);
        if asked.is_err() {
            note_refused(&asked, took, times)?;
            return Ok(request);
        }
    }
    Err(format!("{TAKEN_MAX} updates were recorded on a full disk"))
}

fn note_refused(asked: &Result<(), Refusal>, took: Duration, times: &mut Times) -> Result<(), String> {
    times.refusals += 1;
    times.refusal = times.refusal.max(took);
    if *asked != Err(Refusal::StoreUnavailable) || took > AT_ONCE {
        return Err(format!("{asked:?} after {took:?}, and not store_unavailable at once"));
    }
    Ok(())
}
