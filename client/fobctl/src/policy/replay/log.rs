//! An exported log, read leaf by leaf and proved: leaf 0 by the trust file, all leaves by the signed checkpoint.
//!
//! It holds one bundle of 256 leaves at a time, so that the length of a log does not matter. What was read is believed only
//! once the walk has come to its end, where the root is compared.

use crate::{fault::Fault, file};
use keysvc_client::{
    protocol::{
        bytes::{Blob, Digest},
        cbor,
        checkpoint::{NOTE_LEN_MAX, Origin, SignedCheckpoint},
        export::{
            CHECKPOINT_FILE, ENTRY_BUNDLE_LEN_MAX, LeafPayload, PAYLOAD_FILE_LEN_MAX, PayloadFile, Span,
            decode_entries,
        },
        founding::Founding,
        leaf::{FoundingLeaf, LeafEntry, LeafKind},
        merkle::{Frontier, TreeHead, leaf_hash},
        receipt::LEAF_PAYLOAD_LEN_MAX,
        trust::Trust,
    },
    trust_store::Founded,
};
use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

/// The epoch of a log that was never restored after a disaster.
const FIRST_EPOCH: u32 = 1;

/// A leaf, its payload proved to be its own.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// Its index.
    pub(crate) index: u64,
    /// Its time, milliseconds since 1970-01-01 UTC.
    pub(crate) time_ms: u64,
    /// What it records.
    pub(crate) kind: LeafKind,
    /// Its payload; nothing where the export withholds it.
    pub(crate) payload: Option<Vec<u8>>,
}

/// An export whose leaf 0 and checkpoint are the trust file's.
#[derive(Debug)]
pub(crate) struct ExportedLog {
    folder: PathBuf,
    head: TreeHead,
    founding: Founding,
    founding_leaf: FoundingLeaf,
    genesis: Digest,
}

impl ExportedLog {
    /// Reads leaf 0 and the checkpoint, and proves both.
    ///
    /// # Errors
    /// [`Fault`] for files that cannot be read, and [`Fault::Unproved`] for what is not the trust file's.
    pub(crate) fn open(folder: &Path, trust: &Trust) -> Result<Self, Fault> {
        let note = file::read(&folder.join(CHECKPOINT_FILE), NOTE_LEN_MAX)?;
        let checkpoint = SignedCheckpoint::parse(&note).map_err(|error| unproved(folder, &error))?;
        let head = checkpoint.checkpoint().head;
        let first = Span::of(0, head.size).ok_or_else(|| unproved(folder, &"it has no leaves"))?;
        let (entries, payloads) = bundle(folder, first)?;
        let leaf = entries.into_iter().next().and_then(|entry| Blob::try_from(entry).ok());
        let leaf = leaf.zip(payloads.into_iter().next()).map(|(entry, payload)| payload.beside(entry));
        let leaf = leaf.ok_or_else(|| unproved(folder, &"it has no leaf 0"))?;
        let founded = Founded::check(trust, &leaf).map_err(|error| unproved(folder, &error))?;
        checkpoint
            .verify(&Origin::of(&trust.domain, FIRST_EPOCH), founded.checkpoint_key())
            .map_err(|error| unproved(folder, &error))?;
        let payload = leaf.payload.as_ref().map_or(&[][..], Blob::as_bytes);
        Ok(Self {
            folder: folder.to_owned(),
            head,
            founding: founded.founding().clone(),
            founding_leaf: cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX)
                .map_err(|error| unproved(folder, &error))?,
            genesis: trust.genesis,
        })
    }

    /// How many leaves the checkpoint commits to.
    pub(crate) const fn size(&self) -> u64 {
        self.head.size
    }

    /// The founding file, and the leaf it stands in.
    pub(crate) const fn founding(&self) -> (&Founding, &FoundingLeaf) {
        (&self.founding, &self.founding_leaf)
    }

    /// The genesis digest.
    pub(crate) const fn genesis(&self) -> &Digest {
        &self.genesis
    }

    /// Why the export is not to be believed.
    pub(crate) fn unproved(&self, why: &dyn Display) -> Fault {
        unproved(&self.folder, why)
    }

    /// Shows every leaf in order, and proves in the end that they are the checkpoint's. What was made of them before is
    /// worth nothing when this fails.
    ///
    /// # Errors
    /// [`Fault`] of the files, the visitor's, or [`Fault::Unproved`].
    pub(crate) fn walk(&self, mut visit: impl FnMut(&Leaf) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut tree = Frontier::new();
        while let Some(span) = Span::holding(tree.size(), self.head.size) {
            let (entries, payloads) = bundle(&self.folder, span)?;
            for (bytes, beside) in entries.iter().zip(payloads) {
                let index = tree.size();
                drop(tree.append(leaf_hash(bytes)));
                let leaf = read(index, bytes, beside)
                    .map_err(|why| self.unproved(&format_args!("leaf {index}: {why}")))?;
                visit(&leaf)?;
            }
        }
        if tree.head() == self.head {
            Ok(())
        } else {
            Err(self.unproved(&"its leaves are not those of its checkpoint"))
        }
    }
}

/// A leaf that is in its place and has its own payload.
fn read(index: u64, entry: &[u8], beside: LeafPayload) -> Result<Leaf, String> {
    let entry = LeafEntry::decode(entry).map_err(|error| error.to_string())?;
    if entry.index != index {
        return Err(format!("it says that it is leaf {}", entry.index));
    }
    let payload = match (beside.salt, beside.payload) {
        (_, None) => None,
        (None, Some(_)) => return Err("its payload came without the salt".to_owned()),
        (Some(salt), Some(payload)) => {
            entry.check_payload(&salt, payload.as_bytes()).map_err(|error| error.to_string())?;
            Some(payload.into_bytes())
        }
    };
    Ok(Leaf { index, time_ms: entry.time_ms, kind: entry.kind, payload })
}

fn bundle(folder: &Path, span: Span) -> Result<(Vec<Vec<u8>>, Vec<LeafPayload>), Fault> {
    let entries = file::read(&folder.join(span.entries_path()), ENTRY_BUNDLE_LEN_MAX)?;
    let entries = decode_entries(&entries, span)
        .map_err(|error| unproved(folder, &format_args!("{}: {error}", span.entries_path())))?;
    let payloads = file::read(&folder.join(span.payload_path()), PAYLOAD_FILE_LEN_MAX)?;
    let payloads = PayloadFile::decode(&payloads, span)
        .map_err(|error| unproved(folder, &format_args!("{}: {error}", span.payload_path())))?;
    Ok((entries.into_iter().map(<[u8]>::to_vec).collect(), payloads))
}

fn unproved(folder: &Path, why: &dyn Display) -> Fault {
    Fault::Unproved {
        path: folder.to_owned(),
        why: why.to_string(),
        next: "have `fobaudit verify` say what is wrong with it; keep it, and export into another folder with `fobctl \
               audit export`"
            .to_owned(),
    }
}
