//! The notary: one thread that has each commit's head signed, once, and keeps the newest checkpoint.
//!
//! Apart from the workers so that the checkpoint signature is made beside the value signature, on a session of its
//! own, and not after it.

use super::{
    keyring::Keyring,
    ledger::{Anchor, Committed},
};
use crate::{config::fixed::CHECKPOINTS_RECOGNISED_MAX, error::Fault};
use keysvc_protocol::checkpoint::SignedCheckpoint;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The newest checkpoints, newest last.
#[derive(Debug, Default)]
pub struct Checkpoints {
    known: RwLock<BTreeMap<u64, SignedCheckpoint>>,
    newest_at_ms: AtomicU64,
}

impl Checkpoints {
    /// The newest.
    #[must_use]
    pub fn newest(&self) -> Option<SignedCheckpoint> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.last_key_value().map(|(_, checkpoint)| checkpoint.clone())
    }

    /// Whether this very note was made by this process not long ago.
    #[must_use]
    pub fn made(&self, shown: &SignedCheckpoint) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&shown.checkpoint().head.size) == Some(shown)
    }

    /// When the newest was made, milliseconds since 1970-01-01 UTC; 0 while there is none.
    #[must_use]
    pub fn newest_at_ms(&self) -> u64 {
        self.newest_at_ms.load(Ordering::Relaxed)
    }

    /// Adds one, made now.
    pub fn add(&self, checkpoint: SignedCheckpoint) {
        self.newest_at_ms.store(now_ms(), Ordering::Relaxed);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(checkpoint.checkpoint().head.size, checkpoint);
        while known.len() > CHECKPOINTS_RECOGNISED_MAX {
            known.pop_first();
        }
    }
}

/// The way to the notary's thread.
#[derive(Debug, Clone)]
pub struct Notary {
    duties: mpsc::Sender<Committed>,
    checkpoints: Arc<Checkpoints>,
}

impl Notary {
    /// Starts the thread. `ended` is called when the token does not sign: the process is to end.
    ///
    /// # Errors
    /// [`Fault`] when no thread can be made.
    pub fn start(
        keyring: Arc<Keyring>,
        anchor: Arc<Anchor>,
        ended: impl Fn(&Fault, &Keyring) + Send + 'static,
    ) -> Result<Self, Fault> {
        let (duties, queue) = mpsc::channel::<Committed>();
        let checkpoints = Arc::new(Checkpoints::default());
        let own = Arc::clone(&checkpoints);
        let work = move || {
            for committed in queue {
                if let Err(fault) = notarise(committed, &keyring, &anchor, &own) {
                    ended(&fault, &keyring);
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("notary".to_owned())
            .spawn(work)
            .map_err(|source| Fault::Io { what: "starting the notary's thread", source })?;
        Ok(Self { duties, checkpoints })
    }

    /// Hands over the duty to have one commit's head signed. The queue holds at most one duty for each commit, and
    /// each commit waits for its signature before anyone is answered.
    ///
    /// # Errors
    /// [`Fault`] when the thread is gone.
    pub fn take(&self, committed: Committed) -> Result<(), Fault> {
        self.duties.send(committed).map_err(|_| Fault::Invariant("the notary's thread is gone"))
    }

    /// The newest checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }
}

/// As the keeper's own clock, which lies above this module.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn notarise(
    committed: Committed,
    keyring: &Keyring,
    anchor: &Anchor,
    checkpoints: &Checkpoints,
) -> Result<(), Fault> {
    let note = keyring.sign_checkpoint(&committed)?;
    // Before the release: what a client holds, the anchor has seen.
    anchor.advance(&note)?;
    checkpoints.add(note.clone());
    committed.publish(note);
    Ok(())
}
