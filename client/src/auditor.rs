//! An auditor: reads leaves and proofs, and exports the whole log for verification offline.
//!
//! An export is checked while it is written: its leaves must hash to the root of the checkpoint it was pinned to.
//! What the leaves say is for the offline verifier to judge.

use crate::{
    config::ClientConfig,
    error::ClientError,
    folder::{Folder, fault},
    reader::{Outgoing, Reader, blocking},
};
use keysvc_protocol::{
    cbor,
    checkpoint::SignedCheckpoint,
    export::{CHECKPOINT_FILE, FILE_LEN, LEAVES_FOLDER, LeafFile, file_name},
    leaf::{LeafEntry, LeafError},
    merkle::{Frontier, TreeHead, leaf_hash},
    receipt::LeafEvidence,
    reply::EntriesReply,
    request::{ENTRIES_MAX, Operation, ReadEntries},
    schema::Schema,
};
use std::{fs, io, path::Path};

/// An auditor's connection.
#[derive(Debug)]
pub struct Auditor {
    reader: Reader,
}

impl Auditor {
    /// Learns what the service is.
    ///
    /// # Errors
    /// [`ClientError`] naming the file, fault or contradiction.
    pub async fn connect(config: &ClientConfig) -> Result<Self, ClientError> {
        Ok(Self { reader: Reader::connect(config).await? })
    }

    /// The reads every persona may make.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Leaves from index `from` to before `to`, at least one of them and as many as the reply holds. Each is at its
    /// index and its payload, where it is shown, is its own. The read is itself recorded.
    ///
    /// # Errors
    /// [`ClientError`] of the call, or [`ClientError::Untrusted`] when a leaf is not what it says.
    pub async fn entries(&self, from: u64, to: u64) -> Result<Vec<LeafEvidence>, ClientError> {
        let request = ReadEntries { schema: Schema, from, to };
        let outgoing = Outgoing {
            operation: Operation::LogEntries,
            request: cbor::encode(&request),
            about: format!("{} {from} {to}", Operation::LogEntries),
        };
        let reply: EntriesReply = self.reader.ask(outgoing).await?;
        let leaves = reply.entries.into_vec();
        let count = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        if leaves.is_empty() || count > to.saturating_sub(from) {
            return Err(ClientError::malformed("no leaves, or more than asked for"));
        }
        for (index, leaf) in (from..).zip(&leaves) {
            check_leaf(index, leaf)?;
        }
        Ok(leaves)
    }

    /// Writes the log up to the newest checkpoint to `folder`, which must be missing or empty (its layout:
    /// [`keysvc_protocol::export`]). Tells `progress` how many leaves of how many are done.
    ///
    /// # Errors
    /// [`ClientError`] of the calls; [`ClientError::Untrusted`] when the leaves are not those of the checkpoint, in
    /// which case the folder has no `checkpoint`; [`ClientError::State`] when the folder cannot be written.
    pub async fn export(
        &self,
        folder: &Path,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<SignedCheckpoint, ClientError> {
        let mut export = Export::begin(folder)?;
        let checkpoint = self.reader.checkpoint().await?;
        let head = checkpoint.checkpoint().head;
        progress(0, head.size);
        while export.frontier.size() < head.size {
            let from = export.frontier.size();
            let to = head.size.min(from.saturating_add(u64::try_from(ENTRIES_MAX).unwrap_or(u64::MAX)));
            let leaves = self.entries(from, to).await?;
            export = blocking(move || export.add(leaves)).await?;
            progress(export.frontier.size(), head.size);
        }
        blocking(move || export.finish(head, checkpoint)).await
    }
}

fn check_leaf(index: u64, leaf: &LeafEvidence) -> Result<LeafEntry, ClientError> {
    let what = |error: LeafError| ClientError::untrusted(format!("leaf {index}: {error}"));
    let entry = leaf.check().map_err(what)?;
    if entry.index == index {
        Ok(entry)
    } else {
        Err(ClientError::untrusted(format!("leaf {index} says it is leaf {}", entry.index)))
    }
}

/// An export under way.
struct Export {
    folder: Folder,
    leaves: Folder,
    frontier: Frontier,
    /// Leaves of the file that is not full yet.
    pending: Vec<LeafEvidence>,
    /// Index of the first of them.
    first: u64,
}

impl Export {
    fn begin(path: &Path) -> Result<Self, ClientError> {
        match fs::read_dir(path).map(|mut files| files.next().is_some()) {
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(true) => {
                let what =
                    format!("an export needs an empty folder, and there are files in {}", path.display());
                return Err(ClientError::Request { what });
            }
            Err(error) => return Err(fault(path, &error)),
        }
        Ok(Self {
            folder: Folder::open(path)?,
            leaves: Folder::open(&path.join(LEAVES_FOLDER))?,
            frontier: Frontier::new(),
            pending: Vec::with_capacity(FILE_LEN),
            first: 0,
        })
    }

    /// Hashes the leaves into the tree and writes each file as it becomes full.
    fn add(mut self, leaves: Vec<LeafEvidence>) -> Result<Self, ClientError> {
        for leaf in leaves {
            self.frontier.append(leaf_hash(leaf.entry.as_bytes()));
            self.pending.push(leaf);
            if self.pending.len() == FILE_LEN {
                self.write()?;
            }
        }
        Ok(self)
    }

