//! The small parent of `keysvc serve`: it starts both halves, starts again what ends, and ends with what refuses.
//!
//! In the field the service manager does this for two units with their own users; this is for one command. It holds
//! no key and speaks to nobody: a pipe on each child's standard input, which closes when the parent is gone, is all
//! that binds them ([`end_with_parent`]). A child is in a process group of its own, so that a key press at the
//! terminal reaches the parent alone and the halves end in their order.

mod restarts;

use restarts::Restarts;
use rustix::process::{Pid, Signal, getpid, kill_process};
use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    pin::pin,
    process::{ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    process::{Child, ChildStdin, Command},
    select,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::{sleep, timeout},
};

/// Exit code of a half that refuses to serve (configuration, manifest, anchor, history): starting it again is
/// no cure.
pub const REFUSES_TO_SERVE: u8 = 3;
/// Set to `1` for children, so that they end when the parent does.
pub const PARENT_VARIABLE: &str = "KEYSVC_PARENT";
/// Time a half has to end after SIGTERM.
const STOP: Duration = Duration::from_secs(5);

/// Runs `program front` and `program keeper` with `--config config` until SIGTERM or SIGINT, or until one of them
/// refuses to serve. Gives the exit code to end with: 0, or [`REFUSES_TO_SERVE`].
///
/// # Errors
/// When the program cannot be started at all, or signals cannot be received.
pub async fn run(program: &Path, config: &Path) -> io::Result<u8> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    supervise(program, config, stop).await
}

/// As [`run`], until `stop` is ready.
async fn supervise(program: &Path, config: &Path, stop: impl Future<Output = ()>) -> io::Result<u8> {
    let (stop_front, front_stopped) = watch::channel(false);
    let (stop_keeper, keeper_stopped) = watch::channel(false);
    let half = |name| Half { name, program: program.to_owned(), config: config.to_owned() };
    let mut keeper = pin!(half("keeper").keep(keeper_stopped));
    let mut front = pin!(half("front").keep(front_stopped));
    let first = select! {
        ended = &mut keeper => First::Keeper(ended?),
        ended = &mut front => First::Front(ended?),
        () = stop => First::Stop,
    };
    match first {
        First::Keeper(exit) => tracing::info!(half = "keeper", exit, "ended; stopping the front"),
        First::Front(exit) => tracing::info!(half = "front", exit, "ended; stopping the keeper"),
        First::Stop => tracing::info!("asked to end; stopping both halves"),
    }
    stop_front.send_replace(true);
    // The front first, so that what is in flight is still answered.
    match first {
        First::Keeper(code) => front.await.map(|_| code),
        First::Front(code) => {
            stop_keeper.send_replace(true);
            keeper.await.map(|_| code)
        }
        First::Stop => {
            let front_ended = select! {
                ended = front => ended,
                // It keeps the keeper running meanwhile.
                ended = &mut keeper => return ended,
            };
            stop_keeper.send_replace(true);
            keeper.await.and(front_ended)
        }
    }
}

/// What ended first.
#[derive(Debug, Clone, Copy)]
enum First {
    Keeper(u8),
    Front(u8),
    Stop,
}

/// For a child: watches standard input and ends this process when the parent is gone. Does nothing unless the parent
/// asked for it.
///
/// # Errors
/// When the watching thread cannot be started.
pub fn end_with_parent() -> io::Result<()> {
    if std::env::var_os(PARENT_VARIABLE).is_none_or(|value| value != "1") {
        return Ok(());
    }
    thread::Builder::new().name("parent".to_owned()).spawn(|| {
        let mut byte = [0];
        // Nothing is ever sent: whatever comes back says that the other end is closed or broken.
        while matches!(io::stdin().read(&mut byte), Ok(1..)) {}
        tracing::warn!("the parent is gone");
        // The way every half ends orderly. A process that may not signal itself is ended hard.
        if kill_process(getpid(), Signal::TERM).is_err() {
            std::process::abort();
        }
    })?;
    Ok(())
}

/// One of the two.
struct Half {
    name: &'static str,
    program: PathBuf,
    config: PathBuf,
}

impl Half {
    /// Keeps the half running until `stopped` holds true or it refuses to serve; gives the code to end with.
    async fn keep(self, mut stopped: watch::Receiver<bool>) -> io::Result<u8> {
        let mut restarts = Restarts::default();
        loop {
            let begun = Instant::now();
            let mut running = self.start()?;
            let status = select! {
                status = running.child.wait() => Some(status?),
                _ = stopped.wait_for(|stopped| *stopped) => None,
            };
            let Some(status) = status else { return self.stop(running).await.map(|()| 0) };
            if status.code() == Some(i32::from(REFUSES_TO_SERVE)) {
                tracing::error!(half = self.name, "refuses to serve");
                return Ok(REFUSES_TO_SERVE);
            }
            let wait = restarts.wait_after(begun.elapsed());
            self.note_end(status, wait);
            select! {
                () = sleep(wait) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return Ok(0),
            }
        }
    }

    fn start(&self) -> io::Result<Running> {
        let mut command = Command::new(&self.program);
        command.arg(self.name).arg("--config").arg(&self.config).env(PARENT_VARIABLE, "1");
        let mut child = command.stdin(Stdio::piped()).process_group(0).kill_on_drop(true).spawn()?;
        tracing::info!(half = self.name, pid = child.id(), "started");
        let pipe = child.stdin.take();
        Ok(Running { child, pipe })
    }

