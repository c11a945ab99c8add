//! A commit and the right to have its head signed.
//!
//! Apart from the sequencer so that [`Committed`] can be made by it alone and read at a glance. The signing itself
//! is the keyring's, which takes a [`Committed`].

use super::sync::{
    Notify, OnceLock,
    atomic::{AtomicBool, Ordering},
};
use keysvc_protocol::{
    checkpoint::{Checkpoint, Origin, SignedCheckpoint},
    merkle::TreeHead,
};
use std::{fmt, pin::pin, sync::Arc};

/// A durable state of the log; clones share its signed checkpoint.
#[derive(Clone)]
pub struct Commit(Arc<Inner>);

struct Inner {
    head: TreeHead,
    note: OnceLock<SignedCheckpoint>,
    // Nobody holds the right to sign it.
    unled: AtomicBool,
    changed: Notify,
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit").field("head", &self.0.head).field("note", &self.0.note.get()).finish()
    }
}

impl Commit {
    /// A commit that nobody leads, as after a start.
    pub(super) fn unled(head: TreeHead) -> Self {
        Self(Arc::new(Inner {
            head,
            note: OnceLock::new(),
            unled: AtomicBool::new(true),
            changed: Notify::new(),
        }))
    }

    /// Size and root of the log.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.0.head
    }

    /// The signed checkpoint of this head, as soon as there is one; nothing when its leader gave up.
    /// [`Commit::take_over`] then makes a new leader.
    pub async fn note(&self) -> Option<SignedCheckpoint> {
        self.note_met(|| {}).await
    }

    /// As [`Commit::note`], with what may happen between its two looks.
    async fn note_met(&self, mut meanwhile: impl FnMut() + Send) -> Option<SignedCheckpoint> {
        loop {
            let mut changed = pin!(self.0.changed.notified());
            // Enabled before the look, so that no change between look and wait is missed.
            changed.as_mut().enable();
            // In this order: a leader that has published is gone as well, and its note is there to be seen then.
            let is_unled = self.0.unled.load(Ordering::Acquire);
            meanwhile();
            if let Some(note) = self.0.note.get() {
                return Some(note.clone());
            }
            if is_unled {
                return None;
            }
            changed.await;
        }
    }

    /// Sets the signed checkpoint, which the caller has verified or made; the first one stays.
    pub fn set_note(&self, note: SignedCheckpoint) {
        // A second one says the same of the same head.
        let _second = self.0.note.set(note);
        self.0.changed.notify_waiters();
    }

    /// The right to have this head signed, when nobody holds it and it is not signed yet.
    #[must_use]
    pub fn take_over(&self) -> Option<Committed> {
        let was_unled = self.0.unled.swap(false, Ordering::AcqRel);
        (was_unled && self.0.note.get().is_none()).then(|| Committed(self.clone()))
    }
}

/// The right to have one durable head signed. Made by the ledger alone, one at a time for a commit.
///
/// Only the sequencer makes one. Not from a commit:
/// ```compile_fail,E0423
/// use keysvc::keeper::ledger::{Commit, Committed};
/// fn claim(commit: Commit) -> Committed {
///     Committed(commit)
/// }
/// ```
/// while handing one on is anybody's right:
/// ```
/// use keysvc::keeper::ledger::{Commit, Committed};
/// fn pass(committed: Committed) -> Committed {
///     committed
/// }
/// ```
pub struct Committed(Commit);

impl fmt::Debug for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Committed").field(&self.0.0.head).finish()
    }
}

impl Committed {
    pub(super) fn new(head: TreeHead) -> Self {
        let commit = Commit::unled(head);
        commit.0.unled.store(false, Ordering::Release);
        Self(commit)
    }

    pub(super) fn commit(&self) -> Commit {
        self.0.clone()
    }

    /// Size and root of the log.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        self.0.head()
    }

    /// The checkpoint to be signed, for the log `origin`.
    #[must_use]
    pub fn checkpoint(&self, origin: &Origin) -> Checkpoint {
        Checkpoint { origin: origin.clone(), head: self.head() }
    }

    /// Gives the signed checkpoint to all that wait for it.
    pub fn publish(self, note: SignedCheckpoint) {
        self.0.set_note(note);
    }
}

impl Drop for Committed {
    fn drop(&mut self) {
        // After publish this frees a right that take_over no longer gives.
        self.0.0.unled.store(true, Ordering::Release);
        self.0.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::sync::{block_on, explore, thread},
        *,
    };
    use crate::keeper::ledger::sqlite::ground::note;
    use keysvc_protocol::bytes::Digest;

    const HEAD: TreeHead = TreeHead { size: 3, root: Digest::new([3; 32]) };

    fn waiting(commit: &Commit) -> thread::JoinHandle<Option<SignedCheckpoint>> {
        let commit = commit.clone();
        thread::spawn(move || block_on(commit.note()))
    }

    #[test]
    fn all_that_wait_get_the_note_their_leader_publishes() {
        explore(|| {
            let committed = Committed::new(HEAD);
            let commit = committed.commit();
            let waiting = [waiting(&commit), waiting(&commit)];
            committed.publish(note(HEAD));
            for waiting in waiting {
                assert_eq!(waiting.join().unwrap(), Some(note(HEAD)));
            }
            assert_eq!(block_on(commit.note()), Some(note(HEAD)));
            assert!(commit.take_over().is_none());
        });
    }

    #[test]
    fn a_leader_that_gives_up_wakes_the_others_and_one_of_them_takes_over() {
        explore(|| {
            let committed = Committed::new(HEAD);
            let commit = committed.commit();
            assert!(commit.take_over().is_none());
            let waiting = waiting(&commit);
            drop(committed);
            assert_eq!(waiting.join().unwrap(), None);
            let second = commit.take_over().unwrap();
            assert!(commit.take_over().is_none());
            assert_eq!(second.head(), HEAD);
            second.publish(note(HEAD));
            assert_eq!(block_on(commit.note()), Some(note(HEAD)));
        });
    }

    /// It happened once in a few hundred thousand commits under load, and ended the keeper.
    #[test]
    fn a_leader_that_publishes_between_two_looks_is_not_taken_for_one_that_gave_up() {
        explore(|| {
            let mut committed = Some(Committed::new(HEAD));
            let commit = committed.as_ref().unwrap().commit();
            let publish = || {
                if let Some(committed) = committed.take() {
                    committed.publish(note(HEAD));
                }
            };
            assert_eq!(block_on(commit.note_met(publish)), Some(note(HEAD)));
        });
    }

    #[test]
    fn a_leader_that_gives_up_between_two_looks_is_found_out() {
        explore(|| {
            let mut committed = Some(Committed::new(HEAD));
            let commit = committed.as_ref().unwrap().commit();
            assert_eq!(block_on(commit.note_met(|| drop(committed.take()))), None);
            assert!(commit.take_over().is_some());
        });
    }

    #[test]
    fn the_checkpoint_to_sign_is_of_the_committed_head() {
        explore(|| {
            let origin: Origin = "demo.keysvc.test/keysvc/1".parse().unwrap();
            let checkpoint = Committed::new(HEAD).checkpoint(&origin);
            assert_eq!(checkpoint, Checkpoint { origin, head: HEAD });
        });
    }
}
