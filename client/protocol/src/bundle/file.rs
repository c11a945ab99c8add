//! The bundle file: a trust bundle with the founding leaf that names the key it is signed with.
//!
//! Apart because only those who start from a trust file need it: a terminal in service knows the statement key.

use super::{BUNDLE_MESSAGE_LEN_MAX, BundleError, TrustBundle};
use crate::{
    bytes::Blob,
    cbor::{self, DecodeError},
    key::{KeyKind, KeyRecord},
    leaf::{FoundingLeaf, LeafError, LeafKind},
    merkle::leaf_hash,
    public_key::PublicKey,
    receipt::{LEAF_PAYLOAD_LEN_MAX, LeafEvidence},
    schema::Schema,
    trust::Trust,
};
use serde::{Deserialize, Serialize};

/// A trust bundle that the trust file alone proves: packed CBOR, as everything on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleFile {
    /// Field 0.
    pub schema: Schema,
    /// Leaf 0, with its payload: it hashes to the genesis digest.
    pub founding: LeafEvidence,
    /// COSE_Sign1 of a [`TrustBundle`].
    pub bundle: Blob<BUNDLE_MESSAGE_LEN_MAX>,
}

/// Why a bundle file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleFileError {
    /// Not a bundle file.
    #[error("not a bundle file: {0}")]
    Encoding(#[from] DecodeError),
    /// Its leaf 0 is not the one that the trust file names.
    #[error("the bundle file is of another log than the trust file")]
    OtherLog,
    /// Its leaf 0 does not check out.
    #[error("the founding in the bundle file: {0}")]
    Founding(#[from] LeafError),
    /// Its leaf 0 names no usable statement and checkpoint key.
    #[error("the founding in the bundle file does not name the service's keys")]
    NoKeys,
    /// The bundle itself does not verify.
    #[error("{0}")]
    Bundle(#[from] BundleError),
}

impl BundleFile {
    /// Longest file, in bytes.
    pub const LEN_MAX: usize = LEAF_PAYLOAD_LEN_MAX + 512 + BUNDLE_MESSAGE_LEN_MAX;

    /// Reads a file's bytes; verifies nothing.
    ///
    /// # Errors
    /// [`BundleFileError::Encoding`] when they are not one.
    pub fn read(bytes: &[u8]) -> Result<Self, BundleFileError> {
        Ok(cbor::decode(bytes, Self::LEN_MAX)?)
    }

    /// Verifies the file from the trust file alone: leaf 0 hashes to the genesis digest, the bundle is signed by the
    /// statement key that leaf 0 names, and its log key is the checkpoint key of leaf 0.
    ///
    /// # Errors
    /// [`BundleFileError`] naming the first check that failed.
    pub fn verify(&self, trust: &Trust) -> Result<TrustBundle, BundleFileError> {
        if leaf_hash(self.founding.entry.as_bytes()) != trust.genesis {
            return Err(BundleFileError::OtherLog);
        }
        let entry = self.founding.check()?;
        let (Some(_), Some(payload)) = (&self.founding.salt, &self.founding.payload) else {
            return Err(BundleFileError::NoKeys);
        };
        if entry.index != 0 || entry.kind != LeafKind::Founding {
            return Err(BundleFileError::NoKeys);
        }
        let founding: FoundingLeaf = cbor::decode(payload.as_bytes(), LEAF_PAYLOAD_LEN_MAX)?;
        let statement_key = only(&founding.keys, KeyKind::ServiceStatement)?;
        let bundle = TrustBundle::verify(self.bundle.as_bytes(), &trust.genesis, &statement_key)?;
        if bundle.trust_domain != trust.domain
            || bundle.log_key()? != only(&founding.keys, KeyKind::Checkpoint)?
        {
            return Err(BundleError::OtherLog.into());
        }
        Ok(bundle)
    }
}

fn only(keys: &[KeyRecord], kind: KeyKind) -> Result<PublicKey, BundleFileError> {
    let mut of_kind = keys.iter().filter(|key| key.kind == kind);
    let (Some(key), None) = (of_kind.next(), of_kind.next()) else { return Err(BundleFileError::NoKeys) };
    let public = key.public.as_ref().ok_or(BundleFileError::NoKeys)?;
    PublicKey::from_spki(public.as_bytes()).map_err(|_| BundleFileError::NoKeys)
}
