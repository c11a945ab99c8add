//! What was acknowledged is on the disk at that moment: leaf, anchor and key.
//!
//! The whole site lies on a disk of its own, which is copied at each acknowledgement; on the copy its checkpoint must be
//! found, the anchor must agree, and the keeper must start where a key was acknowledged. The same with syncs swallowed
//! must lose something, or the row would show nothing.

mod disk;

use crate::trial::{Ended, Found, Outcome, Trial};
use disk::{Disk, Told};
use keysvc_protocol::{
    key::KeyKind,
    reply::ValueUpdateReply,
    request::{Operation, ValueOperation::Load},
};
use keysvc_tests::{
    agreed,
    cards::{Card, holding},
    data_room::DataRoom,
    ended::ended,
    ground::{Failed, text},
    raw::{self, Caller},
    traced::{Traced, strace},
};
use std::{env, path::Path};

/// Acknowledgements that fit: some 0.3 s each, and a second where the keeper is started on the copy.
const TRIALS: u64 = 60;
/// Of so many, one is a key that two officers had made, and one the storage key of a job.
const KEYS_EVERY: u64 = 12;
/// Updates of the control, with syncs swallowed.
const CONTROLS: u64 = 4;

/// Carries the row out.
pub fn run(trial: &Trial) -> Outcome {
    let disk = match Disk::new() {
        Ok(disk) => disk?,
        Err(why) => return Ok(Ended::Lacking(why)),
    };
    let strace = match strace() {
        Ok(strace) => strace,
        Err(why) => return Ok(Ended::Lacking(why)),
    };
    let mut found = Found::new("acknowledgements");
    let mut bench = Bench { disk, updates: 0, keys: 0, behind: 0 };
    found.check(bench.disk.control().is_ok(), || format!("the method: {:?}", bench.disk.control()));
    found.count(bench.founding());
    bench.disk.ground.start()?;
    let mut people = People::new(&bench.disk)?;
    let trials = trial.scaled(TRIALS);
    for number in 1..trials {
        trial.tell(number, trials);
        let done = match number % KEYS_EVERY {
            4 => bench.ceremony(&mut people),
            9 => bench.job_key(&mut people),
            _ => bench.update(&mut people, number % KEYS_EVERY == 1),
        };
        found.count(done.map_err(|why| format!("acknowledgement {number}: {why}")));
    }
    // Before the control, whose updates are none of the trials.
    let updates = bench.updates;
    let lost = bench.control(&mut people, &strace).map_err(Failed)?;
    found.check(lost > 0, || "with syncs swallowed nothing was lost: the row can show nothing".to_owned());
    found.figure("of them", format!("{updates} updates, {} keys, the founding", bench.keys));
    found.figure("the same with syncs swallowed", format!("{lost} of {CONTROLS} lost what was acknowledged"));
    found.figure(
        "the anchor, synced once a second, was behind by at most",
        format!("{} leaves", bench.behind),
    );
    Ok(Ended::Ran(found))
}

/// Who asks.
struct People {
    terminal: Caller,
    officers: [Caller; 2],
    room: DataRoom,
}

impl People {
    fn new(disk: &Disk) -> Result<Self, Failed> {
        let site = disk.ground.site();
        let program = env::current_exe().map_err(|error| Failed(error.to_string()))?;
        let officer = |persona| {
            holding(Card::insert_as((Path::new(&program), &["card"]), site, persona), site, persona)
        };
        Ok(Self {
            terminal: Caller::new(site, "terminal-1"),
            officers: ["officer-1", "officer-2"].map(officer),
            room: DataRoom::new(site),
        })
    }
}

struct Bench {
    disk: Disk,
    updates: u64,
    keys: u64,
    behind: u64,
}

impl Bench {
    /// `keysvc init` acknowledges by its end.
    fn founding(&mut self) -> Result<(), String> {
        let ground = &self.disk.ground;
        ground.sign_founding().map_err(|Failed(why)| why)?;
        self.disk.settle()?;
        let init = ended(ground.keysvc(&["init"]));
        let copy = self.disk.cut()?;
        if !init.status.success() {
            return Err(format!("init: {}", text(&init)));
        }
        self.disk.examine(&copy, &Told::default(), true).map(drop)
    }

    fn update(&mut self, people: &mut People, starts: bool) -> Result<(), String> {
        let (told, copy) = self.cut_at_update(people)?;
        let behind = self.disk.examine(&copy, &told, starts)?;
        self.behind = self.behind.max(behind);
        Ok(())
    }

    /// One update, and the disk at its acknowledgement.
    fn cut_at_update(&mut self, people: &mut People) -> Result<(Told, std::path::PathBuf), String> {
        let request = raw::update(Load, self.updates + 1, 1, self.updates);
        let reply = people.terminal.ask::<ValueUpdateReply>(Operation::ValueUpdate, &request);
        let copy = self.disk.cut()?;
        let reply = reply.map_err(|refusal| format!("an update: {refusal}"))?;
        self.updates += 1;
        Ok((Told { checkpoint: Some(reply.receipt.checkpoint), key: None }, copy))
    }

    /// A key that two officers had made, acknowledged to the second of them.
    fn ceremony(&mut self, people: &mut People) -> Result<(), String> {
        self.keys += 1;
        let name = format!("power-{}", self.keys);
        let [one, other] = &mut people.officers;
        let order = agreed::create(&name, KeyKind::ValueSigning);
        agreed::done(&mut [one, other], Operation::KeyCreate, &order);
        let copy = self.disk.cut()?;
        let told = Told { checkpoint: None, key: Some(agreed::name(&name)) };
        self.disk.examine(&copy, &told, true).map(drop)
    }

    /// The storage key of a job, acknowledged with the job's first card.
    fn job_key(&mut self, people: &mut People) -> Result<(), String> {
        self.keys += 1;
        let (job, items) = people.room.begin()?;
        people.room.until_done(Operation::JobItems, &items)?;
        let copy = self.disk.cut()?;
        let told = Told { checkpoint: None, key: Some(agreed::name(&format!("storage.job.{job}"))) };
        self.disk.examine(&copy, &told, true).map(drop)?;
        people.room.give_up(job)
    }

    /// Updates of a keeper whose syncs do nothing; how many of them a copy does not have.
    fn control(&mut self, people: &mut People, strace: &Path) -> Result<u64, String> {
        let keeper = self.disk.ground.half("keeper").ok_or("no keeper")?;
        let options = ["trace=fsync,fdatasync", "inject=fsync,fdatasync:retval=0"];
        let options: Vec<_> = options.iter().flat_map(|one| ["-e".to_owned(), (*one).to_owned()]).collect();
        let trace = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        let traced = Traced::attach(strace, keeper, &options, trace.path()).map_err(|Failed(why)| why)?;
        let mut lost = 0;
        for _ in 0..CONTROLS {
            let (told, copy) = self.cut_at_update(people)?;
            lost += u64::from(self.disk.examine(&copy, &told, false).is_err());
        }
        drop(traced);
        Ok(lost)
    }
}
