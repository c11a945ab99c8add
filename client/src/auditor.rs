//! An auditor: reads leaves and proofs, and exports the whole log for verification offline.
//!
//! An export is checked while it is written: its leaves must hash to the root of the checkpoint it was pinned to.
//! What the leaves say is for the offline verifier to judge.
//!
//! # Configuration
//!
//! Certificate and key of an enrolled auditor, trust file, state folder. No `[statement]`, no `[token]`.
//!
//! # Example
//!
//! ```no_run
//! use keysvc_client::{Auditor, ClientConfig};
//! use std::path::Path;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let auditor = Auditor::connect(&ClientConfig::read(Path::new("auditor-1/client.toml"))?).await?;
//! let exported = auditor.export(Path::new("export"), |done, of| show(done, of)).await?;
//! // Then, on any machine: fobaudit verify export --trust trust
//! # let _ = exported;
//! # fn show(_: u64, _: u64) {}
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! - [`ClientError::Untrusted`]: leaves or proofs are not those of the signed checkpoint. Keep the folders, tell the
//!   officers; the export keeps the checkpoint it had.
//! - After [`ClientError::Timeout`] or [`ClientError::Unreachable`] export into the same folder again: it goes on.
//! - [`ClientError::State`]: the folder named cannot be written or is damaged; export into an empty one.
//!
//! # Limits
//!
//! 512 leaves in one reply at most. Reading leaves is a privileged read: each call leaves one leaf of its own, so an
//! export never holds the very last one.

mod export;
mod tile_folder;

use crate::{
    config::ClientConfig,
    error::ClientError,
    reader::{Outgoing, Reader, blocking},
};
use export::Export;
use keysvc_protocol::{
    cbor,
    checkpoint::{Origin, SignedCheckpoint},
    leaf::{LeafEntry, LeafError},
    merkle::{TreeHead, verify_consistency},
    receipt::LeafEvidence,
    reply::EntriesReply,
    request::{ENTRIES_MAX, Operation, ReadEntries},
    schema::Schema,
};
use std::{path::Path, time::Duration};

/// The epoch of a log that was never restored after a disaster.
const FIRST_EPOCH: u32 = 1;

/// An export that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The checkpoint that the folder stands under.
    pub checkpoint: SignedCheckpoint,
    /// Leaves that the folder held before; all others were read now.
    pub before: u64,
}

/// An auditor's connection.
#[derive(Debug, Clone)]
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

    /// The same, with another time for each call; an export makes one call for each reply of leaves.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { reader: self.reader.with_deadline(deadline) }
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
        let about = format!("{} {from} {to}", Operation::LogEntries);
        let outgoing = Outgoing::new(Operation::LogEntries, cbor::encode(&request), about);
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

    /// Brings the log in `folder` up to the newest checkpoint (its layout: [`keysvc_protocol::export`]). The folder
    /// is missing, empty, or has an earlier export of this log; then only what is new is read. Tells `progress` how
    /// many leaves of how many are there.
    ///
    /// Broken off at any time, the folder stands under its earlier checkpoint, or has none yet; the next export goes
    /// on with the full files that it finds.
    ///
    /// # Errors
    /// [`ClientError`] of the calls; [`ClientError::Untrusted`] when the log does not continue the folder's
    /// checkpoint, or the leaves are not those of the new one, in which case the folder keeps the one it had;
    /// [`ClientError::Request`] for a folder with other files, and [`ClientError::State`] when it cannot be written
    /// or is damaged.
    pub async fn export(
        &self,
        folder: &Path,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Exported, ClientError> {
        let founded = self.reader.founded();
        let (origin, key) = (Origin::of(&founded.trust().domain, FIRST_EPOCH), *founded.checkpoint_key());
        let path = folder.to_owned();
        let mut export = blocking(move || Export::begin(&path, &origin, &key)).await?;
        let checkpoint = self.reader.checkpoint().await?;
        let head = checkpoint.checkpoint().head;
        self.check_continues(export.base(), head).await?;
        let before = export.size();
        progress(before, head.size);
        while export.size() < head.size {
            let from = export.size();
            let to = head.size.min(from.saturating_add(u64::try_from(ENTRIES_MAX).unwrap_or(u64::MAX)));
            let leaves = self.entries(from, to).await?;
            export = blocking(move || export.add(leaves)).await?;
            progress(export.size(), head.size);
        }
        let checkpoint = blocking(move || export.finish(head, checkpoint)).await?;
        Ok(Exported { checkpoint, before })
    }

    /// Checks that the log begins with all leaves that the folder's checkpoint commits to.
    async fn check_continues(&self, base: TreeHead, head: TreeHead) -> Result<(), ClientError> {
        let forked = |why: String| {
            ClientError::untrusted(format!(
                "its log does not continue the folder's checkpoint of {} leaves ({why}); keep the folder as evidence",
                base.size
            ))
        };
        if base.size == 0 {
            return Ok(());
        }
        let proof = if base.size < head.size {
            self.reader.proof(head.size, None, Some(base.size)).await?.consistency
        } else {
            None
        };
        verify_consistency(base, head, &proof.unwrap_or_default()).map_err(|error| forked(error.to_string()))
    }
}

