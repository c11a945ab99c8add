//! Front and keeper as two processes of their own, as two units of a service manager are: this process starts the keeper
//! again whenever it ended, at once and as often as it ends.
//!
//! Apart from [`Ground::start`], whose parent process waits longer from one end to the next, as it must in the field and
//! as no test of a thousand ends can. It judges no end: each is kept for whoever does.

use crate::ground::{Failed, Ground};
use std::{
    fs::File,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often the keeper is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// The two halves, running.
#[derive(Debug)]
pub struct Units {
    front: Child,
    kept: Arc<Kept>,
    watch: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Kept {
    keeper: Mutex<Child>,
    next: Mutex<Option<Command>>,
    ends: Mutex<Vec<ExitStatus>>,
    over: AtomicBool,
}

impl Units {
    /// Starts both; whether they serve is [`Ground::wait`]'s to say.
    ///
    /// # Errors
    /// [`Failed`] when one does not start.
    pub fn start(ground: &Ground) -> Result<Self, Failed> {
        let spawned = |name: &str| {
            half(ground, name)?.spawn().map_err(|error| Failed(format!("keysvc {name}: {error}")))
        };
        let front = spawned("front")?;
        let kept = Arc::new(Kept {
            keeper: Mutex::new(spawned("keeper")?),
            next: Mutex::default(),
            ends: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let (own, mut again) = (Arc::clone(&kept), half(ground, "keeper")?);
        let watch = thread::spawn(move || {
            while !own.over.load(Ordering::Acquire) {
                thread::park_timeout(LOOK);
                let mut keeper = own.keeper.lock().unwrap_or_else(PoisonError::into_inner);
                if let Ok(Some(status)) = keeper.try_wait() {
                    own.ends.lock().unwrap_or_else(PoisonError::into_inner).push(status);
                    let other = own.next.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if let Ok(next) = other.map_or_else(|| again.spawn(), |mut other| other.spawn()) {
                        *keeper = next;
                    }
                }
            }
        });
        Ok(Self { front, kept, watch: Some(watch) })
    }

    /// The keeper's process, of this moment.
    #[must_use]
    pub fn keeper(&self) -> u32 {
        self.kept.keeper.lock().unwrap_or_else(PoisonError::into_inner).id()
    }

    /// Has the keeper's next start, and no other, made by this command.
    pub fn next_start(&self, command: Command) {
        *self.kept.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(command);
    }

    /// How the keeper ended, each time until now.
    #[must_use]
    pub fn ends(&self) -> Vec<ExitStatus> {
        self.kept.ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        self.kept.over.store(true, Ordering::Release);
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
        let mut keeper = self.kept.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        for child in [&mut *keeper, &mut self.front] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// One half as a command whose log is the ground's.
///
/// # Errors
/// [`Failed`] when the log cannot be opened.
pub fn half(ground: &Ground, name: &str) -> Result<Command, Failed> {
    let mut command = ground.keysvc(&[name]);
    logged(&mut command, ground)?;
    Ok(command)
}

/// Has a command write to the ground's log.
///
/// # Errors
/// [`Failed`] when the log cannot be opened.
pub fn logged(command: &mut Command, ground: &Ground) -> Result<(), Failed> {
    let log = File::options().create(true).append(true).open(ground.log());
    let log = log.map_err(|error| Failed(format!("the service's log: {error}")))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Ok(())
}
