//! The highest signed checkpoint this client has seen, and the judgement of every later one against it.
//!
//! Each client is a witness: it sends what it holds, takes nothing that does not contain it, and keeps the evidence
//! where two signed checkpoints contradict each other. A reply is judged against the checkpoint that was sent with
//! its request, however many calls are under way; then heads are merged under one lock, in the process and, through a
//! file lock, among several processes that share a state folder. A smaller head that arrives late is proved to be
//! contained, not refused. It asks the service for nothing.

use crate::{
    error::ClientError,
    evidence::Contradiction,
    folder::{Folder, mended},
};
use keysvc_protocol::{
    checkpoint::{NOTE_LEN_MAX, Origin, SignedCheckpoint},
    merkle::{Proof, TreeHead, verify_consistency},
    public_key::PublicKey,
    trust::Trust,
};
use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The epoch of the log. A restore after a disaster begins another, which officers must sign.
const EPOCH: u32 = 1;
/// The file in the state folder.
const FILE: &str = "checkpoint";

/// The highest verified checkpoint.
#[derive(Debug)]
pub struct Seen {
    folder: Folder,
    start: TreeHead,
    origin: Origin,
    key: PublicKey,
    highest: Mutex<Option<SignedCheckpoint>>,
}

/// What a reply's checkpoint is to the ones seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It contains all that was seen.
    Follows,
    /// It contains what was sent, but meanwhile another was merged. Whether the larger contains the smaller is to be
    /// proved ([`Seen::bridge`]) before the reply is used.
    Beside(Box<Beside>),
}

/// Two verified checkpoints of which nobody has proved yet that one contains the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    held: SignedCheckpoint,
    received: SignedCheckpoint,
}

impl Beside {
    /// The smaller.
    #[must_use]
    pub fn older(&self) -> &SignedCheckpoint {
        if head(&self.held).size < head(&self.received).size { &self.held } else { &self.received }
    }

    /// The larger.
    #[must_use]
    pub fn newer(&self) -> &SignedCheckpoint {
        if head(&self.held).size < head(&self.received).size { &self.received } else { &self.held }
    }
}

/// A checkpoint as received in a reply, with the proof that came with it.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The checkpoint.
    pub checkpoint: &'a SignedCheckpoint,
    /// Consistency from what was sent.
    pub consistency: &'a Proof,
    /// The request it answers, in words for the evidence: operation and idempotency key.
    pub about: &'a str,
}

impl Seen {
    /// Reads the state folder. `key` is the checkpoint key of the founding.
    ///
    /// # Errors
    /// [`ClientError::State`] when the folder cannot be used or its checkpoint is damaged.
    pub fn open(state: &Path, trust: &Trust, key: PublicKey) -> Result<Self, ClientError> {
        let seen = Self {
            folder: Folder::open(state)?,
            start: trust.head(),
            origin: Origin::of(&trust.domain, EPOCH),
            key,
            highest: Mutex::new(None),
        };
        let kept = seen.read()?;
        *seen.lock() = kept;
        Ok(seen)
    }

    /// The checkpoint to send with a request; nothing before the first reply.
    #[must_use]
    pub fn highest(&self) -> Option<SignedCheckpoint> {
        self.lock().clone()
    }

    /// The head that a reply to `sent` must contain: the trust file's where nothing was sent.
    #[must_use]
    pub fn head_of(&self, sent: Option<&SignedCheckpoint>) -> TreeHead {
        sent.map_or(self.start, head)
    }

    /// Judges a reply's checkpoint against the one sent with the request, and keeps it if it is the highest.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] when it is not signed by this log or contradicts what was seen, in which case the
    /// evidence is on disk; [`ClientError::State`] when the folder fails.
    pub fn judge(
        &self,
        sent: Option<&SignedCheckpoint>,
        received: Received<'_>,
    ) -> Result<Judged, ClientError> {
        let checkpoint = received.checkpoint;
        checkpoint
            .verify(&self.origin, &self.key)
            .map_err(|error| ClientError::untrusted(format!("its checkpoint: {error}")))?;
        verify_consistency(self.head_of(sent), head(checkpoint), received.consistency)
            .map_err(|error| self.contradiction(sent, received, &error.to_string()))?;
        self.merge(self.head_of(sent), received)
    }

