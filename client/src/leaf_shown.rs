//! The leaf that a receipt shows: proved to be in the receipt's checkpoint, and read as the act it must be.
//!
//! Apart because an act may stand in its leaf alone or inside the proof of a quorum, and both are one act to whoever
//! asked for it. The checkpoint was judged before.

use crate::error::ClientError;
#[cfg(any(feature = "station", feature = "terminal", feature = "hub", feature = "officer"))]
use keysvc_protocol::leaf::ActByQuorumLeaf;
use keysvc_protocol::{
    cbor,
    leaf::LeafKind,
    receipt::{LEAF_PAYLOAD_LEN_MAX, Receipt},
};
use serde::{Serialize, de::DeserializeOwned};

/// A receipt's leaf, proved to be in its checkpoint's tree, with its payload.
pub(crate) struct Shown<'a> {
    kind: LeafKind,
    payload: &'a [u8],
}

impl<'a> Shown<'a> {
    /// Checks the receipt's leaf, which must come with its payload.
    pub(crate) fn of(receipt: &'a Receipt) -> Result<Self, ClientError> {
        let entry = receipt.check_inclusion().map_err(|error| ClientError::untrusted(error.to_string()))?;
        let leaf = receipt.leaf.as_ref().filter(|leaf| leaf.salt.is_some());
        let payload = leaf.and_then(|leaf| leaf.payload.as_ref());
        let payload = payload.ok_or_else(|| ClientError::untrusted("the leaf comes without its payload"))?;
        Ok(Self { kind: entry.kind, payload: payload.as_bytes() })
    }

    /// The leaf's own payload, which must be of this kind.
    pub(crate) fn payload<T: Serialize + DeserializeOwned>(&self, kind: LeafKind) -> Result<T, ClientError> {
        if self.kind != kind {
            return Err(ClientError::untrusted("the leaf is of another kind than what was asked"));
        }
        decode(self.payload)
    }

    #[cfg(any(feature = "station", feature = "terminal", feature = "hub", feature = "officer"))]
    /// The payload of an act, made alone or by quorum, which must be of one of these kinds.
    pub(crate) fn act<T: Serialize + DeserializeOwned>(&self, kinds: &[LeafKind]) -> Result<T, ClientError> {
        let other = || ClientError::untrusted("the leaf is of another kind than what was asked");
        match self.by_quorum()? {
            Some(act) if kinds.contains(&act.kind) => decode(act.act.as_bytes()),
            None if kinds.contains(&self.kind) => decode(self.payload),
            _ => Err(other()),
        }
    }

    #[cfg(any(feature = "station", feature = "terminal", feature = "hub", feature = "officer"))]
    /// The leaf of an act that took a quorum.
    pub(crate) fn by_quorum(&self) -> Result<Option<ActByQuorumLeaf>, ClientError> {
        let by_quorum = matches!(self.kind, LeafKind::ActByQuorum | LeafKind::SealedActByQuorum);
        by_quorum.then(|| decode(self.payload)).transpose()
    }
}

fn decode<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, ClientError> {
    cbor::decode(payload, LEAF_PAYLOAD_LEN_MAX)
        .map_err(|error| ClientError::untrusted(format!("the leaf's payload: {error}")))
}