/// Reads a leaf that must be at `index`.
fn check_leaf(index: u64, leaf: &LeafEvidence) -> Result<LeafEntry, ClientError> {
    let what = |error: LeafError| ClientError::untrusted(format!("leaf {index}: {error}"));
    let entry = leaf.check().map_err(what)?;
    if entry.index == index {
        Ok(entry)
    } else {
        Err(ClientError::untrusted(format!("leaf {index} says it is leaf {}", entry.index)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connect::stand_in::{StandIn, Step},
        testing::{
            Log,
            service::{Shared, serve},
        },
    };
    use keysvc_protocol::{
        cbor::{REPLY_LEN_MAX, REQUEST_LEN_MAX},
        export::{CHECKPOINT_FILE, HashTile, PayloadFile, Span, Tiling, decode_entries},
        merkle::leaf_hash,
        refusal::Refusal,
        request::Envelope,
    };
    use std::{fs, path::PathBuf};

    /// The leaves of the first `size` that lie in the folder's bundles and payload files.
    fn leaves(folder: &Path, size: u64) -> Vec<LeafEvidence> {
        let mut leaves = Vec::new();
        for span in (0..).map_while(|number| Span::of(number, size)) {
            let entries = fs::read(folder.join(span.entries_path())).unwrap();
            let payloads = fs::read(folder.join(span.payload_path())).unwrap();
            let payloads = PayloadFile::decode(&payloads, span).unwrap();
            for (entry, payload) in decode_entries(&entries, span).unwrap().into_iter().zip(payloads) {
                leaves.push(payload.beside(entry.to_vec().try_into().unwrap()));
            }
        }
        leaves
    }

    /// The paths of all files in a folder, sorted.
    fn files(folder: &Path) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path => files.push(path.strip_prefix(folder).unwrap().display().to_string()),
                }
            }
        }
        files.sort();
        files
    }

    /// What leaves were asked for, since the last call of this.
    fn asked(service: &Shared) -> Vec<(u64, u64)> {
        let bodies = std::mem::take(&mut service.lock().unwrap().bodies);
        let requests = bodies.iter().map(|body| cbor::decode::<Envelope>(body, REQUEST_LEN_MAX * 2).unwrap());
        let reads = requests.filter_map(|envelope| {
            cbor::decode::<ReadEntries>(envelope.request.as_bytes(), REQUEST_LEN_MAX).ok()
        });
        reads.map(|read| (read.from, read.to)).collect()
    }

    /// A service over `log` that refuses to read leaves from `broken` on.
    async fn breaking(log: Log, broken: u64) -> (StandIn, Shared) {
        serve(log, move |_, operation, envelope| {
            let read: ReadEntries = match operation {
                Operation::LogEntries => cbor::decode(envelope.request.as_bytes(), REQUEST_LEN_MAX).unwrap(),
                _ => return None,
            };
            (read.from >= broken).then_some(Step::Refuse(Refusal::Forbidden))
        })
        .await
    }

    async fn export(ground: &StandIn, folder: &Path) -> Result<Exported, ClientError> {
        Auditor::connect(&ground.config()).await?.export(folder, |_, _| {}).await
    }

    /// A folder with the export of a log of 600 leaves.
    async fn exported(ground: &StandIn) -> PathBuf {
        let folder = ground.folder().join("export");
        export(ground, &folder).await.unwrap();
        folder
    }

    #[tokio::test]
    async fn an_export_holds_every_leaf_and_tile_up_to_the_checkpoint_it_was_pinned_to() {
        let (ground, _) = serve(Log::new(599, 0), |_, _, _| None).await;
        let auditor = Auditor::connect(&ground.config()).await.unwrap();
        let folder = ground.folder().join("export");
        let mut steps = Vec::new();
        let exported = auditor.export(&folder, |done, of| steps.push((done, of))).await.unwrap();
        let checkpoint = Log::new(599, 0).checkpoint(600);
        assert_eq!(exported, Exported { checkpoint: checkpoint.clone(), before: 0 });
        assert_eq!(fs::read(folder.join(CHECKPOINT_FILE)).unwrap(), checkpoint.as_bytes());
        assert_eq!(steps, [(0, 600), (100, 600), (200, 600), (300, 600), (400, 600), (500, 600), (600, 600)]);
        assert_eq!(leaves(&folder, 600), Log::new(599, 0).0);
        let expected = "checkpoint payload/000 payload/001 payload/002.p/88 tile/0/000 tile/0/001 tile/0/002.p/88 \
                        tile/1/000.p/2 tile/entries/000 tile/entries/001 tile/entries/002.p/88";
        assert_eq!(files(&folder).join(" "), expected);
        let mut tiling = Tiling::new();
        let hashes = Log::new(599, 0).0.into_iter().map(|leaf| leaf_hash(leaf.entry.as_bytes()));
        let mut tiles: Vec<HashTile> = hashes.flat_map(|hash| tiling.append(hash)).collect();
        tiles.extend(tiling.partial());
        assert_eq!(tiles.len(), 4);
        for tile in tiles {
            assert_eq!(fs::read(folder.join(tile.path())).unwrap(), tile.to_bytes(), "{}", tile.path());
        }
    }

    #[tokio::test]
    async fn a_second_export_reads_only_what_is_new_and_leaves_no_partial_file_of_the_first() {
        let (ground, service) = serve(Log::new(299, 0), |_, _, _| None).await;
        let folder = exported(&ground).await;
        assert_eq!(asked(&service), [(0, 300), (100, 300), (200, 300)]);
        let (later, service) = serve(Log::new(799, 0), |_, _, _| None).await;
        let exported = export(&later, &folder).await.unwrap();
        assert_eq!((exported.before, exported.checkpoint.checkpoint().head.size), (300, 800));
        assert_eq!(asked(&service).first(), Some(&(300, 800)));
        assert_eq!(leaves(&folder, 800), Log::new(799, 0).0);
        let partial = files(&folder).into_iter().filter(|file| file.contains(".p/")).collect::<Vec<_>>();
        let expected = "payload/003.p/32 tile/0/003.p/32 tile/1/000.p/3 tile/entries/003.p/32";
        assert_eq!(partial.join(" "), expected);
    }

    #[tokio::test]
    async fn an_export_that_is_broken_off_leaves_the_old_one_whole_and_is_taken_up() {
        let (ground, _) = serve(Log::new(299, 0), |_, _, _| None).await;
        let folder = exported(&ground).await;
        let before = fs::read(folder.join(CHECKPOINT_FILE)).unwrap();
        let (later, _) = breaking(Log::new(899, 0), 700).await;
        assert!(matches!(export(&later, &folder).await, Err(ClientError::Refused(_))));
        assert_eq!(fs::read(folder.join(CHECKPOINT_FILE)).unwrap(), before);
        assert_eq!(leaves(&folder, 300), Log::new(299, 0).0[..300]);
        let (later, service) = serve(Log::new(899, 0), |_, _, _| None).await;
        let exported = export(&later, &folder).await.unwrap();
        assert_eq!((exported.before, asked(&service).first()), (512, Some(&(512, 900))));
        assert_eq!(leaves(&folder, 900), Log::new(899, 0).0);
    }

    #[tokio::test]
    async fn a_torn_file_behind_the_checkpoint_is_read_again() {
        let (ground, _) = breaking(Log::new(899, 0), 700).await;
        let folder = ground.folder().join("export");
        assert!(export(&ground, &folder).await.is_err());
        fs::write(folder.join("payload/001"), b"").unwrap();
        let (later, service) = serve(Log::new(899, 0), |_, _, _| None).await;
        assert_eq!(export(&later, &folder).await.unwrap().before, 256);
        assert_eq!(asked(&service).first(), Some(&(256, 768)));
        assert_eq!(leaves(&folder, 900), Log::new(899, 0).0);
    }

    #[tokio::test]
    async fn a_log_that_does_not_continue_the_folders_checkpoint_is_not_read() {
        let (ground, _) = serve(Log::new(299, 0), |_, _, _| None).await;
        let folder = exported(&ground).await;
        let before = files(&folder);
        for fork in [Log::new(599, 1), Log::new(299, 1), Log::new(99, 0)] {
            let (forked, service) = serve(fork, |_, _, _| None).await;
            let error = export(&forked, &folder).await.unwrap_err();
            assert!(
                matches!(&error, ClientError::Untrusted { what, .. } if what.contains("does not continue"))
            );
            assert_eq!((asked(&service), files(&folder)), (vec![], before.clone()));
        }
    }

    #[tokio::test]
    async fn a_folder_whose_tiles_or_entries_are_not_its_checkpoints_is_told_as_damaged() {
        for name in ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44", CHECKPOINT_FILE] {
            let (ground, _) = serve(Log::new(299, 0), |_, _, _| None).await;
            let folder = exported(&ground).await;
            let mut bytes = fs::read(folder.join(name)).unwrap();
            // Time of the first entry, some byte of a hash, a digit of the root.
            bytes[9] ^= 1;
            fs::write(folder.join(name), bytes).unwrap();
            let error = export(&ground, &folder).await.unwrap_err();
            assert!(matches!(&error, ClientError::State { .. }), "{name}: {error:?}");
        }
    }

    #[tokio::test]
    async fn leaves_of_another_log_leave_no_checkpoint_and_nothing_that_is_taken_up_later() {
        let (ground, _) = serve(Log::new(299, 0), |service, operation, envelope| {
            let Step::Reply(bytes) = service.answer(operation, envelope) else { return None };
            if operation != Operation::LogEntries {
                return Some(Step::Reply(bytes));
            }
            let reply: EntriesReply = cbor::decode(&bytes, REPLY_LEN_MAX).unwrap();
            let entries = Log::new(299, 1).0.try_into().unwrap();
            Some(Step::Reply(cbor::encode(&EntriesReply { entries, ..reply })))
        })
        .await;
        let folder = ground.folder().join("export");
        let error = export(&ground, &folder).await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { evidence: None, .. }), "{error:?}");
        assert!(!folder.join(CHECKPOINT_FILE).exists());
        let (good, _) = serve(Log::new(299, 0), |_, _, _| None).await;
        assert_eq!(export(&good, &folder).await.unwrap().before, 0);
        assert_eq!(leaves(&folder, 300), Log::new(299, 0).0);
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
}
