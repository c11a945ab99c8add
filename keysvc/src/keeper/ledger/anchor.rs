//! The anchor: the last signed checkpoint in a file outside the database.
//!
//! It guards against an old copy of the database put back, not against root. Two slots of 1 KiB are written in
//! turn, each with its SHA-256, so that a write cut short leaves the other. Syncing is the caller's, once a second;
//! a sync that fails is never tried again.

use super::{fault::LedgerFault, reader::Reader};
use keysvc_protocol::{
    checkpoint::{CheckpointError, Origin, SignedCheckpoint},
    hash::sha256,
    public_key::PublicKey,
};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A slot: the note's length (2 bytes, big-endian), the note, zeros, SHA-256 over all before it.
const SLOT_LEN: usize = 1024;
const DIGEST_LEN: usize = 32;
/// The longest note a slot holds: ours take at most 723 bytes.
const NOTE_LEN_MAX: usize = SLOT_LEN - DIGEST_LEN - 2;

/// Why the anchor and the log do not agree, or the anchor cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AnchorFault {
    /// The file could not be opened, read, written or synced.
    #[error("the anchor {} cannot be used; check the disk and that the file is the keeper's user's", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// Neither slot of the file is whole.
    #[error("the anchor {} is damaged; restore it: without it an old copy of the store would pass", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The checkpoint does not fit a slot.
    #[error("a checkpoint of {found} bytes does not fit the anchor")]
    TooLong {
        /// Its length, in bytes.
        found: usize,
    },
    /// The anchored checkpoint is not this log's, or not signed by its key.
    #[error("the anchor is not this log's; check that store and token belong together")]
    Foreign(#[source] CheckpointError),
    /// The log ends before the anchor.
    #[error(
        "the log has {log} leaves and the anchor {anchor}; an old store was put back, restore the newest one"
    )]
    Ahead {
        /// The anchor's size, in leaves.
        anchor: u64,
        /// The log's size, in leaves.
        log: u64,
    },
    /// The log says something else than the anchor.
    #[error(
        "the log's first {size} leaves are not the anchored ones; this is another store, restore the right one"
    )]
    OtherRoot {
        /// The anchor's size, in leaves.
        size: u64,
    },
    /// The log could not be read.
    #[error("{0}")]
    Ledger(#[from] LedgerFault),
}

/// The anchor's file.
#[derive(Debug)]
pub struct Anchor {
    path: PathBuf,
    file: File,
    newest: Mutex<Newest>,
}

#[derive(Debug)]
struct Newest {
    checkpoint: Option<SignedCheckpoint>,
    next_slot: u64,
}

impl Anchor {
    /// Opens or makes the file at `path`, for its owner alone.
    ///
    /// # Errors
    /// [`AnchorFault::File`], or [`AnchorFault::Damaged`] when something is in it but no whole checkpoint.
    pub fn open(path: &Path) -> Result<Self, AnchorFault> {
        let fault = |error| file_fault(path, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(fault)?;
        let len = file.metadata().map_err(fault)?.len();
        let slots = [0, 1].map(|slot| read_slot(&file, slot));
        let [first, second] = slots;
        let newest = match (first.map_err(fault)?, second.map_err(fault)?) {
            (None, None) if len > 0 => {
                return Err(AnchorFault::Damaged { path: path.to_path_buf() });
            }
            (None, second) => Newest { checkpoint: second, next_slot: 0 },
            (Some(first), Some(second)) if size(&second) >= size(&first) => {
                Newest { checkpoint: Some(second), next_slot: 0 }
            }
            (Some(first), _) => Newest { checkpoint: Some(first), next_slot: 1 },
        };
        Ok(Self { path: path.to_path_buf(), file, newest: Mutex::new(newest) })
    }

    /// The anchored checkpoint; nothing before the first.
    #[must_use]
    pub fn read(&self) -> Option<SignedCheckpoint> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).checkpoint.clone()
    }

    /// Anchors a checkpoint, by one write; a smaller one than the anchored, or one of its size, changes nothing.
    ///
    /// # Errors
    /// [`AnchorFault::File`] or [`AnchorFault::TooLong`].
    pub fn advance(&self, checkpoint: &SignedCheckpoint) -> Result<(), AnchorFault> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.checkpoint.as_ref().is_some_and(|anchored| size(anchored) >= size(checkpoint)) {
            return Ok(());
        }
        let note = checkpoint.as_bytes();
        let slot = slot_of(note).ok_or(AnchorFault::TooLong { found: note.len() })?;
        self.file
            .write_all_at(&slot, offset(newest.next_slot))
            .map_err(|error| file_fault(&self.path, error))?;
        *newest = Newest { checkpoint: Some(checkpoint.clone()), next_slot: newest.next_slot ^ 1 };
        Ok(())
    }

    /// Makes what was anchored durable.
    ///
    /// # Errors
    /// [`AnchorFault::File`]: whether it is durable is unknown, the keeper ends.
    pub fn sync(&self) -> Result<(), AnchorFault> {
        self.file.sync_data().map_err(|error| file_fault(&self.path, error))
    }

    /// Checks that the log contains what is anchored. `key` is the log's checkpoint key.
    ///
    /// # Errors
    /// [`AnchorFault`] when the anchor is not this log's, ahead of it or beside it; the keeper must not start.
    pub fn compare(&self, log: &Reader, origin: &Origin, key: &PublicKey) -> Result<(), AnchorFault> {
        let Some(anchored) = self.read() else {
            return Ok(());
        };
        anchored.verify(origin, key).map_err(AnchorFault::Foreign)?;
        let anchor = anchored.checkpoint().head;
        let size = log.head().size;
        if anchor.size > size {
            return Err(AnchorFault::Ahead { anchor: anchor.size, log: size });
        }
        if log.root_at(anchor.size)? != anchor.root {
            return Err(AnchorFault::OtherRoot { size: anchor.size });
        }
        Ok(())
    }
}

