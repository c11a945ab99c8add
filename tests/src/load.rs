//! A load in a thread of its own: some terminals that work until they are told to stop, so that a test can do things
//! to the service meanwhile.
//!
//! What each terminal does is [`crate::tills`]'; what was acknowledged is held against the log at the end.

use crate::{
    acks::{Acks, Recorded},
    ground::Ground,
    raw::leaves,
    tills::Tills,
};
use keysvc_client::ClientConfig;
use std::{
    fs,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Acknowledgements that show that terminals are at work.
pub const ENOUGH: usize = 30;
/// Longer than any outage here takes, the supervisor's waits included.
const LONG: Duration = Duration::from_mins(1);

/// Terminals at work, each with a card of its own.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Tills>,
    working: JoinHandle<()>,
}

impl Load {
    /// So many terminals. Each load has a number, and so folders and cards of its own.
    ///
    /// # Panics
    /// When their folders cannot be made.
    #[must_use]
    pub fn start(ground: &Ground, number: u8, terminals: u8) -> Self {
        let shared = Arc::new(Tills::new(ground.site().folder().join(format!("acks-{number}"))));
        let terminals: Vec<(ClientConfig, String)> = (1..=terminals)
            .map(|terminal| {
                let mut config = ground.config("terminal-1");
                config.state = config.state.with_file_name(format!("state-{number}-{terminal}"));
                fs::create_dir(&config.state).unwrap();
                (config, format!("0411223344{number:02x}{terminal:02x}"))
            })
            .collect();
        let own = Arc::clone(&shared);
        let working = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let work = terminals.into_iter().map(|(config, card)| {
                    let own = Arc::clone(&own);
                    tokio::task::spawn(async move { own.work(config, &card).await })
                });
                for one in work.collect::<Vec<_>>() {
                    one.await.unwrap();
                }
            });
        });
        Self { shared, working }
    }

    /// How many updates were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::Acquire)
    }

    /// Waits until [`ENOUGH`] more updates were acknowledged.
    ///
    /// # Panics
    /// When none are for a minute, or the load ended.
    pub fn wait_for_more(&self) {
        self.wait_for(ENOUGH);
    }

    /// Waits until so many more updates were acknowledged.
    ///
    /// # Panics
    /// As [`Load::wait_for_more`].
    pub fn wait_for(&self, more: usize) {
        let enough = self.acknowledged() + more;
        let began = Instant::now();
        while self.acknowledged() < enough {
            assert!(!self.working.is_finished(), "the load ended");
            assert!(began.elapsed() < LONG, "nothing is acknowledged any more");
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Asks each terminal to send nothing new once its request was answered.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
    }

    /// Ends the load, while there is a service to answer what is under way, and gives every acknowledged payload.
    ///
    /// # Panics
    /// When a terminal met anything but acknowledgements and passing refusals.
    #[must_use]
    pub fn end(self) -> Vec<Vec<u8>> {
        self.stop();
        self.working.join().unwrap();
        Acks::read(&self.shared.acks)
    }
}

/// Everything acknowledged is in the log as it was acknowledged, and nothing twice.
///
/// # Panics
/// When it is not.
pub fn assert_nothing_lost(ground: &Ground, acks: &[Vec<u8>]) {
    let recorded = Recorded::of(&leaves(ground));
    assert!(acks.len() >= ENOUGH);
    assert!(recorded.lost(acks).is_empty(), "{} lost", recorded.lost(acks).len());
    assert!(recorded.double().is_empty(), "{:?}", recorded.double());
}
