//! The small parent of `keysvc serve`: it starts both halves, starts again what ends, and ends with what refuses.
//!
//! In the field the service manager does this for two units with their own users; this is for one command. It holds
//! no key and speaks to nobody: a socket on each child's standard input, which closes when the parent is gone, is all
//! that binds them ([`crate::parent`]). A child is in a process group of its own, so that a key press at the
//! terminal reaches the parent alone and the halves end in their order.

mod half;
mod pin_seen;
mod restarts;

use crate::{config::fixed::KEEPER_AWAITED_MAX, error::Exit, sandbox::Role};
use half::{Half, Wanted};
use std::{io, path::Path, pin::pin};
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};

/// Exit code of a half that refuses to serve (configuration, manifest, anchor, history): starting it again is
/// no cure.
pub const REFUSES_TO_SERVE: u8 = Exit::Refusing as u8;

/// Runs `program front` and `program keeper` with `--config config` until SIGTERM or SIGINT, or until one of them
/// refuses to serve; SIGHUP is passed on to both. `served` is called once, when both serve for the first time, or the
/// front alone because the token is away. Gives the exit code to end with: 0, or [`REFUSES_TO_SERVE`].
///
/// # Errors
/// When the program cannot be started at all, or signals cannot be received.
pub async fn run(program: &Path, config: &Path, served: impl FnOnce()) -> io::Result<u8> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (reload, reloads) = watch::channel(0_u64);
    let stop = async move {
        loop {
            select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hang_up.recv() => {
                    tracing::info!("asked to read the files anew; both halves are told");
                    reload.send_modify(|count| *count = count.wrapping_add(1));
                }
            }
        }
    };
    supervise(program, config, Asked { stop, reloads, served }).await
}

/// What is asked of the parent while it runs.
struct Asked<S, R> {
    /// Ready when it is to end.
    stop: S,
    /// Counts the requests to read the files anew.
    reloads: watch::Receiver<u64>,
    /// Called once both halves serve.
    served: R,
}

