//! What a till verifies while the service is out of reach: a kept trust bundle.

use super::bundles;
use crate::{config::ClientConfig, error::ClientError};
use keysvc_protocol::{
    bundle::{BundleFile, TrustBundle},
    bytes::Digest,
    cbor,
    value::ValueUpdate,
};
use std::path::Path;

/// A verified trust bundle. It needs no network and no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offline {
    file: BundleFile,
    bundle: TrustBundle,
    digest: Digest,
}

impl Offline {
    /// Reads the bundle that [`super::Terminal::bundle`] kept in the state folder, and verifies it from the trust
    /// file alone. Whether it still holds is asked at each verification.
    ///
    /// # Errors
    /// [`ClientError::Config`] when the trust file cannot be read; [`ClientError::State`] when no bundle is kept, or
    /// the file is damaged or does not verify.
    pub fn open(config: &ClientConfig) -> Result<Self, ClientError> {
        let trust = config.read_trust()?;
        bundles::read(&config.state, &trust)?.ok_or_else(|| none(&bundles::path(&config.state)))
    }

    pub(super) const fn new(file: BundleFile, bundle: TrustBundle, digest: Digest) -> Self {
        Self { file, bundle, digest }
    }

    /// What it says: keys, programmes, limits, until when it holds.
    #[must_use]
    pub const fn bundle(&self) -> &TrustBundle {
        &self.bundle
    }

    /// The bundle with the founding, as a file for `fobaudit value --bundle`: the trust file alone proves it.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        cbor::encode(&self.file)
    }

    /// Verifies a signed value update at `now_ms`, milliseconds since 1970-01-01 UTC by the terminal's clock: the
    /// bundle holds, the key is the programme's, signature and arithmetic hold, currency, purse and limits are the
    /// programme's. What the card saw last is the terminal's to compare.
    ///
    /// # Errors
    /// [`ClientError::Bundle`] naming the first check that failed; an expired bundle refuses, saying until when it
    /// held.
    pub fn verify(&self, record: &[u8], now_ms: u64) -> Result<ValueUpdate, ClientError> {
        Ok(self.bundle.check_record(record, now_ms)?)
    }

    pub(super) const fn digest(&self) -> &Digest {
        &self.digest
    }

    pub(super) const fn file(&self) -> &BundleFile {
        &self.file
    }
}

/// No bundle is kept.
pub(super) fn none(path: &Path) -> ClientError {
    let reason = "no trust bundle is kept yet; have the terminal fetch one while the service answers".into();
    ClientError::State { path: path.to_owned(), reason }
}
