//! Terminals that go on whatever is killed: each asks until it is answered, writes the signature down and syncs it before it
//! sends anything more, and now and then asks for the same again.
//!
//! Apart from `keysvc_tests::tills` because it is the signatures that are kept here, those of repetitions too.

use fastrand::Rng;
use keysvc_client::{ClientConfig, ClientError, Terminal, terminal::SignedUpdate};
use keysvc_protocol::request::UpdateValue;
use keysvc_tests::{ground::Ground, received::Received, tills::next_update};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Longer than any outage here takes, the clients' own pauses included.
const LONG: Duration = Duration::from_mins(1);
/// The longest pause between two updates of one terminal, in milliseconds: the service is to be at work, not at its limit.
const PAUSE_MS: u64 = 20;
/// How long half of the terminals wait for an answer before they ask anew.
const IMPATIENT: Duration = Duration::from_secs(1);

/// All terminals, in a thread of their own.
pub(super) struct Crew {
    shared: Arc<Shared>,
    working: JoinHandle<()>,
}

struct Shared {
    folder: PathBuf,
    acknowledged: AtomicUsize,
    repeats: AtomicUsize,
    stop: AtomicBool,
    odd: Mutex<Vec<String>>,
}

/// What came of their work.
pub(super) struct Worked {
    /// Where the signatures are.
    pub(super) folder: PathBuf,
    /// How many of them were answers to repetitions.
    pub(super) repeats: usize,
    /// Answers that should not have been.
    pub(super) odd: Vec<String>,
}

impl Crew {
    /// So many terminals, each with a card and a state folder of its own.
    pub(super) fn start(ground: &Ground, terminals: u8) -> Self {
        let folder = ground.site().folder().join("received");
        fs::create_dir(&folder).unwrap();
        let shared = Arc::new(Shared {
            folder,
            acknowledged: AtomicUsize::new(0),
            repeats: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            odd: Mutex::default(),
        });
        let configs: Vec<(ClientConfig, u8)> = (1..=terminals)
            .map(|terminal| {
                let mut config = ground.config("terminal-1");
                config.state = config.state.with_file_name(format!("state-{terminal}"));
                fs::create_dir(&config.state).unwrap();
                (config, terminal)
            })
            .collect();
        let own = Arc::clone(&shared);
        let working = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let work = configs.into_iter().map(|(config, number)| {
                    let own = Arc::clone(&own);
                    tokio::spawn(async move { own.work(config, number).await })
                });
                for one in work.collect::<Vec<_>>() {
                    one.await.unwrap();
                }
            });
        });
        Self { shared, working }
    }

    /// Waits until so many more updates were acknowledged.
    pub(super) fn wait_for(&self, more: usize) -> Result<(), String> {
        let acknowledged = || self.shared.acknowledged.load(Ordering::Acquire);
        let (enough, began) = (acknowledged() + more, Instant::now());
        while acknowledged() < enough {
            if self.working.is_finished() {
                return Err("the terminals ended".to_owned());
            }
            if began.elapsed() > LONG {
                return Err("nothing is acknowledged any more".to_owned());
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Has each terminal end once what it asked was answered.
    pub(super) fn end(self) -> Worked {
        self.shared.stop.store(true, Ordering::Release);
        let mut odd = std::mem::take(&mut *self.shared.odd());
        if self.working.join().is_err() {
            odd.push("a terminal panicked".to_owned());
        }
        odd.append(&mut self.shared.odd());
        let repeats = self.shared.repeats.load(Ordering::Acquire);
        Worked { folder: self.shared.folder.clone(), repeats, odd }
    }
}

impl Shared {
    fn odd(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.odd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(&self, config: ClientConfig, number: u8) {
        let card = format!("04112233445566{number:02x}aabb");
        let mut received = Received::create(&self.folder, &card);
        let mut chances = Rng::with_seed(u64::from(number));
        let mut terminal = Terminal::connect(&config).await.unwrap();
        if number.is_multiple_of(2) {
            terminal = terminal.with_deadline(IMPATIENT);
        }
        let mut last: Option<SignedUpdate> = None;
        while !self.stop.load(Ordering::Acquire) {
            let request = next_update(&card, last.as_ref());
            let Some(answers) = self.answers(&terminal, &request, (&mut received, &mut chances)).await else {
                return;
            };
            if answers.iter().any(|answer| answer.update != answers[0].update) {
                self.odd().push(format!("{card}: a repetition brought another update"));
            }
            self.repeats.fetch_add(answers.len() - 1, Ordering::AcqRel);
            self.acknowledged.fetch_add(1, Ordering::AcqRel);
            last = answers.into_iter().next();
            sleep(Duration::from_millis(chances.u64(..=PAUSE_MS))).await;
        }
    }

    /// One answer, or two: the same request twice at once, or again after its answer. Each is on disk before anything more
    /// is sent. Nothing after an answer that should not be.
    async fn answers(
        &self,
        terminal: &Terminal,
        request: &UpdateValue,
        (received, chances): (&mut Received, &mut Rng),
    ) -> Option<Vec<SignedUpdate>> {
        if chances.u8(..8) == 0 {
            let (one, other) = tokio::join!(self.answer(terminal, request), self.answer(terminal, request));
            let both = vec![one?, other?];
            both.iter().for_each(|answer| received.write(&answer.record));
            return Some(both);
        }
        let mut all = Vec::new();
        for _ in 0..=u8::from(chances.u8(..8) == 0) {
            let answer = self.answer(terminal, request).await?;
            received.write(&answer.record);
            all.push(answer);
        }
        Some(all)
    }

    /// Asks until the answer comes.
    async fn answer(&self, terminal: &Terminal, request: &UpdateValue) -> Option<SignedUpdate> {
        loop {
            match terminal.update(request).await {
                Ok(update) => return Some(update),
                Err(ClientError::Refused(reply)) if reply.retryable => {}
                Err(ClientError::Timeout { .. } | ClientError::Unreachable { .. }) => {}
                Err(error) => {
                    self.odd().push(format!("card {}: {error:?}", request.card));
                    return None;
                }
            }
        }
    }
}
