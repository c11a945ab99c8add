//! A service whose halves have clocks of their own, which can be turned while they run: each half is started by itself
//! under `libfaketime`, with a file that says how far its wall clock is off. The boot's clock is not touched.
//!
//! What has to hold meanwhile is [`scene`]'s.

pub mod scene;

use crate::{ground::Ground, outage::Witness, watched::send};
use rustix::process::Signal;
use softhsm_setup::debian;
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The library's file, in a folder of its own under the libraries of the machine's kind.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
/// The package that brings it.
const PACKAGE: &str = "libfaketime";
/// What it is told by.
const VARIABLES: [&str; 5] = [
    "LD_PRELOAD",
    "FAKETIME_TIMESTAMP_FILE",
    "FAKETIME_NO_CACHE",
    "FAKETIME_DONT_FAKE_MONOTONIC",
    "FAKETIME_DISABLE_SHM",
];
/// What a clock is turned by that is right.
pub const TRUE: &str = "+0d";
/// Longer than any start takes.
const LONG: Duration = Duration::from_mins(1);

/// A half of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// What faces the network.
    Front,
    /// What has the token.
    Keeper,
}

impl Half {
    /// Both, in the order in which they are started.
    pub const ALL: [Self; 2] = [Self::Keeper, Self::Front];

    const fn name(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Keeper => "keeper",
        }
    }
}

/// Finds the library, or installs its package, saying so first.
///
/// # Errors
/// Why there is none, with the command to run.
pub fn library() -> Result<PathBuf, String> {
    let found = || {
        let kinds = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
        kinds.map(|kind| kind.path().join(LIBRARY)).find(|path| path.is_file())
    };
    let missing = |why: &str| {
        format!("libfaketime is not there ({why}): run 'apt-get install {PACKAGE}', then try again")
    };
    if let Some(library) = found() {
        return Ok(library);
    }
    debian::install("libfaketime", &[PACKAGE], &mut io::stderr()).map_err(|why| missing(&why))?;
    found().ok_or_else(|| missing("its package was installed"))
}

/// Both halves of a founded site, each with a clock of its own.
#[derive(Debug)]
pub struct Turned {
    library: PathBuf,
    halves: Vec<(Half, Child)>,
}

impl Turned {
    /// Has the ground's configuration pass the library's variables on. Nothing is started yet.
    ///
    /// # Panics
    /// When the configuration cannot be written.
    #[must_use]
    pub fn of(ground: &Ground, library: PathBuf) -> Self {
        let names = VARIABLES.map(|name| format!("{name:?}")).join(", ");
        ground.set("sandbox", &format!("environment = [{names}]"));
        let turned = Self { library, halves: Vec::new() };
        Half::ALL.iter().for_each(|half| turned.turn(ground, *half, TRUE));
        turned
    }

    fn clock(ground: &Ground, half: Half) -> PathBuf {
        ground.site().folder().join(format!("clock-{}", half.name()))
    }

    /// Turns a half's clock by so much, such as `-60d` or `+1h`, from what it truly is.
    ///
    /// # Panics
    /// When its file cannot be written.
    pub fn turn(&self, ground: &Ground, half: Half, by: &str) {
        // Over what is there and as long as that, so that nobody reads half of it; the sandbox grants this very file.
        let (sign, rest) = by.split_at(1);
        let (number, unit) = rest.split_at(rest.len() - 1);
        let text = format!("{sign}{number:0>5}{unit}");
        let file = File::options().create(true).truncate(false).write(true).open(Self::clock(ground, half));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Starts both halves, and waits until they serve.
    ///
    /// # Panics
    /// With what they said when they do not.
    pub fn start(&mut self, ground: &Ground) {
        for half in Half::ALL {
            let log = File::options().create(true).append(true).open(ground.log()).unwrap();
            let mut command = ground.keysvc(&[half.name()]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            let values =
                [self.library.clone(), Self::clock(ground, half), "1".into(), "1".into(), "1".into()];
            command.envs(VARIABLES.iter().zip(values));
            self.halves.push((half, command.spawn().unwrap()));
        }
        let began = Instant::now();
        let mut witness = None;
        loop {
            witness = witness.or_else(|| Witness::once(ground.site(), "platform-1"));
            match witness.as_mut().map(Witness::started) {
                Some(Ok(Some(_))) => return,
                Some(Err(_)) => witness = None,
                Some(Ok(None)) | None => {}
            }
            let ended =
                self.halves.iter_mut().find_map(|(half, child)| Some((*half, child.try_wait().ok()??)));
            assert!(ended.is_none() && began.elapsed() < LONG, "{ended:?}\n{}", ground.said());
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Ends both halves in an orderly way.
    pub fn stop(&mut self) {
        for (_, mut child) in self.halves.drain(..).rev() {
            if matches!(child.try_wait(), Ok(None)) {
                send(child.id(), Signal::TERM);
            }
            let _ = child.wait();
        }
    }
}

impl Drop for Turned {
    fn drop(&mut self) {
        self.stop();
    }
}
