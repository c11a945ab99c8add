//! The trust bundle in the state folder: checked before it is kept, and renewed before it ends.

use super::Offline;
use crate::{
    clock::now_ms,
    error::ClientError,
    folder::{Folder, mended},
    trust_store::Founded,
};
use keysvc_protocol::{
    bundle::BundleFile,
    cbor,
    cose::{Kind, Signed},
    hash::sha256,
    leaf::{BundleMadeLeaf, LeafKind},
    public_key::PublicKey,
    receipt::{LEAF_PAYLOAD_LEN_MAX, LeafEvidence, Receipt},
    reply::BundleReply,
    schema::Schema,
    trust::Trust,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The file in the state folder: a [`BundleFile`], so that the trust file alone proves it.
const FILE: &str = "bundle";
/// The least time between two attempts to renew: an update may be asked every few milliseconds.
const RENEW_PAUSE_MS: u64 = 60_000;

/// The bundle of one terminal, in memory and on disk.
#[derive(Debug)]
pub(super) struct Bundles {
    folder: Folder,
    path: PathBuf,
    founding: LeafEvidence,
    statement_key: PublicKey,
    trust: Trust,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    kept: Option<Arc<Offline>>,
    /// When renewing was last begun, milliseconds.
    renewed_at_ms: u64,
}

/// Where a bundle is kept.
pub(super) fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

/// Reads the kept bundle, and verifies it from the trust file alone; nothing where none is kept.
pub(super) fn read(state: &Path, trust: &Trust) -> Result<Option<Offline>, ClientError> {
    let Some(bytes) = Folder::open(state)?.read(FILE, BundleFile::LEN_MAX)? else { return Ok(None) };
    let mend = "remove it; the terminal fetches another while the service answers";
    let damaged = |what: &str| mended(&path(state), what, mend);
    let file = BundleFile::read(&bytes).map_err(|error| damaged(&error.to_string()))?;
    let bundle = file.verify(trust).map_err(|error| damaged(&error.to_string()))?;
    let founded = Founded::check(trust, &file.founding)?;
    let payload = payload(file.bundle.as_bytes(), trust, founded.statement_key())?;
    let digest = sha256(&[payload]);
    Ok(Some(Offline::new(file, bundle, digest)))
}

fn payload<'a>(message: &'a [u8], trust: &Trust, key: &PublicKey) -> Result<&'a [u8], ClientError> {
    let opened = Signed::parse(message)
        .and_then(|signed| signed.open(Kind::TrustBundle, trust.genesis.as_bytes(), key));
    opened.map_err(|error| ClientError::Bundle(error.into()))
}

impl Bundles {
    /// Reads what is kept, after the founding was kept there.
    pub(super) fn open(state: &Path, trust: &Trust) -> Result<Self, ClientError> {
        let (founding, founded) = Founded::kept(state, trust)?;
        let kept = read(state, trust)?.map(Arc::new);
        Ok(Self {
            folder: Folder::open(state)?,
            path: path(state),
            founding,
            statement_key: *founded.statement_key(),
            trust: trust.clone(),
            state: Mutex::new(State { kept, renewed_at_ms: 0 }),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The bundle that is kept.
    pub(super) fn kept(&self) -> Option<Arc<Offline>> {
        self.lock().kept.clone()
    }

    /// Whether half of the kept bundle's life is over, and nobody asked for another a moment ago. Says so once.
    pub(super) fn wants_renewal(&self) -> bool {
        let now_ms = now_ms();
        let mut state = self.lock();
        let Some(kept) = &state.kept else { return false };
        let (made, end) = (kept.bundle().made_at_ms, kept.bundle().not_after_ms);
        let half = made.saturating_add(end.saturating_sub(made).checked_div(2).unwrap_or_default());
        let wants = now_ms >= half && now_ms.saturating_sub(state.renewed_at_ms) >= RENEW_PAUSE_MS;
        if wants {
            state.renewed_at_ms = now_ms;
        }
        wants
    }

    /// Checks a reply, whose receipt's inclusion was proved before, and keeps its bundle.
    pub(super) fn take(&self, reply: &BundleReply) -> Result<Offline, ClientError> {
        let held = self.kept();
        let message = match (&reply.bundle, &held) {
            (Some(message), _) => message.clone(),
            (None, Some(held)) => held.file().bundle.clone(),
            (None, None) => return Err(ClientError::malformed("no bundle, though none was held")),
        };
        let payload = payload(message.as_bytes(), &self.trust, &self.statement_key)?;
        check_leaf(&reply.receipt, payload)?;
        if let Some(held) = held.filter(|held| *held.digest() == sha256(&[payload])) {
            return Ok(Offline::clone(&held));
        }
        let file = BundleFile { schema: Schema, founding: self.founding.clone(), bundle: message.clone() };
        let bundle = file.verify(&self.trust).map_err(|error| ClientError::untrusted(error.to_string()))?;
        self.keep(Offline::new(file, bundle, sha256(&[payload])))
    }

    /// Keeps a bundle unless a newer one is kept, on disk first.
    fn keep(&self, new: Offline) -> Result<Offline, ClientError> {
        let _lock = self.folder.lock()?;
        let held = read_or_none(&self.path, &self.trust);
        if held.is_some_and(|held| held.bundle().made_at_ms > new.bundle().made_at_ms) {
            return Err(ClientError::untrusted("its trust bundle is older than the one kept"));
        }
        self.folder.replace(FILE, &new.to_file())?;
        self.lock().kept = Some(Arc::new(new.clone()));
        Ok(new)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What it guards is whole at every moment, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A damaged one is written over: it proves nothing, and what comes now is proved.
fn read_or_none(path: &Path, trust: &Trust) -> Option<Offline> {
    path.parent().and_then(|state| read(state, trust).ok().flatten())
}

/// Checks that the leaf of the receipt records exactly this bundle.
fn check_leaf(receipt: &Receipt, payload: &[u8]) -> Result<(), ClientError> {
    let untrusted = |what: &str| ClientError::untrusted(format!("the trust bundle's leaf: {what}"));
    let entry = receipt.check_inclusion().map_err(|error| untrusted(&error.to_string()))?;
    let shown =
        receipt.leaf.as_ref().filter(|leaf| leaf.salt.is_some()).and_then(|leaf| leaf.payload.as_ref());
    let (Some(shown), LeafKind::BundleMade) = (shown, entry.kind) else {
        return Err(untrusted("it does not show a trust bundle"));
    };
    let leaf: BundleMadeLeaf = cbor::decode(shown.as_bytes(), LEAF_PAYLOAD_LEN_MAX)
        .map_err(|error| untrusted(&error.to_string()))?;
    if leaf.bundle.as_bytes() == payload { Ok(()) } else { Err(untrusted("it records another bundle")) }
}

#[cfg(test)]
pub(crate) mod tests;