    /// Checks the proof that one of two verified checkpoints contains the other, and keeps the larger if it is the
    /// highest. Where another call raised the highest meanwhile, the larger of the two may be unproved beside that
    /// one: then this pair is to be proved next. It ends, because each round the highest is a larger one.
    ///
    /// # Errors
    /// [`ClientError::Untrusted`] when the proof does not hold, with the evidence on disk; [`ClientError::State`]
    /// when the folder fails.
    pub fn bridge(&self, beside: &Beside, consistency: &Proof, about: &str) -> Result<Judged, ClientError> {
        let (older, newer) = (beside.older(), beside.newer());
        verify_consistency(head(older), head(newer), consistency).map_err(|error| {
            let received = Received { checkpoint: newer, consistency, about };
            self.contradiction(Some(older), received, &error.to_string())
        })?;
        if head(&beside.received).size < head(&beside.held).size {
            // What was held is contained in whatever is held now.
            return Ok(Judged::Follows);
        }
        let received = Received { checkpoint: &beside.received, consistency, about };
        self.merge(head(&beside.held), received)
    }

    /// Keeps a verified checkpoint that was proved to contain `proved_from`, if that is still the highest.
    fn merge(&self, proved_from: TreeHead, received: Received<'_>) -> Result<Judged, ClientError> {
        let checkpoint = received.checkpoint;
        let mut highest = self.lock();
        let _lock = self.folder.lock()?;
        let held = self.higher(highest.clone())?;
        highest.clone_from(&held);
        match held {
            Some(held) if head(&held) == head(checkpoint) => Ok(Judged::Follows),
            Some(held) if head(&held).size == head(checkpoint).size => {
                Err(self.contradiction(Some(&held), received, "two signed roots for one size"))
            }
            Some(held) if head(&held) != proved_from => {
                Ok(Judged::Beside(Box::new(Beside { held, received: checkpoint.clone() })))
            }
            // Proved: larger than the highest, or the first of all.
            _ => {
                // First on disk: what was used must not be forgotten.
                self.folder.replace(FILE, checkpoint.as_bytes())?;
                *highest = Some(checkpoint.clone());
                Ok(Judged::Follows)
            }
        }
    }

    /// The higher of the checkpoint in memory and the one on disk, where another process may have put it.
    fn higher(&self, memory: Option<SignedCheckpoint>) -> Result<Option<SignedCheckpoint>, ClientError> {
        let disk = self.read()?;
        Ok(match (memory, disk) {
            (Some(memory), Some(disk)) if head(&disk).size < head(&memory).size => Some(memory),
            (memory, disk) => disk.or(memory),
        })
    }

    fn read(&self) -> Result<Option<SignedCheckpoint>, ClientError> {
        let Some(note) = self.folder.read(FILE, NOTE_LEN_MAX)? else { return Ok(None) };
        let kept = SignedCheckpoint::parse(&note)
            .and_then(|checkpoint| checkpoint.verify(&self.origin, &self.key).map(|()| checkpoint));
        kept.map(Some).map_err(|error| {
            let mend = "move it aside and keep it, for this client writes it whole or not at all; then start again: \
                until its next reply this client knows no more than the trust file says";
            mended(&self.folder.path(FILE), &error.to_string(), mend)
        })
    }