fn file_fault(path: &Path, error: io::Error) -> AnchorFault {
    AnchorFault::File { path: path.to_path_buf(), source: Arc::new(error) }
}

fn size(checkpoint: &SignedCheckpoint) -> u64 {
    checkpoint.checkpoint().head.size
}

const fn offset(slot: u64) -> u64 {
    slot.saturating_mul(SLOT_LEN as u64)
}

fn slot_of(note: &[u8]) -> Option<Vec<u8>> {
    if note.len() > NOTE_LEN_MAX {
        return None;
    }
    let mut slot = u16::try_from(note.len()).ok()?.to_be_bytes().to_vec();
    slot.extend_from_slice(note);
    slot.resize(SLOT_LEN.saturating_sub(DIGEST_LEN), 0);
    let digest = sha256(&[&slot]);
    slot.extend_from_slice(digest.as_bytes());
    Some(slot)
}

/// The checkpoint in a slot; nothing when the slot is not there or not whole.
fn read_slot(file: &File, slot: u64) -> io::Result<Option<SignedCheckpoint>> {
    let mut bytes = [0; SLOT_LEN];
    match file.read_exact_at(&mut bytes, offset(slot)) {
        Ok(()) => Ok(checkpoint_in(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn checkpoint_in(slot: &[u8; SLOT_LEN]) -> Option<SignedCheckpoint> {
    let (body, digest) = slot.split_last_chunk::<DIGEST_LEN>()?;
    if sha256(&[body]).as_bytes() != digest {
        return None;
    }
    let (len, rest) = body.split_first_chunk::<2>()?;
    SignedCheckpoint::parse(rest.get(..usize::from(u16::from_be_bytes(*len)))?).ok()
}

#[cfg(test)]
mod tests {
    use super::{
        super::sqlite::ground::{NOW_MS, Store, folder, note, seals, start},
        *,
    };
    use keysvc_protocol::{bytes::Digest, checkpoint::Checkpoint, merkle::TreeHead};
    use ring::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
    };

    /// A checkpoint key that signs as the token would.
    struct Signer {
        pair: EcdsaKeyPair,
        spki: Vec<u8>,
    }

    impl Signer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            let pair =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
            // SubjectPublicKeyInfo of id-ecPublicKey on prime256v1 (RFC 5480 section 2).
            let mut spki = vec![0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
            spki.extend([0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00]);
            spki.extend(pair.public_key().as_ref());
            Self { pair, spki }
        }

        fn key(&self) -> PublicKey {
            PublicKey::from_spki(&self.spki).unwrap()
        }

        /// Signs until the signature is low-S, as checkpoints want it.
        fn sign(&self, head: TreeHead) -> SignedCheckpoint {
            let checkpoint = Checkpoint { origin: origin(), head };
            loop {
                let text = checkpoint.text();
                let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
                let signed = SignedCheckpoint::assemble(
                    &checkpoint,
                    signature.as_ref().try_into().unwrap(),
                    &self.spki,
                );
                if signed.verify(&origin(), &self.key()).is_ok() {
                    return signed;
                }
            }
        }
    }

    fn origin() -> Origin {
        "demo.keysvc.test/keysvc/1".parse().unwrap()
    }

    fn head(size: u64) -> TreeHead {
        TreeHead { size, root: Digest::new([4; 32]) }
    }

    fn anchor(folder: &tempfile::TempDir) -> Anchor {
        Anchor::open(&folder.path().join("anchor")).unwrap()
    }

    #[test]
    fn the_newest_checkpoint_is_read_back_and_an_older_one_changes_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = folder();
        assert_eq!(anchor(&folder).read(), None);
        for size in [1, 5, 3, 7, 6] {
            anchor(&folder).advance(&note(head(size))).unwrap();
        }
        let first = anchor(&folder);
        assert_eq!(first.read(), Some(note(head(7))));
        first.sync().unwrap();
        let metadata = std::fs::metadata(folder.path().join("anchor")).unwrap();
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (2_048, 0o600));
    }

    #[test]
    fn a_write_cut_short_leaves_the_checkpoint_before() {
        let folder = folder();
        let path = folder.path().join("anchor");
        let whole = anchor(&folder);
        whole.advance(&note(head(1))).unwrap();
        whole.advance(&note(head(2))).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for (slot, left) in [(0, 2), (1, 1)] {
            for at in [0, 1, 100, 900, 1_023] {
                let mut cut = bytes.clone();
                cut[slot * SLOT_LEN + at] ^= 1;
                std::fs::write(&path, &cut).unwrap();
                assert_eq!(anchor(&folder).read(), Some(note(head(left))), "{slot} {at}");
                anchor(&folder).advance(&note(head(3))).unwrap();
                assert_eq!(anchor(&folder).read(), Some(note(head(3))));
            }
        }
        std::fs::write(&path, &bytes[..SLOT_LEN + 9]).unwrap();
        assert_eq!(anchor(&folder).read(), Some(note(head(1))));
    }

    #[test]
    fn a_file_without_a_whole_checkpoint_is_no_anchor() {
        let folder = folder();
        let path = folder.path().join("anchor");
        std::fs::write(&path, vec![0; 2 * SLOT_LEN]).unwrap();
        assert!(matches!(Anchor::open(&path), Err(AnchorFault::Damaged { path: at }) if at == path));
        let nowhere = folder.path().join("no folder").join("anchor");
        assert!(matches!(Anchor::open(&nowhere), Err(AnchorFault::File { .. })));
    }

    #[test]
    fn an_anchor_behind_or_at_the_log_agrees_and_one_ahead_or_beside_it_does_not() {
        let (folder, signer) = (folder(), Signer::new());
        let store = Store::founded(&folder);
        let anchor = anchor(&folder);
        let compare = |store: &Store| anchor.compare(&store.reader, &origin(), &signer.key());
        assert!(compare(&store).is_ok(), "nothing is anchored yet");
        anchor.advance(&signer.sign(store.reader.head())).unwrap();
        assert!(compare(&store).is_ok());
        drop(store);
        let old: Vec<_> = ["ledger.sqlite3", "ledger.sqlite3-wal"]
            .iter()
            .filter_map(|file| Some((file, std::fs::read(folder.path().join(file)).ok()?)))
            .collect();
        let mut store = Store::open(&folder, seals());
        store.apply(&[start(), start()], NOW_MS);
        assert!(compare(&store).is_ok());
        anchor.advance(&signer.sign(store.reader.head())).unwrap();
        drop(store);
        // The old copy of the database is put back.
        for file in ["ledger.sqlite3-wal", "ledger.sqlite3-shm"] {
            let _absent = std::fs::remove_file(folder.path().join(file));
        }
        for (file, bytes) in old {
            std::fs::write(folder.path().join(file), bytes).unwrap();
        }
        let mut store = Store::open(&folder, seals());
        assert!(matches!(compare(&store), Err(AnchorFault::Ahead { anchor: 3, log: 1 })));
        // And another history grown on it.
        store.apply(&[start(), start()], NOW_MS + 1);
        assert!(matches!(compare(&store), Err(AnchorFault::OtherRoot { size: 3 })));
    }

    #[test]
    fn an_anchor_signed_by_another_key_or_of_another_log_is_foreign() {
        let (folder, signer) = (folder(), Signer::new());
        let store = Store::founded(&folder);
        let anchor = anchor(&folder);
        anchor.advance(&signer.sign(store.reader.head())).unwrap();
        let other_key = anchor.compare(&store.reader, &origin(), &Signer::new().key());
        assert!(matches!(other_key, Err(AnchorFault::Foreign(CheckpointError::NotSigned))));
        let other_log = anchor.compare(&store.reader, &"other".parse().unwrap(), &signer.key());
        assert!(matches!(other_log, Err(AnchorFault::Foreign(CheckpointError::WrongOrigin))));
    }
}
