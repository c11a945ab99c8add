//! The notary: one thread that has each commit's head signed, once, and keeps the newest checkpoint.
//!
//! Apart from the workers so that the checkpoint signature is made beside the value signature, on a session of its
//! own, and not after it.

use super::{
    keyring::Keyring,
    ledger::{Anchor, Committed},
};
use crate::error::Fault;
use keysvc_protocol::checkpoint::SignedCheckpoint;
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, mpsc},
};

/// How many of the newest checkpoints are recognised byte for byte when a client shows one: at two commits a
/// millisecond, half a second of them; older ones are verified by their signature.
const RECOGNISED_MAX: usize = 1_024;

/// The newest checkpoints, newest last.
#[derive(Debug, Default)]
pub struct Checkpoints(RwLock<BTreeMap<u64, SignedCheckpoint>>);

impl Checkpoints {
    /// The newest.
    #[must_use]
    pub fn newest(&self) -> Option<SignedCheckpoint> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.last_key_value().map(|(_, checkpoint)| checkpoint.clone())
    }

    /// Whether this very note was made by this process not long ago.
    #[must_use]
    pub fn made(&self, shown: &SignedCheckpoint) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&shown.checkpoint().head.size) == Some(shown)
    }

    /// Adds one.
    pub fn add(&self, checkpoint: SignedCheckpoint) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(checkpoint.checkpoint().head.size, checkpoint);
        while known.len() > RECOGNISED_MAX {
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
        ended: fn(&Fault, &Keyring) -> !,
    ) -> Result<Self, Fault> {
        let (duties, queue) = mpsc::channel::<Committed>();
        let checkpoints = Arc::new(Checkpoints::default());
        let own = Arc::clone(&checkpoints);
        let work = move || {
            for committed in queue {
                if let Err(fault) = notarise(committed, &keyring, &anchor, &own) {
                    ended(&fault, &keyring);
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