    fn contradiction(
        &self,
        held: Option<&SignedCheckpoint>,
        received: Received<'_>,
        what: &str,
    ) -> ClientError {
        let Received { checkpoint, consistency, about } = received;
        let evidence = Contradiction { held, received: checkpoint, proof: consistency, about, what };
        match evidence.keep(&self.folder.path("")) {
            Ok(folder) => ClientError::Untrusted { what: what.to_owned(), evidence: Some(folder) },
            Err(error) => ClientError::untrusted(format!("{what}; the evidence could not be kept: {error}")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<SignedCheckpoint>> {
        // What it guards is whole at every moment, so a panic elsewhere does not spoil it.
        self.highest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn head(checkpoint: &SignedCheckpoint) -> TreeHead {
    checkpoint.checkpoint().head
}

#[cfg(test)]
mod crash;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{CHECKPOINT, Key, Log, STATEMENT};
    use std::{fs, path::PathBuf};

    pub(super) struct Ground {
        pub(super) folder: tempfile::TempDir,
        pub(super) log: Log,
    }

    impl Ground {
        pub(super) fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), log: Log::new(9, 0) }
        }

        pub(super) fn seen(&self) -> Seen {
            let key = Key::new(CHECKPOINT).public();
            Seen::open(self.folder.path(), &self.log.trust(), key).unwrap()
        }

        /// Judges the log's checkpoint `to` in a reply to one that sent `from`.
        fn judge(&self, seen: &Seen, from: u64, to: u64) -> Result<Judged, ClientError> {
            judge(seen, &self.log, from, to)
        }

        fn evidence(&self) -> Vec<PathBuf> {
            let files = fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
            files.filter(|path| path.is_dir()).collect()
        }
    }

    pub(super) fn judge(seen: &Seen, log: &Log, from: u64, to: u64) -> Result<Judged, ClientError> {
        let (sent, checkpoint, consistency) =
            (log.checkpoint(from), log.checkpoint(to), log.consistency(from, to));
        let sent = (from > 1).then_some(&sent);
        seen.judge(sent, Received { checkpoint: &checkpoint, consistency: &consistency, about: "status" })
    }

    pub(super) fn size(seen: &Seen) -> u64 {
        seen.highest().map_or(0, |checkpoint| checkpoint.checkpoint().head.size)
    }

    fn untrusted(result: Result<Judged, ClientError>) -> (String, Option<PathBuf>) {
        match result {
            Err(ClientError::Untrusted { what, evidence }) => (what, evidence),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_client_starts_from_the_genesis_digest_and_then_from_what_it_saw() {
        let ground = Ground::new();
        let seen = ground.seen();
        assert_eq!(seen.head_of(None), ground.log.head(1));
        assert_eq!(ground.judge(&seen, 1, 5).unwrap(), Judged::Follows);
        assert_eq!(ground.judge(&seen, 5, 8).unwrap(), Judged::Follows);
        assert_eq!(size(&seen), 8);
    }

    #[test]
    fn the_highest_checkpoint_survives_a_restart() {
        let ground = Ground::new();
        ground.judge(&ground.seen(), 1, 7).unwrap();
        assert_eq!(ground.seen().highest(), Some(ground.log.checkpoint(7)));
    }

    #[test]
    fn the_same_checkpoint_again_is_fine() {
        let ground = Ground::new();
        let seen = ground.seen();
        ground.judge(&seen, 1, 7).unwrap();
        assert_eq!(ground.judge(&seen, 7, 7).unwrap(), Judged::Follows);
        assert_eq!(size(&seen), 7);
    }

    #[test]
    fn a_smaller_head_that_arrives_late_is_proved_and_replaces_nothing() {
        let ground = Ground::new();
        let seen = ground.seen();
        ground.judge(&seen, 1, 3).unwrap();
        ground.judge(&seen, 3, 8).unwrap();
        let Judged::Beside(beside) = ground.judge(&seen, 3, 6).unwrap() else { panic!("not beside") };
        assert_eq!((beside.older(), beside.newer()), (&ground.log.checkpoint(6), &ground.log.checkpoint(8)));
        seen.bridge(&beside, &ground.log.consistency(6, 8), "status").unwrap();
        assert_eq!(size(&seen), 8);
        assert_eq!(ground.evidence(), [] as [PathBuf; 0]);
    }

    #[test]
    fn a_larger_head_that_arrives_late_is_proved_before_it_replaces() {
        let ground = Ground::new();
        let seen = ground.seen();
        ground.judge(&seen, 1, 3).unwrap();
        ground.judge(&seen, 3, 6).unwrap();
        let Judged::Beside(beside) = ground.judge(&seen, 3, 8).unwrap() else { panic!("not beside") };
        assert_eq!(size(&seen), 6);
        seen.bridge(&beside, &ground.log.consistency(6, 8), "status").unwrap();
        assert_eq!(size(&seen), 8);
    }

    #[test]
    fn a_late_head_proved_from_one_that_is_the_highest_no_more_is_proved_again() {
        let ground = Ground::new();
        let seen = ground.seen();
        ground.judge(&seen, 1, 2).unwrap();
        ground.judge(&seen, 2, 4).unwrap();
        let Judged::Beside(late) = ground.judge(&seen, 2, 6).unwrap() else { panic!("not beside") };
        // While 4 to 6 is being proved, another call brings 9: of 6 in 9 nobody has proved anything.
        ground.judge(&seen, 4, 9).unwrap();
        let again = seen.bridge(&late, &ground.log.consistency(4, 6), "status").unwrap();
        let Judged::Beside(again) = again else { panic!("{again:?}") };
        assert_eq!((again.older(), again.newer()), (&ground.log.checkpoint(6), &ground.log.checkpoint(9)));
        assert_eq!(seen.bridge(&again, &ground.log.consistency(6, 9), "status").unwrap(), Judged::Follows);
        assert_eq!(size(&seen), 9);
    }

    #[test]
    fn a_fork_that_follows_from_an_older_head_is_found_when_the_highest_moved_on_meanwhile() {
        let ground = Ground::new();
        let seen = ground.seen();
        ground.judge(&seen, 1, 4).unwrap();
        // Both branches have the first leaf in common, and this client sent no more than that.
        let fork = Log::new(9, 1);
        let Judged::Beside(late) = judge(&seen, &fork, 1, 6).unwrap() else { panic!("not beside") };
        assert!(seen.bridge(&late, &fork.consistency(4, 6), "status").is_err());
        ground.judge(&seen, 4, 6).unwrap();
        let (what, _) = untrusted(judge(&seen, &fork, 1, 6));
        assert_eq!(what, "two signed roots for one size");
    }

    #[test]
    fn a_late_head_of_a_fork_cannot_be_proved() {
        let ground = Ground::new();
        let seen = ground.seen();
        ground.judge(&seen, 1, 8).unwrap();
        let fork = Log::new(9, 1);
        let Judged::Beside(beside) = judge(&seen, &fork, 1, 6).unwrap() else { panic!("not beside") };
        let result = seen.bridge(&beside, &ground.log.consistency(6, 8), "status");
        let (_, evidence) = untrusted(result);
        assert_eq!(ground.evidence(), [evidence.unwrap()]);
        assert_eq!(size(&seen), 8);
    }

    #[test]
    fn a_fork_is_refused_and_both_notes_are_kept() {
        let ground = Ground::new();
        let seen = ground.seen();
        ground.judge(&seen, 1, 5).unwrap();
        let (held, fork) = (ground.log.checkpoint(5), Log::new(9, 1));
        let received = Received {
            checkpoint: &fork.checkpoint(8),
            consistency: &fork.consistency(5, 8),
            about: "status 07",
        };
        let (_, evidence) = untrusted(seen.judge(Some(&held), received));
        let folder = evidence.unwrap();
        assert_eq!(fs::read(folder.join("held")).unwrap(), held.as_bytes());
        assert_eq!(fs::read(folder.join("received")).unwrap(), fork.checkpoint(8).as_bytes());
        assert!(fs::read_to_string(folder.join("about")).unwrap().starts_with("status 07\n"));
        assert_eq!(size(&seen), 5);
    }

    #[test]
    fn two_roots_for_one_size_are_refused_even_if_each_follows_from_what_was_sent() {
        let ground = Ground::new();
        let seen = ground.seen();
        ground.judge(&seen, 1, 6).unwrap();
        let (what, evidence) = untrusted(judge(&seen, &Log::new(9, 1), 1, 6));
        assert_eq!(what, "two signed roots for one size");
        assert_eq!(ground.evidence(), [evidence.unwrap()]);
    }

    #[test]
    fn a_truncated_log_is_refused_at_every_size() {
        let ground = Ground::new();
        let seen = ground.seen();
        ground.judge(&seen, 1, 8).unwrap();
        let held = ground.log.checkpoint(8);
        for size in 0..8 {
            let checkpoint = ground.log.checkpoint(size);
            let received =
                Received { checkpoint: &checkpoint, consistency: &Proof::default(), about: "status" };
            let (what, evidence) = untrusted(seen.judge(Some(&held), received));
            assert_eq!(what, "the newer tree is smaller than the older");
            assert!(evidence.is_some());
        }
        assert_eq!(ground.evidence().len(), 8);
    }

    #[test]
    fn a_checkpoint_that_this_log_did_not_sign_is_refused_and_is_no_evidence() {
        let ground = Ground::new();
        let seen = ground.seen();
        let checkpoint = ground.log.checkpoint_by(5, STATEMENT);
        let received =
            Received { checkpoint: &checkpoint, consistency: &ground.log.consistency(1, 5), about: "status" };
        let (what, evidence) = untrusted(seen.judge(None, received));
        assert_eq!(what, "its checkpoint: a checkpoint not signed with the expected key");
        assert_eq!(evidence, None);
    }

    #[test]
    fn two_clients_of_one_state_folder_merge_what_they_see() {
        let ground = Ground::new();
        let (one, two) = (ground.seen(), ground.seen());
        ground.judge(&one, 1, 8).unwrap();
        let Judged::Beside(beside) = ground.judge(&two, 1, 5).unwrap() else { panic!("not beside") };
        two.bridge(&beside, &ground.log.consistency(5, 8), "status").unwrap();
        assert_eq!((size(&two), size(&ground.seen())), (8, 8));
    }

    #[test]
    fn a_damaged_checkpoint_file_is_named() {
        let ground = Ground::new();
        fs::write(ground.folder.path().join("checkpoint"), b"damaged").unwrap();
        let key = Key::new(CHECKPOINT).public();
        let error = Seen::open(ground.folder.path(), &ground.log.trust(), key).unwrap_err();
        assert!(matches!(error, ClientError::State { path, .. } if path.ends_with("checkpoint")));
    }
}