/// As [`run`], until `stop` is ready.
async fn supervise<S, R>(program: &Path, config: &Path, asked: Asked<S, R>) -> io::Result<u8>
where
    S: Future<Output = ()>,
    R: FnOnce(),
{
    let (want_front, front_wanted) = watch::channel(Wanted::default());
    let (want_keeper, keeper_wanted) = watch::channel(Wanted::default());
    let (front_serves, keeper_serves) = (watch::Sender::new(false), watch::Sender::new(false));
    let both = (front_serves.subscribe(), keeper_serves.subscribe());
    let half = |role, serves| Half { role, program: program.to_owned(), config: config.to_owned(), serves };
    let mut keeper = pin!(half(Role::Keeper, keeper_serves).keep(keeper_wanted));
    let mut front = pin!(half(Role::Front, front_serves).keep(front_wanted));
    let Asked { stop, reloads, served } = asked;
    let first = select! {
        ended = &mut keeper => First::Keeper(ended?),
        ended = &mut front => First::Front(ended?),
        () = stop => First::Stop,
        () = pass_on(reloads, [&want_front, &want_keeper]) => First::Stop,
        () = both_serve(both, served) => First::Stop,
    };
    match first {
        First::Keeper(exit) => tracing::info!(half = "keeper", exit, "ended; stopping the front"),
        First::Front(exit) => tracing::info!(half = "front", exit, "ended; stopping the keeper"),
        First::Stop => tracing::info!("asked to end; stopping both halves"),
    }
    let stop = |wanted: &mut Wanted| wanted.stopped = true;
    want_front.send_modify(stop);
    // The front first, so that what is in flight is still answered.
    match first {
        First::Keeper(code) => front.await.map(|_| code),
        First::Front(code) => {
            want_keeper.send_modify(stop);
            keeper.await.map(|_| code)
        }
        First::Stop => {
            let front_ended = select! {
                ended = front => ended,
                // It keeps the keeper running meanwhile.
                ended = &mut keeper => return ended,
            };
            want_keeper.send_modify(stop);
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

/// Passes each request to read the files anew on to the halves; never ends.
async fn pass_on(mut reloads: watch::Receiver<u64>, halves: [&watch::Sender<Wanted>; 2]) {
    while reloads.changed().await.is_ok() {
        let count = *reloads.borrow_and_update();
        for half in halves {
            half.send_modify(|wanted| wanted.reloads = count);
        }
    }
    std::future::pending::<()>().await;
}

/// Calls `served` once both halves serve, or once the front has waited for the keeper as long as a service manager is to
/// wait: it refuses then, and says why. Never ends.
async fn both_serve(
    (mut front, mut keeper): (watch::Receiver<bool>, watch::Receiver<bool>),
    served: impl FnOnce(),
) {
    if front.wait_for(|serves| *serves).await.is_ok() {
        // Whether in time or not, and whatever the keeper does later: it is started again, and the front answers.
        let _in_time = timeout(KEEPER_AWAITED_MAX, keeper.wait_for(|serves| *serves)).await.is_ok();
        served();
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parent::{self, PARENT_VARIABLE};
    use rustix::process::Signal;
    use std::{
        fs,
        os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
        path::PathBuf,
        process::Stdio,
        sync::atomic::{AtomicUsize, Ordering},
        thread,
        time::{Duration, Instant},
    };
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
            let asked = Asked { stop, reloads: watch::channel(0).1, served: || {} };
            timeout(LONG, supervise(&self.program, Path::new("config"), asked)).await.expect("an end in time")
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

    #[tokio::test]
    async fn both_halves_get_a_hang_up_once_they_serve_and_what_they_say_is_heard() {
        // The signal comes before the front serves: an end by it would show as a second start.
        let begin = "trap 'touch $1.hup' HUP; printf s >&0; while :; do sleep 0.02; done";
        let play = Play::new(&format!("sleep 0.2; {begin}"), begin);
        let (reload, reloads) = watch::channel(0);
        let served = AtomicUsize::new(0);
        let stop = async {
            play.wait_for_starts("front", 1).await;
            play.wait_for_starts("keeper", 1).await;
            reload.send_replace(1);
            while !(play.has("front.hup") && play.has("keeper.hup")) {
                yield_now().await;
            }
        };
        let count = || {
            served.fetch_add(1, Ordering::Relaxed);
        };
        let asked = Asked { stop, reloads, served: count };
        let code = timeout(LONG, supervise(&play.program, Path::new("config"), asked)).await.unwrap();
        assert_eq!(code.unwrap(), 0);
        assert_eq!((play.starts("front").len(), play.starts("keeper").len()), (1, 1));
        assert_eq!(served.into_inner(), 1);
    }

    #[tokio::test]
    async fn a_refused_pin_is_not_tried_again_until_a_reload_is_asked_for() {
        let play = Play::new(SERVE, "test -e again && exit 3; touch again; exit 13");
        let (reload, reloads) = watch::channel(0);
        let asking = async {
            play.wait_for_starts("keeper", 1).await;
            // Longer than any wait for a restart at the begin.
            tokio::time::sleep(Duration::from_millis(1_200)).await;
            assert_eq!(play.starts("keeper").len(), 1);
            reload.send_replace(1);
            std::future::pending::<()>().await;
        };
        let asked = Asked { stop: asking, reloads, served: || {} };
        let code = timeout(LONG, supervise(&play.program, Path::new("config"), asked)).await.unwrap();
        assert_eq!(code.unwrap(), REFUSES_TO_SERVE);
        assert_eq!((play.starts("keeper").len(), play.starts("front").len()), (2, 1));
    }

    #[test]
    fn a_child_ends_when_its_parent_is_gone() {
        if std::env::var_os(PARENT_VARIABLE).is_some() {
            // This is the child, started below.
            parent::end_with().unwrap();
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
        let asked = Asked { stop: std::future::pending(), reloads: watch::channel(0).1, served: || {} };
        let fault = supervise(Path::new("/nowhere"), Path::new("config"), asked).await;
        assert_eq!(fault.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
