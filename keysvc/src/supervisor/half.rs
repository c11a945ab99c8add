//! One half of the service as the parent sees it: a child process, started again by the rules of `restarts`.

use super::{
    pin_seen::PinSeen,
    restarts::{End, Next, Restarts},
};
use crate::{
    config::{self, Config},
    error::Exit,
    parent::{PARENT_VARIABLE, SAID_VARIABLE},
    sandbox::{Role, environment},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsString,
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream as Socket, process::ExitStatusExt as _},
    },
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncReadExt as _,
    net::UnixStream,
    process::{Child, Command},
    select,
    sync::watch,
    time::{sleep, timeout},
};

/// Time a half has to end after SIGTERM.
const STOP: Duration = Duration::from_secs(5);
/// How often the source of a refused PIN is looked at.
const PIN_LOOK: Duration = Duration::from_millis(500);

/// What the parent wants of a half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Whether it is to end.
    pub(super) stopped: bool,
    /// How often the service was asked to read its files anew.
    pub(super) reloads: u64,
}

/// One of the two.
pub(super) struct Half {
    pub(super) role: Role,
    pub(super) program: PathBuf,
    pub(super) config: PathBuf,
    /// Told whenever the half says that it serves, and when it does so no more.
    pub(super) serves: watch::Sender<bool>,
}

impl Half {
    /// Keeps the half running until it is to stop or it refuses to serve; gives the code to end with.
    pub(super) async fn keep(self, mut wanted: watch::Receiver<Wanted>) -> io::Result<u8> {
        let mut restarts = Restarts::default();
        loop {
            // Before the start: a PIN that changes after it may not be the one that is tried.
            let pin = PinSeen::of(&self.config);
            let begun = Instant::now();
            let mut running = self.start(&restarts)?;
            let status = self.watch(&mut running, &mut wanted).await?;
            let served = self.serves.send_replace(false);
            let Some(status) = status else { return self.stop(running).await.map(|()| 0) };
            let end = End {
                code: status.code(),
                by_hand: status.success() || status.signal() == Some(Signal::KILL.as_raw()),
                served,
                lived: begun.elapsed(),
            };
            let said = restarts.is_said(end);
            let goes_on = match restarts.after(end) {
                Next::GiveUp => {
                    tracing::error!(half = self.role.name(), "refuses to serve");
                    return Ok(Exit::Refusing as u8);
                }
                Next::Start(wait) => {
                    self.note_end(status, wait, said);
                    pause(wait, &mut wanted).await
                }
                Next::PinChanged => {
                    tracing::error!(
                        half = self.role.name(),
                        %status,
                        "the token refused the PIN, and it is not tried again: a token may lock; write the right PIN to \
                         its file, or send SIGHUP to have the same one tried once more"
                    );
                    self.other_pin(pin, &mut wanted).await
                }
            };
            if !goes_on {
                return Ok(0);
            }
        }
    }

    fn start(&self, restarts: &Restarts) -> io::Result<Running> {
        let (ours, childs) = Socket::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&self.program);
        command.arg(self.role.name()).arg("--config").arg(&self.config);
        // Nothing of the daemon's own: what somebody has in a variable is not the halves' affair, and it is the parent
        // that a service manager hears from.
        command.env_clear().envs(self.environment()).env(PARENT_VARIABLE, "1");
        if let Some(code) = restarts.said() {
            command.env(SAID_VARIABLE, code.to_string());
        }
        command.stdin(Stdio::from(OwnedFd::from(childs)));
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let tie = UnixStream::from_std(ours)?;
        if restarts.said().is_none() {
            tracing::info!(half = self.role.name(), pid = child.id(), "started");
        } else {
            tracing::debug!(half = self.role.name(), pid = child.id(), "started");
        }
        Ok(Running { child, tie })
    }

    /// The variables that the half is given. While the configuration cannot be read, those that every one of them is: the
    /// half then says what must be mended.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let config = Config::read_for(&self.config, config::Half::Keeper);
        let further = config.map(|config| config.sandbox.environment).unwrap_or_default();
        environment::of(self.role, &further)
    }

    /// Watches a child until it ends, and gives its status; or nothing once it is to stop.
    async fn watch(
        &self,
        running: &mut Running,
        wanted: &mut watch::Receiver<Wanted>,
    ) -> io::Result<Option<ExitStatus>> {
        let mut reloads = wanted.borrow_and_update().reloads;
        let mut serves = false;
        loop {
            let Running { child, tie } = running;
            select! {
                status = child.wait() => return Ok(Some(status?)),
                () = told(tie), if !serves => {
                    serves = true;
                    self.serves.send_replace(true);
                }
                changed = wanted.changed() => if changed.is_err() {
                    return Ok(None);
                },
            }
            let now = *wanted.borrow_and_update();
            if now.stopped {
                return Ok(None);
            }
            // Not to a half that does not serve yet, which SIGHUP would end: it is told as soon as it does.
            if serves && now.reloads != reloads {
                reloads = now.reloads;
                running.signal(Signal::HUP)?;
            }
        }
    }

    fn note_end(&self, status: ExitStatus, wait: Duration, said: bool) {
        let wait_ms = wait.as_millis();
        if said {
            tracing::debug!(half = self.role.name(), %status, wait_ms, "ended; starting it again");
        } else {
            tracing::error!(half = self.role.name(), %status, wait_ms, "ended; starting it again");
        }
    }

    /// Waits until the PIN comes from somewhere else than `refused`, or a reload is asked for. Gives whether the half is
    /// still to run.
    async fn other_pin(&self, refused: Option<PinSeen>, wanted: &mut watch::Receiver<Wanted>) -> bool {
        let reloads = wanted.borrow_and_update().reloads;
        loop {
            if !pause(PIN_LOOK, wanted).await {
                return false;
            }
            let other = PinSeen::of(&self.config).is_some_and(|now| Some(now) != refused);
            if other || wanted.borrow().reloads != reloads {
                tracing::info!(half = self.role.name(), "the PIN is tried again");
                return true;
            }
        }
    }

    /// Asks the child to end, waits, and ends it.
    async fn stop(&self, mut running: Running) -> io::Result<()> {
        running.signal(Signal::TERM)?;
        if timeout(STOP, running.child.wait()).await.is_err() {
            tracing::warn!(half = self.role.name(), "did not end in time and is killed");
            running.child.kill().await?;
        }
        drop(running.tie);
        Ok(())
    }
}

/// Waits, unless the half is to stop or nobody is there any more who could want it. Gives whether it is to go on.
async fn pause(wait: Duration, wanted: &mut watch::Receiver<Wanted>) -> bool {
    select! {
        () = sleep(wait) => true,
        _ = wanted.wait_for(|wanted| wanted.stopped) => false,
    }
}

/// Waits until the half says that it serves. Never, for one that closes its end.
async fn told(tie: &mut UnixStream) {
    let mut byte = [0];
    if !matches!(tie.read(&mut byte).await, Ok(1)) {
        std::future::pending::<()>().await;
    }
}

/// A child and our end of the socket that is its standard input, which closes with this process at the latest.
struct Running {
    child: Child,
    tie: UnixStream,
}

impl Running {
    /// Sends the child a signal, unless it has been waited for: then the number may be another's.
    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        pid.map_or(Ok(()), |pid| Ok(kill_process(pid, signal)?))
    }
}
