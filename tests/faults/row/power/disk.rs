//! The disk of a site that loses its power: an image with a file system in it, and what is left of it on a copy.
//!
//! A copy of the image has what the file system wrote to its disk, and nothing that only lies in the system's memory: the
//! copy is mounted, its journal is played back, and what was not written is not there. A disk that loses what it was
//! given and not told to keep is not played; that the keeper tells it is seen in its system calls (`durable`).

use keysvc::keeper::ledger::{Anchor, Reader};
use keysvc_protocol::{checkpoint::SignedCheckpoint, name::Name};
use keysvc_tests::{
    ground::{Failed, Ground},
    mounted::{Mounted, make_image},
    programs::{Profile, Programs},
    watched::send,
};
use rustix::process::Signal;
use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Room for a site, its log and the journal.
const IMAGE_LEN: u64 = 64 * 1024 * 1024;
/// Longer than a start takes.
const LONG: Duration = Duration::from_secs(30);

/// A site on a disk of its own.
pub(super) struct Disk {
    // In this order: who uses the disk ends before it is unmounted.
    pub(super) ground: Ground,
    mounted: Mounted,
    scratch: TempDir,
}

/// What was told at the moment of a copy.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// A checkpoint that somebody holds.
    pub(super) checkpoint: Option<SignedCheckpoint>,
    /// A key that somebody was told is made.
    pub(super) key: Option<Name>,
}

impl Disk {
    /// Lays a site out on a new disk.
    ///
    /// # Errors
    /// Why there is none here; [`Failed`] within, when the site cannot be laid out.
    pub(super) fn new() -> Result<Result<Self, Failed>, String> {
        let scratch = TempDir::with_prefix("keysvc-power-").map_err(|error| error.to_string())?;
        let image = scratch.path().join("image");
        make_image(&image, IMAGE_LEN)?;
        let mounted = Mounted::image(&image, &scratch.path().join("disk"))?;
        let programs = Programs::build(Profile::Dev).map_err(|error| Failed(error.to_string()));
        let ground = programs.and_then(|programs| Ground::lay_out(&mounted.folder().join("s"), programs));
        Ok(ground.map(|ground| Self { ground, mounted, scratch }))
    }

    /// Has everything written that was written until now: what the operator laid out is not the service's to keep.
    pub(super) fn settle(&self) -> Result<(), String> {
        let synced = Command::new("sync").arg("-f").arg(self.mounted.folder()).status();
        synced.map_err(|error| format!("sync: {error}")).map(drop)
    }

    fn image(&self) -> PathBuf {
        self.scratch.path().join("image")
    }

    /// The disk as it is at this moment. The keeper is held meanwhile, as a power cut holds it.
    pub(super) fn cut(&self) -> Result<PathBuf, String> {
        let keeper = self.ground.half("keeper");
        keeper.inspect(|pid| send(*pid, Signal::STOP));
        let copy = self.scratch.path().join("copy");
        let copied = fs::copy(self.image(), &copy);
        keeper.inspect(|pid| send(*pid, Signal::CONT));
        copied.map_err(|error| format!("copying the disk: {error}"))?;
        Ok(copy)
    }

    /// Mounts a copy, and looks whether all that was told is on it; `starts` says whether the service is started on it
    /// too. Gives by how many leaves the anchor is behind what was told.
    pub(super) fn examine(&self, copy: &Path, told: &Told, starts: bool) -> Result<u64, String> {
        let after = Mounted::image(copy, &self.scratch.path().join("after"))?;
        let service = after.folder().join("s/service");
        let behind = agrees(&service, told)?;
        if starts {
            self.start_on(after.folder())?;
        }
        Ok(behind)
    }

    /// Starts the keeper on what is left: it compares log, anchor and token before it serves.
    fn start_on(&self, after: &Path) -> Result<(), String> {
        let moved = |from: &Path, to: &Path| {
            let text = fs::read_to_string(from).map_err(|error| format!("{}: {error}", from.display()))?;
            let (before, after) = (self.mounted.folder().display().to_string(), after.display().to_string());
            fs::write(to, text.replace(&before, &after)).map_err(|error| format!("{}: {error}", to.display()))
        };
        let home = self.ground.site().service();
        let (toml, module) =
            (self.scratch.path().join("keysvc.toml"), self.scratch.path().join("softhsm2.conf"));
        moved(&self.ground.site().service_config(), &toml)?;
        moved(&home.softhsm_conf(), &module)?;
        let log = self.scratch.path().join("after.log");
        let said = File::create(&log).map_err(|error| error.to_string())?;
        let mut command = home.command(&self.ground.programs().keysvc);
        command.env("SOFTHSM2_CONF", &module).arg("--config").arg(&toml).arg("keeper");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let mut keeper = command.spawn().map_err(|error| format!("keysvc keeper: {error}"))?;
        let began = Instant::now();
        let served = loop {
            let said = fs::read_to_string(&log).unwrap_or_default();
            if said.contains("the keeper serves") {
                break Ok(());
            }
            if keeper.try_wait().ok().flatten().is_some() || began.elapsed() > LONG {
                break Err(format!("the keeper does not serve what is left: {said}"));
            }
            thread::park_timeout(Duration::from_millis(5));
        };
        let _ = keeper.kill();
        let _ = keeper.wait();
        served
    }

    /// What the method is worth: of two files that are written, one of them synced, a copy has that one alone.
    pub(super) fn control(&self) -> Result<(), String> {
        let (synced, unsynced) = ("synced", "unsynced");
        for name in [synced, unsynced] {
            let file = File::create(self.mounted.folder().join(name));
            let written = file.and_then(|mut file| {
                file.write_all(&[0x5a; 8192])?;
                if name == synced { file.sync_all() } else { Ok(()) }
            });
            written.map_err(|error| format!("{name}: {error}"))?;
        }
        let copy = self.cut()?;
        let after = Mounted::image(&copy, &self.scratch.path().join("after"))?;
        let len = |name: &str| fs::read(after.folder().join(name)).map_or(0, |bytes| bytes.len());
        if (len(synced), len(unsynced)) == (8192, 0) {
            Ok(())
        } else {
            Err(format!("a copy shows {} synced bytes and {} that were not", len(synced), len(unsynced)))
        }
    }
}

/// Whether log, anchor and manifest in a service's folder hold what was told; by how much the anchor is behind.
fn agrees(service: &Path, told: &Told) -> Result<u64, String> {
    let log = Reader::open(&service.join("store")).map_err(|fault| format!("the store: {fault}"))?;
    let root_at = |size| log.root_at(size).map_err(|fault| format!("the log at {size}: {fault}"));
    let size = log.head().size;
    let anchor = Anchor::open(&service.join("anchor")).map_err(|fault| format!("the anchor: {fault}"))?;
    let anchored = anchor.read().ok_or("the anchor is empty")?.checkpoint().head;
    if anchored.size > size || root_at(anchored.size)? != anchored.root {
        return Err(format!("the anchor is at {} and the log, of {size}, is another", anchored.size));
    }
    let mut behind = 0;
    if let Some(checkpoint) = &told.checkpoint {
        let head = checkpoint.checkpoint().head;
        if head.size > size || root_at(head.size)? != head.root {
            return Err(format!("{} leaves were told, and the log has {size}, or others", head.size));
        }
        behind = head.size.saturating_sub(anchored.size);
    }
    if let Some(name) = &told.key {
        let keys = log.keys().map_err(|fault| format!("the keys: {fault}"))?;
        if keys.iter().all(|key| key.name != *name) {
            return Err(format!("the key {name} was told, and is not in the manifest"));
        }
    }
    Ok(behind)
}
