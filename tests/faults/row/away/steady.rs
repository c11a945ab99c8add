//! Terminals that work at a shop's pace, each with a card of its own, so that the log stays short however long it takes.
//!
//! Each acknowledgement is on disk before the next request leaves, as [`keysvc_tests::tills`] has it, which knows no pace.

use keysvc_client::{ClientConfig, ClientError, Terminal, terminal::SignedUpdate};
use keysvc_tests::{acks::Acks, ground::Ground, tills::next_update};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Between two updates of one terminal.
const PACE: Duration = Duration::from_millis(100);
/// Longer than any outage here takes.
const LONG: Duration = Duration::from_mins(1);

/// The terminals.
pub(super) struct Steady {
    acks: PathBuf,
    acknowledged: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    working: Vec<JoinHandle<Result<(), String>>>,
}

impl Steady {
    /// So many terminals, at work.
    pub(super) fn start(ground: &Ground, terminals: u8) -> std::io::Result<Self> {
        let acks = ground.site().folder().join("acks");
        fs::create_dir(&acks)?;
        let (acknowledged, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut working = Vec::new();
        for terminal in 1..=terminals {
            let mut config = ground.config("terminal-1");
            config.state = config.state.with_file_name(format!("state-{terminal}"));
            fs::create_dir(&config.state)?;
            let (acks, count, stop) = (acks.clone(), Arc::clone(&acknowledged), Arc::clone(&stop));
            let card = format!("04112233440f{terminal:02x}");
            working.push(thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|error| error.to_string())?;
                runtime.block_on(work(&config, &card, Acks::create(&acks, &card), (&count, &stop)))
            }));
        }
        Ok(Self { acks, acknowledged, stop, working })
    }

    /// Waits until so many more updates were acknowledged.
    pub(super) fn wait_for(&self, more: usize) -> Result<(), String> {
        let (enough, began) = (self.acknowledged.load(Ordering::Acquire) + more, Instant::now());
        while self.acknowledged.load(Ordering::Acquire) < enough {
            if began.elapsed() > LONG || self.working.iter().any(JoinHandle::is_finished) {
                return Err("the terminals do not get on".to_owned());
            }
            thread::park_timeout(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Ends the work and gives every acknowledged payload.
    pub(super) fn end(self) -> Result<Vec<Vec<u8>>, String> {
        self.stop.store(true, Ordering::Release);
        for one in self.working {
            one.join().map_err(|_| "a terminal panicked".to_owned())??;
        }
        Ok(Acks::read(&self.acks))
    }
}

async fn work(
    config: &ClientConfig,
    card: &str,
    mut acks: Acks,
    (count, stop): (&AtomicUsize, &AtomicBool),
) -> Result<(), String> {
    let terminal = Terminal::connect(config).await.map_err(|error| error.to_string())?;
    let mut last: Option<SignedUpdate> = None;
    while !stop.load(Ordering::Acquire) {
        let request = next_update(card, last.as_ref());
        let update = loop {
            match terminal.update(&request).await {
                Ok(update) => break update,
                Err(ClientError::Refused(reply)) if reply.retryable => {}
                Err(ClientError::Timeout { .. } | ClientError::Unreachable { .. }) => {}
                Err(error) => return Err(format!("{card}: {error}")),
            }
            tokio::time::sleep(PACE).await;
        };
        acks.write(&update);
        last = Some(update);
        count.fetch_add(1, Ordering::AcqRel);
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}
