//! Evidence: two signed checkpoints that contradict each other, kept where people find them.

use crate::{error::ClientError, folder};
use keysvc_protocol::{cbor, checkpoint::SignedCheckpoint, merkle::Proof};
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Most folders of evidence: a service that is asked again and again contradicts itself again and again.
const FOLDERS_MAX: u32 = 1_000;

/// What does not hold together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contradiction<'a> {
    /// The checkpoint held before; nothing where it was the trust file's first head.
    pub(crate) held: Option<&'a SignedCheckpoint>,
    /// The checkpoint received.
    pub(crate) received: &'a SignedCheckpoint,
    /// The proof that should lead from one to the other.
    pub(crate) proof: &'a Proof,
    /// The request it answers: its operation and idempotency key.
    pub(crate) about: &'a str,
    /// What does not hold.
    pub(crate) what: &'a str,
}

impl Contradiction<'_> {
    /// Writes `evidence-<n>/` with `held`, `received` (signed notes), `consistency` (CBOR) and `about` (text).
    pub(crate) fn keep(&self, state: &Path) -> Result<PathBuf, ClientError> {
        let folder = next_folder(state).map_err(|error| folder::fault(state, &error))?;
        self.write(&folder).map_err(|error| folder::fault(&folder, &error))?;
        tracing::error!(what = self.what, folder = %folder.display(), "signed checkpoints contradict each other");
        Ok(folder)
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        if let Some(held) = self.held {
            write_synced(&folder.join("held"), held.as_bytes())?;
        }
        write_synced(&folder.join("received"), self.received.as_bytes())?;
        write_synced(&folder.join("consistency"), &cbor::encode(self.proof))?;
        write_synced(&folder.join("about"), format!("{}\n{}\n", self.about, self.what).as_bytes())?;
        File::open(folder)?.sync_all()
    }
}

fn next_folder(state: &Path) -> io::Result<PathBuf> {
    for number in 1..FOLDERS_MAX {
        let folder = state.join(format!("evidence-{number}"));
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many folders of evidence"))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