    fn write(&mut self) -> Result<(), ClientError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let leaves = std::mem::replace(&mut self.pending, Vec::with_capacity(FILE_LEN));
        let file =
            LeafFile::new(self.first, leaves).map_err(|error| ClientError::malformed(error.to_string()))?;
        self.leaves.replace(&file_name(self.first), &cbor::encode(&file))?;
        self.first = self.frontier.size();
        Ok(())
    }

    /// Compares the leaves with the checkpoint and writes it. Last, because a folder with a checkpoint is whole.
    fn finish(
        mut self,
        head: TreeHead,
        checkpoint: SignedCheckpoint,
    ) -> Result<SignedCheckpoint, ClientError> {
        self.write()?;
        if self.frontier.head() != head {
            return Err(ClientError::untrusted("the leaves are not those of its checkpoint"));
        }
        self.folder.replace(CHECKPOINT_FILE, checkpoint.as_bytes())?;
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connect::stand_in::Step,
        testing::{Log, service::serve},
    };
    use keysvc_protocol::{cbor::REPLY_LEN_MAX, export::FILE_BYTES_MAX};

    fn file(folder: &Path, first: u64) -> LeafFile {
        let bytes = fs::read(folder.join(LEAVES_FOLDER).join(file_name(first))).unwrap();
        cbor::decode(&bytes, FILE_BYTES_MAX).unwrap()
    }

    #[tokio::test]
    async fn an_export_holds_every_leaf_up_to_the_checkpoint_it_was_pinned_to() {
        let (ground, _) = serve(Log::new(599, 0), |_, _, _| None).await;
        let auditor = Auditor::connect(&ground.config()).await.unwrap();
        let folder = ground.folder().join("export");
        let mut steps = Vec::new();
        let checkpoint = auditor.export(&folder, |done, of| steps.push((done, of))).await.unwrap();
        assert_eq!(checkpoint, Log::new(599, 0).checkpoint(600));
        assert_eq!(fs::read(folder.join(CHECKPOINT_FILE)).unwrap(), checkpoint.as_bytes());
        assert_eq!(steps, [(0, 600), (100, 600), (200, 600), (300, 600), (400, 600), (500, 600), (600, 600)]);
        let files = [file(&folder, 0), file(&folder, 256), file(&folder, 512)];
        assert_eq!(
            files.each_ref().map(|file| (file.first, file.leaves.len())),
            [(0, 256), (256, 256), (512, 88)]
        );
        let leaves: Vec<_> = files.into_iter().flat_map(|file| file.leaves.into_vec()).collect();
        assert_eq!(leaves, Log::new(599, 0).0);
    }

    #[tokio::test]
    async fn leaves_of_another_log_leave_no_checkpoint_behind() {
        let (ground, _) = serve(Log::new(20, 0), |service, operation, envelope| {
            let Step::Reply(bytes) = service.answer(operation, envelope) else { return None };
            if operation != Operation::LogEntries {
                return Some(Step::Reply(bytes));
            }
            let reply: EntriesReply = cbor::decode(&bytes, REPLY_LEN_MAX).unwrap();
            let entries = Log::new(20, 1).0.try_into().unwrap();
            Some(Step::Reply(cbor::encode(&EntriesReply { entries, ..reply })))
        })
        .await;
        let auditor = Auditor::connect(&ground.config()).await.unwrap();
        let folder = ground.folder().join("export");
        let error = auditor.export(&folder, |_, _| {}).await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { evidence: None, .. }), "{error:?}");
        assert!(!folder.join(CHECKPOINT_FILE).exists());
    }

    #[tokio::test]
    async fn leaves_at_other_indices_or_too_many_are_refused() {
        let (ground, _) = serve(Log::new(20, 0), |_, _, _| None).await;
        let auditor = Auditor::connect(&ground.config()).await.unwrap();
        assert_eq!(auditor.entries(3, 5).await.unwrap(), Log::new(20, 0).0[3..5]);
        let (ground, _) = serve(Log::new(20, 0), |service, operation, envelope| {
            (operation == Operation::LogEntries).then(|| {
                service.log.append(keysvc_protocol::leaf::LeafKind::EntriesRead, vec![0]);
                let entries = service.log.0[4..6].to_vec().try_into().unwrap();
                let receipt = service.receipt(envelope);
                Step::Reply(cbor::encode(&EntriesReply { schema: Schema, entries, receipt }))
            })
        })
        .await;
        let auditor = Auditor::connect(&ground.config()).await.unwrap();
        let error = auditor.entries(3, 5).await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { what, .. } if what == "leaf 3 says it is leaf 4"));
        assert!(matches!(auditor.entries(4, 5).await, Err(ClientError::Malformed { .. })));
    }

    #[tokio::test]
    async fn a_folder_with_files_is_not_written_over() {
        let (ground, _) = serve(Log::new(2, 0), |_, _, _| None).await;
        let auditor = Auditor::connect(&ground.config()).await.unwrap();
        assert!(matches!(auditor.export(ground.folder(), |_, _| {}).await, Err(ClientError::Request { .. })));
    }
}