    fn note_end(&self, status: ExitStatus, wait: Duration) {
        tracing::error!(half = self.name, %status, wait_ms = wait.as_millis(), "ended; starting it again");
    }

    /// Asks the child to end, waits, and ends it.
    async fn stop(&self, mut running: Running) -> io::Result<()> {
        let pid = running.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)?;
        }
        if timeout(STOP, running.child.wait()).await.is_err() {
            tracing::warn!(half = self.name, "did not end in time and is killed");
            running.child.kill().await?;
        }
        drop(running.pipe);
        Ok(())
    }
}

/// A child and our end of the pipe on its standard input, which closes with this process at the latest. Apart from the
/// child, because waiting for a child closes what it holds.
struct Running {
    child: Child,
    pipe: Option<ChildStdin>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};
    use tempfile::TempDir;
    use tokio::{sync::oneshot, task::yield_now};

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(20);

    /// A program whose halves do what the scripts say. Each start is a line in a file of the half's name; each also
    /// notes that it was asked to end.
    struct Play {
        folder: TempDir,
        program: PathBuf,
    }

    impl Play {
        fn new(front: &str, keeper: &str) -> Self {
            let folder = TempDir::new().unwrap();
            let program = folder.path().join("program");
            let stage = folder.path().display();
            let script = format!(
                "#!/bin/sh\ncd {stage}\ntrap 'touch $1.asked; exit 0' TERM\necho $$ >> $1\n\
                 case $1 in\nfront) {front};;\nkeeper) {keeper};;\nesac\n"
            );
            fs::write(&program, script).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
            Self { folder, program }
        }

        /// The process ids of the half's starts so far.
        fn starts(&self, half: &str) -> Vec<i32> {
            let text = fs::read_to_string(self.folder.path().join(half)).unwrap_or_default();
            text.lines().map(|line| line.parse().unwrap()).collect()
        }

        async fn wait_for_starts(&self, half: &str, count: usize) {
            let started = async {
                while self.starts(half).len() < count {
                    yield_now().await;
                }
            };
            timeout(LONG, started).await.expect("a start in time");
        }

        fn has(&self, name: &str) -> bool {
            self.folder.path().join(name).exists()
        }

        async fn run(&self, stop: impl Future<Output = ()>) -> io::Result<u8> {
            timeout(LONG, supervise(&self.program, Path::new("config"), stop)).await.expect("an end in time")
        }
    }

    /// Waits until the parent closes its pipe, and notes it.
    const SERVE: &str = "while read -r x; do :; done; touch $1.left";

    fn is_alive(pid: i32) -> bool {
        Path::new(&format!("/proc/{pid}/fd")).exists()
    }

    #[tokio::test]
    async fn a_half_that_refuses_to_serve_ends_both_with_its_code() {
        for (front, keeper) in [(SERVE, "exit 3"), ("exit 3", SERVE)] {
            let play = Play::new(front, keeper);
            assert_eq!(play.run(std::future::pending()).await.unwrap(), REFUSES_TO_SERVE);
            for pid in [play.starts("front"), play.starts("keeper")].concat() {
                assert!(!is_alive(pid));
            }
        }
    }

    #[tokio::test]
    async fn a_half_that_ends_is_started_again_and_the_other_is_not_touched() {
        let play = Play::new(SERVE, "test -e again && exit 3; touch again; exit 1");
        assert_eq!(play.run(std::future::pending()).await.unwrap(), REFUSES_TO_SERVE);
        assert_eq!((play.starts("keeper").len(), play.starts("front").len()), (2, 1));
    }

    #[tokio::test]
    async fn the_first_restart_takes_less_than_half_a_second() {
        let play = Play::new(SERVE, "test -e again && exit 3; touch again; kill -9 $$");
        let begun = Instant::now();
        assert_eq!(play.run(std::future::pending()).await.unwrap(), REFUSES_TO_SERVE);
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_stop_asks_both_halves_and_waits_for_them() {
        let play = Play::new(SERVE, SERVE);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopping = async {
            play.wait_for_starts("front", 1).await;
            play.wait_for_starts("keeper", 1).await;
            drop(stop);
            std::future::pending::<()>().await;
        };
        let code = tokio::select! {
            code = play.run(async { drop(stopped.await) }) => code.unwrap(),
            () = stopping => unreachable!(),
        };
        assert_eq!(code, 0);
        for pid in [play.starts("front"), play.starts("keeper")].concat() {
            assert!(!is_alive(pid));
        }
        assert!(play.has("front.asked") && play.has("keeper.asked"));
        assert!(!play.has("front.left") && !play.has("keeper.left"));
    }

    #[test]
    fn a_child_ends_when_its_parent_is_gone() {
        if std::env::var_os(PARENT_VARIABLE).is_some() {
            // This is the child, started below.
            end_with_parent().unwrap();
            loop {
                thread::park();
            }
        }
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "supervisor::tests::a_child_ends_when_its_parent_is_gone"])
            .env(PARENT_VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
        drop(child.stdin.take());
        // By SIGTERM, which the halves turn into an orderly end and this test leaves alone.
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_a_fault() {
        let fault = supervise(Path::new("/nowhere"), Path::new("config"), std::future::pending()).await;
        assert_eq!(fault.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
